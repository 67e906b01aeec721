"""A scorecard: made from measures, written as JSON, read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from pocketgan.core.cache import cached
from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import check_version, read_json, user_path
from pocketgan.data.image_set import ImageSet
from pocketgan.models.judge import Judge
from pocketgan.runs.folder import RunFolder
from pocketgan.scorecard.figures import METRICS, Figure, poor, protocol_name, saturated
from pocketgan.scorecard.measure import STAGES, Measured, OnStage, measure
from pocketgan.scorecard.transformations import find_transformation
from pocketgan.scorecard.verdict import Evidence, Fault, find_faults, verdict
from pocketgan.scorecard.yardstick import JudgedImages, Yardstick, part_of, yardstick

FORMAT_VERSION = 1
CARD = "scorecard.json"
FLOOR_SEED = 0
FLOOR_VERSION = 3  # of what the cache keeps of a floor


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(_Record):
    """A value and its 95 % interval; shares are fractions."""

    value: float
    low: float
    high: float


class Score(Interval):
    """One metric of the images beside real images' own; `saturated` where the two cannot be told apart."""

    metric: str
    floor: Interval
    saturated: bool


class SetFacts(_Record):
    """Which images were looked at."""

    name: str
    digest: str
    count: int


class ClassFacts(_Record):
    """One class: images read as it, the share it should have, its diversity, and how many were labelled so."""

    name: str
    count: int
    share: float
    diversity: float | None
    labelled: int | None
    misread: int | None


class TstrFacts(_Record):
    """What classifiers that learned from fakes read rightly of real images, by seed; the gap is real minus fake."""

    count: int  # fakes learned from
    test: str
    classifier_seeds: list[int]
    accuracies: list[float]
    real_count: int
    real_accuracies: list[float]
    accuracy: Interval
    real_accuracy: Interval
    gap: Interval


class FaultFacts(_Record):
    """One fault, as in `verdict.Fault`."""

    fault: str
    metric: str
    text: str


class Scorecard(_Record):
    """Everything that `scorecard.json` holds. `metrics` is by names with their protocol, such as ``fd_judge_10k``."""

    format_version: Literal[1] = 1
    subject: SetFacts
    made_by: dict[str, Any]  # of a model: recipe, seed, sampling seed; empty for given images
    labels: Literal["asked", "given", "none"]
    reference: SetFacts
    training: SetFacts
    floor: SetFacts
    judge: dict[str, str]  # version and digest
    metrics: dict[str, Score]
    classes: list[ClassFacts]
    confusion: list[list[int]] | None
    reference_copies: float
    distinct: int
    faults: list[FaultFacts]
    verdict: str
    tstr: TstrFacts | None = None

    def with_tstr(self, facts: TstrFacts) -> Scorecard:
        """The same card with `tstr` among its metrics; saturated where the paired gap to real images may be none.

        Where classifiers that learned from real images do badly themselves, no gap is no merit.
        """
        floor = facts.real_accuracy
        at_floor = facts.gap.low <= 0 and not poor("tstr", floor)
        score = Score(metric="tstr", floor=floor, saturated=at_floor, **facts.accuracy.model_dump())
        return self.model_copy(update={"tstr": facts, "metrics": {"tstr": score, **self.metrics}})

    def score(self, metric: str) -> Score | None:
        """The score of a metric by its bare name, whatever N its protocol had; None where it was not measured."""
        return next((score for score in self.metrics.values() if score.metric == metric), None)


def read_card(path: Path) -> Scorecard:
    """A scorecard from its file.

    Raises
    ------
    PocketganError
        It is missing, damaged, or a newer version wrote it.
    """
    content = read_json(path)
    check_version(path, content, FORMAT_VERSION)
    try:
        return Scorecard.model_validate(content)
    except ValidationError as error:
        raise PocketganError(f"{path}, {complaint(error)}; it was changed by hand, make it again") from error


def kept_card(path: str | Path) -> Scorecard | None:
    """The scorecard that lies in a run's folder or in one made by `evaluate`, if there is one."""
    folders = user_path(path), RunFolder(path).scorecard
    found = next((folder / CARD for folder in folders if (folder / CARD).is_file()), None)
    return None if found is None else read_card(found)


class Floor(_Record):
    """What fresh real images get by the same protocol."""

    images: SetFacts
    figures: dict[str, Figure]
    diversities: list[float | None]
    counts: list[int]  # read as each class


