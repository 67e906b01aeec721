"""Arrays as people have them made into image sets: rows of pixels, columns of labels, one-hot codes, texts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError
from pocketgan.data._checks import check_labels, check_sides, integer
from pocketgan.data.image_set import ImageSet
from pocketgan.data.pictures import natural_order
from pocketgan.data.ranges import Range, scaled
from pocketgan.recipes.image_options import MAX_SIDE, MIN_SIDE, ImageOptions

Where = Path | str
LAYOUTS = "[N, H, W], [N, C, H, W], [N, H, W, C] or [N, pixels of a square]"


def holds_images(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape can be images: three or four dimensions, or rows of the pixels of a square."""
    return len(shape) in (3, 4) or (len(shape) == 2 and _square(shape[1]) is not None)


def image_set(
    where: Where,
    images: NDArray[Any],
    known: Range,
    reading: ImageOptions,
    labels: tuple[Where, NDArray[Any]] | None = None,
    class_names: tuple[str, ...] = (),
) -> ImageSet:
    """Arrays as an image set; notes are lines that begin with the name of the source.

    Parameters
    ----------
    where
        The images come from, for error lines.
    images
        Numbers, laid out as `LAYOUTS` says.
    known
        Their values of black and of white.
    reading
        How they are read; sizes and colours are not looked at here.
    labels
        Where they come from, and what `labels_of` takes.
    class_names
        Of the classes, where they are known.

    Raises
    ------
    PocketganError
        They are none of these.
    """
    pixels, notes = scaled(_laid_out(where, images), known), []
    if known.note:
        notes.append(f"{where}: {known.note}")
    if reading.resize is None:
        sides = (min(pixels.shape[2:]),) * 2 if reading.crop else pixels.shape[2:]
        check_sides(where, *sides)
    found = ImageSet(torch.from_numpy(np.ascontiguousarray(pixels)))
    if labels is not None:
        numbers, names = labels_of(*labels, len(found), class_names)
        found = ImageSet(found.images, *check_labels(labels[0], numbers, len(found), names))
    return ImageSet(found.images, found.labels, found.class_names, notes=tuple(notes))


def _laid_out(where: Where, array: NDArray[Any]) -> NDArray[Any]:
    """Images as ``[N, C, H, W]``, C 1 or 3, whichever way they lie."""
    if array.dtype.kind not in "buif" or not holds_images(array.shape):
        raise PocketganError(f"{where} is {array.dtype} {list(array.shape)}; images are numbers {LAYOUTS}: convert it")
    if len(array) == 0:
        raise PocketganError(f"{where} holds no images")
    if array.ndim == 2:
        channels, side = _square(array.shape[1]) or (1, 1)
        return array.reshape(len(array), channels, side, side)
    if array.ndim == 3:
        return array[:, None]
    if array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = np.moveaxis(array, 3, 1)
    if array.shape[1] not in (1, 3):
        raise PocketganError(f"{where} holds images {list(array.shape)}: 1 channel (grey) or 3 (RGB) are supported")
    return array


def _square(pixels: int) -> tuple[int, int] | None:
    """Channels and side of a square of so many numbers. Three planes come one after the other, as CIFAR's do."""
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if MIN_SIDE <= side <= MAX_SIDE and side * side * channels == pixels:
            return channels, side
    return None


def labels_of(
    where: Where, labels: NDArray[Any], count: int, class_names: tuple[str, ...] = ()
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as integers ``[N]``, and class names where the labels are texts or the names were known.

    Parameters
    ----------
    where
        They come from, for error lines.
    labels
        ``[N]`` or ``[N, 1]``: integers, floats that are whole numbers, truth values, texts; or ``[N, K]`` of zeros and
        a single one (one-hot). Texts that all are whole numbers, as 5 or 5.0, are these numbers.
    count
        How many images there are.
    class_names
        Of the classes, if they are known; texts are looked up among them.

    Raises
    ------
    PocketganError
        They are none of these, or not as many as there are images.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or len(labels) != count:
        raise PocketganError(
            f"{where} has labels {labels.dtype} {list(labels.shape)}; one for each of {count:,} images is needed"
        )
    if labels.dtype.kind in "OSU":
        return _of_texts(where, [_text(label) for label in labels.ravel().tolist()], count, class_names)
    if labels.dtype.kind not in "buif":
        raise PocketganError(f"{where} has labels of the type {labels.dtype}; numbers or texts are needed")
    if labels.ndim == 2:
        return _of_one_hot(where, labels), class_names or tuple(map(str, range(labels.shape[1])))
    whole = np.isfinite(labels) & (labels == np.floor(labels)) & (np.abs(labels) < 2**53)
    if not whole.all():
        row = int(np.argmin(whole))
        raise PocketganError(f"{where} gives image number {row} the label {labels[row]}, which is no whole number")
    return labels.astype(np.int64), class_names


def _of_one_hot(where: Where, labels: NDArray[Any]) -> NDArray[np.int64]:
    one = (((labels == 0) | (labels == 1)).all(1)) & (labels.sum(1) == 1)
    if not one.all():
        row = int(np.argmin(one))
        raise PocketganError(
            f"{where} says {int((labels[row] != 0).sum())} of {labels.shape[1]} classes of image number {row}; "
            "one class for each image is needed (a single 1 in its row)"
        )
    return np.asarray(labels.argmax(1), np.int64)


def _of_texts(
    where: Where, texts: list[str], count: int, class_names: tuple[str, ...]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if len(texts) != count:
        raise PocketganError(f"{where} has {len(texts):,} labels for {count:,} images; one for each is needed")
    if "" in texts:
        raise PocketganError(f"{where} gives image number {texts.index('')} no label; fill it in or remove the image")
    if class_names and set(texts) <= set(class_names):
        return np.array([class_names.index(text) for text in texts]), class_names
    numbers = [integer(text) for text in texts]
    known = [number for number in numbers if number is not None]
    if len(known) == len(texts):
        return np.array(known, np.int64), class_names
    if known:
        odd = numbers.index(None)
        raise PocketganError(f"{where} gives image number {odd} the label {texts[odd]!r} where others are integers")
    if class_names:
        odd = next(row for row, text in enumerate(texts) if text not in class_names)
        raise PocketganError(f"{where} gives image number {odd} the label {texts[odd]!r}, which is no class name")
    names = tuple(sorted(set(texts), key=natural_order))
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[text] for text in texts]), names


def _text(label: object) -> str:
    if isinstance(label, bytes):
        return label.decode("utf-8", "replace").strip()
    return "" if label is None or label != label else str(label).strip()  # NaN, which a table has for an empty cell
