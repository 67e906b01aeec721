"""Show what the directions of a class do to an image."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.files import refuse_existing, write_bytes
from pocketgan.core.pixels import grid, to_png
from pocketgan.data.class_names import asked_class
from pocketgan.models.model import Model
from pocketgan.steer.directions import SHOWN, Directions


def directions(
    model: Model | str | Path,
    *,
    label: int | str | None = None,
    digit: int | None = None,
    out: str | Path,
    method: str | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Tensor:
    """A sheet of one image moved along each direction: a row for slant, thickness and width, from -3 to +3.

    Parameters
    ----------
    model
        A `Model`, a run folder or a model folder, with `directions` fitted.
    label
        The class, by its index or by its name as text.
    digit
        Short for the class whose name is this number, as MNIST's are.
    out
        A new PNG file.
    method
        What finds the image; the best fitted without one.
    seed
        Of its latent.
    device
        As in `pocketgan.train`.

    Returns
    -------
    Tensor
        The images, uint8 ``[21, C, H, W]``.

    Raises
    ------
    UsageError
        No class is given, or there is none of this name; or directions are not fitted.
    """
    wanted = asked_class(label, digit)
    if wanted is None:
        raise UsageError("--class is missing; name the class whose image is moved")
    target = Path(out)
    refuse_existing(target)
    source = model if isinstance(model, Model) else Model.load(model, device)
    mover = source.steer.fitted("directions").steerer
    assert isinstance(mover, Directions)
    asked = source.class_index(wanted, method)
    z = source.steer.latents(1, asked, method=method, seed=seed)
    images = source.images(mover.swept(z, torch.tensor([asked])).flatten(0, 2))
    write_bytes(target, to_png(grid(images, columns=len(SHOWN)), scale=2))
    return images
