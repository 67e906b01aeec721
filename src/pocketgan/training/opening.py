"""Before a training: what a run's folder holds, and whether it is the run that is asked for."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from torch import nn

from pocketgan.core.devices import find_device
from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import refuse_existing, tidy
from pocketgan.core.terminal import Display
from pocketgan.data.fakes import PERSON, read_fakes
from pocketgan.data.given import is_given
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import learning_images
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.judge import refuse_judge
from pocketgan.models.model import Model
from pocketgan.models.saved import holds
from pocketgan.networks.architectures import empty_discriminator, empty_generator, settled
from pocketgan.networks.contracts import has
from pocketgan.recipes import BUDGETS, Recipe
from pocketgan.recipes.coach import with_networks
from pocketgan.recipes.recipe import ScheduleConfig
from pocketgan.runs.facts import BudgetEvent
from pocketgan.runs.folder import MODEL, RunFolder
from pocketgan.training.checkpoint import newest_nimg
from pocketgan.training.following import follow
from pocketgan.training.health import Policy
from pocketgan.training.listeners import Setup, check_tensorboard
from pocketgan.training.processes import processes
from pocketgan.training.speed import seconds_per_image, with_precision
from pocketgan.training.starting import Start, check_fit, read_start
from pocketgan.training.state import check_objective
from pocketgan.training.trainer import train_to_the_end

OUTDATED = ("generate", "score", "report")  # steps whose results a longer training outdates
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
    """Train by a recipe in a run's folder, go on there, or load what is complete; as `pocketgan.train`.

    Of several processes only the first comes back from here; the others end when it is done.
    """
    team = processes()
    with team.together():
        team.shards(wanted.schedule.shards)
        data = learning_images(wanted.data.source, wanted.data.split, wanted.data)
    if team.rank:
        follow(team, data, find_device(device))
        raise SystemExit(0)
    with team.leading():
        return _train(run, wanted, data, device, tensorboard, display, policy, inexact)


def _train(
    run: RunFolder,
    wanted: Recipe,
    data: ImageSet,
    device: str,
    tensorboard: bool,
    display: Display,
    policy: Policy | None,
    inexact: bool,
) -> Model:
    display.lines(data.notes)
    wanted, notes = settled(wanted, data.shape, len(data.class_names))
    wanted, start = _with_start(run, wanted, display)
    begun = _open_run(run, wanted, data)
    if begun is not None and begun.is_complete:
        tidy(run.path)
        display.line(f"{run} is complete; nothing to train")
        return Model.load(run.path, device)
    if tensorboard:
        check_tensorboard()
    where = find_device(device)
    check_objective(wanted, data.shape, len(data.class_names))
    if start is not None:
        check_fit(start, wanted, data.shape, len(data.class_names))
    for note in notes:
        display.line(note)
    final = _decided(wanted, data, where) if begun is None else begun.recipe
    choosing = _choosing_guide(final, data) if final.schedule.until_good else None
    watching = guide_for(data.shape, data.class_names, device)
    with run.alone():
        begun = _open_run(run, wanted, data)  # again: another process may have been here in between
        if begun is not None and begun.is_complete:
            display.line(f"{run} is complete; nothing to train")
            return Model.load(run.path, device)
        if begun is None:
            run.write_recipe(final)
        elif begun.new_budget:
            _change_budget(begun, len(data), display)
        setup = Setup(
            run=run,
            recipe=final if begun is None else begun.recipe,
            data=data,
            device=where,
            display=display,
            policy=policy,
            tensorboard=tensorboard,
            inexact=inexact,
            watching=watching,
            choosing=choosing,
            start=start,
            new_budget=begun is not None and begun.new_budget,
        )
        return train_to_the_end(setup, resumes=begun is not None)


def coached(wanted: Recipe, said: Collection[str], display: Display) -> Recipe:
    """A coached recipe with what depends on its networks, of which it tells what the coach leaves out.

    Parameters
    ----------
    wanted
        With the coach's rules laid over it.
    said
        Names of the options that were laid over these rules, which they win over.
    display
        Where it is told.
    """
    team = processes()
    with team.together():
        data = learning_images(wanted.data.source, wanted.data.split, wanted.data)
        classes = len(data.class_names)
        known, _ = settled(wanted, data.shape, classes)
        generator = empty_generator(known, data.shape, classes)
        discriminator = empty_discriminator(known, data.shape, classes)
    names = {name.replace("-", "_").rpartition(".")[2] for name in said}
    convolutional = has(generator, (nn.Conv2d, nn.ConvTranspose2d))
    wanted, notes = with_networks(wanted, names, convolutional=convolutional, mixes_images=discriminator.mixes_images)
    for note in notes if team.rank == 0 else ():
        display.line(note)
    return wanted


def policy_of(name: str | None) -> Policy | None:
    """The policy of this name; None where none is asked for."""
    policy: Policy | None = next((known for known in get_args(Policy) if known == name), None)
    if policy is None and name is not None:
        raise UsageError(f"--on-trouble {name} is unknown{nearest(name, get_args(Policy))}")
    return policy


class _Begun(NamedTuple):
    """A run that is there, and is the one that is wanted."""

    run: RunFolder
    stored: Recipe
    recipe: Recipe  # the same with the budget that is wanted

    @property
    def new_budget(self) -> bool:
        """Whether it is to be trained longer, or less long, than it was meant to be."""
        return self.recipe != self.stored

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing to train."""
        return not self.new_budget and self.run.is_complete


