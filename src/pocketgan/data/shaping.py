"""Size and colours of images, changed as they are asked for: one function for pictures and for arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from pocketgan.data.image_set import ImageSet
from pocketgan.recipes.image_options import ImageOptions


def shaped_picture(picture: Image.Image, reading: ImageOptions) -> Image.Image:
    """A picture (mode L, RGB or F) cropped, resized and made grey, in this order; transposed before all.

    Shrinking takes the mean over areas (Pillow's BOX), enlarging is bicubic. What is not square is filled up in the
    middle of the background, so that no picture is distorted.
    """
    if reading.transpose:
        picture = picture.transpose(Image.Transpose.TRANSPOSE)
    if reading.crop:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    if reading.grey and picture.mode == "RGB":
        picture = picture.convert("L")
    if reading.resize is not None and picture.size != (reading.resize, reading.resize):
        shrinks = max(picture.size) > reading.resize
        method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
        fill = reading.colour if picture.mode == "RGB" else reading.grey_background
        picture = ImageOps.pad(picture, (reading.resize, reading.resize), method, fill)
    return picture


def how_resized(sides: set[tuple[int, int]], reading: ImageOptions) -> tuple[str, ...]:
    """What to say of pictures of these sizes (height, width) where they are resized; nothing where they stay."""
    if reading.resize is None:
        return ()
    if reading.crop:
        sides = {(min(side), min(side)) for side in sides}
    side, said = reading.resize, []
    if any(max(each) > side for each in sides):
        said.append(f"shrunk to {side}x{side} by the mean over areas")
    if any(max(each) < side for each in sides):
        said.append(f"enlarged to {side}x{side} by bicubic curves")
    if any(height != width for height, width in sides):
        said.append(f"what is not square lies in the middle of {reading.background} (--crop takes the middle instead)")
    return ("; ".join(said),) if said else ()


def shaped(images: ImageSet, reading: ImageOptions) -> ImageSet:
    """An image set whose images are as `shaped_picture` makes them; itself where that changes nothing."""
    channels, height, width = images.shape
    same_side = reading.resize in (None, height) and height == width
    if not reading.transpose and same_side and not (reading.grey and channels == 3):
        return images
    if not (reading.transpose or reading.crop or reading.grey or reading.resize):
        return images
    planes = images.images.numpy()
    rows = planes[:, 0] if channels == 1 else np.ascontiguousarray(np.moveaxis(planes, 1, 3))
    made = [np.asarray(shaped_picture(Image.fromarray(row), reading)) for row in rows]
    notes = (*images.notes, *how_resized({(height, width)}, reading))
    return replace(images, images=from_arrays(np.stack(made)), notes=notes, dataset="")


def from_arrays(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Bytes ``[N, H, W]`` or ``[N, H, W, 3]`` as ``[N, C, H, W]``."""
    if pictures.ndim == 3:
        return torch.from_numpy(np.ascontiguousarray(pictures)).unsqueeze(1)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, 3, 1)))
