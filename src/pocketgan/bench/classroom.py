"""The loop that tutorials teach: a data loader, one image at a time turned to floats, each player's passes apart.

It trains the same networks by the same objective as a recipe, and is what `bench throughput` measures against.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from pocketgan.data.augment import rotate
from pocketgan.data.image_set import ImageSet
from pocketgan.models.table import build_pair, pair_of
from pocketgan.objectives.losses import loss_of
from pocketgan.objectives.penalties import gradient_penalty
from pocketgan.recipes import Recipe


class Digits(Dataset[tuple[Tensor, int]]):
    """Images turned to floats one by one, as `ToTensor` and `Normalize` do it."""

    def __init__(self, data: ImageSet, recipe: Recipe) -> None:
        self.data, self.degrees = data, recipe.data.rotate
        self.signed = pair_of(recipe.model.architecture).pixels == "signed"

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        image = self.data.images[row]
        if self.degrees:
            image = rotate(image[None], self.degrees, torch.default_generator)[0]
        floats = image.float().div(255)
        if self.signed:
            floats = (floats - 0.5) / 0.5
        return floats, 0 if self.data.labels is None else int(self.data.labels[row])


def classroom_steps(data: ImageSet, recipe: Recipe) -> Iterator[int]:
    """Train from fresh weights for ever, yielding after each step how many images were shown so far.

    float32, PyTorch's default memory layout and optimisers, a moving average parameter by parameter, losses read with
    ``.item()`` at each step.
    """
    generator, discriminator = build_pair(recipe.model, data.shape, len(data.class_names), recipe.seed)
    options, objective, loss = recipe.optimizer, recipe.objective, loss_of(recipe.objective.loss)
    betas = (options.beta1, options.beta2)
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=options.lr_g, betas=betas, eps=options.eps)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=options.lr_d, betas=betas, eps=options.eps)
    average = {name: value.clone() for name, value in generator.state_dict().items()}
    loader = DataLoader(Digits(data, recipe), batch_size=recipe.schedule.batch_size, shuffle=True, drop_last=True)
    conditional = pair_of(recipe.model.architecture).conditional
    shown = step = 0
    while True:
        for real, classes in loader:
            labels = classes if conditional else None
            fake = generator(_latents(recipe, len(real)), labels)
            on_real, on_fake = discriminator(real, labels), discriminator(fake.detach(), labels)
            real_part, fake_part = loss.discriminator(on_real.logits, on_fake.logits)
            loss_d = real_part.mean() + fake_part.mean()
            if objective.class_weight:
                for found in (on_real, on_fake):
                    loss_d = loss_d + objective.class_weight * F.cross_entropy(found.class_logits, classes)
            if objective.r1 and step % objective.r1_every == 0:
                slopes = gradient_penalty(lambda x, y=labels: discriminator(x, y).logits, real)  # type: ignore[misc]
                loss_d = loss_d + objective.r1_every * objective.r1 / 2 * slopes.mean()
            _learn(optimizer_d, loss_d)
            if objective.fresh_latents:
                fake = generator(_latents(recipe, len(real)), labels)
            again = discriminator(fake, labels)
            loss_g = loss.generator(on_real.logits.detach(), again.logits).mean()
            if objective.class_weight:
                loss_g = loss_g + objective.class_weight * F.cross_entropy(again.class_logits, classes)
            _learn(optimizer_g, loss_g)
            if recipe.schedule.ema_share:
                _follow(average, generator)
            loss_d.item(), loss_g.item()
            shown, step = shown + len(real), step + 1
            yield shown


def _latents(recipe: Recipe, count: int) -> Tensor:
    return torch.randn(count, recipe.model.latent_dim)


def _learn(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _follow(average: dict[str, Tensor], network: nn.Module) -> None:
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].mul_(0.999).add_(value, alpha=0.001)
