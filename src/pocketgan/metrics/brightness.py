"""Figures that are computed from how bright images are, some images at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PART = 2000  # images: a whole set in float64 takes gigabytes


def from_brightness(figures: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Figures of each image.

    Parameters
    ----------
    figures
        From brightness, float64 ``[n, H, W]``, 0 to 1 and the mean of the channels, to ``[n, F]``. It looks at each
        image by itself.
    images
        uint8 ``[N, C, H, W]``.

    Returns
    -------
    Tensor
        ``[N, F]``.
    """
    return torch.cat([figures(part.double().mean(1) / 255) for part in images.split(PART)])
