"""The one door through which images come in: data sets by their names, anything else by its path.

What a file is, is told by its first bytes and never by its ending. What was decoded is kept for the process, and read
again where its files have changed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from torch import Tensor

from pocketgan.core.arguments import checked
from pocketgan.core.errors import PocketganError, UsageError, nearest
from pocketgan.core.files import user_path
from pocketgan.data._checks import read_provenance, readable, refuse_split
from pocketgan.data.arrays import load_npy, load_npz
from pocketgan.data.datasets import DATASETS, Dataset
from pocketgan.data.idx import idx_folder, is_idx, labels_beside, load_idx, load_idx_folder
from pocketgan.data.image_set import PROVENANCE, ImageSet, images_in
from pocketgan.data.parquet import downloaded_set, is_hub_address, load_parquet, parquet_files
from pocketgan.data.pictures import CLASSES, METADATA, load_folder, read_pictures
from pocketgan.data.splits import SPLITS, val_rows

ZIP_MAGIC, NPY_MAGIC = b"PK", b"\x93NUMPY"
MOST_KEPT = 8  # sets that stay in memory, the last used ones
CLOCK_NS = 50_000_000  # a file's time of change is no finer than this: what is younger may change without a trace


@checked
def load_images(source: str | Path, split: str = "train") -> ImageSet:
    """Load an image set. It is decoded once in a process: treat its tensors as read-only.

    Parameters
    ----------
    source
        The name of a data set of the table (`data.datasets`), which is downloaded once if it is not in the package; or
        a path: a folder of pictures (PNG, JPEG, GIF, BMP), flat, or with one folder for each class, or with a
        ``metadata.csv``; an NPZ or NPY file; an IDX file, or a folder of MNIST's four as torchvision keeps it; a folder
        of Parquet files; or ``hf:OWNER/NAME``, a set on the Hugging Face hub, which needs the extras ``hub`` and
        ``parquet``.
    split
        ``train``; ``test`` of data sets, of Keras' NPZ and of IDX folders; ``val``, a sixth of the training images that
        is chosen by a published seed, classes in proportion, and ``fit``, the other five. What has no test images is
        loaded whole as ``train``, and its `ImageSet.split` is then ``all``.

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
    if isinstance(source, str) and source in DATASETS:
        return _of_dataset(DATASETS[source], split)
    if is_hub_address(source):
        return replace(_of_path(downloaded_set(str(source)), split), name=f"{source}, {split}")
    return _of_path(user_path(source), split)


def learning_images(source: str | Path, split: str) -> ImageSet:
    """`load_images` for what a network is to learn from.

    Raises
    ------
    UsageError
        Some of it is among the test images of the source itself, or of a data set of the table that is here. A set of
        the table is taken as its publisher divided it.
    """
    images = load_images(source, split)
    if source in DATASETS:
        return images
    here = [row for row in DATASETS.values() if row.shape == images.shape and row.is_here()]
    sealed = [load_images(row.name, "test") for row in here]
    if images.split in ("train", "fit"):
        own = own_test_images(source)
        sealed += [own] if own is not None else []
    for test in sealed:
        shared = images_in(images, test)
        if shared.any():
            count, first = int(shared.sum()), int(shared.nonzero()[0])
            raise UsageError(
                f"{images.name} has {count:,} images that are test images of {test.name} too (the first is its image "
                f"{first}); take them out: what is learned from must not hold what it is tested on"
            )
    return images


def own_test_images(source: str | Path) -> ImageSet | None:
    """The test images of a source, or None where it has none of its own."""
    try:
        return load_images(source, "test")
    except UsageError:
        return None


# ---- data sets of the table: pinned by checksums, so that what was decoded stays true ------------------------------


@lru_cache(maxsize=MOST_KEPT)
def _of_dataset(dataset: Dataset, split: str) -> ImageSet:
    if split in ("fit", "val"):
        return replace(_part(_of_dataset(dataset, "train"), split), name=f"{dataset.name}/{split}")
    return dataset.images(split)


