"""How a classifier learns: cross-entropy, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.devices import sent
from pocketgan.core.pixels import images_for
from pocketgan.core.rng import rng, seeded
from pocketgan.data.augment import jitter
from pocketgan.data.image_set import ImageSet
from pocketgan.data.stream import BatchStream
from pocketgan.networks.contracts import has
from pocketgan.recipes import ClassifierRecipe

TICK_STEPS = 25  # steps between two milestones inside an epoch


class Progress(NamedTuple):
    """Where a classifier's training stands; loss and accuracy are averages since the epoch began."""

    nimg: int
    epoch: int
    epoch_ended: bool
    loss: float
    accuracy: float  # on the images as they were learned from, a fraction


def train_classifier_steps(
    network: nn.Module, data: ImageSet, recipe: ClassifierRecipe, device: torch.device
) -> Iterator[Progress]:
    """Train `network` in place for the recipe's epochs, yielding every `TICK_STEPS` steps and at each epoch's end.

    The images lie whole on the device, as bytes, and a step waits for the device once.
    """
    assert data.labels is not None, "a classifier needs labels"
    images, classes = data.images.to(device), data.labels.to(device)
    full, rest = divmod(len(data), recipe.batch_size)
    steps = full if recipe.drop_last and full else full + (rest > 0)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.lr, eps=recipe.eps, weight_decay=recipe.weight_decay, fused=True
    )
    cycle = None
    if recipe.one_cycle:
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.epochs * steps)
    stream = BatchStream(len(data), recipe.batch_size, recipe.seed)
    drops = has(network, nn.Dropout)
    network.train()
    nimg = 0
    for epoch in range(1, recipe.epochs + 1):
        sums = torch.zeros(2, dtype=torch.float64)
        if recipe.drop_last:
            nimg = (epoch - 1) * len(data)
        for step in range(1, steps + 1):
            rows = sent(stream.rows(nimg), device)
            labels = classes[rows]
            with seeded(recipe.seed, "dropout", nimg) if drops else nullcontext():
                logits = network(images_for(_learned_from(images[rows], recipe, nimg), device))
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if cycle is not None:
                cycle.step()
            nimg += len(rows)
            hits = (logits.detach().argmax(1) == labels).float().mean()
            sums += torch.stack([loss.detach(), hits]).cpu().double()
            if step % TICK_STEPS == 0 or step == steps:
                mean_loss, accuracy = (sums / step).tolist()
                yield Progress(nimg, epoch, step == steps, mean_loss, accuracy)


def _learned_from(images: Tensor, recipe: ClassifierRecipe, nimg: int) -> Tensor:
    """A batch as the recipe wants it learned from, changed at random or as it is."""
    if not (recipe.rotate or recipe.scale or recipe.shift):
        return images
    random = rng(recipe.seed, "jitter", nimg, device=images.device)
    return jitter(images, recipe.rotate, recipe.scale, recipe.shift, random)
