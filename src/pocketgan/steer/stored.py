"""A fitted method with what is known of its fit, and its folder: safetensors and JSON, no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import check_version, read_json, sha256, whole_folder, write_bytes, write_json
from pocketgan.models.saved import weights_digest
from pocketgan.steer.frozen import Frozen
from pocketgan.steer.method import Steerer
from pocketgan.steer.table import METHODS, method_of

FORMAT_VERSION = 1
FOLDER = "steer"  # inside a model's folder; one folder in it for each method
ABOUT, WEIGHTS = "steer.json", "steer.safetensors"


class Facts(BaseModel):
    """What is known of a fit.

    Attributes
    ----------
    method, seed, latents, steps
        What was asked for.
    kept
        For each class, how many of the latents the guide was sure of: the exact acceptance.
    made
        The classes that can be asked for.
    collect_seconds, fit_seconds
        CPU time of collecting (whenever that was done) and of fitting.
    generator, guide
        Digests of the two networks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    seed: int
    latents: int
    steps: int
    kept: list[int]
    made: list[int]
    collect_seconds: float
    fit_seconds: float
    generator: str
    guide: str


class Fitted(NamedTuple):
    """A steerer with the facts of its fit."""

    steerer: Steerer
    facts: Facts


def kept_in(folder: Path) -> list[str]:
    """The methods whose fits lie in a model's folder, the best first."""
    return [name for name in METHODS if (folder / FOLDER / name / ABOUT).is_file()]


def save_fitted(folder: Path, fitted: Fitted) -> None:
    """Write a steerer's folder, whole."""
    with whole_folder(folder) as beside:
        tensors: dict[str, Tensor] = {name: value.contiguous() for name, value in fitted.steerer.tensors().items()}
        write_bytes(beside / WEIGHTS, save(tensors, metadata={"format_version": str(FORMAT_VERSION)}))
        content: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "facts": fitted.facts.model_dump(),
            "settings": fitted.steerer.settings(),
            "sha256": sha256(beside / WEIGHTS),
        }
        write_json(beside / ABOUT, content)


def load_fitted(folder: Path, frozen: Frozen) -> Fitted:
    """Read a steerer's folder.

    Raises
    ------
    PocketganError
        A file is missing, damaged, newer than this program, or the steerer is another generator's.
    """
    path, weights = folder / ABOUT, folder / WEIGHTS
    content = read_json(path)
    check_version(path, content, FORMAT_VERSION)
    try:
        facts = Facts.model_validate(content.get("facts"))
    except ValidationError as error:
        raise PocketganError(f"{path}: {complaint(error)}; fit it again with pocketgan steer fit") from error
    if facts.generator != weights_digest(frozen.generator):
        raise PocketganError(f"{path} was fitted to another generator; fit it again with pocketgan steer fit")
    if not weights.is_file() or sha256(weights) != content.get("sha256"):
        raise PocketganError(f"{weights} is missing or damaged: its sha256 is not that of {ABOUT}; fit it again")
    try:
        steerer = method_of(facts.method).rebuild(frozen, load_file(weights), content["settings"])
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise PocketganError(f"{weights} does not fit its {ABOUT} ({str(error).splitlines()[0]})") from error
    return Fitted(steerer, facts)
