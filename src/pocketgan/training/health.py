"""The health watch: a collapse, a discriminator that has won, or steps that are too large are told of within 500 steps.

`Watch.look` runs every `LOOK_STEPS` steps on fixed latents and fixed real images. Healthy trainings of the classroom
recipes look collapsed for a tenth to a third of their budget, so an alarm of collapse needs a generator that has once
been varied, or a third of the budget behind it (docs/decisions/0008). `Watch.last_look` ends every training, however
short, and can tell of trouble by itself. What is seen, and when, is a function of the run alone. What the watch
remembers is kept in the checkpoint; the last look leaves no trace there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.pixels import to_bytes, to_floats
from pocketgan.core.rng import latents
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.architectures import build_pair
from pocketgan.objectives.losses import loss_of
from pocketgan.recipes import Recipe
from pocketgan.training.groups import groups_of
from pocketgan.training.state import TrainState, generator_push
from pocketgan.training.trouble import Trouble

Policy = Literal["stop", "rollback", "warn"]

LOOK_STEPS = 100  # a multiple of the loop's TICK_STEPS, so that a milestone falls on each look
PATIENCE = 3  # an alarm needs this many more bad looks than good ones, so that one lucky look delays it only
WARM_UP_STEPS = 600  # before which no image is judged, and nothing else either unless the budget is short:
WARM_UP_SHARE = 1 / 3  # of the budget, after which the looks begin, and a generator never varied counts as collapsed
JUDGED_STEPS = WARM_UP_STEPS + (PATIENCE - 1) * LOOK_STEPS  # before which the last look judges no image
IMAGES = 32  # fixed latents, and fixed real images
GROUPS = 8  # classes or clusters among them, where the pair knows any

NEAR = 0.02  # two images are near-duplicates if their pixels differ by less than this share of the range (RMS)
ACCURACY = 0.95  # share of pairs of a real and a fake image that a discriminator which has won tells apart,
SURE = 40.0  # by this mean distance of their logits or more (the odds are 1e17), where logits are log odds,
VANISHED = 1e-6  # or while the generator's gradient is smaller than this

GUIDED_SAMPLES = 1000  # real images, and samples, that the guide reads
SURENESS = 0.98  # share of its mean confidence on real images that it must have on samples
CLASS_SHARE = 0.5  # share of its frequency among real images that each class must have among the samples

GROWTH = {"discriminator": 2.0, "generator": 3.0}  # times their start that a player's weights may grow by step
GROWTH_STEPS = 1000  # and from there as a random walk would: with the square root of the steps


class Bounds(NamedTuple):
    """Of one measure of variety, as a share of what it is for real images."""

    alarm: float  # a look below this is bad
    varied: float  # a look at which all measures are above this arms the watch


BOUNDS = {
    "variety": Bounds(alarm=0.05, varied=0.25),  # variance of a pixel, within a class where it can be asked for
    "distinct": Bounds(alarm=0.5, varied=0.9),  # images without a near-duplicate
    "classes": Bounds(alarm=0.2, varied=0.5),  # exp(entropy) of the classes that a guide reads
    "spread": Bounds(alarm=0.2, varied=0.4),  # mean distance of two images' coarse features, where there is no guide
}
ALIKE = {"variety": 0.02, "distinct": 0.1}  # below both of these shares all images are one


class Watch:
    """Looks at a training from time to time.

    Parameters
    ----------
    data
        The images it learns from.
    recipe
        Its recipe.
    guide
        uint8 ``[N, C, H, W]`` to class probabilities ``[N, K]``, or None where no guide knows these images.
    starts
        `lengths` of the first weights, where the recipe's seed did not draw them.
    """

    def __init__(
        self,
        data: ImageSet,
        recipe: Recipe,
        guide: Callable[[Tensor], Tensor] | None,
        starts: dict[str, float] | None = None,
    ) -> None:
        generator, discriminator = build_pair(recipe, data.shape, len(data.class_names))
        self.recipe, self.pixels, self.guide = recipe, generator.pixels, None if generator.conditional else guide
        self.total = recipe.schedule.total_nimg(len(data))
        rows = torch.arange(0, len(data), max(1, len(data) // IMAGES))[:IMAGES]
        self.labels: Tensor | None = None
        self.groups = torch.zeros(len(rows), dtype=torch.int64)
        if (groups := groups_of(recipe, data, conditional=generator.conditional)) is not None:
            rows = _grouped_rows(groups)
            self.labels = self.groups = groups[rows]
        self.real = data.images[rows]
        self.z = latents(recipe.seed, 0, len(rows), recipe.model.latent_dim)
        self.of_real = self._measured(self.real)
        self.starts = lengths(generator, discriminator) if starts is None else starts

    def due(self, state: TrainState) -> bool:
        """Whether a look falls on this step."""
        steps = self._steps(state)
        return steps % LOOK_STEPS == 0 and (steps >= WARM_UP_STEPS or state.nimg >= WARM_UP_SHARE * self.total)

    def look(self, state: TrainState) -> list[Trouble]:
        """Look at the networks as they are, and note in `state` what was seen; the troubles that have lasted."""
        shares, seen = self._seen(state)
        if self._steps(state) >= WARM_UP_STEPS:
            state.armed = (
                state.armed
                or state.nimg >= WARM_UP_SHARE * self.total
                or all(share >= BOUNDS[kind].varied for kind, share in shares.items())
            )
        if state.armed:
            low = {kind: share for kind, share in shares.items() if share < BOUNDS[kind].alarm}
            seen = {kind: _collapsed(kind, share) for kind, share in low.items()} | seen
        before = state.suspicions
        counts = {kind: before.get(kind, 0) + (1 if kind in seen else -1) for kind in {**before, **seen}}
        state.suspicions = {kind: min(count, PATIENCE) for kind, count in counts.items() if count > 0}
        return [Trouble(kind, state.nimg, words) for kind, words in seen.items() if state.suspicions[kind] == PATIENCE]

    def last_look(self, state: TrainState) -> list[Trouble]:
        """Look once more at the end of a training; all troubles that leave no doubt. Notes nothing in `state`.

        Images are judged only where the looks before could have told of a collapse, and only if all of them are one:
        healthy trainings begin with one image too.
        """
        shares, seen = self._seen(state)
        alike = all(shares[kind] < share for kind, share in ALIKE.items())
        if alike and state.armed and self._steps(state) >= JUDGED_STEPS:
            seen = {"variety": _collapsed("variety", shares["variety"])} | seen
        return [Trouble(kind, state.nimg, words) for kind, words in seen.items()]

    def _steps(self, state: TrainState) -> int:
        return state.nimg // self.recipe.schedule.batch_size

    @torch.no_grad()
    def _seen(self, state: TrainState) -> tuple[dict[str, float], dict[str, str]]:
        """The measures of variety as shares of real images', and the troubles of the players, in words by kind."""
        state.generator.eval()
        state.discriminator.eval()
        z = self.z.to(state.device)
        y = None if self.labels is None else self.labels.to(state.device)
        fakes = state.generator(z, y)
        on_real = state.discriminator(to_floats(self.real.to(state.device), self.pixels), y).logits.float()
        on_fake = state.discriminator(fakes, y).logits.float()
        state.generator.train()
        state.discriminator.train()

        measured = self._measured(to_bytes(fakes, self.pixels).cpu())
        shares = {kind: value / max(self.of_real[kind], 1e-12) for kind, value in measured.items()}
        return shares, self._outgrown(state) | _won(state, on_real, on_fake, loss_of(self.recipe.objective.loss).odds)

    def _outgrown(self, state: TrainState) -> dict[str, str]:
        """Which player's weights have grown as only steps do that are far too large."""
        usual = max(1.0, self._steps(state) / GROWTH_STEPS) ** 0.5
        seen = {}
        for player, network in (("discriminator", state.discriminator), ("generator", state.generator)):
            growth, most = _length(network) / self.starts[player], GROWTH[player] * usual
            if growth >= most:
                seen[f"{player}'s steps"] = (
                    f"the {player} takes steps that are too large: its weights have grown to {growth:.1f} times their "
                    f"start, where less than {most:.1f} is usual"
                )
        return seen

    def _measured(self, images: Tensor) -> dict[str, float]:
        """The measures of variety that these images, uint8 ``[N, C, H, W]``, allow."""
        measured = {"variety": _variance(images, self.groups), "distinct": _distinct(images)}
        if self.guide is not None:
            measured["classes"] = _effective_classes(self.guide(images))
        elif self.labels is None:
            measured["spread"] = _spread(images)
        return measured


