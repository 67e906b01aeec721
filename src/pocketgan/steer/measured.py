"""What the judge measured of a fitted method, kept in the folder of the fit, which a new fit replaces."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import check_version, read_json, write_json
from pocketgan.steer.stored import FOLDER

FORMAT_VERSION = 1
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
    content = {"format_version": FORMAT_VERSION, **figures.model_dump()}
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
    check_version(path, content, FORMAT_VERSION)
    try:
        return Figures.model_validate({name: value for name, value in content.items() if name != "format_version"})
    except ValidationError as error:
        raise PocketganError(f"{path}, {complaint(error)}; it was changed by hand, measure it again") from error
