"""The published benchmarks as functions, each of which is a command too, as in `pocketgan.api`. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketgan.core.arguments import Seed
from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import user_path
from pocketgan.steer import LATENTS, STEPS


def keep(run_folder: str | Path, *, out: str | Path, without_generator: bool = False) -> Path:
    """Store a finished run in small: scores, events, grid and the generator in half precision.

    Parameters
    ----------
    run_folder
        A finished run.
    out
        A new folder.
    without_generator
        Leave the generator out.

    Raises
    ------
    UsageError
        The run was not scored, or `out` exists.
    """
    from pocketgan.bench.results import keep as keep_run
    from pocketgan.core.files import refuse_existing

    refuse_existing(user_path(out))
    return keep_run(user_path(run_folder), user_path(out), generator=not without_generator)


def results(*folders: str | Path, out: str | Path) -> Path:
    """Write the table of stored runs and classifiers as Markdown, with their grids.

    Parameters
    ----------
    folders
        Runs, whole or kept, and classifiers.
    out
        The Markdown file; one that is there is replaced. The grids go into a folder of the same name.

    Raises
    ------
    UsageError
        A folder is neither, its images have no labels and so no S1, or two are of one recipe and seed.
    """
    if not folders:
        raise UsageError("no folders are given; name the runs and classifiers to tell of")
    from pocketgan.bench.results import write_results

    return write_results([user_path(folder) for folder in folders], user_path(out))


def throughput(*recipes: str, out: str | Path, quiet: bool = False) -> Path:
    """Measure images a second in training beside the loop that tutorials teach, and the shipped model's sampling.

    Parameters
    ----------
    recipes
        Presets; all of them without any.
    out
        The Markdown file; one that is there is replaced.
    quiet
        As in `train`.
    """
    from pocketgan.bench.throughput import drawing, write_throughput
    from pocketgan.bench.throughput import throughput as measure
    from pocketgan.core.terminal import Display
    from pocketgan.recipes import GAN_PRESETS

    display = Display(quiet)
    rows = measure(list(recipes or GAN_PRESETS), display)
    return write_throughput(rows, drawing(display), user_path(out))


def threads(*recipes: str, out: str | Path, rounds: int = 5, seconds: float = 4.0, quiet: bool = False) -> Path:
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
    quiet
        As in `train`.
    """
    if rounds < 1:
        raise UsageError(f"--rounds {rounds} is too small; give at least 1")
    if seconds <= 0:
        raise UsageError(f"--seconds {seconds:g} is too small; give more than 0")
    from pocketgan.bench.threads import RECIPES, write_threads
    from pocketgan.bench.threads import threads as measure
    from pocketgan.core.terminal import Display

    return write_threads(measure(recipes or RECIPES, rounds, seconds, Display(quiet)), user_path(out))


def curves(
    *recipes: str, out: str | Path, nimg: int = 240_000, seeds: Sequence[int] = (0, 1, 2), quiet: bool = False
) -> Path:
    """Draw the quality of both training loops, ours and that of tutorials, over images and over seconds.

    Parameters
    ----------
    recipes
        Presets; pocket without any.
    out
        The Markdown file; one that is there is replaced. The pictures go into a folder of the same name.
    nimg
        Images that each training is shown.
    seeds
        Of the trainings.
    quiet
        As in `train`.
    """
    from pocketgan.bench.curves import curves as train_both
    from pocketgan.bench.curves import write_curves
    from pocketgan.core.terminal import Display

    return write_curves(train_both(recipes or ("pocket",), nimg, _some(seeds), Display(quiet)), user_path(out))


def speedrun(
    recipe: str | Path = "pocket",
    *,
    out: str | Path,
    seeds: Sequence[int] = (0, 1, 2),
    split: str = "test",
    data: str | Path | None = None,
    quiet: bool = False,
    **options: Any,
) -> Path:
    """Train a recipe once for each seed and score each model, tstr included: seconds of training against quality.

    Parameters
    ----------
    recipe, data, quiet, options
        As in `train`.
    out
        A folder, which the same command goes on with; speedrun.md and speedrun.json are written into it.
    seeds
        Of the trainings.
    split
        Real images to measure against: test, for a frozen recipe, or val for research (then fit is learned from).

    Returns
    -------
    Path
        speedrun.md.
    """
    from pocketgan.bench.speedrun import speedrun as train_seeds
    from pocketgan.core.terminal import Display

    if data is not None:
        options["source"] = str(data)
    train_seeds(str(recipe), _some(seeds), user_path(out), split=split, display=Display(quiet), **options)
    return user_path(out) / "speedrun.md"


