"""Walk between latents."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import refuse_existing, whole_folder, write_bytes
from pocketgan.core.pixels import grid, to_pillow, to_png
from pocketgan.core.rng import slerp
from pocketgan.core.terminal import Display
from pocketgan.models.model import Model
from pocketgan.verbs.steer.inverting import pictures_of

FRAME_MS = 80  # of the animation
ENLARGED = 4  # times, of the animation


def interpolate(
    model: Model | str | Path,
    ends: Sequence[str],
    *,
    out: str | Path,
    steps: int = 10,
    method: str | None = None,
    seed: int = 0,
    device: str = "auto",
    quiet: bool = False,
) -> Tensor:
    """Walk between latents on the great circle, and write a strip and an animation.

    Parameters
    ----------
    model
        A `Model`, a run folder or a model folder.
    ends
        Two or more stops: the name of a class, such as ``3``, that a fitted method finds a latent for; ``latent:7``,
        number 7 of the seed's latents; or a picture file, which is inverted.
    out
        A new folder: ``strip.png``, ``walk.png`` (an animated PNG) and ``latents.npy``.
    steps
        Images from one stop to the next, both included; at least 2.
    method
        Of classes; the best fitted without one.
    seed
        Of latents.
    device, quiet
        As in `pocketgan.train`.

    Returns
    -------
    Tensor
        The latents of the walk, float32 ``[N, D]``.

    Raises
    ------
    UsageError
        There are fewer than two stops, or one is none of these.
    """
    target = Path(out)
    refuse_existing(target)
    if len(ends) < 2:
        raise UsageError("a walk needs two stops or more; give class names, picture files or latent:NUMBER")
    if steps < 2:
        raise UsageError(f"--steps {steps} is too small; ask for at least 2")
    source = model if isinstance(model, Model) else Model.load(model, device)
    display = Display(quiet)
    stops = [_stop(source, end, place, method, seed, display) for place, end in enumerate(ends)]
    legs = [slerp(one, other, steps) for one, other in pairwise(stops)]
    walk = torch.cat([legs[0], *(leg[1:] for leg in legs[1:])])
    images = source.images(walk)
    frames = [to_pillow(image, ENLARGED) for image in [*images, *images[1:-1].flip(0)]]
    with whole_folder(target) as beside:
        write_bytes(beside / "strip.png", to_png(grid(images, columns=len(images)), scale=2))
        moving, numbers = io.BytesIO(), io.BytesIO()
        frames[0].save(moving, "PNG", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)
        write_bytes(beside / "walk.png", moving.getvalue())
        np.save(numbers, walk.numpy(), allow_pickle=False)
        write_bytes(beside / "latents.npy", numbers.getvalue())
    return walk


def _stop(model: Model, end: str, place: int, method: str | None, seed: int, display: Display) -> Tensor:
    """The latent ``[D]`` of one stop; equal classes get different ones."""
    kind, _, rest = end.partition(":")
    if kind == "latent" and rest.isdecimal():
        return model.sample(1, seed=seed, start=int(rest)).latents[0]
    names = model.steer.names()
    if end in names:
        return model.steer.latents(place + 1, model.class_index(end, method), method=method, seed=seed)[place]
    if Path(end).is_file():
        with display.bar(f"inverting {end}", 1.0) as bar:
            return model.steer.invert(pictures_of(end)[:1], seed=seed, watch=bar.update).latents[0]
    raise UsageError(f"{end} is no stop of a walk: no class, picture file or latent:NUMBER{nearest(end, names)}")
