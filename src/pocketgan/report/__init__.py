"""The report of a run: one HTML file that opens offline and loads nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import write_text
from pocketgan.models.saved import holds, model_folder
from pocketgan.report import charts, words
from pocketgan.report.charts import WIDE, Interval, Series
from pocketgan.report.page import (
    ENLARGED_WIDTH,
    animation,
    both_widths,
    data_uri,
    enlarged,
    first_rows,
    in_one_row,
    open_picture,
    png,
    render,
)
from pocketgan.report.reading import Run, read_run
from pocketgan.report.scorecard import scorecard_content
from pocketgan.report.steering import steering_summary, write_steering_page
from pocketgan.runs.facts import Rate, Scores, Unsure
from pocketgan.runs.folder import MODEL, RunFolder, run_of_model
from pocketgan.steer.fits import kept_in

STRIP_ROWS = 8  # epochs shown one under the other
FRAMES = 30  # epochs in the animation
MATRIX_CLASSES = 26  # with more, the confusions are told in words only


def write_report(run: str | Path) -> Path:
    """As `pocketgan.write_report`; a part that the folder lacks is named in its section."""
    folder = RunFolder(run)
    if not folder.is_begun and holds(folder.path, MODEL) and kept_in(model_folder(folder.path, MODEL)):
        return write_steering_page(folder.path)
    facts = read_run(folder)
    if kept_in(folder.model):
        write_steering_page(folder.path)
    return _write(facts)


def renew_steering(path: str | Path) -> Path:
    """Write a model's steering page, after a fit or a measurement, and let the run's report link to it if there is one.

    Raises
    ------
    UsageError, PocketganError
        As in `write_steering_page` and `write_report`.
    """
    page = write_steering_page(path)
    run = run_of_model(model_folder(path, MODEL))
    if run is not None and run.report.is_file():
        _write(read_run(run))
    return page


def _write(run: Run) -> Path:
    write_text(run.folder.report, render("page.html.j2", **_content(run)))
    return run.folder.report


def _content(run: Run) -> dict[str, Any]:
    """All names that the page uses."""
    scores = run.scores or Scores()
    folder = run.folder.path.resolve().name
    return {
        "run": run,
        "model": run.model,
        "scorecard": scorecard_content(run.scorecard) if run.scorecard else None,
        "steering": steering_summary(run.folder),
        "scores": scores,
        "words": words,
        "labelled": bool(run.model.class_names),
        "rebuild": shlex.join(["pocketgan", "run", f"{folder}/{run.folder.recipe_file.name}", "--out", folder]),
        "grid": data_uri(_enlarged_file(run.grid)) if run.grid else None,
        "errors_chart": _errors_chart(scores),
        "strip": _strip(run),
        "animation": _animation(run),
        "losses_chart": _losses_chart(run),
        "balance": _balance(run, scores),
        "confusions": _confusions(run, scores),
        "least_sure": [_unsure(run, one) for one in scores.least_sure or []],
        "label_word": words.LABEL_WORDS.get(scores.s1.labels_from if scores.s1 else "", "label"),
        "accuracy_chart": _accuracy_chart(run),
    }


def _errors_chart(scores: Scores) -> Markup:
    shares: list[tuple[str, str, Rate | None]] = [
        ("S0", words.real_images(scores.s0), scores.s0),
        ("S1", "fakes", scores.s1),
        ("S1", "fakes", scores.s1_10k),
    ]
    rows = [
        Interval(
            name=f"{name}: {share.count:,} {what}",
            detail=f"{share.errors:,} of {share.count:,} read wrongly",
            value=share.error,
            low=share.low,
            high=share.high,
            text=words.per_cent(share.error, share.count),
            range_text=words.interval(share),
            accent=name != "S0",
        )
        for name, what, share in shares
        if share
    ]
    if not rows:
        return Markup("")
    alt = "Shares read wrongly with 95% intervals. " + "; ".join(
        f"{row.name}: {row.text}, {row.range_text}" for row in rows
    )
    return both_widths(partial(charts.interval_chart, rows, alt=alt, x_label="share read wrongly"))


def _losses_chart(run: Run) -> Markup:
    series = [
        Series("discriminator", [(e.epoch, e.loss_d) for e in run.losses if e.loss_d is not None]),
        Series("generator", [(e.epoch, e.loss_g) for e in run.losses if e.loss_g is not None], accent=True),
    ]
    label = "loss, in nats" if run.recipe.objective.loss == "bce" else "loss"
    alt = words.loss_alt(run.losses) if run.losses else ""
    return both_widths(partial(charts.line_chart, series, x_label="epoch", y_label=label, alt=alt))


def _accuracy_chart(run: Run) -> Markup:
    epochs = run.classifier.epochs if run.classifier else []
    test = run.classifier.test if run.classifier else None
    series = [
        Series("training images", [(e.epoch, e.accuracy) for e in epochs if e.accuracy is not None]),
        Series("test images", [(epochs[-1].epoch, 1 - test.error)] if epochs and test else [], accent=True),
    ]
    ends = ", ".join(f"{line.name} {100 * line.points[-1][1]:.2f}%" for line in series if line.points)
    alt = f"Line chart of the accuracy of C over {len(epochs)} epochs; in the last: {ends}."
    return both_widths(
        partial(charts.line_chart, series, x_label="epoch", y_label="share read rightly", alt=alt, percent=True),
    )


def _enlarged_file(path: Path, width: int = ENLARGED_WIDTH) -> bytes:
    return png(enlarged(open_picture(path), width))


def _evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of them, evenly chosen, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(number * (len(items) - 1) / (most - 1))] for number in range(most)]


def _strip(run: Run) -> list[tuple[int, str]]:
    """Epochs, and the first 20 samples of each in one row as a data URI."""
    height = run.model.shape[1]
    rows = []
    for epoch, path in _evenly(list(run.samples.items()), STRIP_ROWS):
        picture = in_one_row(open_picture(path), height)
        rows.append((epoch, data_uri(png(enlarged(picture, ENLARGED_WIDTH)))))
    return rows


def _animation(run: Run) -> tuple[str, str] | None:
    """Five rows of samples over the epochs, moving and still, as data URIs; None for fewer than two epochs."""
    if len(run.samples) < 2:
        return None
    frames = []
    for epoch, path in _evenly(list(run.samples.items()), FRAMES):
        rows = first_rows(open_picture(path), run.model.shape[1], rows=5)
        frames.append((epoch, enlarged(rows, WIDE)))
    if len({picture.size for _, picture in frames}) > 1:
        raise PocketganError(f"the pictures in {run.folder.samples} differ in size; make them again")
    moving, still = animation(frames)
    return data_uri(moving), data_uri(still)


def _balance(run: Run, scores: Scores) -> list[tuple[str, Markup]]:
    """Titles and bar charts of how C reads the fakes."""
    drawn = []
    for counts in (scores.label_counts, scores.label_counts_10k):
        if counts:
            names = _names(run, len(counts))
            title = f"{sum(counts):,} fakes"
            alt = f"How C reads {title}: " + ", ".join(f"{n} {c:,}" for n, c in zip(names, counts, strict=True))
            drawn.append((title, charts.bar_chart(names, counts, alt=alt)))
    return drawn


def _confusions(run: Run, scores: Scores) -> list[tuple[Markup, str]]:
    """Tables of label against reading for fakes and for real images, each with its largest mistakes in words."""
    drawn = []
    for matrix, what in ((scores.confusion, "fakes"), (scores.confusion_real, words.real_images(scores.s0))):
        if not matrix:
            continue
        if any(len(row) != len(matrix) for row in matrix):
            raise PocketganError(f"{run.folder.scores_file}: a confusion matrix is not square; make it again")
        names = _names(run, len(matrix))
        caption = f"{sum(map(sum, matrix)):,} {what}"
        table = charts.confusion_heatmap(matrix, names, caption=caption)
        told = words.frequent_mistakes(matrix, names)
        drawn.append((table, told) if len(matrix) <= MATRIX_CLASSES else (Markup("<p>{}</p>").format(caption), told))
    return drawn


def _unsure(run: Run, one: Unsure) -> dict[str, Any]:
    """What the page shows of one fake; a picture outside the run folder counts as missing."""
    home = run.folder.path.resolve()
    path = (home / one.file).resolve()
    shown = path.is_relative_to(home) and path.is_file()
    return {
        "picture": data_uri(_enlarged_file(path, width=196)) if shown else None,
        "file": one.file,
        "label": None if one.label is None else _name(run, one.label),
        "read_as": _name(run, one.read_as),
        "wrong": one.label is not None and one.label != one.read_as,
        "confidence": f"{100 * one.confidence:.0f}%",
    }


def _names(run: Run, count: int) -> list[str]:
    return [_name(run, index) for index in range(count)]


def _name(run: Run, index: int) -> str:
    names = run.model.class_names
    return names[index] if 0 <= index < len(names) else str(index)
