"""Folders of generated images, read again after a person has looked through them. `FakesWriter` wrote them.

The layout::

    5/000015.png        one folder for each class, `unlabelled` where there is none; the number is the latent's index
    classes.csv         label,class_name,folder: every class, in the order of the labels
    metadata.csv        file_name,label,class_name,label_source,seed,index,latent_row
    latents.npy         float32 [N, latent_dim]

A person corrects a label by editing its cell or that of the class name, or by moving the image into another class's
folder. Folders of earlier versions have no `classes.csv`: they are called by the label.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketgan.core.errors import PocketganError, nearest
from pocketgan.core.files import write_text
from pocketgan.data._checks import MAX_LABEL, check_labels, integer, read_provenance, read_table, readable
from pocketgan.data.image_set import ImageSet
from pocketgan.data.pictures import CLASSES, COLUMNS, METADATA, UNLABELLED, read_classes, read_pictures

PERSON = "person"


@dataclass(frozen=True, eq=False)
class FakeSet:
    """Generated images as they lie in a folder, after a person's corrections. One entry for each row of the table.

    Attributes
    ----------
    images
        The images, their labels, and in `files` where each picture lies now. Without labels unless all have one.
    labels
        The label of each, None where it has none.
    label_source
        Who gave each label: ``person`` where it was corrected, else what the table says.
    latent_row, seed, index
        Of the latent that made each image: its row in `latents.npy`, and what it is known by.
    """

    images: ImageSet
    labels: list[int | None]
    label_source: tuple[str, ...]
    latent_row: list[int]
    seed: list[int]
    index: list[int]


def read_fakes(folder: Path, *, partly: bool = False) -> FakeSet:
    """Read a folder of generated images that a person may have corrected.

    A row whose ``label`` or ``class_name`` is not that of the folder in its ``file_name``, and a picture that was moved
    into another class's folder, were corrected. A deleted row leaves its picture out. Either all rows have a label or
    none has, unless it is read `partly`, while a person is still labelling.

    Raises
    ------
    PocketganError
        A picture is missing, unreadable or lies in two folders; a cell is wrong; two corrections of one row say
        different things. The line names the row.
    """
    folder = Path(folder)
    table = folder / METADATA
    with readable(folder):
        classes = _Classes(*read_classes(folder)) if (folder / CLASSES).is_file() else _Classes()
        named = COLUMNS if classes.names else tuple(name for name in COLUMNS if name != "class_name")
        rows = [_row(where, cells, classes) for where, cells in read_table(table, named)]
        folders = _folders(folder, rows, classes)
    labels, sources = [], []
    for row, lies in zip(rows, folders, strict=True):
        label, corrected = _corrected(row, lies, classes)
        labels.append(label)
        sources.append(PERSON if corrected else row.label_source)
    files = tuple(f"{lies}/{row.file}" for row, lies in zip(rows, folders, strict=True))
    images, notes, _ = read_pictures([folder / file for file in files])
    known = [label for label in labels if label is not None]
    if known and len(known) < len(rows) and not partly:
        raise PocketganError(
            f"{rows[labels.index(None)].where} has no label where others have one; label it or remove the row"
        )
    tensor, names = check_labels(table, np.array(known), len(known), classes.names) if known else (None, ())
    if len(known) < len(rows):
        tensor, names = None, ()
    return FakeSet(
        ImageSet(images, tensor, names, str(folder), provenance=read_provenance(folder), files=files, notes=notes),
        labels,
        tuple(sources),
        [row.latent_row for row in rows],
        [row.seed for row in rows],
        [row.index for row in rows],
    )


ASIDE = "set-aside.csv"  # rows of images that a person cannot read, beside the table that they were taken from
BEFORE = "metadata-before.csv"  # the table as it was before the first label through `set_labels`


def set_labels(folder: Path, labels: Mapping[str, int | None], taken_back: Collection[str] = ()) -> FakeSet:
    """Label images as a person does who edits `metadata.csv`, and read the folder, partly, as it then is.

    Parameters
    ----------
    folder
        Of generated images.
    labels
        By file name, as the table has it. None sets an image aside that cannot be read: its row goes to `ASIDE`, from
        where a later label brings it back.
    taken_back
        File names whose rows become again what they were before the first label that came this way.

    Raises
    ------
    PocketganError
        A file or a label is unknown, nothing would be left, or the folder is damaged; the table is as it was.
    """
    table, aside = folder / METADATA, folder / ASIDE
    with readable(folder):
        names = read_classes(folder)[0] if (folder / CLASSES).is_file() else ()
        columns = COLUMNS if names else tuple(name for name in COLUMNS if name != "class_name")
        rows = [cells for _, cells in read_table(table, columns)]
        unread = [cells for _, cells in read_table(aside, columns)] if aside.is_file() else []
        if not (folder / BEFORE).is_file():
            write_text(folder / BEFORE, _as_csv(columns, rows))
        before = {cells["file_name"]: cells for _, cells in read_table(folder / BEFORE, columns)}
    known = {cells["file_name"] for cells in rows + unread}
    for file in (*labels, *taken_back):
        if file not in known:
            raise PocketganError(f"{table} names no {file!r}; give a file_name that it has")
    last = (len(names) or MAX_LABEL + 1) - 1
    for label in labels.values():
        if label is not None and not 0 <= label <= last:
            raise PocketganError(f"{label} is no label of {folder}: they run from 0 to {last}")
    kept: list[dict[str, str]] = []
    put_aside: list[dict[str, str]] = []
    for cells in sorted(rows + unread, key=lambda cells: int(cells["latent_row"])):
        label = labels.get(cells["file_name"])
        if cells["file_name"] in taken_back and cells["file_name"] in before:
            kept.append(before[cells["file_name"]])
            continue
        if label is not None:
            cells = {**cells, "label": str(label), "label_source": PERSON}
            cells |= {"class_name": names[label]} if names else {}
        is_aside = cells in unread if cells["file_name"] not in labels else label is None
        (put_aside if is_aside else kept).append(cells)
    if not kept:
        raise PocketganError(f"{table} would have no image left; leave one readable")
    if put_aside:
        write_text(aside, _as_csv(columns, put_aside))
    write_text(table, _as_csv(columns, kept))
    if not put_aside:
        aside.unlink(missing_ok=True)
    return read_fakes(folder, partly=True)


def set_aside(folder: Path) -> list[str]:
    """The file names of the images that a person has set aside."""
    return (
        [cells["file_name"] for _, cells in read_table(folder / ASIDE, ("file_name",))]
        if (folder / ASIDE).is_file()
        else []
    )


def _as_csv(columns: tuple[str, ...], rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@dataclass(frozen=True)
class _Classes:
    """The classes of a folder, in the order of the labels; none are known of earlier versions' folders."""

    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def has(self, folder: str) -> bool:
        """Whether a folder of this name holds a class, or what has no label."""
        if folder == UNLABELLED:
            return True
        return folder in self.folders if self.folders else folder.isascii() and folder.isdecimal()

    def label_of(self, folder: str) -> int | None:
        """The label that a folder stands for."""
        if folder == UNLABELLED:
            return None
        return self.folders.index(folder) if self.folders else int(folder)

    def labelled(self, name: str, written: int | None) -> int | None:
        """The label of a name; of a name that several classes have, the written one if it is among them."""
        if written is not None and self.names[written] == name:
            return written
        return self.names.index(name) if name else None


