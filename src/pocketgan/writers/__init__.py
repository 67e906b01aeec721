"""Generated images in the formats that people's own loaders read, streamed: a million of them in bounded memory.

To add a format, write one file with a `Writer` and one row of the table here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import refuse_existing, user_path, whole_folder, write_json, write_text
from pocketgan.data.fakes import FakesWriter
from pocketgan.data.image_set import Samples
from pocketgan.writers.grid import GridWriter
from pocketgan.writers.idx import IDXWriter
from pocketgan.writers.npz import NPZWriter
from pocketgan.writers.parts import Job, Writer, check_share
from pocketgan.writers.shards import ParquetWriter, WebDatasetWriter, write_picture_card


class Format(NamedTuple):
    """One row of the table of formats."""

    writer: Callable[[Job], Writer]
    paths: tuple[str, ...]  # what it leaves in the folder
    splits: bool = False  # whether it knows training and test images


def _png(job: Job) -> FakesWriter:
    return FakesWriter(job.folder / "png", job.first.latents.shape[1], job.count)


_IDX_NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")

# fmt: off
FORMATS: dict[str, Format] = {
    "png":  Format(_png,       ("png",)),
    "npz":  Format(NPZWriter,  ("samples.npz",), splits=True),
    "idx":  Format(IDXWriter,  tuple(f"MNIST/raw/{name}-ubyte" for name in _IDX_NAMES), splits=True),
    "grid": Format(GridWriter, ("grid.png",)),
    "parquet":    Format(ParquetWriter,    ("parquet",),    splits=True),
    "webdataset": Format(WebDatasetWriter, ("webdataset",), splits=True),
}
# fmt: on


def export_samples(
    parts: Iterator[Samples],
    count: int,
    out: Path,
    formats: Sequence[str],
    *,
    test_share: float | None = None,
    on_progress: Callable[[int], None] | None = None,
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
        Names of the table: ``png``, ``npz``, ``idx``, ``grid``, ``parquet`` (needs pyarrow), ``webdataset``.
    test_share
        The last share of the images, in (0, 1), is for test (npz, idx, parquet, webdataset). Without it all are for
        training, but for idx, which has MNIST's own share, 1/7.
    on_progress
        Called after each part with the number of images written so far.

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
    _check(names, test_share)
    refuse_existing(out)
    first = next(parts, None)
    if first is None:
        raise ValueError(f"no parts, where {count} images are to come")
    with whole_folder(out) as folder:
        job = Job(folder, count, first, test_share)
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
        about = _write_about(job, names)
    return [out / path for path in [*(path for name in names for path in FORMATS[name].paths), *about]]


def _check(names: Sequence[str], test_share: float | None) -> None:
    if not names:
        raise UsageError(f"--format names no format; known: {', '.join(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {name} is unknown{nearest(name, FORMATS)}")
    if test_share is not None:
        check_share(test_share)
        if not any(FORMATS[name].splits for name in names):
            able = " or ".join(name for name, row in FORMATS.items() if row.splits)
            raise UsageError(f"--test-share means nothing to --format {','.join(names)}; add {able}, or leave it out")


def _kind(part: Samples) -> tuple[object, ...]:
    """What all parts must have in common."""
    return part.shape, part.labels is None, part.class_names, part.latents.shape[1], part.seed


def _write_about(job: Job, names: list[str]) -> list[str]:
    """Write where the images come from and what may be done with them; the names of the files."""
    facts = job.facts()
    for folder in [job.folder, *([job.folder / "png"] if "png" in names else [])]:  # pictures may be moved alone
        write_json(folder / "provenance.json", {**facts, "formats": names})
    if "png" in names:
        write_picture_card(job.folder / "png", facts)
    if not facts.get("licence"):
        return ["provenance.json"]
    source = facts.get("data", "images")
    write_text(
        job.folder / "LICENSE.txt",
        f"Licence of this image set: {facts['licence']}\n\n"
        f"Why: the images were made by a network ({facts.get('made_by', 'pocketgan')}) trained on {source},\n"
        f"which is under this licence; what is made from it is passed on under the same one.\n"
        f"Whoever passes the set on keeps this file and names {source} as the source.\n",
    )
    return ["provenance.json", "LICENSE.txt"]
