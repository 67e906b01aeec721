"""`bench speedrun`: how good a recipe gets in how many seconds of training, over several seeds that nobody picked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from pocketgan.api import evaluate, train
from pocketgan.core.errors import UsageError
from pocketgan.core.files import write_json, write_text
from pocketgan.core.terminal import Display
from pocketgan.models.model import Model
from pocketgan.recipes import Recipe, gan_recipe
from pocketgan.runs.folder import RunFolder
from pocketgan.scorecard.card import CARD, Scorecard, read_card

FORMAT_VERSION = 1
LEARNS_FROM = {"test": "train", "val": "fit"}  # the training images that leave the scored ones out
COLUMNS = {  # of the table: metric, heading
    "tstr": "tstr",
    "label_error": "label error",
    "fd_judge": "fd over its floor",
    "coverage": "coverage over real",
    "label_kl": "label KL",
    "copy_share": "copy share",
}


class SeedResult(NamedTuple):
    """One seed's training and scorecard."""

    seed: int
    nimg: int
    seconds: float
    card: Scorecard

    def value(self, metric: str) -> float | None:
        """A metric's value; over its floor's for `fd_judge` and `coverage`."""
        score = self.card.score(metric)
        if score is None:
            return None
        return score.value / score.floor.value if metric in ("fd_judge", "coverage") else score.value


def speedrun(
    recipe: str | Recipe, seeds: Sequence[int], out: Path, *, split: str, display: Display, **options: Any
) -> list[SeedResult]:
    """Train a recipe once for each seed, score each model with `tstr`, and write `speedrun.json` and `speedrun.md`.

    What `out` holds already is kept, so that a run that was stopped goes on.

    Parameters
    ----------
    recipe, options
        As in `pocketgan.train`.
    seeds
        Of the trainings.
    out
        A folder; each seed has one in it.
    split
        ``test``, for a frozen recipe, or ``val`` for research: then the training leaves it out.
    display
        Where progress is shown.
    """
    if split not in LEARNS_FROM:
        raise UsageError(f"--split {split} must be test or val")
    entries = []
    for seed in seeds:
        wanted = gan_recipe(recipe, options)
        display.line(f"{wanted.name}, seed {seed}")
        entries.append(scored_seed(wanted, seed, out / f"seed-{seed}", split=split, display=display))
    rows = [{"seed": e.seed, "nimg": e.nimg, "seconds": e.seconds, **_values(e)} for e in entries]
    made_with = Model.load(out / f"seed-{entries[-1].seed}").facts.made_with.as_json()
    content = {"format_version": FORMAT_VERSION, "recipe": wanted.name, "split": split, "made_with": made_with}
    write_json(out / "speedrun.json", {**content, "runs": rows})
    write_text(out / "speedrun.md", _markdown(wanted.name, entries, made_with))
    return entries


def scored_seed(recipe: Recipe, seed: int, run: Path, *, split: str, display: Display) -> SeedResult:
    """Train a recipe with another seed in a run's folder, or go on there, and score it once; parameters as above."""
    wanted = gan_recipe(recipe, {"seed": seed, "split": LEARNS_FROM[split]})
    model = train(wanted, out=run, quiet=display.quiet)
    return SeedResult(seed, model.facts.nimg, _seconds(RunFolder(run)), _card(model, run, split, seed, display))


def _seconds(run: RunFolder) -> float:
    timings = run.timings()
    return (timings[-1].seconds or 0.0) if timings else 0.0


def _card(model: Model, run: Path, split: str, seed: int, display: Display) -> Scorecard:
    folder = run / f"scorecard-{split}"
    if (folder / CARD).is_file():
        return read_card(folder / CARD)
    labelled = model.conditional  # only labelled fakes can teach a classifier
    return evaluate(model, split=split, seed=seed, tstr=labelled, out=folder, quiet=display.quiet)


def _values(entry: SeedResult) -> dict[str, float | None]:
    return {metric: entry.value(metric) for metric in COLUMNS}


def _markdown(name: str, entries: Sequence[SeedResult], made_with: dict[str, Any]) -> str:
    card = entries[0].card
    versions = ", ".join(f"{key} {value}" for key, value in made_with.items())
    lines = [
        f"`{name}`, against {card.reference.name}, judge {card.judge['version']}; {versions}.",
        "",
        "| seed | images shown | seconds | " + " | ".join(COLUMNS.values()) + " |",
        "|---|---:|---:|" + "---:|" * len(COLUMNS),
        *(
            f"| {e.seed} | {e.nimg:,} | {e.seconds:,.0f} | {' | '.join(_shown(m, e.value(m)) for m in COLUMNS)} |"
            for e in entries
        ),
    ]
    if len(entries) > 1:
        cells = [_spread(metric, [entry.value(metric) for entry in entries]) for metric in COLUMNS]
        seconds = [entry.seconds for entry in entries]
        lines.append(f"| mean (sd) | | {mean(seconds):,.0f} ({stdev(seconds):,.0f}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(metric: str, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{_shown(metric, mean(known))} ({_shown(metric, stdev(known))})" if len(known) == len(values) else ""


def _shown(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    if metric in ("tstr", "label_error", "copy_share", "coverage"):
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if metric == "label_kl" else f"{value:.2f}"
