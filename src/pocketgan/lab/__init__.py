"""The lab: one local page to watch a training, play with a model, draw, label, and see what breaks. Extra `lab`."""
