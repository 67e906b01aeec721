"""Two methods about the means of classes: the latent code predictor learns them, linear directions move toward them.

The predictor (`lcp`) is as it was proposed: a one-hot class in, a latent out, learned by squared error. The mean of a
class's latents is what squared error asks for: one latent for each class, near the origin, where no latent of the
prior lies.

Directions are linear. The latents of a class differ from the rest by their mean. What a picture's slant, thickness or
width has to do with z is found by least squares among the latents of one class. Moves are kept on the shell of the
prior.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.rng import derive, latents, rng, seeded
from pocketgan.metrics.appearance import STROKES, strokes
from pocketgan.steer.guides import Frozen
from pocketgan.steer.method import Budget, Context, descend

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
        z: Tensor = self.network(F.one_hot(labels, self.classes).float())
        return z

    @torch.no_grad()
    def latents(self, labels: Tensor, start: int, seed: int) -> Tensor:
        """As `Steerer.latents`; neither index nor seed changes anything."""
        return self.predict(labels)

    def tensors(self) -> dict[str, Tensor]:
        """As `Steerer.tensors`."""
        return dict(self.network.state_dict())

    def settings(self) -> dict[str, Any]:
        """As `Steerer.settings`."""
        return {}

    @classmethod
    def fit(cls, context: Context, seed: int, budget: Budget) -> Predictor:
        """Learn from the pairs that the guide kept."""
        z, labels = context.collected.pairs()
        with seeded(seed, "lcp"):
            predictor = cls(context.frozen.classes, z.shape[1])
        random = rng(seed, "lcp batches")

        def loss(step: int) -> Tensor:
            rows = torch.randint(len(z), (BATCH,), generator=random)
            return F.mse_loss(predictor.predict(labels[rows]), z[rows])

        descend(predictor.network.parameters(), loss, budget.steps, rate=RATE, watch=context.watch)
        return predictor

    @classmethod
    def rebuild(cls, frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Predictor:
        """From what was saved."""
        predictor = cls(frozen.classes, frozen.generator.latent_dim)
        predictor.network.load_state_dict(tensors)
        return predictor


DRAWN = 20_000  # kept latents whose images are measured, at most
TRIED = 400  # latents that the strength of the class move is chosen on
STRENGTHS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # of the class move, in means of the class
SHOWN = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # standard deviations, where a direction is looked at
RIDGE = 1e-2  # of least squares, relative to the number of rows


class Directions:
    """Where classes and strokes lie.

    Parameters
    ----------
    means
        float32 ``[K, D]``: the mean of each class's latents.
    moves
        float32 ``[K, S, D]``: for each class and each of `STROKES`, the step that changes it by one standard deviation
        of its class.
    strength
        How far toward the class mean, in means, a latent of the prior is moved to become of the class.
    """

    def __init__(self, means: Tensor, moves: Tensor, strength: float) -> None:
        self.means, self.moves, self.strength = means, moves, strength
        self.basis = torch.linalg.svd(means, full_matrices=False).Vh  # [K, D], the span of the means

    def toward(self, z: Tensor, labels: Tensor, strength: float) -> Tensor:
        """Latents whose part in the span of the class means becomes that of their class, at their own norm."""
        span = self.basis
        moved = z - (z @ span.T) @ span + strength * self.means[labels]
        return _on_shell(moved, z)

    def latents(self, labels: Tensor, start: int, seed: int) -> Tensor:
        """As `Steerer.latents`: latents of the prior, moved toward their class."""
        z = latents(derive(seed, "directions"), start, start + len(labels), self.means.shape[1])
        return self.toward(z, labels, self.strength)

    def moved(self, z: Tensor, labels: Tensor, amounts: dict[str, float]) -> Tensor:
        """Latents moved along directions of their class, at their own norm.

        Parameters
        ----------
        z, labels
            float32 ``[N, D]`` and int64 ``[N]``.
        amounts
            By name, in standard deviations of the class: ``{"slant": 2.0}``.

        Raises
        ------
        UsageError
            There is no such direction.
        """
        step = torch.zeros_like(z)
        for name, amount in amounts.items():
            if name not in STROKES:
                raise UsageError(f"direction '{name}' is unknown{nearest(name, STROKES)}")
            step += amount * self.moves[labels, STROKES.index(name)]
        return _on_shell(z + step, z)

    def swept(self, z: Tensor, labels: Tensor) -> Tensor:
        """Latents ``[N, D]`` of classes ``[N]`` moved along each of `STROKES` to each of `SHOWN`: ``[S, A, N, D]``."""
        moved = [torch.stack([self.moved(z, labels, {name: amount}) for amount in SHOWN]) for name in STROKES]
        return torch.stack(moved)

    def tensors(self) -> dict[str, Tensor]:
        """As `Steerer.tensors`."""
        return {"means": self.means, "moves": self.moves}

    def settings(self) -> dict[str, Any]:
        """As `Steerer.settings`."""
        return {"strength": self.strength}

    @classmethod
    def fit(cls, context: Context, seed: int, budget: Budget) -> Directions:
        """Measure the images of kept latents, and choose the strength that the guide reads best."""
        frozen = context.frozen
        z, labels = (part[:DRAWN] for part in context.collected.pairs())
        figures = strokes(frozen.draw(z)).float()
        context.watch(0.5, f"{len(z):,} images measured")
        means = torch.zeros(frozen.classes, z.shape[1])
        moves = torch.zeros(frozen.classes, len(STROKES), z.shape[1])
        for label in context.collected.made:
            rows = labels == label
            means[label] = z[rows].mean(0)
        for label in context.collected.made:
            rows = labels == label
            moves[label] = _stroke_moves(z[rows], figures[rows], means)
        untuned = cls(means, moves, STRENGTHS[0])
        made = torch.tensor(context.collected.made)
        trial = latents(derive(seed, "directions' strength"), 0, TRIED, z.shape[1])
        wanted = made[torch.arange(TRIED) % len(made)]
        hits = [frozen.read(untuned.toward(trial, wanted, s)).argmax(1).eq(wanted).sum().item() for s in STRENGTHS]
        context.watch(1.0, "")
        return cls(means, moves, STRENGTHS[hits.index(max(hits))])

    @classmethod
    def rebuild(cls, frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Directions:
        """From what was saved."""
        return cls(tensors["means"], tensors["moves"], float(settings["strength"]))


def _on_shell(moved: Tensor, before: Tensor) -> Tensor:
    on_shell: Tensor = moved * before.norm(dim=1, keepdim=True) / moved.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return on_shell


def _stroke_moves(z: Tensor, figures: Tensor, means: Tensor) -> Tensor:
    """Steps ``[S, D]`` of one standard deviation each, by ridge regression of figures ``[M, S]`` on latents ``[M, D]``.

    Each step is at right angles to the class means, so that the class stays, and to the other regressions, so that the
    other figures stay.
    """
    spread = figures.std(0).clamp(min=1e-9)
    scaled, centred = (figures - figures.mean(0)) / spread, z - z.mean(0)
    square = centred.T @ centred + RIDGE * len(z) * torch.eye(z.shape[1])
    slopes = torch.linalg.solve(square, centred.T @ scaled).T  # [S, D]: change of each figure for a step in z
    span = torch.linalg.svd(means[means.norm(dim=1) > 0], full_matrices=False).Vh
    free = slopes - (slopes @ span.T) @ span
    steps = torch.zeros_like(free)
    for row in range(len(free)):
        others = torch.linalg.qr(torch.cat([free[:row], free[row + 1 :]]).T).Q
        along = free[row] - others @ (others.T @ free[row])
        gain = torch.dot(along, slopes[row]).clamp(min=1e-6)
        steps[row] = along / gain
    return steps
