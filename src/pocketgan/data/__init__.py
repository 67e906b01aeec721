"""Image sets: where they come from, how they are split, and the endless stream of batches."""
