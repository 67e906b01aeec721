"""Where the latents of a model's samples come from: the prior, or a method that finds latents for classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.core.latents import BLOCK, balanced_labels, latents
from pocketgan.steer.steering import Steering
from pocketgan.steer.wish import Wish


class Source(NamedTuple):
    """What a block of samples is drawn from.

    Attributes
    ----------
    draw
        ``draw(block, seed)`` gives the latents float32 ``[BLOCK, D]`` of the block that starts at this index, and their
        classes int64 ``[BLOCK]`` or None.
    class_names, label_source, provenance
        Of the samples, as in `Samples`.
    """

    draw: Callable[[int, int], tuple[Tensor, Tensor | None]]
    class_names: tuple[str, ...]
    label_source: str
    provenance: dict[str, str]


def prior(latent_dim: int) -> Source:
    """Latents of the prior, without classes."""

    def draw(block: int, seed: int) -> tuple[Tensor, Tensor | None]:
        return latents(seed, block, block + BLOCK, latent_dim), None

    return Source(draw, (), "none", {})


def asked(latent_dim: int, class_names: tuple[str, ...], label: int | None) -> Source:
    """Latents of the prior, with the classes that a conditional generator is asked for."""

    def draw(block: int, seed: int) -> tuple[Tensor, Tensor | None]:
        return latents(seed, block, block + BLOCK, latent_dim), _labels(block, label, len(class_names))

    return Source(draw, class_names, "asked", {})


def steered(steering: Steering, wish: Wish, stop: int) -> Source:
    """Latents that a fitted method finds for classes.

    Raises
    ------
    UsageError
        As in `Steering.provider`.
    """
    provide, names = steering.provider(wish, stop), steering.names()

    def draw(block: int, seed: int) -> tuple[Tensor, Tensor | None]:
        labels = _labels(block, wish.label, len(names))
        return provide(labels, block, seed), labels

    return Source(draw, names, "steered", {"steered_by": steering.fitted(wish.method).facts.method})


def _labels(block: int, label: int | None, classes: int) -> Tensor:
    """The classes of one block: all one, or in turn."""
    if label is not None:
        return torch.full((BLOCK,), label)
    return balanced_labels(block, block + BLOCK, classes)
