"""The shapes in which images travel through the program: `ImageSet`, and `Samples` with the latents that made them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.pixels import grid, to_png

PROVENANCE = "provenance.json"  # where images come from, in a file beside them
HUB_LICENCES = (
    *("mit", "apache-2.0", "cc0-1.0"),
    *("cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
)


def as_bytes(images: Any, shape: tuple[int, int, int] | None = None) -> Tensor:
    """Images as a person has them in Python, as uint8 ``[N, C, H, W]``.

    Parameters
    ----------
    images
        An `ImageSet`, or bytes as a tensor or NumPy array ``[N, C, H, W]``, or ``[N, H, W]`` of grey images. Floats are
        refused: nothing tells whether theirs is 0 to 1, -1 to 1 or 0 to 255.
    shape
        Channels, height and width that are expected; None takes any with 1 or 3 channels.

    Raises
    ------
    UsageError
        They are no images, no bytes, or of another shape.
    """
    if isinstance(images, ImageSet):
        images = images.images
    if isinstance(images, list | tuple) and images and all(isinstance(one, Tensor | np.ndarray) for one in images):
        if len({(type(one), one.dtype, tuple(one.shape)) for one in images}) > 1:
            raise UsageError("images of a list must be of one kind and shape")
        images = torch.stack(list(images)) if isinstance(images[0], Tensor) else np.stack(images)
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8:
            raise UsageError(f"images must be bytes (uint8, 0 to 255), not {images.dtype}; scale and round them first")
        images = torch.from_numpy(np.ascontiguousarray(images))
    if not isinstance(images, Tensor):
        raise UsageError(
            f"images must be an ImageSet, a tensor or an array of bytes [N, C, H, W], not {type(images).__name__}"
        )
    if images.dtype != torch.uint8:
        named = str(images.dtype).removeprefix("torch.")
        raise UsageError(f"images must be bytes (uint8, 0 to 255), not {named}; scale and round them first")
    if images.ndim == 3 and (shape is None or shape[0] == 1):
        images = images.unsqueeze(1)
    known = images.ndim == 4 and (images.shape[1] in (1, 3) and min(images.shape[2:]) > 0)
    if not known or (shape is not None and tuple(images.shape[1:]) != shape):
        wanted = "[N, C, H, W] with C 1 or 3" if shape is None else f"[N, {', '.join(map(str, shape))}]"
        raise UsageError(f"images must be bytes {wanted}, not {list(images.shape)}")
    plain: Tensor = images.cpu()
    return plain


def as_labels(labels: Any, count: int) -> Tensor:
    """Labels as a person has them in Python, as int64 ``[count]``.

    Raises
    ------
    UsageError
        They are no whole numbers, or not one for each image.
    """
    try:
        known = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise UsageError(f"labels must be {count} whole numbers, one for each image") from None
    if known.dtype not in WHOLE or tuple(known.shape) != (count,):
        named = str(known.dtype).removeprefix("torch.")
        raise UsageError(
            f"labels must be {count} whole numbers, one for each image, not {named} of shape {list(known.shape)}"
        )
    return known.long()


MOST_CLASSES = 10_000  # that labels without names may count
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images in memory, whole, with what is known of them.

    Attributes
    ----------
    images
        uint8 ``[N, C, H, W]``, C 1 or 3. What `as_bytes` takes becomes that: a NumPy array, or ``[N, H, W]``.
    labels
        int64 ``[N]``, each an index into `class_names`, or None. An array or a list of whole numbers becomes that.
    class_names
        What the labels stand for; empty where there are none. Labels without names are called by their numbers.
    name
        For people: ``mnist/train``, or the path that the images came from.
    split
        ``train``, ``fit``, ``val`` or ``test`` of a data set that has splits, else ``all``.
    provenance
        Where the images come from and under which licence, for sets made of them.
    dataset
        The name of the table's data set that they are images of; empty for others.
    files
        Of pictures in a folder: each one's path from there, with slashes. Else empty.
    notes
        What was assumed or left out when they were read, and what looks wrong in them: a line each, for people.

    Raises
    ------
    UsageError
        Images, labels and names do not fit one another, or are of a kind that is not taken.
    """

    images: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    name: str = "images"
    split: str = "all"
    provenance: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    dataset: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", as_bytes(self.images))
        if not isinstance(self.class_names, tuple) or not all(isinstance(name, str) for name in self.class_names):
            if isinstance(self.class_names, str | bytes) or not isinstance(self.class_names, Sequence):
                raise UsageError(f"class_names must be a list of texts, not {type(self.class_names).__name__}")
            object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        if self.labels is not None:
            labels = as_labels(self.labels, len(self))
            object.__setattr__(self, "labels", labels)
            least, most = (int(labels.min()), int(labels.max())) if len(self) else (0, -1)
            if not self.class_names and 0 <= least <= most <= MOST_CLASSES:
                object.__setattr__(self, "class_names", tuple(map(str, range(most + 1))))
            if least < 0 or most >= len(self.class_names):
                last = len(self.class_names) - 1
                raise UsageError(f"labels must lie in 0..{last}, one for each class name, not in {least}..{most}")
        if self.files and len(self.files) != len(self):
            raise UsageError(f"{len(self.files)} files for {len(self)} images; give one for each")

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @cached_property
    def digest(self) -> str:
        """The sha256 of shape, pixels and labels: two sets with one digest hold the same rows in the same order."""
        hasher = hashlib.sha256(repr((list(self.images.shape), self.labels is not None)).encode())
        hasher.update(self.images.contiguous().numpy().data)
        if self.labels is not None:
            hasher.update(self.labels.contiguous().numpy().data)
        return hasher.hexdigest()

    def rows(self, index: Any) -> Self:
        """The rows that `index` picks, as a set of the same kind: int64 or bool as a tensor, an array or a list.

        Raises
        ------
        UsageError
            There is no such row.
        """
        index = _row_index(index, len(self))
        labels = None if self.labels is None else self.labels[index]
        files = tuple(self.files[row] for row in torch.arange(len(self))[index].tolist()) if self.files else ()
        return replace(self, images=self.images[index], labels=labels, files=files)

    def _repr_png_(self) -> bytes:
        return to_png(grid(self.images[:100], columns=min(20, max(1, len(self)))), scale=2)

    def __repr__(self) -> str:
        channels, height, width = self.shape
        known = f"{len(self.class_names)} classes" if self.labels is not None else "no labels"
        return f"ImageSet({self.name!r}, {len(self):,} images {height}x{width}x{channels}, {known})"


