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

from pocketgan.core.errors import PocketganError
from pocketgan.data._checks import check_labels, check_sides
from pocketgan.data.image_set import ImageSet

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
NUMBERS = {UNSIGNED_BYTE: "|u1", 0x0C: ">i4"}  # the types that are read, by their codes: bytes and 32-bit integers
MOST_INFLATED = 1032  # bytes that one byte of deflated data can stand for (zlib's technical details)
PREFIXES = {"train": "train", "test": "t10k"}  # of the files of a split, as MNIST's authors named them
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
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


def load_idx(path: Path) -> ImageSet:
    """The images in an IDX file, with the labels of the file beside it that is named so.

    Raises
    ------
    PocketganError
        A file is damaged or holds something else.
    """
    return _load(path, next((labels for labels in labels_beside(path) if labels.is_file()), None))


def labels_beside(path: Path) -> list[Path]:
    """Where the labels of a file of images may lie, by MNIST's names, plain and gzipped; nowhere by other names."""
    name, renamed = re.subn(r"images([-.])idx3", r"labels\1idx1", path.name.removesuffix(".gz"))
    return [path.with_name(name), path.with_name(f"{name}.gz")] if renamed else []


def idx_folder(folder: Path) -> Path | None:
    """Where the IDX files of a folder lie: in it, or in ``MNIST/raw/`` below it; None if there are none."""
    places = (folder, folder / "MNIST" / "raw")
    return next((p for p in places if any(_find(p, f"{prefix}-{IMAGES}") for prefix in PREFIXES.values())), None)


def load_idx_folder(folder: Path, split: str) -> ImageSet:
    """The images and labels of one split, ``train`` or ``test``, of a folder with MNIST's four files.

    Raises
    ------
    PocketganError
        A file is missing, damaged or holds something else.
    """
    names = [f"{PREFIXES[split]}-{rest}" for rest in (IMAGES, LABELS)]
    paths = [_find(folder, name) for name in names]
    for name, path in zip(names, paths, strict=True):
        if path is None:
            raise PocketganError(f"{folder / name} is missing, plain or as .gz; fetch it")
    return replace(_load(cast(Path, paths[0]), paths[1]), split=split)


def _load(path: Path, labels_path: Path | None) -> ImageSet:
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
