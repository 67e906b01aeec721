"""`train`: one training, from a recipe to a run folder that the same command resumes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from pocketgan.classifier import Classifier
from pocketgan.core.devices import find_device, multiplies_bf16, peak_memory_mb
from pocketgan.core.errors import UsageError
from pocketgan.core.files import alone_in, clear_errors, refuse_existing, write_bytes
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.data.sealed import learning_images
from pocketgan.judge import refuse_judge
from pocketgan.model import Model, Samples
from pocketgan.models.layers import parameter_count
from pocketgan.models.table import check_images
from pocketgan.recipes import Recipe, gan_recipe, read_recipe, write_recipe
from pocketgan.saved import data_facts, made_with, save_state_dict, weights_digest
from pocketgan.training.checkpoint import load_newest, save_checkpoint
from pocketgan.training.events import append_event, cut_events, read_events
from pocketgan.training.goodness import COUNT, Goodness
from pocketgan.training.loop import Milestone, train_steps
from pocketgan.training.state import TrainState, check_objective, new_state
from pocketgan.training.tensorboard import Board

CHECKPOINT_SECONDS = 30.0  # at most this much training is lost with a kill
WARM_UP_SECONDS = 5.0  # of training, thrown away, to turn a budget in minutes into images
SAMPLES = 100  # in a sample grid, always of the same latents


def train(
    recipe: str | Recipe = "pocket",
    *,
    out: str | Path,
    device: str = "auto",
    tensorboard: bool = False,
    quiet: bool = False,
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
    options
        Any field of the recipe: ``seed=1``, ``epochs=2``, ``lr_g=1e-3``, ``source="pictures/"``, …

    Returns
    -------
    Model
        The trained model, which is also in ``out/model``.

    Raises
    ------
    UsageError
        The recipe, an option or the images do not fit, or `out` holds something else.
    PocketganError
        The images or the run cannot be read or written.
    """
    wanted = gan_recipe(recipe, options)
    run, display = Path(out), Display(quiet)
    data = learning_images(wanted.data.source, wanted.data.split)
    check_images(wanted.model.architecture, data.shape, len(data.class_names))
    stored = _open_run(run, wanted, data)
    if stored is not None and (run / "model" / "model.json").is_file():
        display.line(f"{run} is complete; nothing to train")
        return Model.load(run, device)
    place = find_device(device)
    check_objective(wanted)
    final = stored or _decided(wanted, data, place)
    good = _goodness(final, data) if final.schedule.until_good else None
    board = Board(run / "tensorboard") if tensorboard else None
    state = new_state(final, data.shape, len(data.class_names), place)
    with clear_errors(run):
        run.mkdir(parents=True, exist_ok=True)
    with alone_in(run):
        if stored is None:
            write_recipe(final, run / "recipe.toml")
        else:
            for line in load_newest(run / "checkpoints", state):
                display.line(f"passed over: {line}")
            cut_events(run / "events.jsonl", state.nimg)
            cut_events(run / "timings.jsonl", state.nimg)
            display.line(f"resumed at nimg {state.nimg:,}")
        if not read_events(run / "events.jsonl"):
            total = final.schedule.total_nimg(len(data))
            start = {"event": "start", "nimg": 0, "recipe": final.name, "seed": final.seed, "total_nimg": total}
            append_event(run / "events.jsonl", {**start, "images": len(data), "data": data.digest})
        try:
            model = _train_and_record(run, state, data, final, display, good, board)
        finally:
            if board is not None:
                board.close()
        save_state_dict(model.generator, run / "G.pkl")
        save_state_dict(state.discriminator, run / "D.pkl")
        model.save(run / "model")  # last: it marks the run as complete
    return model


def _open_run(run: Path, wanted: Recipe, data: ImageSet) -> Recipe | None:
    """The recipe stored in `run` if it is the wanted one on the same images; None where there is no run yet."""
    if not (run / "recipe.toml").is_file():
        refuse_existing(run)
        return None
    stored = read_recipe(Recipe, run / "recipe.toml")
    if wanted.schedule.minutes is not None and wanted.schedule.nimg is None:
        wanted = _changed(wanted, "schedule", nimg=stored.schedule.nimg)  # what the same minutes became
    if wanted.optimizer.precision == "auto":
        wanted = _changed(wanted, "optimizer", precision=stored.optimizer.precision)
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


def _changed(recipe: Recipe, section: str, **fields: Any) -> Recipe:
    return recipe.model_copy(update={section: getattr(recipe, section).model_copy(update=fields)})


def _decided(recipe: Recipe, data: ImageSet, device: torch.device) -> Recipe:
    """The recipe with what depends on this machine decided once: the precision, and images for a budget in minutes.

    Minutes become images by the speed of a short training that is thrown away.
    """
    if recipe.optimizer.precision == "auto":
        recipe = _changed(recipe, "optimizer", precision="bf16" if multiplies_bf16(device) else "fp32")
    if recipe.schedule.minutes is None or recipe.schedule.nimg is not None:
        return recipe
    trial = _changed(recipe, "schedule", nimg=1 << 40)
    state = new_state(trial, data.shape, len(data.class_names), device)
    steps = train_steps(state, data, trial)
    first = next(steps)
    began = time.perf_counter()
    last = first
    while time.perf_counter() - began < WARM_UP_SECONDS:
        last = next(steps)
    speed = (last.nimg - first.nimg) / (time.perf_counter() - began)
    nimg = max(recipe.schedule.batch_size, round(speed * recipe.schedule.minutes * 60))
    return _changed(recipe, "schedule", nimg=nimg)


