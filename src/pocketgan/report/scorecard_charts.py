"""The drawings of a scorecard: intervals beside the floor, bars of the classes, the map of features.

Tracks and bars have positions in per cent of their own width, so that one drawing fits any page.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from pocketgan.report import svg
from pocketgan.report.charts import WIDE
from pocketgan.report.reading import FeatureMap, Point
from pocketgan.scorecard.card import Interval
from pocketgan.scorecard.figures import Better

THINNEST = 0.8  # per cent of a track, of a floor whose interval has no width
MARGIN = 0.04  # of the range of a track, left free at either end
FLATTEST, STEEPEST = 0.45, 0.8  # height of the map over its width
MOST_NAMES = 26  # classes that are named on the map

Scale = tuple[float, float]  # the values at the left and at the right end of a track


def scale_of(better: Better, intervals: Iterable[Interval]) -> Scale:
    """The range of a track that holds all intervals, and 0 where less is better."""
    ends = [end for interval in intervals for end in (interval.low, interval.value, interval.high)]
    low, high = min(ends + [0.0] * (better == "lower")), max(ends)
    free = MARGIN * (high - low) or abs(high) or 1.0
    return low - free, high + free


def track(interval: Interval, floor: Interval, scale: Scale, *, alt: str, accent: bool) -> Markup:
    """A value with its interval, over the band that is the floor's interval."""

    def position(value: float) -> float:
        return 100 * (value - scale[0]) / (scale[1] - scale[0])

    width = max(position(floor.high) - position(floor.low), THINNEST)
    left = (position(floor.high) + position(floor.low) - width) / 2
    kind = " accent" if accent else ""
    ends = Markup("").join(
        Markup('<line class="line{0}" x1="{1:.2f}%" x2="{1:.2f}%" y1="7" y2="17"/>').format(kind, position(end))
        for end in (interval.low, interval.high)
    )
    return Markup(
        '<svg class="chart track" role="img" aria-label="{}"><line class="rule" x1="0" x2="100%" y1="12" y2="12"/>'
        '<rect class="floor" x="{:.2f}%" width="{:.2f}%" y="0" height="24"/>'
        '<line class="bar{}" x1="{:.2f}%" x2="{:.2f}%" y1="12" y2="12"/>{}'
        '<circle class="dot{}" cx="{:.2f}%" cy="12" r="5"/></svg>'
    ).format(
        alt, left, width, kind, position(interval.low), position(interval.high), ends, kind, position(interval.value)
    )


def bar(value: float, full: float, mark: float | None = None) -> Markup:
    """A bar that fills its place at `full`, with a dashed line at `mark`. The value stands beside it, in words."""
    dashed = Markup("")
    if mark is not None:
        dashed = Markup('<line class="dashed" x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="20"/>').format(100 * mark / full)
    length = Markup('<line class="column accent" x1="0" x2="{:.2f}%" y1="10" y2="10"/>').format(100 * value / full)
    return Markup('<svg class="chart measure" aria-hidden="true">{}{}</svg>').format(length if value else "", dashed)


def feature_map(points: FeatureMap, names: Sequence[str], *, alt: str, width: int) -> Markup:
    """Real images as muted dots, fakes as accented ones over them, on axes of one scale; classes are named amid the
    real images that are read as them."""
    real, fake = (
        [point for point in kind if math.isfinite(point[0] + point[1])] for kind in (points.real, points.fake)
    )
    if not real or not fake:
        return Markup("")
    xs, ys = ([point[axis] for point in (*real, *fake)] for axis in (0, 1))
    edge = 10
    height = width * min(STEEPEST, max(FLATTEST, (max(ys) - min(ys)) / ((max(xs) - min(xs)) or 1.0)))
    factor = min((width - 2 * edge) / ((max(xs) - min(xs)) or 1.0), (height - 2 * edge) / ((max(ys) - min(ys)) or 1.0))
    middle = ((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2)

    def position(x: float, y: float) -> tuple[float, float]:
        return width / 2 + (x - middle[0]) * factor, height / 2 - (y - middle[1]) * factor

    def cloud(kind: str, dots: Sequence[Point]) -> Markup:
        positions = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in (position(*dot[:2]) for dot in dots))
        return Markup('<path class="cloud {}" d="{}"/>').format(kind, positions)

    parts = [cloud("real", real), cloud("fake", fake)]
    if len(names) <= MOST_NAMES:
        for label, name in enumerate(names):
            members = [point for point in real if point[2] == label]
            if members:
                x, y = position(*(statistics.median(point[axis] for point in members) for axis in (0, 1)))
                parts.append(svg.text(x, y + 6, name, "named strong", "middle"))
    kind = "wide" if width >= WIDE else "narrow"
    return Markup('<div class="map {}">{}</div>').format(kind, svg.drawing(parts, width, height, alt))
