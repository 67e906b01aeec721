"""Charts as small inline SVG, and the confusion matrix as a table: they take their colours from the page.

Lines and text use ``currentColor`` and the class names of the page's style (``accent``, ``muted``, ``rule``), so that
one drawing serves light, dark and print. A chart is drawn for a width in pixels at which its text has its true size;
the page carries a wide and a narrow drawing and shows the one that fits. All text that comes from outside is escaped.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from pocketgan.report import svg

WIDE, NARROW = 720, 360  # widths in pixels
LETTER = 7.0  # average width in pixels of a letter of the charts' 13-pixel text
FEW_POINTS = 15  # up to here every point of a line has a dot


class Series(NamedTuple):
    """One line of a line chart."""

    name: str
    points: Sequence[tuple[float, float]]
    accent: bool = False


class Interval(NamedTuple):
    """One row of an interval chart: a share and the ends of its interval, fractions."""

    name: str
    detail: str  # what was counted
    value: float
    low: float
    high: float
    text: str  # the value in words
    range_text: str  # the interval in words
    accent: bool = False


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    alt: str,
    width: int,
    percent: bool = False,
    logarithmic: bool = False,
) -> Markup:
    """Lines over whole numbers such as epochs, with a legend above and name and last value beside each line.

    `percent` shows fractions as per cent and lets the axis begin near the lowest value, `logarithmic` makes equal
    ratios equally high; else the axis holds 0. Points that are no finite numbers, or none with a logarithm, are left
    out; without any point the chart is empty.
    """

    def shown(x: float, y: float) -> bool:
        return math.isfinite(x) and math.isfinite(y) and (y > 0 or not logarithmic)

    series = [line._replace(points=[point for point in line.points if shown(*point)]) for line in series]
    series = [line for line in series if line.points]
    if not series:
        return Markup("")
    height = 330 if width >= WIDE else 270
    named = width >= WIDE  # a narrow page has no room for names beside the lines
    margin = 62 + LETTER * max(len(line.name) for line in series) * named
    left, right, top, bottom = 44, width - margin, 56, height - 46
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points]
    first, last = (min(xs), max(xs)) if min(xs) < max(xs) else (min(xs) - 1, max(xs) + 1)
    if logarithmic:
        y_ticks = log_ticks(min(ys), max(ys))
        y_texts = [f"{y:g}" for y in y_ticks]
    else:
        y_ticks = nice_ticks(min(ys) if percent else min(0.0, *ys), max(ys), 5)
        y_texts = tick_texts(y_ticks, percent)
    x_ticks = [x for x in nice_ticks(min(xs), max(xs), 8 if width >= WIDE else 5) if x == round(x) and first <= x]
    x_ticks = [x for x in x_ticks if x <= max(xs)] or [min(xs)]
    if len(x_ticks) > 1 and x_ticks[0] - first > 0.6 * (x_ticks[1] - x_ticks[0]):
        x_ticks.insert(0, first)

    def x_of(x: float) -> float:
        return left + (x - first) / (last - first) * (right - left)

    scale = math.log if logarithmic else float
    low, high = scale(y_ticks[0]), scale(y_ticks[-1])

    def y_of(y: float) -> float:
        return bottom - (scale(y) - low) / (high - low) * (bottom - top)

    parts = [svg.text(0, 40, y_label, "muted")]
    for y, words in zip(y_ticks, y_texts, strict=True):
        parts += [
            svg.line(left, y_of(y), right, y_of(y), "rule"),
            svg.text(left - 8, y_of(y) + 4, words, "muted", "end"),
        ]
    parts += [svg.text(x_of(x), bottom + 20, f"{x:.0f}", "muted", "middle") for x in x_ticks]
    parts.append(svg.text((left + right) / 2, height - 4, x_label, "muted", "middle"))
    legend, ends = 0.0, spread([y_of(line.points[-1][1]) for line in series], 15)
    for line, end in zip(series, ends, strict=True):
        kind = "line accent" if line.accent else "line"
        corners = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in line.points)
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(kind, corners))
        if len(line.points) <= FEW_POINTS:
            parts += [svg.dot(x_of(x), y_of(y), 3, line.accent) for x, y in line.points]
        value = line.points[-1][1]
        words = f"{100 * value:.2f}%" if percent else f"{value:.2f}"
        words = f"{line.name} {words}" if named else words
        parts.append(svg.text(x_of(line.points[-1][0]) + 8, end + 4, words, "accent" if line.accent else ""))
        parts += [svg.line(legend, 10, legend + 20, 10, kind), svg.text(legend + 27, 14, line.name)]
        legend += 27 + LETTER * len(line.name) + 24
    return svg.drawing(parts, width, height, alt)


def interval_chart(rows: Sequence[Interval], *, alt: str, x_label: str, width: int) -> Markup:
    """A dot and a bar for each share, on one axis of per cent that begins at 0."""
    wide = width >= WIDE
    ticks = nice_ticks(0.0, max(row.high for row in rows), 6 if wide else 4)
    step = 66 if wide else 84
    left, right = (244.0, width - 110.0) if wide else (10.0, width - 16.0)
    bottom = step * len(rows) + 4

    def x_of(share: float) -> float:
        return left + share / ticks[-1] * (right - left)

    parts = []
    for tick, words in zip(ticks, tick_texts(ticks, percent=True), strict=True):
        parts += [svg.line(x_of(tick), 0 if wide else 46, x_of(tick), bottom, "rule")]
        parts += [svg.text(x_of(tick), bottom + 18, words, "muted", "middle")]
    parts.append(svg.text((left + right) / 2, bottom + 40, x_label, "muted", "middle"))
    for number, row in enumerate(rows):
        upper = number * step + (30 if wide else 14)
        middle = upper + (2 if wide else 42)
        kind = "accent" if row.accent else ""
        parts += [svg.text(0, upper - 4, row.name, "strong"), svg.text(0, upper + 14, row.detail, "muted")]
        parts += [svg.text(width, upper - 4, row.text, f"strong {kind}", "end")]
        parts += [svg.text(width, upper + 14, row.range_text, "muted", "end")]
        parts += [svg.line(x_of(row.low), middle, x_of(row.high), middle, f"bar {kind}")]
        parts += [svg.line(x_of(end), middle - 6, x_of(end), middle + 6, f"line {kind}") for end in (row.low, row.high)]
        parts += [svg.dot(x_of(row.value), middle, 6, row.accent)]
    return svg.drawing(parts, width, bottom + 46, alt)


def bar_chart(names: Sequence[str], counts: Sequence[int], *, alt: str, width: int = NARROW) -> Markup:
    """Horizontal bars with their counts, and a dashed line where each would end if all were equal."""
    shown = [name if len(name) <= 14 else name[:13] + "…" for name in names]
    left = 12 + LETTER * 1.1 * max(len(name) for name in shown)
    right = width - 12 - LETTER * 1.2 * max(len(f"{count:,}") for count in counts)
    step, most = 25, max(*counts, 1)
    even = left + sum(counts) / len(counts) / most * (right - left)
    parts = []
    for row, (name, count) in enumerate(zip(shown, counts, strict=True)):
        end = left + count / most * (right - left)
        middle = row * step + step / 2
        parts += [svg.text(left - 10, middle + 4.5, name, "", "end")]
        parts += [svg.line(left, middle, end, middle, "column accent")] if count else []
        parts += [svg.text(width, middle + 4.5, f"{count:,}", "" if count else "strong", "end")]
    parts.append(svg.line(even, 0, even, step * len(counts), "dashed"))
    return svg.drawing(parts, width, step * len(counts), alt)


def confusion_heatmap(matrix: Sequence[Sequence[int]], names: Sequence[str], *, caption: str) -> Markup:
    """A table of counts, rows by label and columns as C reads; the more mistakes in a cell, the more of the accent.

    Right answers are grey: they are so many that on one scale with the mistakes these could not be told apart.
    """
    worst = max((n for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j), default=0) or 1
    long = any(len(name) > 3 for name in names)
    kind = "long large" if long else "large" if len(names) > 12 else ""
    least = 1.95 * len(names) + 6 if long else 1.6 * len(names) + 1.5  # rem; a narrower page scrolls the table
    heads = Markup("").join(Markup('<th scope="col"><span>{}</span></th>').format(name) for name in names)
    body = []
    for i, (name, row) in enumerate(zip(names, matrix, strict=True)):
        cells = [
            Markup('<td class="right">{}</td>').format(count)
            if i == j
            else Markup('<td style="--heat:{:.2f}" title="{}">{}</td>').format(
                math.sqrt(count / worst) * 0.6, f"{name} read as {names[j]}: {count}", count
            )
            if count
            else Markup('<td class="none">0</td>')
            for j, count in enumerate(row)
        ]
        body.append(Markup('<tr><th scope="row"><span>{}</span></th>{}</tr>').format(name, Markup("").join(cells)))
    return Markup(
        '<table class="heat {}" style="min-width:{:.0f}rem"><caption>{}</caption><thead><tr><td></td>{}</tr></thead>'
        "<tbody>{}</tbody></table>"
    ).format(kind, least, caption, heads, Markup("").join(body))


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers, 1, 2 or 5 times a power of ten apart, that enclose `low` and `high`; two or more."""
    span = (high - low) or abs(high) or 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten that enclose `low` and `high`, both above 0; two or more."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    steps = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    first = bisect_right(steps, low) - 1
    return steps[first : max(bisect_left(steps, high), first + 1) + 1]


def tick_texts(ticks: Sequence[float], percent: bool) -> list[str]:
    """The ticks in words, all with the decimals that their distance asks for."""
    factor = 100.0 if percent else 1.0
    decimals = max(0, -math.floor(math.log10((ticks[1] - ticks[0]) * factor) + 1e-9))
    return [f"{tick * factor:.{decimals}f}" + "%" * percent for tick in ticks]


def spread(positions: Sequence[float], distance: float) -> list[float]:
    """Places of labels, moved until neighbours are at least `distance` apart, in the same order."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    moved = list(positions)
    for below, above in pairwise(order):
        lack = distance - (moved[above] - moved[below])
        if lack > 0:
            moved[below] -= lack / 2
            moved[above] += lack / 2
    return moved
