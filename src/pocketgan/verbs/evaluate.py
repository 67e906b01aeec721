"""`evaluate`: the scorecard of a model or of given images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pocketgan.core.devices import find_device
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import refuse_existing, user_path, whole_folder, write_json
from pocketgan.core.rng import BLOCK
from pocketgan.core.terminal import Display
from pocketgan.data.datasets import DATASETS, dataset_like
from pocketgan.data.image_set import ImageSet, joined
from pocketgan.data.load import load_images, own_test_images
from pocketgan.models.judge import Judge, judge_for
from pocketgan.models.model import Model
from pocketgan.models.saved import holds
from pocketgan.report.scorecard import write_scorecard_page
from pocketgan.runs.folder import MODEL
from pocketgan.scorecard.card import CARD, Scorecard, TstrFacts, floor_of, make_card
from pocketgan.scorecard.measure import STAGES
from pocketgan.scorecard.pictures import write_pictures
from pocketgan.scorecard.tstr import COUNT as TSTR_COUNT
from pocketgan.scorecard.tstr import tstr as train_on_fakes
from pocketgan.scorecard.yardstick import FEWEST, MOST, JudgedImages, floor_sets, part_of, yardstick
from pocketgan.training.classifiers import learning_and_test_sets


def evaluate(
    subject: Model | ImageSet | str | Path,
    *,
    split: str = "test",
    count: int = MOST,
    seed: int = 0,
    trained_on: str | None = None,
    judge: Judge | str | Path | None = None,
    tstr: bool = False,
    out: str | Path | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Scorecard:
    """Score a model or a set of images: every metric beside what real images get, and the faults in words.

    Parameters
    ----------
    subject
        A `Model`, a run folder, a model folder; or images: an `ImageSet` or what `load_images` takes.
    split
        The real images to measure against: ``test``, or ``val`` for what was trained on ``fit``.
    count
        How many images are scored, at least 50; at most as many as there are real ones for the floor. A model makes as
        many, of a larger set as many are drawn. It is part of most metrics' names.
    seed
        Of a model's latents, and of the draw from a larger set.
    trained_on
        Of given images: what their model learned from, to tell copies: a source as `load_images` takes it, or ``train``
        or ``fit`` of the data set by name whose shape and classes they have. Without it ``train`` of that one (``fit``
        with split ``val``).
    judge
        A `Judge` or its folder; without it the shipped one that knows the images, as there is for MNIST's digits.
    tstr
        Also train three classifiers on 60,000 fakes alone (on what there is of given images) and test them on real
        images: minutes.
    out
        A new folder for ``scorecard.json``, pictures and ``scorecard.html``.
    device, quiet
        As in `pocketgan.train`.

    Raises
    ------
    UsageError
        An option is wrong, the judge does not know such images or took part in making them, or `tstr` is asked of
        images without labels.
    """
    if out is not None:
        refuse_existing(user_path(out))
    display, place = Display(quiet), find_device(device)
    if isinstance(subject, str | Path):
        subject = Model.load(subject, device) if holds(subject, MODEL) else load_images(subject)
    if tstr and (subject.conditional if isinstance(subject, Model) else subject.labels is not None) is False:
        raise UsageError("--tstr: there are no labels for a classifier to learn from; leave it out")
    if isinstance(judge, str | Path):
        judge = Judge.load(judge, device)
    origin = _origin(subject, split, trained_on)
    reference, training = _real_sets(origin, split)
    network = judge or judge_for(reference.shape, reference.class_names, device)
    if network is None:
        raise UsageError(
            f"no shipped judge knows the images or classes of {reference.name}; make one with "
            "`pocketgan judge train --data IMAGES --out JUDGE` and give --judge JUDGE"
        )
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
        part = JudgedImages(images, network.read(images.images))
        made_by = {**origin.made_by, "sampling_seed": seed} if origin.made_by else {}
        card, found = make_card(yard, part, floor, balanced=origin.balanced, made_by=made_by, on_progress=bar.update)
    if tstr:
        learned = _images(subject, TSTR_COUNT, seed, display)
        with display.bar("learning from fakes, testing on real images", 1.0) as bar:
            result = train_on_fakes(learned, training, reference, place, bar.update)
        card = card.with_tstr(TstrFacts.model_validate(result))
    if out is not None:
        with whole_folder(user_path(out)) as beside:
            write_json(beside / CARD, card.model_dump(mode="json"))
            write_pictures(beside, found, part, yard)
            write_scorecard_page(beside)
    return card


@dataclass(frozen=True)
class _Origin:
    """What is known of a subject beside its images."""

    name: str
    source: str  # of the images it learned from, as `load_images` takes it,
    split: str  # and their split
    balanced: bool = False
    made_by: dict[str, Any] = field(default_factory=dict)
    took_part: tuple[str, ...] = ()  # digests of the classifiers that helped to make it


def _origin(subject: Model | ImageSet, split: str, trained_on: str | None) -> _Origin:
    if isinstance(subject, Model):
        if trained_on is not None:
            raise UsageError("--trained-on is for given images; a model knows what it learned from")
        recipe, facts = subject.recipe, subject.facts
        return _Origin(
            name=_name(subject),
            source=recipe.data.source,
            split=recipe.data.split,
            balanced=subject.conditional,
            made_by={"recipe": recipe.name, "seed": recipe.seed, "nimg": facts.nimg},
            took_part=facts.took_part,
        )
    if trained_on is None:
        trained_on = "fit" if split == "val" else "train"
    if trained_on in ("train", "fit"):
        return _Origin(subject.name, _dataset_of(subject), trained_on)
    return _Origin(subject.name, trained_on, "fit" if split == "val" else "train")


def _dataset_of(images: ImageSet) -> str:
    """The data set of the table that given images imitate: of their classes, or else the first of their shape."""
    like = dataset_like(images.shape, images.class_names)
    named = like or next((row for row in DATASETS.values() if row.shape == images.shape and row.is_here()), None)
    if named is None:
        raise UsageError(
            f"{images.name} has images {list(images.shape)}, as no data set that is here; "
            "give --trained-on the images it was made from"
        )
    return named.name


def _real_sets(origin: _Origin, split: str) -> tuple[ImageSet, ImageSet]:
    """The real images to measure against, and those learned from."""
    if split not in ("test", "val"):
        raise UsageError(f"--split {split} must be test or val")
    if split == "val" and origin.split == "train":
        raise UsageError(f"--split val: {origin.name} learned from `val` too; use --split test")
    test = own_test_images(origin.source) if split == "test" and origin.split == "fit" else None
    if test is not None:
        return test, load_images(origin.source, "fit")
    learning, apart = learning_and_test_sets(origin.source, origin.split)
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
        raise UsageError(
            f"{images.name} has images {list(images.shape)}, {reference.name} {list(reference.shape)}; "
            "give --trained-on the images it was made from"
        )
    if images.labels is not None and int(images.labels.max()) >= len(reference.class_names):
        raise PocketganError(f"{images.name} has labels beyond the classes of {reference.name}; mend them")
