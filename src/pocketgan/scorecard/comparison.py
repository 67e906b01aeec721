"""Scorecards side by side: checked to be of one kind, and compared as far as their intervals allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import hypot
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel

from pocketgan.core.errors import UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.models.model import Model
from pocketgan.scorecard.card import FaultFacts, Interval, Score, Scorecard, SetFacts, kept_card
from pocketgan.scorecard.figures import METRICS, protocol_name


class Standing(Interval):
    """One subject's value of a metric; `best` where it is in the group that `best_group` tells."""

    saturated: bool
    best: bool


class Row(BaseModel, frozen=True):
    """One metric of every subject, in the subjects' order; None where it was not measured."""

    metric: str
    floor: Interval
    places: list[Standing | None]


class Compared(BaseModel, frozen=True):
    """One subject: what it is called here, and what its scorecard says of it."""

    name: str
    images: SetFacts
    made_by: dict[str, Any]
    labels: Literal["asked", "given", "none"]
    faults: list[FaultFacts]
    verdict: str


class Comparison(BaseModel, frozen=True):
    """Everything that `comparison.json` holds. `metrics` is by names with their protocol, such as ``fd_judge_10k``."""

    format_version: Literal[1] = 1
    count: int  # the N that all of them were scored with
    judge: dict[str, str]  # version and digest
    reference: SetFacts
    floor: SetFacts
    subjects: list[Compared]
    metrics: dict[str, Row]


class Entry(NamedTuple):
    """A scorecard, and what the user called its subject: a path, or a name."""

    source: str
    card: Scorecard


def title_of(card: Scorecard) -> str:
    """What a scorecard's subject is called: recipe and training seed of a model, else the name of the images."""
    made_by = card.made_by
    known = "recipe" in made_by and "seed" in made_by
    return f"{made_by['recipe']}, seed {made_by['seed']}" if known else card.subject.name


Subject: TypeAlias = Model | ImageSet | str | Path


def compare_subjects(subjects: Sequence[Subject], scored: Callable[[Subject], Scorecard]) -> Comparison:
    """Lay scorecards side by side: those that lie in folders, and of other subjects what `scored` gives.

    Nothing is scored before those that there are were found to compare.

    Raises
    ------
    UsageError
        Fewer than two subjects; or judge, real images or N differ.
    PocketganError
        A scorecard is damaged.
    """
    if len(subjects) < 2:
        raise UsageError("compare needs two subjects or more: runs, models, images or folders of `evaluate --out`")
    kept = [None if isinstance(subject, Model | ImageSet) else kept_card(subject) for subject in subjects]
    sources = [_source(subject) for subject in subjects]
    refuse_mixed([Entry(source, card) for source, card in zip(sources, kept, strict=True) if card])
    cards = [card or scored(subject) for subject, card in zip(subjects, kept, strict=True)]
    return compare_cards([Entry(source, card) for source, card in zip(sources, cards, strict=True)])


def _source(subject: Subject) -> str:
    if isinstance(subject, Model):
        return f"{subject.recipe.name}, seed {subject.recipe.seed}"
    return subject.name if isinstance(subject, ImageSet) else str(subject)


def compare_cards(entries: Sequence[Entry]) -> Comparison:
    """Lay scorecards side by side.

    Raises
    ------
    UsageError
        Judge, real images or N differ: then their figures do not compare.
    """
    refuse_mixed(entries)
    cards = [entry.card for entry in entries]
    rows = {}
    for metric in METRICS:
        scores = [card.score(metric) for card in cards]
        measured = [score for score in scores if score is not None]
        if measured:
            places = [
                None if score is None else Standing(**_ends(score), saturated=score.saturated, best=best)
                for score, best in zip(scores, best_group(scores), strict=True)
            ]
            name = protocol_name(metric, cards[0].subject.count)
            rows[name] = Row(metric=metric, floor=measured[0].floor, places=places)
    return Comparison(
        count=cards[0].subject.count,
        judge=cards[0].judge,
        reference=cards[0].reference,
        floor=cards[0].floor,
        subjects=[
            Compared(
                name=name,
                images=card.subject,
                made_by=card.made_by,
                labels=card.labels,
                faults=card.faults,
                verdict=card.verdict,
            )
            for name, card in zip(_names(entries), cards, strict=True)
        ],
        metrics=rows,
    )