@dataclass(frozen=True)
class _Row:
    where: str  # it stands, for error lines
    folder: str  # what the program wrote
    file: str
    label: int | None  # what the label's cell says now
    class_name: str  # and the class name's cell,
    named: int | None  # as a label
    label_source: str
    seed: int
    index: int
    latent_row: int


def _row(where: str, cells: dict[str, str], classes: _Classes) -> _Row:
    parts = cells["file_name"].split("/")
    if len(parts) != 2 or not classes.has(parts[0]) or parts[1] in ("", ".", ".."):
        raise PocketganError(
            f"{where} has the file_name {cells['file_name']!r}, not FOLDER/NUMBER.png as it was written"
        )
    label = _natural(where, cells, "label") if cells["label"] else None
    name = cells["class_name"] if classes.names else ""
    if name and name not in classes.names:
        raise PocketganError(f"{where} has the class_name {name!r}, which is unknown{nearest(name, classes.names)}")
    named = label if not classes.names else classes.labelled(name, classes.label_of(parts[0]))
    seed, index, latent_row = (_natural(where, cells, name) for name in ("seed", "index", "latent_row"))
    return _Row(where, parts[0], parts[1], label, name, named, cells["label_source"], seed, index, latent_row)


def _natural(where: str, cells: dict[str, str], name: str) -> int:
    number = integer(cells[name])
    if number is None or number < 0:
        raise PocketganError(f"{where} has the {name} {cells[name]!r}, not an integer from 0")
    return number


def _folders(folder: Path, rows: list[_Row], classes: _Classes) -> list[str]:
    """The class's folder in which each row's picture lies now."""
    lying: dict[str, list[str]] = {}
    for inside in sorted(path for path in folder.iterdir() if path.is_dir() and classes.has(path.name)):
        for path in inside.iterdir():
            lying.setdefault(path.name, []).append(inside.name)
    named: set[tuple[str, str]] = set()
    for row in rows:
        if (row.folder, row.file) in named:
            raise PocketganError(f"{row.where} names {row.folder}/{row.file!r} a second time; remove one row")
        named.add((row.folder, row.file))
    chosen = []
    for row in rows:
        folders = [name for name in lying.get(row.file, []) if name == row.folder or (name, row.file) not in named]
        if not folders:
            raise PocketganError(f"{row.where} names {row.file!r}, which is missing from every class's folder")
        if len(folders) > 1:
            raise PocketganError(
                f"{row.where}: {row.file!r} lies in {folders[0]} and in {folders[1]}; keep one of them"
            )
        chosen.append(folders[0])
    return chosen


def _corrected(row: _Row, lies: str, classes: _Classes) -> tuple[int | None, bool]:
    """The label of a row whose picture lies in this folder now, and whether a person gave it."""
    written = classes.label_of(row.folder)
    said = {
        f"lies in {lies}": classes.label_of(lies),
        f"has the label {'' if row.label is None else row.label}": row.label,
        f"has the class_name {row.class_name}": row.named,
    }
    changed = {words: label for words, label in said.items() if label != written}
    if len(set(changed.values())) > 1:
        raise PocketganError(f"{row.where}: {row.file!r} {' and '.join(changed)}; make them agree")
    return next(iter(changed.values()), written), bool(changed)
