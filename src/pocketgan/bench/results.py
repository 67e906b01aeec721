"""`docs/results.md` from stored runs, and the small form in which a run is stored."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pocketgan.core.errors import UsageError
from pocketgan.core.files import read_json, whole_folder, write_bytes, write_text
from pocketgan.models.model import Model
from pocketgan.models.saved import holds, model_folder
from pocketgan.recipes import CLASSIFIER_PRESETS, GAN_PRESETS
from pocketgan.runs.events import read_events

KEPT_FILES = ("scores.json", "summary.json", "events.jsonl", "timings.jsonl", "grid.png", "scorecard/scorecard.json")

ORIGINALS = {  # by recipe: the original's letter, and what its author reports
    "mlp": ("A", "no figures"),
    "mlp-bn": ("B", "S1 18.00 % of 100"),
    "dcgan": ("C", "100 fakes read as 9 10 9 13 12 6 11 10 10 10"),
    "mlp-deep": ("D", "no figures"),
    "dcgan-rotate": ("E", "no figures"),
}
CLASSIFIER_ORIGINALS = {
    "cnn": ("A", "no figure"),
    "mlp": ("B", "98.98 % (and S0 as 0.00 %)"),
    "cnn-dense": ("C", "98.76 %"),
    "linear-224": ("D", "no figure"),
}


def keep(run: Path, target: Path, *, generator: bool = True) -> Path:
    """Store a finished run in small: scores, events, grid and, in half precision, the generator.

    Raises
    ------
    UsageError
        The run was not scored.
    """
    if not (run / "summary.json").exists():
        raise UsageError(f"{run} has no summary.json; finish it with pocketgan run --out {run}")
    with whole_folder(target) as beside:
        if generator:
            model = Model.load(run)
            facts = {**model.facts, "stored_precision": "half"}
            names, folder = model.class_names, model.folder
            small = Model(model.generator.half(), None, model.recipe, model.shape, names, facts, folder)
            small.save(beside / "model")
        for name in KEPT_FILES:
            if (run / name).exists():
                (beside / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(run / name, beside / name)
    return target


class StoredRun(NamedTuple):
    """A scored run, as its folder tells it."""

    folder: Path
    summary: dict[str, Any]
    scores: dict[str, Any]
    epochs: float

    @property
    def name(self) -> str:
        return f"{self.summary['recipe']}-{self.summary['seed']}"


def write_results(folders: Sequence[Path], out: Path) -> Path:
    """Write the table of stored runs and classifiers as Markdown, with each run's grid beside it.

    Parameters
    ----------
    folders
        Scored runs (whole or kept) and classifiers' folders, in any order.
    out
        The Markdown file; pictures go into a folder of the same name.

    Raises
    ------
    UsageError
        A folder is neither, its images have no labels and so no S1, or two are of one recipe and seed.
    """
    runs, classifiers = [], []
    for folder in folders:
        if (folder / "summary.json").exists():
            runs.append(_stored_run(folder))
        elif holds(folder, "classifier"):
            classifiers.append(read_json(model_folder(folder, "classifier") / "model.json"))
        else:
            raise UsageError(f"{folder} is neither a scored run nor a classifier")
    for run in runs:
        same = [str(other.folder) for other in runs if other.name == run.name]
        if len(same) > 1:
            raise UsageError(
                f"{' and '.join(same)} are both of {run.name}, and their pictures would be; give one of them"
            )
    runs.sort(key=lambda run: (_place(run.summary["recipe"], GAN_PRESETS), run.summary["seed"]))
    lines = [HEAD, "## Generators", "", *_run_rows(runs), "", NOTES]
    lines += ["## Label counts of the 100 fakes, as C reads them", "", *_label_rows(runs), ""]
    lines += ["## Classifiers", "", *_classifier_rows(classifiers), "", CLASSIFIER_NOTE]
    lines += ["## What they draw", "", "All 100 fakes of each run, none left out.", ""]
    for run in runs:
        picture = out.with_suffix("") / f"{run.name}.png"
        write_bytes(picture, (run.folder / "grid.png").read_bytes())
        lines += [f"### {run.summary['recipe']}, seed {run.summary['seed']}", ""]
        lines += [f"![100 fakes of {run.name}]({picture.parent.name}/{picture.name})", ""]
    write_text(out, "\n".join(lines).rstrip() + "\n")
    return out


HEAD = """# Results