def best_group(scores: Sequence[Score | None]) -> list[bool]:
    """Which scores of one metric are the best: the best value, all that the intervals cannot tell from it, and all that
    are saturated, for to lie beyond real images is no merit.

    A difference is called where its own 95 % interval leaves out 0. That interval comes from those of the two values
    (Newcombe 1998, method 10; Zou & Donner 2008), whichever way each of them was made, and is right for values that
    were measured apart. Of a metric that should be as near to the floor as can be, what counts is how far the value
    lies outside the floor's interval.
    """
    losses = [None if score is None else _loss(score) for score in scores]
    known = [loss for loss in losses if loss is not None]
    best = min(known, key=lambda loss: (loss.value, loss.high), default=None)  # of equal ones that which rules out most
    return [
        score is not None and loss is not None and best is not None and (score.saturated or not _called(best, loss))
        for score, loss in zip(scores, losses, strict=True)
    ]


def _called(better: Interval, worse: Interval) -> bool:
    return worse.value - better.value > hypot(worse.value - worse.low, better.high - better.value)


def _loss(score: Score) -> Interval:
    """A score as something of which less is better."""
    below, above = score.value - score.low, score.high - score.value
    match METRICS[score.metric].better:
        case "lower":
            loss = score.value
        case "higher":
            loss, below, above = -score.value, above, below
        case "near":
            loss = max(0.0, score.value - score.floor.high, score.floor.low - score.value)
            if score.value < score.floor.low:
                below, above = above, below
            elif loss == 0.0:
                below = above = max(below, above)
    return Interval(value=loss, low=loss - below, high=loss + above)


def _ends(score: Interval) -> dict[str, float]:
    return {"value": score.value, "low": score.low, "high": score.high}


KINDS: tuple[tuple[str, Callable[[Scorecard], str], Callable[[Scorecard], str], str], ...] = (
    # what must be the same, its identity, what it is called, the option that changes it
    ("judge", lambda card: card.judge["digest"], lambda card: card.judge["version"], "--judge"),
    ("real images", lambda card: card.reference.digest, lambda card: _named(card.reference), "--split"),
    ("N", lambda card: str(card.subject.count), lambda card: f"{card.subject.count:,}", "--count"),
    ("floor", lambda card: card.floor.digest, lambda card: _named(card.floor), "--trained-on"),
)


def refuse_mixed(entries: Sequence[Entry]) -> None:
    """Refuse scorecards whose figures do not compare, naming two of them and the first thing in which they differ.

    Raises
    ------
    UsageError
        Judge, real images, N or floor differ.
    """
    for one, other in pairwise(entries):
        for what, identity, called, option in KINDS:
            if identity(one.card) != identity(other.card):
                raise UsageError(
                    f"{one.source} was scored with {what} {called(one.card)} and {other.source} with "
                    f"{called(other.card)}, which do not compare; score one of them again with "
                    f"`pocketgan evaluate {option}`"
                )


def _named(images: SetFacts) -> str:
    return f"{images.name} ({images.digest[:8]})"


def _names(entries: Sequence[Entry]) -> list[str]:
    """Titles, or folders where titles do not tell all subjects apart."""
    titles = [title_of(entry.card) for entry in entries]
    folders = [Path(entry.source).name for entry in entries]
    sources = [entry.source for entry in entries]
    numbered = [f"{source} ({number})" for number, source in enumerate(sources, start=1)]
    return next((names for names in (titles, folders, sources) if len(set(names)) == len(names)), numbered)
