"""`pocketgan steer`: fit, invert, interpolate, directions."""

from __future__ import annotations

import json
from pathlib import Path

from cyclopts import App

from pocketgan.cli.parameters import Device, GanModel, Json, Quiet, Seed, Whole, listed
from pocketgan.core.signals import load_torch

app = App(
    name="steer",
    help="Ask a frozen, unconditional generator for classes; walk in its latents.",
    help_format="plaintext",
)


@app.command
def fit(
    model: str,
    *,
    method: str = "flow",
    guide: str | None = None,
    latents: Whole = 200_000,
    steps: Whole = 1000,
    seed: Seed = 0,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit methods that find latents for classes, and keep them in the model's folder.

    Parameters
    ----------
    model
        A run folder or a model folder of an unconditional generator, which stays as it is.
    method
        With commas between: flow, bank, energy, search, directions, lcp.
    guide
        Folder of the classifier that tells the classes; for MNIST's digits the shipped guide does without it.
    latents
        How many are drawn and read by the guide. The readings are kept in the cache for the next method.
    steps
        Of training, for each network that a method learns.
    seed
        Of latents and trainings.
    """
    load_torch()
    from pocketgan.verbs import steer

    chosen = listed(method)
    reports = steer.fit(model, chosen, guide=guide, latents=latents, steps=steps, seed=seed, device=device, quiet=quiet)
    if json_output:
        print(json.dumps([one.facts.model_dump() for one in reports], indent=2))
        return
    for facts, missing in reports:
        kept = ", ".join(f"{count / facts.latents:.2%}" for count in facts.kept)
        print(f"{facts.method}: fitted in {facts.fit_seconds:.1f} s, after {facts.collect_seconds:.1f} s of collecting")
        print(f"  kept of {facts.latents:,} latents, by class: {kept}")
        for line in missing:
            print(f"  {line}")


@app.command
def invert(
    model: GanModel,
    pictures: str,
    *,
    out: Path,
    count: Whole = 16,
    seed: Seed = 0,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the latents whose images come nearest to pictures.

    Parameters
    ----------
    pictures
        A picture file, a folder of pictures, an NPZ, NPY or IDX file, or mnist.
    out
        A new folder for latents.npy, errors.json and pairs.png.
    count
        At most so many pictures, the first.
    seed
        Of the starts.
    """
    load_torch()
    from pocketgan.verbs import steer

    found = steer.invert(model, pictures, out=out, count=count, seed=seed, device=device, quiet=quiet)
    if json_output:
        print(json.dumps({"rmse": found.errors.tolist()}))
    else:
        print(f"{out}: {len(found.errors)} latents; root mean square error of a pixel {float(found.errors.mean()):.3f}")


@app.command
def interpolate(
    model: GanModel,
    *stops: str,
    out: Path,
    steps: Whole = 10,
    method: str | None = None,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Walk between latents, and write a strip and an animation.

    Parameters
    ----------
    stops
        Two or more: a digit, a picture file, or latent:NUMBER.
    out
        A new folder for strip.png, walk.png (animated) and latents.npy.
    steps
        Images from one stop to the next, both included.
    method
        What finds digits; the best one fitted without it.
    seed
        Of latents.
    """
    load_torch()
    from pocketgan.verbs import steer

    steer.interpolate(model, stops, out=out, steps=steps, method=method, seed=seed, device=device, quiet=quiet)
    print(out)


@app.command
def directions(
    model: str, *, digit: Whole, out: Path, method: str | None = None, seed: Seed = 0, device: Device = "auto"
) -> None:
    """Show one digit moved along slant, thickness and width, from -3 to +3 standard deviations.

    Parameters
    ----------
    model
        A run folder or a model folder to which directions were fitted.
    digit
        Its class.
    out
        A new PNG file: a row for each direction.
    method
        What finds the digit; the best one fitted without it.
    seed
        Of its latent.
    """
    load_torch()
    from pocketgan.verbs import steer

    steer.directions(model, digit=digit, out=out, method=method, seed=seed, device=device)
    print(out)
