"""The loop that tutorials teach: a data loader, one image at a time turned to floats, no pass that holds real and fake.

It trains the same networks by the same objective and schedule as a recipe, and is what `bench throughput` and `bench
curves` measure against.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from pocketgan.core.pixels import PixelRange
from pocketgan.core.schedules import ema_beta, rate_factor
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.architectures import build_pair
from pocketgan.networks.contracts import Generator
from pocketgan.objectives.losses import HALVES, loss_of
from pocketgan.objectives.penalties import gradient_penalty
from pocketgan.recipes import Recipe
from pocketgan.training.groups import groups_of, share_out_clusters


class Digits(Dataset[tuple[Tensor, int]]):
    """Grey images one by one, by the steps of torchvision's `MNIST`, `RandomRotation`, `ToTensor` and `Normalize`."""

    def __init__(self, data: ImageSet, recipe: Recipe, groups: Tensor | None, pixels: PixelRange) -> None:
        self.data, self.groups, self.degrees = data, groups, recipe.data.rotate
        self.normalised = pixels == "signed"

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.data.images[row, 0].numpy())
        if self.degrees:
            angle = float(torch.empty(1).uniform_(-self.degrees, self.degrees).item())
            picture = picture.rotate(angle, Image.Resampling.NEAREST, fillcolor=0)
        floats = _to_tensor(picture)
        if self.normalised:
            floats = _normalise(floats, [0.5], [0.5])
        return floats, 0 if self.groups is None else int(self.groups[row])


def _to_tensor(picture: Image.Image) -> Tensor:
    bytes_ = torch.from_numpy(np.array(picture, np.uint8, copy=True)).view(picture.height, picture.width, 1)
    return bytes_.permute(2, 0, 1).contiguous().to(torch.get_default_dtype()).div(255)


def _normalise(floats: Tensor, mean: list[float], deviation: list[float]) -> Tensor:
    floats = floats.clone()
    means, deviations = torch.as_tensor(mean), torch.as_tensor(deviation)
    assert not (deviations == 0).any()
    return floats.sub_(means.view(-1, 1, 1)).div_(deviations.view(-1, 1, 1))


class Classroom:
    """A training from fresh weights: float32, PyTorch's default memory layout and optimisers, a moving average kept
    parameter by parameter, losses read with ``.item()`` at each step.

    Attributes
    ----------
    generator
        As it is trained.
    average
        Its moving average, for recipes that keep one.
    """

    def __init__(self, data: ImageSet, recipe: Recipe) -> None:
        self.data, self.recipe = data, recipe
        self.generator, self.discriminator = build_pair(recipe, data.shape, len(data.class_names))
        options = recipe.optimizer
        betas = (options.beta1, options.beta2)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=options.lr_g, betas=betas, eps=options.eps)
        self.optimizer_d = torch.optim.Adam(
            self.discriminator.parameters(), lr=options.lr_d, betas=betas, eps=options.eps
        )
        self.average = copy.deepcopy(self.generator).requires_grad_(False)

    @property
    def sampler(self) -> Generator:
        """The generator that makes samples."""
        return self.average if self.recipe.schedule.ema_share else self.generator

    def steps(self) -> Iterator[int]:
        """Train to the end of the recipe's budget, yielding after each step how many images were shown so far."""
        recipe, size = self.recipe, self.recipe.schedule.batch_size
        torch.manual_seed(recipe.seed)
        groups = groups_of(recipe, self.data, conditional=self.generator.conditional)
        share_out_clusters(recipe, self.data, self.generator, self.average)
        images = Digits(self.data, recipe, groups, self.generator.pixels)
        loader = DataLoader(images, batch_size=size, shuffle=True, drop_last=True)
        total = recipe.schedule.total_nimg(len(self.data))
        beta = ema_beta(size, recipe.schedule.ema_share * total) if recipe.schedule.ema_share else 0.0
        shown = 0
        while True:
            for real, classes in loader:
                factor = rate_factor(shown, total, recipe.schedule.lr_hold)
                self.optimizer_g.param_groups[0]["lr"] = recipe.optimizer.lr_g * factor
                self.optimizer_d.param_groups[0]["lr"] = recipe.optimizer.lr_d * factor
                labels = None if groups is None else classes
                learn = self._together if recipe.objective.updates == "simultaneous" else self._in_turn
                loss_d, loss_g = learn(real, labels, shown)
                if recipe.schedule.ema_share:
                    _follow(self.average, self.generator, beta)
                loss_d.item(), loss_g.item()
                shown += len(real)
                yield shown
                if shown >= total:
                    return

    def _in_turn(self, real: Tensor, labels: Tensor | None, shown: int) -> tuple[Tensor, Tensor]:
        recipe, objective, loss = self.recipe, self.recipe.objective, loss_of(self.recipe.objective.loss)
        discriminator = self.discriminator
        fake = self.generator(_latents(recipe, len(real)), labels)
        on_real, on_fake = discriminator(real, labels), discriminator(fake.detach(), labels)
        real_part, fake_part = loss.discriminator(on_real.logits, on_fake.logits)
        loss_d = HALVES[objective.halves] * (real_part.mean() + fake_part.mean())
        if objective.class_weight:
            for found in (on_real, on_fake):
                loss_d = loss_d + objective.class_weight * F.cross_entropy(found.class_logits, labels)  # type: ignore[arg-type]
        if objective.r1 and shown // recipe.schedule.batch_size % objective.r1_every == 0:
            slopes = gradient_penalty(lambda images: discriminator(images, labels).logits, real)
            loss_d = loss_d + objective.r1_every * objective.r1 / 2 * slopes.mean()
        _learn(self.optimizer_d, loss_d)
        if objective.fresh_latents:
            fake = self.generator(_latents(recipe, len(real)), labels)
        again = discriminator(fake, labels)
        loss_g = loss.generator(on_real.logits.detach(), again.logits).mean()
        if objective.class_weight:
            loss_g = loss_g + objective.class_weight * F.cross_entropy(again.class_logits, labels)  # type: ignore[arg-type]
        _learn(self.optimizer_g, loss_g)
        return loss_d, loss_g

    def _together(self, real: Tensor, labels: Tensor | None, shown: int) -> tuple[Tensor, Tensor]:
        """Both from one pass over the same fakes, as TensorFlow's tutorial has it with its two tapes."""
        loss = loss_of(self.recipe.objective.loss)
        fake = self.generator(_latents(self.recipe, len(real)), labels)
        on_real, on_fake = self.discriminator(real, labels), self.discriminator(fake, labels)
        real_part, fake_part = loss.discriminator(on_real.logits, on_fake.logits)
        loss_d = HALVES[self.recipe.objective.halves] * (real_part.mean() + fake_part.mean())
        loss_g = loss.generator(on_real.logits, on_fake.logits).mean()
        players = ((self.generator, loss_g), (self.discriminator, loss_d))
        gradients = [
            torch.autograd.grad(lost, list(player.parameters()), retain_graph=True) for player, lost in players
        ]
        for (player, _), given in zip(players, gradients, strict=True):
            for parameter, gradient in zip(player.parameters(), given, strict=True):
                parameter.grad = gradient
        self.optimizer_g.step()
        self.optimizer_d.step()
        return loss_d, loss_g


def _latents(recipe: Recipe, count: int) -> Tensor:
    return torch.randn(count, recipe.model.latent_dim)


def _learn(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _follow(average: nn.Module, network: nn.Module, beta: float) -> None:
    kept = average.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            kept[name].mul_(beta).add_(value, alpha=1 - beta)
