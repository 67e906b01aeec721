"""`pocketgan train`."""

from __future__ import annotations

from pathlib import Path

from pocketgan.cli.parameters import (
    Data,
    Device,
    Flag,
    GanField,
    GanRecipe,
    Inexact,
    OnTrouble,
    Quiet,
    Resume,
    TensorBoard,
    Threads,
    recipe_options,
)
from pocketgan.core.signals import load_torch


def train(
    recipe: GanRecipe,
    *,
    out: Path,
    data: Data = None,
    until_good: Flag = False,
    tensorboard: TensorBoard = False,
    resume: Resume = False,
    inexact: Inexact = False,
    on_trouble: OnTrouble = None,
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
    **options: GanField,
) -> None:
    """Train a generator and a discriminator. The same command again goes on where it stopped.

    Parameters
    ----------
    out
        The run's folder: a new one, or that of the same training to go on with.
    until_good
        Stop at the epoch whose samples a guide reads as surely as real images.
    """
    load_torch(threads)
    from pocketgan.verbs.train import train as train_pair

    chosen = recipe_options(options, data, until_good)
    train_pair(
        recipe,
        out=out,
        device=device,
        tensorboard=tensorboard,
        quiet=quiet,
        on_trouble=on_trouble,
        inexact=inexact,
        **chosen,
    )
    print(out)
