"""What all readers share: checks of sides, labels and splits, one line for an unreadable file, and texts of provenance.

Texts of provenance are strangers' and travel on, into pages and into every set made from the images: they are kept
plain.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import read_bytes, read_json
from pocketgan.data.image_set import PROVENANCE
from pocketgan.recipes.image_options import MAX_SIDE, MIN_SIDE

MOST_TEXTS = 20
MOST_CHARACTERS = 1000
MAX_TABLE_BYTES = 64 << 20
DELIMITERS = ",;\t|"  # of cells; of two that are equally frequent in a first line, the earlier
MAX_LABEL = 10_000  # a larger one is taken for a mistake: a network grows with the number of classes


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an error of the system or of a decoder inside the block into one line that names the file.

    Raises
    ------
    PocketganError
        The block raised an OSError or a ValueError.
    """
    try:
        yield
    except OSError as error:
        raise PocketganError(
            f"{error.filename or path} cannot be read: {error.strerror or first_line(error)}"
        ) from error
    except ValueError as error:
        raise PocketganError(f"{path} cannot be read: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the error's kind where it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def refuse_split(path: Path, split: str) -> None:
    """Refuse the test images of a source that has none of its own, so that nobody tests on training images.

    Raises
    ------
    UsageError
        They were asked for.
    """
    if split == "test":
        raise UsageError(f"{path} has no test images of its own, so no split 'test'; it has train, fit and val")


def check_sides(path: Path | str, height: int, width: int) -> None:
    """Refuse images whose sides (pixels) no network of the program takes.

    Raises
    ------
    PocketganError
        A side is outside `MIN_SIDE` to `MAX_SIDE`.
    """
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width)):
        raise PocketganError(
            f"{path} holds {height}x{width} pixels: sides from {MIN_SIDE} to {MAX_SIDE} are supported; give --resize N"
        )


def integer(text: str) -> int | None:
    """The integer that a cell of a table or a folder name spells in plain digits, 5.0 too; None if it spells none."""
    whole, _, zeros = text.partition(".")
    text = whole if zeros and not zeros.strip("0") else text
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) <= 19 else None


def read_table(path: Path, columns: tuple[str, ...], content: bytes | None = None) -> list[tuple[str, dict[str, str]]]:
    """The rows of a table in CSV that has at least these columns, each with its line (``FILE line N``) for errors.

    The text is UTF-8 or UTF-16; cells lie between commas, semicolons, tabs or bars, as in the first line. Columns are
    known by lower-case names with ``_`` for blanks.

    Parameters
    ----------
    path
        Of the file.
    columns
        What they are called.
    content
        Its bytes, where it is no file on the disk.

    Raises
    ------
    PocketganError
        The file is missing, is no such text, lacks a column or has one twice, has no rows, or has a row with too few
        cells.
    """
    rows = []
    try:
        lines = io.StringIO(
            text_of(path, read_bytes(path, MAX_TABLE_BYTES) if content is None else content), newline=""
        )
        first = lines.readline()
        if re.fullmatch(r"sep=.\s*", first):  # Excel's remark on the delimiter
            first = lines.readline()
        delimiter = max(DELIMITERS, key=first.count)
        names = [column_name(name) for name in next(csv.reader([first], strict=True, delimiter=delimiter), [])]
        if not any(names):
            raise PocketganError(f"{path} has no columns; its first line must name them")
        missing = [column for column in columns if column not in names]
        if missing:
            raise PocketganError(f"{path} has no column {missing[0]}; its first line must name {', '.join(columns)}")
        twice = [name for name in names if name and names.count(name) > 1]
        if twice:
            raise PocketganError(f"{path} has the column {twice[0]} twice; rename or remove one")
        reader = csv.DictReader(lines, names, strict=True, restval=None, delimiter=delimiter)
        for row in reader:
            where = f"{path} line {reader.line_num + 1}"
            if None in row.values() or None in row:
                raise PocketganError(f"{where} has not as many cells as the first line has names")
            rows.append((where, {name: cell.strip() for name, cell in row.items()}))
    except csv.Error as error:
        raise PocketganError(f"{path} is not readable as CSV ({error})") from error
    if not rows:
        raise PocketganError(f"{path} has no rows; list the pictures or remove it")
    return rows


def column_name(name: str) -> str:
    """A column's name as it is looked up: lower case, ``_`` for blanks and dashes."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def text_of(path: Path, content: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 as its mark or its zeros tell.

    Raises
    ------
    PocketganError
        It is neither.
    """
    start = content[:64]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif len(start) > 3 and not any(start[1::2]):
        encoding = "utf-16-le"
    else:
        encoding = "utf-16-be" if len(start) > 3 and not any(start[::2]) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except ValueError as error:
        raise PocketganError(f"{path} cannot be read as text in UTF-8 or UTF-16; save it as UTF-8") from error


def check_labels(
    path: Path | str, labels: NDArray[Any], count: int, class_names: tuple[str, ...] = ()
) -> tuple[Tensor, tuple[str, ...]]:
    """Integer labels of `count` images, and what they stand for.

    Parameters
    ----------
    path
        Where they come from, for the error line.
    labels
        Integers ``[N]``.
    count
        How many images there are; at least 1.
    class_names
        Of the classes, if they are known; else they are ``0`` to the largest label.

    Returns
    -------
    tuple
        int64 ``[N]`` and the class names.

    Raises
    ------
    PocketganError
        One label for each image, each from 0 to the last class (or to `MAX_LABEL`), is what they are not.
    """
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise PocketganError(
            f"{path} has labels {labels.dtype} {list(labels.shape)}; one integer for each of {count:,} images is needed"
        )
    largest = min(len(class_names) or MAX_LABEL + 1, MAX_LABEL + 1) - 1
    wrong = (labels < 0) | (labels > largest)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise PocketganError(f"{path} gives image number {row} the label {labels[row]}; labels run from 0 to {largest}")
    names = class_names or tuple(str(label) for label in range(int(labels.max()) + 1))
    return torch.from_numpy(labels.astype(np.int64)), names


def read_provenance(path: Path) -> dict[str, str]:
    """What is known of where a file or folder of images comes from: its name, and the texts of its `provenance.json`.

    Raises
    ------
    PocketganError
        `provenance.json` is there and is not a JSON object.
    """
    known = {"data": _plain(path.resolve().name)}
    if not (path / PROVENANCE).is_file():
        return known
    return known | texts_of(path / PROVENANCE, read_json(path / PROVENANCE))


def texts_of(where: Path | str, content: object) -> dict[str, str]:
    """The texts of a JSON object, by name: the first `MOST_TEXTS`, each on one line of at most `MOST_CHARACTERS`.

    Parameters
    ----------
    where
        It comes from, for the error line.
    content
        As parsed. What is no text (counts, lists) is left out.

    Raises
    ------
    PocketganError
        It is not an object.
    """
    if not isinstance(content, dict):
        raise PocketganError(f"{where} is not a JSON object; mend or remove it")
    texts = ((_plain(name), _plain(value)) for name, value in content.items() if isinstance(value, str))
    return dict(islice(texts, MOST_TEXTS))


def _plain(text: str) -> str:
    """One line without what no terminal shows: control characters, marks of direction, halves of characters."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())[:MOST_CHARACTERS]