@dataclass(frozen=True, eq=False, repr=False)
class Samples(ImageSet):
    """Generated images, with the latents that made them.

    Attributes
    ----------
    latents
        float32 ``[N, latent_dim]``.
    seed, index
        What each latent is known by: ``latents(seed, index)``; index is int64 ``[N]``.
    label_source
        ``asked`` (the generator was asked for these classes), ``steered`` (latents were sought for them), ``guide`` (a
        classifier read them) or ``none``.
    """

    latents: Tensor = field(default_factory=lambda: torch.empty(0, 1))
    seed: int = 0
    index: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    label_source: str = "none"

    def rows(self, index: Any) -> Self:
        """The rows that `index` picks, as in `ImageSet.rows`, with their latents."""
        index = _row_index(index, len(self))
        return replace(super().rows(index), latents=self.latents[index], index=self.index[index])


def _row_index(index: Any, count: int) -> Tensor:
    """Which rows are picked, as int64 ``[n]``."""
    try:
        given = torch.as_tensor(index)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise UsageError(
            f"rows are picked by a list of whole numbers or of truths, not {type(index).__name__}"
        ) from None
    if given.ndim == 1 and not len(given):
        return torch.empty(0, dtype=torch.int64)
    if given.dtype == torch.bool and tuple(given.shape) == (count,):
        return given.nonzero().squeeze(1)
    if given.dtype not in WHOLE or given.ndim != 1:
        named = str(given.dtype).removeprefix("torch.")
        raise UsageError(f"rows are picked by whole numbers [n] or truths [{count}], not {named} {list(given.shape)}")
    rows = given.long()
    if int(rows.min()) < -count or int(rows.max()) >= count:
        wrong = int(rows.max()) if int(rows.max()) >= count else int(rows.min())
        raise UsageError(f"row {wrong} is not there: there are {count}, from 0")
    return torch.where(rows < 0, rows + count, rows)


def joined(parts: Sequence[Samples]) -> Samples:
    """The parts of one stream as one set."""
    labels = [part.labels for part in parts if part.labels is not None]
    return replace(
        parts[0],
        images=torch.cat([part.images for part in parts]),
        labels=torch.cat(labels) if labels else None,
        latents=torch.cat([part.latents for part in parts]),
        index=torch.cat([part.index for part in parts]),
    )


