"""`bench objectives`: every loss on one pair with one budget ("Are GANs created equal", Lucic et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from pocketgan.bench.speedrun import LEARNS_FROM, SeedResult, scored_seed
from pocketgan.core.errors import UsageError
from pocketgan.core.files import write_json, write_text
from pocketgan.core.terminal import Display
from pocketgan.metrics.spread import mean_interval
from pocketgan.recipes import gan_recipe
from pocketgan.scorecard.figures import shown
from pocketgan.training.trouble import TroubleError

FORMAT_VERSION = 1
COLUMNS = {  # of the table: metric, heading
    "fd_judge": "fd",
    "precision": "precision",
    "recall": "recall",
    "coverage": "coverage",
    "classes_covered": "classes",
    "copy_share": "copy share",
}


class Spread(NamedTuple):
    """A metric over seeds: its mean with the 95 % interval by Student's t, and what real images have."""

    mean: float
    low: float
    high: float
    floor: float

    @classmethod
    def of(cls, values: Sequence[float], floors: Sequence[float]) -> Spread:
        """Of one value and one floor for each seed. A single seed has no interval but its value."""
        middle, low, high = mean_interval(values) if len(values) > 1 else (values[0], values[0], values[0])
        return cls(middle, low, high, mean(floors))


class LossResult(NamedTuple):
    """One loss: what its trainings gave, and the seeds whose training the health watch stopped, with the reason."""

    loss: str
    n_critic: int
    entries: list[SeedResult]
    stopped: dict[int, str]

    def spreads(self) -> dict[str, Spread]:
        """The metrics that every scorecard has."""
        found = {}
        for metric in COLUMNS:
            scores = [score for entry in self.entries if (score := entry.card.score(metric)) is not None]
            if scores and len(scores) == len(self.entries):
                values, floors = [score.value for score in scores], [score.floor.value for score in scores]
                found[metric] = Spread.of(values, floors)
        return found


def objectives(
    losses: Sequence[str], recipe: str, seeds: Sequence[int], out: Path, *, split: str, display: Display, **options: Any
) -> list[LossResult]:
    """Train a pair by each loss, each with its paper's numbers, for each seed, score, and write a page and JSON.

    What `out` holds already is kept, so that what was stopped goes on.

    Parameters
    ----------
    losses
        Their names.
    recipe, options
        As in `pocketgan.train`; options stand over every loss's own numbers.
    seeds
        Of the trainings.
    out
        A folder; each loss has one in it, with one for each seed.
    split
        As in `pocketgan.bench.speedrun`.
    display
        Where progress is shown.
    """
    if split not in LEARNS_FROM:
        raise UsageError(f"--split {split} must be test or val")
    recipes = {loss: gan_recipe(recipe, {**options, "loss": loss}) for loss in losses}
    found = []
    for loss, wanted in recipes.items():
        entries, stopped = [], {}
        for seed in seeds:
            display.line(f"{loss}, seed {seed}")
            run = out / loss / f"seed-{seed}"
            try:
                entries.append(scored_seed(wanted, seed, run, split=split, display=display))
            except TroubleError as error:
                stopped[seed] = str(error.trouble)
                display.line(f"{loss}, seed {seed}: {error.trouble}")
        found.append(LossResult(loss, wanted.objective.n_critic, entries, stopped))
    write_json(out / "objectives.json", _content(found, recipe, split))
    write_text(out / "objectives.md", _markdown(found, recipe, seeds))
    return found


def _content(found: Sequence[LossResult], recipe: str, split: str) -> dict[str, Any]:
    rows = [
        {
            "loss": result.loss,
            "n_critic": result.n_critic,
            "seeds": [entry.seed for entry in result.entries],
            "nimg": [entry.nimg for entry in result.entries],
            "seconds": [entry.seconds for entry in result.entries],
            "stopped": {str(seed): why for seed, why in result.stopped.items()},
            "metrics": {metric: spread._asdict() for metric, spread in result.spreads().items()},
        }
        for result in found
    ]
    return {"format_version": FORMAT_VERSION, "recipe": recipe, "split": split, "losses": rows}


def _markdown(found: Sequence[LossResult], recipe: str, seeds: Sequence[int]) -> str:
    lines = [
        f"# Losses on `{recipe}`",
        "",
        f"`{recipe}` trained by each loss with its paper's numbers, {len(seeds)} seeds of each.",
        "The budget counts every real image that is shown, those of a critic's extra steps too. Beside a mean stands",
        "its 95 % interval over seeds (Student's t); the first row is what as many real images have. Made by",
        "`pocketgan bench objectives`.",
    ]
    known = next((result for result in found if result.entries), None)
    if known is not None:
        card = known.entries[0].card
        lines[-1] += f" Against {card.reference.name}, judge {card.judge['version']}."
    spreads = {result.loss: result.spreads() for result in found}
    metrics = [metric for metric in COLUMNS if any(metric in one for one in spreads.values())]
    lines += [
        "",
        "| loss | images shown | generator's steps for each of the discriminator's | seconds | "
        + " | ".join(COLUMNS[metric] for metric in metrics)
        + " | stopped |",
        "|---|---:|---:|---:|" + "---:|" * len(metrics) + "---|",
        "| real images | | | | " + " | ".join(_floor(metric, spreads) for metric in metrics) + " | |",
    ]
    for result in found:
        shown_images = f"{mean(entry.nimg for entry in result.entries):,.0f}" if result.entries else ""
        seconds = f"{mean(entry.seconds for entry in result.entries):,.0f}" if result.entries else ""
        cells = [_cell(metric, spreads[result.loss], len(result.entries)) for metric in metrics]
        ended = "; ".join(f"seed {seed}: {why}" for seed, why in result.stopped.items())
        turns = "1" if result.n_critic == 1 else f"1/{result.n_critic}"
        lines.append(f"| `{result.loss}` | {shown_images} | {turns} | {seconds} | {' | '.join(cells)} | {ended} |")
    return "\n".join(lines) + "\n"


def _cell(metric: str, spreads: Mapping[str, Spread], seeds: int) -> str:
    spread = spreads.get(metric)
    if spread is None:
        return ""
    value = shown(metric, spread.mean)
    return value if seeds < 2 else f"{value} ({shown(metric, spread.low)} to {shown(metric, spread.high)})"


def _floor(metric: str, spreads: Mapping[str, Mapping[str, Spread]]) -> str:
    floors = [one[metric].floor for one in spreads.values() if metric in one]
    return shown(metric, mean(floors))
