"""Images given as Python objects: arrays and tensors, pairs, dicts of arrays, and data sets of other libraries.

They become arrays by their names, or pictures, and are read by the rules of a file of such. Other libraries are known
by their interfaces, and none of them is imported. What is given is known by a digest of what it holds, which stands in
a recipe where a path would: nothing else could find it again.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocketgan.core.errors import UsageError
from pocketgan.core.files import read_bytes, user_path
from pocketgan.data._checks import check_labels, first_line
from pocketgan.data.idx import MAX_BYTES
from pocketgan.data.image_set import ImageSet
from pocketgan.data.named import SPLITS, Named, load_named, named, notes_of, role_of, strings
from pocketgan.data.parquet import numbers, picked
from pocketgan.data.pictures import read_pictures
from pocketgan.data.shaping import shaped
from pocketgan.data.values import labels_of
from pocketgan.recipes.image_options import ImageOptions

PREFIX = "given:"  # of what stands for such images in a recipe; the first digits of their digest follow
DIGITS = 16
MOST_KEPT = 8  # objects that stay known, the last given ones
ROWS = 1000  # that are read or hashed at once
TRIED = 8  # items that are read twice, to find random transforms
Pictures = list[bytes | Image.Image]


@dataclass(frozen=True, eq=False)
class Given:
    """What was given: arrays or pictures, by names that `data.named` knows.

    Attributes
    ----------
    name
        For people: the argument, and the kind of the object.
    entries
        Numbers or texts as arrays, pictures as lists. Arrays are the user's own, and may change in his hands.
    origin
        What an `ImageSet` knows of itself beside its images; None of other objects.
    """

    name: str
    entries: dict[str, NDArray[Any] | Pictures]
    origin: ImageSet | None = field(default=None)

    @property
    def named(self) -> Named:
        """Which entry is what."""
        return named(self.name, self.entries)

    def digest(self) -> str:
        """SHA-256, hex, over all entries with their names, types and shapes."""
        hasher = hashlib.sha256()
        for name, entry in self.entries.items():
            if isinstance(entry, list):
                hasher.update(f"{name}: {len(entry)} pictures\n".encode())
                for picture in entry:
                    hasher.update(hashlib.sha256(_content(picture)).digest())
                continue
            hasher.update(f"{name}: {entry.dtype.str} {entry.shape}\n".encode())
            rows = np.atleast_1d(entry)
            for start in range(0, len(rows), ROWS):
                part = rows[start : start + ROWS]
                texts = part.dtype.hasobject
                hasher.update(repr(part.tolist()).encode("utf-8", "replace") if texts else part.tobytes())
        return hasher.hexdigest()


_GIVEN: OrderedDict[str, Given] = OrderedDict()
_LOCK = Lock()


def is_given(source: object) -> bool:
    """Whether this stands for images that were given as an object."""
    return isinstance(source, str) and source.startswith(PREFIX)


def source_of(images: Any, argument: str) -> str:
    """What stands in a recipe for these images: a name or path as it is, of an object its digest.

    The object stays known to this process under it.

    Parameters
    ----------
    images
        A name or a path; or an `ImageSet`; an array or a tensor; a pair of them, images and labels; a dict of arrays
        named as in a file, as scikit-learn's Bunch is; a data set with a length, whose items are images (tensors,
        arrays or Pillow's pictures) or pairs of an image and a label; Hugging Face's Dataset; or a dict of such sets by
        split.
    argument
        What it was given as, for error lines.

    Raises
    ------
    UsageError
        It is none of these.
    PocketganError
        A picture of it cannot be read, or its arrays are called so that it is not clear which is which.
    """
    if isinstance(images, str | Path):
        return str(images)
    if isinstance(images, ImageSet):
        given = Given(images.name, _of_image_set(images), images)
    else:
        name = f"{argument} ({type(images).__name__})"
        given = Given(name, _entries(images, name))
    given.named  # noqa: B018  # refuses what has no images
    source = PREFIX + given.digest()[:DIGITS]
    with _LOCK:
        _GIVEN.pop(source, None)
        _GIVEN[source] = given
        while len(_GIVEN) > MOST_KEPT:
            _GIVEN.popitem(last=False)
    return source


def given_as(source: str) -> Given:
    """What was given to this process, by what stands for it in a recipe.

    Raises
    ------
    UsageError
        It was not, or is not kept any more.
    """
    with _LOCK:
        found = _GIVEN.get(source)
    if found is None:
        raise UsageError(
            f"{source}: these images were given as a Python object, which this process has not; give the same object "
            "again (data=, or trained_on= of evaluate)"
        )
    return found


def name_of(source: str) -> str:
    """What people call a source: a path or a name is called so itself."""
    with _LOCK:
        return _GIVEN[source].name if source in _GIVEN else source


def load_given(source: str, split: str, reading: ImageOptions) -> ImageSet:
    """One split of what was given, ``fit`` too where there is a ``val``; its images share no memory with the object.

    Raises
    ------
    UsageError
        The object is not there or was changed since, there is no such split, or it is not clear which values are black
        and white.
    PocketganError
        An array is not what its name says, or pictures differ in size.
    """
    given = given_as(source)
    if PREFIX + given.digest()[:DIGITS] != source:
        raise UsageError(f"{given.name} was changed since it was given; give it again, or a copy that stays as it is")
    found, entries = given.named, given.entries
    pictures = entries[found.images[found.place(given.name, split)]]
    if isinstance(pictures, list):
        return _of_pictures(given, found, split, reading, pictures)
    arrays = {name: entry for name, entry in entries.items() if not isinstance(entry, list)}
    made = load_named(given.name, arrays, arrays.__getitem__, split, reading, lambda name: strings(arrays[name]))
    made = shaped(made, reading)
    if any(np.may_share_memory(made.images.numpy(), array) for array in arrays.values()):
        made = replace(made, images=made.images.clone())
    if given.origin is None:
        return made
    same = made.shape == given.origin.shape
    return replace(made, provenance=given.origin.provenance, dataset=given.origin.dataset if same else "")


def _of_pictures(given: Given, found: Named, split: str, reading: ImageOptions, pictures: Pictures) -> ImageSet:
    wanted = found.place(given.name, split)
    part = "" if wanted == "all" else f", {wanted}"
    rows = [Path(f"{given.name}{part}, item {row}") for row in range(len(pictures))]
    images, notes, _ = read_pictures(rows, reading, dict(zip(rows, pictures, strict=True)).get)
    notes = (*notes, *notes_of(given.name, found, wanted))
    made = ImageSet(images, split="all" if wanted == "all" else split, notes=notes)
    if wanted not in found.labels:
        return made
    where, labels = f"{given.name}{part}, labels", given.entries[found.labels[wanted]]
    assert not isinstance(labels, list)
    names = () if found.class_names is None else strings(given.entries[found.class_names])  # type: ignore[arg-type]
    known, names = labels_of(where, labels, len(made), names)
    indices, class_names = check_labels(where, known, len(made), names)
    return replace(made, labels=indices, class_names=class_names)


# ---- what objects hold ---------------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """The images of one split of a data set."""

    images: NDArray[Any] | Pictures
    labels: NDArray[Any] | None
    class_names: tuple[str, ...]


def _of_image_set(images: ImageSet) -> dict[str, NDArray[Any] | Pictures]:
    entries: dict[str, NDArray[Any] | Pictures] = {"images": images.images.numpy()}
    if images.labels is not None:
        entries |= {"labels": images.labels.numpy(), "class_names": np.array(images.class_names, object)}
    return entries


def _entries(images: Any, name: str) -> dict[str, NDArray[Any] | Pictures]:
    """What an object holds, by names."""
    if isinstance(images, Mapping):
        sets = {key: value for key, value in images.items() if _is_set(value)}
        return _of_splits(sets, name) if sets else _of_arrays(images, name)
    if isinstance(images, tuple) and len(images) == 2 and _is_sized(images[0]):
        pixels, labels = images
        if not _is_array(pixels):
            pixels = _of_items(pixels, f"{name} [images]").images
        return {"images": pixels if isinstance(pixels, list) else _array(pixels, name)} | (
            {} if labels is None else {"labels": _array(labels, f"{name} [labels]")}
        )
    if _is_array(images):
        return {"images": _array(images, name)}
    if _is_sized(images):
        return _of_splits({"": images}, name)
    raise UsageError(
        f"{name} is no images; give an array, a tensor, (images, labels), a dict of arrays or a data set with a length"
    )


def _of_splits(sets: Mapping[Any, Any], name: str) -> dict[str, NDArray[Any] | Pictures]:
    """Data sets by their splits, one alone by no name."""
    entries: dict[str, NDArray[Any] | Pictures] = {}
    kinds: dict[str, tuple[bool, tuple[str, ...]]] = {}
    for key, data in sets.items():
        split = next((split for split, words in SPLITS.items() if str(key).lower() in words), "")
        if key != "" and not split:
            continue
        where = f"{name}, {split}" if split else name
        part = _of_table(data, where) if _is_table(data) else _of_items(data, where)
        before = f"{split}_" if split else ""
        if f"{before}images" in entries:
            raise UsageError(f"{name} has two sets for the split {split}; give one")
        entries[f"{before}images"] = part.images
        if part.labels is not None:
            entries[f"{before}labels"] = part.labels
        if part.class_names:
            entries["class_names"] = np.array(part.class_names, object)
        kinds[str(key)] = isinstance(part.images, list), part.class_names
    if not kinds:
        raise UsageError(f"{name} has the splits {', '.join(map(str, sets))}; one called train is needed")
    odd = next((key for key, kind in kinds.items() if kind != next(iter(kinds.values()))), None)
    if odd is not None:
        raise UsageError(f"{name}: '{odd}' has other classes, or another kind of images, than '{next(iter(kinds))}'")
    return entries


def _of_arrays(arrays: Mapping[Any, Any], name: str) -> dict[str, NDArray[Any] | Pictures]:
    """A dict of arrays, of which scikit-learn's has the same images twice and texts besides."""
    entries = {
        key: _array(value, f"{name} [{key}]")
        for key, value in arrays.items()
        if isinstance(key, str) and (_is_array(value) or (isinstance(value, list | tuple) and _is_known(key)))
    }
    flat, images = entries.get("data"), entries.get("images")
    if flat is not None and images is not None and flat.size == images.size and len(flat) == len(images):
        entries.pop("data")
    target, names = entries.get("target"), entries.get("target_names")
    if names is not None and (target is None or (target.dtype.kind in "OSU" and not set(target.ravel()) <= set(names))):
        entries.pop("target_names")  # it names columns, as fetch_openml has it
    return dict(entries)


