"""Checkpoints: folders of safetensors and JSON, whole or absent, the newest two kept.

With data order, latents and augmentation functions of (seed, nimg), a checkpoint needs the networks, the moving
average, both optimisers, nimg, the images last found underrepresented, the growth of R1 and the losses summed since the
epoch began; from there a run goes on bit for bit.

`manifest.json` holds the sha256 of every other file and of itself, so that no flipped bit passes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pocketgan.core.config import complaint
from pocketgan.core.devices import exactness
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import check_version, read_bytes, read_json, sha256, whole_folder, write_bytes, write_text
from pocketgan.models.saved import tensors_digest
from pocketgan.training.state import TrainState, generator_push

FORMAT_VERSION = 4
KEPT = 2
TENSORS, FACTS, MANIFEST = "state.safetensors", "state.json", "manifest.json"


class DamagedError(PocketganError):
    """A checkpoint that cannot be used: the one before it is."""


class CheckpointFacts(BaseModel):
    """`state.json` of a checkpoint: what is no tensor."""

    nimg: int
    summed: int
    seconds: float
    suspicions: dict[str, int]
    armed: bool
    push: float = 1.0  # not in every checkpoint of version 4
    r1_growth: float = 1.0  # versions before 4 had none
    made_with: dict[str, str | int]


def save_checkpoint(folder: Path, state: TrainState) -> Path:
    """Write the state under `folder` (a run's ``checkpoints/``).

    Of the others only the newest, and the newest that no suspicion of the health watch touches, are kept.

    Raises
    ------
    PocketganError
        It cannot be written; the earlier ones are as they were.
    """
    target = folder / f"nimg-{state.nimg:012d}"
    if target.exists() and not _is_damaged(target):
        return target  # a function of nimg: what is there is what would be written
    facts, tensors = packed(state)
    with whole_folder(target) as beside:
        write_bytes(beside / TENSORS, save(tensors))
        write_text(beside / FACTS, facts)
        write_bytes(
            beside / MANIFEST, _manifest({name: sha256(beside / name) for name in (TENSORS, FACTS)}, FORMAT_VERSION)
        )
    kept = checkpoints(folder)[-KEPT:]
    if not any(is_good(path) for path in kept):
        kept.extend([path for path in checkpoints(folder)[:-KEPT] if is_good(path)][-1:])
    for old in checkpoints(folder):
        if old not in kept:
            shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints under `folder`, oldest first."""
    return sorted(path for path in folder.glob("nimg-*") if path.is_dir())


def newest_nimg(folder: Path) -> int:
    """The images that had been shown when the newest checkpoint was written; 0 where there is none."""
    return max((int(path.name.removeprefix("nimg-")) for path in checkpoints(folder)), default=0)


def is_good(path: Path) -> bool:
    """Whether the health watch suspected nothing when this checkpoint was written."""
    try:
        return not _facts(path).suspicions
    except PocketganError:
        return False


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
        The newest checkpoint was written by a newer version, or by other networks than the recipe's are now: to pass it
        over would lose what it holds.
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


def packed(state: TrainState) -> tuple[str, dict[str, Tensor]]:
    """All of a state: what is no tensor, as JSON, and its tensors by name, on the CPU."""
    facts = CheckpointFacts(
        nimg=state.nimg,
        summed=state.summed,
        seconds=round(state.seconds, 3),
        suspicions=state.suspicions,
        armed=state.armed,
        push=generator_push(state),
        r1_growth=state.r1_growth,
        made_with=exactness(state.device),
    )
    return facts.model_dump_json(indent=2) + "\n", _tensors(state)


def put_into(state: TrainState, facts: str, tensors: Mapping[str, Tensor]) -> None:
    """Put what `packed` gave into a fresh state of the same recipe."""
    _put(state, CheckpointFacts.model_validate_json(facts), tensors)


def state_digest(state: TrainState) -> str:
    """The sha256 of all that a training's next step depends on."""
    counters = torch.tensor([state.nimg, state.summed, state.r1_growth], dtype=torch.float64)
    return tensors_digest({**_tensors(state), "counters": counters})


def _tensors(state: TrainState) -> dict[str, Tensor]:
    tensors = {"sums": torch.tensor(state.sums, dtype=torch.float64), "underrepresented": state.underrepresented}
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
    _check(path)
    facts = _facts(path)
    try:
        _put(state, facts, load_file(path / TENSORS))
    except (SafetensorError, RuntimeError, KeyError) as error:  # its checksum is right: no damage, but other networks
        raise PocketganError(
            f"{path / TENSORS} does not fit the recipe's networks ({str(error).splitlines()[0]}); "
            "go on with the version that wrote it, or train anew in another folder"
        ) from error


def _put(state: TrainState, facts: CheckpointFacts, tensors: Mapping[str, Tensor]) -> None:
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
    state.sums = tensors["sums"].tolist()
    state.underrepresented = tensors.get("underrepresented", state.underrepresented)  # version 2 had none
    state.summed, state.nimg, state.seconds = facts.summed, facts.nimg, facts.seconds
    state.suspicions, state.armed, state.made_with = facts.suspicions, facts.armed, facts.made_with
    state.r1_growth = facts.r1_growth
    state.push = facts.push


def _manifest(sums: dict[str, str], version: int) -> bytes:
    content: dict[str, Any] = {"format_version": version, "sha256": sums}
    return (json.dumps({**content, "sha256_of_this": _own_sum(content)}, indent=2) + "\n").encode()


def _own_sum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _check(path: Path) -> None:
    """Compare every file of a checkpoint with its manifest, and the manifest with itself."""
    for name in (TENSORS, FACTS, MANIFEST):
        if not (path / name).is_file():
            raise DamagedError(f"{path / name} is missing")
    manifest = path / MANIFEST
    try:
        content = read_json(manifest)
        written = read_bytes(manifest)
    except PocketganError as error:
        raise DamagedError(str(error)) from error
    own = content.pop("sha256_of_this", None) if isinstance(content, dict) else None
    if own is None or own != _own_sum(content) or not isinstance(content.get("sha256"), dict):
        raise DamagedError(f"{manifest} is damaged: its sha256 is not the one that it holds")
    check_version(manifest, content, FORMAT_VERSION)
    for name in (TENSORS, FACTS):
        if sha256(path / name) != content["sha256"].get(name):
            raise DamagedError(f"{path / name} is damaged: its sha256 is not that of {MANIFEST}")
    if written != _manifest(content["sha256"], content["format_version"]):
        raise DamagedError(f"{manifest} is damaged: it is not as it was written")


def _is_damaged(path: Path) -> bool:
    try:
        _check(path)
    except DamagedError:
        return True
    return False


def _facts(path: Path) -> CheckpointFacts:
    try:
        return CheckpointFacts.model_validate(read_json(path / FACTS))
    except ValidationError as error:
        raise DamagedError(f"{path / FACTS}: {complaint(error)}") from error


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
