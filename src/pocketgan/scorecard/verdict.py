"""What is wrong with a set of images, in plain words.

Each rule asks whether a figure's whole interval lies beyond the whole interval of real images by more than a margin, so
that healthy images seldom raise any; `docs/known-answers.md` shows how seldom, and that each fault is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pocketgan.scorecard.figures import Figure

MISSING = 0.05  # of its expected share: a class with less is called missing
SHORT = 0.5  # of its expected share: a class with less is called short
SIGMAS = 5.0  # that a class's count must lie below what is expected
# margins beyond the floor's interval: shares and ratios as fractions, offsets in pixels
MARGIN = {
    "label_kl": 0.01,
    "label_error": 0.005,
    "copy_share": 0.02,
    "copy_share_judge": 0.02,
    "memorisation": 0.02,
    "duplicates": 0.02,
    "precision": 0.03,
    "recall": 0.03,
    "coverage": 0.03,
    "diversity": 0.05,
    "sharpness": 0.02,
    "brightness": 0.01,
    "offset_right": 0.25,
    "offset_down": 0.25,
}
NARROW = 0.8  # of real images' spread within a class: one with less is called narrow
CHANCE = 4.5  # standard errors that it must lie below real images' too; see the log of 2026-11-26
FAR = 2.0  # times the floor's upper end at which the Fréchet distance alone is a fault
SWAPPED = 0.5  # of a class that must be read as the other, both ways


@dataclass(frozen=True)
class Fault:
    """Something wrong: a short name, the metric that shows it, and a sentence without its full stop."""

    fault: str
    metric: str
    text: str


@dataclass(frozen=True)
class Evidence:
    """What the rules look at; all from one set of images and one floor.

    Attributes
    ----------
    figures, floor
        By the names of `figures.METRICS`.
    class_names
        Of the ``K`` classes.
    counts, shares
        Images read as each class, and the share that each should have, of all classes: ``[K]``.
    diversities, real_diversities
        Of each class, None where it cannot be told: ``[K]``.
    diversity_errors
        The relative standard error of the one over the other that so many real images have: ``[K]``.
    confusion
        ``[K][K]`` or None.
    reference_copies
        Share of images that are in the reference, byte for byte.
    distinct
        Different images, byte for byte.
    """

    figures: dict[str, Figure]
    floor: dict[str, Figure]
    class_names: Sequence[str]
    counts: Sequence[int]
    shares: Sequence[float]
    diversities: Sequence[float | None]
    real_diversities: Sequence[float | None]
    diversity_errors: Sequence[float]
    confusion: Sequence[Sequence[int]] | None
    reference_copies: float
    distinct: int

    @property
    def count(self) -> int:
        """Images in the set."""
        return sum(self.counts)

    def known(self, metric: str) -> bool:
        """Whether both the set and the floor have this figure."""
        return metric in self.figures and metric in self.floor

    def above(self, metric: str) -> bool:
        """Whether a figure lies above the floor by more than its margin, intervals and all."""
        return self.known(metric) and self.figures[metric].low > self.floor[metric].high + MARGIN[metric]

    def below(self, metric: str) -> bool:
        """The same downward."""
        return self.known(metric) and self.figures[metric].high < self.floor[metric].low - MARGIN[metric]

    def excess(self, metric: str) -> float:
        """The part of a share that goes beyond the floor's, of what the floor leaves."""
        floor = self.floor[metric].value
        return max(0.0, (self.figures[metric].value - floor) / (1 - floor))


def find_faults(evidence: Evidence) -> list[Fault]:
    """Every fault that a rule sees, the plainest first; none for healthy images."""
    return [fault for rule in RULES for fault in rule(evidence)]


def verdict(faults: Sequence[Fault]) -> str:
    """All faults in one sentence, or that there is none."""
    if not faults:
        return "No fault found: what is left between these images and real ones is in the table."
    told = "; ".join(fault.text for fault in faults)
    return f"{told[0].upper()}{told[1:]}."


def _missing_classes(evidence: Evidence) -> Iterator[Fault]:
    missing, short = [], []
    for name, count, share in zip(evidence.class_names, evidence.counts, evidence.shares, strict=True):
        expected = share * evidence.count
        if expected - count <= SIGMAS * expected**0.5:
            continue
        if count < MISSING * expected:
            missing.append(name)
        elif count < SHORT * expected:
            short.append(f"class {name} has {count / expected:.0%} of its share")
    if missing:
        many = "classes {} are" if len(missing) > 1 else "class {} is"
        yield Fault("missing class", "classes_covered", f"{many.format(_listed(missing))} missing")
    for text in short:
        yield Fault("missing class", "classes_covered", text)


def _imbalance(evidence: Evidence) -> Iterator[Fault]:
    if evidence.above("label_kl") and not any(_missing_classes(evidence)):
        ratios = [
            count / (share * evidence.count) for count, share in zip(evidence.counts, evidence.shares, strict=True)
        ]
        most, least = ratios.index(max(ratios)), ratios.index(min(ratios))
        names = evidence.class_names
        told = f"{names[most]} has {ratios[most]:.1f} times its share, {names[least]} {ratios[least]:.1f} times"
        yield Fault("imbalance", "label_kl", f"the classes are out of proportion: {told}")


