"""What a training leaves in its run's folder as it goes: events, timings, sample grids, TensorBoard's curves."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.core.errors import UsageError
from pocketgan.core.files import write_bytes
from pocketgan.core.memory import peak_memory_mb
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import Samples
from pocketgan.models.model import Model
from pocketgan.recipes import Recipe
from pocketgan.runs.events import append_event
from pocketgan.training.loop import Milestone
from pocketgan.training.state import TrainState

SAMPLES = 100  # in a sample grid, always of the same latents


def log_epoch(run: Path, milestone: Milestone, seconds: float, speed: float, board: Board | None) -> None:
    """Write an epoch's losses, and R1 where it follows them, to `events.jsonl` and what it cost to `timings.jsonl`.

    Parameters
    ----------
    run
        The run's folder.
    milestone
        The epoch's end.
    seconds
        Of training since the run began.
    speed
        Images a second since then.
    board
        TensorBoard, if it is asked for.
    """
    place = {"epoch": milestone.epoch, "nimg": milestone.nimg}
    curves = {"loss_d": _finite(milestone.loss_d), "loss_g": _finite(milestone.loss_g)}
    if milestone.r1 is not None:
        curves["r1"] = milestone.r1
    append_event(run / "events.jsonl", {"event": "epoch", **place, **curves})
    cost = {"seconds": round(seconds, 3), "images_per_second": round(speed, 1), "peak_memory_mb": peak_memory_mb()}
    append_event(run / "timings.jsonl", {**place, **cost})
    if board is not None:
        board.curves(milestone.nimg, {name: value for name, value in curves.items() if value is not None})


def wants_samples(milestone: Milestone, recipe: Recipe) -> bool:
    """Whether the recipe asks for a sample grid at this epoch's end."""
    return milestone.epoch <= 5 or milestone.epoch % recipe.schedule.sample_every == 0 or milestone.finished


def draw_samples(
    run: Path, model: Model, state: TrainState, milestone: Milestone, display: Display, board: Board | None
) -> None:
    """Write a grid of samples and show it."""
    samples = samples_of(model, state, SAMPLES)
    sheet = grid(samples.images, columns=10)
    write_bytes(run / "samples" / f"epoch-{milestone.epoch:04d}.png", to_png(sheet))
    display.picture(samples.images.numpy())
    if board is not None:
        board.images(milestone.nimg, sheet.numpy())


def samples_of(model: Model, state: TrainState, count: int) -> Samples:
    """Samples of a network in training, always of the same latents."""
    model.generator.eval()
    samples = model.sample(count, seed=model.recipe.seed)
    state.generator.train()
    return samples


def timed(milestones: Iterator[Milestone]) -> Iterator[tuple[Milestone, float]]:
    """Each milestone with the seconds of training that led to it; what the caller does between is not counted."""
    while True:
        began = time.perf_counter()
        milestone = next(milestones, None)
        if milestone is None:
            return
        yield milestone, time.perf_counter() - began


def _finite(loss: float) -> float | None:
    """A loss as JSON knows it: null where it is no number."""
    return loss if math.isfinite(loss) else None


def check_installed() -> None:
    """See that the `tensorboard` extra is there.

    Raises
    ------
    UsageError
        It is not.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs the extra: pip install '.[tensorboard]' in pocketgan's source folder"
        ) from error


class Board:
    """Losses and sample grids by nimg."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def curves(self, nimg: int, values: dict[str, float]) -> None:
        """One point on each curve."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, nimg)

    def images(self, nimg: int, sheet: NDArray[np.uint8]) -> None:
        """A sample grid, uint8 ``[C, H, W]``."""
        self.writer.add_image("samples", sheet, nimg)

    def close(self) -> None:
        """Write what is still held back."""
        self.writer.close()
