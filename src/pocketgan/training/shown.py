"""What a viewer of a running training is shown: a grid of the same latents, and how the discriminator judges."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.core.pixels import PixelRange, to_floats
from pocketgan.core.rng import latents
from pocketgan.data.image_set import ImageSet
from pocketgan.recipes import Recipe
from pocketgan.training.groups import groups_of
from pocketgan.training.state import TrainState

JUDGED = 100  # real images, and fakes
BINS = 24


class Histograms(NamedTuple):
    """The discriminator's logits on real and on fake images, counted in the same bins.

    Attributes
    ----------
    low, high
        Of the first and the last bin.
    real, fake
        How many logits lie in each bin.
    """

    low: float
    high: float
    real: list[int]
    fake: list[int]


class Judged:
    """The same real images and latents each time, and the discriminator's logits on what they are now.

    Parameters
    ----------
    data, recipe
        Of the training.
    conditional
        Whether the pair is told classes.
    pixels
        The range that the discriminator sees.
    """

    def __init__(self, data: ImageSet, recipe: Recipe, conditional: bool, pixels: PixelRange) -> None:
        rows = torch.arange(0, len(data), max(1, len(data) // JUDGED))[:JUDGED]
        groups = groups_of(recipe, data, conditional=conditional)
        self.labels = None if groups is None else groups[rows]
        self.real, self.pixels = data.images[rows], pixels
        self.z = latents(recipe.seed, 0, len(rows), recipe.model.latent_dim)

    @torch.no_grad()
    def look(self, state: TrainState) -> Histograms:
        """Let the discriminator judge, as both networks are now; nothing that is trained changes."""
        state.generator.eval()
        state.discriminator.eval()
        y = None if self.labels is None else self.labels.to(state.device)
        fakes = state.generator(self.z.to(state.device), y)
        on_real = state.discriminator(to_floats(self.real.to(state.device), self.pixels), y).logits
        on_fake = state.discriminator(fakes, y).logits
        state.generator.train()
        state.discriminator.train()
        return histograms(on_real.float().cpu().flatten(), on_fake.float().cpu().flatten())


def histograms(real: Tensor, fake: Tensor) -> Histograms:
    """Logits ``[N]`` and ``[M]``, finite, in the same `BINS` bins."""
    both = torch.cat([real, fake])
    low, high = float(both.min()), float(both.max())
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    real_counts, fake_counts = (torch.histc(part, BINS, low, high).long().tolist() for part in (real, fake))
    return Histograms(low, high, real_counts, fake_counts)
