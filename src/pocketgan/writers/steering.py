"""What steering finds, as files: latents of pictures, walks between latents, an image moved along directions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import whole_folder, write_bytes, write_json
from pocketgan.core.pixels import grid, to_pillow, to_png
from pocketgan.core.rng import slerp
from pocketgan.core.terminal import Display
from pocketgan.data.load import load_images
from pocketgan.models.model import Model
from pocketgan.steer.directions import SHOWN, Directions
from pocketgan.steer.search import Inversion

FRAME_MS = 80  # of the animation
ENLARGED = 4  # times, of the animation


def write_inversion(model: Model, pictures: Tensor, *, out: Path, seed: int, display: Display) -> Inversion:
    """Find the latents nearest to pictures uint8 ``[N, C, H, W]``; write them, the errors and both images."""
    with display.bar(f"inverting {len(pictures)} pictures", 1.0) as bar:
        found = model.invert(pictures, seed=seed, watch=bar.update)
    with whole_folder(out) as beside:
        _write_latents(beside / "latents.npy", found.latents)
        errors = {"rmse": [round(float(error), 6) for error in found.errors]}
        write_json(beside / "errors.json", errors | ({} if found.labels is None else {"labels": found.labels.tolist()}))
        write_bytes(beside / "pairs.png", to_png(grid(torch.cat([pictures, found.images]), columns=len(pictures))))
    return found


def write_walk(
    model: Model, stops: Sequence[str], *, out: Path, steps: int, method: str | None, seed: int, display: Display
) -> Tensor:
    """Walk between the latents of stops on the great circle; write the latents, a strip and an animation."""
    ends = [_latent_of(model, stop, place, method, seed, display) for place, stop in enumerate(stops)]
    legs = [slerp(one, other, steps) for one, other in pairwise(ends)]
    walk = torch.cat([legs[0], *(leg[1:] for leg in legs[1:])])
    images = model.images(walk)
    frames = [to_pillow(image, ENLARGED) for image in [*images, *images[1:-1].flip(0)]]
    with whole_folder(out) as beside:
        write_bytes(beside / "strip.png", to_png(grid(images, columns=len(images)), scale=2))
        moving = io.BytesIO()
        frames[0].save(moving, "PNG", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)
        write_bytes(beside / "walk.png", moving.getvalue())
        _write_latents(beside / "latents.npy", walk)
    return walk


def write_directions(model: Model, label: int | str, *, out: Path, method: str | None, seed: int) -> Tensor:
    """Move one image of a class along each direction and write the rows; the images uint8 ``[21, C, H, W]``."""
    mover = model.steer.fitted("directions").steerer
    assert isinstance(mover, Directions)
    asked = model.class_index(label, method)
    z = model.steer.latents(1, asked, method=method, seed=seed)
    images = model.images(mover.swept(z, torch.tensor([asked])).flatten(0, 2))
    write_bytes(out, to_png(grid(images, columns=len(SHOWN)), scale=2))
    return images


def _latent_of(model: Model, stop: str, place: int, method: str | None, seed: int, display: Display) -> Tensor:
    """The latent ``[D]`` of one stop; equal classes get different ones."""
    kind, _, rest = stop.partition(":")
    if kind == "latent" and rest.isdecimal():
        return model.sample(1, seed=seed, start=int(rest)).latents[0]
    names = model.steer.names()
    if stop in names:
        return model.steer.latents(place + 1, model.class_index(stop, method), method=method, seed=seed)[place]
    if Path(stop).is_file():
        with display.bar(f"inverting {stop}", 1.0) as bar:
            return model.invert(load_images(stop).images[:1], seed=seed, watch=bar.update).latents[0]
    raise UsageError(f"{stop} is no stop of a walk: no class, picture file or latent:NUMBER{nearest(stop, names)}")


def _write_latents(path: Path, latents: Tensor) -> None:
    buffer = io.BytesIO()
    np.save(buffer, latents.numpy(), allow_pickle=False)
    write_bytes(path, buffer.getvalue())
