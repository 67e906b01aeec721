"""What images are asked for, in words that another process understands, and the model that makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pocketgan.core.errors import UsageError
from pocketgan.data.image_set import Samples
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model, labelled
from pocketgan.models.saved import weights_digest
from pocketgan.runs.folder import MODEL
from pocketgan.scorecard.card import kept_card
from pocketgan.steer.wish import Wish
from pocketgan.writers.places import Place
from pocketgan.writers.sharded import ShardSet


@dataclass(frozen=True)
class Order:
    """What is asked for: the parameters of `api.generate` that decide about the images and their files."""

    model: Model | str | Path
    count: int
    label: int | str | None
    balanced: bool
    seed: int
    formats: tuple[str, ...]
    test_share: float | None
    classifier: Classifier | str | Path | None
    method: str | None
    checked: bool
    moves: tuple[tuple[str, float], ...]
    device: str

    def for_others(self) -> Order:
        """The same for another process: model and classifier by folders that it can find.

        Raises
        ------
        UsageError
            One of them lies in no folder, or a GPU is asked for.
        """
        if self.device not in ("auto", "cpu"):
            raise UsageError(f"--device {self.device}: Ray's tasks compute on processors; leave it out")
        return replace(self, model=_whereabouts(self.model), classifier=_whereabouts(self.classifier), device="cpu")


def _whereabouts(given: Any) -> Any:
    """A folder's full path, or a shipped model's name; None stays None."""
    if isinstance(given, Model | Classifier):
        folder = getattr(given, "folder", None)
        if folder is None:
            raise UsageError("Ray's tasks load what they need: save it, and give its folder")
        given = folder
    return str(Path(given).absolute()) if given is not None and Path(given).exists() else given


class Opened:
    """A model that stands ready to make what was ordered."""

    def __init__(self, order: Order) -> None:
        model, classifier = order.model, order.classifier
        self.order, self.source = order, model if isinstance(model, Model) else Model.load(model, order.device)
        source = self.source
        if classifier is not None and source.conditional:
            raise UsageError(
                f"--classifier: {source.recipe.name} is asked for classes, which are the labels; leave it out"
            )
        if isinstance(classifier, str | Path):
            classifier = Classifier.load(classifier, str(source.device))
        self.classifier = classifier
        self.steered = not source.conditional and (order.balanced or order.label is not None)
        if self.steered:
            source.steer.guided_by(classifier)
        chosen = None if order.label is None else source.class_index(order.label, order.method)
        self.wish = Wish(chosen, order.balanced, order.method, order.checked, dict(order.moves))

    def parts(self, start: int, stop: int) -> Iterator[Samples]:
        """The images of indices `start` to `stop` (excluded)."""
        found = self.source.stream(stop - start, self.wish, seed=self.order.seed, start=start)
        return found if self.steered else labelled(found, self.source, self.classifier)

    @property
    def steered_by(self) -> str | None:
        """The method that steers, where one does."""
        return self.source.steer.fitted(self.order.method).facts.method if self.steered else None

    @property
    def scores(self) -> str:
        """What is known of how good the model is: of a run, which may have been scored."""
        folder = self.source.folder
        card = kept_card(folder.parent) if folder is not None and folder.name == MODEL else None
        return "" if card is None else card.verdict

    @cached_property
    def made(self) -> dict[str, Any]:
        """What makes the images, as JSON has it."""
        return {
            "model": weights_digest(self.source.generator),
            "seed": self.order.seed,
            "class": self.wish.label,
            "balanced": self.wish.balanced,
            "method": self.wish.method,
            "checked": self.wish.checked,
            "moves": dict(self.order.moves),
            "classifier": None if self.classifier is None else weights_digest(self.classifier.network),
        }

    def shard_set(self, place: Place, of: int) -> ShardSet:
        """The set of these images in shards."""
        order = self.order
        return ShardSet(
            place, order.count, of, order.formats, self.made, test_share=order.test_share, scores=self.scores
        )
