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

from pocketgan.core.arguments import Images, checked
from pocketgan.core.errors import PocketganError, UsageError, nearest
from pocketgan.core.files import user_path
from pocketgan.data._checks import read_provenance, readable, refuse_split
from pocketgan.data.arrays import NPY_MAGIC, load_npy, load_npz, npz_has_val
from pocketgan.data.datasets import DATASETS, Dataset
from pocketgan.data.folders import load_folder, split_folders
from pocketgan.data.given import given_as, is_given, load_given, name_of, source_of
from pocketgan.data.hdf5 import HDF5_MAGIC, hdf5_has_val, load_hdf5
from pocketgan.data.idx import idx_folder, is_idx, labels_beside, load_idx, load_idx_folder
from pocketgan.data.image_set import PROVENANCE, ImageSet, images_in, without_empty_classes
from pocketgan.data.looks import remarks
from pocketgan.data.parquet import (
    PARQUET_MAGIC,
    downloaded_set,
    is_hub_address,
    load_parquet,
    load_parquet_files,
    parquet_files,
    parquet_has_val,
)
from pocketgan.data.pictures import read_pictures
from pocketgan.data.pixel_table import load_table, looks_like_table
from pocketgan.data.shaping import shaped
from pocketgan.data.splits import SPLITS, val_rows
from pocketgan.data.trees import ArchiveTree, FolderTree, Tree, is_picture, is_tar, is_zipped_folder
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions

ZIP_MAGIC = b"PK"
HEAD = 1 << 16  # bytes by which the kind of a file is told
MOST_KEPT = 8  # sets that stay in memory, the last used ones
CLOCK_NS = 50_000_000  # a file's time of change is no finer than this: what is younger may change without a trace


