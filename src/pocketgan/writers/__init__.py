"""Generated images in the formats that people's own loaders read, streamed: a million of them in bounded memory.

To add a format, write a `Writer` in `arrays.py`, `shards.py` or a file of its own, and one row of the table here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import refuse_existing, sha256, user_path, whole_folder, write_bytes, write_json, write_text
from pocketgan.core.pixels import grid, to_png
from pocketgan.data.image_set import PROVENANCE, ImageSet, Samples, licence_named
from pocketgan.data.pictures import FakesWriter
from pocketgan.models.classifier import Classifier
from pocketgan.writers.arrays import IDXWriter, NPZWriter, pieces, split
from pocketgan.writers.shards import ParquetWriter, TFRecordWriter, WebDatasetWriter

FORMAT_VERSION = 1
GRID, GRID_COLUMNS = 100, 10  # images in the picture of format grid
CARD, LICENCE = "README.md", "LICENSE.txt"


@dataclass(frozen=True)
class Job:
    """What is to be written, as known before the first row is.

    Attributes
    ----------
    folder
        To write into; it is renamed when all is there.
    count
        Images in all parts together.
    first
        The first part: it tells shapes, class names and provenance of all.
    test_share
        As asked for; None leaves the format its own way.
    formats
        Names of all that are written.
    more
        Further facts for `provenance.json`.
    scores
        What is known of how good the model is, for the data card; empty where nothing is.
    """

    folder: Path
    count: int
    first: Samples
    test_share: float | None
    formats: Sequence[str]
    more: Mapping[str, Any] = field(default_factory=dict)
    scores: str = ""

    def sides(self) -> dict[str, int]:
        """How many images each side of the split has; all of them are one side, called "", where nothing was asked."""
        if self.test_share is None:
            return {"": self.count}
        return dict(zip(("train", "test"), split(self.count, self.test_share), strict=True))

    def facts(self) -> dict[str, Any]:
        """Where the images come from: what `provenance.json` says, but for the formats beside each other."""
        first = self.first
        return {
            **first.provenance,
            "format_version": FORMAT_VERSION,
            "count": self.count,
            "seed": first.seed,
            "label_source": first.label_source,
            "class_names": list(first.class_names),
            **self.more,
        }


class Writer(Protocol):
    """One format. It holds no file open between parts, so that an error needs no tidying."""

    def add(self, samples: Samples) -> None:
        """Take the next part."""

    def close(self) -> None:
        """Complete the files, after the last part."""


class PNGWriter:
    """``png/``: a folder for each class, with the latents, a table, and the data card of the whole.

    With a test share these lie in ``png/train/`` and ``png/test/``, and the card lists both.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.folder, self.sides = job, job.folder / "png", job.sides()
        dim = job.first.latents.shape[1]
        self.writers = [FakesWriter(self.folder / side, dim, count) for side, count in self.sides.items()]
        self.done = 0

    def add(self, samples: Samples) -> None:
        """Write the pictures of a part."""
        if len(self.writers) == 1:
            self.writers[0].add(samples)
            return
        rows = torch.arange(len(samples))
        for writer, piece in zip(self.writers, pieces(self.sides.values(), self.done, len(rows)), strict=True):
            if len(rows[piece]):
                writer.add(samples.rows(rows[piece]))
        self.done += len(rows)

    def close(self) -> None:
        """Write the card, and where each folder comes from: pictures may be moved alone."""
        for writer in self.writers:
            writer.close()
        facts = self.job.facts()
        write_card(self.folder, facts, "png", split=len(self.sides) > 1, scores=self.job.scores)
        for folder, count in zip((writer.folder for writer in self.writers), self.sides.values(), strict=True):
            write_json(folder / PROVENANCE, {**facts, "count": count, "formats": list(self.job.formats)})


class GridWriter:
    """``grid.png``: the first 100 images, in 10 columns."""

    def __init__(self, job: Job) -> None:
        self.path, self.kept = job.folder / "grid.png", job.first.images[:0]

    def add(self, samples: Samples) -> None:
        """Keep what the picture still lacks."""
        if missing := GRID - len(self.kept):
            self.kept = torch.cat([self.kept, samples.images[:missing]])

    def close(self) -> None:
        """Draw it."""
        write_bytes(self.path, to_png(grid(self.kept, columns=GRID_COLUMNS)))


class Format(NamedTuple):
    """One row of the table of formats."""

    writer: Callable[[Job], Writer]
    paths: tuple[str, ...]  # what it leaves in the folder
    splits: bool = False  # whether it knows training and test images
    many: bool = False  # whether it is made for sets of many files, so that a set of any size may be cut into shards


