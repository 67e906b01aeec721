"""The verbs of the command line, one module each; `pocketgan` offers their functions by name."""
