"""Which value is black and which is white: told by the values where they leave no doubt, else asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pocketgan.core.errors import UsageError
from pocketgan.recipes.image_options import ImageOptions

BITS = (8, 10, 12, 14, 16)  # that cameras and scanners make
ROWS = 4096  # that are turned to bytes at once


class Range(NamedTuple):
    """The values of black and of white, and what to say of them."""

    low: float
    high: float
    note: str = ""


BYTES = Range(0.0, 255.0)


def scaled(values: NDArray[Any], known: Range) -> NDArray[np.uint8]:
    """Values as bytes, 0 for `low` and 255 for `high`, rounded; what lies outside is cut."""
    if values.dtype == np.uint8 and known[:2] == BYTES[:2]:
        return values
    made = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), ROWS):
        part = values[start : start + ROWS].astype(np.float64)
        made[start : start + ROWS] = ((part - known.low) * (255 / (known.high - known.low))).round().clip(0, 255)
    return made


def bits_range(where: Path | str, lowest: float, highest: float, reading: ImageOptions) -> Range:
    """The range of values of more than 8 bits: asked for, else the fewest bits that hold the brightest.

    Raises
    ------
    UsageError
        Some value is below 0 or above 16 bits, and no range is given.
    """
    if reading.ends is not None:
        return _asked(lowest, highest, reading.ends)
    bits = next((bits for bits in BITS if highest < 1 << bits), None)
    if lowest < 0 or bits is None or highest != round(highest):
        raise _unclear(where, lowest, highest)
    return Range(0.0, float((1 << bits) - 1), f"values up to {highest:g} are read as {bits} bits (--range)")


def range_of(where: Path | str, arrays: list[NDArray[Any]], reading: ImageOptions) -> Range:
    """The range of the values of arrays that belong together, such as the splits of one file.

    Bytes are bytes and truth values are black and white. Other integers are as many bits as `BITS` has for them.
    Floats within [0, 1] or [-1, 1] that use more than half of it, and those that go to between 128 and 255, are clear.

    Raises
    ------
    UsageError
        The values fit no range, or more than one; or are no numbers.
    """
    kinds = {array.dtype.kind for array in arrays}
    if kinds == {"b"}:
        return Range(0.0, 1.0)
    lowest, highest = min(float(array.min()) for array in arrays), max(float(array.max()) for array in arrays)
    if not np.isfinite([lowest, highest]).all():
        raise UsageError(f"{where} holds values that are no finite numbers; mend them")
    if reading.ends is not None:
        return _asked(lowest, highest, reading.ends)
    if "f" in kinds and len(kinds) > 1:
        raise UsageError(f"{where} holds whole numbers and fractions in the splits of one set; store them alike")
    if all(array.dtype == np.uint8 for array in arrays):
        return BYTES
    if kinds <= set("iub"):
        if all(array.dtype == np.int8 for array in arrays):
            raise _unclear(where, lowest, highest)
        return bits_range(where, lowest, highest, reading)
    told = f"values from {lowest:g} to {highest:g} are read as"
    if lowest >= 0 and 0.5 < highest <= 1:
        return Range(0.0, 1.0, f"{told} [0, 1] (--range)")
    if -1 <= lowest < -0.5 and highest <= 1:
        return Range(-1.0, 1.0, f"{told} [-1, 1] (--range)")
    if lowest >= 0 and 128 <= highest <= 255:
        return Range(0.0, 255.0, f"{told} 0 to 255 (--range)")
    raise _unclear(where, lowest, highest)


def _asked(lowest: float, highest: float, ends: tuple[float, float]) -> Range:
    low, high = ends
    outside = lowest < min(ends) or highest > max(ends)
    note = f"values run from {lowest:g} to {highest:g}; those outside --range {low:g}:{high:g} are cut"
    return Range(low, high, note if outside else "")


def _unclear(where: Path | str, lowest: float, highest: float) -> UsageError:
    return UsageError(
        f"{where} holds values from {lowest:g} to {highest:g}, which do not tell what is black and white; "
        "give --range LOW:HIGH, the values of both"
    )