The recipes, trained on MNIST, and what the five original systems report. `pocketgan bench results` makes this page from
stored runs (`zoo/`) and classifiers.
"""

NOTES = """S1 is the error of the classifier C on generated images. Its labels are those asked for (conditional
recipes), or those that the guide, another network, reads (unconditional ones): there S1 counts how often two
classifiers disagree, which unreadable images bring about. In brackets: Wilson's 95 % interval. Minutes are of training
alone, on as many threads as the column says, mostly beside other work on the machine: speeds are a lower bound.
"""

CLASSIFIER_NOTE = """Errors are counted once, after the last epoch, on all test images with their own labels, so that
error and accuracy add up to 100 %. (One original reports S0 as 0.00 % beside a test accuracy of 98.98 %; both cannot
hold for one classifier on the same images.)
"""


def _stored_run(folder: Path) -> StoredRun:
    summary, scores = read_json(folder / "summary.json"), read_json(folder / "scores.json")
    if "s1_10k" not in scores or "s1" not in scores:
        raise UsageError(f"{folder} has no S1: its images have no labels")
    start = next((event for event in read_events(folder / "events.jsonl") if event.get("event") == "start"), None)
    if start is None:
        raise UsageError(f"{folder} has no events.jsonl that tells how many images it learned from")
    return StoredRun(folder, summary, scores, summary["nimg"] / start["images"])


def _place(name: str, presets: Mapping[str, Any]) -> int:
    """Presets in the order of their table, others after them."""
    return list(presets).index(name) if name in presets else len(presets)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _table(*headings: str) -> list[str]:
    return [_row(*headings), "|" + "---|" * len(headings)]


def _share(rate: dict[str, Any]) -> str:
    return f"{rate['error']:.2%} ({rate['low']:.2%} to {rate['high']:.2%})"


def _run_rows(runs: Sequence[StoredRun]) -> list[str]:
    columns = ("recipe", "seed", "epochs", "S1 of 100", "S1 of 10,000", "labels", "minutes", "images/s", "threads")
    rows = _table(*columns, "its author reports")
    for run in runs:
        summary, scores = run.summary, run.scores
        letter, reported = ORIGINALS.get(summary["recipe"], ("", ""))
        shares = _share(scores["s1"]), _share(scores["s1_10k"]), scores["s1_10k"]["labels_from"]
        speed = f"{summary['train_seconds'] / 60:.1f}", f"{summary['images_per_second']:,.0f}", summary["threads"]
        name = f"`{summary['recipe']}`" + (f" ({letter})" if letter else "")
        rows.append(_row(name, summary["seed"], _epochs(run), *shares, *speed, reported))
    return rows


def _epochs(run: StoredRun) -> str:
    """As many as it was trained for, and the preset's where those are more."""
    preset = GAN_PRESETS.get(run.summary["recipe"])
    asked = preset.recipe.schedule.epochs if preset else None  # type: ignore[union-attr]
    return f"{run.epochs:.0f}" + (f" of {asked:.0f}" if asked and round(run.epochs) < asked else "")


def _label_rows(runs: Sequence[StoredRun]) -> list[str]:
    classes = max((len(run.scores["label_counts"]) for run in runs), default=0)
    rows = _table("recipe", "seed", *map(str, range(classes)))
    return rows + [_row(f"`{run.summary['recipe']}`", run.summary["seed"], *run.scores["label_counts"]) for run in runs]


def _classifier_rows(classifiers: Sequence[dict[str, Any]]) -> list[str]:
    rows = _table("classifier", "seed", "accuracy", "error", "errors", "seconds", "its author reports")
    for about in sorted(
        classifiers, key=lambda one: (_place(one["recipe"]["name"], CLASSIFIER_PRESETS), one["recipe"]["seed"])
    ):
        name, test = about["recipe"]["name"], about["test"]
        letter, reported = CLASSIFIER_ORIGINALS.get(name, ("", ""))
        shown = f"`{name}`" + (f" ({letter})" if letter else "")
        figures = f"{1 - test['error']:.2%}", _share(test), f"{test['errors']} of {test['count']:,}"
        rows.append(_row(shown, about["recipe"]["seed"], *figures, f"{about['train_seconds']:.0f}", reported))
    return rows
