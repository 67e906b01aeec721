"""A run folder as typed facts. What is missing is None or empty; what is damaged is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import check_version, read_json
from pocketgan.recipes import Recipe, read_recipe
from pocketgan.runs.events import read_events
from pocketgan.scorecard.card import CARD, Scorecard, read_card

FORMAT_VERSION = 1  # of scores.json and model.json
NEEDED = ("recipe.toml", "model/model.json")
CARD_PICTURES = ("best", "worst", "unreal", "uncovered", "closest")  # of a scorecard's folder, as PNG

Point = tuple[float, float, int]  # x, y, and the class that the judge reads


class Part(BaseModel):
    """A file, or a part of one. Fields that the report does not show are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Share(Part):
    """How many of `count` images were read wrongly; the interval is Wilson's, of 95%."""

    errors: int
    count: int
    error: float  # a fraction, as are the two ends
    low: float
    high: float
    classifier: str = ""
    data: str = ""
    labels_from: str = ""


class Unsure(Part):
    """One fake that C is not sure of."""

    file: str  # from the run folder
    label: int | None = None
    read_as: int
    confidence: float  # of C in what it reads, a fraction


class Scores(Part):
    """`scores.json`."""

    s0: Share | None = None
    s1: Share | None = None
    s1_10k: Share | None = None
    label_counts: list[int] | None = None
    label_counts_10k: list[int] | None = None
    confusion: list[list[int]] | None = None
    confusion_real: list[list[int]] | None = None
    least_sure: list[Unsure] | None = None


class DataFacts(Part):
    """What a model keeps of the images it learned from."""

    name: str = "unknown images"
    split: str = "all"
    count: int = 0
    digest: str = ""
    provenance: dict[str, str] = {}


class ModelFacts(Part):
    """`model/model.json`."""

    shape: tuple[int, int, int]  # channels, height, width
    class_names: tuple[str, ...] = ()
    nimg: int = 0
    weights: str = "live"  # or "ema"
    parameters: dict[str, int] = {}
    data: DataFacts = DataFacts()
    made_with: dict[str, str | int] = {}
    sha256: dict[str, str] = {}


class ClassifierEpoch(Part):
    """One epoch of the classifier C; the accuracy is a fraction."""

    epoch: int
    accuracy: float | None = None


class ClassifierFacts(Part):
    """`classifier/model.json`."""

    recipe: dict[str, Any] = {}
    epochs: list[ClassifierEpoch] | None = None
    test: Share | None = None  # counted once, after the last epoch


class LossEpoch(Part):
    """The mean losses of one epoch, a line of `events.jsonl`; null where a loss was no number."""

    epoch: int
    loss_d: float | None = None
    loss_g: float | None = None


class FeatureMap(Part):
    """`map.json`: real images and fakes on two axes, and the share of real images' variance that these hold."""

    share: float
    real: list[Point]
    fake: list[Point]


@dataclass(frozen=True)
class CardFolder:
    """A scorecard with what lies beside it."""

    card: Scorecard
    map: FeatureMap | None
    pictures: dict[str, Path]  # by the names of `CARD_PICTURES`


@dataclass(frozen=True)
class Run:
    """All that a report shows."""

    folder: Path
    recipe: Recipe
    recipe_text: str
    model: ModelFacts
    classifier: ClassifierFacts | None
    scores: Scores | None
    scorecard: CardFolder | None
    losses: list[LossEpoch]
    train_seconds: float | None
    images_per_second: float | None
    peak_memory_mb: float | None
    samples: dict[int, Path]  # epoch to its picture, in order
    grid: Path | None


PartT = TypeVar("PartT", bound=Part)


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    UsageError
        It is no run that ended: the recipe or the model is missing.
    PocketganError
        A file is damaged, or a newer version wrote it.
    """
    for name in NEEDED:
        if not (folder / name).is_file():
            raise UsageError(f"{folder} is no finished run: {name} is missing; give a folder made by 'pocketgan run'")
    model = _part(folder / "model/model.json", ModelFacts)
    assert model is not None
    summary = read_json(folder / "summary.json") if (folder / "summary.json").is_file() else {}
    seconds, speed = _pace(folder / "timings.jsonl")
    pictures = {
        int(match[1]): path
        for path in sorted((folder / "samples").glob("epoch-*.png"))
        if (match := re.fullmatch(r"epoch-(\d+)\.png", path.name))
    }
    grid = folder / "grid.png"
    losses = folder / "events.jsonl"
    return Run(
        folder=folder,
        recipe=read_recipe(Recipe, folder / "recipe.toml"),
        recipe_text=(folder / "recipe.toml").read_text(encoding="utf-8").strip(),
        model=model,
        classifier=_part(folder / "classifier/model.json", ClassifierFacts),
        scores=_part(folder / "scores.json", Scores),
        scorecard=read_card_folder(folder / "scorecard"),
        losses=[_checked(losses, e, LossEpoch) for e in read_events(losses) if e.get("event") == "epoch"],
        train_seconds=_number(summary, "train_seconds") or seconds,
        images_per_second=_number(summary, "images_per_second") or speed,
        peak_memory_mb=_number(summary, "peak_memory_mb"),
        samples=dict(sorted(pictures.items())),
        grid=grid if grid.is_file() else None,
    )


def read_card_folder(folder: Path) -> CardFolder | None:
    """Read a folder made by `evaluate`; None where it holds no scorecard.

    Raises
    ------
    PocketganError
        A file is damaged, or a newer version wrote it.
    """
    if not (folder / CARD).is_file():
        return None
    found = {name: folder / f"{name}.png" for name in CARD_PICTURES}
    return CardFolder(
        card=read_card(folder / CARD),
        map=_part(folder / "map.json", FeatureMap),
        pictures={name: path for name, path in found.items() if path.is_file()},
    )


def _part(path: Path, kind: type[PartT]) -> PartT | None:
    if not path.is_file():
        return None
    content = read_json(path)
    check_version(path, content, FORMAT_VERSION)
    return _checked(path, content, kind)


def _checked(path: Path, content: Any, kind: type[PartT]) -> PartT:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise PocketganError(f"{path}, {complaint(error)}; it was changed by hand, make it again") from error


def _pace(path: Path) -> tuple[float | None, float | None]:
    """Seconds of the whole training and its images per second: both are running totals in `timings.jsonl`."""
    lines = read_events(path)
    return (_number(lines[-1], "seconds"), _number(lines[-1], "images_per_second")) if lines else (None, None)


def _number(content: Any, name: str) -> float | None:
    value = content.get(name) if isinstance(content, dict) else None
    return float(value) if isinstance(value, int | float) and value > 0 else None
