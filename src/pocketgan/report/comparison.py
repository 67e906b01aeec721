"""Scorecards side by side as a page."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from pocketgan.core.files import whole_folder, write_json, write_text
from pocketgan.report.page import render
from pocketgan.report.scorecard import about_metric, comparison_facts, ends_of, grouped
from pocketgan.report.scorecard_charts import scale_of, track
from pocketgan.scorecard.comparison import Comparison, Row, Standing
from pocketgan.scorecard.figures import METRICS, shown
from pocketgan.scorecard.listing import MAIN, NONE


class Line(NamedTuple):
    """One subject's value of one metric, in words, with its drawing."""

    subject: str
    value: str
    range: str
    best: bool
    saturated: bool
    track: Markup


class Block(NamedTuple):
    """One metric of all subjects."""

    name: str
    about: str
    floor: str
    floor_range: str
    lines: list[Line]


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write a new folder, whole: ``comparison.json`` and ``comparison.html``.

    Raises
    ------
    PocketganError
        It cannot be written.
    """
    with whole_folder(folder) as beside:
        write_json(beside / "comparison.json", comparison.model_dump(mode="json"))
        write_comparison_page(comparison, beside / "comparison.html")


def write_comparison_page(comparison: Comparison, path: str | Path) -> Path:
    """Write a comparison as one HTML file.

    Raises
    ------
    PocketganError
        The page cannot be written.
    """
    by_metric = {row.metric: (name, row) for name, row in comparison.metrics.items()}
    groups = [
        (title, [_block(comparison, *by_metric[name]) for name in names]) for title, names in grouped(set(by_metric))
    ]
    main = [by_metric[name] for name in MAIN if name in by_metric]
    overview = [
        (subject.name, [_cell(row, row.places[number]) for _, row in main], len(subject.faults))
        for number, subject in enumerate(comparison.subjects)
    ]
    content = {
        "comparison": comparison,
        "title": " | ".join(subject.name for subject in comparison.subjects),
        "groups": groups,
        "main": [name for name, _ in main],
        "overview": overview,
        "floors": [shown(row.metric, row.floor.value) for _, row in main],
        "facts": comparison_facts(comparison),
    }
    write_text(Path(path), render("comparison_page.html.j2", **content))
    return Path(path)


def _cell(row: Row, standing: Standing | None) -> tuple[str, bool]:
    return (shown(row.metric, standing.value), standing.best) if standing else (NONE, False)


def _block(comparison: Comparison, name: str, row: Row) -> Block:
    scale = scale_of(METRICS[row.metric].better, [row.floor, *(standing for standing in row.places if standing)])
    lines = []
    for subject, standing in zip(comparison.subjects, row.places, strict=True):
        if standing is not None:
            value, ends = shown(row.metric, standing.value), ends_of(row.metric, standing)
            drawn = track(standing, row.floor, scale, alt=f"{value}, {ends}", accent=standing.best)
            lines.append(Line(subject.name, value, ends, standing.best, standing.saturated, drawn))
    floor = shown(row.metric, row.floor.value), ends_of(row.metric, row.floor)
    return Block(name, about_metric(row.metric), *floor, lines)
