"""What a training costs: operations for each image, and seconds on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import torch
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.core.devices import find_device, multiplies_bf16
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.networks.contracts import Shape
from pocketgan.recipes import Recipe
from pocketgan.recipes.costs import RecipeRow
from pocketgan.training.groups import groups_of
from pocketgan.training.loop import STEPS, Batch, Milestone, train_steps
from pocketgan.training.shards import make_step
from pocketgan.training.state import new_state
from pocketgan.training.underrepresented import diagnose, diagnosis_period

MEASURED_SECONDS = 1.0  # of training with each recipe, for its minutes
MEASURED_IMAGES = 10_000


def training_flops(recipe: Recipe, shape: Shape, classes: int) -> int:
    """Floating-point operations of one training step for each real image: products and sums of all passes."""
    size = recipe.schedule.batch_size
    state = new_state(recipe, shape, classes, torch.device("cpu"))
    labels = torch.zeros(size, dtype=torch.int64)  # of classes, of clusters, or for pairs that look at neither
    latents = torch.zeros(size, recipe.model.latent_dim)
    fresh = torch.zeros_like(latents) if recipe.objective.fresh_latents else latents
    batch = Batch(torch.zeros(size, *shape), labels, latents, fresh)

    objective = recipe.objective
    if objective.gp or objective.dragan:
        batch = batch._replace(random=torch.Generator())

    def counted(batch: Batch) -> int:
        with FlopCounterMode(display=False) as counter:
            make_step(STEPS[objective.updates](state, batch, objective))
        return int(counter.get_total_flops())

    plain = counted(batch)
    penalty = (counted(batch._replace(penalised=True)) - plain) / objective.r1_every if objective.r1 else 0.0
    spared = plain - counted(batch._replace(generator_learns=False)) if objective.n_critic > 1 else 0
    return round((plain + penalty - spared * (1 - 1 / objective.n_critic)) / size)


def with_precision(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with its precision decided where it says ``auto``: bf16 where a device multiplies it, else fp32."""
    if recipe.optimizer.precision != "auto":
        return recipe
    return recipe.changed("optimizer", precision="bf16" if multiplies_bf16(device) else "fp32")


def seconds_per_image(recipe: Recipe, data: ImageSet, device: torch.device, seconds: float) -> float:
    """Seconds of training for each real image shown, from a training of at least so many seconds, thrown away.

    A fifth of them goes by before anything is counted: first steps build what later ones reuse. Where the recipe has a
    diagnosis of underrepresented images, its share is added.
    """
    endless = recipe.changed("schedule", nimg=1 << 40)
    state = new_state(endless, data.shape, len(data.class_names), device)
    with closing(train_steps(state, data, endless, after_step=lambda state, losses: True)) as steps:
        _train_for(seconds / 5, steps)
        began, before = time.perf_counter(), state.nimg
        _train_for(seconds, steps)
    each = (time.perf_counter() - began) / (state.nimg - before)
    if recipe.data.underrepresented:
        began = time.perf_counter()
        diagnose(state, data.images, groups_of(endless, data, conditional=state.generator.conditional), endless)
        each += (time.perf_counter() - began) / diagnosis_period(len(data), recipe.schedule.batch_size)
    return each


def _train_for(seconds: float, steps: Iterator[Milestone]) -> None:
    """Take steps until so many seconds have gone by, one at least."""
    until = time.perf_counter() + seconds
    for _ in steps:
        if time.perf_counter() >= until:
            return


def with_minutes(rows: list[RecipeRow], quiet: bool) -> list[RecipeRow]:
    """The rows with the minutes that each pair's budget takes on this machine, with MNIST's training images.

    Each pair trains for a second on 10,000 of them.
    """
    data, device = load_images("mnist"), find_device("auto")
    part = data.rows(torch.arange(min(MEASURED_IMAGES, len(data))))
    pairs = [row for row in rows if isinstance(row.recipe, Recipe)]
    display = Display(quiet)
    display.line(f"measuring {len(pairs)} recipes, a second or two each")
    measured: list[RecipeRow] = []
    with display.bar("measuring", len(pairs)) as bar:
        for row in rows:
            if isinstance(row.recipe, Recipe):
                bar.update(len(measured), row.name)
                each = seconds_per_image(with_precision(row.recipe, device), part, device, MEASURED_SECONDS)
                row = row._replace(minutes=row.recipe.schedule.total_nimg(len(data)) * each / 60)
            measured.append(row)
    return measured
