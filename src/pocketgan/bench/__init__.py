"""The published figures, made by commands that anyone can repeat."""
