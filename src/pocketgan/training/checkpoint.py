"""Checkpoints: folders of safetensors and JSON, whole or absent, the newest two kept.

With data order, latents and augmentation functions of (seed, nimg), a checkpoint needs the networks, the moving
average, both optimisers, nimg and the losses summed since the epoch began; from there a run goes on bit for bit.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import check_version, read_json, sha256, whole_folder, write_bytes, write_json
from pocketgan.training.state import TrainState

FORMAT_VERSION = 1
KEPT = 2


class DamagedError(PocketganError):
    """A checkpoint that cannot be used: the one before it is."""


class Manifest(BaseModel):
    """`manifest.json` of a checkpoint."""

    nimg: int
    summed: int
    seconds: float = 0.0
    sha256: dict[str, str]


def save_checkpoint(folder: Path, state: TrainState) -> Path:
    """Write the state under `folder` (a run's ``checkpoints/``) and drop all but the newest two."""
    target = folder / f"nimg-{state.nimg:012d}"
    with whole_folder(target) as beside:
        write_bytes(beside / "state.safetensors", save(_tensors(state)))
        manifest = {
            "format_version": FORMAT_VERSION,
            "nimg": state.nimg,
            "summed": state.summed,
            "seconds": round(state.seconds, 3),
            "sha256": {"state.safetensors": sha256(beside / "state.safetensors")},
        }
        write_json(beside / "manifest.json", manifest)
    for old in checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints under `folder`, oldest first."""
    return sorted(path for path in folder.glob("nimg-*") if path.is_dir())


def load_newest(folder: Path, state: TrainState) -> list[str]:
    """Put the newest whole checkpoint into a fresh `state` of the same recipe.

    Returns
    -------
    list[str]
        A line for each newer checkpoint that was passed over, with the reason. Without any whole checkpoint the state
        stays as it is, at nimg 0.

    Raises
    ------
    PocketganError
        The newest checkpoint was written by a newer version: to pass it over would lose what it holds.
    """
    skipped = []
    for path in reversed(checkpoints(folder)):
        try:
            _load(path, state)
        except DamagedError as error:
            skipped.append(str(error))
        else:
            break
    return skipped


def _tensors(state: TrainState) -> dict[str, Tensor]:
    """Every tensor of the state by name, each with memory of its own."""
    tensors = {"sums": state.sums}
    for name, network in _networks(state).items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimizer in (("optimizer_g", state.optimizer_g), ("optimizer_d", state.optimizer_d)):
        for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{name}.{index}.{key}"] = value
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _networks(state: TrainState) -> dict[str, torch.nn.Module]:
    networks: dict[str, torch.nn.Module] = {"generator": state.generator, "discriminator": state.discriminator}
    return networks if state.ema is None else {**networks, "ema": state.ema}


def _load(path: Path, state: TrainState) -> None:
    manifest = _manifest(path)
    weights = path / "state.safetensors"
    if not weights.is_file() or sha256(weights) != manifest.sha256.get(weights.name):
        raise DamagedError(f"{weights} is damaged: its sha256 is not that of manifest.json")
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise DamagedError(f"{weights} is no safetensors file ({error})") from error
    for name, network in _networks(state).items():
        network.load_state_dict(_under(tensors, f"{name}."))
    for name, optimizer in (("optimizer_g", state.optimizer_g), ("optimizer_d", state.optimizer_d)):
        for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
            moments = _under(tensors, f"{name}.{index}.")
            optimizer.state[parameter] = {
                key: value.to(parameter.device).clone(memory_format=torch.preserve_format)
                if value.ndim == 0
                else torch.empty_like(parameter).copy_(value)  # the parameter's own memory layout
                for key, value in moments.items()
            }
    state.sums.copy_(tensors["sums"])
    state.summed, state.nimg, state.seconds = manifest.summed, manifest.nimg, manifest.seconds


def _manifest(path: Path) -> Manifest:
    try:
        content = read_json(path / "manifest.json")
    except PocketganError as error:
        raise DamagedError(str(error)) from error
    check_version(path / "manifest.json", content, FORMAT_VERSION)
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise DamagedError(f"{path / 'manifest.json'}: {complaint(error)}") from error


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
