"""Images in NumPy's files: NPY, and NPZ in two habits, ours (images, labels) and Keras' (x_train, y_train, …).

An array's header is read first, and refused or believed, before anything is allocated. Pickles are never loaded.
"""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import MAX_TEXT_BYTES
from pocketgan.data._checks import check_labels, check_sides, first_line, refuse_split, texts_of
from pocketgan.data.idx import MAX_BYTES, MOST_INFLATED
from pocketgan.data.image_set import ImageSet

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Layout(NamedTuple):
    """What an array must be."""

    kind: Any  # of NumPy's scalar types, as np.issubdtype takes them
    dimensions: tuple[int, ...]
    words: str


IMAGES = Layout(np.uint8, (3, 4), "uint8 [N, H, W], [N, C, H, W] or [N, H, W, C]")
LABELS = Layout(np.integer, (1,), "integers [N]")
NAMES = Layout(np.str_, (1,), "text [K]")
TEXT = Layout(np.str_, (0,), "one text")


def load_npy(path: Path) -> ImageSet:
    """The images in an NPY file: uint8 ``[N, H, W]``, ``[N, C, H, W]`` or ``[N, H, W, C]``. They have no labels.

    Raises
    ------
    PocketganError
        The file is damaged or holds something else.
    """
    with path.open("rb") as stream:
        array = _read_array(str(path), stream, path.stat().st_size, IMAGES)
    return ImageSet(_images(path, array))


def load_npz(path: Path, split: str) -> ImageSet:
    """The images in an NPZ file.

    Parameters
    ----------
    path
        Holds ``images`` as in `load_npy`, and perhaps ``labels`` (integers ``[N]``) and ``class_names`` (text ``[K]``);
        or Keras' ``x_train``, ``y_train``, ``x_test``, ``y_test``. A ``provenance`` (JSON, as the export writes it) is
        kept.
    split
        ``train`` or ``test`` of Keras' arrays; ``train`` of others, which have no test images.

    Raises
    ------
    UsageError
        There is no such split.
    PocketganError
        The file is damaged or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _load_archive(path, archive, split)
    except PocketganError:
        raise
    except Exception as error:  # zipfile raises whatever the bytes lead it to, from BadZipFile to NotImplementedError
        raise PocketganError(f"{path} is a damaged NPZ file ({first_line(error)}); make or fetch it again") from error


def _load_archive(path: Path, archive: zipfile.ZipFile, split: str) -> ImageSet:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

    def read(name: str, layout: Layout) -> NDArray[Any]:
        if members[name].file_size > MOST_INFLATED * members[name].compress_size:
            raise PocketganError(f"{path} [{name}] claims more than a zip can hold in its size; fetch it again")
        with archive.open(members[name]) as stream:
            return _read_array(f"{path} [{name}]", stream, members[name].file_size, layout)

    if "images" in members:
        refuse_split(path, split)
        images_name, labels_name, split = "images", "labels", "all"
    elif {"x_train", "x_test"} & members.keys():
        images_name, labels_name = f"x_{split}", f"y_{split}"
        if images_name not in members:
            raise UsageError(f"{path} has no {images_name}, so there is no split '{split}' in it")
    else:
        held = ", ".join(repr(name) for name in sorted(members)[:5]) or "nothing"
        raise PocketganError(f"{path} holds {held}; an array named images, or x_train and x_test, is needed")
    images = _images(path, read(images_name, IMAGES))
    origin = _provenance(f"{path} [provenance]", read("provenance", TEXT)) if "provenance" in members else {}
    if labels_name not in members:
        return ImageSet(images, split=split, provenance=origin)
    names = tuple(str(name) for name in read("class_names", NAMES)) if "class_names" in members else ()
    labels = check_labels(f"{path} [{labels_name}]", read(labels_name, LABELS), len(images), names)
    return ImageSet(images, *labels, split=split, provenance=origin)


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
    if not np.issubdtype(dtype, layout.kind) or len(shape) not in layout.dimensions:
        raise PocketganError(f"{where} is {dtype} {list(shape)}, not {layout.words}; convert it")
    expected = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or expected > MAX_BYTES:
        raise PocketganError(f"{where} claims {list(shape)}, more than the {MAX_BYTES:,} bytes that are read")
    if size != stream.tell() + expected:
        raise PocketganError(f"{where} has {size:,} bytes where its header asks for {stream.tell() + expected:,}")
    stream.seek(0)
    return npy.read_array(stream, allow_pickle=False)  # to the end, where a zip's checksum is compared


def _images(path: Path, array: NDArray[np.uint8]) -> Tensor:
    """Images as ``[N, C, H, W]``, whichever way they lie."""
    if array.ndim == 3:
        array = array[:, None]
    elif array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = np.moveaxis(array, 3, 1)
    if len(array) == 0:
        raise PocketganError(f"{path} holds no images")
    if array.shape[1] not in (1, 3):
        raise PocketganError(f"{path} holds images {list(array.shape)}: 1 channel (grey) or 3 (RGB) are supported")
    check_sides(path, *array.shape[2:])
    return torch.from_numpy(np.ascontiguousarray(array))
