"""Generated images with the latents that made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from pocketgan.data.image_set import ImageSet


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
