"""A library of latents that the guide accepted: exactly what the generator makes of each class, and no more of it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pocketgan.core.rng import latents, rng
from pocketgan.steer.guides import Frozen
from pocketgan.steer.method import Budget, Context


class Bank:
    """Accepted latents, known by (seed, index).

    Parameters
    ----------
    seed, dim
        They are rows of ``latents(seed, ..., dim)``.
    index
        int64 ``[M]``, of the accepted ones.
    labels
        int64 ``[M]``.
    classes
        How many there are.
    """

    def __init__(self, seed: int, dim: int, index: Tensor, labels: Tensor, classes: int) -> None:
        self.seed, self.dim, self.index, self.labels, self.classes = seed, dim, index, labels, classes

    @cached_property
    def shelves(self) -> list[Tensor]:
        """The latents of each class, float32 ``[M_k, D]``."""
        z = latents(self.seed, 0, int(self.index.max()) + 1, self.dim)[self.index]
        return [z[self.labels == label] for label in range(self.classes)]

    def latents(self, labels: Tensor, start: int, seed: int) -> Tensor:
        """As `Steerer.latents`: each class in an order that the seed gives; the method is `finite`."""
        numbers = torch.arange(start, start + len(labels))
        if bool((labels != labels[0]).any()):
            numbers = numbers // self.classes  # classes take turns
        z = torch.empty(len(labels), self.dim)
        for label in labels.unique().tolist():
            rows = labels == label
            shelf = self.shelves[label]
            order = torch.randperm(len(shelf), generator=rng(seed, "bank", label))
            z[rows] = shelf[order[numbers[rows].clamp(max=len(shelf) - 1)]]  # beyond it nobody asked: the block's rest
        return z

    def tensors(self) -> dict[str, Tensor]:
        """As `Steerer.tensors`."""
        return {"index": self.index, "labels": self.labels.to(torch.int16)}

    def settings(self) -> dict[str, Any]:
        """As `Steerer.settings`."""
        return {"latents_seed": self.seed}

    @classmethod
    def fit(cls, context: Context, seed: int, budget: Budget) -> Bank:
        """Keep what was collected."""
        collected = context.collected
        index = collected.kept.nonzero().squeeze(1)
        return cls(collected.seed, collected.dim, index, collected.labels[index], context.frozen.classes)

    @classmethod
    def rebuild(cls, frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Bank:
        """From what was saved."""
        labels = tensors["labels"].to(torch.int64)
        dim = frozen.generator.latent_dim
        return cls(int(settings["latents_seed"]), dim, tensors["index"], labels, frozen.classes)