def _is_known(name: str) -> bool:
    """Whether an array of this name is images, labels or the names of classes."""
    return role_of(name) is not None or name.lower().replace("_", "") in ("classnames", "targetnames", "labelnames")


def _of_items(data: Any, name: str) -> _Part:
    """A data set with a length: items are images, or pairs of an image and a label."""
    count = len(data)
    if not count:
        raise UsageError(f"{name} holds no images")
    images: NDArray[Any] | Pictures | None = None
    labels = []
    for row in range(count):
        image, label = _item(data, row, name)
        if row < TRIED and _content(_item(data, row, name)[0]) != _content(image):
            raise UsageError(
                f"{name}: item {row} is another image each time it is read, as by a random transform; give the set "
                "without it"
            )
        if images is None:
            images = [] if isinstance(image, Image.Image) else _room(count, image, name)
        if isinstance(images, list):
            if not isinstance(image, Image.Image):
                raise UsageError(f"{name}: item {row} is an array where others are pictures; give one kind")
            images.append(image)
        elif isinstance(image, Image.Image) or image.shape != images.shape[1:] or image.dtype != images.dtype:
            told = "a picture" if isinstance(image, Image.Image) else f"{image.dtype} {list(image.shape)}"
            raise UsageError(
                f"{name}: item {row} is {told} where item 0 is {images.dtype} {list(images.shape[1:])}; give all "
                "images one type and size"
            )
        else:
            images[row] = image
        labels.append(label)
    assert images is not None
    known = _labels(labels, name)
    return _Part(images, known, () if known is None else _classes(data, known))


