"""A step that is shared out: each shard of the batch by itself, gradients added up, both optimisers as ever.

Shard s of S has rows s, s + S, … of the batch. BatchNorm sees one shard at a time, as on so many devices. What a step
gives is a function of the recipe, whatever the number of processes that share its shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
from pydantic import BaseModel
from safetensors.torch import load, save
from torch import Tensor, nn

from pocketgan.core.errors import PocketganError
from pocketgan.core.rng import seeded
from pocketgan.data.image_set import ImageSet
from pocketgan.recipes import Recipe
from pocketgan.training.checkpoint import packed, put_into
from pocketgan.training.processes import STEPS, Processes
from pocketgan.training.state import TrainState


class Update(NamedTuple):
    """A moment in a step: gradients are there, and their optimisers are to use them before the step goes on."""

    optimizers: tuple[torch.optim.Adam, ...]
    losses: Tensor | None = None  # with a step's last update: both adversarial losses (discriminator, generator), [2]


class Shards:
    """The shards of each batch that this process learns from.

    Parameters
    ----------
    state
        Of the training; its networks are changed by each step.
    recipe
        Says how many shards there are in all.
    team
        The processes that share them.

    Attributes
    ----------
    stopping
        Whether another process than the first wants to end, as of the last step.

    Raises
    ------
    UsageError
        The processes cannot share the shards evenly.
    """

    def __init__(self, state: TrainState, recipe: Recipe, team: Processes) -> None:
        self.state, self.recipe, self.team = state, recipe, team
        self.count = recipe.schedule.shards
        self.own = team.shards(self.count)
        self.stopping = False
        self._wish, self._came = False, False
        self._buffers = _Buffers([state.generator, state.discriminator], len(self.own))

    def step(self, updates_of: Callable[[int], Iterator[Update]]) -> Tensor:
        """Make one step: both losses (discriminator, generator), averaged over the batch, ``[2]``.

        `updates_of` gives the updates of a shard by its number.
        """
        seed, nimg = self.recipe.seed, self.state.nimg
        if self.count == 1:
            with seeded(seed, "dropout", nimg) if self.state.drops else nullcontext():
                return make_step(updates_of(0))
        running = [updates_of(shard) for shard in self.own]
        self._buffers.begin()
        phase, losses = 0, torch.empty(0)
        while not len(losses):
            rows: list[Tensor] = []
            optimizers: tuple[torch.optim.Adam, ...] = ()
            for place, (shard, step) in enumerate(zip(self.own, running, strict=True)):
                drops = seeded(seed, "dropout", nimg, shard, phase) if self.state.drops else nullcontext()
                with drops, self._buffers.of(place):
                    optimizers, told = next(step)
                parts = [parameter.grad for parameter in _learning(optimizers)]
                if told is not None:
                    parts += [told, self._flags(), *self._buffers.averaged(place)]
                rows.append(torch.cat([part.reshape(-1).float() for part in parts if part is not None]))
            mean = self.team.total(torch.stack(rows)) / self.count
            gradients = [parameter.grad for parameter in _learning(optimizers)]
            sizes = [gradient.numel() for gradient in gradients if gradient is not None]
            *pieces, rest = mean.split([*sizes, len(mean) - sum(sizes)])
            for gradient, piece in zip(gradients, pieces, strict=True):
                assert gradient is not None
                gradient.copy_(piece.view(gradient.shape))
            for optimizer in optimizers:
                optimizer.step()
            if len(rest):
                losses = self._told(rest)
            phase += 1
        for step in running:
            next(step, None)  # a step restores what it froze
        return losses

    def agreed(self, wish: bool) -> bool:
        """Whether a milestone is to come after this step: this process's wish, or, of several, what all know of.

        There a wish travels with the sums of the next step, so that all come to the same milestones.
        """
        if self.team.count == 1:
            return wish
        self._wish = wish
        return self._came

    def _flags(self) -> Tensor:
        wishes = [self._wish and self.team.rank == 0, self._wish and self.team.rank > 0]
        return torch.tensor(wishes, dtype=torch.float32, device=self.state.device)

    def _told(self, rest: Tensor) -> Tensor:
        losses, flags, buffers = rest[:2], rest[2:4], rest[4:]
        self._buffers.end(buffers)
        if self.team.count > 1:
            asked, stopping = (flags > 0).tolist()
            self._came, self.stopping = asked or stopping, stopping
        return losses


def make_step(step: Iterator[Update]) -> Tensor:
    """A step on a whole batch, made: both losses (discriminator, generator), ``[2]``."""
    losses = torch.empty(0)
    for update in step:
        for optimizer in update.optimizers:
            optimizer.step()
        if update.losses is not None:
            losses = update.losses
    return losses


def _learning(optimizers: tuple[torch.optim.Adam, ...]) -> list[nn.Parameter]:
    """The parameters that have a gradient; the same ones in each shard."""
    every = [parameter for optimizer in optimizers for parameter in optimizer.param_groups[0]["params"]]
    return [parameter for parameter in every if parameter.grad is not None]


class _Buffers:
    """The networks' buffers, apart for each shard while a step runs: BatchNorm's figures are averaged at its end.

    All others, such as counters and the vectors of spectral norms, change in each shard alike.
    """

    def __init__(self, networks: list[nn.Module], shards: int) -> None:
        named = [(name, buffer) for network in networks for name, buffer in network.named_buffers()]
        self.every = [buffer for _, buffer in named]
        self.means = [b.is_floating_point() and "parametrizations." not in name for name, b in named]
        self.shards = shards
        self.kept: list[list[Tensor]] = []

    def begin(self) -> None:
        """A step begins: each shard has the buffers as they are."""
        self.kept = [[buffer.clone() for buffer in self.every] for _ in range(self.shards)]

    @contextmanager
    def of(self, place: int) -> Iterator[None]:
        """Inside the block the networks hold this shard's buffers. What autograd keeps of them is not disturbed."""
        for buffer, own in zip(self.every, self.kept[place], strict=True):
            buffer.data.copy_(own)
        yield
        self.kept[place] = [buffer.clone() for buffer in self.every]

    def averaged(self, place: int) -> list[Tensor]:
        """Those of a shard that are averaged."""
        return [own for own, mean in zip(self.kept[place], self.means, strict=True) if mean]

    def end(self, averages: Tensor) -> None:
        """The step ends: put the averages, one after another, in their places."""
        targets = [buffer for buffer, mean in zip(self.every, self.means, strict=True) if mean]
        for buffer, piece in zip(targets, averages.split([buffer.numel() for buffer in targets]), strict=True):
            buffer.data.copy_(piece.view(buffer.shape))


