"""The one door through which images come in: MNIST by its name, anything else by its path.

What a file is, is told by its first bytes and never by its ending.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from pocketgan.core.errors import PocketganError, UsageError, nearest
from pocketgan.data.arrays import load_npy, load_npz
from pocketgan.data.checks import check_labels, check_sides, readable, refuse_split
from pocketgan.data.folders import load_folder
from pocketgan.data.idx import is_idx, read_idx
from pocketgan.data.image_set import ImageSet
from pocketgan.data.mnist import SPLITS, mnist
from pocketgan.data.provenance import read_provenance
from pocketgan.data.published import PUBLISHED, fetched

ZIP_MAGIC, NPY_MAGIC = b"PK", b"\x93NUMPY"
IDX_PREFIX = {"train": "train", "test": "t10k"}  # of the files of a split, as MNIST's authors named them


def load_images(source: str | Path, split: str = "train") -> ImageSet:
    """Load an image set.

    Parameters
    ----------
    source
        ``mnist``; ``fashion-mnist`` (see `data.published`), which is downloaded once; or a path: a folder of pictures
        (PNG, JPEG, GIF, BMP), flat, or with one folder for each class, or with a ``metadata.csv``; an NPZ or NPY file;
        an IDX file, or a folder of MNIST's four as torchvision keeps it.
    split
        ``train``, ``fit``, ``val`` or ``test`` of MNIST; ``train`` or ``test`` of Keras' NPZ and of IDX folders. What
        has no splits is loaded whole, as ``train``, and its `ImageSet.split` is then ``all``.

    Returns
    -------
    ImageSet
        uint8 ``[N, C, H, W]``, N at least 1, C 1 or 3, H and W from 8 to 64.

    Raises
    ------
    UsageError
        There is nothing at the path, or no such split.
    PocketganError
        A file is damaged or is not what it should be; the line names it.
    """
    if split not in SPLITS:
        raise UsageError(f"split '{split}' is unknown{nearest(split, SPLITS)}")
    if source == "mnist":
        return mnist(split)
    if source in PUBLISHED:
        published = PUBLISHED[str(source)]
        found = _load_directory(fetched(str(source)), split)
        names, origin = published.class_names, published.provenance
        return replace(found, class_names=names, name=f"{source}/{split}", provenance=origin)
    path = Path(source)
    with readable(path):
        if path.is_dir():
            found = _load_directory(path, split)
        elif path.is_file():
            found = _load_file(path, split)
        else:
            raise UsageError(f"{source} is missing; give mnist, a folder of pictures, or an NPZ, NPY or IDX file")
        return replace(found, name=str(source), provenance=read_provenance(path) | found.provenance)


def _load_directory(path: Path, split: str) -> ImageSet:
    for folder in (path, path / "MNIST" / "raw"):
        if any(_find(folder, f"{prefix}-images-idx3-ubyte") for prefix in IDX_PREFIX.values()):
            return _load_idx_folder(folder, split)
    refuse_split(path, split)
    return load_folder(path)


def _load_file(path: Path, split: str) -> ImageSet:
    with path.open("rb") as file:
        head = file.read(len(NPY_MAGIC))
    if not head:
        raise PocketganError(f"{path} is empty; make or fetch it again")
    if head.startswith(ZIP_MAGIC):
        return load_npz(path, split)
    refuse_split(path, split)
    if head == NPY_MAGIC:
        return load_npy(path)
    if is_idx(head[:4]):
        name, renamed = re.subn(r"images([-.])idx3", r"labels\1idx1", path.name.removesuffix(".gz"))
        return _load_idx(path, _find(path.parent, name) if renamed else None)
    raise PocketganError(f"{path} is neither NPZ, NPY nor IDX; pictures are loaded by their folder")


def _load_idx_folder(folder: Path, split: str) -> ImageSet:
    if split not in IDX_PREFIX:
        raise UsageError(f"{folder} has the splits train and test, and no '{split}'")
    names = [f"{IDX_PREFIX[split]}-{rest}" for rest in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    paths = [_find(folder, name) for name in names]
    for name, path in zip(names, paths, strict=True):
        if path is None:
            raise PocketganError(f"{folder / name} is missing, plain or as .gz; fetch it")
    return replace(_load_idx(cast(Path, paths[0]), paths[1]), split=split)


def _load_idx(path: Path, labels_path: Path | None) -> ImageSet:
    array = read_idx(path)
    if array.ndim != 3 or len(array) == 0:
        raise PocketganError(f"{path} holds {list(array.shape)}, not images [N, H, W]; give the file of the images")
    check_sides(path, *array.shape[1:])
    images = torch.from_numpy(array).unsqueeze(1)
    if labels_path is None:
        return ImageSet(images)
    return ImageSet(images, *check_labels(labels_path, read_idx(labels_path), len(images)))


def _find(folder: Path, name: str) -> Path | None:
    """The file of this name in a folder, plain or gzipped; None if there is none."""
    return next((folder / found for found in (name, f"{name}.gz") if (folder / found).is_file()), None)