def _train_and_record(
    run: Path,
    state: TrainState,
    data: ImageSet,
    recipe: Recipe,
    display: Display,
    good: Goodness | None,
    board: Board | None,
) -> Model:
    total = recipe.schedule.total_nimg(len(data))
    epochs = (total - recipe.schedule.batch_size) // len(data) + 1
    saved_at = time.perf_counter()
    model = _snapshot(state, data, recipe)
    reason = "budget"
    with display.bar(f"training {recipe.name}", total) as bar:
        for milestone, spent in _timed(train_steps(state, data, recipe)):
            state.seconds += spent
            speed = milestone.nimg / state.seconds
            losses = f"D {milestone.loss_d:.3f}  G {milestone.loss_g:.3f}"
            bar.update(milestone.nimg, f"epoch {milestone.epoch}/{epochs}  {speed:,.0f} images/s  {losses}")
            if milestone.epoch_ended:
                _log_epoch(run, milestone, state.seconds, speed, board)
                display.line(f"epoch {milestone.epoch}/{epochs}  {losses}  {speed:,.0f} images/s")
                if _wants_samples(milestone, recipe):
                    _draw_samples(run, model, state, milestone, display, board)
                if good is not None and _is_good(good, model, state):
                    reason = "until good"
                    display.line(f"stopped: the guide is satisfied at epoch {milestone.epoch}")
                    break
            if time.perf_counter() - saved_at >= CHECKPOINT_SECONDS and not milestone.finished:
                save_checkpoint(run / "checkpoints", state)
                saved_at = time.perf_counter()
    if good is not None and reason == "budget":
        display.line("the budget ended before the guide was satisfied")
    append_event(run / "events.jsonl", {"event": "finish", "nimg": state.nimg, "reason": reason})
    return _snapshot(state, data, recipe)


def _goodness(recipe: Recipe, data: ImageSet) -> Goodness:
    guide = Classifier.load(recipe.schedule.guide)
    refuse_judge(guide, f"--guide {recipe.schedule.guide}")
    if guide.shape != data.shape or (data.class_names and guide.class_names != data.class_names):
        raise UsageError(
            f"--until-good: the guide '{recipe.schedule.guide}' does not know these images; train one with "
            "`pocketgan classify train cnn --data IMAGES --out GUIDE` and give --guide GUIDE"
        )
    return Goodness(guide.probabilities, data.images)


def _took_part(recipe: Recipe) -> list[str]:
    """Digests of the classifiers that selected; a judge among them must not score the model."""
    return [weights_digest(Classifier.load(recipe.schedule.guide).network)] if recipe.schedule.until_good else []


def _is_good(good: Goodness, model: Model, state: TrainState) -> bool:
    return good.reached(_samples(model, state, COUNT).images)


def _samples(model: Model, state: TrainState, count: int) -> Samples:
    """Samples of a network in training, always of the same latents."""
    model.generator.eval()
    samples = model.sample(count, seed=model.recipe.seed)
    state.generator.train()
    return samples


def _timed(milestones: Iterator[Milestone]) -> Iterator[tuple[Milestone, float]]:
    """Each milestone with the seconds of training that led to it; what the caller does between is not counted."""
    while True:
        began = time.perf_counter()
        milestone = next(milestones, None)
        if milestone is None:
            return
        yield milestone, time.perf_counter() - began


def _wants_samples(milestone: Milestone, recipe: Recipe) -> bool:
    return milestone.epoch <= 5 or milestone.epoch % recipe.schedule.sample_every == 0 or milestone.finished


def _finite(loss: float) -> float | None:
    """A loss as JSON knows it: null where it is no number."""
    return loss if math.isfinite(loss) else None


def _log_epoch(run: Path, milestone: Milestone, seconds: float, speed: float, board: Board | None) -> None:
    place = {"epoch": milestone.epoch, "nimg": milestone.nimg}
    losses = {"loss_d": _finite(milestone.loss_d), "loss_g": _finite(milestone.loss_g)}
    append_event(run / "events.jsonl", {"event": "epoch", **place, **losses})
    cost = {"seconds": round(seconds, 3), "images_per_second": round(speed, 1), "peak_memory_mb": peak_memory_mb()}
    append_event(run / "timings.jsonl", {**place, **cost})
    if board is not None:
        board.losses(milestone.nimg, {name: value for name, value in losses.items() if value is not None})


def _draw_samples(
    run: Path, model: Model, state: TrainState, milestone: Milestone, display: Display, board: Board | None
) -> None:
    samples = _samples(model, state, SAMPLES)
    sheet = grid(samples.images, columns=10)
    write_bytes(run / "samples" / f"epoch-{milestone.epoch:04d}.png", to_png(sheet))
    display.picture(samples.images.numpy())
    if board is not None:
        board.images(milestone.nimg, sheet.numpy())


def _snapshot(state: TrainState, data: ImageSet, recipe: Recipe) -> Model:
    """The state as a model; its networks are the state's own, not copies."""
    facts = {
        "nimg": state.nimg,
        "weights": "ema" if state.ema is not None else "live",
        "parameters": {
            "generator": parameter_count(state.generator),
            "discriminator": parameter_count(state.discriminator),
        },
        "data": data_facts(data),
        "took_part": _took_part(recipe),
        "made_with": made_with(state.device),
    }
    return Model(state.sampler, state.discriminator, recipe, data.shape, data.class_names, facts)
