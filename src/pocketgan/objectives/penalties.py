"""Penalties on the discriminator: images in, per-sample penalties ``[B]`` out. Averaging is the loop's business.

And how strong R1 is, where it follows the discriminator's loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

R1_NIMG = 100_000  # images shown while R1 grows or shrinks by a factor of e
MOST_R1_GROWTH = 20.0


def gradient_penalty(logits_of: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The squared length of the gradient of each image's logit with respect to that image: ``[B]``.

    On real images it is R1 (Mescheder et al. 2018, equation 9) without its factor gamma / 2.

    Parameters
    ----------
    logits_of
        Images ``[B, C, H, W]`` to logits ``[B]``, each of its own image alone: no BatchNorm.
    images
        ``[B, C, H, W]``.
    """
    return _slopes(logits_of, images).square().sum(1)


def slope_penalty(logits_of: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """How far the length of the gradient of each image's logit lies from 1, squared: ``[B]``.

    At images `between` real ones and fakes it is WGAN-GP's (Gulrajani et al. 2017, equation 3), at those `around` real
    ones DRAGAN's (Kodali et al. 2017), both without their factor lambda. Parameters as in `gradient_penalty`.
    """
    lengths: Tensor = _slopes(logits_of, images).norm(dim=1)
    return (lengths - 1).square()


def _slopes(logits_of: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The gradient of each image's logit with respect to that image, ``[B, C * H * W]``."""
    images = images.detach().requires_grad_()
    logits = logits_of(
        images.view_as(images)
    )  # a view, for torch's flop counter cannot follow a leaf through a network
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slopes.flatten(1)


def between(real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
    """A point on the line from each real image to its fake, evenly drawn: all ``[B, C, H, W]``.

    Gulrajani et al. 2017, algorithm 1.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=random, device=real.device)
    return torch.lerp(real, fake.to(real.dtype), share)


def around(real: Tensor, random: torch.Generator) -> Tensor:
    """Each real image with noise: ``[B, C, H, W]`` in and out.

    The noise of a pixel is uniform in 0 to half the standard deviation of all pixels, and each image has an even share
    of it. So it is in the code of DRAGAN's authors; in their paper (Kodali et al. 2017) it is normal.
    """
    noise = 0.5 * real.std() * torch.rand(real.shape, generator=random, device=real.device)
    return real + torch.rand(len(real), 1, 1, 1, generator=random, device=real.device) * noise


def r1_growth(growth: float, loss_d: float, target: float, batch: int) -> float:
    """What R1 is to be multiplied by after a step: a little more where the discriminator's loss is under its target.

    A discriminator that learns its images by heart tells them from fakes ever more surely, and its loss falls; a
    stronger penalty keeps it from that. As adaptive augmentation does (Karras et al. 2020, "Training Generative
    Adversarial Networks with Limited Data", section 3), but by the loss, and with the penalty.

    Parameters
    ----------
    growth
        What it was multiplied by in this step, 1 to `MOST_R1_GROWTH`.
    loss_d
        The step's loss of the discriminator.
    target
        The loss to be held.
    batch
        Real images in the step.
    """
    step = math.exp(batch / R1_NIMG)
    return min(MOST_R1_GROWTH, max(1.0, growth * step if loss_d < target else growth / step))
