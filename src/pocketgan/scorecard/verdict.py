"""What is wrong with a set of images, in plain words.

First comes what was done to the images or their labels as a whole, then what follows from it. Each rule asks whether a
figure's whole interval lies beyond the whole interval of real images by more than a margin, so that healthy images
seldom raise any; `docs/known-answers.md` shows how seldom, and that each fault is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pocketgan.scorecard.figures import METRICS, Figure, poor, shown
from pocketgan.scorecard.transformations import CAUSES, Transformation

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
MOSTLY = 0.5  # of a label's images that must be read as one other class
EXPLAINED = 0.5  # of the labels that disagree: what another meaning of the labels may leave
MERGED = 0.2  # of a label's images that must be read as a class without a label
BAD_JUDGE = 0.2  # share of real images kept apart that a judge may misread and still tell classes


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
    judge_error
        Share of the real images kept apart that the judge reads wrongly.
    transformation
        What was done to all images, as far as undoing it tells; None where nothing was found.
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
    judge_error: float = 0.0
    transformation: Transformation | None = None

    @property
    def tells_classes(self) -> bool:
        """Whether the judge reads real images well enough for anything to be said about classes."""
        return self.judge_error <= BAD_JUDGE

    @property
    def far(self) -> bool:
        """Whether the images as a whole lie far from real ones."""
        return self.known("fd_judge") and self.figures["fd_judge"].low > FAR * self.floor["fd_judge"].high

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
    """Every fault that a rule sees: of the judge, then causes, then the plainest; none for healthy images."""
    return [fault for rule in RULES for fault in rule(evidence)]


def verdict(faults: Sequence[Fault]) -> str:
    """All faults in one sentence, or that there is none."""
    if not faults:
        return "No fault found: what is left between these images and real ones is in the table."
    cause = next((place for place, fault in enumerate(faults) if fault.fault in CAUSES), None)
    if cause is None:
        parts = [faults]
    else:  # what is wrong with the judge, what was done to the images, what follows from it
        parts = [part for part in (faults[:cause], faults[cause : cause + 1], faults[cause + 1 :]) if part]
    sentences = ["; ".join(fault.text for fault in part) for part in parts]
    if cause is not None and cause + 1 < len(faults):
        sentences[-1] = f"what follows, or comes with it: {sentences[-1]}"
    return " ".join(f"{told[0].upper()}{told[1:]}." for told in sentences)


def _judge(evidence: Evidence) -> Iterator[Fault]:
    """What real images kept apart say against the judge, before it says anything."""
    if not evidence.tells_classes:
        told = f"the judge itself reads {_share(evidence.judge_error)} of the real images kept apart wrongly"
        yield Fault("judge", "label_error", f"{told}, so nothing is said about classes; train a better one")


def _transformed(evidence: Evidence) -> Iterator[Fault]:
    found = evidence.transformation
    if found is None:
        return
    read = ""
    if found.agreement_before is not None and found.agreement_after is not None and evidence.tells_classes:
        read = (
            f"the judge reads {found.agreement_after:.1%} of the labels instead of {found.agreement_before:.1%}, and "
        )
    distances = f"{_short(found.distance_after)} instead of {_short(found.distance_before)}"
    told = f"the images are {found.told}: {found.back}, {read}their Fréchet distance to real ones is {distances}"
    yield Fault(found.fault, "fd_judge", told)


def _short(distance: float) -> str:
    return f"{distance:,.0f}" if distance >= 10 else f"{distance:.1f}"


def _missing_classes(evidence: Evidence) -> Iterator[Fault]:
    if not evidence.tells_classes:
        return
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
    told = (_missing_classes, _merged, _relabelled)  # each shifts the shares too
    if evidence.tells_classes and evidence.above("label_kl") and not any(any(rule(evidence)) for rule in told):
        ratios = [
            count / max(share * evidence.count, 1.0)
            for count, share in zip(evidence.counts, evidence.shares, strict=True)
        ]
        most, least = ratios.index(max(ratios)), ratios.index(min(ratios))
        names = evidence.class_names
        shares = f"{names[most]} has {ratios[most]:.1f} times its share, {names[least]} {ratios[least]:.1f} times"
        yield Fault("imbalance", "label_kl", f"the classes are out of proportion: {shares}")


def _merged(evidence: Evidence) -> Iterator[Fault]:
    """Classes that are there, and have no label of their own because they stand under another's."""
    table = evidence.confusion
    if table is None or not evidence.tells_classes or evidence.transformation is not None:
        return
    under: dict[int, list[int]] = {}
    for label, share in enumerate(evidence.shares):
        read = [row[label] for row in table]
        there = sum(read)
        if there < SHORT * share * evidence.count or not there or sum(table[label]) > MISSING * there:
            continue
        host = read.index(max(read))
        if read[host] > MOSTLY * there and read[host] > MERGED * sum(table[host]):
            under.setdefault(host, []).append(label)
    names = evidence.class_names
    for host, guests in under.items():
        together = _listed([names[label] for label in sorted([host, *guests])])
        none = _listed([names[label] for label in guests])
        told = f"classes {together} are under one label, {names[host]}: no image is labelled {none}"
        yield Fault("merged classes", "label_error", f"{told}, though the images show them")


