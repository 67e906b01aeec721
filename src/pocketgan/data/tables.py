"""Tables beside pictures, which say what each picture is: CSV in its many forms, or a JSON object on each line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.data._checks import check_labels, column_name, integer, read_table, text_of
from pocketgan.data.image_set import ImageSet
from pocketgan.data.pictures import CLASSES, ENDINGS, METADATA, natural_order, read_classes
from pocketgan.data.trees import Tree, leads_out, pictures_in
from pocketgan.recipes.image_options import ImageOptions

LINES = "metadata.jsonl"
TABLES = (METADATA, "metadata.tsv", LINES)
FILE_COLUMNS = (
    *("file_name", "filename", "file", "path", "file_path", "filepath"),
    *("image", "image_path", "image_name", "image_file", "img", "picture"),
)
LABEL_COLUMNS = (
    *("label", "labels", "class", "class_label", "class_id", "category", "target", "digit"),
    "class_name",  # beside a label it names the class, alone it is the label
)
OWN = {"class_name", "label_source", "seed", "index", "latent_row", "row", "confidence"}  # what this program writes

Rows = list[tuple[str, dict[str, str]]]  # where each stands, and its cells by their columns


def table_of(tree: Tree, folder: Path) -> Path | None:
    """The table of a folder; None where it has none."""
    return next((folder / name for name in TABLES if tree.has(folder / name)), None)


def load_listed(tree: Tree, folder: Path, table: Path, options: ImageOptions) -> ImageSet:
    """The pictures that a table names, in its order.

    A column (`FILE_COLUMNS`) holds the path of each, relative to the folder; another (`LABEL_COLUMNS`) perhaps its
    label. Classes are named by a column ``class_name``, or by a `classes.csv` beside it.

    Raises
    ------
    PocketganError
        The table is damaged, a picture is missing, a label is missing or negative; the line names the row.
    """
    content = tree.table(table)
    rows = _json_rows(table, content) if table.name == LINES else read_table(table, (), content)
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    of_file = next((name for name in FILE_COLUMNS if name in columns), None)
    if of_file is None:
        raise PocketganError(
            f"{table} has no column {FILE_COLUMNS[0]} that names the pictures; its columns are "
            f"{', '.join(filter(None, columns)) or 'none'}"
        )
    paths = [_picture(tree, folder, where, row.get(of_file, "")) for where, row in rows]
    filled = [name for name in LABEL_COLUMNS if any(row.get(name) for _, row in rows)]
    notes = _notes(tree, folder, table, columns, of_file, filled, paths)
    labels: list[int] | None = None
    class_names: tuple[str, ...] = ()
    if filled:
        listed = tree.has(folder / CLASSES)
        names = read_classes(folder, tree.table(folder / CLASSES))[0] if listed else ()
        tensor, class_names = _labels(table, [row.get(filled[0], "") for _, row in rows], rows, names)
        labels = tensor.tolist()
    found = pictures_in(tree, paths, options, labels, class_names)
    return replace(found, notes=(*notes, *found.notes))


def _notes(
    tree: Tree, folder: Path, table: Path, columns: list[str], of_file: str, filled: list[str], paths: list[Path]
) -> tuple[str, ...]:
    """What of a table, and of the folder, was taken for what, and what was left out."""
    notes = []
    if filled and filled[0] != "label":
        notes.append(f"{table}: its column {filled[0]} is taken for the labels")
    unused = [repr(name) for name in columns if name not in {of_file, *filled[:1], *OWN, "label"}]
    if unused:
        notes.append(f"{table}: of its columns {', '.join(unused)} {'is' if len(unused) == 1 else 'are'} not used")
    listed = set(paths)
    beside = {file for parent in {folder, *(path.parent for path in paths)} for file in tree.listing(parent).files}
    left = sorted(file for file in beside - listed if file.name.lower().endswith(ENDINGS) and file.name[0] != ".")
    if left:
        notes.append(f"{table}: {len(left):,} pictures that it does not list are left out, the first is {left[0].name}")
    return tuple(notes)


def _picture(tree: Tree, folder: Path, where: str, cell: str) -> Path:
    """The picture that a cell names: by its path from the folder, with slashes of either kind, or by a path that leads
    through a folder of the same name."""
    parts = PurePosixPath(cell.replace("\\", "/")).parts
    ways = [parts, *(parts[place + 1 :] for place, part in enumerate(parts) if part == folder.name)]
    inside = [folder.joinpath(*way) for way in ways if way and not leads_out(PurePosixPath(*way))]
    for file in inside:
        if tree.has(file):
            return file
    raise PocketganError(f"{where} names {cell!r}, which is {'missing' if inside else 'not inside the folder'}")


def _json_rows(table: Path, content: bytes) -> Rows:
    rows: Rows = []
    for number, line in enumerate(text_of(table, content).splitlines(), 1):
        where = f"{table} line {number}"
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PocketganError(f"{where} is not readable as JSON ({error})") from error
        if not isinstance(found, dict):
            raise PocketganError(f'{where} is no JSON object; write {{"file_name": …, "label": …}}')
        cells = {column_name(name): value for name, value in found.items()}
        strange = [name for name in LABEL_COLUMNS if isinstance(cells.get(name), list | dict)]
        if strange:
            raise PocketganError(f"{where} has a {strange[0]} that is neither a text nor a number; write one label")
        rows.append((where, {name: _cell(value) for name, value in cells.items()}))
    if not rows:
        raise PocketganError(f"{table} has no rows; list the pictures or remove it")
    return rows


def _cell(value: object) -> str:
    """A value as a cell, true as 1; empty of what is no text or number."""
    value = int(value) if isinstance(value, bool) else value
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _labels(path: Path, texts: list[str], rows: Rows, names: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...]]:
    """Labels of a table: integers as they are if all are, else each text's number among the texts in natural order."""
    if "" in texts:
        where = rows[texts.index("")][0]
        raise PocketganError(f"{where} has no label where others have one; fill it in or remove the row")
    numbers = [_whole(text) for text in texts]
    known = [number for number in numbers if number is not None]
    if len(known) == len(texts):
        labels, counted = check_labels(path, np.array(known), len(texts), names)
        return labels, names or _named(known, rows, counted)
    if known:
        odd = numbers.index(None)
        raise PocketganError(f"{rows[odd][0]} has the label {texts[odd]!r} where others are integers; use one kind")
    names = tuple(sorted(set(texts), key=natural_order))
    return check_labels(path, np.array([names.index(text) for text in texts]), len(texts), names)


def _whole(text: str) -> int | None:
    """The whole number that a cell holds, also as 5.0."""
    whole, _, zeros = text.partition(".")
    return integer(whole) if not zeros.strip("0") else None


def _named(labels: Iterable[int], rows: Rows, counted: tuple[str, ...]) -> tuple[str, ...]:
    """The classes by the table's column ``class_name``; by their numbers where it has none."""
    names: dict[int, str] = {}
    for label, (where, row) in zip(labels, rows, strict=True):
        name = row.get("class_name", "")
        if name and names.setdefault(label, name) != name:
            raise PocketganError(
                f"{where} calls class {label} {name!r} where another row says {names[label]!r}; mend it"
            )
    return tuple(names.get(label, number) for label, number in enumerate(counted))
