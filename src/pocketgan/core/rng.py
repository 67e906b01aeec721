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


def rng(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose. Drawing on the CPU gives the same numbers whatever the device."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seed the CPU's global generator inside the block (initialisation, dropout), and restore it after."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, *purpose))
        yield
