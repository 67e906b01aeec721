"""Adversarial losses: logits in, per-sample losses ``[B]`` out. Averaging is the loop's business.

All of one player's losses share one signature, so that one can stand for another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.errors import UsageError, nearest


class AdversarialLoss(NamedTuple):
    """One row of the table: ``discriminator(real_logits, fake_logits) -> (on_real [B], on_fake [B])`` and
    ``generator(real_logits, fake_logits) -> [B]``."""

    discriminator: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    generator: Callable[[Tensor, Tensor], Tensor]


def bce_discriminator(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy of "real is 1, fake is 0", from logits: -log s(real) and -log(1 - s(fake)).

    Goodfellow et al. 2014, equation 1. A Sigmoid layer followed by BCE is this, computed without overflow.
    """
    return F.softplus(-real_logits), F.softplus(fake_logits)


def bce_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The non-saturating generator loss -log s(fake): BCE of fakes against the label 1. Goodfellow et al. 2014, §3."""
    return F.softplus(-fake_logits)


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """-log s(real - fake), half of it on each image of a pair: is the real one more real than its fake?

    Jolicoeur-Martineau 2018, equation 4 (RpGAN); Huang et al. 2024 (R3GAN) for why it keeps modes. A conditional
    pair's fakes carry the labels of the real images that they stand beside.
    """
    half = 0.5 * F.softplus(fake_logits - real_logits)
    return half, half


def relativistic_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log s(fake - real). Jolicoeur-Martineau 2018, equation 5."""
    return F.softplus(real_logits - fake_logits)


LOSSES: dict[str, AdversarialLoss] = {
    "bce": AdversarialLoss(bce_discriminator, bce_generator),
    "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator),
}


HALVES = {"sum": 1.0, "mean": 0.5}  # what the discriminator's losses on real and on fake images are multiplied by


def chance_loss(name: str, halves: str) -> float:
    """The discriminator's loss where it cannot tell real images from fakes, and gives all the same logit."""
    nothing = torch.zeros(())
    on_real, on_fake = loss_of(name).discriminator(nothing, nothing)
    return HALVES[halves] * float(on_real + on_fake)


def loss_of(name: str) -> AdversarialLoss:
    """The row of the table with this name.

    Raises
    ------
    UsageError
        There is none.
    """
    if name not in LOSSES:
        raise UsageError(f"loss '{name}' is unknown{nearest(name, LOSSES)}")
    return LOSSES[name]
