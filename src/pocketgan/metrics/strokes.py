"""What can be measured of a drawn character: its slant, the thickness of its stroke, its width. From image moments."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketgan.metrics.brightness import from_brightness

STROKES = ("slant", "thickness", "width")


def strokes(images: Tensor) -> Tensor:
    """Figures of each image, of bright ink on a dark ground.

    Parameters
    ----------
    images
        uint8 ``[N, C, H, W]``.

    Returns
    -------
    Tensor
        float64 ``[N, 3]``: slant, how many pixels the ink leans to the right for each pixel upward; thickness,
        twice the ink's area over the length of its outline, in pixels; width, the standard deviation of its columns
        once the slant is taken out, in pixels. All are 0 for an image without ink.
    """
    return from_brightness(_strokes, images)


def _strokes(ink: Tensor) -> Tensor:
    height, width = ink.shape[1:]
    area = ink.sum((1, 2)).clamp(min=1e-9)
    columns = torch.arange(width, dtype=torch.float64).expand(height, width)
    rows = torch.arange(height, dtype=torch.float64).unsqueeze(1).expand(height, width)
    middle_x, middle_y = ((ink * places).sum((1, 2)) / area for places in (columns, rows))
    x, y = columns - middle_x[:, None, None], rows - middle_y[:, None, None]
    across, down, both = ((ink * product).sum((1, 2)) / area for product in (x * x, y * y, x * y))
    slant = -both / down.clamp(min=1e-9)
    padded = torch.nn.functional.pad(ink, (1, 1, 1, 1))
    right, below = padded[:, :, 1:] - padded[:, :, :-1], padded[:, 1:] - padded[:, :-1]
    outline = (right[:, 1:].square() + below[:, :, 1:].square()).sqrt().sum((1, 2))
    thickness = 2 * ink.sum((1, 2)) / outline.clamp(min=1e-9)
    straightened = (across - both.square() / down.clamp(min=1e-9)).clamp(min=0).sqrt()
    return torch.stack([slant, thickness, straightened], 1)