def _labels(evidence: Evidence) -> Iterator[Fault]:
    if not evidence.above("label_error") or evidence.confusion is None:
        return
    swapped = list(_swapped_pairs(evidence.confusion))
    for one, other in swapped:
        names = evidence.class_names
        yield Fault("labels", "label_error", f"classes {names[one]} and {names[other]} are swapped")
    if not swapped:
        share = evidence.figures["label_error"].value
        yield Fault("labels", "label_error", f"{_share(share)} of the labels disagree with the images")


def _swapped_pairs(confusion: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    for one in range(len(confusion)):
        for other in range(one):
            there = confusion[one][other] > SWAPPED * sum(confusion[one]) > 0
            if there and confusion[other][one] > SWAPPED * sum(confusion[other]) > 0:
                yield other, one


def _copies(evidence: Evidence) -> Iterator[Fault]:
    if evidence.reference_copies > MARGIN["copy_share"]:
        told = f"{_share(evidence.reference_copies)} are copies of the images kept apart for the test"
        yield Fault("copies", "copy_share", told)
    if evidence.above("copy_share"):
        told = f"{_share(evidence.excess('copy_share'))} are copies of training images, or nearly"
        yield Fault("copies", "copy_share", told)
    elif evidence.above("copy_share_judge"):
        told = (
            f"{_share(evidence.excess('copy_share_judge'))} are like training images as only copies are, to the judge"
        )
        yield Fault("copies", "copy_share_judge", told)
    elif evidence.below("memorisation"):
        ratio = evidence.figures["memorisation"].value / evidence.floor["memorisation"].value
        told = f"images lie nearer to training rows than to unseen ones ({ratio:.2f} of what fresh real images do)"
        yield Fault("copies", "memorisation", told)


def _duplicates(evidence: Evidence) -> Iterator[Fault]:
    if evidence.above("duplicates"):
        different = f"only {evidence.distinct:,} of {evidence.count:,} images differ"
        many = f"{_share(evidence.excess('duplicates'))} have a twin in the set, or nearly"
        yield Fault("duplicates", "duplicates", different if evidence.distinct < 0.9 * evidence.count else many)


def _quality(evidence: Evidence) -> Iterator[Fault]:
    if evidence.below("precision"):
        share = 1 - evidence.figures["precision"].value / evidence.floor["precision"].value
        yield Fault("unreal", "precision", f"{_share(share)} of the images look like nothing real")


def _variety(evidence: Evidence) -> Iterator[Fault]:
    for metric in ("coverage", "recall"):
        if evidence.below(metric):
            share = evidence.figures[metric].value / evidence.floor[metric].value
            yield Fault("variety", metric, f"they cover {_share(share)} of what real images cover")
            break
    rows = zip(
        evidence.class_names, evidence.diversities, evidence.real_diversities, evidence.diversity_errors, strict=True
    )
    ratios = [
        (own / real, name)
        for name, own, real, error in rows
        if own is not None and real is not None and own < real * min(NARROW, math.exp(-CHANCE * error))
    ]
    narrow = [f"{name} ({ratio:.0%})" for ratio, name in sorted(ratios)[:3]]
    if evidence.below("diversity") or (narrow and evidence.known("diversity")):
        value = evidence.figures["diversity"].value / evidence.floor["diversity"].value
        told = f"images of a class differ {value:.0%} as much as real ones do"
        yield Fault("variety", "diversity", told + (f", least in {_listed(narrow)}" if narrow else ""))


def _appearance(evidence: Evidence) -> Iterator[Fault]:
    own, real = evidence.figures, evidence.floor
    if evidence.below("sharpness") or evidence.above("sharpness"):
        ratio = own["sharpness"].value / real["sharpness"].value
        told = "blurred" if ratio < 1 else "too sharp or noisy"
        yield Fault("sharpness", "sharpness", f"the images are {told}: {ratio:.2f} times the contrast of neighbours")
    if evidence.below("brightness") or evidence.above("brightness"):
        ratio = own["brightness"].value / real["brightness"].value
        yield Fault("brightness", "brightness", f"the images are {ratio:.2f} times as bright as real ones")
    moved = []
    for metric, directions in (("offset_right", ("right", "left")), ("offset_down", ("down", "up"))):
        if evidence.below(metric) or evidence.above(metric):
            pixels = own[metric].value - real[metric].value
            moved.append(f"{abs(pixels):.1f} pixels {directions[pixels < 0]}")
    if moved:
        yield Fault("shift", "offset_right", f"the images are shifted {' and '.join(moved)}")


def _distance(evidence: Evidence) -> Iterator[Fault]:
    own, real = evidence.figures["fd_judge"], evidence.floor["fd_judge"]
    if own.low > FAR * real.high:
        times = own.value / real.value
        yield Fault("distance", "fd_judge", f"as a whole they lie {times:.0f} times as far off as real images do")


Rule = Callable[[Evidence], Iterator[Fault]]
RULES: tuple[Rule, ...] = (
    *(_quality, _missing_classes, _imbalance, _labels, _copies),
    *(_duplicates, _variety, _appearance, _distance),
)


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
