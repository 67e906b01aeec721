"""`pocketgan generate`."""

from __future__ import annotations

import json
from pathlib import Path

from pocketgan.cli.parameters import Device, Flag, GanModel, Json, Quiet, Seed, Whole, listed
from pocketgan.core.errors import UsageError
from pocketgan.core.signals import load_torch


def generate(
    model: GanModel,
    *,
    out: Path,
    count: Whole = 100,
    digit: Whole | None = None,
    balanced: Flag = False,
    seed: Seed = 0,
    format: str = "png,grid",
    test_share: float | None = None,
    classifier: str | None = None,
    method: str | None = None,
    checked: Flag = False,
    slant: float | None = None,
    thickness: float | None = None,
    width: float | None = None,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Generate images from a run or a model, with the latents that made them.

    Parameters
    ----------
    out
        A new folder.
    count
        How many images.
    digit
        The class of all of them, by its number from 0. Unconditional models need `pocketgan steer fit MODEL` first.
    balanced
        Every class equally often, as conditional models do without --digit.
    seed
        Seed of the latents: the same seed and index give the same bytes, whatever the count.
    format
        With commas between: png (a folder for each label), npz, idx (as torchvision's MNIST reads it), grid.
    test_share
        Share of the images, between 0 and 1, that goes into the test part of NPZ (then with Keras' names) and IDX.
    classifier
        Folder of the classifier that labels the images of a model that cannot be asked; for MNIST's digits the
        shipped guide does without it.
    method
        Steer by this fitted method; the best one fitted without it.
    checked
        Steered images that the guide reads as another class are drawn once more.
    slant
        Lean steered images to the right by so many standard deviations of their class (fit directions first).
    thickness
        The same for the thickness of the stroke.
    width
        The same for the width.
    """
    if balanced and digit is not None:
        raise UsageError("--balanced and --digit exclude each other; give one")
    load_torch()
    from pocketgan.verbs.generate import generate as generate_images

    moves = {"slant": slant, "thickness": thickness, "width": width}
    written = generate_images(
        model,
        out=out,
        count=count,
        digit=digit,
        seed=seed,
        formats=listed(format),
        test_share=test_share,
        classifier=classifier,
        method=method,
        checked=checked,
        moves={name: amount for name, amount in moves.items() if amount is not None},
        balanced=balanced,
        device=device,
        quiet=quiet,
    )
    print(json.dumps([str(path) for path in written]) if json_output else "\n".join(map(str, written)))
