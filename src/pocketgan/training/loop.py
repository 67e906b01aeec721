"""The method: both players' updates on one screen, and the loop around them that yields at milestones."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.devices import memory_format, sent
from pocketgan.core.pixels import to_floats
from pocketgan.core.rng import rng
from pocketgan.core.schedules import ema_beta, rate_factor
from pocketgan.data.augment import rotate
from pocketgan.data.image_set import ImageSet
from pocketgan.data.stream import BatchStream
from pocketgan.networks.contracts import Critique
from pocketgan.objectives.losses import HALVES, loss_of
from pocketgan.objectives.penalties import around, between, gradient_penalty, r1_growth, slope_penalty
from pocketgan.recipes import Recipe
from pocketgan.recipes.recipe import ObjectiveConfig
from pocketgan.training.groups import groups_of, share_out_clusters
from pocketgan.training.processes import END, GO, processes
from pocketgan.training.shards import Shards, Update, hand_out
from pocketgan.training.state import TrainState, update_ema
from pocketgan.training.trouble import FiniteCheck
from pocketgan.training.underrepresented import diagnose, diagnosis_due

TICK_STEPS = 50  # steps between two milestones inside an epoch


class Milestone(NamedTuple):
    """Where a training stands. The losses are averages over the epoch so far, at its end over all of it."""

    nimg: int
    epoch: int  # the running one, from 1; at its end the one that ended
    epoch_ended: bool
    loss_d: float
    loss_g: float
    finished: bool
    r1: float | None = None  # gamma now, where it follows the loss
    stopping: bool = False  # a process of several was told to stop


class Batch(NamedTuple):
    """What one step needs: real images in the pixel range, their classes or clusters if the pair knows any, latents."""

    real: Tensor  # [B, C, H, W]
    labels: Tensor | None  # [B]
    latents: Tensor  # [B, latent_dim]
    fresh_latents: Tensor  # [B, latent_dim], for the generator's own update; the same ones where it has none
    penalised: bool = False  # whether the lazy gradient penalty is due
    generator_learns: bool = True  # False in a critic's extra steps
    random: torch.Generator | None = None  # for the penalties at images between or around


def alternating_step(state: TrainState, batch: Batch, objective: ObjectiveConfig) -> Iterator[Update]:
    """The discriminator's update, then the generator's against the discriminator as it is after it.

    In a critic's extra step the generator does not learn, and the loss that is told of it is of the fakes that the
    critic saw. What the objective adds to the adversarial losses is learned from and not told.
    """
    generator, discriminator, loss = state.generator, state.discriminator, loss_of(objective.loss)
    with nullcontext() if batch.generator_learns else torch.no_grad():
        fake = generator(batch.latents, batch.labels)

    real_critique, fake_critique = _critique_both(state, batch, fake.detach())
    on_real, on_fake = loss.discriminator(real_critique.logits, fake_critique.logits)
    loss_d = HALVES[objective.halves] * (on_real.mean() + on_fake.mean())
    total_d = loss_d
    if objective.class_weight:
        naming = _class_error(real_critique, batch.labels) + _class_error(fake_critique, batch.labels)
        total_d = total_d + objective.class_weight * naming
    if batch.penalised:
        slopes = gradient_penalty(lambda images: discriminator(images, batch.labels).logits, batch.real)
        total_d = total_d + objective.r1_every * state.r1_growth * objective.r1 / 2 * slopes.mean()
    if batch.random is not None:
        total_d = total_d + _slope_penalties(state, batch, objective, fake.detach())
    state.optimizer_d.zero_grad()
    total_d.backward()
    if not batch.generator_learns:
        loss_g = loss.generator(real_critique.logits, fake_critique.logits).mean()
        yield Update((state.optimizer_d,), torch.stack([loss_d.detach(), loss_g.detach()]))
        _clip(state, objective)
        return
    yield Update((state.optimizer_d,))
    _clip(state, objective)

    if batch.fresh_latents is not batch.latents:
        fake = generator(batch.fresh_latents, batch.labels)
    # frozen, it saves its gradients, and autocast cannot use weights that it cast before the step
    discriminator.requires_grad_(False)
    fake_critique = _as_floats(discriminator(fake, batch.labels))
    loss_g = loss.generator(real_critique.logits.detach(), fake_critique.logits).mean()
    total_g = loss_g
    if objective.class_weight:
        total_g = total_g + objective.class_weight * _class_error(fake_critique, batch.labels)
    state.optimizer_g.zero_grad()
    total_g.backward()
    yield Update((state.optimizer_g,), torch.stack([loss_d.detach(), loss_g.detach()]))
    discriminator.requires_grad_(True)


def simultaneous_step(state: TrainState, batch: Batch, objective: ObjectiveConfig) -> Iterator[Update]:
    """Both updates from one pass over the same fakes, each against the other player as it was before."""
    loss = loss_of(objective.loss)
    fake = state.generator(batch.latents, batch.labels)
    images = fake.detach().requires_grad_()

    real, of_fake = _critique_both(state, batch, images)
    on_real, on_fake = loss.discriminator(real.logits, of_fake.logits)
    loss_d = HALVES[objective.halves] * (on_real.mean() + on_fake.mean())
    loss_g = loss.generator(real.logits, of_fake.logits).mean()

    (to_images,) = torch.autograd.grad(loss_g, images, retain_graph=True)
    state.optimizer_d.zero_grad()
    loss_d.backward(inputs=list(state.discriminator.parameters()))
    state.optimizer_g.zero_grad()
    fake.backward(to_images)
    yield Update((state.optimizer_d, state.optimizer_g), torch.stack([loss_d.detach(), loss_g.detach()]))
    _clip(state, objective)


STEPS = {"alternating": alternating_step, "simultaneous": simultaneous_step}


def _critique_both(state: TrainState, batch: Batch, fake: Tensor) -> tuple[Critique, Critique]:
    """What the discriminator says of real and of fake images, in one pass where BatchNorm does not forbid it."""
    if state.splits_passes:
        real_critique = _as_floats(state.discriminator(batch.real, batch.labels))
        return real_critique, _as_floats(state.discriminator(fake, batch.labels))
    labels = None if batch.labels is None else torch.cat([batch.labels, batch.labels])
    both = _as_floats(state.discriminator(torch.cat([batch.real, fake.to(batch.real.dtype)]), labels))
    count = len(batch.real)
    return _part(both, slice(count)), _part(both, slice(count, None))


def _slope_penalties(state: TrainState, batch: Batch, objective: ObjectiveConfig, fake: Tensor) -> Tensor:
    """What the discriminator pays for slopes that are not 1 between real images and fakes, and around real ones."""
    assert batch.random is not None, "`_next_batch` gives one where these penalties are due"

    def logits_of(images: Tensor) -> Tensor:
        critique: Critique = state.discriminator(images, batch.labels)
        return critique.logits

    total = batch.real.new_zeros(())
    if objective.gp:
        total = total + objective.gp * slope_penalty(logits_of, between(batch.real, fake, batch.random)).mean()
    if objective.dragan:
        total = total + objective.dragan * slope_penalty(logits_of, around(batch.real, batch.random)).mean()
    return total


def _clip(state: TrainState, objective: ObjectiveConfig) -> None:
    """Cut the discriminator's weights and biases off after its step (Arjovsky et al. 2017); twice is as once."""
    if objective.clip:
        with torch.no_grad():
            for parameter in state.discriminator.parameters():
                parameter.clamp_(-objective.clip, objective.clip)


