"""Find the latents of pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.files import refuse_existing, whole_folder, write_bytes, write_json
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.terminal import Display
from pocketgan.data.load import load_images
from pocketgan.data.pictures import read_pictures
from pocketgan.models.model import Model
from pocketgan.steer.search import Inversion


def invert(
    model: Model | str | Path,
    pictures: str | Path,
    *,
    out: str | Path,
    count: int = 16,
    seed: int = 0,
    device: str = "auto",
    quiet: bool = False,
) -> Inversion:
    """Find the latents whose images come nearest to pictures; write them, the reconstructions and their errors.

    Parameters
    ----------
    model
        A `Model`, a run folder or a model folder.
    pictures
        A picture file, or what `load_images` takes.
    out
        A new folder: ``latents.npy``, ``errors.json``, and ``pairs.png`` with the pictures above what was found.
    count
        At most so many of them, the first.
    seed
        Of the starts.
    device, quiet
        As in `pocketgan.train`.

    Raises
    ------
    UsageError
        `out` exists, or the pictures have another size than the generator's.
    """
    target = Path(out)
    refuse_existing(target)
    if count < 1:
        raise UsageError(f"--count {count} is too small; ask for at least 1 picture")
    source = model if isinstance(model, Model) else Model.load(model, device)
    given = pictures_of(pictures)[:count]
    with Display(quiet).bar(f"inverting {len(given)} pictures", 1.0) as bar:
        found = source.steer.invert(given, seed=seed, watch=bar.update)
    with whole_folder(target) as beside:
        buffer = io.BytesIO()
        np.save(buffer, found.latents.numpy(), allow_pickle=False)
        write_bytes(beside / "latents.npy", buffer.getvalue())
        write_json(beside / "errors.json", {"rmse": [round(float(error), 6) for error in found.errors]})
        write_bytes(beside / "pairs.png", to_png(grid(torch.cat([given, found.images]), columns=len(given))))
    return found


def pictures_of(source: str | Path) -> Tensor:
    """One picture file, or what `load_images` takes, as uint8 ``[N, C, H, W]``."""
    path = Path(source)
    if path.is_file() and path.suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".bmp"):
        return read_pictures([path])
    return load_images(source).images
