"""IDX, the file format of MNIST: a magic number, big-endian sizes, then the bytes. Plain or gzipped; one file, or a
folder of MNIST's four.

Source: the description at the end of the MNIST page (LeCun, Cortes, Burges): two zero bytes, a type code (0x08 for
unsigned bytes), the number of dimensions, each dimension as a 32-bit big-endian integer, the data.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
import torch
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data._checks import check_labels, check_sides
from pocketgan.data.image_set import ImageSet
from pocketgan.data.ranges import range_of, scaled
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
NUMBERS = {UNSIGNED_BYTE: "|u1", 0x0C: ">i4"}  # the types that are read, by their codes: bytes and 32-bit integers
MOST_INFLATED = 1032  # bytes that one byte of deflated data can stand for (zlib's technical details)
SPLITS = {"train": "train", "training": "train", "t10k": "test", "test": "test", "testing": "test"}  # by word of a name
RENAMED = {"images": "labels", "imgs": "labels", "image": "label", "X": "y", "x": "y", "idx3": "idx1"}  # of labels
WORDS = re.compile(r"([^A-Za-z0-9]+)")
MAX_BYTES = 4 << 30  # a larger array is refused before anything is allocated


def is_idx(head: bytes) -> bool:
    """Whether a file that begins with these 4 bytes can be IDX, plain or gzipped. Told by content, not by name."""
    return head[:2] == GZIP_MAGIC or (len(head) == 4 and head[:3] == bytes([0, 0, UNSIGNED_BYTE]) and 1 <= head[3] <= 4)


def read_idx(path: Path, code: int = UNSIGNED_BYTE) -> NDArray[Any]:
    """Read an IDX file of numbers of one type (`NUMBERS`): an array of the shape that its header gives.

    Raises
    ------
    PocketganError
        The file is missing, is no IDX file of such numbers, is cut short, or holds more than its header says.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            return read_idx_stream(str(path), raw, os.fstat(raw.fileno()).st_size, code)
    except FileNotFoundError as error:
        raise PocketganError(f"{path} is missing") from error
    except OSError as error:
        raise PocketganError(f"{path} cannot be read: {error.strerror or error}") from error


def read_idx_stream(where: str, raw: IO[bytes], size: int, code: int = UNSIGNED_BYTE) -> NDArray[Any]:
    """`read_idx` of a stream of `size` bytes that can go back to its beginning; `where` names it in error lines."""
    zipped = raw.read(2) == GZIP_MAGIC
    raw.seek(0)
    try:
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
        return _read_stream(where, stream, size, zipped, code)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise PocketganError(f"{where} is a damaged gzip file ({error}); fetch it again") from error


def _read_stream(where: str, stream: IO[bytes], size: int, zipped: bool, code: int) -> NDArray[Any]:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != code or not 1 <= head[3] <= 4:
        kind = "unsigned bytes" if code == UNSIGNED_BYTE else "32-bit integers"
        raise PocketganError(f"{where} is not an IDX file of {kind}: it begins with {head.hex() or 'nothing'}")
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise PocketganError(f"{where} ends inside its header; fetch it again")
    shape = struct.unpack(f">{head[3]}I", sizes)
    expected = math.prod(shape) * np.dtype(NUMBERS[code]).itemsize
    if max(shape, default=0) > MAX_BYTES or expected > MAX_BYTES:
        raise PocketganError(f"{where} claims {expected:,} bytes, more than the {MAX_BYTES:,} that are read")
    if zipped and expected > MOST_INFLATED * size:
        raise PocketganError(f"{where} claims {expected:,} bytes, more than gzip can hold in a file of its size")
    if not zipped and size != 4 + len(sizes) + expected:
        raise PocketganError(f"{where} has {size:,} bytes where its header asks for {4 + len(sizes) + expected:,}")
    content = bytearray()
    while block := stream.read(min(1 << 22, expected + 1 - len(content))):  # one byte too many shows an oversized file
        content += block
        if len(content) > expected:
            break
    if len(content) != expected:
        kind = "fewer" if len(content) < expected else "more"
        raise PocketganError(f"{where} holds {kind} bytes than the {expected:,} of its header; fetch it again")
    return np.frombuffer(content, dtype=NUMBERS[code]).reshape(shape)


