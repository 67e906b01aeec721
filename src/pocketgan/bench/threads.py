"""`bench threads`: how OpenMP's threads should wait, on a quiet machine and beside a process that keeps a core busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pocketgan.bench.loops import CPU, LOOPS, OWN, preset_here
from pocketgan.bench.throughput import speed, warm
from pocketgan.core.files import write_text
from pocketgan.core.process import keep_freed_memory
from pocketgan.core.terminal import Display
from pocketgan.data.load import load_images
from pocketgan.models.saved import made_with
from pocketgan.recipes import gan_recipe

RECIPES = ("mlp", "mlp-bn", "pocket")
NONE = "none"
SETTINGS = {
    NONE: {},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
OPENMP = ("OMP_", "GOMP_", "KMP_", "MKL_")  # variables that a measured process gets from `SETTINGS` alone
MEASURE = "import sys; from pocketgan.bench.threads import own_speed; print(own_speed(sys.argv[1], float(sys.argv[2])))"
NEIGHBOUR = "while True: pass"


class Waiting(NamedTuple):
    """One recipe under one setting: images a second, round by round."""

    recipe: str
    setting: str
    quiet: list[float]
    busy: list[float]  # beside a process that keeps a core busy


def threads(recipes: tuple[str, ...], rounds: int, seconds: float, display: Display) -> list[Waiting]:
    """Measure each recipe under each of `SETTINGS`, in processes of their own and in turn.

    Parameters
    ----------
    recipes
        Presets.
    rounds
        How often each is measured, quiet and busy.
    seconds
        Of training in each measurement, at least; a second before it is not counted.
    display
        Where progress is shown.

    Raises
    ------
    UsageError
        One of the recipes is unknown.
    """
    for recipe in recipes:
        gan_recipe(recipe)
    rows = [Waiting(recipe, setting, [], []) for recipe in recipes for setting in SETTINGS]
    done = 0
    with display.bar("threads", 2 * rounds * len(rows)) as bar:
        for _ in range(rounds):
            for recipe in recipes:
                for beside in (nullcontext, busy_neighbour):
                    with beside():
                        for row in (row for row in rows if row.recipe == recipe):
                            figures = row.quiet if beside is nullcontext else row.busy
                            figures.append(measured(recipe, SETTINGS[row.setting], seconds))
                            done += 1
                            bar.update(done, f"{recipe}, {row.setting}")
    return rows


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """A process that keeps one core busy, for the length of the block."""
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measured(recipe: str, setting: dict[str, str], seconds: float) -> float:
    """Images a second of a process whose environment says this, and nothing else, of OpenMP."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(OPENMP)}
    words = [sys.executable, "-c", MEASURE, recipe, str(seconds)]
    done = subprocess.run(words, env={**plain, **setting}, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def own_speed(recipe: str, seconds: float) -> float:
    """Images a second of our training loop in this process."""
    keep_freed_memory()
    return speed(warm(LOOPS[OWN](load_images("mnist"), preset_here(recipe, nimg=1 << 40)).steps), seconds)


def write_threads(rows: list[Waiting], out: Path) -> Path:
    """The table as Markdown."""
    machine = made_with(CPU)
    rounds = len(rows[0].quiet)
    lines = [
        "# Threads",
        "",
        "Images a second in training, batch as in the recipe, by what OpenMP is told in the environment: on the",
        "machine as it was, and beside a process that keeps one core busy. Each figure is the median of its rounds,",
        f"with the least and the most; {rounds} rounds in one run, all settings in turn. A share is the median of the",
        f"rounds' ratios to `{NONE}`.",
        "",
        f"`pocketgan bench threads`: torch {machine.torch}, {machine.machine}, {os.cpu_count()} cores.",
        "",
        "| recipe | setting | quiet | of none | busy | of none |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        none = next(other for other in rows if (other.recipe, other.setting) == (row.recipe, NONE))
        cells = [
            f"{_spread(figures)} | {median(map(float.__truediv__, figures, plain)):.0%}"
            for figures, plain in ((row.quiet, none.quiet), (row.busy, none.busy))
        ]
        lines.append(f"| `{row.recipe}` | {row.setting} | {cells[0]} | {cells[1]} |")
    write_text(out, "\n".join(lines) + "\n")
    return out


def _spread(figures: list[float]) -> str:
    return f"{median(figures):,.0f} ({min(figures):,.0f} to {max(figures):,.0f})"
