"""Picture files to bytes. Formats are told by content, and a picture is measured before it is decoded."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.data.checks import check_sides, first_line

FORMATS = ("PNG", "JPEG", "GIF", "BMP")


def read_pictures(paths: Sequence[Path]) -> Tensor:
    """Pictures of one size: uint8 ``[N, C, H, W]``, C 1 if all of them are grey, else 3.

    Parameters
    ----------
    paths
        At least one.

    Raises
    ------
    PocketganError
        A file is missing or no picture, has a side outside 8 to 64, or two differ in size.
    """
    arrays: list[NDArray[np.uint8]] = []
    for path in paths:
        array = read_picture(path)
        if arrays and array.shape[:2] != arrays[0].shape[:2]:
            (height, width), (other_height, other_width) = arrays[0].shape[:2], array.shape[:2]
            raise PocketganError(
                f"{paths[0]} is {height}x{width} pixels and {path} is {other_height}x{other_width}; resize to one size"
            )
        arrays.append(array)
    if all(array.ndim == 2 for array in arrays):
        return torch.from_numpy(np.stack(arrays)).unsqueeze(1)
    coloured = [array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2) for array in arrays]
    return torch.from_numpy(np.stack(coloured)).permute(0, 3, 1, 2).contiguous()


def read_picture(path: Path) -> NDArray[np.uint8]:
    """One picture, the first frame if there are several: ``[H, W]`` if it is grey, else RGB ``[H, W, 3]``.

    Grey are the pictures that are stored so, and those of a palette (all GIF files) that show nothing but greys.
    What is transparent lies on black; 16 bits of grey lose the lower 8.

    Raises
    ------
    PocketganError
        The file is missing, is not a PNG, JPEG, GIF or BMP, is damaged, or has a side outside 8 to 64.
    """
    if not path.is_file():
        raise PocketganError(f"{path} is missing or not a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks about EXIF or palettes concern nobody here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                check_sides(path, picture.height, picture.width)
                return _decoded(picture)
    except PocketganError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever the bytes lead them to, from SyntaxError to KeyError
        reason = "it is something else" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise PocketganError(f"{path} cannot be read as PNG, JPEG, GIF or BMP ({reason}); mend or remove it") from error


def _decoded(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I"):  # 16 bits, which Pillow would cut at 255 instead of dividing
        return (np.asarray(picture) >> 8).astype(np.uint8)
    grey, palette = picture.mode in ("1", "L"), picture.mode == "P"
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    if grey:
        return np.array(picture.convert("L"))
    colours = np.array(picture.convert("RGB"))
    return colours[..., 0] if palette and (colours == colours[..., :1]).all() else colours
