"""Random numbers as a pure function of a seed and of what they are for, and the latents that are drawn so.

Every draw in the program comes from a random generator made here for one purpose and one step of the run, for example
``rng(seed, "latents", rank, nimg)``. A resumed run asks for the same ones and so draws the same numbers.

Latents are known by (seed, index), whatever the batch they are asked for in: they are drawn in blocks of `BLOCK`, and
images are made in chunks of the same size. So neither the count nor the batch that a user asks for can change the bytes
that belong to one index.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose: the BLAKE2b hash of `seed` and the words and counters after it."""
    digest = hashlib.blake2b(repr((int(seed), *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def rng(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator for one purpose.

    Without a `device` the CPU draws, and a training on a GPU gets the same numbers as one on the CPU. Where the numbers
    are drawn on a GPU, they are a function of the same seed and purpose, and others than the CPU's.
    """
    return torch.Generator(device).manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seed the global random generators inside the block (initialisation, dropout), and restore them after.

    They are the CPU's, and those of all CUDA and MPS devices that are in use when the block begins.
    """
    found = _global_rngs()
    before = [random.get_state() for random in found]
    try:
        for random in found:
            random.manual_seed(derive(seed, *purpose))
        yield
    finally:
        for random, state in zip(found, before, strict=True):
            random.set_state(state)


def _global_rngs() -> list[torch.Generator]:
    """What layers draw from that are given no random generator. A device that nobody uses is not woken for it."""
    found = [torch.default_generator]
    if torch.cuda.is_initialized():
        found.extend(torch.cuda.default_generators)
    if torch.backends.mps.is_available():
        found.append(torch.mps._get_default_mps_generator())
    return found


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
