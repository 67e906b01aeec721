"""IDX: MNIST's own four files, where torchvision looks for them."""

from __future__ import annotations

import torch

from pocketgan.core.errors import UsageError
from pocketgan.data.idx import idx_header
from pocketgan.data.image_set import Samples
from pocketgan.writers.parts import Job, RowFiles, split

MNIST_SHARE = 1 / 7  # 10,000 test images of 70,000
SIDES = ("train", "t10k")
REMEDY = "choose png or npz"


class IDXWriter:
    """``MNIST/raw/``: uncompressed images and labels of both sides, for ``torchvision.datasets.MNIST(root=out)``.

    Raises
    ------
    UsageError
        There are no labels, more than 256 classes, or more than one channel; or a side of the split is empty.
    """

    def __init__(self, job: Job) -> None:
        first = job.first
        channels, height, width = first.shape
        if first.labels is None:
            raise UsageError(f"--format idx holds labels and these images have none; {REMEDY}, or a conditional model")
        if channels != 1:
            raise UsageError(f"--format idx holds images of one channel, not {channels}; {REMEDY}")
        if len(first.class_names) > 256:
            raise UsageError(f"--format idx holds labels 0 to 255, not {len(first.class_names)} classes; {REMEDY}")
        raw = job.folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        sides = list(zip(SIDES, split(job.count, job.test_share or MNIST_SHARE), strict=True))
        images = [(raw / f"{side}-images-idx3-ubyte", count) for side, count in sides]
        labels = [(raw / f"{side}-labels-idx1-ubyte", count) for side, count in sides]
        self.images = RowFiles(images, lambda count: idx_header((count, height, width)))
        self.labels = RowFiles(labels, lambda count: idx_header((count,)))

    def add(self, samples: Samples) -> None:
        """Append a part."""
        assert samples.labels is not None
        self.images.add(samples.images.numpy())
        self.labels.add(samples.labels.to(torch.uint8).numpy())

    def close(self) -> None:
        """Headers and rows are written; nothing is left to do."""
