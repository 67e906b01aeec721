"""`train`: one training, from a recipe to a run folder that the same command resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import torch

from pocketgan.core.devices import find_device
from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import alone_in, clear_errors, refuse_existing, tidy
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import learning_images
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.judge import refuse_judge
from pocketgan.models.model import Model
from pocketgan.networks.architectures import settled
from pocketgan.recipes import Recipe, gan_recipe, read_recipe, write_recipe
from pocketgan.runs.events import read_events
from pocketgan.training.health import Goodness, Policy, Watch
from pocketgan.training.listeners import Board, check_installed
from pocketgan.training.speed import seconds_per_image, with_precision
from pocketgan.training.state import check_objective
from pocketgan.training.trainer import Training

WARM_UP_SECONDS = 5.0  # of training, thrown away, to turn a budget in minutes into images


def train(
    recipe: str | Recipe = "pocket",
    *,
    out: str | Path,
    device: str = "auto",
    tensorboard: bool = False,
    quiet: bool = False,
    on_trouble: str | None = None,
    inexact: bool = False,
    **options: Any,
) -> Model:
    """Train a generator and a discriminator, or go on with a training that was stopped.

    Parameters
    ----------
    recipe
        The name of a preset, a TOML file, or a `Recipe`.
    out
        The run's folder. If it holds a run of the same recipe and seed, that run goes on where it was, or is only
        loaded where it is complete.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    tensorboard
        Write losses and samples to ``out/tensorboard`` as well.
    quiet
        Show no progress.
    on_trouble
        What to do when the health watch sees a number that is not finite, a collapse, or a discriminator that has won
        or learns too fast: ``stop``, ``rollback`` to the last good checkpoint with another seed and half the rates (at
        most three times, then stop), or ``warn``. Without it, ``stop`` for what is not finite and ``warn`` for the
        rest; ``warn`` stops for what is not finite too, because nothing true can follow.
    inexact
        Go on with a run even where versions, device or threads have changed, so that the result is not bit for bit that
        of an uninterrupted run.
    options
        Any field of the recipe: ``seed=1``, ``epochs=2``, ``lr_g=1e-3``, ``source="pictures/"``, …

    Returns
    -------
    Model
        The trained model, which is also in ``out/model``.

    Raises
    ------
    UsageError
        The recipe, an option or the images do not fit, `out` holds something else or is in use, or a run cannot go on
        bit for bit here.
    PocketganError
        The images or the run cannot be read or written.
    TroubleError
        The health watch stopped the training.
    """
    wanted = gan_recipe(recipe, options)
    policy = _policy(on_trouble)
    run, display = Path(out), Display(quiet)
    data = learning_images(wanted.data.source, wanted.data.split)
    wanted, notes = settled(wanted, data.shape, len(data.class_names))
    stored = _open_run(run, wanted, data)
    if stored is not None and _is_complete(run):
        tidy(run)
        display.line(f"{run} is complete; nothing to train")
        return Model.load(run, device)
    if tensorboard:
        check_installed()
    place = find_device(device)
    check_objective(wanted, data.shape, len(data.class_names))
    for note in notes:
        display.line(note)
    final = stored or _decided(wanted, data, place)
    good = _goodness(final, data) if final.schedule.until_good else None
    guide = guide_for(data.shape, data.class_names, device)
    with clear_errors(run):
        run.mkdir(parents=True, exist_ok=True)
    with alone_in(run):
        stored = _open_run(run, wanted, data)  # again: another process may have been here in between
        if stored is not None and _is_complete(run):
            display.line(f"{run} is complete; nothing to train")
            return Model.load(run, device)
        if stored is None:
            write_recipe(final, run / "recipe.toml")
        final = stored or final
        training = Training(
            run=run,
            recipe=final,
            data=data,
            device=place,
            display=display,
            watch=Watch(data, final, None if guide is None else guide.probabilities),
            good=good,
            policy=policy,
            resumes=stored is not None,
            inexact=inexact,
        )
        training.begin()
        board = training.board = Board(run / "tensorboard") if tensorboard else None
        try:
            return training.run_to_the_end()
        finally:
            if board is not None:
                board.close()


def _policy(name: str | None) -> Policy | None:
    policy: Policy | None = next((known for known in get_args(Policy) if known == name), None)
    if policy is None and name is not None:
        raise UsageError(f"--on-trouble {name} is unknown{nearest(name, get_args(Policy))}")
    return policy


def _is_complete(run: Path) -> bool:
    return (run / "model" / "model.json").is_file()


def _open_run(run: Path, wanted: Recipe, data: ImageSet) -> Recipe | None:
    """The recipe stored in `run` if it is the wanted one on the same images; None where there is no run yet."""
    if not (run / "recipe.toml").is_file():
        try:
            refuse_existing(run)
            return None
        except UsageError:
            if not (run / "recipe.toml").is_file():  # else another process began this run in between
                raise
    stored = read_recipe(Recipe, run / "recipe.toml")
    if wanted.schedule.minutes is not None and wanted.schedule.nimg is None:
        wanted = wanted.changed("schedule", nimg=stored.schedule.nimg)  # what the same minutes became
    if wanted.optimizer.precision == "auto":
        wanted = wanted.changed("optimizer", precision=stored.optimizer.precision)
    if stored != wanted:
        changed = _first_difference(stored.model_dump(), wanted.model_dump())
        raise UsageError(f"--out {run} holds another run ({changed}) and is left as it is; choose another folder")
    start = next(iter(read_events(run / "events.jsonl")), None)
    if start is not None and start.get("data") != data.digest:
        raise UsageError(f"--out {run} was trained on other images than {data.name} now holds; choose another folder")
    return stored


def _first_difference(stored: dict[str, Any], wanted: dict[str, Any]) -> str:
    for name, value in stored.items():
        if isinstance(value, dict) and value != wanted[name]:
            return _first_difference(value, wanted[name])
        if value != wanted[name]:
            return f"{name} is {value!r} there, {wanted[name]!r} here"
    return "same fields"


def _decided(recipe: Recipe, data: ImageSet, device: torch.device) -> Recipe:
    """The recipe with what depends on this machine decided once: the precision, and images for a budget in minutes.

    Minutes become images by the speed of a short training that is thrown away.
    """
    recipe = with_precision(recipe, device)
    if recipe.schedule.minutes is None or recipe.schedule.nimg is not None:
        return recipe
    seconds_each = seconds_per_image(recipe, data, device, WARM_UP_SECONDS)
    nimg = max(recipe.schedule.batch_size, round(recipe.schedule.minutes * 60 / seconds_each))
    return recipe.changed("schedule", nimg=nimg)


def _goodness(recipe: Recipe, data: ImageSet) -> Goodness:
    guide = Classifier.load(recipe.schedule.guide)
    refuse_judge(guide, f"--guide {recipe.schedule.guide}")
    if guide.shape != data.shape or (data.class_names and guide.class_names != data.class_names):
        raise UsageError(
            f"--until-good: the guide '{recipe.schedule.guide}' does not know these images; train one with "
            "`pocketgan classify train cnn --data IMAGES --out GUIDE` and give --guide GUIDE"
        )
    return Goodness(guide.probabilities, data.images)
