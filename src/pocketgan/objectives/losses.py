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
    odds: bool = True  # logits are log odds: a Sigmoid makes probabilities of them
    undecided: float = 0.0  # the best logit for all images where real ones and fakes cannot be told apart
    bounded: bool = True  # the discriminator's loss has a least value, and the undecided one's is known before


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


def saturating_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """log(1 - s(fake)), the game's own value: it is flat where the discriminator is sure.

    Goodfellow et al. 2014, equation 1.
    """
    return -F.softplus(fake_logits)


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """(real - 1)^2 / 2 and fake^2 / 2. Mao et al. 2017 (LSGAN), equation 9."""
    return 0.5 * (real_logits - 1).square(), 0.5 * fake_logits.square()


def least_squares_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """(fake - 1)^2 / 2. Mao et al. 2017, equation 9."""
    return 0.5 * (fake_logits - 1).square()


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """-real and fake: the mean is minus the distance that the critic sees. Arjovsky et al. 2017 (WGAN), algorithm 1."""
    return -real_logits, fake_logits


def wasserstein_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-fake. Arjovsky et al. 2017, algorithm 1."""
    return -fake_logits


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """max(0, 1 - real) and max(0, 1 + fake). Lim & Ye 2017, equations 11 and 12; Miyato et al. 2018, equation 16."""
    return F.relu(1 - real_logits), F.relu(1 + fake_logits)


LOSSES: dict[str, AdversarialLoss] = {
    "bce": AdversarialLoss(bce_discriminator, bce_generator),
    "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator),
    "saturating": AdversarialLoss(bce_discriminator, saturating_generator),
    "lsgan": AdversarialLoss(least_squares_discriminator, least_squares_generator, odds=False, undecided=0.5),
    "wgan": AdversarialLoss(wasserstein_discriminator, wasserstein_generator, odds=False, bounded=False),
    "wgan-gp": AdversarialLoss(wasserstein_discriminator, wasserstein_generator, odds=False, bounded=False),
    "hinge": AdversarialLoss(hinge_discriminator, wasserstein_generator, odds=False),
    "dragan": AdversarialLoss(bce_discriminator, bce_generator),
}  # with what their papers add to them: `PAPERS` in recipes/papers.py


HALVES = {"sum": 1.0, "mean": 0.5}  # what the discriminator's losses on real and on fake images are multiplied by


def chance_loss(name: str, halves: str) -> float | None:
    """The discriminator's loss where it cannot tell real images from fakes, and gives all the logit that is best then.

    None for a critic, whose loss has no least value: its 0 tells nothing, for logits have no scale.
    """
    loss = loss_of(name)
    if not loss.bounded:
        return None
    same = torch.tensor(loss.undecided)
    on_real, on_fake = loss.discriminator(same, same)
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
