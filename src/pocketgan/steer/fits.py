"""The methods by name, their fits in a model's folder (safetensors and JSON, no code), and what was measured of each.

To add a method, write a class that is a `Steerer` and a row of `METHODS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError, UsageError, nearest
from pocketgan.core.files import check_version, read_json, sha256, whole_folder, write_bytes, write_json
from pocketgan.models.saved import weights_digest
from pocketgan.steer import WIDTH
from pocketgan.steer.bank import Bank
from pocketgan.steer.directions import Directions, Predictor
from pocketgan.steer.energy import Energy
from pocketgan.steer.flow import SiftedFlow
from pocketgan.steer.guides import FOLDER, Frozen
from pocketgan.steer.method import Method, Steerer
from pocketgan.steer.search import Search

# The best first.
METHODS: dict[str, Method] = {
    "flow": Method(SiftedFlow, "a normalising flow, sifted by a network that reads latents"),
    "bank": Method(Bank, "latents that the guide accepted, each given once", finite=True),
    "energy": Method(Energy, "Langevin walks on the energy of a network that reads latents"),
    "search": Method(Search, "gradient steps through generator and guide, on the prior's shell", asks_guide=True),
    "directions": Method(Directions, "linear directions of classes, slant, thickness and width"),
    "lcp": Method(Predictor, "one-hot class to latent by squared error: one latent a class"),
}


def method_of(name: str) -> Method:
    """The row with this name.

    Raises
    ------
    UsageError
        There is none.
    """
    if name not in METHODS:
        raise UsageError(f"--method {name} is unknown{nearest(name, METHODS)}")
    return METHODS[name]


FORMAT_VERSION = 1
ABOUT, WEIGHTS = "steer.json", "steer.safetensors"


class FitFacts(BaseModel):
    """What is known of a fit.

    Attributes
    ----------
    method, seed, latents, steps, width
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
    width: int = WIDTH
    kept: list[int]
    made: list[int]
    collect_seconds: float
    fit_seconds: float
    generator: str
    guide: str


class Fitted(NamedTuple):
    """A steerer with the facts of its fit."""

    steerer: Steerer
    facts: FitFacts


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
        facts = FitFacts.model_validate(content.get("facts"))
    except ValidationError as error:
        raise PocketganError(f"{path}: {complaint(error)}; fit it again with pocketgan steer fit") from error
    if facts.generator != weights_digest(frozen.generator):
        raise PocketganError(f"{path} was fitted to another generator; fit it again with pocketgan steer fit")
    if not weights.is_file() or sha256(weights) != content.get("sha256"):
        raise PocketganError(f"{weights} is missing or damaged: its sha256 is not that of {ABOUT}; fit it again")
    try:
        steerer = method_of(facts.method).steerer.rebuild(frozen, load_file(weights), content["settings"])
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise PocketganError(f"{weights} does not fit its {ABOUT} ({str(error).splitlines()[0]})") from error
    return Fitted(steerer, facts)


MEASURED_VERSION = 1
MEASURED = "measured.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassFigures(_Record):
    """One class: the share of its images that the judge reads as it, and the coverage of its real images.

    `bank_coverage` is the bank's coverage of the same images.
    """

    name: str
    count: int
    hit: float
    coverage: float
    bank_coverage: float


class Figures(_Record):
    """What is measured of one method on one generator; shares are fractions, times are of the CPU.

    Attributes
    ----------
    generator, method, judge
        Who was measured, and by which version.
    count
        Images in all.
    hit, worst, worst_class
        Share that the judge reads as asked; in the worst class.
    readable, readable_hit
        Share of the images that the judge is sure of, and hits among them; None where there are none.
    checked_hit
        Hits when images that the guide reads as another class are drawn once more.
    agreement
        Share that guide and judge read as the same.
    coverage, recall
        Of the real images, within the classes.
    bank_coverage
        Coverage of the bank's images, within the classes.
    norm, distance
        Of the latents to the bank's, as in `metrics.steering`.
    latent_ms, image_ms, fit_seconds, collect_seconds
        What it costs.
    classes
        Each class by itself.
    """

    generator: str
    method: str
    judge: str
    count: int
    hit: float
    worst: float
    worst_class: str
    readable: float
    readable_hit: float | None
    checked_hit: float
    agreement: float
    coverage: float
    recall: float
    bank_coverage: float
    norm: float
    distance: float
    latent_ms: float
    image_ms: float
    fit_seconds: float
    collect_seconds: float
    classes: list[ClassFigures]


def save_figures(folder: Path, figures: Figures) -> None:
    """Put the figures of a method into its fit in a model's folder."""
    content = {"format_version": MEASURED_VERSION, **figures.model_dump()}
    write_json(folder / FOLDER / figures.method / MEASURED, content)


def read_figures(folder: Path, method: str) -> Figures | None:
    """What was measured of a fit in a model's folder; None where nothing was.

    Raises
    ------
    PocketganError
        The file is damaged, or a newer version wrote it.
    """
    path = folder / FOLDER / method / MEASURED
    if not path.is_file():
        return None
    content = read_json(path)
    check_version(path, content, MEASURED_VERSION)
    try:
        return Figures.model_validate({name: value for name, value in content.items() if name != "format_version"})
    except ValidationError as error:
        raise PocketganError(f"{path}, {complaint(error)}; it was changed by hand, measure it again") from error
