"""What is wanted of a steered model, and whether a fitted method can give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pocketgan.core.errors import UsageError
from pocketgan.steer.collect import missing_line
from pocketgan.steer.stored import Facts
from pocketgan.steer.table import METHODS


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


def check_wish(wish: Wish, facts: Facts, names: Sequence[str], stop: int) -> None:
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
