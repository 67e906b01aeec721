"""How a pair of networks, or a classifier, learns: state, steps, checkpoints, events."""
