"""How a classifier learns: cross-entropy and Adam, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.pixels import to_floats
from pocketgan.data.image_set import ImageSet
from pocketgan.data.stream import BatchStream
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
    """Train `network` in place for the recipe's epochs, yielding every `TICK_STEPS` steps and at each epoch's end."""
    assert data.labels is not None, "a classifier needs labels"
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr, eps=recipe.eps, fused=True)
    stream = BatchStream(len(data), recipe.batch_size, recipe.seed)
    steps = -(-len(data) // recipe.batch_size)
    network.train()
    nimg = 0
    for epoch in range(1, recipe.epochs + 1):
        sums = torch.zeros(2, dtype=torch.float64)
        for step in range(1, steps + 1):
            rows = stream.rows(nimg)
            labels = data.labels[rows].to(device)
            logits = network(images_for(data.images[rows], device))
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            nimg += len(rows)
            hits = (logits.detach().argmax(1) == labels).float().mean()
            sums += torch.stack([loss.detach(), hits]).cpu().double()
            if step % TICK_STEPS == 0 or step == steps:
                mean_loss, accuracy = (sums / step).tolist()
                yield Progress(nimg, epoch, step == steps, mean_loss, accuracy)


def images_for(images: Tensor, device: torch.device) -> Tensor:
    """Bytes as a classifier sees them: [0, 1], channels last."""
    return to_floats(images.to(device), "unit").contiguous(memory_format=torch.channels_last)