def _part(train: ImageSet, split: str) -> ImageSet:
    """`val` or `fit` of training images."""
    chosen = val_rows(train.labels, len(train))
    if not chosen.any():
        raise UsageError(f"{train.name} holds {len(train)} images, too few to set any aside for '{split}'; add more")
    return replace(train.rows(chosen if split == "val" else ~chosen), split=split)


# ---- paths: kept with the state of every file they were read from --------------------------------------------------


class _State(NamedTuple):
    """What tells that a file is another than it was."""

    size: int
    inode: int
    modified: int  # nanoseconds
    changed: int


class _Kept(NamedTuple):
    images: ImageSet
    states: dict[Path, _State | None]  # None of what was not there


_KEPT: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()
_LOCK = Lock()


def _of_path(source: Path, split: str) -> ImageSet:
    key = (str(source), str(source.absolute()), split)
    with _LOCK:
        kept = _KEPT.get(key)
    if kept is not None and _states(kept.states) == kept.states:
        with _LOCK:
            _KEPT[key] = kept
            _KEPT.move_to_end(key)
        return kept.images
    began = time.time_ns()
    images = _read(source, split)
    states = _states(_read_from(source, images))
    settled = all(state is None or max(state.modified, state.changed) < began - CLOCK_NS for state in states.values())
    with _LOCK:
        _KEPT.pop(key, None)
        if settled:
            _KEPT[key] = _Kept(images, states)
        while len(_KEPT) > MOST_KEPT:
            _KEPT.popitem(last=False)
    return images


def _states(paths: Iterable[Path]) -> dict[Path, _State | None]:
    states: dict[Path, _State | None] = {}
    for path in paths:
        try:
            stat = path.stat()
            states[path] = _State(stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)
        except OSError:
            states[path] = None
    return states


def _read_from(path: Path, images: ImageSet) -> set[Path]:
    """Every file and folder that decided what was read from a path."""
    if path.is_file():
        return {path, *labels_beside(path)}
    folder = idx_folder(path)
    if folder is not None:
        return {path, folder, path / PROVENANCE, *folder.iterdir()}
    parquet = parquet_files(path)
    if parquet:
        return {path, path / PROVENANCE, *parquet, *(file.parent for file in parquet)}
    pictures = {path / file for file in images.files}
    return {
        path,
        path / METADATA,
        path / CLASSES,
        path / PROVENANCE,
        *pictures,
        *(picture.parent for picture in pictures),
    }


def _read(path: Path, split: str) -> ImageSet:
    if split in ("fit", "val"):
        return replace(_part(load_images(path), split), name=f"{path}, {split}")
    with readable(path):
        if path.is_dir():
            images = _read_directory(path, split)
        elif path.is_file():
            images = _read_file(path, split)
        else:
            names = ", ".join(DATASETS)
            raise UsageError(
                f"{path} is missing; give {names}, hf:OWNER/NAME, a folder of pictures, or an NPZ, NPY or IDX file"
            )
        name = str(path) if split == "train" else f"{path}, {split}"
        return replace(images, name=name, provenance=read_provenance(path) | images.provenance)


def _read_directory(path: Path, split: str) -> ImageSet:
    folder = idx_folder(path)
    if folder is not None:
        return load_idx_folder(folder, split)
    if parquet_files(path):
        return load_parquet(path, split)
    refuse_split(path, split)
    return load_folder(path)


def _read_file(path: Path, split: str) -> ImageSet:
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
        return load_idx(path)
    raise PocketganError(f"{path} is neither NPZ, NPY nor IDX; pictures are loaded by their folder")


def load_pictures(source: str | Path) -> Tensor:
    """One picture file, or what `load_images` takes, as uint8 ``[N, C, H, W]``."""
    path = Path(source)
    if path.is_file() and path.suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".bmp"):
        return read_pictures([path])
    return load_images(source).images