def in_classes(images: ImageSet, class_names: tuple[str, ...]) -> ImageSet:
    """The same images, labelled by the places that their classes have among others; as they are without labels.

    Raises
    ------
    UsageError
        A class of theirs is not among them.
    """
    if images.labels is None or images.class_names == class_names:
        return images
    used = [images.class_names[label] for label in images.labels.unique().tolist()]
    strange = [name for name in used if name not in class_names]
    if strange:
        raise UsageError(f"{images.name} has images of class '{strange[0]}', of which there are none to learn from")
    if len(set(class_names)) < len(class_names):
        raise UsageError(f"{images.name}: two classes have one name, so that they cannot be told apart; rename one")
    places = [class_names.index(name) if name in class_names else -1 for name in images.class_names]
    return replace(images, labels=torch.tensor(places)[images.labels], class_names=class_names)


def without_empty_classes(images: ImageSet) -> ImageSet:
    """The same images, with those classes alone that have any; a note names the others."""
    if images.labels is None or not len(images):
        return images
    counts = torch.bincount(images.labels, minlength=len(images.class_names)).tolist()
    empty = [name for name, count in zip(images.class_names, counts, strict=True) if not count]
    if not empty:
        return images
    kept = tuple(name for name, count in zip(images.class_names, counts, strict=True) if count)
    places = torch.tensor(counts).bool().cumsum(0) - 1
    named = ", ".join(f"'{name}'" for name in empty[:10]) + (f" and {len(empty) - 10} more" if len(empty) > 10 else "")
    note = f"{images.name}: no images of class {named}, so it is neither learned nor drawn"
    if len(empty) > 1:
        note = f"{images.name}: no images of the classes {named}, so they are neither learned nor drawn"
    return replace(images, labels=places[images.labels], class_names=kept, notes=(*images.notes, note))


def images_in(images: ImageSet, others: ImageSet) -> Tensor:
    """Which of some images are also among others, byte for byte: bool ``[N]``."""
    if images.shape != others.shape:
        return torch.zeros(len(images), dtype=torch.bool)
    known = {row.tobytes() for row in others.images.contiguous().numpy()}
    return torch.tensor([row.tobytes() in known for row in images.images.contiguous().numpy()])


def matched(names: Sequence[str], known: Sequence[str], where: str) -> list[int]:
    """Which of the known classes each name means: by the name itself, else by the one number in it.

    Parameters
    ----------
    names
        Of some classes, in any order.
    known
        All that there are. A number in a name is the class that is called so, or the index where none is a number.
    where
        The names come from, for the error line.

    Raises
    ------
    UsageError
        A name means none of them, or two mean the same.
    """
    numbered = any(re.fullmatch(r"[0-9]{1,9}", name) for name in known)
    found = []
    for name in names:
        numbers = [str(int(number)) for number in re.findall(r"[0-9]{1,9}", name)]
        number = numbers[0] if len(numbers) == 1 else None
        if name in known:
            found.append(list(known).index(name))
        elif numbered and number is not None and number in known:
            found.append(list(known).index(number))
        elif not numbered and number is not None and int(number) < len(known):
            found.append(int(number))
        else:
            few = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
            raise UsageError(f"{where} has a class '{name}', which is none of {few}; give the classes these names")
    twice = next((name for place, name in enumerate(names) if found[place] in found[:place]), None)
    if twice is not None:
        raise UsageError(f"{where} has two classes for '{known[found[list(names).index(twice)]]}'; put them together")
    return found


def class_index(label: int | str, class_names: tuple[str, ...]) -> int:
    """The label of a class that is asked for by its index or by its name.

    Parameters
    ----------
    label
        An index from 0, or a name as text. A text is never an index: ``"10"`` is the class called 10.
    class_names
        In the order of their labels.

    Raises
    ------
    UsageError
        There is no such class, or two are called so.
    """
    if not isinstance(label, str):
        if not 0 <= label < len(class_names):
            raise UsageError(f"class {label} is outside the classes 0 to {len(class_names) - 1} of this model")
        return int(label)
    if label not in class_names:
        raise UsageError(f"class '{label}' is unknown{nearest(label, class_names)}")
    if class_names.count(label) > 1:
        raise UsageError(f"{class_names.count(label)} classes are called '{label}'; give the index as label= in Python")
    return class_names.index(label)


class Licence(NamedTuple):
    """A licence as the hub knows it: `id` is ``other`` or ``unknown`` where it has none of its names."""

    id: str
    name: str
    link: str
    text: str


def licence_named(text: str) -> Licence:
    """What the hub calls a licence that is given in words, such as ``CC BY-SA 3.0, https://…``."""
    name = text.partition(",")[0].strip()
    link = re.search(r"https?://\S+", text)
    identifier = name.lower().replace(" ", "-")
    known = identifier if identifier in HUB_LICENCES else "other" if name else "unknown"
    return Licence(known, identifier, link[0] if link else "", text)
