"""Test images stay sealed: what a network learns from is compared with them, image by image."""

from __future__ import annotations

from pathlib import Path

import torch

from pocketgan.core.errors import UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.data.mnist import mnist


def images_in(images: ImageSet, others: ImageSet) -> torch.Tensor:
    """Which of some images are also among others, byte for byte: bool ``[N]``."""
    if images.shape != others.shape:
        return torch.zeros(len(images), dtype=torch.bool)
    known = {row.tobytes() for row in others.images.contiguous().numpy()}
    return torch.tensor([row.tobytes() in known for row in images.images.contiguous().numpy()])


def learning_images(source: str | Path, split: str) -> ImageSet:
    """`load_images` for what a network is to learn from.

    Raises
    ------
    UsageError
        Some of it is among MNIST's test images, or among the test images of the source itself.
    """
    images = load_images(source, split)
    sealed = [mnist("test")] if images.shape == (1, 28, 28) else []
    if source != "mnist" and images.split == "train":
        own = images_kept_apart(source, split)
        sealed += [own] if own is not None else []
    for test in sealed:
        shared = images_in(images, test)
        if shared.any():
            first = int(shared.nonzero()[0])
            raise UsageError(
                f"{source} has {int(shared.sum()):,} images that are test images of {test.name} too (the first is its "
                f"image {first}); take them out: what is learned from must not hold what it is tested on"
            )
    return images


def images_kept_apart(source: str | Path, split: str) -> ImageSet | None:
    """The images that what learned from this split is tested on: `val` for `fit`, else the test images, or None."""
    try:
        return load_images(source, "val" if split == "fit" else "test")
    except UsageError:  # an NPZ that holds x_train alone
        return None
