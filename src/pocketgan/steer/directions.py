"""Linear directions in z: for the classes, and within a class for what can be measured of a stroke.

The latents of a class differ from the rest by their mean; what a picture's slant, thickness or width has to do with z
is found by least squares among the latents of one class. Moves are kept on the shell of the prior.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.latents import latents
from pocketgan.core.rng import derive
from pocketgan.metrics.strokes import STROKES, strokes
from pocketgan.steer.frozen import Frozen
from pocketgan.steer.method import Budget, Context

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


def _on_shell(moved: Tensor, before: Tensor) -> Tensor:
    on_shell: Tensor = moved * before.norm(dim=1, keepdim=True) / moved.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return on_shell


def fit(context: Context, seed: int, budget: Budget) -> Directions:
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
    found = Directions(means, moves, STRENGTHS[0])
    made = torch.tensor(context.collected.made)
    trial = latents(derive(seed, "directions' strength"), 0, TRIED, z.shape[1])
    wanted = made[torch.arange(TRIED) % len(made)]
    hits = [frozen.read(found.toward(trial, wanted, s)).argmax(1).eq(wanted).sum().item() for s in STRENGTHS]
    context.watch(1.0, "")
    return Directions(means, moves, STRENGTHS[hits.index(max(hits))])


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


def rebuild(frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Directions:
    """From what was saved."""
    return Directions(tensors["means"], tensors["moves"], float(settings["strength"]))
