"""Point 5: numbers that are not finite, collapses on purpose, and healthy runs that must raise no alarm."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.recipes import Recipe, gan_recipe
from pocketgan.training import health, loop
from pocketgan.training.health import Watch
from pocketgan.training.loop import train_steps
from pocketgan.training.state import TrainState, new_state
from pocketgan.training.trouble import FiniteCheck, Trouble, TroubleError
from soak.runs import Count

PLACES = ("batch", "gradient", "weight", "optimiser state")
STEPS = 1800  # of a watched run
PLANTED = 700  # step from which a collapse is there


def small_digits(side: int = 12) -> ImageSet:
    """MNIST's test digits on `side` x `side` pixels."""
    data = load_images("mnist", "test")
    return replace(data, images=F.adaptive_avg_pool2d(data.images.float(), side).round().to(torch.uint8))


def not_finite(count: int, seed: int = 0) -> Count:
    """Plant a NaN or an infinity at a random place in a random step: it must be told of in that step."""
    data = small_digits().rows(torch.arange(200))
    chance, failed = random.Random(seed), []
    for number in range(count):
        place = PLACES[number % len(PLACES)]
        name = chance.choice(("pocket", "mlp"))
        recipe = gan_recipe(name, {"nimg": 16 * 8, "batch_size": 16, "ema_share": 0.2, "seed": number})
        state = new_state(recipe, data.shape, 10, torch.device("cpu"))
        at = chance.randrange(1, 6)
        told: Trouble | None = None
        with _planted(state, place, at, chance):
            try:
                for _ in train_steps(state, data, recipe, finite=FiniteCheck(state)):
                    pass
            except TroubleError as error:
                told = error.trouble
        if told is None or told.nimg != at * 16 or not _all_finite(state):
            failed.append(f"{number}: {place} of {name} at nimg {at * 16}: {told}")
    return Count("NaN or infinity planted in batch, gradient, weight or optimiser", count, failed)


