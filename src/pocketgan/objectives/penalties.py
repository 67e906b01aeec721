"""Penalties on the discriminator: images in, per-sample penalties ``[B]`` out. Averaging is the loop's business."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


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
    images = images.detach().requires_grad_()
    logits = logits_of(
        images.view_as(images)
    )  # a view, for torch's flop counter cannot follow a leaf through a network
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slopes.square().flatten(1).sum(1)
