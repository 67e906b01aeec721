"""Folders of generated images that a person can correct: written by the program, looked through by hand, read again.

The layout::

    5/000015.png        one folder for each label, `unlabelled` where there is none; the number is the latent's index
    metadata.csv        file_name,label,label_source,seed,index,latent_row
    latents.npy         float32 [N, latent_dim]

A person corrects a label by editing its cell, or by moving the image into another label's folder.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.lib import format as npy
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.core.pixels import to_png
from pocketgan.data._checks import check_labels, integer, read_provenance, readable
from pocketgan.data.image_set import ImageSet
from pocketgan.data.pictures import METADATA, read_pictures, read_table

LATENTS = "latents.npy"
UNLABELLED = "unlabelled"
PERSON = "person"
COLUMNS = ("file_name", "label", "label_source", "seed", "index", "latent_row")


class Fakes(Protocol):
    """Generated images with what made them, for example `pocketgan.data.image_set.Samples`."""

    @property
    def images(self) -> Tensor: ...  # uint8 [N, C, H, W]
    @property
    def labels(self) -> Tensor | None: ...  # int64 [N]
    @property
    def label_source(self) -> str: ...
    @property
    def latents(self) -> Tensor: ...  # float32 [N, latent_dim]
    @property
    def seed(self) -> int: ...
    @property
    def index(self) -> Tensor: ...  # int64 [N]


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


class FakesWriter:
    """Write generated images part after part, so that more of them than memory holds can be written.

    No file is held open between parts, so that an error needs no tidying, and the latents are appended rather than
    mapped into memory: a full disk is then an error and not the end of the process. The caller gives a folder that
    appears only when it is whole (`core.files.whole_folder`).

    Parameters
    ----------
    folder
        An empty one, or one that is not there yet.
    latent_dim
        Length of a latent.
    count
        Images in all.
    """

    def __init__(self, folder: Path, latent_dim: int, count: int) -> None:
        self.folder, self.latent_dim, self.count, self.written = Path(folder), latent_dim, count, 0
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LATENTS).open("xb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, latent_dim)}
            npy.write_array_header_1_0(file, header)
        self._write_rows([COLUMNS], "x")

    def add(self, samples: Fakes) -> None:
        """Write the images, latents and rows of one part.

        Raises
        ------
        ValueError
            Its tensors do not fit one another or what was promised.
        FileExistsError
            An image of the same label and index was written already.
        """
        size, latents = len(samples.images), samples.latents.detach().cpu().numpy().astype("<f4")
        labels = [None] * size if samples.labels is None else samples.labels.tolist()
        if latents.shape != (size, self.latent_dim) or self.written + size > self.count:
            raise ValueError(f"{size} images, latents {latents.shape}, after {self.written} of {self.count}")
        rows: list[tuple[object, ...]] = []
        for image, label, index in zip(samples.images.cpu(), labels, samples.index.tolist(), strict=True):
            name = f"{UNLABELLED if label is None else label}/{index:06d}.png"
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            with path.open("xb") as file:
                file.write(to_png(image))
            rows.append((name, label, samples.label_source, samples.seed, index, self.written + len(rows)))
        with (self.folder / LATENTS).open("ab") as file:
            file.write(latents.tobytes())
        self._write_rows(rows, "a")
        self.written += size

    def close(self) -> None:
        """Check that as many images were written as promised; a ValueError if not."""
        if self.written != self.count:
            raise ValueError(f"{self.written} images where {self.count} were promised")

    def _write_rows(self, rows: Iterable[Iterable[object]], mode: str) -> None:
        with (self.folder / METADATA).open(mode, encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)  # None, of no label, is an empty cell


def read_fakes(folder: Path) -> FakeSet:
    """Read a folder of generated images that a person may have corrected.

    A row whose ``label`` is not the folder in its ``file_name``, and a picture that was moved into another label's
    folder, were corrected. A deleted row leaves its picture out. Labels are integers from 0; either all rows have one
    or none has.

    Raises
    ------
    PocketganError
        A picture is missing, unreadable or lies in two folders; a cell is wrong; the edited label and the folder that
        the picture was moved to say different things. The line names the row.
    """
    folder = Path(folder)
    table = folder / METADATA
    with readable(folder):
        rows = [_row(place, cells) for place, cells in read_table(table, COLUMNS)]
        found = _find(folder, rows)
    labels, sources = [], []
    for row, place in zip(rows, found, strict=True):
        label, corrected = _corrected(row, place)
        labels.append(label)
        sources.append(PERSON if corrected else row.label_source)
    files = tuple(f"{place}/{row.file}" for row, place in zip(rows, found, strict=True))
    images = read_pictures([folder / file for file in files])
    known = [label for label in labels if label is not None]
    if known and len(known) < len(rows):
        raise PocketganError(
            f"{rows[labels.index(None)].place} has no label where others have one; label it or remove the row"
        )
    tensor, class_names = check_labels(table, np.array(known), len(rows)) if known else (None, ())
    return FakeSet(
        ImageSet(images, tensor, class_names, str(folder), provenance=read_provenance(folder), files=files),
        tuple(sources),
        [row.latent_row for row in rows],
        [row.seed for row in rows],
        [row.index for row in rows],
    )


@dataclass(frozen=True)
class _Row:
    place: str  # of the row, for error lines
    folder: str  # what the program wrote
    file: str
    label: int | None  # what the label's cell says now
    label_source: str
    seed: int
    index: int
    latent_row: int


def _row(place: str, cells: dict[str, str]) -> _Row:
    parts = cells["file_name"].split("/")
    if len(parts) != 2 or not _is_label_folder(parts[0]) or parts[1] in ("", ".", ".."):
        raise PocketganError(
            f"{place} has the file_name {cells['file_name']!r}, not LABEL/NUMBER.png as it was written"
        )
    label = _natural(place, cells, "label") if cells["label"] else None
    seed, index, latent_row = (_natural(place, cells, name) for name in ("seed", "index", "latent_row"))
    return _Row(place, parts[0], parts[1], label, cells["label_source"], seed, index, latent_row)


def _natural(place: str, cells: dict[str, str], name: str) -> int:
    number = integer(cells[name])
    if number is None or number < 0:
        raise PocketganError(f"{place} has the {name} {cells[name]!r}, not an integer from 0")
    return number


def _find(folder: Path, rows: list[_Row]) -> list[str]:
    """The label folder in which each row's picture lies now."""
    lying: dict[str, list[str]] = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and _is_label_folder(path.name)):
        for path in place.iterdir():
            lying.setdefault(path.name, []).append(place.name)
    named: set[tuple[str, str]] = set()
    for row in rows:
        if (row.folder, row.file) in named:
            raise PocketganError(f"{row.place} names {row.folder}/{row.file!r} a second time; remove one row")
        named.add((row.folder, row.file))
    found = []
    for row in rows:
        places = [p for p in lying.get(row.file, []) if p == row.folder or (p, row.file) not in named]
        if not places:
            raise PocketganError(f"{row.place} names {row.file!r}, which is missing from every label folder")
        if len(places) > 1:
            raise PocketganError(f"{row.place}: {row.file!r} lies in {places[0]} and in {places[1]}; keep one of them")
        found.append(places[0])
    return found


def _corrected(row: _Row, place: str) -> tuple[int | None, bool]:
    """The label of a row whose picture lies in the folder `place`, and whether a person gave it."""
    written, lies = _label_of(row.folder), _label_of(place)
    edited, moved = row.label != written, lies != written
    if edited and moved and row.label != lies:
        raise PocketganError(
            f"{row.place} says label {row.label} and {row.file!r} was moved to {place}; make them agree"
        )
    return (lies if moved else row.label), edited or moved


def _is_label_folder(name: str) -> bool:
    return name == UNLABELLED or (name.isascii() and name.isdecimal())


def _label_of(folder: str) -> int | None:
    return None if folder == UNLABELLED else int(folder)
