"""Random changes of real images, bytes in and bytes out."""

from __future__ import annotations

import math
from functools import partial

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
        Where the angles are drawn from: a random generator of the images' device, or the CPU's.
    """
    angles = _uniform(len(images), math.radians(degrees), random)
    zero = torch.zeros_like(angles)
    return _resampled(images, angles, torch.ones_like(angles), zero, zero, "nearest").to(torch.uint8)


def jitter(images: Tensor, degrees: float, scale: float, shift: float, random: torch.Generator) -> Tensor:
    """Turn, enlarge and shift each image by its own amounts, all uniform: bilinear, what lies outside is 0.

    Parameters
    ----------
    images
        uint8 ``[N, C, H, W]``.
    degrees
        Largest angle either way, 0 to 180.
    scale
        Largest relative change of size either way, 0 to 1.
    shift
        Largest shift in pixels along either axis, either way.
    random
        Where the amounts are drawn from: a random generator of the images' device, or the CPU's.
    """
    count, _, height, width = images.shape
    angles, sizes = _uniform(count, math.radians(degrees), random), 1 + _uniform(count, scale, random)
    right, down = _uniform(count, 2 * shift / width, random), _uniform(count, 2 * shift / height, random)
    return _resampled(images, angles, 1 / sizes, right, down, "bilinear").round_().to(torch.uint8)


def shifted(images: Tensor, flip: bool, most: int, random: torch.Generator) -> Tensor:
    """Mirror half of the images and shift each by whole pixels: no pixel's value changes, and none is made up.

    Parameters
    ----------
    images
        uint8 ``[N, C, H, W]``, H and W larger than `most`.
    flip
        Whether half of them, by chance, are mirrored left to right.
    most
        Largest shift in pixels along either axis, either way; what comes in at an edge is mirrored there.
    random
        Where the shifts are drawn from: a random generator of the images' device, or the CPU's.
    """
    count, channels, height, width = images.shape
    draw = partial(torch.randint, generator=random, device=random.device)
    down, right = draw(-most, most + 1, (2, count, 1))
    mirrored = draw(0, 2, (count, 1)).bool() & flip
    rows = _reflected(torch.arange(height, device=random.device) + down, height).to(images.device)
    columns = _reflected(torch.arange(width, device=random.device) + right, width)
    columns = torch.where(mirrored, width - 1 - columns, columns).to(images.device)
    images = images.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width))
    return images.gather(3, columns[:, None, None, :].expand(-1, channels, height, -1))


def _reflected(places: Tensor, side: int) -> Tensor:
    """Places on a line of `side` pixels, those beyond an end mirrored at its last pixel."""
    places = places.abs()
    return torch.where(places > side - 1, 2 * (side - 1) - places, places)


def cut_out(images: Tensor, side: int, random: torch.Generator) -> Tensor:
    """Hide one square in each image, at a random place, under the image's mean colour (DeVries & Taylor 2017).

    Parameters
    ----------
    images
        uint8 ``[N, C, H, W]``.
    side
        Of the square in pixels. Its centre lies in the image, so a part of it may lie outside.
    random
        Where the places are drawn from: a random generator of the images' device, or the CPU's.
    """
    count, _, height, width = images.shape
    hidden = torch.ones(count, 1, 1, 1, dtype=torch.bool, device=images.device)
    for axis, size in ((2, height), (3, width)):
        first = torch.randint(size, (count, 1), generator=random, device=random.device) - side // 2
        place = torch.arange(size, device=random.device)
        inside = ((place >= first) & (place < first + side)).to(images.device)
        hidden = hidden & inside.view(count, 1, *((size, 1) if axis == 2 else (1, size)))
    mean = images.float().mean((2, 3), keepdim=True).round().to(torch.uint8)
    return torch.where(hidden, mean, images)


def _uniform(count: int, most: float, random: torch.Generator) -> Tensor:
    return (torch.rand(count, generator=random, device=random.device) * 2 - 1) * most


def _resampled(images: Tensor, angles: Tensor, sizes: Tensor, right: Tensor, down: Tensor, mode: str) -> Tensor:
    """Images ``[N, C, H, W]`` as floats, each read at turned, scaled and shifted places (radians, 1, half sides)."""
    height, width = images.shape[2:]
    cos, sin = angles.cos() * sizes, angles.sin() * sizes
    ratio = height / width  # affine_grid's axes run from -1 to 1 whatever the side, so a turn must undo the ratio
    matrix = torch.stack([torch.stack([cos, sin * ratio, right], 1), torch.stack([-sin / ratio, cos, down], 1)], 1)
    places = F.affine_grid(matrix, list(images.shape), align_corners=False).to(images.device)
    return F.grid_sample(images.float(), places, mode=mode, padding_mode="zeros", align_corners=False)
