"""`docs/results.md` from stored runs, and the small form in which a run is stored."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketgan.core.errors import UsageError
from pocketgan.core.files import read_json, whole_folder, write_text
from pocketgan.model import Model
from pocketgan.recipes import CLASSIFIER_PRESETS, GAN_PRESETS
from pocketgan.saved import holds

KEPT_FILES = ("scores.json", "summary.json", "events.jsonl", "timings.jsonl", "grid.png")

ORIGINALS = {  # what the five systems' authors report; a dash where they give no figure
    "mlp": ("A", "no figures"),
    "mlp-bn": ("B", "S1 18.00 % of 100"),
    "dcgan": ("C", "100 fakes read as 9 10 9 13 12 6 11 10 10 10"),
    "mlp-deep": ("D", "no figures"),
    "dcgan-rotate": ("E", "no figures"),
    "pocket": ("ours", ""),
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
            model.generator.half()
            model.discriminator = None
            model.save(beside / "model")
        for name in KEPT_FILES:
            if (run / name).exists():
                shutil.copyfile(run / name, beside / name)
    return target


def write_results(folders: Sequence[Path], out: Path) -> Path:
    """Write the table of stored runs and classifiers as Markdown, with each run's grid beside it.

    Parameters
    ----------
    folders
        Runs (whole or kept) and classifiers' folders, in any order.
    out
        The Markdown file; pictures go into a folder of the same name.

    Raises
    ------
    UsageError
        A folder is neither.
    """
    runs, classifiers = [], []
    for folder in folders:
        if (folder / "summary.json").exists():
            runs.append((folder, read_json(folder / "summary.json"), read_json(folder / "scores.json")))
        elif holds(folder, "classifier"):
            classifiers.append(read_json(folder / "model.json"))
        else:
            raise UsageError(f"{folder} is neither a scored run nor a classifier")
    order = list(GAN_PRESETS)
    runs.sort(key=lambda run: (order.index(run[1]["recipe"]), run[1]["seed"]))
    pictures = out.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    lines = [
        HEAD,
        "## Generators",
        "",
        *_run_rows(runs),
        "",
        NOTES,
        "## Label counts of the 100 fakes, as C reads them",
        "",
    ]
    lines += [*_label_rows(runs), "", "## Classifiers", "", *_classifier_rows(classifiers), "", CLASSIFIER_NOTE]
    lines += ["## What they draw", ""]
    for folder, summary, _ in runs:
        name = f"{summary['recipe']}-{summary['seed']}"
        shutil.copyfile(folder / "grid.png", pictures / f"{name}.png")
        lines += [f"### {summary['recipe']}, seed {summary['seed']}", ""]
        lines += [f"![100 fakes of {name}]({pictures.name}/{name}.png)", ""]
    write_text(out, "\n".join(lines).rstrip() + "\n")
    return out


HEAD = """# Results

Every recipe trained on MNIST's 60,000 training images, two seeds each, and what the five original systems report. Made
by `pocketgan bench results`, from the runs stored in `zoo/`; nothing is typed by hand.
"""

NOTES = """S1 is the error of the classifier C (recipe `cnn`) on generated images. Its labels are those asked for
(`pocket`) or those that the shipped guide, another network, reads (the unconditional recipes): there S1 counts how often
two classifiers disagree, which unreadable images bring about. Intervals are Wilson's, 95 %. Times were measured while
the machine, two cores of an Intel Xeon with AMX, also did other work.
"""

CLASSIFIER_NOTE = """Errors are counted once, after the last epoch, on all 10,000 test images with their own labels, so
that error and accuracy add up to 100 %. (One original reports S0 as 0.00 % beside a test accuracy of 98.98 %; both
cannot hold for one classifier on the same images.)
"""


def _run_rows(runs: Sequence[tuple[Path, dict[str, Any], dict[str, Any]]]) -> list[str]:
    rows = [
        "| recipe | seed | epochs | S1 of 100 | S1 of 10,000 (95 %) | labels | minutes | images/s | original |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for _, summary, scores in runs:
        original, reported = ORIGINALS[summary["recipe"]]
        many = scores["s1_10k"]
        epochs = summary["nimg"] / 60_000
        rows.append(
            f"| `{summary['recipe']}` ({original}) | {summary['seed']} | {epochs:.0f} | {summary['s1_error']:.1%} "
            f"| {many['error']:.2%} ({many['low']:.2%} to {many['high']:.2%}) | {many['labels_from']} "
            f"| {summary['train_seconds'] / 60:.1f} | {summary['images_per_second']:,.0f} | {reported} |"
        )
    return rows


def _label_rows(runs: Sequence[tuple[Path, dict[str, Any], dict[str, Any]]]) -> list[str]:
    rows = ["| recipe | seed | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |", "|---|---|" + "---|" * 10]
    rows.append("| original C | | 9 | 10 | 9 | 13 | 12 | 6 | 11 | 10 | 10 | 10 |")
    for _, summary, scores in runs:
        counts = " | ".join(map(str, scores["label_counts"]))
        rows.append(f"| `{summary['recipe']}` | {summary['seed']} | {counts} |")
    return rows


def _classifier_rows(classifiers: Sequence[dict[str, Any]]) -> list[str]:
    rows = [
        "| classifier | seed | test accuracy | errors | seconds | original reports |",
        "|---|---|---|---|---|---|",
    ]
    order = list(CLASSIFIER_PRESETS)
    for about in sorted(classifiers, key=lambda one: (order.index(one["recipe"]["name"]), one["recipe"]["seed"])):
        name, test = about["recipe"]["name"], about["test"]
        original, reported = CLASSIFIER_ORIGINALS[name]
        rows.append(
            f"| `{name}` ({original}) | {about['recipe']['seed']} | {1 - test['error']:.2%} | {test['errors']} "
            f"| {about['train_seconds']:.0f} | {reported} |"
        )
    return rows
