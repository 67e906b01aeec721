"""Draw: a picture that was drawn, uploaded or taken from the test images, brought back to a latent."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import to_brightness, to_bytes
from pocketgan.data.load import load_images
from pocketgan.lab.playing import packed
from pocketgan.models.classifier import guide_for
from pocketgan.models.model import Model

INK = 16  # of 255: what is darker belongs to the ground
BOX = 20 / 28  # of a side: what MNIST's digits are scaled into, before their mass is centred


def target_of(given: bytes, test: int | None, model: Model, centred: bool, scratch: Path) -> Tensor:
    """The picture to bring back, uint8 ``[1, C, H, W]`` of the model's size.

    Parameters
    ----------
    given
        The bytes of a picture file; empty where a test image is meant.
    test
        That image's number.
    centred
        Scale and centre what is drawn as MNIST's digits are.
    scratch
        A folder for a file.

    Raises
    ------
    UsageError, PocketganError
        The picture cannot be read, or has another size.
    """
    if test is not None:
        images = load_images(model.facts.data.name.partition("/")[0], "test")
        if test >= len(images):
            raise UsageError(f"test must be below {len(images):,}")
        return images.images[test : test + 1]
    with tempfile.NamedTemporaryFile(dir=scratch, suffix=".png") as file:  # what it is, its content tells
        file.write(given)
        file.flush()
        picture = load_images(file.name).images
    if picture.shape[1] != model.shape[0]:
        grey = to_bytes(to_brightness(picture), "unit").unsqueeze(1)
        picture = grey if model.shape[0] == 1 else picture.expand(-1, 3, -1, -1)
    if centred:
        picture = centred_as_mnist(picture, model.shape[1:])
    if tuple(picture.shape[1:]) != model.shape:
        raise UsageError(f"the picture is {list(picture.shape[1:])}, the model makes {list(model.shape)}")
    return picture


def centred_as_mnist(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """What is drawn on black, uint8 ``[1, C, H, W]``, scaled into MNIST's box and with its mass in the middle."""
    ink = (picture[0] > INK).any(0)
    rows, columns = ink.any(1).nonzero().flatten(), ink.any(0).nonzero().flatten()
    if not len(rows):
        raise UsageError("nothing is drawn; draw something, in white on black")
    drawn = picture[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].float()
    height, width = drawn.shape[2:]
    scale = BOX * min(size) / max(height, width)
    fitted = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = F.interpolate(drawn, fitted, mode="bilinear", antialias=True).round().clamp(0, 255)
    mass = small.sum((0, 1))
    down = float((mass.sum(1) * torch.arange(fitted[0])).sum() / mass.sum())
    right = float((mass.sum(0) * torch.arange(fitted[1])).sum() / mass.sum())
    top = min(max(0, round((size[0] - 1) / 2 - down)), size[0] - fitted[0])
    left = min(max(0, round((size[1] - 1) / 2 - right)), size[1] - fitted[1])
    canvas = torch.zeros(1, picture.shape[1], *size, dtype=torch.uint8)
    canvas[:, :, top : top + fitted[0], left : left + fitted[1]] = small.to(torch.uint8)
    return canvas


def shown(picture: Tensor) -> dict[str, Any]:
    """A picture, uint8 ``[1, C, H, W]``, as a page shows it."""
    return {"shape": list(picture.shape[1:]), "image": base64.b64encode(picture.numpy().tobytes()).decode()}


def inverted(
    model: Model,
    target: Tensor,
    label: int | None,
    watch: Callable[[float, str], None],
    stage: Callable[[dict[str, Any]], None] = lambda told: None,
) -> dict[str, Any]:
    """The latent whose image comes nearest to a picture, and what the guide reads in both; `stage` sees the descent."""

    def look(step: int, images: Tensor, errors: Tensor) -> None:
        stage({"step": step, "error": float(errors[0]), **shown(images)})

    found = model.invert(target, label=label, watch=watch, look=look)
    guide = guide_for(model.shape, model.class_names, "cpu")
    read = None
    if guide is not None:
        both = guide.probabilities(torch.cat([target, found.images]))
        read = [
            {
                "label": int(row.argmax()),
                "class_name": guide.class_names[int(row.argmax())],
                "confidence": float(row.max()),
            }
            for row in both
        ]
    return {
        "z": packed(found.latents[0]),
        "label": None if found.labels is None else int(found.labels[0]),
        "error": float(found.errors[0]),
        "shape": list(model.shape),
        "target": base64.b64encode(target.numpy().tobytes()).decode(),
        "image": base64.b64encode(found.images.numpy().tobytes()).decode(),
        "guide": read,
    }
