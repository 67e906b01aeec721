"""What a method is: it is fitted once, and then turns classes into latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from pocketgan.steer.collect import Collected
from pocketgan.steer.frozen import Frozen


class Budget(NamedTuple):
    """How much a fit may take."""

    latents: int = 200_000  # drawn and read by the guide
    steps: int = 1000  # of training, for each network that a method learns


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

    def tensors(self) -> dict[str, Tensor]:
        """What it has learned, for a safetensors file."""

    def settings(self) -> dict[str, Any]:
        """The rest of it, as JSON."""


class Method(NamedTuple):
    """One row of the table of methods."""

    fit: Callable[[Context, int, Budget], Steerer]  # (context, seed, budget)
    rebuild: Callable[[Frozen, dict[str, Tensor], dict[str, Any]], Steerer]  # from tensors and settings
    about: str
    finite: bool = False  # gives each latent that was kept once, and then no more