_IDX_NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")

# fmt: off
FORMATS: dict[str, Format] = {
    "png":  Format(PNGWriter,  ("png",), splits=True),
    "npz":  Format(NPZWriter,  ("samples.npz",), splits=True),
    "idx":  Format(IDXWriter,  tuple(f"MNIST/raw/{name}-ubyte" for name in _IDX_NAMES), splits=True),
    "grid": Format(GridWriter, ("grid.png",)),
    "parquet":    Format(ParquetWriter,    ("parquet",), splits=True, many=True),
    "webdataset": Format(WebDatasetWriter, ("webdataset",), splits=True, many=True),
    "tfrecord":   Format(TFRecordWriter,   ("tfrecord",), splits=True, many=True),
}
# fmt: on


def export_samples(
    parts: Iterator[Samples],
    count: int,
    out: Path,
    formats: Sequence[str],
    *,
    test_share: float | None = None,
    scores: str = "",
    facts: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] | None = None,
    keep: bool = False,
) -> list[Path]:
    """Write generated images to a folder that appears only when it is complete.

    The same parts give the same bytes of every file, and so do the same rows cut into other parts.

    Parameters
    ----------
    parts
        The images in order, all from one model and one seed; each part is let go once it is written.
    count
        How many there are in all parts; at least 1.
    out
        A folder that does not exist yet, or is empty.
    formats
        Names of the table: ``png``, ``npz``, ``idx``, ``grid``, ``webdataset``, ``parquet`` (needs pyarrow),
        ``tfrecord`` (needs crc32c).
    test_share
        The last share of the images, in (0, 1), is for test (all formats but grid). Without it all are for training,
        but for idx, which has MNIST's own share, 1/7.
    scores
        How good the model is, in words, for the data card of the pictures; it says so where nothing is known.
    facts
        Further facts for ``provenance.json``, as JSON has them. With them, and where all formats are made for sets of
        many files, it lists the size and sha256 of every other file.
    on_progress
        Called after each part with the number of images written so far.
    keep
        Whether a folder that another process has finished meanwhile stays: it holds the same.

    Returns
    -------
    list[Path]
        What was written, by format: files, and the folder ``png``. ``provenance.json`` comes after them, and
        ``LICENSE.txt`` where a licence is known.

    Raises
    ------
    UsageError
        Something is at `out`; a format is unknown or cannot hold these images; the share leaves a side empty.
    PocketganError
        The folder cannot be written, or the disk is full.
    ValueError
        The parts differ in kind, or do not add up to `count`.
    """
    out, names = user_path(out), list(dict.fromkeys(formats))
    check_formats(names, test_share)
    if not keep:
        refuse_existing(out)
    first = next(parts, None)
    if first is None:
        raise ValueError(f"no parts, where {count} images are to come")
    with whole_folder(out, keep=keep) as folder:
        job = Job(folder, count, first, test_share, names, facts or {}, scores)
        writers = [FORMATS[name].writer(job) for name in names]
        done = 0
        for part in chain([first], parts):
            done += len(part)
            if done > count or _kind(part) != _kind(first):
                raise ValueError(f"part that ends at image {done} of {count} does not fit the first: {part!r}")
            for writer in writers:
                writer.add(part)
            if on_progress is not None:
                on_progress(done)
        if done != count:
            raise ValueError(f"the parts hold {done} images, not {count}")
        for writer in writers:
            writer.close()
        licence = write_licence(folder, job.facts())
        listed = {"files": _files(folder)} if facts and all(FORMATS[name].many for name in names) else {}
        write_json(folder / PROVENANCE, {**job.facts(), "formats": names, **listed})
        about = [PROVENANCE, *licence]
    return [out / path for path in [*(path for name in names for path in FORMATS[name].paths), *about]]


def check_formats(names: Sequence[str], test_share: float | None) -> None:
    """Refuse what cannot be written, whatever the images.

    Raises
    ------
    UsageError
        A format is unknown, or there is none; or the test share is no share (NaN included), or means nothing to them.
    """
    if not names:
        raise UsageError(f"--format names no format; known: {', '.join(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {name} is unknown{nearest(name, FORMATS)}")
    if test_share is None:
        return
    if not 0 < test_share < 1:
        raise UsageError(
            f"--test-share {test_share:g} must lie between 0 and 1, both excluded; MNIST's own is 1/7, or 0.143"
        )
    if not any(FORMATS[name].splits for name in names):
        able = " or ".join(name for name, row in FORMATS.items() if row.splits)
        raise UsageError(f"--test-share means nothing to --format {','.join(names)}; add {able}, or leave it out")


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 of each file below a folder, by its path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in paths
    }


