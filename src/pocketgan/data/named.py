"""Which of the arrays in a file are images and labels, and of which split: told by the names that people give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.data.ranges import range_of
from pocketgan.data.values import Where, image_set
from pocketgan.recipes.image_options import ImageOptions

IMAGES = ("images", "image", "imgs", "img", "x", "data", "features", "pixels", "inputs", "arr0")
LABELS = ("labels", "label", "y", "targets", "target", "classes", "class", "lbls", "lbl", "digit", "digits", "arr1")
SPLITS = {"train": ("train", "training"), "test": ("test", "testing"), "val": ("val", "valid", "validation")}
ALL = {"train", "test", "val"}
NAMES = ("classnames", "targetnames", "labelnames")
LETTERS = re.compile("[^a-z0-9]+")


@dataclass(frozen=True)
class Named:
    """The names of the arrays that belong together: of each split's images, and of its labels where it has some."""

    images: dict[str, str]  # of each split; of what has no splits, under "all"
    labels: dict[str, str]
    class_names: str | None
    others: tuple[str, ...]  # what was left

    @property
    def test(self) -> str | None:
        """The split that holds the test images: `test`, or where there is none, `val`."""
        return next((split for split in ("test", "val") if split in self.images and "train" in self.images), None)

    @property
    def has_val(self) -> bool:
        """Whether `val` is given, beside `test`; `fit` is all of `train` then."""
        return self.images.keys() >= ALL

    def place(self, where: Where, split: str) -> str:
        """The key of `images` that a split is read from.

        Parameters
        ----------
        where
            For the error line.
        split
            ``train`` or ``test``, and where there is a ``val``, that and ``fit``.

        Raises
        ------
        UsageError
            There is no such split.
        """
        if split == "val" and self.has_val:
            return "val"
        if split != "test":
            return next(name for name in ("train", "all", *self.images) if name in self.images)
        if self.test is None:
            raise UsageError(f"{where} has no test images of its own, so no split 'test'; it has train, fit and val")
        return self.test


def role_of(name: str) -> tuple[str, str] | None:
    """What an array of this name is (``images`` or ``labels``) and of which split (or ``all``); None if neither."""
    parts = [part for part in LETTERS.split(name.lower()) if part]
    together = "".join(parts)
    if together in IMAGES or together in LABELS:
        return ("images" if together in IMAGES else "labels"), "all"
    for split, words in SPLITS.items():
        for word in words:
            for rest in (together.removeprefix(word), together.removesuffix(word)):
                if rest != together and (rest in IMAGES or rest in LABELS):
                    return ("images" if rest in IMAGES else "labels"), split
    return None


def have_val(names: Iterable[str]) -> bool:
    """Whether arrays of these names have a `val` split beside the test images."""
    roles = [role_of(name) for name in names]
    return {role[1] for role in roles if role is not None and role[0] == "images"} >= ALL


def named(where: Where, names: Iterable[str]) -> Named:
    """Sort the names of arrays.

    Raises
    ------
    PocketganError
        None is that of images, or two are that of the same split's.
    """
    found: dict[str, dict[str, str]] = {"images": {}, "labels": {}}
    class_names, others = None, []
    for name in sorted(names):
        role = role_of(name)
        if LETTERS.sub("", name.lower()) in NAMES:
            class_names = name
        elif role is None:
            others.append(name)
        elif (first := found[role[0]].setdefault(role[1], name)) != name:
            raise PocketganError(f"{where} holds {first} and {name}, both called as {role[0]}; remove or rename one")
    images, labels = found["images"], found["labels"]
    if not images:
        held = ", ".join([*labels.values(), *others][:5]) or "nothing"
        raise PocketganError(f"{where} holds {held}; an array named images or x, or x_train and x_test, is needed")
    if "all" in images and len(images) > 1:
        others.append(images.pop("all"))
    return Named(
        images, labels, class_names, tuple(others + [labels[split] for split in labels.keys() - images.keys()])
    )


def load_named(
    where: Path | str,
    names: Iterable[str],
    read: Callable[[str], NDArray[Any]],
    split: str,
    reading: ImageOptions,
    class_names: Callable[[str], tuple[str, ...]] = lambda name: (),
) -> ImageSet:
    """One split of the arrays in a file.

    Parameters
    ----------
    where
        The file.
    names
        Of all its arrays.
    read
        Gives an array by its name.
    split
        As `Named.place` takes it.
    reading
        How they are read.
    class_names
        Gives the texts of an array of names.

    Raises
    ------
    UsageError
        There is no such split, or it is not clear which values are black and white.
    PocketganError
        An array is not what its name says.
    """
    found = named(where, names)
    wanted = found.place(where, split)
    arrays = {of: read(name) for of, name in found.images.items()}
    place = f"{where} [{found.images[wanted]}]"
    for of, array in arrays.items():
        if array.dtype.kind not in "buif":
            raise PocketganError(f"{where} [{found.images[of]}] is {array.dtype} {list(array.shape)}, not numbers")
    if not arrays[wanted].size:
        raise PocketganError(f"{place} holds no images")
    known = range_of(place, [array for array in arrays.values() if array.size], reading)
    labels = None
    if wanted in found.labels:
        labels = (f"{where} [{found.labels[wanted]}]", read(found.labels[wanted]))
    texts = () if found.class_names is None else class_names(found.class_names)
    made = image_set(place, arrays[wanted], known, reading, labels, texts)
    notes = (*made.notes, *notes_of(where, found, wanted))
    return replace(made, split="all" if wanted == "all" else split, notes=notes)


def notes_of(where: Where, found: Named, wanted: str) -> list[str]:
    """What was left out, and what stands in for what."""
    notes = []
    if found.others:
        notes.append(f"{where}: not used: {', '.join(found.others[:10])}{' …' if len(found.others) > 10 else ''}")
    if wanted not in found.labels:
        notes.append(f"{where}: no labels beside {found.images[wanted]} (an array named labels or y)")
    if "train" not in found.images and wanted != "all":
        notes.append(f"{where}: there is no train split, so {found.images[wanted]} is taken")
    elif found.has_val and wanted == "train":
        notes.append(f"{where}: {found.images['val']} is the split val, so that fit is all of {found.images['train']}")
    elif found.test == "val" and wanted != "val":
        notes.append(f"{where}: {found.images['val']} are the test images")
    return notes


def beside(path: Path) -> Path | None:
    """The file of labels that belongs to a file of images by its name, such as ``y_train.npy`` to ``X_train.npy``."""
    words = re.split(r"([^A-Za-z0-9]+)", path.name)
    for place, word in enumerate(words):
        if word.lower() in IMAGES:
            for cased in (cased for name in LABELS for cased in (name, name.upper(), name.capitalize())):
                other = path.with_name("".join([*words[:place], cased, *words[place + 1 :]]))
                if other.is_file() and other != path:
                    return other
    return None


def unused_beside(path: Path) -> list[str]:
    """What to say of files beside one whose names sound like labels, and that were not taken for its labels."""
    found = [
        other.name
        for other in sorted(path.parent.iterdir())
        if other != path
        and other.suffix.lower() in (".npy", ".npz", ".csv", ".tsv", ".txt")
        and any(word in LABELS[:6] for word in LETTERS.split(other.stem.lower()))
    ]
    return (
        [f"{path}: no labels; {found[0]} lies beside it and is not used, since its name does not match"]
        if found
        else []
    )


def strings(array: NDArray[Any]) -> tuple[str, ...]:
    """The texts of an array of names."""
    return tuple(
        text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in array.ravel().tolist()
    )
