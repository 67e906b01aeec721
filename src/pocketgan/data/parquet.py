"""Images in Parquet files: a column of picture files, as Hugging Face's `datasets` keeps them, or of numbers; and sets
by their address on its hub.

Pictures are decoded here, from their bytes; no code of a repository is downloaded or run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data._checks import check_labels, first_line
from pocketgan.data.idx import MAX_BYTES
from pocketgan.data.image_set import ImageSet
from pocketgan.data.named import LABELS
from pocketgan.data.pictures import read_pictures
from pocketgan.data.ranges import range_of
from pocketgan.data.shaping import shaped
from pocketgan.data.values import image_set, labels_of
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions

HUB = re.compile(r"hf:/{0,2}(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
SUFFIX, PARQUET_MAGIC = ".parquet", b"PAR1"
VAL = ("validation", "valid", "val")
TEST = ("test", *VAL)  # what the file of test images begins with, the first that is there
IMAGES = ("image", "img", "images", "picture", "pixels", "x", "data")  # a column of images is called so
DEEPEST = 3  # folders between the set's own and its files


def is_hub_address(source: str | Path) -> bool:
    """Whether this is meant as a set on the hub."""
    return isinstance(source, str) and source.startswith("hf:")


def downloaded_set(address: str) -> Path:
    """The folder of a set on the hub, its Parquet files downloaded once for each revision.

    Parameters
    ----------
    address
        ``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``. What a set without a revision holds may change; the digest of
        what was learned from is kept in the run all the same.

    Raises
    ------
    UsageError
        It is no address, or `huggingface_hub` is not installed.
    PocketganError
        It cannot be downloaded, or has no Parquet files.
    """
    found = HUB.fullmatch(address)
    if found is None:
        raise UsageError(f"{address} is no address of a data set; give hf:OWNER/NAME or hf:OWNER/NAME@REVISION")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UsageError(
            f"{address} needs huggingface_hub: pip install '.[hub,parquet]' in pocketgan's source folder"
        ) from error
    try:
        folder = Path(
            snapshot_download(
                found["repository"],
                repo_type="dataset",
                revision=found["revision"],
                allow_patterns=[f"*{SUFFIX}"],
            )
        )
    except Exception as error:  # of the network, of the hub, of the disk
        raise PocketganError(f"{address} cannot be downloaded: {first_line(error)}") from error
    if not parquet_files(folder):
        raise PocketganError(
            f"{address} holds no Parquet files; try {found['repository']}@refs/convert/parquet, the hub's own copy, or "
            "download the set and give its folder"
        )
    return folder


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder, or else of the folders in it; sorted by path."""
    for depth in range(DEEPEST + 1):
        found = sorted(path for path in folder.glob("*/" * depth + f"*{SUFFIX}") if path.is_file())
        if found:
            return found
    return []


