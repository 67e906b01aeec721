"""`docs/results.md` from stored runs, and the small form in which a run is stored."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pocketgan.core.errors import UsageError
from pocketgan.core.files import whole_folder, write_bytes, write_text
from pocketgan.models.model import Model
from pocketgan.models.saved import holds, model_folder, read_model_file
from pocketgan.recipes import CLASSIFIER_PRESETS, GAN_PRESETS
from pocketgan.runs.facts import ClassifierFile, Rate, Scores, Summary
from pocketgan.runs.folder import CLASSIFIER, RunFolder
from pocketgan.scorecard.card import CARD

REPORTED = {  # by recipe: what its author reports
    "mlp": "no figures",
    "mlp-bn": "S1 18.00 % of 100",
    "dcgan": "100 fakes read as 9 10 9 13 12 6 11 10 10 10",
    "mlp-deep": "no figures",
    "dcgan-rotate": "no figures",
}
CLASSIFIER_REPORTED = {
    "cnn": "no figure",
    "mlp": "98.98 % (and S0 as 0.00 %)",
    "cnn-dense": "98.76 %",
    "linear-224": "no figure",
}


def keep(folder: Path, target: Path, *, generator: bool = True) -> Path:
    """Store a finished run in small: scores, events, grid and, in half precision, the generator.

    Raises
    ------
    UsageError
        The run was not scored.
    """
    run = RunFolder(folder)
    if not run.summary_file.exists():
        raise UsageError(f"{run} has no {run.summary_file.name}; finish it with pocketgan run --out {run}")
    with whole_folder(target) as beside:
        if generator:
            model = Model.load(run.path)
            facts = model.facts.model_copy(update={"stored_precision": "half"})
            names, home = model.class_names, model.folder
            small = Model(model.generator.half(), None, model.recipe, model.shape, names, facts, home)
            small.save(RunFolder(beside).model)
        logs = run.scores_file, run.summary_file, run.events_file, run.timings_file
        for file in (*logs, run.grid, run.scorecard / CARD):
            if file.exists():
                copy = beside / file.relative_to(run.path)
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(file, copy)
    return target


class StoredRun(NamedTuple):
    """A scored run, as its folder tells it."""

    folder: RunFolder
    summary: Summary
    scores: Scores
    epochs: float

    @property
    def name(self) -> str:
        return f"{self.summary.recipe}-{self.summary.seed}"


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
        if RunFolder(folder).summary_file.exists():
            runs.append(_stored_run(RunFolder(folder)))
        elif holds(folder, CLASSIFIER):
            classifiers.append(read_model_file(model_folder(folder, CLASSIFIER), ClassifierFile))
        else:
            raise UsageError(f"{folder} is neither a scored run nor a classifier")
    for run in runs:
        same = [str(other.folder) for other in runs if other.name == run.name]
        if len(same) > 1:
            raise UsageError(
                f"{' and '.join(same)} are both of {run.name}, and their pictures would be; give one of them"
            )
    runs.sort(key=lambda run: (_place(run.summary.recipe, GAN_PRESETS), run.summary.seed))
    lines = [HEAD, "## Generators", "", *_run_rows(runs), "", NOTES]
    lines += ["## Label counts of the 100 fakes, as C reads them", "", *_label_rows(runs), ""]
    lines += ["## Classifiers", "", *_classifier_rows(classifiers), "", CLASSIFIER_NOTE]
    lines += ["## What they draw", "", "All 100 fakes of each run, none left out.", ""]
    for run in runs:
        picture = out.with_suffix("") / f"{run.name}.png"
        write_bytes(picture, run.folder.grid.read_bytes())
        lines += [f"### {run.summary.recipe}, seed {run.summary.seed}", ""]
        lines += [f"![100 fakes of {run.name}]({picture.parent.name}/{picture.name})", ""]
    write_text(out, "\n".join(lines).rstrip() + "\n")
    return out


HEAD = """# Results

