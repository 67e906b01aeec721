"""Pictures, single and in folders: one folder for each class, or flat, or with a `metadata.csv` that decides.

Formats are told by content, and a picture is measured before it is decoded.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.data._checks import PROVENANCE, check_labels, check_sides, first_line, integer, read_table
from pocketgan.data.class_names import CLASSES, natural_order, read_classes
from pocketgan.data.image_set import ImageSet

FORMATS = ("PNG", "JPEG", "GIF", "BMP")
METADATA = "metadata.csv"
LITTER = (".*", "Thumbs.db", "LICENSE*.txt", "latents.npy", CLASSES, PROVENANCE)  # what may lie among pictures


def read_pictures(paths: Sequence[Path]) -> Tensor:
    """Pictures of one size: uint8 ``[N, C, H, W]``, C 1 if all of them are grey, else 3.

    Parameters
    ----------
    paths
        At least one.

    Raises
    ------
    PocketganError
        A file is missing or no picture, has a side outside 8 to 64, or two differ in size.
    """
    arrays: list[NDArray[np.uint8]] = []
    for path in paths:
        array = read_picture(path)
        if arrays and array.shape[:2] != arrays[0].shape[:2]:
            (height, width), (other_height, other_width) = arrays[0].shape[:2], array.shape[:2]
            raise PocketganError(
                f"{paths[0]} is {height}x{width} pixels and {path} is {other_height}x{other_width}; resize to one size"
            )
        arrays.append(array)
    if all(array.ndim == 2 for array in arrays):
        return torch.from_numpy(np.stack(arrays)).unsqueeze(1)
    coloured = [array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2) for array in arrays]
    return torch.from_numpy(np.stack(coloured)).permute(0, 3, 1, 2).contiguous()


def read_picture(path: Path) -> NDArray[np.uint8]:
    """One picture, the first frame if there are several: ``[H, W]`` if it is grey, else RGB ``[H, W, 3]``.

    Grey are the pictures that are stored so, and those of a palette (all GIF files) that show nothing but greys.
    What is transparent lies on black; 16 bits of grey lose the lower 8.

    Raises
    ------
    PocketganError
        The file is missing, is not a PNG, JPEG, GIF or BMP, is damaged, or has a side outside 8 to 64.
    """
    if not path.is_file():
        raise PocketganError(f"{path} is missing or not a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks about EXIF or palettes concern nobody here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                check_sides(path, picture.height, picture.width)
                return _decoded(picture)
    except PocketganError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever the bytes lead them to, from SyntaxError to KeyError
        reason = "it is something else" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise PocketganError(f"{path} cannot be read as PNG, JPEG, GIF or BMP ({reason}); mend or remove it") from error


def _decoded(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I"):  # 16 bits, which Pillow would cut at 255 instead of dividing
        return (np.asarray(picture) >> 8).astype(np.uint8)
    grey, palette = picture.mode in ("1", "L"), picture.mode == "P"
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    if grey:
        return np.array(picture.convert("L"))
    colours = np.array(picture.convert("RGB"))
    return colours[..., 0] if palette and (colours == colours[..., :1]).all() else colours


def load_folder(folder: Path) -> ImageSet:
    """The pictures of a folder.

    With a `metadata.csv` (columns ``file_name``, relative to the folder, and perhaps ``label``) the pictures are those
    that it names, in its order. Classes are named by its column ``class_name``, or by a `classes.csv` beside it. Else
    the folder holds pictures, which then have no labels, or one folder of pictures for each class, in the order of
    their names and of the numbers in them: 2 before 10.

    Raises
    ------
    PocketganError
        A file is missing, is no picture or differs in size; a label is missing or negative; the folder is empty or
        mixed.
    """
    if (folder / METADATA).exists():
        return _load_listed(folder)
    entries = _entries(folder)
    classes = sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: natural_order(entry.name))
    files = [entry for entry in entries if not entry.is_dir()]
    if classes and files:
        raise PocketganError(
            f"{folder} holds a file, {files[0].name}, beside the folder {classes[0].name}; keep one or the other kind"
        )
    if not classes:
        return _set_of(folder, _not_empty(folder, files))
    members = [_not_empty(entry, _entries(entry)) for entry in classes]
    for path in (path for paths in members for path in paths if path.is_dir()):
        raise PocketganError(f"{path} is a folder inside a class folder; if it is itself a class, load {path.parent}")
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor([len(paths) for paths in members]))
    files = [path for paths in members for path in paths]
    return _set_of(folder, files, labels, tuple(entry.name for entry in classes))


def _load_listed(folder: Path) -> ImageSet:
    rows = read_table(folder / METADATA, ("file_name",))
    paths: list[Path] = []
    for where, row in rows:
        inside = Path(row["file_name"])
        if inside.is_absolute() or ".." in inside.parts:
            raise PocketganError(f"{where} names {row['file_name']!r}, which is not inside the folder")
        if not (folder / inside).is_file():
            raise PocketganError(f"{where} names {row['file_name']!r}, which is missing")
        paths.append(folder / inside)
    texts = [row.get("label", "") for _, row in rows]
    if not any(texts):
        return _set_of(folder, paths)
    names = read_classes(folder)[0] if (folder / CLASSES).is_file() else ()
    return _set_of(folder, paths, *_labels(folder / METADATA, texts, rows, names))


def _set_of(
    folder: Path, paths: list[Path], labels: Tensor | None = None, class_names: tuple[str, ...] = ()
) -> ImageSet:
    files = tuple(path.relative_to(folder).as_posix() for path in paths)
    return ImageSet(read_pictures(paths), labels, class_names, files=files)


def _labels(
    path: Path, texts: list[str], rows: list[tuple[str, dict[str, str]]], names: tuple[str, ...]
) -> tuple[Tensor, tuple[str, ...]]:
    """Labels of a table: integers as they are if all are, else each text's number among the texts in natural order."""
    if "" in texts:
        where = rows[texts.index("")][0]
        raise PocketganError(f"{where} has no label where others have one; fill it in or remove the row")
    numbers = [integer(text) for text in texts]
    known = [number for number in numbers if number is not None]
    if len(known) == len(texts):
        labels, counted = check_labels(path, np.array(known), len(texts), names)
        return labels, names or _named(known, rows, counted)
    if known:
        odd = numbers.index(None)
        raise PocketganError(f"{rows[odd][0]} has the label {texts[odd]!r} where others are integers; use one kind")
    names = tuple(sorted(set(texts), key=natural_order))
    return check_labels(path, np.array([names.index(text) for text in texts]), len(texts), names)


def _named(labels: list[int], rows: list[tuple[str, dict[str, str]]], counted: tuple[str, ...]) -> tuple[str, ...]:
    """The classes by the table's column ``class_name``; by their numbers where it has none."""
    names: dict[int, str] = {}
    for label, (where, row) in zip(labels, rows, strict=True):
        name = row.get("class_name", "")
        if name and names.setdefault(label, name) != name:
            raise PocketganError(
                f"{where} calls class {label} {name!r} where another row says {names[label]!r}; mend it"
            )
    return tuple(names.get(label, number) for label, number in enumerate(counted))


def _entries(folder: Path) -> list[Path]:
    """What a folder holds besides litter, sorted by name."""
    return sorted(entry for entry in folder.iterdir() if not any(fnmatch(entry.name, litter) for litter in LITTER))


def _not_empty(folder: Path, paths: list[Path]) -> list[Path]:
    if not paths:
        raise PocketganError(f"{folder} holds no pictures; fill or remove it")
    return paths
