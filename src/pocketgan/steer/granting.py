"""How the latents of a wish are made: by its method, drawn once more where the guide disagrees, moved as asked."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.core.rng import derive
from pocketgan.models.saved import weights_digest
from pocketgan.steer.directions import Directions
from pocketgan.steer.frozen import Frozen
from pocketgan.steer.method import Steerer
from pocketgan.steer.stored import Fitted
from pocketgan.steer.wish import Wish

NEEDS_GUIDE = ("search",)  # methods that ask the guide whenever they are used


def granted(wish: Wish, fitted: Fitted, frozen: Frozen, mover: Steerer | None) -> Callable[[Tensor, int, int], Tensor]:
    """From labels int64 ``[BLOCK]``, the block's start and a seed to latents float32 ``[BLOCK, D]``.

    Parameters
    ----------
    wish
        What is wanted, and was found to be possible.
    fitted
        The method.
    frozen
        The generator beside its guide.
    mover
        The fitted directions, where the wish has moves.

    Raises
    ------
    PocketganError
        The guide is needed, and is another than that of the fit.
    """
    if wish.checked or fitted.facts.method in NEEDS_GUIDE:
        _check_guide(frozen, fitted)

    def latents(labels: Tensor, start: int, seed: int) -> Tensor:
        z = fitted.steerer.latents(labels, start, seed)
        if wish.checked:
            wrong = frozen.read(z).argmax(1) != labels
            again = fitted.steerer.latents(labels, start, derive(seed, "once more"))
            z = torch.where(wrong.unsqueeze(1), again, z)
        if mover is not None:
            assert isinstance(mover, Directions)
            z = mover.moved(z, labels, dict(wish.moves or {}))
        return z

    return latents


def _check_guide(frozen: Frozen, fitted: Fitted) -> None:
    if weights_digest(frozen.guide.network) != fitted.facts.guide:
        raise PocketganError(
            f"{frozen.name}: {fitted.facts.method} was fitted with another guide than the one at hand; give that one "
            "with --guide, or fit it again"
        )
