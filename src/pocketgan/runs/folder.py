"""The folder of a run: where each of its files lies, and how it is read and written. Imports no torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import (
    alone_in,
    check_version,
    clear_errors,
    read_json,
    user_path,
    write_json,
    write_text,
)
from pocketgan.recipes import Recipe, read_recipe, write_recipe
from pocketgan.recipes.code import CODE, find_beside, write_code
from pocketgan.runs.facts import (
    BudgetEvent,
    ClassifierFile,
    Event,
    FinishEvent,
    PairFile,
    RecordT,
    Scores,
    StartEvent,
    Summary,
    Timing,
    checked,
)

FORMAT_VERSION = 1  # of scores.json, summary.json and model.json
MODEL_FILE = "model.json"  # of a model folder
MODEL, CLASSIFIER = "model", "classifier"  # model folders in a run
PLAY = "play.html"  # a page that draws with the generator
EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


class RunFolder:
    """One run on disk. Every file is whole or absent, so all can be read while the training goes on.

    Attributes
    ----------
    path
        The folder, which need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = user_path(path)
        self.recipe_file = self.path / "recipe.toml"
        self.code_file = self.path / CODE  # of a user's own networks
        self.events_file = self.path / "events.jsonl"
        self.timings_file = self.path / "timings.jsonl"
        self.live_file = self.path / ".live.json"  # while a training runs: where its live channel is
        self.samples = self.path / "samples"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.model = self.path / MODEL
        self.steering_page = self.path / "steering.html"
        self.generator_weights = self.path / "G.pkl"
        self.discriminator_weights = self.path / "D.pkl"
        self.fakes = self.path / "fakes"
        self.grid = self.path / "grid.png"
        self.guide = self.path / "guide"  # a second classifier, which labels the fakes where nothing else can
        self.classifier = self.path / CLASSIFIER
        self.classifier_weights = self.path / "C.pkl"
        self.scores_file = self.path / "scores.json"
        self.summary_file = self.path / "summary.json"
        self.scorecard = self.path / "scorecard"
        self.report = self.path / "report.html"
        self.play = self.path / PLAY

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def made_by(self, step: str) -> tuple[Path, ...]:
        """What a step of `pocketgan run` makes; the first of them tells that it was done."""
        logs = self.recipe_file, self.code_file, self.events_file, self.timings_file
        models = self.model, self.steering_page, self.generator_weights, self.discriminator_weights
        return {
            "train": (*logs, self.samples, self.checkpoints, self.tensorboard, *models),
            "generate": (self.fakes, self.grid, self.guide),
            "classify": (self.classifier, self.classifier_weights),
            "score": (self.scores_file, self.summary_file, self.scorecard),
            "report": (self.report, self.play),
        }[step]

    # ---- the training ----------------------------------------------------------------------------------------------

    @property
    def is_begun(self) -> bool:
        """Whether a training was begun here."""
        return self.recipe_file.is_file()

    @property
    def is_complete(self) -> bool:
        """Whether the training has ended, and the model is the one that it ended with."""
        model, end = self.model_facts(), self.finish()
        return model is not None and end is not None and model.nimg == end.nimg

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder for the length of the block; made if there is none. As `core.files.alone_in`."""
        with clear_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with alone_in(self.path):
            yield

    def recipe(self) -> Recipe:
        """The recipe, as it was written at the start and by later budgets."""
        recipe = read_recipe(Recipe, self.recipe_file)
        if recipe.model.networks is not None:
            find_beside(self.recipe_file, recipe.model.networks)
        return recipe

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the recipe, and first the Python file of its networks where they are a user's own."""
        write_code(self.path, recipe.model.networks)
        write_recipe(recipe, self.recipe_file)

    def events(self) -> list[Event]:
        """All that was logged so far, but for a line that is being written.

        Raises
        ------
        PocketganError
            A line is damaged.
        """
        events = []
        for number, line in _lines(self.events_file):
            try:
                events.append(EVENTS.validate_python(line))
            except ValidationError as error:
                raise PocketganError(
                    f"{self.events_file}, line {number}, {complaint(error)}; the run was changed by hand"
                ) from error
        return events

    def add_event(self, event: Event) -> None:
        """Log an event."""
        _append(self.events_file, {"event": event.event, **event.as_json()})

    def start(self) -> StartEvent | None:
        """The first event; None where there is none yet."""
        return next((event for event in self.events() if isinstance(event, StartEvent)), None)

    def finish(self) -> FinishEvent | None:
        """The event that ended the training; None where it has not ended."""
        return next((event for event in reversed(self.events()) if isinstance(event, FinishEvent)), None)

    def timings(self) -> list[Timing]:
        """What the training has cost, by epoch."""
        return [checked(Timing, line, self.timings_file) for _, line in _lines(self.timings_file)]

    def add_timing(self, timing: Timing) -> None:
        """Log what an epoch has cost."""
        _append(self.timings_file, timing.as_json())

    def cut_logs(self, nimg: int, total_nimg: int) -> None:
        """Drop what was logged after `nimg`, and an end elsewhere, so that it is logged again, once.

        A budget that was taken up later holds from `nimg` on. One that is not the recipe's, `total_nimg`, was not taken
        up: a kill came between the two.
        """
        events = [
            {**line, "nimg": min(line["nimg"], nimg)} if line.get("event") == "budget" else line
            for line in _taken_up(self.events_file, total_nimg)
        ]
        for path, lines in ((self.events_file, events), (self.timings_file, _objects(self.timings_file))):
            kept = [line for line in lines if line.get("nimg", 0) <= nimg and not _ends_elsewhere(line, nimg)]
            _write_lines(path, kept)

    def change_budget(self, budget: BudgetEvent, images: int) -> None:
        """Log another budget in place of the end, and of the figures of an epoch that the old budget cut short.

        The recipe is written after it. A kill in between leaves a run of the old budget that has not ended.

        Parameters
        ----------
        budget
            The event.
        images
            In an epoch.
        """
        for path, lines in (
            (self.timings_file, _objects(self.timings_file)),
            (self.events_file, _taken_up(self.events_file, budget.old_total_nimg)),
        ):
            kept = [line for line in lines if line.get("event") != "finish" and not _cut_short(line, images)]
            added = [{"event": budget.event, **budget.as_json()}] if path == self.events_file else []
            _write_lines(path, kept + added)

    def sample_file(self, epoch: int) -> Path:
        """Where the sample grid of an epoch lies."""
        return self.samples / f"epoch-{epoch:04d}.png"

    def sample_files(self) -> dict[int, Path]:
        """The sample grids there are, by epoch, in order."""
        found = {
            int(match[1]): path
            for path in self.samples.glob("epoch-*.png")
            if (match := re.fullmatch(r"epoch-(\d+)\.png", path.name))
        }
        return dict(sorted(found.items()))

    # ---- what comes after it ---------------------------------------------------------------------------------------

    def model_facts(self) -> PairFile | None:
        """What the model's folder says; None where there is no model yet."""
        return _read(self.model / MODEL_FILE, PairFile)

    def classifier_facts(self) -> ClassifierFile | None:
        """What the folder of C says; None where there is no C."""
        return _read(self.classifier / MODEL_FILE, ClassifierFile)

    def scores(self) -> Scores | None:
        """The errors of C; None where they were not counted."""
        return _read(self.scores_file, Scores)

    def write_scores(self, scores: Scores) -> None:
        """Write `scores.json`."""
        write_json(self.scores_file, scores.as_json())

    def summary(self) -> Summary | None:
        """The main numbers; None where there are none yet."""
        return _read(self.summary_file, Summary)

    def write_summary(self, summary: Summary) -> None:
        """Write `summary.json`."""
        write_json(self.summary_file, summary.as_json())

    def relative(self, paths: Iterable[Path]) -> list[Path]:
        """Paths of this run, as they lie from its folder."""
        return [path.relative_to(self.path) for path in paths]


