"""Images in Parquet files, as Hugging Face's `datasets` keeps them, and sets by their address on its hub.

Pictures are decoded here, from their bytes; no code of a repository is downloaded or run.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data._checks import check_labels, first_line
from pocketgan.data.image_set import ImageSet
from pocketgan.data.pictures import decode_picture, stack_pictures

HUB = re.compile(r"hf:/{0,2}(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
SUFFIX = ".parquet"
TEST = ("test", "validation", "valid")  # what the file of test images begins with, the first that is there
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


def load_parquet(folder: Path, split: str) -> ImageSet:
    """The images and labels of one split of a folder of Parquet files.

    Parameters
    ----------
    folder
        With files called ``train-….parquet`` and ``test-….parquet`` (or ``validation-``), or in folders called so, and
        in each a column of pictures and perhaps one of labels.
    split
        ``train`` or ``test``. Files of neither name are ``train``.

    Raises
    ------
    UsageError
        There is no such split, or `pyarrow` is not installed.
    PocketganError
        A file is damaged, or holds no pictures.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(f"{folder} needs pyarrow: pip install '.[parquet]' in pocketgan's source folder") from error
    files = parquet_files(folder)
    test = next((found for name in TEST if (found := [file for file in files if _begins(folder, file, name)])), [])
    others = [file for file in files if not any(_begins(folder, file, name) for name in TEST)]
    chosen = test if split == "test" else others
    if not chosen:
        raise UsageError(f"{folder} has no Parquet file of the split '{split}', only {files[0].name}")
    pictures, labels, names = [], [], tuple[str, ...]()
    for file in chosen:
        try:
            table = pyarrow.parquet.read_table(file)
        except Exception as error:  # pyarrow raises whatever the bytes lead it to
            raise PocketganError(f"{file} cannot be read as Parquet ({first_line(error)}); fetch it again") from error
        features = _features(table.schema.metadata)
        image = next((name for name in table.column_names if _holds_pictures(table.schema.field(name).type)), None)
        if image is None:
            raise PocketganError(f"{file} has no column of pictures, only {', '.join(table.column_names)}")
        label = next((name for name in ("label", "fine_label", "labels") if name in table.column_names), None)
        for row, cell in enumerate(table.column(image).to_pylist()):
            content = cell.get("bytes") if cell else None
            if not content:
                raise PocketganError(f"{file} row {row} has no picture in it; fetch the set with its pictures")
            pictures.append((f"{file} row {row}", decode_picture(f"{file} row {row}", io.BytesIO(content))))
        if label is not None:
            labels.append(np.array(table.column(label).to_pylist()))
            told = features.get(label)
            names = tuple(str(name) for name in told["names"]) if isinstance(told, dict) and "names" in told else names
    if not pictures:
        raise PocketganError(f"{chosen[0]} holds no rows; fetch it again")
    images = stack_pictures(pictures)
    has_test = split == "test" or bool(test)
    kept = split if has_test else "all"
    if len(labels) != len(chosen):
        return ImageSet(images, split=kept)
    return ImageSet(images, *check_labels(chosen[0], np.concatenate(labels), len(images), names), split=kept)


def _begins(folder: Path, file: Path, name: str) -> bool:
    """Whether a file, or one of the folders to it, is called after a split."""
    parts = file.relative_to(folder).with_suffix("").parts
    return any(re.match(rf"{name}([-._]|$)", part) for part in parts)


def _holds_pictures(kind: Any) -> bool:
    """Whether a column is of the form of pictures: a struct with their bytes."""
    return str(kind).startswith("struct") and kind.get_field_index("bytes") >= 0


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    """What the writer says of the columns."""
    try:
        told = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError):
        return {}
    features = told.get("info", {}).get("features", {}) if isinstance(told, dict) else {}
    return features if isinstance(features, dict) else {}
