"""What methods share: latents that the guide has read, what a method is, and the training loop of small networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from pocketgan.core.cache import cached
from pocketgan.core.errors import UsageError
from pocketgan.core.rng import BLOCK, derive, latents
from pocketgan.metrics.labels import ErrorRate, wilson_interval
from pocketgan.models.saved import weights_digest
from pocketgan.steer.guides import Frozen

SURE = 0.99  # the guide's probability from which a latent is kept
FEWEST = 10  # latents kept of a class, from which it counts as made
READ_AT_ONCE = 16 * BLOCK


@dataclass(frozen=True, eq=False)
class Collected:
    """Latents from the prior and what the guide reads in their images.

    Attributes
    ----------
    seed
        They are ``latents(seed, 0, N)``.
    z
        The latents, float32 ``[N, D]``.
    probabilities
        The guide's, float32 ``[N, K]``.
    seconds
        CPU time that drawing and reading took, whenever that was.
    """

    seed: int
    z: Tensor
    probabilities: Tensor
    seconds: float

    @property
    def dim(self) -> int:
        """Length of a latent."""
        return self.z.shape[1]

    @cached_property
    def labels(self) -> Tensor:
        """The class that the guide reads, int64 ``[N]``."""
        return self.probabilities.argmax(1)

    @cached_property
    def kept(self) -> Tensor:
        """Where the guide is sure of it: bool ``[N]``."""
        return self.probabilities.amax(1) >= SURE

    @cached_property
    def counts(self) -> list[int]:
        """How many latents are kept of each class."""
        return torch.bincount(self.labels[self.kept], minlength=self.probabilities.shape[1]).tolist()

    @property
    def made(self) -> list[int]:
        """The classes that the generator makes: at least `FEWEST` latents are kept."""
        return [label for label, count in enumerate(self.counts) if count >= FEWEST]

    def acceptance(self) -> list[ErrorRate]:
        """The share of all latents that are kept for each class, counted, with its Wilson interval."""
        return [
            ErrorRate(count, len(self), count / len(self), *wilson_interval(count, len(self))) for count in self.counts
        ]

    def pairs(self) -> tuple[Tensor, Tensor]:
        """The kept latents ``[M, D]`` with their classes ``[M]``."""
        return self.z[self.kept], self.labels[self.kept]

    def __len__(self) -> int:
        return len(self.probabilities)


def collect(
    frozen: Frozen, count: int, seed: int, watch: Callable[[float, str], None] = lambda done, note: None
) -> Collected:
    """Read `count` latents, or take from the cache what was read before.

    Parameters
    ----------
    frozen
        The generator and the guide.
    count
        Latents to draw.
    seed
        Of the latents; other than those of samples with the same seed.
    watch
        Told the share that is done, and a note.

    Raises
    ------
    UsageError
        The guide is sure of hardly any image.
    """
    own = derive(seed, "collected latents")
    dim = frozen.generator.latent_dim

    def read() -> dict[str, Tensor]:
        began, parts = time.process_time(), []
        for start in range(0, count, READ_AT_ONCE):
            stop = min(count, start + READ_AT_ONCE)
            parts.append(frozen.read(latents(own, start, stop, dim)))
            watch(stop / count, f"{stop:,} read")
        seconds = torch.tensor(time.process_time() - began, dtype=torch.float64)
        return {"probabilities": torch.cat(parts), "seconds": seconds}

    networks = weights_digest(frozen.generator), weights_digest(frozen.guide.network), frozen.guide.device.type
    readings = cached(f"collected {networks} {own} {count}", read)
    z = latents(own, 0, count, dim)
    collected = Collected(own, z, readings["probabilities"], float(readings["seconds"]))
    if not collected.made:
        raise UsageError(
            f"{frozen.name}: the guide is sure of hardly any of {count:,} images, so no class can be asked for; "
            "train the generator longer, or collect more with --latents"
        )
    return collected


def missing_line(label: str, kept: int, drawn: int) -> str:
    """What to say of a class that the generator does not make."""
    return (
        f"class {label} is not made by this generator: the guide is sure of {kept} of {drawn:,} images; "
        "train it longer or with another seed, or collect more with --latents"
    )


class Budget(NamedTuple):
    """How much a fit may take."""

    latents: int  # drawn and read by the guide
    steps: int  # of training, for each network that a method learns
    width: int  # of the hidden layers of the network that reads latents


@dataclass(frozen=True, eq=False)
class Context:
    """What a method is fitted from.

    Attributes
    ----------
    frozen
        The generator and the guide.
    collected
        Latents that the guide has read.
    watch
        Told the share that is done, and a note.
    """

    frozen: Frozen
    collected: Collected
    watch: Callable[[float, str], None] = lambda done, note: None


class Steerer(Protocol):
    """A fitted method."""

    def latents(self, labels: Tensor, start: int, seed: int) -> Tensor:
        """Latents of one block.

        Parameters
        ----------
        labels
            int64 ``[BLOCK]``: the class wanted at each index; all the same, or index modulo K.
        start
            Index of the first; a multiple of `BLOCK`.
        seed
            Block and seed decide every number that is drawn.

        Returns
        -------
        Tensor
            float32 ``[BLOCK, D]``.
        """

    @classmethod
    def fit(cls, context: Context, seed: int, budget: Budget) -> Steerer:
        """Learn from what was collected."""

    @classmethod
    def rebuild(cls, frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Steerer:
        """From what `tensors` and `settings` gave."""

    def tensors(self) -> dict[str, Tensor]:
        """What it has learned, for a safetensors file."""

    def settings(self) -> dict[str, Any]:
        """The rest of it, as JSON."""


class Method(NamedTuple):
    """One row of the table of methods."""

    steerer: type[Steerer]
    about: str
    finite: bool = False  # gives each latent that was kept once, and then no more
    asks_guide: bool = False  # reads images with the guide whenever it is used


WARM_UP = 50  # steps
MOST_GRADIENT = 5.0  # norm at which gradients are cut
WATCH_EVERY = 20  # steps


def descend(
    parameters: Iterable[nn.Parameter],
    loss_at: Callable[[int], Tensor],
    steps: int,
    *,
    rate: float,
    decay: float = 0.0,
    watch: Callable[[float, str], None] = lambda done, note: None,
) -> None:
    """AdamW with a short warm-up and a rate that falls to nothing.

    Parameters
    ----------
    parameters
        What is learned.
    loss_at
        From the number of a step to its loss.
    steps
        How many.
    rate, decay
        The highest rate, and the weight decay.
    watch
        Told the share that is done, and the loss.
    """
    learned = list(parameters)
    optimizer = torch.optim.AdamW(learned, rate, weight_decay=decay, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP) * (1.0 - step / steps)
        loss = loss_at(step)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, MOST_GRADIENT)
        optimizer.step()
        if step % WATCH_EVERY == 0 or step + 1 == steps:
            watch((step + 1) / steps, f"loss {float(loss.detach()):.3f}")
