"""The latent code predictor, as it was proposed: a one-hot class in, a latent out, learned by squared error.

It learns the mean of a class's latents, because the mean is what squared error asks for: one latent for each class, and
one near the origin, where no latent of the prior lies.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.rng import rng, seeded
from pocketgan.steer.descent import descend
from pocketgan.steer.frozen import Frozen
from pocketgan.steer.method import Budget, Context

HIDDEN = 256
BATCH = 256
RATE = 1e-3


class Predictor:
    """A one-hot class ``[K]`` to a latent ``[D]``, through one hidden layer."""

    def __init__(self, classes: int, dim: int) -> None:
        self.classes, self.dim = classes, dim
        self.network = nn.Sequential(nn.Linear(classes, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, dim))

    def predict(self, labels: Tensor) -> Tensor:
        """Classes int64 ``[N]`` to latents ``[N, D]``."""
        found: Tensor = self.network(F.one_hot(labels, self.classes).float())
        return found

    @torch.no_grad()
    def latents(self, labels: Tensor, start: int, seed: int) -> Tensor:
        """As `Steerer.latents`; neither place nor seed changes anything."""
        return self.predict(labels)

    def tensors(self) -> dict[str, Tensor]:
        """As `Steerer.tensors`."""
        return dict(self.network.state_dict())

    def settings(self) -> dict[str, Any]:
        """As `Steerer.settings`."""
        return {}


def fit(context: Context, seed: int, budget: Budget) -> Predictor:
    """Learn from the pairs that the guide kept."""
    z, labels = context.collected.pairs()
    with seeded(seed, "lcp"):
        predictor = Predictor(context.frozen.classes, z.shape[1])
    random = rng(seed, "lcp batches")

    def loss(step: int) -> Tensor:
        rows = torch.randint(len(z), (BATCH,), generator=random)
        return F.mse_loss(predictor.predict(labels[rows]), z[rows])

    descend(predictor.network.parameters(), loss, budget.steps, rate=RATE, watch=context.watch)
    return predictor


def rebuild(frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Predictor:
    """From what was saved."""
    predictor = Predictor(frozen.classes, frozen.generator.latent_dim)
    predictor.network.load_state_dict(tensors)
    return predictor
