"""`pocketgan bench`: keep, results, throughput, threads, curves, speedrun, known-answers, steering."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from pocketgan.cli.parameters import Flag, GanField, Quiet, Seed, Whole, listed, recipe_options
from pocketgan.core.errors import UsageError
from pocketgan.core.signals import load_torch

Seeds = Annotated[str, Parameter(help="Seeds of the trainings, with commas between.")]

Rounds = Annotated[Whole, Parameter(validator=Number(gte=1))]
TurnSeconds = Annotated[float, Parameter(validator=Number(gt=0))]

app = App(name="bench", help="Make the published figures.", help_format="plaintext")


@app.command
def keep(run_folder: Path, *, out: Path, without_generator: Flag = False) -> None:
    """Store a finished run in small: scores, events, grid and the generator in half precision.

    Parameters
    ----------
    run_folder
        A finished run.
    out
        A new folder.
    without_generator
        Leave the generator out.
    """
    load_torch()
    from pocketgan.bench.results import keep as keep_run
    from pocketgan.core.files import refuse_existing

    refuse_existing(out)
    print(keep_run(run_folder, out, generator=not without_generator))


@app.command
def results(*folders: Path, out: Path) -> None:
    """Write the table of stored runs and classifiers as Markdown, with their grids.

    Parameters
    ----------
    folders
        Runs, whole or kept, and classifiers.
    out
        The Markdown file; one that is there is replaced. The grids go into a folder of the same name.
    """
    if not folders:
        raise UsageError("no folders are given; name the runs and classifiers to tell of")
    load_torch()
    from pocketgan.bench.results import write_results

    print(write_results(folders, out))


@app.command
def throughput(*recipes: str, out: Path, quiet: Quiet = False) -> None:
    """Measure images a second in training beside the loop that tutorials teach, and the shipped model's sampling.

    Parameters
    ----------
    recipes
        Presets; all of them without any.
    out
        The Markdown file; one that is there is replaced.
    """
    load_torch()
    from pocketgan.bench.throughput import drawing, write_throughput
    from pocketgan.bench.throughput import throughput as measure
    from pocketgan.core.terminal import Display
    from pocketgan.recipes import GAN_PRESETS

    display = Display(quiet)
    rows = measure(list(recipes or GAN_PRESETS), display)
    print(write_throughput(rows, drawing(display), out))


@app.command
def threads(*recipes: str, out: Path, rounds: Rounds = 5, seconds: TurnSeconds = 4.0, quiet: Quiet = False) -> None:
    """Measure how OpenMP's threads should wait, on this machine as it is and beside a process that keeps a core busy.

    Parameters
    ----------
    recipes
        Presets; mlp, mlp-bn and pocket without any.
    out
        The Markdown file; one that is there is replaced.
    rounds
        Measurements of each recipe and setting.
    seconds
        Of training in each of them.
    """
    load_torch()
    from pocketgan.bench.threads import RECIPES, write_threads
    from pocketgan.bench.threads import threads as measure
    from pocketgan.core.terminal import Display

    print(write_threads(measure(recipes or RECIPES, rounds, seconds, Display(quiet)), out))


@app.command
def curves(*recipes: str, out: Path, nimg: Whole = 240_000, seeds: Seeds = "0,1,2", quiet: Quiet = False) -> None:
    """Draw the quality of both training loops, ours and that of tutorials, over images and over seconds.

    Parameters
    ----------
    recipes
        Presets; pocket without any.
    out
        The Markdown file; one that is there is replaced. The pictures go into a folder of the same name.
    nimg
        Images that each training is shown.
    """
    load_torch()
    from pocketgan.bench.curves import curves as train_both
    from pocketgan.bench.curves import write_curves
    from pocketgan.core.terminal import Display

    found = train_both(recipes or ("pocket",), nimg, _seeds(seeds), Display(quiet))
    print(write_curves(found, out))


@app.command
def speedrun(
    recipe: str = "pocket",
    *,
    out: Path,
    seeds: Seeds = "0,1,2",
    split: str = "test",
    quiet: Quiet = False,
    **options: GanField,
) -> None:
    """Train a recipe once for each seed and score each model, tstr included: seconds of training against quality.

    Parameters
    ----------
    recipe
        A preset's name or a .toml file.
    out
        A folder, which the same command goes on with; speedrun.md and speedrun.json are written into it.
    split
        Real images to measure against: test, for a frozen recipe, or val for research (then fit is learned from).
    """
    load_torch()
    from pocketgan.bench.speedrun import speedrun as train_seeds
    from pocketgan.core.terminal import Display

    train_seeds(recipe, _seeds(seeds), out, split=split, display=Display(quiet), **recipe_options(options, None))
    print((out / "speedrun.md").read_text(encoding="utf-8"), end="")


@app.command
def known_answers(*, out: Path, resamplings: Whole = 300, quiet: Quiet = False) -> None:
    """Score sets of images whose faults are known, and healthy ones: can the scorecard see what it should?

    Parameters
    ----------
    out
        The Markdown file; one that is there is replaced.
    resamplings
        Samples of healthy images, to count false alarms.
    """
    load_torch()
    from pocketgan.bench.known_answers import known_answers as score_known
    from pocketgan.core.terminal import Display

    print(score_known(out, resamplings, Display(quiet)))


@app.command
def steering(
    *models: str,
    out: Path,
    method: str = "",
    count: Whole = 1000,
    latents: Whole = 200_000,
    steps: Whole = 1000,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Fit every steering method to unconditional generators of digits, and measure it by the judge.

    Parameters
    ----------
    models
        Run folders or model folders; figures of what lies fitted in one, with the same budget, are kept in it.
    out
        The Markdown file; one that is there is replaced. The grids go into a folder of the same name.
    method
        Methods, with commas between; all without it.
    count
        Images of each class.
    latents
        Latents that the guide reads, for each generator.
    steps
        Of training, for each network that a method learns.
    seed
        Of latents and trainings.
    """
    if not models:
        raise UsageError("no models are given; name the generators to steer")
    load_torch()
    from pocketgan.bench.steering import steering_results
    from pocketgan.core.terminal import Display

    options = {"count": count, "latents": latents, "steps": steps, "seed": seed}
    print(steering_results(models, out, methods=listed(method), display=Display(quiet), **options))


def _seeds(text: str) -> list[int]:
    words = listed(text)
    if not words:
        raise UsageError("--seeds: give at least one, such as 0,1,2")
    for word in words:
        if not word.isdecimal():
            raise UsageError(f"--seeds: {word!r} is no whole number from 0; give them with commas between")
    return [int(word) for word in words]