def _kind(part: Samples) -> tuple[object, ...]:
    """What all parts must have in common."""
    return part.shape, part.labels is None, part.class_names, part.latents.shape[1], part.seed


def write_licence(folder: Path, facts: Mapping[str, Any]) -> list[str]:
    """Write what may be done with the images, where it is known; the file's name."""
    if not facts.get("licence"):
        return []
    source = facts.get("data", "images")
    write_text(
        folder / LICENCE,
        f"Licence of this image set: {facts['licence']}\n\n"
        f"Why: the images were made by a network ({facts.get('made_by', 'pocketgan')}) trained on {source},\n"
        f"which is under this licence; what is made from it is passed on under the same one.\n"
        f"Whoever passes the set on keeps this file and names {source} as the source.\n",
    )
    return [LICENCE]


def write_card(
    folder: Path, facts: Mapping[str, Any], name: str, *, inside: str = "", split: bool = False, scores: str = ""
) -> None:
    """The card of an image set: a README.md by which `datasets` knows classes, splits and licence.

    Parameters
    ----------
    folder
        What the card is about.
    facts
        Where the images come from, as in `provenance.json`.
    name
        The format: ``png``, ``parquet`` or ``webdataset``.
    inside
        A pattern of the format's folders, which ends with a slash; without it they are the folder itself.
    split
        Whether there are training and test images.
    scores
        As in `export_samples`.
    """
    sides = ("train", "test") if split else ("train",)
    files = {side: f"{inside}{side}-*" for side in sides}
    configuration: dict[str, Any] = {}
    if name == "png":  # the other formats tell the types of their columns themselves
        files = {side: f"{inside}{side}/**" if split else f"{inside}**" for side in sides}
        label: Any = "int64"
        if facts["class_names"]:
            label = {"class_label": {"names": {str(number): name for number, name in enumerate(facts["class_names"])}}}
        columns = {"image": "image", "label": label, "class_name": "string", "label_source": "string"}
        columns |= dict.fromkeys(("seed", "index", "latent_row"), "int64")
        configuration = {"features": [{"name": name, "dtype": kind} for name, kind in columns.items()]}
    listed = [{"split": side, "path": pattern} for side, pattern in files.items()]
    licence = licence_named(str(facts.get("licence", "")))
    front = {
        "license": licence.id,
        **({"license_name": licence.name} if licence.id == "other" else {}),
        **({"license_link": licence.link} if licence.id == "other" and licence.link else {}),
        "tags": ["synthetic", "pocketgan"],
        "configs": [{"config_name": "default", "data_files": listed, **configuration}],
        **({"dataset_info": configuration} if configuration else {}),
    }
    lines = [
        "---",
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()),
        "---",
        "",
        f"# {facts['count']:,} generated images",
        "",
        f"Made by a network ({facts.get('made_by', 'pocketgan')}), seed {facts['seed']}.",
        f"Where the labels come from: {facts['label_source']}.",
        f"It learned from {facts.get('data', 'images that are not told')}. Licence: {licence.text or 'not told'}.",
        f"How good they are: {scores or 'no scorecard lies beside the model; `pocketgan evaluate` makes one'}.",
        "",
        "```python",
        "from datasets import load_dataset",
        'load_dataset("FOLDER", split="train")',
        "```",
    ]
    write_text(folder / CARD, "\n".join(lines) + "\n")


# ---- labels that a classifier reads --------------------------------------------------------------------------------


class Labelled(NamedTuple):
    """What a classifier reads in an image: the class, and how surely, 0 to 1; of a picture in a folder, its file."""

    label: int
    confidence: float
    file_name: str | None


def write_labels(path: Path, classifier: Classifier, images: ImageSet) -> list[Labelled]:
    """Label images and write ``row,label,class_name,confidence`` as CSV; ``file_name`` after ``row`` where known."""
    confidences, labels = classifier.probabilities(images.images).max(1)
    files = images.files or [None] * len(images)
    rows = list(map(Labelled, labels.tolist(), confidences.tolist(), files))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *(["file_name"] if images.files else []), "label", "class_name", "confidence"])
    for row, (label, sure, file) in enumerate(rows):
        writer.writerow([row, *([file] if images.files else []), label, classifier.class_names[label], f"{sure:.6f}"])
    write_bytes(path, text.getvalue().encode("utf-8", "replace"))  # a file's name need not be UTF-8
    return rows
