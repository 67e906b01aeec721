"""`pocketgan run`, and the rows it ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pocketgan.cli.parameters import (
    Data,
    Device,
    Flag,
    GanField,
    GanRecipe,
    Inexact,
    Json,
    OnTrouble,
    Quiet,
    Resume,
    TensorBoard,
    Threads,
    listed,
    recipe_options,
)
from pocketgan.core.signals import load_torch

Steps = Annotated[str, Parameter(show_default=False)]
MOST_CLASSES_SHOWN = 20  # in the table after a run


def run(
    recipe: GanRecipe = "pocket",
    *,
    out: Path | None = None,
    data: Data = None,
    classifier: str | None = None,
    skip: Steps = "",
    redo: Steps = "",
    until_good: Flag = False,
    tensorboard: TensorBoard = False,
    resume: Resume = False,
    inexact: Inexact = False,
    on_trouble: OnTrouble = None,
    device: Device = "auto",
    threads: Threads = None,
    json_output: Json = False,
    quiet: Quiet = False,
    **options: GanField,
) -> None:
    """Do it all: train, generate 100 fakes, train a classifier C, count S0 and S1, write the report.

    S0 is the share of real test images that C reads wrongly, S1 that of the fakes.

    Parameters
    ----------
    out
        The run's folder; runs/RECIPE-SEED without it. What it holds already is kept and gone on with.
    classifier
        Recipe of C (cnn, mlp, cnn-dense, linear-224 or a .toml file), or the folder of a trained one; cnn without it.
    skip
        Steps to leave out, with commas between: train, generate, classify, score, report.
    redo
        Steps to throw away and make again, with commas between; train throws away all that is in the run.
    until_good
        Stop training at the epoch whose samples a guide reads as surely as real images.
    """
    load_torch(threads)
    from pocketgan.recipes import gan_recipe
    from pocketgan.verbs.run import run as run_all

    chosen = recipe_options(options, data, until_good)
    folder = out or Path("runs") / f"{Path(recipe).stem}-{gan_recipe(recipe, chosen).seed}"
    summary = run_all(
        recipe,
        out=folder,
        classifier=classifier,
        skip=listed(skip),
        redo=listed(redo),
        device=device,
        tensorboard=tensorboard,
        quiet=quiet,
        on_trouble=on_trouble,
        inexact=inexact,
        **chosen,
    )
    if json_output:
        print(json.dumps(summary, indent=2))
    else:
        _print_summary(folder, summary)


def _print_summary(folder: Path, summary: dict[str, Any]) -> None:
    """The result for people: a few rows in plain words. What was skipped or cannot be counted has no row."""
    from rich.console import Console
    from rich.table import Table

    from pocketgan.report.words import LABEL_SOURCES, duration

    table = Table(title=str(folder), title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, key in (("S0", "s0_{}"), ("S1", "s1_{}"), ("S1 of 10,000", "s1_{}_10k")):
        error, interval, counted = (summary.get(key.format(what)) for what in ("error", "interval", "counted"))
        if error is not None and interval:
            low, high = interval
            table.add_row(name, f"{error:.2%} of {counted} read wrongly; 95% interval {low:.2%} to {high:.2%}")
    if verdict := summary.get("verdict"):
        table.add_row("scorecard", verdict)
    if source := summary.get("s1_label_source"):
        table.add_row("labels of fakes", LABEL_SOURCES.get(source, source))
    if 0 < len(names := summary.get("class_names", ())) <= MOST_CLASSES_SHOWN:
        counts = zip(names, summary["label_counts"], strict=True)
        table.add_row("fakes read as", ", ".join(f"{name}: {count}" for name, count in counts))
    if summary and not table.row_count:
        table.add_row("S0 and S1", "not counted: the images have no labels")
    if summary.get("train_seconds"):
        speed = f"{summary['images_per_second']:,.0f} images/s"
        table.add_row("training", f"{duration(summary['train_seconds'])}, {speed}")
    if (folder / "report.html").exists():
        table.add_row("report", str(folder / "report.html"))
    Console().print(table, markup=False)
