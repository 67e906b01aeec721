"""A scorecard's numbers: which there are, what they mean, and how they are written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf
from typing import Any, Literal, NamedTuple, Protocol

Better = Literal["lower", "higher", "near"]  # near: as near to the floor as can be


class Metric(NamedTuple):
    """One row of the table of metrics."""

    suffix: str  # of its name, with {n} for the number of images
    better: Better
    per_cent: bool
    about: str


# fmt: off
METRICS: dict[str, Metric] = {
    "tstr":             Metric("",        "higher", True,  "real test images read rightly by classifiers that learned from fakes alone"),
    "fd_judge":         Metric("_{n}",    "lower",  False, "Fréchet distance in the judge's features"),
    "kd_judge":         Metric("_{n}",    "lower",  False, "kernel distance (unbiased, cubic) in the judge's features"),
    "precision":        Metric("_k5_{n}", "higher", True,  "fakes among real images' neighbourhoods"),
    "recall":           Metric("_k5_{n}", "higher", True,  "real images among fakes' neighbourhoods"),
    "density":          Metric("_k5_{n}", "higher", False, "real neighbourhoods around a fake, over 5"),
    "coverage":         Metric("_k5_{n}", "higher", True,  "real images with a fake in their neighbourhood"),
    "diversity":        Metric("_{n}",    "near",   False, "distances within a class, over real ones"),
    "diversity_least":  Metric("_{n}",    "near",   False, "the same in the least diverse class"),
    "label_error":      Metric("_{n}",    "lower",  True,  "images that the judge reads as another class than their label"),
    "label_kl":         Metric("_{n}",    "lower",  False, "how far the classes' shares are from those expected, in nats"),
    "classes_covered":  Metric("_{n}",    "higher", False, "classes with at least half their share"),
    "copy_share":       Metric("_{n}",    "lower",  True,  "images nearer to a training image than 99 % of fresh real ones, in pixels"),
    "copy_share_judge": Metric("_{n}",    "lower",  True,  "the same in the judge's features"),
    "memorisation":     Metric("_{n}",    "higher", False, "distance to training rows over that to unseen ones; under real ones' is copying"),
    "duplicates":       Metric("_{n}",    "lower",  True,  "images with a twin in the set nearer than 99 % of real ones have"),
    "brightness":       Metric("_{n}",    "near",   False, "mean pixel, 0 to 1"),
    "sharpness":        Metric("_{n}",    "near",   False, "contrast between neighbouring pixels"),
    "offset_right":     Metric("_{n}",    "near",   False, "ink right of the picture's centre, pixels"),
    "offset_down":      Metric("_{n}",    "near",   False, "ink below the picture's centre, pixels"),
}
# fmt: on


class Ends(Protocol):
    """Anything with a value's interval."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval; shares are fractions."""

    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """The standard error that the interval stands for."""
        return (self.high - self.low) / 2 / 1.96

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def protocol_name(metric: str, count: int) -> str:
    """A metric's name with its protocol: ``fd_judge_10k``, ``coverage_k5_500``."""
    short = f"{count // 1000}k" if count >= 1000 and count % 1000 == 0 else str(count)
    return metric + METRICS[metric].suffix.format(n=short)


def shown(metric: str, value: float) -> str:
    """A metric's value for people."""
    if METRICS[metric].per_cent:
        return f"{100 * value:.2f}%"
    if metric == "classes_covered":
        return f"{value:.3g}"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.3g}" if abs(value) >= 1000 else f"{value:.3f}"


POOR = {"lower": 0.2, "higher": 0.5}  # a share of real images' own that is worse says little of any other images
UNBOUNDED = {"kd_judge", "offset_right", "offset_down"}


def possible(metric: str, figure: Figure, classes: int) -> Figure:
    """A figure whose interval, which is symmetric, ends where the metric does: shares at 0 and 1, counts at 0 and K."""
    if metric in UNBOUNDED:
        return figure
    whole = METRICS[metric].per_cent or metric == "brightness"
    most = 1.0 if whole else float(classes) if metric == "classes_covered" else inf
    return Figure(*(min(max(end, 0.0), most) for end in (figure.value, figure.low, figure.high)))


def poor(metric: str, floor: Ends) -> bool:
    """Whether real images themselves do so badly by a share that to be no worse means little."""
    row = METRICS[metric]
    if not row.per_cent:
        return False
    return floor.low > POOR["lower"] if row.better == "lower" else floor.high < POOR["higher"]


def saturated(metric: str, figure: Figure, floor: Figure) -> bool:
    """Whether a figure cannot be told from real images': the intervals meet, or it is on the better side.

    Never where real images themselves do badly (`poor`): then it cannot be told from what is bad.
    """
    if poor(metric, floor):
        return False
    above, below = figure.low > floor.high, figure.high < floor.low
    return not {"lower": above, "higher": below, "near": above or below}[METRICS[metric].better]
