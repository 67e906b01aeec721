"""`train`: one training, from a recipe to a run folder that the same command resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketgan.core.terminal import Display
from pocketgan.models.model import Model
from pocketgan.recipes import Recipe, gan_recipe
from pocketgan.runs.folder import RunFolder
from pocketgan.training.opening import policy_of, train_in


def train(
    recipe: str | Recipe = "pocket",
    *,
    out: str | Path,
    device: str = "auto",
    tensorboard: bool = False,
    quiet: bool = False,
    on_trouble: str | None = None,
    inexact: bool = False,
    **options: Any,
) -> Model:
    """Train a generator and a discriminator, or go on with a training that was stopped.

    Parameters
    ----------
    recipe
        The name of a preset, a TOML file, or a `Recipe`.
    out
        The run's folder. If it holds a run of the same recipe and seed, that run goes on where it was, or is only
        loaded where it is complete.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    tensorboard
        Write losses and samples to ``out/tensorboard`` as well.
    quiet
        Show no progress.
    on_trouble
        What to do when the health watch sees a number that is not finite, a collapse, or a discriminator that has won
        or learns too fast: ``stop``, ``rollback`` to the last good checkpoint with another seed and half the rates (at
        most three times, then stop), or ``warn``. Without it, ``stop`` for what is not finite and ``warn`` for the
        rest; ``warn`` stops for what is not finite too, because nothing true can follow.
    inexact
        Go on with a run even where versions, device or threads have changed, so that the result is not bit for bit that
        of an uninterrupted run.
    options
        Any field of the recipe: ``seed=1``, ``epochs=2``, ``lr_g=1e-3``, ``source="pictures/"``, …

    Returns
    -------
    Model
        The trained model, which is also in ``out/model``.

    Raises
    ------
    UsageError
        The recipe, an option or the images do not fit, `out` holds something else or is in use, or a run cannot go on
        bit for bit here.
    PocketganError
        The images or the run cannot be read or written.
    TroubleError
        The health watch stopped the training.
    """
    return train_in(
        RunFolder(out),
        gan_recipe(recipe, options),
        device=device,
        tensorboard=tensorboard,
        display=Display(quiet),
        policy=policy_of(on_trouble),
        inexact=inexact,
    )
