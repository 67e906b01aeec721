"""Class names: looked up, put in order, and made into names of folders that are read back exactly."""

from __future__ import annotations

import csv
import re
import unicodedata
from pathlib import Path

from pocketgan.core.errors import PocketganError, UsageError, nearest
from pocketgan.data._checks import integer, read_table

CLASSES = "classes.csv"  # beside generated images: which folder holds which class
COLUMNS = ("label", "class_name", "folder")
UNLABELLED = "unlabelled"  # the folder of images without labels
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # of Windows
FILES = (".csv", ".db", ".json", ".npy", ".txt")  # endings of what lies among pictures
FORBIDDEN = frozenset('<>:"/\\|?*')  # by Windows, and by Unix the slash
MOST_BYTES = 100  # of a folder's name


def asked_class(label: int | str | None, digit: int | None) -> int | str | None:
    """What is asked for by `label` or by `digit`, which is short for the class whose name is this number.

    Raises
    ------
    UsageError
        Both are given.
    """
    if digit is None:
        return label
    if label is not None:
        raise UsageError("--class and --digit exclude each other; give one")
    return str(digit)


def class_index(label: int | str, class_names: tuple[str, ...]) -> int:
    """The label of a class that is asked for by its index or by its name.

    Parameters
    ----------
    label
        An index from 0, or a name as text. A text is never an index: ``"10"`` is the class called 10.
    class_names
        In the order of their labels.

    Raises
    ------
    UsageError
        There is no such class, or two are called so.
    """
    if not isinstance(label, str):
        if not 0 <= label < len(class_names):
            raise UsageError(f"class {label} is outside the classes 0 to {len(class_names) - 1} of this model")
        return int(label)
    if label not in class_names:
        raise UsageError(f"class '{label}' is unknown{nearest(label, class_names)}")
    if class_names.count(label) > 1:
        raise UsageError(f"{class_names.count(label)} classes are called '{label}'; give the index as label= in Python")
    return class_names.index(label)


def natural_order(name: str) -> tuple[bool, int, tuple[object, ...], str]:
    """A key that sorts names as people do: ``class_2`` before ``class_10``; whole numbers come first, by their size."""
    number = integer(name)
    parts = re.split(r"([0-9]+)", name)  # every second one is digits: without leading zeros the longer is the larger
    key = (
        part if position % 2 == 0 else (len(part.lstrip("0")), part.lstrip("0")) for position, part in enumerate(parts)
    )
    return number is None, number or 0, tuple(key), name


def folder_names(class_names: tuple[str, ...]) -> tuple[str, ...]:
    """A folder for each class: its name where every file system takes it, else as near to it as they do.

    No two differ only in case, and none is `UNLABELLED`.
    """
    folders: list[str] = []
    taken = {UNLABELLED}
    for name in class_names:
        folder = _safe(name)
        while folder.casefold() in taken:
            folder += "_"
        taken.add(folder.casefold())
        folders.append(folder)
    return tuple(folders)


def _safe(name: str) -> str:
    kept = "".join(
        sign if sign.isprintable() and sign not in FORBIDDEN else "_" for sign in unicodedata.normalize("NFC", name)
    )
    kept = kept.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore").strip().rstrip(" .")
    if not kept or kept.startswith(".") or DEVICES.fullmatch(kept) or kept.casefold().endswith(FILES):
        return f"_{kept}"
    return kept


def write_classes(folder: Path, class_names: tuple[str, ...]) -> None:
    """Write `classes.csv` into a new folder of generated images."""
    rows = zip(range(len(class_names)), class_names, folder_names(class_names), strict=True)
    with (folder / CLASSES).open("x", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def read_classes(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The class names and the folders of `classes.csv`, in the order of the labels.

    Raises
    ------
    PocketganError
        It is damaged; the line names the row.
    """
    names: list[str] = []
    folders: list[str] = []
    for where, row in read_table(folder / CLASSES, COLUMNS):
        if integer(row["label"]) != len(names):
            raise PocketganError(
                f"{where} has the label {row['label']!r}, not {len(names)}; labels run from 0 in order"
            )
        if row["folder"] in folders:
            raise PocketganError(f"{where} names the folder {row['folder']!r} a second time; each class has its own")
        names.append(row["class_name"])
        folders.append(row["folder"])
    return tuple(names), tuple(folders)