class Goodness:
    """Compares how surely a guide reads samples with how surely it reads real images.

    Parameters
    ----------
    probabilities
        The guide: uint8 ``[N, C, H, W]`` to class probabilities ``[N, K]``.
    real
        Real images, uint8 ``[N, C, H, W]``; about `GUIDED_SAMPLES` of them are read, evenly spaced.
    """

    def __init__(self, probabilities: Callable[[Tensor], Tensor], real: Tensor) -> None:
        self.probabilities = probabilities
        read = probabilities(real[:: max(1, len(real) // GUIDED_SAMPLES)])
        self.real_confidence = read.max(1).values.mean().item()
        self.shares = read.argmax(1).bincount(minlength=read.shape[1]) / len(read)

    def reached(self, samples: Tensor) -> bool:
        """Whether samples, uint8 ``[N, C, H, W]``, are read as surely as real images and no class is missing."""
        probabilities = self.probabilities(samples)
        confidence = probabilities.max(1).values.mean().item()
        shares = probabilities.argmax(1).bincount(minlength=probabilities.shape[1]) / len(samples)
        return confidence >= SURENESS * self.real_confidence and bool((shares >= CLASS_SHARE * self.shares).all())


def _collapsed(kind: str, share: float) -> str:
    return {
        "variety": f"the generator has collapsed: its images vary {share:.1%} as much as real ones do",
        "distinct": f"the generator repeats itself: only {share:.0%} of its images have no near-duplicate",
        "classes": f"the generator has collapsed: it makes {share:.0%} of the classes that real images show",
        "spread": f"the generator has collapsed: its images lie {share:.0%} as far apart as real ones do",
    }[kind]


def _won(state: TrainState, on_real: Tensor, on_fake: Tensor, odds: bool) -> dict[str, str]:
    """Whether the discriminator has won, by its logits ``[N]`` and by the gradient that the last step left.

    Logits that are no log odds have no scale, and a critic is to tell real images from fakes: there only a gradient
    that has vanished counts.
    """
    sure = float(on_real.mean() - on_fake.mean())
    accuracy = float((on_real[:, None] > on_fake[None]).float().mean())
    push = generator_push(state)
    too_sure = odds and sure >= SURE
    if accuracy < ACCURACY or not (too_sure or push <= VANISHED):
        return {}
    return {
        "discriminator has won": "the discriminator has won: its logits tell real and fake images apart by "
        f"{sure:.0f}, and the generator's gradient has the norm {push:.1g}"
    }


def lengths(generator: nn.Module, discriminator: nn.Module) -> dict[str, float]:
    """The norm of each player's weights, by which their growth is measured."""
    return {"discriminator": _length(discriminator), "generator": _length(generator)}


def _length(network: nn.Module) -> float:
    """The norm of all weights in matrices and filters, as one vector."""
    weights = [value.detach() for value in network.parameters() if value.ndim > 1]
    return float(torch.stack(torch._foreach_norm(weights)).norm()) if weights else 1.0


def _grouped_rows(labels: Tensor) -> Tensor:
    """The first rows of up to `GROUPS` classes, equally many of each."""
    classes = labels.unique()[:GROUPS]
    return torch.cat([torch.nonzero(labels == label).flatten()[: IMAGES // len(classes)] for label in classes])


def _variance(images: Tensor, groups: Tensor) -> float:
    """Mean variance of a pixel in [0, 1] within the groups; images uint8 ``[N, C, H, W]``, groups ``[N]``."""
    pixels = to_floats(images.flatten(1), "unit")
    variances = [pixels[groups == group].var(0, correction=0).mean() for group in groups.unique()]
    return float(torch.stack(variances).mean())


def _distinct(images: Tensor) -> float:
    """Share of images, uint8 ``[N, C, H, W]``, that have no other one nearer than `NEAR`."""
    pixels = to_floats(images.flatten(1), "unit")
    distances = torch.cdist(pixels, pixels) / pixels.shape[1] ** 0.5
    distances.fill_diagonal_(torch.inf)
    return float((distances.min(1).values >= NEAR).float().mean())


def _spread(images: Tensor) -> float:
    """Mean distance of two images in coarse features: a 4x4 grid of mean brightness for each channel."""
    coarse = F.adaptive_avg_pool2d(to_floats(images, "unit"), 4).flatten(1)
    return float(torch.pdist(coarse).mean())


def _effective_classes(probabilities: Tensor) -> float:
    """exp(entropy) of the classes that a guide reads, ``[N, K]``: 1 to K."""
    shares = probabilities.argmax(1).bincount().float() / len(probabilities)
    return float(torch.special.entr(shares).sum().exp())
