"""Scorecards and comparisons on the screen and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketgan.core.errors import UsageError
from pocketgan.core.files import read_bytes
from pocketgan.scorecard.card import Interval, Scorecard
from pocketgan.scorecard.comparison import Comparison, Row, Standing, title_of
from pocketgan.scorecard.figures import METRICS, poor, protocol_name, shown

MAIN = ("tstr", "fd_judge", "label_error", "precision", "recall", "coverage", "diversity", "label_kl", "copy_share")
MOST_COLUMNS = 4  # subjects that fit side by side
UNSEEN_WIDTH = 140  # characters, where no terminal tells how wide it is
NONE = "-"  # where a metric was not measured
TABLE_BELOW = "<!-- What stands above is kept; what stands below is replaced by `pocketgan compare --markdown`. -->"
LEGEND = "* best, or not told from the best   ~ saturated: not told from real images"


def print_card(card: Scorecard) -> None:
    """Every metric with its interval beside real images' own, and the verdict, on stdout."""
    table = Table(title=f"{escape(title_of(card))}: {card.subject.count:,} images", title_justify="left")
    for heading in ("metric", "value", "95% interval", "real images", ""):
        table.add_column(heading, justify="right" if heading in ("value", "real images") else "left", no_wrap=True)
    for name, score in card.metrics.items():
        ends = f"{shown(score.metric, score.low)} to {shown(score.metric, score.high)}"
        mark = "saturated" if score.saturated else "better is " + METRICS[score.metric].better
        mark = mark.replace("better is near", "should be equal")
        if poor(score.metric, score.floor):
            mark = "real images do badly too"
        table.add_row(name, shown(score.metric, score.value), ends, shown(score.metric, score.floor.value), mark)
    _console().print(table)
    print(card.verdict)
    print(f"judge {card.judge['version']} ({card.judge['digest'][:8]}); {_sets(card)}")


def _sets(card: Scorecard) -> str:
    """Which sets were looked at, each with the beginning of its digest."""
    parts = (("images", card.subject), ("against", card.reference), ("real images", card.floor))
    return "; ".join(f"{word} {part.name} ({part.digest[:8]})" for word, part in parts)


def print_comparison(comparison: Comparison) -> None:
    """The comparison on stdout: all metrics of a few subjects side by side, of many the main ones row by row."""
    few = len(comparison.subjects) <= MOST_COLUMNS
    _console().print(_metrics_down(comparison) if few else _subjects_down(comparison))
    print(LEGEND + "   ± half the 95% interval" * few)
    for subject in comparison.subjects:
        print(f"{subject.name}: {subject.verdict}")
    print(_protocol(comparison))


def _metrics_down(comparison: Comparison) -> Table:
    table = Table(show_lines=False)
    table.add_column("metric", no_wrap=True)
    for subject in comparison.subjects:
        table.add_column(escape(subject.name), justify="right")
    table.add_column("real images", justify="right", no_wrap=True)
    for name, row in comparison.metrics.items():
        cells = [
            f"{_marked(row, standing)}\n{_half_width(row, standing)}" if standing else NONE for standing in row.places
        ]
        table.add_row(name, *cells, f"{shown(row.metric, row.floor.value)}\n{_half_width(row, row.floor)}")
    return table


def _subjects_down(comparison: Comparison) -> Table:
    rows = _main_rows(comparison)
    table = Table()
    table.add_column("", overflow="fold")
    for row in rows:
        table.add_column(row.metric.replace("_", "\n"), justify="right")
    table.add_column("faults", justify="right")
    for number, subject in enumerate(comparison.subjects):
        cells = [_marked(row, standing) if (standing := row.places[number]) else NONE for row in rows]
        table.add_row(escape(subject.name), *cells, str(len(subject.faults)))
    table.add_row("real images", *(shown(row.metric, row.floor.value) for row in rows), "")
    return table


def above_table(path: Path) -> bytes:
    """What a Markdown file has above the table of an earlier comparison, or a heading for a file that is not there.

    Raises
    ------
    UsageError
        The file has no such table, so it is another's.
    PocketganError
        It cannot be read.
    """
    if not path.exists():
        return b"# Leaderboard\n\n"
    above, marker, _ = read_bytes(path).partition(TABLE_BELOW.encode())
    if not marker:
        raise UsageError(f"{path} was not made by --markdown and would be written over; name another file")
    return above


def leaderboard(comparison: Comparison) -> str:
    """The comparison as a Markdown table of the main metrics, the subject nearest to real images first."""
    rows = _main_rows(comparison)
    distances = next(row.places for row in rows if row.metric == "fd_judge")
    order = sorted(range(len(comparison.subjects)), key=lambda number: _value(distances[number]))
    top = [TABLE_BELOW, "", "Nearest to real images first.", ""]
    heads = ["", *(f"`{protocol_name(row.metric, comparison.count)}`" for row in rows), "verdict"]
    lines = [*top, _line(heads), _line(["---", *["---:"] * len(rows), "---"])]
    lines.append(_line(["*real images*", *(_written(row, row.floor) for row in rows), ""]))
    for number in order:
        subject = comparison.subjects[number]
        cells = [_written(row, standing) if (standing := row.places[number]) else NONE for row in rows]
        lines.append(_line([subject.name, *cells, subject.verdict]))
    note = f"{_protocol(comparison)}. Bold: the best, or too near to it for the intervals to tell."
    return "\n".join([*lines, "", f"{note} ± is half the 95 % interval."]) + "\n"


def _main_rows(comparison: Comparison) -> list[Row]:
    by_metric = {row.metric: row for row in comparison.metrics.values()}
    return [by_metric[metric] for metric in MAIN if metric in by_metric]


def _protocol(comparison: Comparison) -> str:
    judge = f"judge {comparison.judge['version']} ({comparison.judge['digest'][:8]})"
    real = f"against {comparison.reference.name}; real images are {comparison.floor.name}"
    return f"N = {comparison.count:,}; {judge}; {real}"


def _value(standing: Standing | None) -> float:
    return float("inf") if standing is None else standing.value


def _marked(row: Row, standing: Standing) -> str:
    return f"{shown(row.metric, standing.value)} {'*' if standing.best else ' '}{'~' if standing.saturated else ' '}"


def _half_width(row: Row, ends: Interval) -> str:
    return f"±{shown(row.metric, (ends.high - ends.low) / 2)}"


def _written(row: Row, standing: Interval) -> str:
    value = shown(row.metric, standing.value)
    bold = isinstance(standing, Standing) and standing.best
    return f"{f'**{value}**' if bold else value} {_half_width(row, standing)}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=UNSEEN_WIDTH)
