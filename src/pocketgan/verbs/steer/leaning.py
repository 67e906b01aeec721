"""Show what the directions of a class do to a digit."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pocketgan.core.files import refuse_existing, write_bytes
from pocketgan.core.pixels import grid, to_png
from pocketgan.models.model import Model
from pocketgan.steer.directions import SHOWN, Directions


def directions(
    model: Model | str | Path,
    *,
    digit: int,
    out: str | Path,
    method: str | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Tensor:
    """A sheet of one digit moved along each direction: a row for slant, thickness and width, from -3 to +3.

    Parameters
    ----------
    model
        A `Model`, a run folder or a model folder, with `directions` fitted.
    digit
        The class.
    out
        A new PNG file.
    method
        What finds the digit; the best fitted without one.
    seed
        Of its latent.
    device
        As in `pocketgan.train`.

    Returns
    -------
    Tensor
        The images, uint8 ``[21, C, H, W]``.
    """
    target = Path(out)
    refuse_existing(target)
    source = model if isinstance(model, Model) else Model.load(model, device)
    mover = source.steer.fitted("directions").steerer
    assert isinstance(mover, Directions)
    z, label = source.steer.latents(1, digit, method=method, seed=seed), torch.tensor([digit])
    images = source.images(mover.swept(z, label).flatten(0, 2))
    write_bytes(target, to_png(grid(images, columns=len(SHOWN)), scale=2))
    return images
