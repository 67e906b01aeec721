"""pocketgan trains, judges, steers and ships GANs for small images."""