def objectives(
    *losses: str,
    out: str | Path,
    recipe: str = "mlp",
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    split: str = "test",
    data: str | Path | None = None,
    quiet: bool = False,
    nimg: int = 600_000,
) -> Path:
    """Train one pair by each loss, with its paper's numbers and the same budget, and score each: are they equal?

    Parameters
    ----------
    losses
        Names of losses, as of --loss; all of them without any.
    out
        A folder, which the same command goes on with; objectives.md and objectives.json are written into it.
    recipe
        The pair's preset, or a .toml file.
    seeds
        Of the trainings.
    split
        Real images to measure against: test, or val for research (then fit is learned from).
    data, quiet
        As in `train`.
    nimg
        The budget of each training in real images, those of a critic's extra steps among them.

    Returns
    -------
    Path
        objectives.md.
    """
    from pocketgan.bench.objectives import objectives as train_all
    from pocketgan.core.terminal import Display
    from pocketgan.recipes.papers import PAPERS

    for loss in losses:
        if loss not in PAPERS:
            raise UsageError(f"loss '{loss}' is unknown{nearest(loss, PAPERS)}")
    options = {"nimg": nimg} if data is None else {"nimg": nimg, "source": str(data)}
    names = tuple(dict.fromkeys(losses)) or tuple(PAPERS)
    train_all(names, recipe, _some(seeds), user_path(out), split=split, display=Display(quiet), **options)
    return user_path(out) / "objectives.md"


def known_answers(
    *,
    out: str | Path,
    parts: Sequence[str] = ("faults", "transformations", "healthy"),
    resamplings: int = 300,
    quiet: bool = False,
) -> Path:
    """Score sets of images whose faults are known, and healthy ones: can the scorecard see what it should?

    Parameters
    ----------
    out
        The Markdown file; of one that is there, the parts that are not asked for stay as they are.
    parts
        faults (of 10,000 images, some put in on purpose), transformations (of all images or labels), healthy.
    resamplings
        Samples of healthy images, of 2,000 each, to count false alarms; at least 1.
    quiet
        As in `train`.

    Raises
    ------
    UsageError
        A part is unknown, or one that is not asked for is not in the file; or there are no samples.
    """
    if resamplings < 1:
        raise UsageError(f"--resamplings {resamplings} is too small; give at least 1")
    from pocketgan.bench.known_answers import known_answers as score_known
    from pocketgan.core.terminal import Display

    return score_known(user_path(out), parts, resamplings, Display(quiet))


def steering(
    *models: str | Path,
    out: str | Path,
    method: Sequence[str] = (),
    count: int = 1000,
    latents: int = LATENTS,
    steps: int = STEPS,
    seed: Seed = 0,
    quiet: bool = False,
) -> Path:
    """Fit every steering method to unconditional generators of digits, and measure it by the judge.

    Parameters
    ----------
    models
        Run folders or model folders; figures of what lies fitted in one, with the same budget, are kept in it.
    out
        The Markdown file; one that is there is replaced. The grids go into a folder of the same name.
    method
        As in `fit_steering`; all without any. The bank is always among them.
    count
        Images of each class.
    latents
        Latents that the guide reads, for each generator.
    steps
        Of training, for each network that a method learns.
    seed
        Of latents and trainings.
    quiet
        As in `train`.

    Raises
    ------
    UsageError
        A model is conditional or makes other images.
    """
    if not models:
        raise UsageError("no models are given; name the generators to steer")
    from pocketgan.bench.steering import steering_results
    from pocketgan.core.terminal import Display

    budget = {"count": count, "latents": latents, "steps": steps, "seed": seed}
    return steering_results(models, user_path(out), methods=method, display=Display(quiet), **budget)


def export(*models: str | Path, out: str | Path, quiet: bool = False) -> Path:
    """Export models to every format, and write sizes, times and how near each file is to pocketgan's own images.

    Parameters
    ----------
    models
        Run folders, model folders, or digits, the shipped generator.
    out
        The Markdown file; one that is there is replaced.
    quiet
        As in `train`.

    Raises
    ------
    UsageError
        No models are given, or a format's extra is not installed.
    """
    if not models:
        raise UsageError("no models are given; name those to export, such as digits")
    from pocketgan.bench.export import write_exports

    return write_exports(models, user_path(out), quiet)


def strangers(*, out: str | Path, quiet: bool = False) -> Path:
    """Build what people bring (models, fakes, images, labels, tables), and write what the program makes of each.

    Parameters
    ----------
    out
        The Markdown file; one that is there is replaced.
    quiet
        As in `train`.

    Raises
    ------
    PocketganError
        Something is not taken as it is meant; the page says what.
    """
    from pocketgan.bench.strangers.page import write_strangers
    from pocketgan.core.terminal import Display

    return write_strangers(user_path(out), Display(quiet))


def _some(seeds: Sequence[int]) -> list[int]:
    if not seeds or any(seed < 0 for seed in seeds):
        raise UsageError("--seeds: give at least one whole number from 0, such as 0,1,2")
    return list(seeds)
