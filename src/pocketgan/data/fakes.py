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

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketgan.core.errors import PocketganError, nearest
from pocketgan.data._checks import check_labels, integer, read_provenance, read_table, readable
from pocketgan.data.image_set import ImageSet
from pocketgan.data.pictures import CLASSES, COLUMNS, METADATA, UNLABELLED, read_classes, read_pictures

PERSON = "person"


@dataclass(frozen=True, eq=False)
class FakeSet:
    """Generated images as they lie in a folder, after a person's corrections. One entry for each row of the table.

    Attributes
    ----------
    images
        The images, their labels, and in `files` where each picture lies now.
    label_source
        Who gave each label: ``person`` where it was corrected, else what the table says.
    latent_row, seed, index
        Of the latent that made each image: its row in `latents.npy`, and what it is known by.
    """

    images: ImageSet
    label_source: tuple[str, ...]
    latent_row: list[int]
    seed: list[int]
    index: list[int]


def read_fakes(folder: Path) -> FakeSet:
    """Read a folder of generated images that a person may have corrected.

    A row whose ``label`` or ``class_name`` is not that of the folder in its ``file_name``, and a picture that was moved
    into another class's folder, were corrected. A deleted row leaves its picture out. Either all rows have a label or
    none has.

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
    images = read_pictures([folder / file for file in files])
    known = [label for label in labels if label is not None]
    if known and len(known) < len(rows):
        raise PocketganError(
            f"{rows[labels.index(None)].where} has no label where others have one; label it or remove the row"
        )
    tensor, names = check_labels(table, np.array(known), len(rows), classes.names) if known else (None, ())
    return FakeSet(
        ImageSet(images, tensor, names, str(folder), provenance=read_provenance(folder), files=files),
        tuple(sources),
        [row.latent_row for row in rows],
        [row.seed for row in rows],
        [row.index for row in rows],
    )


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
