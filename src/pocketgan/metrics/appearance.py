"""What can be said of images without any network: how bright and sharp they are, and where their ink lies."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketgan.metrics.brightness import from_brightness

APPEARANCES = ("brightness", "sharpness", "offset_right", "offset_down")


def appearance(images: Tensor) -> Tensor:
    """Figures of each image.

    Parameters
    ----------
    images
        uint8 ``[N, C, H, W]``.

    Returns
    -------
    Tensor
        float64 ``[N, 4]``: mean brightness, 0 to 1; sharpness, the mean squared difference of neighbouring pixels over
        the variance of all (0 for a flat image); and how far the centre of brightness lies right of and below the
        picture's centre, in pixels.
    """
    return from_brightness(_appearance, images)


def _appearance(grey: Tensor) -> Tensor:
    height, width = grey.shape[1:]
    brightness = grey.mean((1, 2))
    right = (grey[:, :, 1:] - grey[:, :, :-1]).square().mean((1, 2))
    down = (grey[:, 1:] - grey[:, :-1]).square().mean((1, 2))
    variance = grey.var((1, 2), correction=0)
    sharpness = torch.where(variance > 0, (right + down) / 2 / variance.clamp(min=1e-12), 0.0)
    ink = grey.sum((1, 2))
    places_right = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    places_down = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    offset_right = torch.where(ink > 0, (grey.sum(1) @ places_right) / ink.clamp(min=1e-12), 0.0)
    offset_down = torch.where(ink > 0, (grey.sum(2) @ places_down) / ink.clamp(min=1e-12), 0.0)
    return torch.stack([brightness, sharpness, offset_right, offset_down], 1)
