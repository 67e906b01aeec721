"""Latent vectors known by (seed, index), whatever the batch they are asked for in.

Latents are drawn in blocks of `BLOCK`, each from a generator of its own, and images are made in chunks of the same
size, padded where the last one is short. So neither the count nor the batch that a user asks for can change the bytes
that belong to one index.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pocketgan.core.rng import rng

BLOCK = 128  # latents in one block, and images in one chunk of the generator


def latents(seed: int, start: int, stop: int, dim: int) -> Tensor:
    """Latents number `start` to `stop` (excluded) of a seed: standard normal float32 ``[stop - start, dim]``."""
    if stop <= start:
        return torch.empty(0, dim)
    first, last = start // BLOCK, (stop - 1) // BLOCK
    blocks = [torch.randn(BLOCK, dim, generator=rng(seed, "latents", b)) for b in range(first, last + 1)]
    return torch.cat(blocks)[start - first * BLOCK : stop - first * BLOCK]


def balanced_labels(start: int, stop: int, classes: int) -> Tensor:
    """The label of each index when every class is wanted equally often: ``index % classes``, int64 ``[N]``."""
    return torch.arange(start, stop) % classes


def slerp(one: Tensor, other: Tensor, steps: int) -> Tensor:
    """Latents on the way between two, along the great circle: two of ``[D]`` in, ``[steps, D]`` out, ends included.

    A straight line would pass nearer to the origin than any latent the generator learned from; here direction and norm
    both change evenly. Shoemake 1985; for latents, White 2016.
    """
    lengths = one.norm(), other.norm()
    angle = torch.dot(one / lengths[0], other / lengths[1]).clamp(-1.0, 1.0).acos()
    share = torch.linspace(0.0, 1.0, steps).unsqueeze(1)
    if float(angle.sin()) < 1e-6:  # one direction: the circle is a point, or any of many
        directions = torch.lerp(one / lengths[0], other / lengths[1], share)
    else:
        first, second = ((1 - share) * angle).sin(), (share * angle).sin()
        directions = (first * one / lengths[0] + second * other / lengths[1]) / angle.sin()
    return directions * torch.lerp(lengths[0], lengths[1], share)
