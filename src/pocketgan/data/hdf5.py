"""Images in HDF5 files, by the names of their arrays. Links that lead out of a file are not followed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data._checks import first_line
from pocketgan.data.idx import MAX_BYTES
from pocketgan.data.image_set import ImageSet
from pocketgan.data.named import have_val, load_named, strings
from pocketgan.recipes.image_options import ImageOptions

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def load_hdf5(path: Path, split: str, reading: ImageOptions) -> ImageSet:
    """One split of the arrays in an HDF5 file, named as in `data.named`; those in groups by ``group/name``.

    Raises
    ------
    UsageError
        h5py is not installed, there is no such split, or it is not clear which values are black and white.
    PocketganError
        The file is damaged, or holds something else.
    """
    try:
        import h5py
    except ImportError:
        raise UsageError(
            f"{path} is an HDF5 file, which needs h5py: pip install '.[hdf5]' in pocketgan's source folder"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            arrays: dict[str, Any] = {}

            def keep(name: str, entry: Any) -> None:  # visititems follows no link out of the file
                if isinstance(entry, h5py.Dataset):
                    arrays[name] = entry

            file.visititems(keep)

            def read(name: str) -> NDArray[Any]:
                return _read(f"{path} [{name}]", arrays[name])

            if not arrays:
                raise PocketganError(f"{path} holds no arrays; an array named images or x is needed")
            return load_named(path, arrays, read, split, reading, lambda name: strings(read(name)))
    except PocketganError:
        raise
    except Exception as error:  # the library raises whatever the bytes lead it to, from OSError to RuntimeError
        raise PocketganError(f"{path} is a damaged HDF5 file ({first_line(error)}); make or fetch it again") from error


def hdf5_has_val(path: Path) -> bool:
    """Whether an HDF5 file has a `val` split beside its test images; false of a damaged one."""
    try:
        import h5py

        names: list[str] = []
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, entry: names.append(name) if isinstance(entry, h5py.Dataset) else None)
        return have_val(names)
    except Exception:  # it is read again, where the error is told
        return False


def _read(where: str, array: Any) -> NDArray[Any]:
    if array.external or array.is_virtual:
        raise PocketganError(f"{where} lies in another file, and such are not opened; copy it into this one")
    if array.shape is None or array.dtype.kind not in "buifSO":
        raise PocketganError(f"{where} is {array.dtype} {array.shape}, not an array of numbers or texts")
    if math.prod(array.shape) * array.dtype.itemsize > MAX_BYTES:
        raise PocketganError(f"{where} claims more than the {MAX_BYTES:,} bytes that are read")
    return np.asarray(array[()])
