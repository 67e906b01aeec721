"""Images as rows of a table: CSV files with a column for each pixel, as Kaggle has them, with or without a header."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError
from pocketgan.core.terminal import Bar, Display
from pocketgan.data._checks import first_line
from pocketgan.data.idx import MAX_BYTES
from pocketgan.data.image_set import ImageSet
from pocketgan.data.named import LABELS
from pocketgan.data.pictures import natural_order
from pocketgan.data.ranges import range_of
from pocketgan.data.values import holds_images, image_set
from pocketgan.recipes.image_options import ImageOptions

MOST_COLUMNS = 60_000
SHOWN = 10_000_000  # bytes from which on progress is shown
TOLD_EVERY = 100  # rows
PIXEL = re.compile(r"[^0-9]*[0-9]+([x_][0-9]+)?", re.IGNORECASE)  # pixel0, 1x1, p_1_1, 17


class Columns(NamedTuple):
    """Which columns of a table are what."""

    pixels: list[int]
    label: int | None
    others: list[str]  # names of those that are not used
    header: bool
    guess: str = ""  # what to say of a header that is not there


def looks_like_table(head: bytes) -> bool:
    """Whether the first bytes of a file are text with columns: commas, semicolons or tabs in its first line."""
    line = head.removeprefix(b"\xef\xbb\xbf").splitlines()[0] if head.strip() else b""  # perhaps its beginning alone
    return line.count(b",") + line.count(b";") + line.count(b"\t") >= 8 and all(
        32 <= sign < 127 or sign == 9 for sign in line
    )


def load_table(path: Path, reading: ImageOptions) -> ImageSet:
    """The images in a CSV file of pixels, one a row, the pixels line by line; the columns between are named in a note.

    Raises
    ------
    UsageError
        It is not clear which values are black and white.
    PocketganError
        The file is damaged, or has not as many columns as a square has pixels.
    """
    if path.stat().st_size > MAX_BYTES:
        raise PocketganError(f"{path} has more than the {MAX_BYTES:,} bytes that are read")
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline(1 << 22)
    delimiter = max(",;\t", key=line.count)
    columns = columns_of(path, next(csv.reader([line], delimiter=delimiter), []))

    def read(numbers: list[int], kind: Any) -> NDArray[Any]:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file, _bar(path) as bar:
                return np.loadtxt(
                    _told(file, bar), kind, delimiter=delimiter, skiprows=int(columns.header), usecols=numbers,
                    ndmin=2, comments=None, quotechar='"',
                )  # fmt: skip
        except ValueError as error:
            raise PocketganError(
                f"{path} has a row that is not like the first ({first_line(error)}); mend it"
            ) from error

    pixels = _narrowed(read(columns.pixels, np.float32))
    if not len(pixels):
        raise PocketganError(f"{path} has no rows of pixels")
    labels = None if columns.label is None else (f"{path}, column {columns.label + 1}", read([columns.label], str))
    known = range_of(path, [pixels], reading)
    made = image_set(path, pixels, known, reading, labels)
    notes = [f"{path}: {columns.guess}"] if columns.guess else []
    if columns.others:
        notes.append(f"{path}: columns that are not used: {', '.join(columns.others[:10])}")
    return replace(made, notes=(*notes, *made.notes))


def _bar(path: Path) -> AbstractContextManager[Bar]:
    size = path.stat().st_size
    return Display(quiet=size < SHOWN).bar(f"reading {path.name}", size)


def _told(lines: Iterable[str], bar: Bar) -> Iterator[str]:
    done = 0
    for number, line in enumerate(lines, 1):
        done += len(line)
        if number % TOLD_EVERY == 0:
            bar.update(done)
        yield line


def columns_of(path: Path, cells: list[str]) -> Columns:
    """Tell the columns by the first line.

    Raises
    ------
    PocketganError
        They are not as many as a square has pixels, or out of their order.
    """
    if len(cells) > MOST_COLUMNS:
        raise PocketganError(f"{path} has {len(cells):,} columns, more than the {MOST_COLUMNS:,} that are read")
    names = [cell.strip() for cell in cells]
    if all(_number(name) for name in names):
        count = len(names)
        if holds_images((1, count)):
            return Columns(list(range(count)), None, [], False, "no header: all columns are pixels, and no labels")
        if holds_images((1, count - 1)):
            return Columns(list(range(1, count)), 0, [], False, "no header: the first column is taken for the labels")
        raise PocketganError(f"{path} has {count:,} columns of numbers, not the pixels of a square (and a label)")
    pixels = [place for place, name in enumerate(names) if PIXEL.fullmatch(name)]
    label = next((place for place, name in enumerate(names) if name.lower() in LABELS and place not in pixels), None)
    others = [name for place, name in enumerate(names) if place not in pixels and place != label]
    if not pixels or not holds_images((1, len(pixels))):
        held = ", ".join(names[:4])
        raise PocketganError(
            f"{path} begins with the columns {held} … and has {len(pixels):,} of pixels (pixel0, pixel1, …), which are "
            f"no square; {math.isqrt(len(pixels)) ** 2:,} or another square is needed"
        )
    ordered = [names[place] for place in pixels]
    if ordered != sorted(ordered, key=natural_order):
        raise PocketganError(
            f"{path} has its columns of pixels out of order; put {ordered[0]} … in the order of their numbers"
        )
    return Columns(pixels, label, others, True)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _narrowed(values: NDArray[np.float32]) -> NDArray[Any]:
    """Whole numbers from 0 to 255 are bytes, since text has no types; others stay floats."""
    if not values.size or not (values == np.floor(values)).all() or values.min() < 0 or values.max() > 255:
        return values
    return values.astype(np.uint8)
