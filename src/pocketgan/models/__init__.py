"""What can be loaded and used: a trained generator, a classifier, a judge, and the folders that they are kept in."""
