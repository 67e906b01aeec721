"""Grids: many small pictures laid out in rows in one picture, as torchvision's `save_image` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan.core.errors import PocketganError

SIDES = (28, 32, 64, 16, 20, 24, 40, 48, 96, 128)  # of small pictures, the likeliest first
USUAL_GAP, MOST_GAP = 2, 16  # pixels between them; the first is torchvision's default
EVEN = 32  # levels by which a gap's pixels may differ: JPEG blurs them


def cells(path: Path, picture: Image.Image, rows: int, columns: int) -> list[Image.Image]:
    """The pictures of a grid, row by row. Gaps between them, and around them, are found; what is empty at the end goes.

    Parameters
    ----------
    path
        For the error line.
    picture
        Mode L, RGB or F.
    rows, columns
        As many as there are of each.

    Raises
    ------
    PocketganError
        The picture is not as many cells of one size.
    """
    found = _found(np.asarray(picture.convert("L") if picture.mode == "RGB" else picture), rows, columns)
    if found is None:
        raise PocketganError(
            f"{path} is {picture.height}x{picture.width} pixels, which are not {rows}x{columns} pictures of one size; "
            "give --grid ROWSxCOLUMNS as they are, or cut the margins off"
        )
    top, height, width, gap = found
    cut = []
    for place in range(rows * columns):
        left, upper = top + place % columns * (width + gap), top + place // columns * (height + gap)
        cut.append(picture.crop((left, upper, left + width, upper + height)))
    if gap:
        pixel = picture.getpixel((0, 0) if top else (width, 0))
        ground = np.asarray(pixel, dtype=np.float32)
        while len(cut) > 1 and (np.asarray(cut[-1], dtype=np.float32) == ground).all():
            cut.pop()
    return cut


def _found(pixels: NDArray[Any], rows: int, columns: int) -> tuple[int, int, int, int] | None:
    """Margin, height and width of a cell, and gap, in pixels: of all that are possible the likeliest.

    A gap must be of one colour to be one. Dark borders of dark pictures may be one by chance: known sides come first.
    """
    height, width = pixels.shape
    possible = []
    for outer in range(-MOST_GAP, MOST_GAP + 1):  # below 0: gaps without a margin
        gap, margin = abs(outer), max(outer, 0)
        around = 2 * margin - gap
        if (height - around) % rows or (width - around) % columns:
            continue
        cell = (height - around) // rows - gap, (width - around) // columns - gap
        if min(cell) > 0 and (not gap or _is_even(pixels, margin, cell, gap)):
            known = SIDES.index(cell[0]) if cell[0] == cell[1] and cell[0] in SIDES else len(SIDES)
            possible.append(((known, gap != USUAL_GAP, -gap, -margin), (margin, *cell, gap)))
    return min(possible)[1] if possible else None


def _is_even(pixels: NDArray[Any], margin: int, cell: tuple[int, int], gap: int) -> bool:
    """Whether all pixels outside the cells are nearly alike, and there are any."""
    between = [(np.arange(size) - margin) % (side + gap) >= side for size, side in zip(pixels.shape, cell, strict=True)]
    outside = pixels[between[0][:, None] | between[1][None, :]]
    return outside.size > 0 and float(outside.max()) - float(outside.min()) <= EVEN


def looks_like(height: int, width: int) -> str:
    """The grid, as ``--grid`` takes it, that a picture of so many pixels is likely to be; none: empty."""
    for side in SIDES:
        for gap in (USUAL_GAP, 0):
            (rows, below), (columns, right) = (divmod(size - gap, side + gap) for size in (height, width))
            if not below and not right and rows * columns >= 4:
                return f"{rows}x{columns}"
    return ""