def _part(critique: Critique, rows: slice) -> Critique:
    logits, features, class_logits = critique
    return Critique(logits[rows], features[rows], None if class_logits is None else class_logits[rows])


def _as_floats(critique: Critique) -> Critique:
    """The same with logits in float32: what autocast multiplies in bf16 is not added up in it."""
    classes = critique.class_logits
    return critique._replace(logits=critique.logits.float(), class_logits=None if classes is None else classes.float())


def _class_error(critique: Critique, labels: Tensor | None) -> Tensor:
    assert critique.class_logits is not None, "`check_objective` lets no other pair through"
    assert labels is not None
    return F.cross_entropy(critique.class_logits, labels)


def train_steps(
    state: TrainState,
    data: ImageSet,
    recipe: Recipe,
    after_step: Callable[[TrainState, list[float]], bool] | None = None,
    clusters_of: Recipe | None = None,
    finite: FiniteCheck | None = None,
) -> Generator[Milestone, None, None]:
    """Train from `state.nimg` to the end of the budget, yielding every `TICK_STEPS` steps and at each epoch's end.

    A consumer that leaves before the end closes the iterator: of several processes the others wait for a word.

    What happens between two milestones is a function of the recipe, the data and `state` alone. The images lie whole on
    the state's device, as bytes, and a step waits for the device once: to read its losses.

    Parameters
    ----------
    state
        Changed in place.
    data
        Real images, with labels where the pair is conditional.
    recipe
        Its budget must be in images or epochs.
    after_step
        Is given the state and the step's losses (discriminator, generator) before the moving average takes what the
        step made. It may raise, and where it says True a milestone is yielded after this step too.
    clusters_of
        Whose seed finds the clusters of a pair that learns with them, where another seed than the recipe's began.
    finite
        Of this state. It looks at each step before the moving average takes what the step made, and raises
        `TroubleError` where a number is not finite.
    """
    total = recipe.schedule.total_nimg(len(data))
    stream = BatchStream(len(data), recipe.schedule.batch_size, recipe.seed)
    shards = Shards(state, recipe, team := processes())
    size = recipe.schedule.batch_size
    beta = ema_beta(size, recipe.schedule.ema_share * total) if state.ema is not None else 0.0
    bf16 = recipe.optimizer.precision == "bf16"
    groups = groups_of(clusters_of or recipe, data, conditional=state.generator.conditional)
    share_out_clusters(clusters_of or recipe, data, state.generator, state.sampler)
    images, told = data.images.to(state.device), None if groups is None else groups.to(state.device)
    if team.leads:
        hand_out(team, state, recipe, clusters_of, data)
    state.generator.train()
    state.discriminator.train()
    while state.nimg < total:
        if recipe.data.underrepresented and diagnosis_due(state.nimg, len(data), size):
            state.underrepresented = team.shared(partial(diagnose, state, images, groups, recipe))
        factor = rate_factor(state.nimg, total, recipe.schedule.lr_hold)
        state.optimizer_g.param_groups[0]["lr"] = recipe.optimizer.lr_g * factor
        state.optimizer_d.param_groups[0]["lr"] = recipe.optimizer.lr_d * factor

        def updates_of(shard: int) -> Iterator[Update]:
            batch = _next_batch(state, images, told, recipe, stream, shard)
            return STEPS[recipe.objective.updates](state, batch, recipe.objective)

        with torch.autocast(state.device.type, torch.bfloat16) if bf16 else nullcontext():
            both = shards.step(updates_of)
        losses = both.tolist() if finite is None else finite.read(both)
        asked = shards.agreed(after_step is not None and after_step(state, losses))
        update_ema(state, beta)
        if recipe.objective.r1_target:
            state.r1_growth = r1_growth(state.r1_growth, losses[0], recipe.objective.r1_target, size)
        epoch = state.nimg // len(data) + 1
        state.nimg += size
        state.sums = [total + loss for total, loss in zip(state.sums, losses, strict=True)]
        state.summed += 1
        ended = state.nimg // len(data) >= epoch
        finished = state.nimg >= total
        if ended or finished or asked or (state.nimg // size) % TICK_STEPS == 0:
            mean_d, mean_g = (total / state.summed for total in state.sums)
            if ended:  # an epoch that the budget cuts short may go on, with a larger one
                state.sums = [0.0, 0.0]
                state.summed = 0
            r1 = recipe.objective.r1 * state.r1_growth if recipe.objective.r1_target else None
            try:
                yield Milestone(state.nimg, epoch, ended or finished, mean_d, mean_g, finished, r1, shards.stopping)
            except GeneratorExit:
                team.say(END)
                raise
            team.say(GO)


def _next_batch(
    state: TrainState, images: Tensor, told: Tensor | None, recipe: Recipe, stream: BatchStream, shard: int
) -> Batch:
    """A shard of the batch at `state.nimg`, from all images and what the pair is told of each, on the state's device.

    Rows and latents are those of the whole batch, whatever the number of shards; turns, and the images at which slopes
    are penalised, are drawn for each shard.
    """
    objective = recipe.objective
    count = recipe.schedule.shards
    rows, part = stream.rows(state.nimg), slice(shard, None, count)
    step, numbers = state.nimg // len(rows), (state.nimg,) if count == 1 else (state.nimg, shard)
    if len(state.underrepresented):
        again = round(recipe.data.underrepresented * len(rows))
        random = rng(recipe.seed, "underrepresented", state.nimg)
        drawn = torch.randint(len(state.underrepresented), (again,), generator=random)
        rows = torch.cat([rows[again:], state.underrepresented[drawn]])
    own = sent(rows[part], state.device)
    chosen = images[own]
    if recipe.data.rotate:
        chosen = rotate(chosen, recipe.data.rotate, rng(recipe.seed, "rotation", *numbers, device=state.device))
    real = to_floats(chosen, state.generator.pixels)
    if state.convolutional:
        real = real.contiguous(memory_format=memory_format(state.device))
    labels = None if told is None else told[own]

    def draw(purpose: str) -> Tensor:
        random = rng(recipe.seed, purpose, state.nimg)
        return sent(torch.randn(len(rows), recipe.model.latent_dim, generator=random)[part], state.device)

    latents = draw("training latents")
    learns = (step + 1) % objective.n_critic == 0
    fresh = objective.fresh_latents and objective.updates == "alternating" and learns
    return Batch(
        real,
        labels,
        latents,
        draw("fresh latents") if fresh else latents,
        penalised=objective.r1 > 0 and step % objective.r1_every == 0,
        generator_learns=learns,
        random=rng(recipe.seed, "penalty", *numbers, device=state.device) if objective.gp or objective.dragan else None,
    )