def floor_of(
    judge: Judge,
    reference: ImageSet,
    *,
    fresh: ImageSet,
    rest: ImageSet,
    count: int,
    on_progress: OnStage | None = None,
) -> Floor:
    """Real images' own figures with `count` of those that `floor_sets` sets aside, computed once and then cached."""
    chosen = fresh.rows(part_of(fresh, count, FLOOR_SEED))
    kept_names = list(METRICS)

    def make() -> dict[str, torch.Tensor]:
        measured = measure(
            yardstick(judge, reference, rest), JudgedImages(chosen, judge.read_kept(chosen)), False, on_progress
        )
        figures = [measured.figures.get(name, NOTHING) for name in kept_names]
        return {
            "figures": torch.tensor([[f.value, f.low, f.high] for f in figures], dtype=torch.float64),
            "diversities": torch.tensor([torch.nan if d is None else d for d in measured.diversities]),
            "counts": torch.tensor(measured.counts),
        }

    key = f"floor {FLOOR_VERSION} {kept_names} {judge.digest} {reference.digest} {rest.digest} {chosen.digest}"
    kept = cached(key, make)
    figures = {name: Figure(*row.tolist()) for name, row in zip(kept_names, kept["figures"], strict=True)}
    figures = {name: figure for name, figure in figures.items() if figure.value == figure.value}
    diversities = [None if d != d else float(d) for d in kept["diversities"].tolist()]
    return Floor(images=_set_facts(chosen), figures=figures, diversities=diversities, counts=kept["counts"].tolist())


NOTHING = Figure(torch.nan, torch.nan, torch.nan)


def make_card(
    yard: Yardstick,
    judged: JudgedImages,
    floor: Floor,
    *,
    balanced: bool = False,
    made_by: dict[str, Any] | None = None,
    on_progress: OnStage | None = None,
) -> tuple[Scorecard, Measured]:
    """Score a set of images.

    Parameters
    ----------
    yard
        What they are measured against.
    judged
        The images with the judge's reading.
    floor
        Of as many real images, from `floor_of`.
    balanced
        Whether a model was asked for each class equally often.
    made_by
        Of a model's images: its recipe and seeds.
    """
    measured = measure(yard, judged, balanced, on_progress)
    names = yard.reference.images.class_names
    training_labels, reference_labels = yard.training.images.labels, yard.reference.images.labels
    assert training_labels is not None, "a yardstick has labels"
    assert reference_labels is not None, "a yardstick has labels"
    if balanced:
        shares = measured.expected
    else:
        shares = (training_labels.bincount(minlength=len(names)).double() / len(training_labels)).tolist()
    evidence = Evidence(
        figures=measured.figures,
        floor=floor.figures,
        class_names=names,
        counts=measured.counts,
        shares=shares,
        diversities=measured.diversities,
        real_diversities=floor.diversities,
        diversity_errors=_diversity_errors(measured, floor),
        confusion=measured.confusion,
        reference_copies=measured.reference_copies,
        distinct=measured.distinct,
        judge_error=float((yard.reference.reading.labels != reference_labels).double().mean()),
    )
    if on_progress is not None:
        on_progress(len(STAGES) - 1, STAGES[-1])
    if evidence.far and evidence.tells_classes:
        evidence = replace(evidence, transformation=find_transformation(yard, judged))
    faults = find_faults(evidence)
    count = len(judged)
    labels: Literal["asked", "given", "none"] = "none" if judged.images.labels is None else "given"
    card = Scorecard(
        subject=_set_facts(judged.images),
        made_by=made_by or {},
        labels="asked" if balanced else labels,
        reference=_set_facts(yard.reference.images),
        training=_set_facts(yard.training.images),
        floor=floor.images,
        judge={"version": yard.judge.version, "digest": yard.judge.digest},
        metrics={
            protocol_name(name, count): _score(name, figure, floor.figures[name])
            for name, figure in measured.figures.items()
            if name in floor.figures
        },
        classes=_classes(names, measured, shares),
        confusion=measured.confusion,
        reference_copies=measured.reference_copies,
        distinct=measured.distinct,
        faults=[_fault(fault) for fault in faults],
        verdict=verdict(faults),
    )
    return card, measured


def _diversity_errors(measured: Measured, floor: Floor) -> list[float]:
    """The relative standard error of each class's diversity over the floor's, were the images real: ``[K]``."""
    rows = zip(measured.variations, measured.counts, floor.counts, strict=True)
    return [variation / 2 * (1 / max(own, 1) + 1 / max(real, 1)) ** 0.5 for variation, own, real in rows]


def _score(metric: str, figure: Figure, floor: Figure) -> Score:
    at_floor = saturated(metric, figure, floor)
    return Score(metric=metric, floor=Interval(**floor.as_dict()), saturated=at_floor, **figure.as_dict())


def _fault(fault: Fault) -> FaultFacts:
    return FaultFacts(fault=fault.fault, metric=fault.metric, text=fault.text)


def _set_facts(images: ImageSet) -> SetFacts:
    return SetFacts(name=images.name, digest=images.digest, count=len(images))


def _classes(names: tuple[str, ...], measured: Measured, shares: list[float]) -> list[ClassFacts]:
    rows = []
    for label, name in enumerate(names):
        labelled = misread = None
        if measured.confusion is not None:
            labelled = sum(measured.confusion[label])
            misread = labelled - measured.confusion[label][label]
        facts = {"count": measured.counts[label], "share": shares[label], "diversity": measured.diversities[label]}
        rows.append(ClassFacts(name=name, labelled=labelled, misread=misread, **facts))
    return rows
