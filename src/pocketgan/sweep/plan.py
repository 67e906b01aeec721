"""What a sweep's TOML file says, and the cells that it makes: ordinary trainings with folders and commands."""

from __future__ import annotations

import re
import tomllib
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from pocketgan.core.config import Config, complaint
from pocketgan.core.errors import UsageError
from pocketgan.core.files import read_bytes
from pocketgan.recipes import Recipe, gan_recipe

MOST_CELLS = 10_000
FIXED = ("out", "threads", "processes", "quiet", "json")  # options that the sweep itself gives


class Sweep(Config):
    """A sweep's file."""

    recipes: list[str] = Field(min_length=1, description="presets' names, or .toml files beside this one")
    seeds: list[int] = Field(default=[0], min_length=1, description="seeds of each training")
    fields: dict[str, list[Any]] = Field(default={}, description="fields of a recipe, each with the values to try")
    options: dict[str, Any] = Field(default={}, description="options of `train` that all cells share")
    threads: int = Field(default=1, ge=1, description="threads of each cell; its bytes depend on them")
    count: int = Field(default=10_000, ge=50, le=10_000, description="images of each model that are scored")
    split: str = Field(default="val", description="real images to score against: val, or test once at the end")


class Cell(NamedTuple):
    """One training of a sweep."""

    name: str  # of its folder
    setting: str  # all but the seed, as people read it
    seed: int
    train: list[str]  # the words of the command that trains it
    score: list[str]  # and of the one that scores it

    @property
    def commands(self) -> list[list[str]]:
        """Both commands, in turn."""
        return [self.train, self.score]


def read_sweep(path: Path) -> Sweep:
    """The sweep in a TOML file.

    Raises
    ------
    UsageError
        It is no such file; the line names the field.
    """
    try:
        return Sweep.model_validate(tomllib.loads(read_bytes(path, 1 << 20).decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML file ({error}); see docs/sweeps.md") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {complaint(error)}; see docs/sweeps.md") from error


def cells_of(sweep: Sweep, path: Path, out: Path) -> list[Cell]:
    """Every training of a sweep, each recipe checked before any of them begins.

    Raises
    ------
    UsageError
        A recipe, field or value is wrong, or there are more than `MOST_CELLS`.
    """
    for name in FIXED:
        if name in sweep.options:
            raise UsageError(f"{path}: option '{name}' is the sweep's own; leave it out")
    count = len(sweep.recipes) * len(sweep.seeds)
    for values in sweep.fields.values():
        count *= len(values)
    if not count or count > MOST_CELLS:
        raise UsageError(f"{path} asks for {count:,} trainings; give 1 to {MOST_CELLS:,}")
    cells = []
    for recipe in sweep.recipes:
        start = str(path.parent / recipe) if recipe.endswith(".toml") else recipe
        for tried in product(*sweep.fields.values()):
            chosen = dict(zip(sweep.fields, tried, strict=True))
            for seed in sweep.seeds:
                _check(path, start, {**sweep.options, **chosen, "seed": seed, "split": _learns_from(sweep)})
                cells.append(_cell(sweep, start, Path(recipe).stem, chosen, seed, out))
    if len({cell.name for cell in cells}) < len(cells):
        raise UsageError(f"{path} asks for one training twice; give each recipe, value and seed once")
    return cells


def _learns_from(sweep: Sweep) -> str:
    if sweep.split not in ("val", "test"):
        raise UsageError(f"field 'split': must be val or test, not {sweep.split!r}")
    return "fit" if sweep.split == "val" else "train"


def _check(path: Path, start: str, options: dict[str, Any]) -> Recipe:
    own = {"device", "inexact", "on_trouble", "tensorboard"}
    fields = {name.replace("-", "_"): value for name, value in options.items()}
    fields = {"source" if name == "data" else name: value for name, value in fields.items() if name not in own}
    try:
        return gan_recipe(start, fields)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _cell(sweep: Sweep, start: str, name: str, chosen: dict[str, Any], seed: int, out: Path) -> Cell:
    parts = [name, *(f"{field.replace('_', '-')}-{value}" for field, value in chosen.items())]
    folder = re.sub(r"[^\w.+-]+", "_", "_".join([*parts, f"seed-{seed}"]))
    options = {"on_trouble": "stop", **sweep.options, **chosen, "split": _learns_from(sweep)}
    where = str(out / folder)
    own = ["--seed", str(seed), "--out", where, "--quiet"]
    train = ["train", start, *(word for field, value in options.items() for word in _words(field, value)), *own]
    score = ["evaluate", where, "--split", sweep.split, "--count", str(sweep.count), "--out", f"{where}/scorecard"]
    setting = ", ".join([name, *(f"{field.replace('_', '-')} {value}" for field, value in chosen.items())])
    return Cell(folder, setting, seed, train, [*score, "--quiet"])


def _words(field: str, value: Any) -> list[str]:
    option = "data" if field == "source" else field.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    return [f"--{option}", str(value)]
