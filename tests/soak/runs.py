"""A small recipe whose training is stopped in every way, and what must be the same at its end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from pocketgan.training import listeners
from soak.children import Child, Ended, command

STEPS = 160
BATCH = 16


class Count(NamedTuple):
    """How often something was tried, and what went wrong."""

    what: str
    tried: int
    failed: list[str]


def make_data(folder: Path) -> Path:
    """640 images of 12x12 pixels, random but always the same."""
    path = folder / "data.npz"
    random = np.random.default_rng(0)
    np.savez(path, images=random.integers(0, 256, (640, 12, 12), dtype=np.uint8), labels=np.arange(640) % 4)
    return path


def words(data: Path, out: Path, *more: object) -> tuple[object, ...]:
    """The command line of the small recipe, with a moving average so that all parts of a checkpoint are there."""
    options = ("--nimg", STEPS * BATCH, "--batch-size", BATCH, "--ema-share", 0.2, "--device", "cpu")
    return ("train", "mlp", "--data", data, "--out", out, *options, *more)


def training_of(data: Path, out: Path, every: float = 0.02, *more: object) -> Callable[[], None]:
    """Work for a child: the small training, with a checkpoint `every` so many seconds."""

    def work() -> None:
        listeners.CHECKPOINT_SECONDS = every
        command(*words(data, out, *more))()

    return work


def train(data: Path, out: Path, every: float = 0.02, *more: object) -> Ended:
    """Train in a child, to the end of the training or of the child."""
    return Child(training_of(data, out, every, *more), out.with_suffix(".err")).wait()


def train_here(data: Path, out: Path) -> None:
    """Train in this process, undisturbed: all that is imported on the way need not be imported by children."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.raises(SystemExit) as end:
            command(*words(data, out, "--quiet"))()
    finally:
        torch.set_num_threads(threads)
    assert end.value.code == 0


def digest(run: Path) -> dict[str, str]:
    """The sha256 of all that must be the same bit for bit, and the names of all that lies there."""
    same = ["events.jsonl", "G.pkl", "D.pkl", "recipe.toml", "model/model.json"]
    same += [f"model/{name}.safetensors" for name in ("generator", "discriminator")]
    same += [f"samples/{path.name}" for path in sorted((run / "samples").glob("*"))]
    found = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in same}
    found["names"] = " ".join(
        sorted(str(path.relative_to(run)) for path in run.rglob("*") if "checkpoints" not in path.parts)
    )
    return found


def last_state(run: Path) -> dict[str, bytes]:
    """The newest checkpoint's tensors: the networks, the average and the optimisers."""
    newest = sorted((run / "checkpoints").iterdir())[-1]
    return {"name": newest.name.encode(), "tensors": (newest / "state.safetensors").read_bytes()}


def whole_run(folder: Path) -> tuple[Path, dict[str, str]]:
    """The data, and what the uninterrupted run ends with."""
    folder.mkdir(parents=True, exist_ok=True)
    data = make_data(folder)
    if not (folder / "whole").exists():
        train_here(data, folder / "whole")
    return data, digest(folder / "whole")


def ends_alike(run: Path, whole: dict[str, str], failed: list[str], about: str, ended: Ended) -> None:
    """Note a failure unless a resumed run ended well and as the uninterrupted one."""
    if ended.code != 0:
        failed.append(f"{about}: exit {ended.code}: {ended.err[-300:]}")
    elif (found := digest(run)) != whole:
        failed.append(f"{about}: {[name for name in whole if found.get(name) != whole[name]]} differ")
