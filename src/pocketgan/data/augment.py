"""Random changes of real images, bytes in and bytes out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def rotate(images: Tensor, degrees: float, random: torch.Generator) -> Tensor:
    """Turn each image about its centre by its own angle, uniform in [-degrees, degrees].

    Nearest pixel, corners filled with 0, the size kept: what torchvision's ``RandomRotation`` does by default.

    Parameters
    ----------
    images
        uint8 ``[N, C, H, W]``.
    degrees
        Largest angle, 0 to 180.
    random
        Where the angles are drawn from.
    """
    count, _, height, width = images.shape
    angles = (torch.rand(count, generator=random) * 2 - 1) * math.radians(degrees)
    cos, sin = angles.cos(), angles.sin()
    zero = torch.zeros_like(cos)
    ratio = height / width  # affine_grid's axes run from -1 to 1 whatever the side, so a turn must undo the ratio
    matrix = torch.stack([torch.stack([cos, sin * ratio, zero], 1), torch.stack([-sin / ratio, cos, zero], 1)], 1)
    places = F.affine_grid(matrix, list(images.shape), align_corners=False).to(images.device)
    turned = F.grid_sample(images.float(), places, mode="nearest", padding_mode="zeros", align_corners=False)
    return turned.to(torch.uint8)
