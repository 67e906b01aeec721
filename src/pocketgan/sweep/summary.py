"""What a sweep found: each setting's metrics with their intervals over the seeds, as JSON, Markdown and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from pocketgan.core.files import write_json, write_text
from pocketgan.metrics.spread import mean_interval
from pocketgan.report.page import render
from pocketgan.scorecard.card import Scorecard, read_card
from pocketgan.scorecard.figures import METRICS, shown
from pocketgan.scorecard.listing import MAIN, NONE
from pocketgan.sweep.engines import Ended


class Spread(BaseModel, frozen=True):
    """A metric over the seeds of one setting: its mean, and the 95 % interval of the mean by Student's t."""

    mean: float
    low: float | None  # None with one seed
    high: float | None
    values: list[float]


class SettingFacts(BaseModel, frozen=True):
    """One setting: its runs, and what they reached."""

    setting: str
    runs: list[str]  # folders that were scored, by seed
    stopped: list[str]  # of the others: folder, and why
    metrics: dict[str, Spread]
    best: bool = False  # by fd_judge, or not told from the best


class SweepFacts(BaseModel, frozen=True):
    """Everything that `sweep.json` holds; settings with the lowest mean fd_judge first."""

    format_version: Literal[1] = 1
    split: str
    count: int
    settings: list[SettingFacts]
    floors: dict[str, float]  # what real images get


def spread_of(values: list[float], share: bool = False) -> Spread:
    """The mean of values and its 95 % interval; that of shares stays within 0 and 1."""
    if len(values) < 2:
        return Spread(mean=values[0], low=None, high=None, values=values)
    middle, low, high = mean_interval(values)
    if share:
        low, high = max(0.0, low), min(1.0, high)
    return Spread(mean=middle, low=low, high=high, values=values)


def summed_up(ended: list[Ended], out: Path, *, split: str, count: int) -> SweepFacts:
    """What a sweep found, from the scorecards in its runs."""
    by_setting: dict[str, list[Ended]] = {}
    for each in ended:
        by_setting.setdefault(each.cell.setting, []).append(each)
    settings, floors = [], {}
    for setting, group in by_setting.items():
        good = [each for each in group if each.code == 0]
        cards = [read_card(out / each.cell.name / "scorecard" / "scorecard.json") for each in good]
        metrics = {}
        for name in MAIN:
            values = [score.value for card in cards if (score := card.score(name)) is not None]
            if values:
                metrics[name] = spread_of(values, METRICS[name].per_cent)
                floors[name] = _floor(cards[0], name)
        stopped = [f"{each.cell.name}: {each.line or f'exit code {each.code}'}" for each in group if each.code]
        runs = [each.cell.name for each in good]
        settings.append(SettingFacts(setting=setting, runs=runs, stopped=stopped, metrics=metrics))
    settings.sort(key=lambda each: each.metrics["fd_judge"].mean if "fd_judge" in each.metrics else float("inf"))
    return SweepFacts(split=split, count=count, settings=with_best(settings), floors=floors)


def _floor(card: Scorecard, name: str) -> float:
    score = card.score(name)
    assert score is not None
    return score.floor.value


def with_best(settings: list[SettingFacts]) -> list[SettingFacts]:
    """The first, and those whose interval of fd_judge over the seeds meets its own, are the best."""
    first = settings[0].metrics.get("fd_judge") if settings else None
    if first is None:
        return settings
    marked = []
    for number, each in enumerate(settings):
        own = each.metrics.get("fd_judge")
        meets = own is not None and own.low is not None and first.high is not None and own.low <= first.high
        marked.append(each.model_copy(update={"best": number == 0 or meets}))
    return marked


def cell_text(metric: str, spread: Spread | None) -> str:
    """A metric's mean over the seeds with its interval, for people."""
    if spread is None:
        return NONE
    if spread.low is None or spread.high is None:
        return shown(metric, spread.mean)
    return f"{shown(metric, spread.mean)} ({shown(metric, spread.low)} to {shown(metric, spread.high)})"


def table_of(facts: SweepFacts) -> tuple[list[str], list[list[str]]]:
    """The heading and the rows of the table for people; real images come last."""
    names = [name for name in MAIN if name in facts.floors]
    rows = [
        [
            ("* " if each.best else "") + each.setting,
            f"{len(each.runs)} of {len(each.runs) + len(each.stopped)}",
            *(cell_text(name, each.metrics.get(name)) for name in names),
        ]
        for each in facts.settings
    ]
    floors = ["real images", "", *(shown(name, facts.floors[name]) for name in names)]
    return ["setting", "seeds scored", *names], [*rows, floors]


def write_summary(facts: SweepFacts, out: Path) -> None:
    """Write ``sweep.json``, ``sweep.md`` and ``sweep.html`` into the sweep's folder."""
    heading, rows = table_of(facts)
    lines = [
        f"Mean over seeds and its 95 % interval; {facts.count:,} images of each model against `{facts.split}`. "
        "* lowest fd_judge, or not told from it.",
        "",
        "| " + " | ".join(heading) + " |",
        "|---" * len(heading) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        *(f"\nNot scored: {line}" for each in facts.settings for line in each.stopped),
    ]
    write_json(out / "sweep.json", facts.model_dump(mode="json"))
    write_text(out / "sweep.md", "\n".join(lines) + "\n")
    about = {name: METRICS[name].better for name in heading[2:]}
    page = render("sweep_page.html.j2", facts=facts, heading=heading, rows=rows, about=about)
    write_text(out / "sweep.html", page)
