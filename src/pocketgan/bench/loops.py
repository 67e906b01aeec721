"""The two training loops that `bench` sets side by side, held to one signature: ours and that of tutorials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from pocketgan.bench.classroom import Classroom
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.contracts import Generator
from pocketgan.recipes import Recipe, gan_recipe
from pocketgan.training.loop import train_steps
from pocketgan.training.speed import with_precision
from pocketgan.training.state import TrainState, new_state
from pocketgan.training.trouble import FiniteCheck

CPU = torch.device("cpu")


class Loop(NamedTuple):
    """A training that is under way: images shown after each step, and the generator that makes samples."""

    steps: Iterator[int]
    sampler: Callable[[], Generator]


def _classroom(data: ImageSet, recipe: Recipe) -> Loop:
    loop = Classroom(data, recipe)
    return Loop(loop.steps(), lambda: loop.sampler)


def _own(data: ImageSet, recipe: Recipe) -> Loop:
    state = new_state(recipe, data.shape, len(data.class_names), CPU)
    steps = train_steps(state, data, recipe, _told, finite=FiniteCheck(state))
    return Loop((milestone.nimg for milestone in steps), lambda: state.sampler)


def _told(state: TrainState, losses: list[float]) -> bool:
    """Have every step told, as the classroom's loop does."""
    return True


OWN = "pocketgan"
LOOPS: dict[str, Callable[[ImageSet, Recipe], Loop]] = {"classroom": _classroom, OWN: _own}


def preset_here(name: str, **options: Any) -> Recipe:
    """A preset with options laid over it, and this processor's precision where it leaves that open.

    Without the diagnosis of underrepresented images and an R1 that grows, which no tutorial's loop has.
    """
    return with_precision(gan_recipe(name, {"underrepresented": 0.0, "r1_target": 0.0, **options}), CPU)
