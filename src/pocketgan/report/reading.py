"""A run and a scorecard, as a report shows them. What is missing is None; what is damaged is an error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pocketgan.core.errors import UsageError
from pocketgan.core.files import check_version, read_json
from pocketgan.recipes import Recipe
from pocketgan.runs.facts import ClassifierFile, EpochEvent, PairFile, Record, Scores, Summary, Timing, checked
from pocketgan.runs.folder import FORMAT_VERSION, MODEL_FILE, RunFolder
from pocketgan.scorecard.card import CARD, Scorecard, read_card

CARD_PICTURES = ("best", "worst", "unreal", "uncovered", "closest")  # of a scorecard's folder, as PNG
MAP_FILE = "map.json"

Point = tuple[float, float, int]  # x, y, and the class that the judge reads


class FeatureMap(Record):
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

    folder: RunFolder
    recipe: Recipe
    recipe_text: str
    model: PairFile
    classifier: ClassifierFile | None
    scores: Scores | None
    scorecard: CardFolder | None
    losses: list[EpochEvent]
    train_seconds: float | None
    images_per_second: float | None
    peak_memory_mb: float | None
    samples: dict[int, Path]  # epoch to its picture, in order
    grid: Path | None


def read_run(folder: RunFolder) -> Run:
    """Read a run folder.

    Raises
    ------
    UsageError
        It is no run that ended: the recipe or the model is missing.
    PocketganError
        A file is damaged, or a newer version wrote it.
    """
    model = folder.model_facts() if folder.is_begun else None
    if model is None:
        needed = folder.model / MODEL_FILE if folder.is_begun else folder.recipe_file
        missing = needed.relative_to(folder.path)
        raise UsageError(f"{folder} is no finished run: {missing} is missing; give a folder made by 'pocketgan run'")
    summary, timings = folder.summary() or Summary(), folder.timings()
    last = timings[-1] if timings else Timing()
    return Run(
        folder=folder,
        recipe=folder.recipe(),
        recipe_text=folder.recipe_file.read_text(encoding="utf-8").strip(),
        model=model,
        classifier=folder.classifier_facts(),
        scores=folder.scores(),
        scorecard=read_card_folder(folder.scorecard),
        losses=[event for event in folder.events() if isinstance(event, EpochEvent)],
        train_seconds=summary.train_seconds or last.seconds,
        images_per_second=summary.images_per_second or last.images_per_second,
        peak_memory_mb=summary.peak_memory_mb,
        samples=folder.sample_files(),
        grid=folder.grid if folder.grid.is_file() else None,
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
        map=_feature_map(folder / MAP_FILE),
        pictures={name: path for name, path in found.items() if path.is_file()},
    )


def _feature_map(path: Path) -> FeatureMap | None:
    if not path.is_file():
        return None
    content = read_json(path)
    check_version(path, content, FORMAT_VERSION)
    return checked(FeatureMap, content, path)
