"""Everything that a training changes: both networks, the moving average, both optimisers, nimg."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pocketgan.core.errors import UsageError
from pocketgan.networks.architectures import architecture_of, build_pair, empty_discriminator
from pocketgan.networks.contracts import Discriminator, Generator, Shape, channels_last
from pocketgan.objectives.losses import chance_loss, loss_of
from pocketgan.recipes import Recipe


@dataclass
class TrainState:
    """What a checkpoint holds. `sums` are the losses (discriminator, generator) added up since the epoch began."""

    generator: Generator
    discriminator: Discriminator
    ema: Generator | None
    optimizer_g: torch.optim.Adam
    optimizer_d: torch.optim.Adam
    device: torch.device
    nimg: int = 0
    underrepresented: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))  # rows
    r1_growth: float = 1.0  # what R1 is multiplied by where it holds the discriminator's loss up
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])
    summed: int = 0  # steps in `sums`
    seconds: float = 0.0  # of training so far; for the timings, and for nothing that is trained
    suspicions: dict[str, int] = field(
        default_factory=dict
    )  # the health watch's bad looks beyond good ones, by trouble
    push: float = 1.0  # norm of the generator's last gradient, as of the checkpoint
    armed: bool = False  # it has seen a varied generator, or a third of the budget is over
    made_with: dict[str, str | int] = field(default_factory=dict)  # of the checkpoint it came from; empty if from none
    convolutional: bool = False
    splits_passes: bool = False  # the discriminator has BatchNorm: real and fake images must not share a batch
    drops: bool = False  # a network draws random numbers in its forward pass

    @property
    def sampler(self) -> Generator:
        """The generator that makes samples: the moving average where there is one."""
        return self.generator if self.ema is None else self.ema


def check_objective(recipe: Recipe, shape: Shape, classes: int) -> None:
    """Refuse an objective that there is not, or that the recipe's pair cannot learn.

    Raises
    ------
    UsageError
        The loss is unknown or has logits that are no log odds where the discriminator gives probabilities, R1 is to
        hold a loss that no discriminator has for long, a penalty is to be paid by one that mixes images, or classes are
        to be named by a pair that names none.
    """
    objective = recipe.objective
    chance = chance_loss(objective.loss, objective.halves)
    if objective.r1_target and chance is None:
        raise UsageError(f"--r1-target: the loss of {objective.loss} has no level that guessing has; give 0")
    if chance is not None and objective.r1_target >= chance:
        raise UsageError(f"--r1-target {objective.r1_target:g}: give less than {chance:.3f}, the loss of guessing")
    architecture = recipe.model.architecture
    discriminator = empty_discriminator(recipe, shape, classes)
    if discriminator.gives_probabilities and not loss_of(objective.loss).odds:
        raise UsageError(
            f"--loss {objective.loss}: the discriminator of {architecture} gives probabilities; take its Sigmoid out, "
            "or give bce, saturating, dragan or relativistic"
        )
    for penalty in ("r1", "gp", "dragan"):
        if getattr(objective, penalty) and discriminator.mixes_images:
            raise UsageError(
                f"--{penalty}: the discriminator of {architecture} has BatchNorm and judges no image alone; give 0"
            )
    if recipe.objective.class_weight and "clusters" in architecture_of(recipe).extras and not recipe.model.clusters:
        raise UsageError(f"--class-weight: without --clusters {architecture} has nothing to name; give 0")
    if recipe.objective.class_weight and not discriminator.names_classes:
        raise UsageError(f"--class-weight: {architecture} names no classes; give 0, or try pocket")


def new_state(recipe: Recipe, shape: Shape, classes: int, device: torch.device) -> TrainState:
    """The state before the first step: weights drawn from the recipe's seed.

    Raises
    ------
    UsageError
        The recipe's pair cannot make images of this shape, or needs classes where there are none.
    """
    generator, discriminator = build_pair(recipe, shape, classes)
    convolutional = generator.convolutional
    for network in (generator, discriminator):
        network.to(device)
        if convolutional:
            channels_last(network)
    options = recipe.optimizer

    def adam(network: nn.Module, rate: float) -> torch.optim.Adam:
        betas = (options.beta1, options.beta2)
        return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, eps=options.eps, fused=True)

    ema = None
    if recipe.schedule.ema_share:
        ema = copy.deepcopy(generator).requires_grad_(False).eval()
    return TrainState(
        generator=generator,
        discriminator=discriminator,
        ema=ema,
        optimizer_g=adam(generator, options.lr_g),
        optimizer_d=adam(discriminator, options.lr_d),
        device=device,
        convolutional=convolutional,
        splits_passes=discriminator.mixes_images,
        drops=generator.draws or discriminator.draws,
    )


def generator_push(state: TrainState) -> float:
    """The norm of the gradient that the generator last learned from, in this process or before its checkpoint."""
    gradients = [parameter.grad for parameter in state.generator.parameters() if parameter.grad is not None]
    return float(torch.stack(torch._foreach_norm(gradients)).norm()) if gradients else state.push


@torch.no_grad()
def update_ema(state: TrainState, beta: float) -> None:
    """Move the average toward the generator, BatchNorm's running figures included.

    Counters are copied, and so are the vectors of spectral norms, of which an average is no estimate.
    """
    if state.ema is None:
        return
    averages: list[Tensor] = list(state.ema.parameters())
    currents: list[Tensor] = list(state.generator.parameters())
    buffers = zip(state.ema.named_buffers(), state.generator.buffers(), strict=True)
    for (name, average), current in buffers:
        if average.is_floating_point() and "parametrizations." not in name:
            averages.append(average)
            currents.append(current)
        else:
            average.copy_(current)
    torch._foreach_lerp_(averages, currents, 1.0 - beta)