def _relabelled(evidence: Evidence) -> Iterator[Fault]:
    """Another meaning of the labels that explains most of what disagrees: shifted, swapped, or exchanged otherwise."""
    table = evidence.confusion
    if table is None or not evidence.tells_classes or not evidence.above("label_error"):
        return
    classes, total = len(table), sum(map(sum, table))
    meant = list(range(classes))
    for label, row in enumerate(table):
        if sum(row) and max(row) > MOSTLY * sum(row):
            meant[label] = row.index(max(row))
    moved = [label for label in range(classes) if meant[label] != label]
    wrong = evidence.figures["label_error"].value
    left = 1 - sum(table[label][meant[label]] for label in range(classes)) / total
    if not moved or len(set(meant)) < classes or left > EXPLAINED * wrong:
        return
    names, steps = evidence.class_names, {(meant[label] - label) % classes for label in range(classes)}
    if len(moved) == classes > 2 and len(steps) == 1:
        step = steps.pop()
        way = f"{step} too low" if step <= classes // 2 else f"{classes - step} too high"
        told = f"the labels are shifted: each is {way}, so that images of {names[meant[0]]} are labelled {names[0]}"
    elif all(meant[meant[label]] == label for label in moved):
        pairs = [f"{names[label]} and {names[meant[label]]}" for label in moved if label < meant[label]]
        told = f"classes {', '.join(pairs)} are swapped"
    else:
        each = [f"images of {names[meant[label]]} are labelled {names[label]}" for label in moved]
        told = f"the labels are exchanged: {', '.join(each)}"
    told += f"; {_share(wrong)} of the labels disagree with the images, and {_share(left)} once they are put right"
    yield Fault("labels", "label_error", told)


def _labels(evidence: Evidence) -> Iterator[Fault]:
    if not evidence.tells_classes or not evidence.above("label_error") or any(_relabelled(evidence)):
        return
    share = evidence.figures["label_error"].value
    yield Fault("labels", "label_error", f"{_share(share)} of the labels disagree with the images")


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
    if evidence.tells_classes and (evidence.below("diversity") or (narrow and evidence.known("diversity"))):
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
    if evidence.far:
        times = evidence.figures["fd_judge"].value / evidence.floor["fd_judge"].value
        yield Fault("distance", "fd_judge", f"as a whole they lie {times:.0f} times as far off as real images do")


def _floors(evidence: Evidence) -> Iterator[Fault]:
    """Figures that say little of any images, since real ones do badly in them."""
    for name in evidence.figures:
        if name in evidence.floor and poor(name, evidence.floor[name]):
            if name == "label_error" and not evidence.tells_classes:
                continue  # the judge's, which is told
            told = f"{METRICS[name].about}: real images themselves have {shown(name, evidence.floor[name].value)}"
            yield Fault("floor", name, f"{name} tells little here ({told})")


Rule = Callable[[Evidence], Iterator[Fault]]
RULES: tuple[Rule, ...] = (
    *(_judge, _transformed, _relabelled, _merged),
    *(_quality, _missing_classes, _imbalance, _labels, _copies),
    *(_duplicates, _variety, _appearance, _distance, _floors),
)


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