@checked
def load_images(source: str | Path | Images, split: str = "train", reading: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """Load an image set. It is decoded once in a process: treat its tensors as read-only.

    Parameters
    ----------
    source
        The name of a data set of the table (`data.datasets`), which is downloaded once if it is not in the package; or
        a path: a picture (PNG, JPEG, GIF, BMP, WebP, TIFF, PGM); a folder of pictures, flat, or with one folder for
        each class, or with a ``metadata.csv``, or a ZIP or TAR file of one (`data.folders`); an NPZ, NPY, HDF5, Parquet
        or IDX file, or a CSV file of pixels; a folder of MNIST's four IDX files as torchvision keeps it, or of Parquet
        files; or ``hf:OWNER/NAME``, a set on the Hugging Face hub, which needs the extras ``hub`` and ``parquet``. In
        Python also an object that holds images: `data.given.source_of` lists them.
    split
        ``train``; ``test`` of data sets, of Keras' NPZ, of IDX folders and of what has a folder for them; ``val``,
        a sixth of the training images that is chosen by a published seed, classes in proportion, and ``fit``, the other
        five. A ``val`` that lies beside ``train`` and ``test`` is taken instead, and ``fit`` is all of ``train`` then.
        What has no test images is loaded whole as ``train``, and its `ImageSet.split` is then ``all``.
    reading
        Sizes, colours and the range of values, as they are asked for.

    Returns
    -------
    ImageSet
        uint8 ``[N, C, H, W]``, N at least 1, C 1 or 3, H and W from 8 to 128. What was assumed is in its `notes`.

    Raises
    ------
    UsageError
        There is nothing at the path, or no such split.
    PocketganError
        A file is damaged or is not what it should be; the line names it.
    """
    if split not in SPLITS:
        raise UsageError(f"split '{split}' is unknown{nearest(split, SPLITS)}")
    source = source_of(source, "source")
    if is_given(source):
        return _kept(source, split, reading.alone).images
    if source in DATASETS:
        return _of_dataset(DATASETS[source], split, reading.alone)
    if is_hub_address(source):
        found = _kept(downloaded_set(str(source)), split, reading.alone).images
        return replace(found, name=f"{source}, {split}")
    return _kept(user_path(source), split, reading.alone).images


def learning_images(source: str, split: str, reading: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """`load_images` for what a network is to learn from: classes without images are left out.

    Raises
    ------
    UsageError
        Some of it is among the test images of the source itself, or of a data set of the table that is here, and they
        are not to be left out. A set of the table is taken as its publisher divided it.
    """
    images = load_images(source, split, reading)
    if source in DATASETS:
        return images
    sealed = [load_images(row.name, "test", reading.shaping) for row in DATASETS.values() if row.is_here()]
    if images.split in ("train", "fit"):
        own = own_test_images(source, reading)
        sealed += [own] if own is not None else []
    for test in sealed:
        shared = images_in(images, test)
        if not shared.any():
            continue
        count, first = int(shared.sum()), int(shared.nonzero()[0])
        if not reading.drop_test_images:
            told = "1 image that is a test image" if count == 1 else f"{count:,} images that are test images"
            raise UsageError(
                f"{images.name} has {told} of {test.name} too (the first is its image {first}); what is "
                "learned from must not hold what it is tested on: --drop-test-images leaves them out"
            )
        if count == len(images):
            raise UsageError(f"{images.name}: all {count:,} images are test images of {test.name}; none are left")
        left = "1 image is left out, a" if count == 1 else f"{count:,} images are left out,"
        note = f"{images.name}: {left} test image{'s' * (count > 1)} of {test.name}"
        images = replace(images.rows(~shared), notes=(*images.notes, note))
    return without_empty_classes(images)


def own_test_images(source: str, reading: ImageOptions = AS_THEY_ARE) -> ImageSet | None:
    """The test images of a source, or None where it has none of its own."""
    try:
        return load_images(source, "test", reading)
    except UsageError:
        return None


# ---- data sets of the table: pinned by checksums, so that what was decoded stays true ------------------------------


@lru_cache(maxsize=MOST_KEPT)
def _of_dataset(dataset: Dataset, split: str, reading: ImageOptions) -> ImageSet:
    if split in ("fit", "val"):
        return replace(_part(_of_dataset(dataset, "train", reading), split), name=f"{dataset.name}/{split}")
    return shaped(dataset.images(split), reading)


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


_KEPT: OrderedDict[tuple[str, str, str, ImageOptions], _Kept] = OrderedDict()
_LOCK = Lock()


def _kept(source: Path | str, split: str, reading: ImageOptions) -> _Kept:
    """Of a path, or of what stands for an object that was given."""
    key = (str(source), str(source.absolute()) if isinstance(source, Path) else name_of(source), split, reading)
    with _LOCK:
        kept = _KEPT.get(key)
    if kept is not None and _states(kept.states) == kept.states:
        with _LOCK:
            _KEPT[key] = kept
            _KEPT.move_to_end(key)
        return kept
    began = time.time_ns()
    read = _read(source, split, reading) if isinstance(source, Path) else (_read_given(source, split, reading), set())
    images, looked_at = read
    found = _Kept(images, _states(looked_at))
    settled = all(
        state is None or max(state.modified, state.changed) < began - CLOCK_NS for state in found.states.values()
    )
    with _LOCK:
        _KEPT.pop(key, None)
        if settled:
            _KEPT[key] = found
        while len(_KEPT) > MOST_KEPT:
            _KEPT.popitem(last=False)
    return found


def _states(paths: Iterable[Path]) -> dict[Path, _State | None]:
    states: dict[Path, _State | None] = {}
    for path in paths:
        try:
            stat = path.stat()
            states[path] = _State(stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)
        except OSError:
            states[path] = None
    return states


def _read(path: Path, split: str, reading: ImageOptions) -> tuple[ImageSet, set[Path]]:
    """The images, and every file and folder that decided what was read."""
    with readable(path):
        tree = _tree(path)
        own_val = split != "test" and _has_val(path, tree)
    if split in ("fit", "val") and not own_val:
        train = _kept(path, "train", reading)
        return replace(_part(train.images, split), name=f"{path}, {split}"), set(train.states)
    name = str(path) if split == "train" else f"{path}, {split}"
    with readable(path):
        if tree is not None:
            images = load_folder(tree, "train" if split == "fit" else split, reading)
            if own_val:
                told = () if split == "val" else ("val is a folder of its own, so that fit is all of train",)
                images = replace(images, split=split, notes=(*images.notes, *told))
            looked_at = tree.looked_at
        elif path.is_dir():
            images, looked_at = _read_directory(path, split, reading)
        elif path.is_file():
            images, looked_at = _read_file(path, split, reading), {path, *labels_beside(path), path.parent}
        else:
            names = ", ".join(DATASETS)
            raise UsageError(
                f"{path} is missing; give {names}, hf:OWNER/NAME, a folder of pictures, or an NPZ, NPY or IDX file"
            )
        images = replace(images, notes=(*images.notes, *remarks(images, reading)))
        notes = tuple(note if note.startswith(str(path)) else f"{name}: {note}" for note in images.notes)
        images = replace(images, name=name, provenance=read_provenance(path) | images.provenance, notes=notes)
    return images, looked_at | {path / PROVENANCE}


def _read_given(source: str, split: str, reading: ImageOptions) -> ImageSet:
    given = given_as(source)
    name = given.name if split == "train" else f"{given.name}, {split}"
    if split in ("fit", "val") and not given.named.has_val:
        return replace(_part(_kept(source, "train", reading).images, split), name=name)
    images = load_given(source, split, reading)
    notes = (*images.notes, *remarks(images, reading))
    told = tuple(note if note.startswith(given.name) else f"{name}: {note}" for note in notes)
    return replace(images, name=name, provenance=images.provenance or {"data": given.name}, notes=told)


def _has_val(path: Path, tree: Tree | None) -> bool:
    """Whether a path has a `val` split of its own, beside its test images."""
    if tree is not None:
        return "val" in split_folders(tree)
    if path.is_dir():
        return idx_folder(path) is None and parquet_has_val(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(len(HDF5_MAGIC))
    return hdf5_has_val(path) if head.startswith(HDF5_MAGIC) else head.startswith(ZIP_MAGIC) and npz_has_val(path)


def _tree(path: Path) -> Tree | None:
    """What pictures lie in: a folder, or an archive of one; None of any other kind of path."""
    if path.is_dir():
        return None if idx_folder(path) is not None or parquet_files(path) else FolderTree(path)
    if not path.is_file():
        return None
    return ArchiveTree(path) if is_zipped_folder(path) or is_tar(path) else None


def _read_directory(path: Path, split: str, reading: ImageOptions) -> tuple[ImageSet, set[Path]]:
    """A folder of IDX or of Parquet files, and what was looked at."""
    folder = idx_folder(path)
    if folder is not None:
        return shaped(load_idx_folder(folder, split, reading), reading), {path, folder, *folder.iterdir()}
    files = parquet_files(path)
    return load_parquet(path, split, reading), {path, *files, *(file.parent for file in files)}


def _read_file(path: Path, split: str, reading: ImageOptions) -> ImageSet:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise PocketganError(f"{path} is empty; make or fetch it again")
    if is_picture(path.name, head[:HEAD]):
        refuse_split(path, split)
        images, notes, _ = read_pictures([path], reading)
        return ImageSet(images, notes=notes)
    if head.startswith(PARQUET_MAGIC):
        refuse_split(path, split)
        return load_parquet_files([path], reading)
    return shaped(_read_arrays(path, head, split, reading), reading)


def _read_arrays(path: Path, head: bytes, split: str, reading: ImageOptions) -> ImageSet:
    if head.startswith(ZIP_MAGIC):
        return load_npz(path, split, reading)
    if head.startswith(HDF5_MAGIC):
        return load_hdf5(path, split, reading)
    refuse_split(path, split)
    if head.startswith(NPY_MAGIC):
        return load_npy(path, reading)
    if is_idx(head[:4]):
        return load_idx(path, reading)
    if looks_like_table(head):
        return load_table(path, reading)
    raise PocketganError(
        f"{path} is no picture, archive, NPZ, NPY, IDX, HDF5, Parquet or CSV file; give one of these or a folder"
    )
