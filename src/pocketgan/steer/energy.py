"""The latent reader, which learns what the guide would read, and a method that walks on the energy it gives.

LACE's idea (Nie, Vahdat & Anandkumar 2021): a classifier of latents gives an energy, and its density is sampled. The
energy of z for a class is |z|^2 / 2 - log p(class | z). It is sampled by a Langevin walk in the form that leaves
the standard normal prior exactly as it is where the classifier says nothing: Cotter, Roberts, Stuart & White 2013,
equation 4.13 (preconditioned Crank-Nicolson Langevin), without the accept-reject step.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.rng import derive, latents, rng, seeded
from pocketgan.steer import MOST_WIDTH
from pocketgan.steer.guides import Frozen
from pocketgan.steer.method import Budget, Collected, Context, descend

BATCH = 512
RATE, DECAY = 2e-3, 0.05
LADDER = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  # certainties that a sieve may ask for
PURE = 0.9  # share of passing latents that the guide must be sure of


class Reader(nn.Module):
    """Latents ``[N, D]`` to class logits ``[N, K]``: three hidden layers of `width` units with SiLU."""

    def __init__(self, dim: int, classes: int, width: int) -> None:
        super().__init__()
        hidden = [layer for _ in range(2) for layer in (nn.Linear(width, width), nn.SiLU())]
        self.layers = nn.Sequential(nn.Linear(dim, width), nn.SiLU(), *hidden, nn.Linear(width, classes))

    @classmethod
    def rebuild(cls, dim: int, classes: int, tensors: dict[str, Tensor]) -> Reader:
        """From its weights, which tell its width.

        Raises
        ------
        KeyError, RuntimeError, ValueError
            They are no reader's.
        """
        width = len(tensors["layers.0.weight"])
        if width > MOST_WIDTH:
            raise ValueError(f"{width} units in a layer, more than {MOST_WIDTH}")
        reader = cls(dim, classes, width)
        reader.load_state_dict(tensors)
        return reader.requires_grad_(False).eval()

    def forward(self, z: Tensor) -> Tensor:
        logits: Tensor = self.layers(z)
        return logits

    def certainty(self, z: Tensor, labels: Tensor) -> Tensor:
        """The probability of the class wanted, ``[N]``."""
        certainty: Tensor = self(z).softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)
        return certainty


def passing(reader: Reader, collected: Collected) -> float:
    """The certainty from which nearly all latents that pass are ones that the guide would keep.

    The lowest of `LADDER` where at least `PURE` of the passing held-out latents were kept; the highest where none does.
    """
    rows = slice(held_out(collected), None)
    with torch.no_grad():
        certainty, read = reader(collected.z[rows]).softmax(1).max(1)
    good = collected.kept[rows] & (collected.labels[rows] == read)
    for least in LADDER:
        passes = certainty >= least
        if bool(passes.any()) and float(good[passes].float().mean()) >= PURE:
            return least
    return LADDER[-1]


def held_out(collected: Collected) -> int:
    """Index from which collected latents are held out: the last tenth."""
    return max(1, len(collected) - len(collected) // 10)


def fit_reader(context: Context, seed: int, budget: Budget) -> Reader:
    """Learn the guide's probabilities of the collected latents, but for those held out: Hinton et al. 2015.

    Sure and unsure ones alike: where the generator's images are hard to read, the reader has to know it.
    """
    learned = held_out(context.collected)
    z, probabilities = context.collected.z[:learned], context.collected.probabilities[:learned]
    with seeded(seed, "reader"):
        reader = Reader(z.shape[1], context.frozen.classes, budget.width)
    random = rng(seed, "reader batches")

    def loss(step: int) -> Tensor:
        rows = torch.randint(len(z), (BATCH,), generator=random)
        return F.cross_entropy(reader(z[rows]), probabilities[rows])

    descend(reader.parameters(), loss, budget.steps, rate=RATE, decay=DECAY, watch=context.watch)
    return reader.requires_grad_(False).eval()


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

    @classmethod
    def fit(cls, context: Context, seed: int, budget: Budget) -> Energy:
        """Learn the latent reader."""
        return cls(fit_reader(context, seed, budget), context.collected.dim)

    @classmethod
    def rebuild(cls, frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Energy:
        """From what was saved."""
        dim = frozen.generator.latent_dim
        return cls(Reader.rebuild(dim, frozen.classes, tensors), dim)
