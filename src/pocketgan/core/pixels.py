"""Between bytes and floats: pixel ranges, brightness, grids and PNG.

Images are uint8 ``[N, C, H, W]`` everywhere outside the networks. A network sees one of two ranges:

========  =========  ==========================================================
name      range      where it comes from
========  =========  ==========================================================
signed    [-1, 1]    generators that end in tanh
unit      [0, 1]     generators that end in ReLU ([0, inf), cut at 1) or sigmoid
========  =========  ==========================================================

All 256 byte values survive the round trip in both ranges. No other module of the package scales bytes, but for the
benchmarks: `bench/classroom.py` loads images as tutorials do, `bench/known_answers.py` adds noise to bytes.
"""

from __future__ import annotations

import io
import math
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pocketgan.core.devices import memory_format, sent

PixelRange = Literal["signed", "unit"]


def to_floats(images: Tensor, pixels: PixelRange) -> Tensor:
    """Bytes to a network's range: uint8 of any shape in, float32 of the same shape out."""
    floats = images.to(torch.float32)
    return floats.div_(127.5).sub_(1.0) if pixels == "signed" else floats.div_(255.0)


def to_bytes(images: Tensor, pixels: PixelRange) -> Tensor:
    """A network's range to bytes: floats of any shape in, uint8 of the same shape out; what lies outside is cut."""
    floats = images.detach().to(torch.float32)
    scaled = floats.add(1.0).mul_(127.5) if pixels == "signed" else floats.mul(255.0)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def to_brightness(images: Tensor) -> Tensor:
    """Mean of the channels, 0 to 1: uint8 ``[N, C, H, W]`` in, float64 ``[N, H, W]`` out."""
    return images.double().mean(1) / 255


def images_for(images: Tensor, device: torch.device) -> Tensor:
    """Bytes as a classifier sees them: [0, 1], in the device's memory format."""
    return to_floats(sent(images, device), "unit").contiguous(memory_format=memory_format(device))


def to_unit(images: Tensor, pixels: PixelRange) -> Tensor:
    """A network's range to [0, 1]: floats of any shape, which keep it; gradients pass where nothing is cut."""
    return (images if pixels == "unit" else (images + 1.0) / 2.0).clamp(0.0, 1.0)


def grid(images: Tensor, columns: int | None = None, gap: int = 2, background: int = 0) -> Tensor:
    """Lay images ``[N, C, H, W]`` (uint8) out in rows of `columns`, `gap` pixels apart: uint8 ``[C, H', W']``.

    `columns` is the nearest square's side where it is not given. Missing places of the last row stay `background`.
    """
    count, channels, height, width = images.shape
    columns = columns or max(1, math.ceil(math.sqrt(count)))
    rows = max(1, math.ceil(count / columns))
    sheet = torch.full(
        (channels, rows * (height + gap) + gap, columns * (width + gap) + gap), background, dtype=torch.uint8
    )
    for place, image in enumerate(images.cpu()):
        top = gap + (place // columns) * (height + gap)
        left = gap + (place % columns) * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def to_pillow(image: Tensor, scale: int = 1) -> Image.Image:
    """One image, uint8 ``[C, H, W]`` with 1 or 3 channels, as a Pillow image, enlarged `scale` times without blur."""
    array = image.cpu().numpy()
    picture = Image.fromarray(array[0]) if array.shape[0] == 1 else Image.fromarray(np.moveaxis(array, 0, -1).copy())
    if scale == 1:
        return picture
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def to_png(image: Tensor, scale: int = 1) -> bytes:
    """One image, uint8 ``[C, H, W]``, as the bytes of a PNG file."""
    buffer = io.BytesIO()
    to_pillow(image, scale).save(buffer, format="PNG")
    return buffer.getvalue()