The recipes, trained on MNIST, and what the authors of the five classroom projects report. `pocketgan bench results`
makes this page from stored runs (`zoo/`) and classifiers.
"""

NOTES = """S1 is the error of the classifier C on generated images. Its labels are those asked for (conditional
recipes), or those that the guide, another network, reads (unconditional ones): there S1 counts how often two
classifiers disagree, which unreadable images bring about. In brackets: Wilson's 95 % interval. Minutes are of training
alone, on as many threads as the column says, mostly beside other work on the machine: speeds are a lower bound.
"""

CLASSIFIER_NOTE = """Errors are counted once, after the last epoch, on all test images with their own labels, so that
error and accuracy add up to 100 %. (One author reports S0 as 0.00 % beside a test accuracy of 98.98 %; both cannot
hold for one classifier on the same images.)
"""


def _stored_run(folder: RunFolder) -> StoredRun:
    summary, scores, start = folder.summary(), folder.scores(), folder.start()
    if summary is None or scores is None or scores.s1_10k is None or scores.s1 is None:
        raise UsageError(f"{folder} has no S1: its images have no labels")
    if start is None:
        raise UsageError(f"{folder} has no {folder.events_file.name} that tells how many images it learned from")
    return StoredRun(folder, summary, scores, summary.nimg / start.images)


def _place(name: str, presets: Mapping[str, Any]) -> int:
    """Presets in the order of their table, others after them."""
    return list(presets).index(name) if name in presets else len(presets)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _table(*headings: str) -> list[str]:
    return [_row(*headings), "|" + "---|" * len(headings)]


def _share(rate: Rate | None) -> str:
    return "" if rate is None else f"{rate.error:.2%} ({rate.low:.2%} to {rate.high:.2%})"


def _run_rows(runs: Sequence[StoredRun]) -> list[str]:
    columns = ("recipe", "seed", "epochs", "S1 of 100", "S1 of 10,000", "labels", "minutes", "images/s", "threads")
    rows = _table(*columns, "its author reports")
    for run in runs:
        summary, scores = run.summary, run.scores
        shares = _share(scores.s1), _share(scores.s1_10k), scores.s1_10k.labels_from if scores.s1_10k else ""
        minutes, speed = (summary.train_seconds or 0) / 60, summary.images_per_second or 0
        cost = f"{minutes:.1f}", f"{speed:,.0f}", summary.made_with.threads
        reported = REPORTED.get(summary.recipe, "")
        rows.append(_row(f"`{summary.recipe}`", summary.seed, _epochs(run), *shares, *cost, reported))
    return rows


def _epochs(run: StoredRun) -> str:
    """As many as it was trained for, and the preset's where those are more."""
    preset = GAN_PRESETS.get(run.summary.recipe)
    asked = preset.recipe.schedule.epochs if preset else None
    return f"{run.epochs:.0f}" + (f" of {asked:.0f}" if asked and round(run.epochs) < asked else "")


def _label_rows(runs: Sequence[StoredRun]) -> list[str]:
    counted = [(run.summary, run.scores.label_counts or []) for run in runs]
    rows = _table("recipe", "seed", *map(str, range(max((len(counts) for _, counts in counted), default=0))))
    return rows + [_row(f"`{summary.recipe}`", summary.seed, *counts) for summary, counts in counted]


def _classifier_rows(classifiers: Sequence[ClassifierFile]) -> list[str]:
    rows = _table("classifier", "seed", "accuracy", "error", "errors", "seconds", "its author reports")
    for about in sorted(classifiers, key=lambda one: (_place(one.recipe.name, CLASSIFIER_PRESETS), one.recipe.seed)):
        name, test = about.recipe.name, about.test
        if test is None:
            raise UsageError(f"the classifier {name}, seed {about.recipe.seed}, was never tested; train it anew")
        figures = f"{1 - test.error:.2%}", _share(test), f"{test.errors} of {test.count:,}"
        reported, seconds = CLASSIFIER_REPORTED.get(name, ""), f"{about.train_seconds or 0:.0f}"
        rows.append(_row(f"`{name}`", about.recipe.seed, *figures, seconds, reported))
    return rows