def idx_header(shape: tuple[int, ...]) -> bytes:
    """The bytes before the data of an IDX file of unsigned bytes with this shape."""
    return bytes([0, 0, UNSIGNED_BYTE, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def load_idx(path: Path, reading: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """The images in an IDX file, with the labels of the file beside it that is named so.

    Raises
    ------
    PocketganError
        A file is damaged or holds something else.
    """
    return _load(path, next((labels for labels in labels_beside(path) if labels.is_file()), None), reading)


def labels_beside(path: Path) -> list[Path]:
    """Where the labels of a file of images may lie, by the names that people give both, plain and gzipped."""
    words = WORDS.split(path.name.removesuffix(".gz"))
    if "idx3" not in words:
        return []
    name = "".join(RENAMED.get(word, word) for word in words)
    return [path.with_name(name), path.with_name(f"{name}.gz")]


def idx_folder(folder: Path) -> Path | None:
    """Where the IDX files of a folder lie: in it, or in ``MNIST/raw/`` below it; None if there are none."""
    return next((place for place in (folder, folder / "MNIST" / "raw") if place.is_dir() and _sets(place)), None)


def load_idx_folder(folder: Path, split: str, reading: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """The images and labels of one split, ``train`` or ``test``, of a folder with MNIST's four files or such as these.

    Raises
    ------
    UsageError
        There are no test images.
    PocketganError
        A file is missing, damaged or holds something else, or the folder holds several sets.
    """
    sets = _sets(folder)
    if len(sets) > 1:
        names = ", ".join(sorted(name or "MNIST" for name in sets))
        raise PocketganError(f"{folder} holds several sets ({names}); give one of its files of images")
    files = next(iter(sets.values()), {})
    if split == "test" and ("test" not in files or "train" not in files):
        raise UsageError(f"{folder} has no test images of its own, so no split 'test'; it has train, fit and val")
    path = files.get(split) or next(iter(files.values()), None)
    if path is None:
        raise PocketganError(f"{folder} holds no IDX file of images, such as train-images-idx3-ubyte; fetch it")
    labels = labels_beside(path)
    if not any(place.is_file() for place in labels):
        raise PocketganError(f"{labels[0]} is missing, plain or as .gz; fetch it")
    found = load_idx(path, reading)
    if split not in files:
        return replace(found, notes=(*found.notes, f"{folder}: there is no train split, so {path.name} is taken"))
    return replace(found, split=split)


def _sets(folder: Path) -> dict[str, dict[str, Path]]:
    """The files of images in a folder: of each set, by the words that its names share, the file of each split."""
    sets: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # a plain file comes after its gzipped twin
        words = WORDS.split(path.name.removesuffix(".gz"))
        if "idx3" in words and words[0] and words[-1] in ("idx3", "ubyte") and path.is_file():  # no lock, no litter
            split = next((SPLITS[word] for word in words if word in SPLITS), "all")
            shared = "-".join(word for word in words[::2] if word not in (*SPLITS, *RENAMED, "ubyte"))
            sets.setdefault(shared, {})[split] = path
    return sets


def _load(path: Path, labels_path: Path | None, reading: ImageOptions) -> ImageSet:
    array = read_idx(path)
    if array.ndim != 3 or len(array) == 0:
        raise PocketganError(f"{path} holds {list(array.shape)}, not images [N, H, W]; give the file of the images")
    if reading.resize is None:
        sides = (min(array.shape[1:]),) * 2 if reading.crop else array.shape[1:]
        check_sides(path, *sides)
    images = torch.from_numpy(scaled(array, range_of(path, [array], reading))).unsqueeze(1)
    notes = []
    if "emnist" in path.name.lower() and not reading.transpose:
        notes.append(f"{path}: EMNIST's files hold rows and columns swapped; --transpose turns them upright")
    if labels_path is None:
        return ImageSet(images, notes=tuple(notes))
    return ImageSet(images, *check_labels(labels_path, read_idx(labels_path), len(images)), notes=tuple(notes))
