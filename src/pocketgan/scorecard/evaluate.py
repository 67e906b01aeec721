"""A model or given images, scored: what they are measured against, how many, and the card that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from pocketgan.core.errors import UsageError
from pocketgan.core.rng import BLOCK
from pocketgan.core.terminal import Display
from pocketgan.data.datasets import DATASETS, dataset_like
from pocketgan.data.given import is_given, name_of
from pocketgan.data.image_set import ImageSet, in_classes, joined
from pocketgan.data.load import learning_images, own_test_images
from pocketgan.models.judge import Judge, judge_for
from pocketgan.models.model import Model
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions
from pocketgan.scorecard.card import Scorecard, TstrFacts, floor_of, make_card
from pocketgan.scorecard.measure import STAGES, Measured
from pocketgan.scorecard.tstr import COUNT
from pocketgan.scorecard.tstr import tstr as train_on_fakes
from pocketgan.scorecard.yardstick import (
    FEWEST,
    MOST,
    JudgedImages,
    Yardstick,
    floor_sets,
    in_classes_of,
    part_of,
    refuse_unknown,
    yardstick,
)
from pocketgan.training.classifiers import learning_and_test_sets


class Scored(NamedTuple):
    """A scorecard with what it was made from, for pictures."""

    card: Scorecard
    measured: Measured
    judged: JudgedImages
    yard: Yardstick


def score(
    subject: Model | ImageSet,
    judge: Judge | None = None,
    *,
    split: str,
    count: int,
    seed: int,
    trained_on: str | None,
    tstr: bool,
    shaping: ImageOptions = AS_THEY_ARE,
    device: torch.device,
    display: Display,
) -> Scored:
    """Score a model or a set of images, with the options of `pocketgan.evaluate`; without a judge by the shipped one.

    `shaping` is how the images of `trained_on` are read. `device` is where classifiers learn for `tstr`, and where a
    shipped judge reads.

    Raises
    ------
    UsageError
        As `pocketgan.evaluate`.
    """
    if tstr and (subject.conditional if isinstance(subject, Model) else subject.labels is not None) is False:
        raise UsageError("--tstr: there are no labels for a classifier to learn from; leave it out")
    origin = _origin(subject, split, trained_on, shaping)
    reference, training = _real_sets(origin, split)
    network = judge or judge_for(reference.shape, reference.class_names, str(device))
    if network is None:
        raise UsageError(
            f"no shipped judge knows the images or classes of {reference.name}; make one with "
            "`pocketgan judge train --data IMAGES --out JUDGE` and give --judge JUDGE"
        )
    refuse_unknown(network, reference)
    if isinstance(subject, ImageSet):
        subject = in_classes_of(subject, reference)
    network.refuse_if_took_part(origin.took_part, origin.name)
    fresh, rest = floor_sets(reference, training)
    count = _count(subject, count, len(fresh), origin.name)
    display.line(f"judge {network.version}, against {reference.name} ({len(reference):,}), N = {count:,}")
    with display.bar("reading real images", len(STAGES)) as bar:
        yard = yardstick(network, reference, training)
        floor = floor_of(network, reference, fresh=fresh, rest=rest, count=count, on_progress=bar.update)
    images = _images(subject, count, seed, display)
    _check(images, reference)
    with display.bar("scoring", len(STAGES)) as bar:
        judged = JudgedImages(images, network.read(images.images))
        made_by = {**origin.made_by, "sampling_seed": seed} if origin.made_by else {}
        card, measured = make_card(
            yard, judged, floor, balanced=origin.balanced, made_by=made_by, on_progress=bar.update
        )
    if tstr:
        learned = _images(subject, COUNT, seed, display)
        with display.bar("learning from fakes, testing on real images", 1.0) as bar:
            result = train_on_fakes(learned, training, reference, device, bar.update)
        card = card.with_tstr(TstrFacts.model_validate(result))
    return Scored(card, measured, judged, yard)


@dataclass(frozen=True)
class _Origin:
    """What is known of a subject beside its images."""

    name: str
    source: str  # of the images it learned from, as `load_images` takes it,
    split: str  # and their split
    reading: ImageOptions  # and how they are read
    balanced: bool = False
    made_by: dict[str, Any] = field(default_factory=dict)
    took_part: tuple[str, ...] = ()  # digests of the classifiers that helped to make it


def _origin(subject: Model | ImageSet, split: str, trained_on: str | None, shaping: ImageOptions) -> _Origin:
    if isinstance(subject, Model):
        recipe, facts = subject.recipe, subject.facts
        if trained_on is not None and not (is_given(trained_on) and is_given(recipe.data.source)):
            raise UsageError("--trained-on is for given images; a model knows what it learned from")
        if trained_on not in (None, recipe.data.source):
            raise UsageError(f"trained_on: {name_of(trained_on)} is not what the model learned from")
        return _Origin(
            name=_name(subject),
            source=recipe.data.source,
            split=recipe.data.split,
            reading=recipe.data,
            balanced=subject.conditional,
            made_by={"recipe": recipe.name, "seed": recipe.seed, "nimg": facts.nimg},
            took_part=facts.took_part,
        )
    if trained_on is None:
        trained_on = "fit" if split == "val" else "train"
    if trained_on in ("train", "fit"):
        return _Origin(subject.name, dataset_of(subject), trained_on, AS_THEY_ARE)
    return _Origin(subject.name, trained_on, "fit" if split == "val" else "train", shaping)


def dataset_of(images: ImageSet) -> str:
    """The data set of the table that given images imitate: of their classes, or else the first of their shape."""
    like = dataset_like(images.shape, images.class_names)
    named = like or next((row for row in DATASETS.values() if row.shape == images.shape and row.is_here()), None)
    if named is None:
        raise UsageError(f"{images.name} has {_kind(images.shape)} images, {_remedy(images.shape)}")
    return named.name


def _kind(shape: tuple[int, int, int]) -> str:
    """Size and colours of images in words: ``28x28 grey``."""
    channels, height, width = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'coloured'}"


def _remedy(shape: tuple[int, int, int]) -> str:
    """What to do with images that no data set has: options that make them so, or the images they were made from."""
    channels, height, width = shape
    for row in DATASETS.values():
        known, side, _ = row.shape
        if known <= channels and side == row.shape[2] and row.is_here():
            options = [
                *(["--grey"] if known < channels else []),
                *([f"--resize {side}"] * ((height, width) != (side, side))),
            ]
            return (
                f"{row.name} has {_kind(row.shape)} ones: {' '.join(options)} makes them so; images of another kind "
                "need --trained-on, the images they were made from"
            )
    return "as no data set that is here; give --trained-on the images they were made from"


def _real_sets(origin: _Origin, split: str) -> tuple[ImageSet, ImageSet]:
    """The real images to measure against, and those learned from."""
    if split not in ("test", "val"):
        raise UsageError(f"--split {split} must be test or val")
    if split == "val" and origin.split == "train":
        raise UsageError(f"--split val: {origin.name} learned from `val` too; use --split test")
    test = own_test_images(origin.source, origin.reading) if split == "test" and origin.split == "fit" else None
    if test is not None:
        learning = learning_images(origin.source, "fit", origin.reading)
        return in_classes(test, learning.class_names), learning
    learning, apart = learning_and_test_sets(origin.source, origin.split, origin.reading)
    return apart, learning


def _count(subject: Model | ImageSet, count: int, fresh: int, name: str) -> int:
    """How many images are scored: as many as asked for, as there are, and as the floor has."""
    count = min(count, fresh, MOST, *([] if isinstance(subject, Model) else [len(subject)]))
    if count < FEWEST:
        raise UsageError(f"{name}: {count} images would be scored, and at least {FEWEST} are needed; take more")
    return count


def _images(subject: Model | ImageSet, count: int, seed: int, display: Display) -> ImageSet:
    """So many of a model's images, the classes in turn where it can be asked; or of given ones, at most so many."""
    if isinstance(subject, ImageSet):
        return subject.rows(part_of(subject, count, seed))
    parts = []
    with display.bar(f"generating {count:,} images", count) as bar:
        for part in subject.stream(count, seed=seed):
            parts.append(part)
            bar.update(BLOCK * len(parts))
    return replace(joined(parts), name=_name(subject))


def _name(model: Model) -> str:
    return f"{model.recipe.name}, seed {model.recipe.seed}"


def _check(images: ImageSet, reference: ImageSet) -> None:
    if images.shape != reference.shape:
        remedy = "--grey" if images.shape[1:] == reference.shape[1:] else f"--resize {reference.shape[1]}"
        raise UsageError(
            f"{images.name} has {_kind(images.shape)} images, {reference.name} {_kind(reference.shape)} ones; give "
            f"{remedy} to make them alike"
        )
