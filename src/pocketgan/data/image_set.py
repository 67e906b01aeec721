"""The shapes in which images travel through the program: `ImageSet`, and `Samples` with the latents that made them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.pixels import grid, to_png

PROVENANCE = "provenance.json"  # where images come from, in a file beside them
HUB_LICENCES = (
    *("mit", "apache-2.0", "cc0-1.0"),
    *("cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images in memory, whole, with what is known of them.

    Attributes
    ----------
    images
        uint8 ``[N, C, H, W]``, C 1 or 3.
    labels
        int64 ``[N]``, each an index into `class_names`, or None.
    class_names
        What the labels stand for; empty where there are none.
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
    """

    images: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    name: str = "images"
    split: str = "all"
    provenance: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    dataset: str = ""

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] not in (1, 3):
            shape, dtype = list(self.images.shape), self.images.dtype
            raise ValueError(f"images must be uint8 [N, C, H, W] with C 1 or 3, not {dtype} {shape}")
        if self.labels is not None:
            if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
                raise ValueError(f"labels must be int64 [{len(self)}], not {list(self.labels.shape)}")
            if len(self) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.class_names):
                raise ValueError(f"labels must lie in 0..{len(self.class_names) - 1}, one for each class name")
        if self.files and len(self.files) != len(self):
            raise ValueError(f"{len(self.files)} files for {len(self)} images")

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

    def rows(self, index: Tensor) -> Self:
        """The rows that `index` (int64 or bool) picks, as a set of the same kind."""
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

    def rows(self, index: Tensor) -> Self:
        """The rows that `index` (int64 or bool) picks, with their latents."""
        return replace(super().rows(index), latents=self.latents[index], index=self.index[index])


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


def images_in(images: ImageSet, others: ImageSet) -> Tensor:
    """Which of some images are also among others, byte for byte: bool ``[N]``."""
    if images.shape != others.shape:
        return torch.zeros(len(images), dtype=torch.bool)
    known = {row.tobytes() for row in others.images.contiguous().numpy()}
    return torch.tensor([row.tobytes() in known for row in images.images.contiguous().numpy()])


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
