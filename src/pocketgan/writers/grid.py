"""One picture to look at."""

from __future__ import annotations

import torch

from pocketgan.core.files import write_bytes
from pocketgan.core.pixels import grid, to_png
from pocketgan.data.image_set import Samples
from pocketgan.writers.parts import Job

COUNT, COLUMNS = 100, 10


class GridWriter:
    """``grid.png``: the first 100 images, in 10 columns."""

    def __init__(self, job: Job) -> None:
        self.path, self.kept = job.folder / "grid.png", job.first.images[:0]

    def add(self, samples: Samples) -> None:
        """Keep what the picture still lacks."""
        if missing := COUNT - len(self.kept):
            self.kept = torch.cat([self.kept, samples.images[:missing]])

    def close(self) -> None:
        """Draw it."""
        write_bytes(self.path, to_png(grid(self.kept, columns=COLUMNS)))
