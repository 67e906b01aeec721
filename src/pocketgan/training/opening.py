"""Before a training: what a run's folder holds, and whether it is the run that is asked for."""

from __future__ import annotations

from typing import Any, get_args

import torch

from pocketgan.core.devices import find_device
from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import refuse_existing, tidy
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import learning_images
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.judge import refuse_judge
from pocketgan.models.model import Model
from pocketgan.networks.architectures import settled
from pocketgan.recipes import Recipe
from pocketgan.runs.folder import RunFolder
from pocketgan.training.health import Policy
from pocketgan.training.listeners import Setup, check_tensorboard
from pocketgan.training.speed import seconds_per_image, with_precision
from pocketgan.training.state import check_objective
from pocketgan.training.trainer import train_to_the_end

WARM_UP_SECONDS = 5.0  # of training, thrown away, to turn a budget in minutes into images


def train_in(
    run: RunFolder,
    wanted: Recipe,
    *,
    device: str,
    tensorboard: bool,
    display: Display,
    policy: Policy | None,
    inexact: bool,
) -> Model:
    """Train by a recipe in a run's folder, go on there, or load what is complete; as `pocketgan.train`."""
    data = learning_images(wanted.data.source, wanted.data.split)
    wanted, notes = settled(wanted, data.shape, len(data.class_names))
    stored = _open_run(run, wanted, data)
    if stored is not None and run.is_complete:
        tidy(run.path)
        display.line(f"{run} is complete; nothing to train")
        return Model.load(run.path, device)
    if tensorboard:
        check_tensorboard()
    place = find_device(device)
    check_objective(wanted, data.shape, len(data.class_names))
    for note in notes:
        display.line(note)
    final = stored or _decided(wanted, data, place)
    choosing = _choosing_guide(final, data) if final.schedule.until_good else None
    watching = guide_for(data.shape, data.class_names, device)
    with run.alone():
        stored = _open_run(run, wanted, data)  # again: another process may have been here in between
        if stored is not None and run.is_complete:
            display.line(f"{run} is complete; nothing to train")
            return Model.load(run.path, device)
        if stored is None:
            run.write_recipe(final)
        setup = Setup(
            run=run,
            recipe=stored or final,
            data=data,
            device=place,
            display=display,
            policy=policy,
            tensorboard=tensorboard,
            inexact=inexact,
            watching=watching,
            choosing=choosing,
        )
        return train_to_the_end(setup, resumes=stored is not None)


def policy_of(name: str | None) -> Policy | None:
    """The policy of this name; None where none is asked for."""
    policy: Policy | None = next((known for known in get_args(Policy) if known == name), None)
    if policy is None and name is not None:
        raise UsageError(f"--on-trouble {name} is unknown{nearest(name, get_args(Policy))}")
    return policy


def _open_run(run: RunFolder, wanted: Recipe, data: ImageSet) -> Recipe | None:
    """The recipe stored in `run` if it is the wanted one on the same images; None where there is no run yet."""
    if not run.is_begun:
        try:
            refuse_existing(run.path)
            return None
        except UsageError:
            if not run.is_begun:  # else another process began this run in between
                raise
    stored = run.recipe()
    if wanted.schedule.minutes is not None and wanted.schedule.nimg is None:
        wanted = wanted.changed("schedule", nimg=stored.schedule.nimg)  # what the same minutes became
    if wanted.optimizer.precision == "auto":
        wanted = wanted.changed("optimizer", precision=stored.optimizer.precision)
    if stored != wanted:
        changed = _first_difference(stored.model_dump(), wanted.model_dump())
        raise UsageError(f"--out {run} holds another run ({changed}) and is left as it is; choose another folder")
    start = run.start()
    if start is not None and start.data != data.digest:
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


def _choosing_guide(recipe: Recipe, data: ImageSet) -> Classifier:
    guide = Classifier.load(recipe.schedule.guide)
    refuse_judge(guide, f"--guide {recipe.schedule.guide}")
    if guide.shape != data.shape or (data.class_names and guide.class_names != data.class_names):
        raise UsageError(
            f"--until-good: the guide '{recipe.schedule.guide}' does not know these images; train one with "
            "`pocketgan classify train cnn --data IMAGES --out GUIDE` and give --guide GUIDE"
        )
    return guide
