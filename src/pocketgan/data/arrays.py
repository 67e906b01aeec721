"""Images in NumPy's files: NPY and NPZ, by the names that people give their arrays.

An array's header is read first, and refused or believed, before anything is allocated. Pickles are never loaded.
"""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import MAX_TEXT_BYTES
from pocketgan.data._checks import first_line, refuse_split, texts_of
from pocketgan.data.idx import MAX_BYTES, MOST_INFLATED
from pocketgan.data.image_set import ImageSet
from pocketgan.data.named import beside, have_val, load_named, role_of, strings, unused_beside
from pocketgan.data.ranges import range_of
from pocketgan.data.values import LAYOUTS, holds_images, image_set
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
NPY_MAGIC = b"\x93NUMPY"


class Layout(NamedTuple):
    """What an array must be."""

    kinds: str  # of NumPy's types
    dimensions: tuple[int, ...]
    words: str


ANY = Layout("buifSU", (1, 2, 3, 4), "numbers or texts, [N] for labels and [N, H, W] or more for images")
NAMES = Layout("U", (1,), "text [K]")
TEXT = Layout("U", (0,), "one text")


def load_npy(path: Path, reading: ImageOptions) -> ImageSet:
    """The images in an NPY file, with the labels of the file beside it that is named so (`named.beside`).

    Raises
    ------
    UsageError
        It is not clear which values are black and white.
    PocketganError
        A file is damaged or holds something else.
    """
    return with_labels_beside(path, _read_npy(path), reading, str(path))


def with_labels_beside(path: Path, images: NDArray[Any], reading: ImageOptions, where: str) -> ImageSet:
    """The only array of a file as images, with the labels of the file beside it that is named so."""
    if images.dtype.kind in "buif" and not images.size:
        raise PocketganError(f"{where} holds no images")
    if images.dtype.kind not in "buif" or not holds_images(images.shape):
        raise PocketganError(f"{where} is {images.dtype} {list(images.shape)}, not images {LAYOUTS}; convert it")
    labels = beside(path)
    known = range_of(where, [images], reading)
    made = image_set(where, images, known, reading, None if labels is None else (labels, _read_npy(labels)))
    if labels is not None:
        return replace(made, notes=(*made.notes, f"{path}: the labels are those of {labels.name}"))
    return replace(made, notes=(*made.notes, *unused_beside(path)))


def _read_npy(path: Path) -> NDArray[Any]:
    """The array in an NPY file, or the lone one in an NPZ file."""
    with path.open("rb") as stream:
        if stream.read(len(NPY_MAGIC)) == NPY_MAGIC:
            stream.seek(0)
            return _read_array(str(path), stream, path.stat().st_size, ANY)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            raise PocketganError(f"{path} holds {len(members)} arrays, not the labels alone; join both files")
        return _read_member(path, archive, members[0], ANY)


def _read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, layout: Layout) -> NDArray[Any]:
    name = member.filename.removesuffix(".npy")
    if member.file_size > MOST_INFLATED * member.compress_size:
        raise PocketganError(f"{path} [{name}] claims more than a zip can hold in its size; fetch it again")
    with archive.open(member) as stream:
        return _read_array(f"{path} [{name}]", stream, member.file_size, layout)


def load_npz(path: Path, split: str, reading: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """The images in an NPZ file.

    Parameters
    ----------
    path
        Its arrays are named as `data.named` knows: ``images`` and ``labels``, ``x_train`` and ``y_train``,
        ``train_images`` and so on; and perhaps ``class_names`` (text ``[K]``). A ``provenance`` (JSON, as the export
        writes it) is kept. A lone array is images, and its labels may lie in a file beside it.
    split
        ``train``, or ``test`` of what has test images; ``val`` and ``fit`` of what has a ``val`` beside them.
    reading
        How they are read.

    Raises
    ------
    UsageError
        There is no such split, or it is not clear which values are black and white.
    PocketganError
        The file is damaged or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _load_archive(path, archive, split, reading)
    except PocketganError:
        raise
    except Exception as error:  # zipfile raises whatever the bytes lead it to, from BadZipFile to NotImplementedError
        raise PocketganError(f"{path} is a damaged NPZ file ({first_line(error)}); make or fetch it again") from error


def npz_has_val(path: Path) -> bool:
    """Whether an NPZ file has a `val` split beside its test images; false of a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return have_val(info.filename.removesuffix(".npy") for info in archive.infolist())
    except Exception:  # it is read again, where the error is told
        return False


def _load_archive(path: Path, archive: zipfile.ZipFile, split: str, reading: ImageOptions) -> ImageSet:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    origin = {}
    if "provenance" in members:
        text = _read_member(path, archive, members.pop("provenance"), TEXT)
        origin = _provenance(f"{path} [provenance]", text)

    def read(name: str) -> NDArray[Any]:
        return _read_member(path, archive, members[name], ANY)

    if len(members) == 1 and role_of(next(iter(members))) in (None, ("images", "all")):
        refuse_split(path, split)
        (lone,) = members
        return replace(with_labels_beside(path, read(lone), reading, f"{path} [{lone}]"), provenance=origin)
    found = load_named(
        path,
        members,
        read,
        split,
        reading,
        lambda name: strings(_read_member(path, archive, members[name], NAMES)),
    )
    return replace(found, provenance=origin)


def _provenance(where: str, text: NDArray[np.str_]) -> dict[str, str]:
    """The texts of the JSON object that an export keeps with its images."""
    if text.nbytes > MAX_TEXT_BYTES:
        raise PocketganError(f"{where} has {text.nbytes:,} bytes, more than the {MAX_TEXT_BYTES:,} that are read")
    try:
        content = json.loads(text.item())
    except (ValueError, RecursionError) as error:
        raise PocketganError(f"{where} is not readable as JSON ({first_line(error)})") from error
    return texts_of(where, content)


def _read_array(where: str, stream: IO[bytes], size: int, layout: Layout) -> NDArray[Any]:
    """One array of an NPY stream of `size` bytes, if it is laid out so."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a header that must be mended is refused
            shape, _, dtype = HEADERS[npy.read_magic(stream)](stream)
    except Exception as error:  # the header is Python text, parsed: its errors run from ValueError to TokenError
        raise PocketganError(f"{where} is not a NumPy array that is read here ({first_line(error)})") from error
    if dtype.hasobject:
        raise PocketganError(f"{where} holds a pickle, and pickles are never loaded; save numbers")
    if dtype.kind not in layout.kinds or len(shape) not in layout.dimensions:
        raise PocketganError(f"{where} is {dtype} {list(shape)}, not {layout.words}; convert it")
    expected = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or expected > MAX_BYTES:
        raise PocketganError(f"{where} claims {list(shape)}, more than the {MAX_BYTES:,} bytes that are read")
    if size != stream.tell() + expected:
        raise PocketganError(f"{where} has {size:,} bytes where its header asks for {stream.tell() + expected:,}")
    stream.seek(0)
    return npy.read_array(stream, allow_pickle=False)  # to the end, where a zip's checksum is compared
