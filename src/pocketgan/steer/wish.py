"""What is wanted of a steered model: whether a fitted method can give it, and how its latents are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.rng import derive
from pocketgan.models.saved import weights_digest
from pocketgan.steer.directions import Directions
from pocketgan.steer.fits import METHODS, FitFacts, Fitted
from pocketgan.steer.guides import Frozen
from pocketgan.steer.method import Steerer, missing_line


class Wish(NamedTuple):
    """What is wanted of a steered model.

    Attributes
    ----------
    label
        The class of all images; None for classes in turn.
    balanced
        Let the classes take turns on an unconditional model too.
    method
        A fitted one; None for the best fitted.
    checked
        Whether the guide looks at the images, and what it reads as another class is drawn once more.
    moves
        Directions by name, in standard deviations of the class.
    """

    label: int | None = None
    balanced: bool = False
    method: str | None = None
    checked: bool = False
    moves: Mapping[str, float] | None = None

    @property
    def for_class(self) -> bool:
        """Whether images of classes are wanted, so that an unconditional model has to be steered."""
        return self.label is not None or self.balanced


def check_wish(wish: Wish, facts: FitFacts, names: Sequence[str], stop: int) -> None:
    """Refuse what the method cannot give.

    Parameters
    ----------
    wish
        What is wanted.
    facts
        Of the fitted method.
    names
        Of the classes.
    stop
        Index after the last image that will be asked for.

    Raises
    ------
    UsageError
        There is no such class, the generator does not make it, or a finite method does not hold as many.
    """
    classes = len(names)
    if wish.label is not None and not 0 <= wish.label < classes:
        raise UsageError(f"class {wish.label} is outside the classes 0 to {classes - 1} of this model")
    for label in range(classes) if wish.label is None else [wish.label]:
        kept = facts.kept[label]
        if label not in facts.made:
            raise UsageError(missing_line(names[label], kept, facts.latents))
        needed = stop if wish.label is not None else (stop + classes - 1 - label) // classes
        if METHODS[facts.method].finite and needed > kept:
            raise UsageError(
                f"the {facts.method} holds {kept:,} latents of class {names[label]} and gives none twice; "
                f"ask for fewer than {needed:,}, collect more with --latents, or fit flow"
            )


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
    if wish.checked or METHODS[fitted.facts.method].asks_guide:
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
