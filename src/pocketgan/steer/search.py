"""Gradient search: a latent from the prior walks uphill on the guide's certainty, on the sphere that it began on.

In high dimensions the prior's latents lie near a shell of radius sqrt(D). Keeping each latent's own norm keeps the
norms exactly those of the prior; without that, the search leaves for places where the generator was never trained.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.latents import latents
from pocketgan.core.rng import derive
from pocketgan.steer.collect import SURE
from pocketgan.steer.frozen import Frozen
from pocketgan.steer.method import Budget, Context

STEPS = 40
STRIDE = 0.15  # of the latent's norm, in the first step; it falls to nothing


class Search:
    """Walks from latents of the prior toward a class.

    Parameters
    ----------
    frozen
        The generator and the guide that gradients pass through.
    """

    def __init__(self, frozen: Frozen) -> None:
        self.frozen = frozen

    def latents(self, labels: Tensor, start: int, seed: int) -> Tensor:
        """As `Steerer.latents`; a latent stops where the guide is sure."""
        z = latents(derive(seed, "search"), start, start + len(labels), self.frozen.generator.latent_dim)
        target = labels.to(self.frozen.guide.device)
        walking = torch.arange(len(z))
        for step in range(STEPS):
            place = z[walking].requires_grad_(True)
            losses = F.nll_loss(self.frozen.log_probabilities(place), target[walking], reduction="none")
            (slope,) = torch.autograd.grad(losses.sum(), place)
            unsure = losses.detach().cpu() > -math.log(SURE)
            walking, place, slope = walking[unsure], place.detach()[unsure], slope[unsure]
            if not len(walking):
                break
            norms = place.norm(dim=1, keepdim=True)
            slope = slope - (slope * place).sum(1, keepdim=True) * place / norms.square()  # along the sphere
            stride = STRIDE * (1 - step / STEPS) * norms / slope.norm(dim=1, keepdim=True).clamp(min=1e-12)
            moved = place - stride * slope
            z[walking] = moved * norms / moved.norm(dim=1, keepdim=True)
        return z

    def tensors(self) -> dict[str, Tensor]:
        """As `Steerer.tensors`: it has learned nothing."""
        return {}

    def settings(self) -> dict[str, Any]:
        """As `Steerer.settings`."""
        return {}


def fit(context: Context, seed: int, budget: Budget) -> Search:
    """There is nothing to fit."""
    return Search(context.frozen)


def rebuild(frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Search:
    """From what was saved."""
    return Search(frozen)
