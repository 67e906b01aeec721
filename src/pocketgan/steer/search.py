"""Gradient descent through the frozen generator: from a latent toward a class, and from a picture to its latent.

In high dimensions the prior's latents lie near a shell of radius sqrt(D). The search keeps each latent's own norm, so
that norms are exactly those of the prior; without that, it leaves for places where the generator was never trained.
The inversion stays inside the ball of the prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import to_bytes, to_floats, to_unit
from pocketgan.core.rng import derive, latents
from pocketgan.networks.contracts import Generator
from pocketgan.steer.guides import Frozen
from pocketgan.steer.method import SURE, Budget, Context

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
            points = z[walking].requires_grad_(True)
            losses = F.nll_loss(self.frozen.log_probabilities(points), target[walking], reduction="none")
            (slope,) = torch.autograd.grad(losses.sum(), points)
            unsure = losses.detach().cpu() > -math.log(SURE)
            walking, points, slope = walking[unsure], points.detach()[unsure], slope[unsure]
            if not len(walking):
                break
            norms = points.norm(dim=1, keepdim=True)
            slope = slope - (slope * points).sum(1, keepdim=True) * points / norms.square()  # along the sphere
            stride = STRIDE * (1 - step / STEPS) * norms / slope.norm(dim=1, keepdim=True).clamp(min=1e-12)
            moved = points - stride * slope
            z[walking] = moved * norms / moved.norm(dim=1, keepdim=True)
        return z

    def tensors(self) -> dict[str, Tensor]:
        """As `Steerer.tensors`: it has learned nothing."""
        return {}

    def settings(self) -> dict[str, Any]:
        """As `Steerer.settings`."""
        return {}

    @classmethod
    def fit(cls, context: Context, seed: int, budget: Budget) -> Search:
        """There is nothing to fit."""
        return cls(context.frozen)

    @classmethod
    def rebuild(cls, frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Search:
        """From what was saved."""
        return cls(frozen)


LOOKED_AT = 2048  # latents of the prior among whose images starts are chosen
STARTS = 4
INVERSION_STEPS = 200
LOOKS = 10  # at the descent
RATE = 0.1
BEYOND = 2.0  # how far over sqrt(D) a norm may go; the prior's has a standard deviation of about 0.7


class Inversion(NamedTuple):
    """What was found for each picture.

    Attributes
    ----------
    latents
        float32 ``[N, D]``.
    images
        What the generator makes of them, uint8 ``[N, C, H, W]``.
    errors
        Root mean square difference of the pixels, in [0, 1], float32 ``[N]``.
    labels
        The class that a conditional generator is asked for, int64 ``[N]``; None for others.
    """

    latents: Tensor
    images: Tensor
    errors: Tensor
    labels: Tensor | None = None


def invert(
    generator: Generator,
    draw: Callable[[Tensor, Tensor | None], Tensor],
    pictures: Tensor,
    *,
    classes: Sequence[int] = (),
    seed: int = 0,
    watch: Callable[[float, str], None] = lambda done, note: None,
    look: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Inversion:
    """The latents whose images come nearest to pictures, by squared error of the pixels.

    Parameters
    ----------
    generator
        In evaluation mode.
    draw
        From latents ``[N, D]`` and labels to images uint8 ``[N, C, H, W]``, as the model itself makes them.
    pictures
        uint8 ``[N, C, H, W]``, of the generator's size.
    classes
        That a conditional generator may be asked for; the nearest starts decide which of them it is.
    seed
        Of the latents that starts are chosen from: for each picture those whose images are nearest.
    watch
        Told the share that is done, and a note.
    look
        Shown the descent at each tenth of its steps: the step from 0, for each picture the image that is nearest so
        far, uint8 ``[N, C, H, W]`` and unpadded, and its error.

    Raises
    ------
    UsageError
        The pictures have another size.
    """
    dim = generator.latent_dim
    pool = latents(derive(seed, "inversion"), 0, LOOKED_AT, dim)
    asked = torch.tensor(classes)[torch.arange(LOOKED_AT) % len(classes)] if classes else None
    drawn = draw(pool, asked)
    if drawn.shape[1:] != pictures.shape[1:]:
        raise UsageError(f"the generator makes pictures {list(drawn.shape[1:])}, not {list(pictures.shape[1:])}")
    target = to_floats(pictures, "unit")
    apart = torch.cdist(target.flatten(1), to_floats(drawn, "unit").flatten(1))
    starts = apart.topk(STARTS, largest=False).indices.flatten()  # [N * STARTS]
    labels = None if asked is None else asked[starts]
    z = _descend(generator, pool[starts], labels, target.repeat_interleave(STARTS, 0), watch, look)
    images = draw(z, labels).view(len(pictures), STARTS, *pictures.shape[1:])
    errors = (to_floats(images, "unit") - target.unsqueeze(1)).flatten(2).square().mean(2).sqrt()
    best, rows = errors.argmin(1), torch.arange(len(pictures))
    chosen = None if labels is None else labels.view(-1, STARTS)[rows, best]
    return Inversion(z.view(-1, STARTS, dim)[rows, best], images[rows, best], errors[rows, best], chosen)


def _descend(
    generator: Generator,
    z: Tensor,
    labels: Tensor | None,
    goals: Tensor,
    watch: Callable[[float, str], None],
    look: Callable[[int, Tensor, Tensor], None] | None,
) -> Tensor:
    device = next(generator.parameters()).device
    goals, y = goals.to(device), None if labels is None else labels.to(device)
    z = z.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], RATE)
    longest = z.shape[1] ** 0.5 + BEYOND
    for step in range(INVERSION_STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / INVERSION_STEPS)
        made = to_unit(generator(z.to(device), y), generator.pixels)
        losses = (made - goals).square().flatten(1).mean(1)
        if look is not None and step % (INVERSION_STEPS // LOOKS) == 0:
            errors, best = losses.detach().sqrt().view(-1, STARTS).min(1)
            nearest = made.detach().view(-1, STARTS, *made.shape[1:])[torch.arange(len(best)), best]
            look(step, to_bytes(nearest, "unit").cpu(), errors.cpu())
        loss = losses.sum()
        (z.grad,) = torch.autograd.grad(loss, [z])
        optimizer.step()
        with torch.no_grad():
            z *= (longest / z.norm(dim=1, keepdim=True)).clamp(max=1.0)
        watch((step + 1) / INVERSION_STEPS, f"error {float(loss.detach()) / len(z):.4f}")
    return z.detach()
