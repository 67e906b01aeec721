"""From a picture to the nearest latent: gradient descent from several starts, inside the ball of the prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.latents import latents
from pocketgan.core.pixels import to_floats
from pocketgan.core.rng import derive
from pocketgan.steer.frozen import Frozen

LOOKED_AT = 2048  # latents of the prior among whose images starts are chosen
STARTS = 4
STEPS = 200
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
    """

    latents: Tensor
    images: Tensor
    errors: Tensor


def invert(
    frozen: Frozen, pictures: Tensor, seed: int = 0, watch: Callable[[float, str], None] = lambda done, note: None
) -> Inversion:
    """The latents whose images come nearest to pictures, by squared error of the pixels.

    Parameters
    ----------
    frozen
        The generator; the guide is not asked.
    pictures
        uint8 ``[N, C, H, W]``, of the generator's size.
    seed
        Of the latents that starts are chosen from: for each picture those whose images are nearest.
    watch
        Told the share that is done, and a note.

    Raises
    ------
    UsageError
        The pictures have another size.
    """
    dim = frozen.generator.latent_dim
    pool = latents(derive(seed, "inversion"), 0, LOOKED_AT, dim)
    drawn = frozen.draw(pool)
    if drawn.shape[1:] != pictures.shape[1:]:
        raise UsageError(f"the generator makes pictures {list(drawn.shape[1:])}, not {list(pictures.shape[1:])}")
    target = to_floats(pictures, "unit")
    apart = torch.cdist(target.flatten(1), to_floats(drawn, "unit").flatten(1))
    begin = pool[apart.topk(STARTS, largest=False).indices]  # [N, STARTS, D]
    goals = target.repeat_interleave(STARTS, 0).to(frozen.guide.device)
    z = _descend(frozen, begin.flatten(0, 1), goals, watch).view(len(pictures), STARTS, dim)
    images = frozen.draw(z.flatten(0, 1)).view(len(pictures), STARTS, *pictures.shape[1:])
    errors = (to_floats(images, "unit") - target.unsqueeze(1)).flatten(2).square().mean(2).sqrt()
    best, rows = errors.argmin(1), torch.arange(len(pictures))
    return Inversion(z[rows, best], images[rows, best], errors[rows, best])


def _descend(frozen: Frozen, z: Tensor, goals: Tensor, watch: Callable[[float, str], None]) -> Tensor:
    z = z.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], RATE)
    longest = z.shape[1] ** 0.5 + BEYOND
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        loss = (frozen.pictures(z) - goals).square().flatten(1).mean(1).sum()
        (z.grad,) = torch.autograd.grad(loss, [z])
        optimizer.step()
        with torch.no_grad():
            z *= (longest / z.norm(dim=1, keepdim=True)).clamp(max=1.0)
        watch((step + 1) / STEPS, f"error {float(loss.detach()) / len(z):.4f}")
    return z.detach()