# ---- the state, from the first process to the others ----------------------------------------------------------------


class Order(BaseModel):
    """What the first process tells of a training, beside its state."""

    recipe: Recipe
    clusters_of: Recipe | None
    images: str  # the digest of the set
    state: str


def hand_out(team: Processes, state: TrainState, recipe: Recipe, clusters_of: Recipe | None, data: ImageSet) -> None:
    """Tell the other processes to train by a recipe, from a state. Only the first process does."""
    facts, tensors = packed(state)
    order = Order(recipe=recipe, clusters_of=clusters_of, images=data.digest, state=facts)
    team.say(STEPS)
    team.handed(order.model_dump_json().encode())
    team.handed(save(tensors))


def handed_order(team: Processes) -> Order:
    """What `hand_out` told, without the state's tensors, which `take_state` takes next."""
    return Order.model_validate_json(team.handed(None))


def take_state(team: Processes, order: Order, state: TrainState, data: ImageSet) -> None:
    """Put what was handed out into a fresh state of the order's recipe.

    Raises
    ------
    PocketganError
        This process holds other images than the first.
    """
    tensors = load(team.handed(None))
    if order.images != data.digest:
        raise PocketganError(f"{data.name} holds other images here than in the first process; give both the same files")
    put_into(state, order.state, tensors)
