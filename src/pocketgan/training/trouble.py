"""Trouble of a training: what it is called, numbers that are not finite, and what a rollback changes."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from pocketgan.core.errors import PocketganError
from pocketgan.core.rng import derive
from pocketgan.recipes import Recipe
from pocketgan.runs.facts import TroubleEvent
from pocketgan.training.state import TrainState

ROLLBACKS = 3  # at most
ROLLBACK_RATE = 0.5  # share of the learning rates that each of them leaves
PLAYERS = ("discriminator", "generator")  # in the order of the losses

REMEDIES = {
    "not finite": "try lower rates (--lr-g, --lr-d), or --precision fp32",
    "variety": "try another --seed, or a lower --lr-d",
    "distinct": "try another --seed, or a lower --lr-d",
    "classes": "try another --seed, a conditional recipe (pocket), or a lower --lr-d",
    "spread": "try another --seed, or a lower --lr-d",
    "discriminator has won": "try a lower --lr-d",
    "discriminator's steps": "try a lower --lr-d: a tenth, for a start",
    "generator's steps": "try a lower --lr-g: a tenth, for a start",
}


class TroubleError(PocketganError):
    """The training is in trouble and the policy is not to go on."""

    exit_code = 3

    def __init__(self, trouble: Trouble, after: str = "") -> None:
        super().__init__(f"{after}{trouble}")
        self.trouble = trouble


class Trouble(NamedTuple):
    """What the watch saw."""

    kind: str  # a key of `REMEDIES`
    nimg: int  # where the training stood
    words: str

    def as_event(self, event: Literal["warning", "trouble"]) -> TroubleEvent:
        """As it is logged."""
        return TroubleEvent(event=event, nimg=self.nimg, kind=self.kind, words=self.words)

    def __str__(self) -> str:
        return f"at nimg {self.nimg} {self.words}; {REMEDIES[self.kind]}"


class FiniteCheck:
    """Sees what is NaN or infinite (or so large that its sum is) in the networks of one `state`.

    All weights are read after every step where a moving average would take them, and where convolutions make that cheap
    beside the step. Linear layers alone are another matter: to read them takes 3 to 5 % of their step. What a training
    itself brings forth passes through the losses, or through the gradient at some layer's output, of which the gradient
    of that layer's bias or scale is the sum, and Adam makes NaN of a weight whose gradient is not finite: so there the
    losses and all vectors are read. (A single NaN in a matrix, as a fault of memory would make it, shows in the losses:
    the discriminator's in that of the generator, which is taken after its update; the generator's one step later.)
    `everything` is read before a checkpoint, a sample or a model is made.
    """

    def __init__(self, state: TrainState) -> None:
        self.state = state
        networks = (state.discriminator, state.generator)
        self.all_watched = state.ema is not None or state.convolutional
        if self.all_watched:
            self.watched = [tensor.detach() for network in networks for tensor in _floating(network)]
        else:
            self.watched = [value.detach() for network in networks for value in network.parameters() if value.ndim == 1]

    def read(self, losses: Tensor) -> list[float]:
        """The losses of both players ``[2]`` (discriminator, generator), read with what a step may have spoilt.

        All of it comes from the device in one transfer.

        Raises
        ------
        TroubleError
            Something is not finite.
        """
        if self.all_watched:
            watched = [tensor.sum() for tensor in self.watched]
        else:
            watched = [torch.cat(self.watched)] if self.watched else []  # of short tensors the calls are the cost
        total = torch.stack(watched).sum() if watched else losses.new_zeros(())
        *numbers, spoilt = torch.cat([losses, total.unsqueeze(0)]).tolist()
        if not math.isfinite(sum(numbers)) or not math.isfinite(spoilt):
            self._tell(numbers)
        return numbers

    def everything(self) -> None:
        """Read all weights, buffers, gradients and optimisers' moments, and the average's weights.

        Raises
        ------
        TroubleError
            Something is not finite.
        """
        if not all(_finite(tensors) for tensors in self._parts().values()):
            self._tell([0.0, 0.0])

    def _parts(self) -> dict[str, list[Tensor]]:
        state = self.state
        parts: dict[str, list[Tensor]] = {}
        for name, network, optimizer in (
            ("discriminator", state.discriminator, state.optimizer_d),
            ("generator", state.generator, state.optimizer_g),
        ):
            gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
            parts[f"the {name}'s gradient"] = gradients
            parts[f"a moment of the {name}'s optimiser"] = [
                value for values in optimizer.state.values() for value in values.values()
            ]
            parts[f"a weight of the {name}"] = _floating(network)
        if state.ema is not None:
            parts["a weight of the moving average"] = _floating(state.ema)
        return parts

    def _tell(self, losses: list[float]) -> NoReturn:
        bad = [f"the {name}'s loss" for name, loss in zip(PLAYERS, losses, strict=True) if not math.isfinite(loss)]
        bad += [name for name, tensors in self._parts().items() if not _finite(tensors)]
        raise TroubleError(
            Trouble("not finite", self.state.nimg, f"a number stopped being finite: {', '.join(bad[:3])}")
        )


def _floating(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *(buffer for buffer in network.buffers() if buffer.is_floating_point())]


def _finite(tensors: list[Tensor]) -> bool:
    return not tensors or math.isfinite(torch.stack([tensor.sum() for tensor in tensors]).sum().item())


def after_rollbacks(recipe: Recipe, count: int) -> Recipe:
    """The recipe that a training goes on with after `count` rollbacks: another seed, lower rates, the same budget."""
    if count == 0:
        return recipe
    share = ROLLBACK_RATE**count
    rates = {"lr_g": recipe.optimizer.lr_g * share, "lr_d": recipe.optimizer.lr_d * share}
    return recipe.model_copy(
        update={
            "seed": derive(recipe.seed, "rollback", count),
            "optimizer": recipe.optimizer.model_copy(update=rates),
        }
    )