class _planted:  # noqa: N801
    """Inside the block, the step number `at` of any training meets a number that is not finite."""

    def __init__(self, state: TrainState, place: str, at: int, chance: random.Random) -> None:
        self.state, self.place, self.at, self.chance, self.steps = state, place, at, chance, 0
        self.before = dict(loop.STEPS)

    def __enter__(self) -> None:
        for name, step in self.before.items():
            loop.STEPS[name] = self._around(step)

    def __exit__(self, *error: object) -> None:
        loop.STEPS.update(self.before)

    def _around(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def planted(state: TrainState, batch: loop.Batch, *arguments: Any) -> Iterator[loop.Update]:
            self.steps += 1
            if self.steps != self.at + 1:
                yield from step(state, batch, *arguments)
                return
            value = self.chance.choice((float("nan"), float("inf"), float("-inf")))
            optimizer = self.chance.choice((state.optimizer_d, state.optimizer_g))
            parameter = self.chance.choice([p for p in optimizer.param_groups[0]["params"] if p.grad is not None])
            where = self.chance.randrange(parameter.numel())
            if self.place == "batch":
                name = self.chance.choice(("real", "latents"))
                spoilt = getattr(batch, name).clone()
                spoilt.view(-1)[self.chance.randrange(spoilt.numel())] = float("nan")
                batch = batch._replace(**{name: spoilt})
                if batch.fresh_latents.data_ptr() != batch.latents.data_ptr() and name == "latents":
                    batch = batch._replace(fresh_latents=spoilt)
            elif self.place == "weight":
                with torch.no_grad():
                    _set(parameter.data, where, value)
            elif self.place == "optimiser state":
                _set(optimizer.state[parameter]["exp_avg"], where, value)
            else:
                handle = parameter.register_hook(lambda gradient: _set(gradient.clone(), where, value))
                try:
                    yield from step(state, batch, *arguments)
                finally:
                    handle.remove()
            yield from step(state, batch, *arguments)

        return planted


def _set(tensor: torch.Tensor, where: int, value: float) -> torch.Tensor:
    """Put a value at the place `where` of a tensor however it lies in memory."""
    tensor[tuple(int(i) for i in torch.unravel_index(torch.tensor(where), tensor.shape))] = value
    return tensor


def _all_finite(state: TrainState) -> bool:
    return state.ema is None or all(bool(value.isfinite().all()) for value in state.ema.state_dict().values())


def watched(
    recipe: Recipe, data: ImageSet, spoil: Callable[[TrainState, int], None] | None = None, most: int = 10**9
) -> list[Trouble]:
    """Train under the watch, for `most` steps or until it tells of something; what it told of."""
    state = new_state(recipe, data.shape, len(data.class_names), torch.device("cpu"))
    watch = Watch(data, recipe, None)
    told: list[Trouble] = []
    for milestone in train_steps(state, data, recipe):
        steps = milestone.nimg // recipe.schedule.batch_size
        if spoil is not None:
            spoil(state, steps)
        if watch.due(state):
            told += watch.look(state)
        if told or steps >= most:
            break
    return told


COLLAPSES = {"constant G": "mlp-bn", "ignored z": "pocket"}  # and the recipes they are planted in
HASTY = ("mlp", "mlp-bn", "mlp-deep", "pocket")  # whose discriminators are given a hundred times their rate
UNHURRIED = ("mlp", "mlp-deep")  # look collapsed for the first tenth of their budget and more


def collapses(kind: str, each: int, first_seed: int = 0) -> Count:
    """A generator that becomes constant or ignores z."""
    name = COLLAPSES[kind]
    failed = [
        f"{name}, seed {seed}: no alarm within 500 steps"
        for seed in range(first_seed, first_seed + each)
        if not watched(short(name, STEPS, seed), small_digits(), _constant(PLANTED), PLANTED + 500)
    ]
    return Count(f"seeded collapses told of within 500 steps: {kind} (`{name}`)", each, failed)


def hasty(name: str, count: int, first_seed: int = 0) -> Count:
    """A discriminator with a hundred times its rate."""
    failed = []
    for seed in range(first_seed, first_seed + count):
        recipe = short(name, 10 * STEPS, seed)  # a third of the budget is far away: nothing else can be told
        recipe = gan_recipe(recipe, {"lr_d": 100 * recipe.optimizer.lr_d})
        told = {trouble.kind for trouble in watched(recipe, small_digits(), None, health.WARM_UP_STEPS + 500)}
        if not told & {"discriminator has won", "discriminator's steps"}:
            failed.append(f"{name}, seed {seed}: {told or 'no alarm'} within 500 steps")
    return Count(f"discriminators at a hundred times their rate, told of within 500 steps (`{name}`)", count, failed)


def _constant(planted: int) -> Callable[[TrainState, int], None]:
    """From the step `planted` on, the generator is given the same latent always (and the label, if it takes one)."""

    def spoil(state: TrainState, steps: int) -> None:
        if steps == planted:
            forward = state.generator.forward
            state.generator.forward = lambda z, y=None: forward(torch.zeros_like(z), y)  # type: ignore[method-assign]

    return spoil


def healthy(count: int, steps: int = STEPS, first_seed: int = 0) -> Count:
    """Runs with nothing wrong, of five recipes in turn: no alarm."""
    data = small_digits()
    failed = []
    for number in range(count):
        name = ("pocket", "mlp-bn", "mlp", "mlp-bn", "mlp-deep")[number % 5]
        recipe = short(name, 10 * steps if name in UNHURRIED else steps, first_seed + number)
        if told := watched(recipe, data, None, steps):
            failed.append(f"{recipe.name}, seed {recipe.seed}: {told}")
    return Count("healthy runs without an alarm", count, failed)


def short(name: str, steps: int, seed: int) -> Recipe:
    """A preset with a budget in steps."""
    batch = gan_recipe(name).schedule.batch_size
    return gan_recipe(name, {"nimg": steps * batch, "seed": seed})
