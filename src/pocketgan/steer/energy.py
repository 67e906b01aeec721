"""LACE's idea (Nie, Vahdat & Anandkumar 2021): a classifier of latents gives an energy, and its density is sampled.

The energy of z for a class is |z|^2 / 2 - log p(class | z). It is sampled by a Langevin walk in the form that leaves
the standard normal prior exactly as it is where the classifier says nothing: Cotter, Roberts, Stuart & White 2013,
equation 4.13 (preconditioned Crank-Nicolson Langevin), without the accept-reject step.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.latents import latents
from pocketgan.core.rng import derive, rng
from pocketgan.steer.frozen import Frozen
from pocketgan.steer.method import Budget, Context
from pocketgan.steer.reader import Reader, fit_reader

STEPS = 60
STRIDE = 0.15  # delta of the equation; 2 would draw anew from the prior


class Energy:
    """Samples p(z | class) as a latent reader sees it."""

    def __init__(self, reader: Reader, dim: int) -> None:
        self.reader, self.dim = reader, dim

    def latents(self, labels: Tensor, start: int, seed: int) -> Tensor:
        """As `Steerer.latents`: walks that begin in the prior."""
        z = latents(derive(seed, "energy"), start, start + len(labels), self.dim)
        random = rng(seed, "energy walk", start)
        for _ in range(STEPS):
            z.requires_grad_(True)
            (slope,) = torch.autograd.grad(F.cross_entropy(self.reader(z), labels, reduction="sum"), z)
            noise = torch.randn(z.shape, generator=random)
            z = ((2 - STRIDE) * z.detach() - 2 * STRIDE * slope + (8 * STRIDE) ** 0.5 * noise) / (2 + STRIDE)
        return z

    def tensors(self) -> dict[str, Tensor]:
        """As `Steerer.tensors`."""
        return dict(self.reader.state_dict())

    def settings(self) -> dict[str, Any]:
        """As `Steerer.settings`."""
        return {}


def fit(context: Context, seed: int, budget: Budget) -> Energy:
    """Learn the latent reader."""
    return Energy(fit_reader(context, seed, budget), context.collected.dim)


def rebuild(frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Energy:
    """From what was saved."""
    reader = Reader(frozen.generator.latent_dim, frozen.classes)
    reader.load_state_dict(tensors)
    return Energy(reader.requires_grad_(False).eval(), frozen.generator.latent_dim)
