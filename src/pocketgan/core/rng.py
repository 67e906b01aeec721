"""Randomness as a pure function of a seed and of what it is for, so that nothing hidden has to be stored.

Every draw in the program comes from a generator made here for one purpose and one place in the run, for example
``rng(seed, "latents", rank, nimg)``. A resumed run asks for the same generators and so draws the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
