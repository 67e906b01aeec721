"""MNIST, embedded in the package, and its four splits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import sha256
from pocketgan.data.idx import read_idx
from pocketgan.data.image_set import ImageSet
from pocketgan.data.splits import choose_rows

Split = Literal["train", "fit", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "fit", "val", "test")
VAL_COUNT = 10_000
VAL_SEED = 20_261_122  # published: whoever has the training images can rebuild `val` from it
FOLDER = Path(__file__).parent / "mnist_files"
SHA256 = {
    "train-images-idx3-ubyte.gz": "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
    "train-labels-idx1-ubyte.gz": "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
    "t10k-images-idx3-ubyte.gz": "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    "t10k-labels-idx1-ubyte.gz": "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
}
PROVENANCE = {
    "data": "MNIST (LeCun, Cortes, Burges)",
    "licence": "CC BY-SA 3.0, https://creativecommons.org/licenses/by-sa/3.0/",
}


@lru_cache(maxsize=4)
def mnist(split: Split = "train") -> ImageSet:
    """MNIST's images and labels.

    Parameters
    ----------
    split
        ``train`` (60,000), ``test`` (10,000), ``val`` (10,000 of ``train``, classes in proportion) or ``fit``
        (the other 50,000).

    Returns
    -------
    ImageSet
        uint8 ``[N, 1, 28, 28]``, labels 0 to 9.

    Raises
    ------
    PocketganError
        A file of the package was changed or lost.
    """
    if split in ("fit", "val"):
        train = mnist("train")
        assert train.labels is not None
        chosen = choose_rows(train.labels.tolist(), VAL_COUNT, VAL_SEED)
        part = train.rows(chosen if split == "val" else ~chosen)
        return ImageSet(part.images, part.labels, part.class_names, f"mnist/{split}", split, PROVENANCE)
    prefix = "t10k" if split == "test" else "train"
    images = torch.from_numpy(_checked(f"{prefix}-images-idx3-ubyte.gz")).unsqueeze(1)
    labels = torch.from_numpy(_checked(f"{prefix}-labels-idx1-ubyte.gz")).long()
    return ImageSet(images, labels, tuple("0123456789"), f"mnist/{split}", split, PROVENANCE)


def _checked(name: str) -> NDArray[np.uint8]:
    path = FOLDER / name
    if not path.is_file() or sha256(path) != SHA256[name]:
        raise PocketganError(f"{path} is missing or was changed; install pocketgan again")
    return read_idx(path)