def _with_start(run: RunFolder, wanted: Recipe, display: Display) -> tuple[Recipe, Start | None]:
    """The recipe with the digest of the weights to begin with in place of their path, and the weights.

    A run that is there has what it needs: where it began from a model that is gone, or is not named again, it goes on.
    """
    named = wanted.model.start_from
    stored = run.recipe().model.start_from if run.is_begun else None
    if named is None:
        return wanted.changed("model", start_from=stored), None
    if re.fullmatch("[0-9a-f]{64}", named):
        if not run.is_begun:
            raise UsageError(
                f"--start-from {named[:12]}… is the sha256 of weights and tells no folder; give the run or model itself"
            )
        return wanted, None
    if stored is not None and not holds(named, MODEL):
        display.line(f"--start-from {named} is gone; the run goes on from its own checkpoints")
        return wanted.changed("model", start_from=stored), None
    start = read_start(named)
    if stored is not None and stored != start.digest:
        raise UsageError(
            f"--start-from {named}: it holds other weights than {run} began with; leave the option out to go on"
        )
    return wanted.changed("model", start_from=start.digest), start


def _open_run(run: RunFolder, wanted: Recipe, data: ImageSet) -> _Begun | None:
    """What `run` holds, if it is the wanted run on the same images; None where there is no run yet.

    Images are compared by their digest, whatever path they lie under. Budgets may differ.
    """
    if not run.is_begun:
        try:
            refuse_existing(run.path)
            return None
        except UsageError:
            if not run.is_begun:  # else another process began this run in between
                raise
    stored, start = run.recipe(), run.start()
    other = start is not None and start.data != data.digest
    if other and is_given(stored.data.source):
        if not is_given(wanted.data.source):
            raise UsageError(
                f"--out {run} learned from a Python object; give it again as data=, or choose another folder"
            )
        wanted = wanted.changed("data", source=stored.data.source)  # known by the images, which are compared below
    if start is not None and start.data == data.digest:
        wanted = wanted.changed("data", source=stored.data.source, **stored.data.fields)
    if wanted.optimizer.precision == "auto":
        wanted = wanted.changed("optimizer", precision=stored.optimizer.precision)
    same = wanted.model_copy(update={"schedule": _with_budget_of(wanted.schedule, stored.schedule)})
    if same != stored:
        changed = _first_difference(stored.model_dump(), same.model_dump())
        raise UsageError(f"--out {run} holds another run ({changed}) and is left as it is; choose another folder")
    if other:
        raise UsageError(f"--out {run} was trained on other images than {data.name} now holds; choose another folder")
    return _Begun(run, stored, _budgeted(run, stored, wanted.schedule, len(data)))


def _with_budget_of(schedule: ScheduleConfig, other: ScheduleConfig) -> ScheduleConfig:
    return schedule.model_copy(update={name: getattr(other, name) for name in BUDGETS})


def _budgeted(run: RunFolder, stored: Recipe, wanted: ScheduleConfig, images: int) -> Recipe:
    """The recipe of a run with the wanted budget; as it is stored where that is as long, or where a guide ended it.

    Raises
    ------
    UsageError
        More was shown already, or the budget is in minutes and the run's was not.
    """
    option = next(name for name in ("minutes", "epochs", "nimg") if getattr(wanted, name) is not None)
    if wanted.minutes is not None and wanted.nimg is None:
        before = stored.schedule
        if before.minutes is None or before.nimg is None:
            raise UsageError(f"--minutes: the budget of {run} is not in minutes; give --epochs or --nimg")
        share = wanted.minutes / before.minutes  # the run's own images for its minutes tell the speed
        wanted = wanted.model_copy(update={"nimg": round(before.nimg * share)})
    end = run.finish()
    shown = max(newest_nimg(run.checkpoints), 0 if end is None else end.nimg)
    total = wanted.total_nimg(images)
    if total < shown:
        raise UsageError(
            f"--{option} {getattr(wanted, option):g}: {run} has seen {shown:,} images already, and this budget is "
            f"{total:,}; give more, or choose another folder"
        )
    if total == stored.schedule.total_nimg(images) or (end is not None and end.reason != "budget"):
        return stored
    return stored.model_copy(update={"schedule": _with_budget_of(stored.schedule, wanted)})


def _change_budget(begun: _Begun, images: int, display: Display) -> None:
    """Let a run have its new budget. What a longer training outdates is removed; after a kill, it is done again."""
    run, nimg = begun.run, newest_nimg(begun.run.checkpoints)
    if run.fakes.exists() and PERSON in read_fakes(run.fakes, partly=True).label_source:
        raise UsageError(
            f"--out {run}: a person gave labels in {run.fakes}, and a longer training outdates them; "
            "move that folder out of the run first"
        )
    old, new = (recipe.schedule.total_nimg(images) for recipe in (begun.stored, begun.recipe))
    run.change_budget(BudgetEvent(nimg=nimg, old_total_nimg=old, total_nimg=new), images)
    outdated = [run.steering_page, *(path for step in OUTDATED for path in run.made_by(step))]
    removed = [path for path in outdated if path.exists()]
    for path in removed:
        _remove(path)
    if old % images:
        run.sample_file(old // images + 1).unlink(missing_ok=True)  # of an epoch that was cut short
    run.write_recipe(begun.recipe)
    display.line(f"the budget is {new:,} images now, and was {old:,}")
    if removed:
        names = ", ".join(map(str, run.relative(removed)))
        display.line(f"removed, since a longer training outdates it: {names}; `pocketgan run` makes it again")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


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
