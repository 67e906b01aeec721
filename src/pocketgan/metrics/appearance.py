"""What images show without a network: how bright and sharp they are, where ink lies, how strokes are drawn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pocketgan.core.pixels import to_brightness

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
    return torch.cat([figures(to_brightness(part)) for part in images.split(PART)])


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
    positions_right = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    positions_down = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    offset_right = torch.where(ink > 0, (grey.sum(1) @ positions_right) / ink.clamp(min=1e-12), 0.0)
    offset_down = torch.where(ink > 0, (grey.sum(2) @ positions_down) / ink.clamp(min=1e-12), 0.0)
    return torch.stack([brightness, sharpness, offset_right, offset_down], 1)


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
    middle_x, middle_y = ((ink * positions).sum((1, 2)) / area for positions in (columns, rows))
    x, y = columns - middle_x[:, None, None], rows - middle_y[:, None, None]
    across, down, both = ((ink * product).sum((1, 2)) / area for product in (x * x, y * y, x * y))
    slant = -both / down.clamp(min=1e-9)
    padded = torch.nn.functional.pad(ink, (1, 1, 1, 1))
    right, below = padded[:, :, 1:] - padded[:, :, :-1], padded[:, 1:] - padded[:, :-1]
    outline = (right[:, 1:].square() + below[:, :, 1:].square()).sqrt().sum((1, 2))
    thickness = 2 * ink.sum((1, 2)) / outline.clamp(min=1e-9)
    straightened = (across - both.square() / down.clamp(min=1e-9)).clamp(min=0).sqrt()
    return torch.stack([slant, thickness, straightened], 1)
