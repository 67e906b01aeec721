"""`steer`: fit methods to a frozen generator; find a picture's latent; walk between latents; show directions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pocketgan.classifier import Classifier
from pocketgan.core.errors import UsageError
from pocketgan.core.files import refuse_existing, whole_folder, write_bytes, write_json
from pocketgan.core.latents import slerp
from pocketgan.core.pixels import grid, to_pillow, to_png
from pocketgan.core.terminal import Display
from pocketgan.data.load import load_images
from pocketgan.data.pictures import read_pictures
from pocketgan.metrics.strokes import STROKES
from pocketgan.model import Model
from pocketgan.steer.directions import Directions
from pocketgan.steer.invert import Inversion
from pocketgan.steer.method import Budget
from pocketgan.steer.stored import Facts
from pocketgan.steer.table import method_of

FRAME_MS = 80  # of the animation
ENLARGED = 4  # times, of the animation
SHOWN = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # standard deviations on a sheet of directions


class FitReport(NamedTuple):
    """What a fit tells: its facts, and a line for each class that cannot be asked for."""

    facts: Facts
    missing: list[str]


def fit(
    model: Model | str | Path,
    methods: Sequence[str] = ("flow",),
    *,
    guide: Classifier | str | Path | None = None,
    latents: int = Budget().latents,
    steps: int = Budget().steps,
    seed: int = 0,
    device: str = "auto",
    quiet: bool = False,
) -> list[FitReport]:
    """Fit methods to a model, and keep them in its folder.

    Parameters
    ----------
    model
        A `Model`, a run folder or a model folder.
    methods
        Names of the table of methods.
    guide, latents, steps, seed
        As in `Steering.fit`.
    device, quiet
        As in `pocketgan.train`.

    Raises
    ------
    UsageError
        A method is unknown, the model is conditional, or no guide knows its images.
    """
    for method in methods:
        method_of(method)
    source = model if isinstance(model, Model) else Model.load(model, device)
    steering, display, reports = source.steer, Display(quiet), []
    for method in methods:
        with display.bar(f"fitting {method}", 1.0) as bar:
            fitted = steering.fit(
                method,
                guide=guide,
                latents=latents,
                steps=steps,
                seed=seed,
                watch=lambda done, note: bar.update(done, note),
            )
        reports.append(FitReport(fitted.facts, steering.missing(fitted.facts)))
    return reports


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
    given = _pictures(pictures)[:count]
    with Display(quiet).bar(f"inverting {len(given)} pictures", 1.0) as bar:
        found = source.steer.invert(given, seed=seed, watch=bar.update)
    with whole_folder(target) as beside:
        buffer = io.BytesIO()
        np.save(buffer, found.latents.numpy(), allow_pickle=False)
        write_bytes(beside / "latents.npy", buffer.getvalue())
        write_json(beside / "errors.json", {"rmse": [round(float(error), 6) for error in found.errors]})
        write_bytes(beside / "pairs.png", to_png(grid(torch.cat([given, found.images]), columns=len(given))))
    return found


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
        Two or more stops: ``3``, a digit that a fitted method finds a latent for; ``latent:7``, number 7 of the seed's
        latents; or a picture file, which is inverted.
    out
        A new folder: ``strip.png``, ``walk.png`` (an animated PNG) and ``latents.npy``.
    steps
        Images from one stop to the next, both included; at least 2.
    method
        Of digits; the best fitted without one.
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
        raise UsageError("a walk needs two stops or more; give digits, picture files or latent:NUMBER")
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
    moved = torch.cat([mover.moved(z, label, {name: amount}) for name in STROKES for amount in SHOWN])
    images = source.images(moved)
    write_bytes(target, to_png(grid(images, columns=len(SHOWN)), scale=2))
    return images


def _pictures(source: str | Path) -> Tensor:
    path = Path(source)
    if path.is_file() and path.suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".bmp"):
        return read_pictures([path])
    return load_images(source).images


def _stop(model: Model, end: str, place: int, method: str | None, seed: int, display: Display) -> Tensor:
    """The latent ``[D]`` of one stop; equal digits get different ones."""
    kind, _, number = end.partition(":")
    if kind == "latent" and number.isdecimal():
        return model.sample(1, seed=seed, start=int(number)).latents[0]
    if end.isdecimal():
        return model.steer.latents(place + 1, int(end), method=method, seed=seed)[place]
    if Path(end).is_file():
        with display.bar(f"inverting {end}", 1.0) as bar:
            return model.steer.invert(_pictures(end)[:1], seed=seed, watch=bar.update).latents[0]
    raise UsageError(f"{end} is no stop of a walk; give a digit, a picture file or latent:NUMBER")