def _item(data: Any, row: int, name: str) -> tuple[NDArray[Any] | Image.Image, Any]:
    """One image, decoded, and its label; None without."""
    try:
        item = data[row]
        image, label = item if isinstance(item, tuple | list) and len(item) == 2 else (item, None)
        if isinstance(image, Image.Image):
            return image.copy(), label
    except Exception as error:  # a stranger's code and files
        raise UsageError(f"{name}: item {row} cannot be read: {first_line(error)}") from error
    if not _is_array(image):
        raise UsageError(
            f"{name}: item {row} is {type(item).__name__}, not an image or (image, label); an image is a tensor, an "
            "array or a picture of Pillow"
        )
    return _array(image, f"{name}: item {row}"), label


def _room(count: int, image: NDArray[Any], name: str) -> NDArray[Any]:
    """Where so many images of one kind will lie."""
    if count * image.nbytes > MAX_BYTES:
        raise UsageError(
            f"{name} has {count:,} items of {image.dtype} {list(image.shape)}, more than the {MAX_BYTES:,} bytes that "
            "are read; give bytes (uint8)"
        )
    return np.empty((count, *image.shape), image.dtype)


def _classes(data: Any, labels: NDArray[Any]) -> tuple[str, ...]:
    """The names in a set's `classes`, as torchvision's have it, or in those of the set that it is a part of."""
    for _ in range(TRIED):
        names = getattr(data, "classes", None)
        if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
            fits = labels.ndim == 1 and labels.dtype.kind in "iu" and int(labels.max()) < len(names)
            return tuple(names) if fits else ()
        data = getattr(data, "dataset", None)
    return ()