def load_parquet(folder: Path, split: str, reading: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """The images and labels of one split of a folder of Parquet files.

    Parameters
    ----------
    folder
        With files called ``train-….parquet`` and ``test-….parquet`` (or ``validation-``), or in folders called so, each
        as `load_parquet_files` takes it.
    split
        ``train`` or ``test``, and ``val`` and ``fit`` where there are both test and validation files. Files of no such
        name are ``train``.
    reading
        How the images are read.

    Raises
    ------
    UsageError
        There is no such split, or as `load_parquet_files`.
    PocketganError
        As `load_parquet_files`.
    """
    files = parquet_files(folder)
    test, val = _first_of(TEST, folder, files), _own_val(folder, files)
    others = [file for file in files if not any(_begins(folder, file, name) for name in TEST)]
    chosen = {"test": test, "val": val}.get(split, others)
    if not chosen:
        raise UsageError(f"{folder} has no Parquet file of the split '{split}', only {files[0].name}")
    found = load_parquet_files(chosen, reading)
    notes = [f"{val[0].name} is the split val, so that fit is all of train"] if val and chosen is others else []
    return replace(found, split=split if test else "all", notes=(*found.notes, *notes))


def parquet_has_val(folder: Path) -> bool:
    """Whether a folder of Parquet files has a `val` split beside its test images."""
    return bool(_own_val(folder, parquet_files(folder)))


def _first_of(names: Sequence[str], folder: Path, files: list[Path]) -> list[Path]:
    """The files called by the first of these names that any is called by."""
    return next((found for name in names if (found := [file for file in files if _begins(folder, file, name)])), [])


def _own_val(folder: Path, files: list[Path]) -> list[Path]:
    """The files of `val`; none where they are the test images, or where there is nothing to learn from."""
    others = any(not any(_begins(folder, file, name) for name in TEST) for file in files)
    return _first_of(VAL, folder, files) if others and _first_of(("test",), folder, files) else []


def load_parquet_files(files: list[Path], reading: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """The images of Parquet files, one after the other.

    Parameters
    ----------
    files
        At least one. Each has a column of picture files, as Hugging Face's `datasets` keeps them, or of numbers; and
        perhaps one of labels, with class names where `datasets` wrote them.
    reading
        How the images are read.

    Raises
    ------
    UsageError
        `pyarrow` is not installed, or it is not clear which values are black and white.
    PocketganError
        A file is damaged, has no column of images, or other columns than the first; or a row holds no picture.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise UsageError(f"{files[0]} needs pyarrow: pip install '.[parquet]' in pocketgan's source folder") from None
    first, size = _Columns("", None, (), []), 0
    tables: list[Any] = []
    for path in files:
        try:
            file = parquet.ParquetFile(path)
            size += sum(file.metadata.row_group(place).total_byte_size for place in range(file.num_row_groups))
            columns = _columns(path, file.schema_arrow)
            if size > MAX_BYTES:
                raise PocketganError(f"{path}: {size:,} bytes are unpacked, more than the {MAX_BYTES:,} that are read")
            if not tables:
                first = columns
            elif (columns.image, columns.label, columns.names) != (first.image, first.label, first.names):
                raise PocketganError(f"{path} has other columns or class names than {files[0]}; keep sets apart")
            tables.append(file.read(columns=columns.wanted))
        except PocketganError:
            raise
        except Exception as error:  # the library raises whatever the bytes lead it to
            raise PocketganError(f"{path} is a damaged Parquet file ({first_line(error)}); fetch it again") from error
    rows = [Path(f"{path}, row {row}") for path, table in zip(files, tables, strict=True) for row in range(len(table))]
    made = _images(files[0], first.image, rows, [table.column(first.image) for table in tables], reading)
    if first.label is not None:
        where = f"{files[0]}, column {first.label}"
        texts = _labels(rows, where, [cell for table in tables for cell in table.column(first.label).to_pylist()])
        numbers, found = labels_of(where, texts, len(made), first.names)
        labels, class_names = check_labels(where, numbers, len(made), found)
        made = replace(made, labels=labels, class_names=class_names)
    notes = [f"columns that are not used: {', '.join(first.others[:10])}"] if first.others else []
    return replace(made, notes=(*made.notes, *notes))


class _Columns(NamedTuple):
    """The columns of a file that hold images and labels, the names of its classes, and what it has besides."""

    image: str
    label: str | None
    names: tuple[str, ...]
    others: list[str]

    @property
    def wanted(self) -> list[str]:
        return [self.image] if self.label is None else [self.image, self.label]


def _columns(path: Path, schema: Any) -> _Columns:
    names = list(schema.names)
    image, label = picked(path, names, [name for name in names if _holds_pictures(schema.field(name).type)])
    return _Columns(
        image, label, _class_names(schema.metadata, label), [name for name in names if name not in (image, label)]
    )


def picked(where: Path | str, names: list[str], pictures: list[str]) -> tuple[str, str | None]:
    """The columns of a table that are its images and its labels, where it has some.

    Parameters
    ----------
    where
        For the error line.
    names
        Of all columns.
    pictures
        Of those that hold picture files.

    Raises
    ------
    PocketganError
        None is that of images.
    """
    image = _called(IMAGES, pictures) or next(iter(pictures), None) or _called(IMAGES, names)
    if image is None:
        raise PocketganError(f"{where} has the columns {', '.join(names[:8])}; one named image is needed")
    return image, _called((*LABELS[:2], "fine_label", *LABELS[2:]), [name for name in names if name != image])


def _called(words: Sequence[str], names: list[str]) -> str | None:
    """The name that is the first of the words, in whatever case."""
    return next((name for word in words for name in names if name.lower() == word), None)


def _images(path: Path, column: str, rows: list[Path], parts: list[Any], reading: ImageOptions) -> ImageSet:
    cells = [cell for part in parts for cell in part.to_pylist()]
    if not cells:
        raise PocketganError(f"{path} has no rows; fetch it again")
    files = [cell.get("bytes") if isinstance(cell, dict) else cell for cell in cells]
    if all(isinstance(content, bytes) and content for content in files):
        images, notes, _ = read_pictures(rows, reading, dict(zip(rows, files, strict=True)).get)
        return ImageSet(images, notes=notes)
    if any(isinstance(cell, dict | str | bytes) or cell is None for cell in cells):
        row = next(
            row for row, content in zip(rows, files, strict=True) if not (isinstance(content, bytes) and content)
        )
        raise PocketganError(f"{row} of column {column} holds no picture; its bytes are needed in the file")
    where = f"{path}, column {column}"
    pixels = numbers(where, cells)
    return shaped(image_set(where, pixels, range_of(where, [pixels], reading), reading), reading)


def numbers(where: str, cells: list[Any]) -> NDArray[Any]:
    """The cells of a column as an array; whole numbers from 0 to 255 are bytes.

    Raises
    ------
    PocketganError
        They are no numbers, or of different sizes.
    """
    try:
        pixels = np.array(cells)
    except ValueError as error:
        raise PocketganError(f"{where} has rows of different sizes; resize them first") from error
    if pixels.dtype.kind not in "buif" or not pixels.size:
        raise PocketganError(f"{where} holds {pixels.dtype}, not images in numbers")
    if pixels.dtype.kind == "i" and pixels.min() >= 0 and pixels.max() <= 255:
        return pixels.astype(np.uint8)
    return pixels


def _labels(rows: list[Path], where: str, cells: list[Any]) -> NDArray[Any]:
    if None in cells:
        raise PocketganError(
            f"{rows[cells.index(None)]} has no label where others have one; fill it in or remove the row"
        )
    try:
        return np.array(cells)
    except ValueError as error:
        raise PocketganError(f"{where} has rows of different kinds; one label for each is needed") from error


def _begins(folder: Path, file: Path, name: str) -> bool:
    """Whether a file, or one of the folders to it, is called after a split."""
    parts = file.relative_to(folder).with_suffix("").parts
    return any(re.match(rf"{name}([-._]|$)", part) for part in parts)


def _holds_pictures(kind: Any) -> bool:
    """Whether a column is of the form of pictures: a struct with their bytes."""
    return str(kind).startswith("struct") and kind.get_field_index("bytes") >= 0


def _class_names(metadata: dict[bytes, bytes] | None, label: str | None) -> tuple[str, ...]:
    """The class names that Hugging Face's `datasets` keeps with a file; none where it keeps none."""
    try:
        names = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