def run_of_model(folder: Path) -> RunFolder | None:
    """The run that a model's folder belongs to; None where it stands alone."""
    run = RunFolder(folder.parent)
    return run if folder.name == MODEL and run.is_begun else None


def _read(path: Path, kind: type[RecordT]) -> RecordT | None:
    if not path.is_file():
        return None
    content = read_json(path)
    check_version(path, content, FORMAT_VERSION)
    return checked(kind, content, path)


def _append(path: Path, line: dict[str, Any]) -> None:
    """Add one line and sync it to disk."""
    with clear_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _objects(path: Path) -> list[dict[str, Any]]:
    return [line for _, line in _lines(path)]


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def _taken_up(path: Path, total_nimg: int) -> list[dict[str, Any]]:
    """The events without a last budget that is not the recipe's."""
    lines = _objects(path)
    budgets = [number for number, line in enumerate(lines) if line.get("event") == "budget"]
    if budgets and lines[budgets[-1]].get("total_nimg") != total_nimg:
        del lines[budgets[-1]]
    return lines


def _ends_elsewhere(line: dict[str, Any], nimg: int) -> bool:
    return line.get("event") == "finish" and line.get("nimg") != nimg


def _cut_short(line: dict[str, Any], images: int) -> bool:
    """Whether these are the figures of an epoch that ended before its last image."""
    return "epoch" in line and line.get("nimg", 0) < line["epoch"] * images


def _lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """All whole lines with their numbers; a last line that a kill cut short is left out. An absent file has none."""
    if not path.exists():
        return []
    lines = []
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise PocketganError(f"{path}, line {number} is not JSON; the run was changed by hand") from error
        if not isinstance(line, dict):
            raise PocketganError(f"{path}, line {number} is no JSON object; the run was changed by hand")
        lines.append((number, line))
    return lines