def _of_table(data: Any, name: str) -> _Part:
    """A data set of Hugging Face's: pictures as the files that it keeps, not decoded by it."""
    columns, features = list(data.column_names), data.features
    image, label = picked(name, columns, [column for column in columns if type(features[column]).__name__ == "Image"])
    where = f"{name}, column {image}"
    if not len(data):
        raise UsageError(f"{name} holds no images")
    plain = data.with_format(None)
    held = type(features[image]).__name__ == "Image"
    if held:
        plain = plain.cast_column(image, type(features[image])(decode=False))
    files: Pictures = []
    blocks: list[NDArray[Any]] = []
    labels: list[Any] = []
    size = 0
    for start in range(0, len(data), ROWS):
        rows = plain[start : start + ROWS]
        if held:
            files += [_file(cell, f"{where}, row {start + row}") for row, cell in enumerate(rows[image])]
            size += sum(map(len, files[start:]))  # type: ignore[arg-type]
        else:
            blocks.append(numbers(where, rows[image]))
            size += blocks[-1].nbytes
        if size > MAX_BYTES:
            raise UsageError(f"{where} holds more than the {MAX_BYTES:,} bytes that are read; give a part of it")
        labels += rows[label] if label is not None else []
    known = _labels(labels, name) if label is not None else None
    names = getattr(features[label], "names", None) if known is not None else None
    class_names = tuple(map(str, names)) if isinstance(names, list) else ()
    if held:
        return _Part(files, known, class_names)
    try:
        return _Part(np.concatenate(blocks), known, class_names)
    except ValueError as error:
        raise UsageError(f"{where} has rows of different sizes; resize them first") from error


def _file(cell: Any, where: str) -> bytes:
    """The file of a picture, in the set's own bytes or at its path."""
    if isinstance(cell, Mapping) and isinstance(cell.get("bytes"), bytes) and cell["bytes"]:
        return bytes(cell["bytes"])
    if isinstance(cell, Mapping) and isinstance(cell.get("path"), str):
        return read_bytes(user_path(cell["path"]))
    raise UsageError(f"{where} holds no picture; leave the row out")


# ---- interfaces ----------------------------------------------------------------------------------------------------


def _is_array(value: object) -> bool:
    """A NumPy array, or what becomes one: torch's tensors, pandas' tables and columns."""
    return hasattr(value, "__array__") and not isinstance(value, type | Image.Image)


def _is_sized(value: object) -> bool:
    """What has a length, and items by their places."""
    return hasattr(value, "__getitem__") and hasattr(value, "__len__") and not isinstance(value, str | bytes | type)


def _is_table(value: object) -> bool:
    """Hugging Face's Dataset."""
    return all(hasattr(value, name) for name in ("column_names", "features", "cast_column", "with_format", "__len__"))


def _is_set(value: object) -> bool:
    """A data set with a length; arrays, lists and texts are none."""
    return _is_sized(value) and not _is_array(value) and not isinstance(value, list | tuple | Mapping)


def _array(value: Any, where: str) -> NDArray[Any]:
    """A tensor, an array, a table of pandas or a list as an array, without a copy where that can be."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else value)
    except Exception as error:  # of another library's own
        raise UsageError(f"{where} cannot be read as an array: {first_line(error)}") from error


def _labels(labels: Iterable[Any], name: str) -> NDArray[Any] | None:
    """One label for each image, or None where no image has one."""
    plain = [label.tolist() if hasattr(label, "tolist") else label for label in labels]
    if all(label is None for label in plain):
        return None
    if None in plain:
        raise UsageError(f"{name}: item {plain.index(None)} has no label where others have one; leave it out")
    return _array(plain, f"{name}, labels")


def _content(picture: bytes | Image.Image | NDArray[Any]) -> bytes:
    """Bytes that are the same for equal pictures alone."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Image.Image):
        extra = picture.getpalette(), picture.info.get("transparency"), picture.info.get("exif")
        return f"{picture.mode} {picture.size} {extra!r}\n".encode() + picture.tobytes()
    kept = io.BytesIO()
    np.save(kept, picture, allow_pickle=True)
    return kept.getvalue()
