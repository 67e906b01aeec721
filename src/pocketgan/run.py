"""`run`: the main job, end to end, each step skippable and repeatable."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from pocketgan.classifier import Classifier, guide_for
from pocketgan.classify import learning_and_test_sets, train_classifier
from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import read_json, whole_folder, write_bytes, write_json
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.terminal import Display
from pocketgan.data.fakes import FakeSet, FakesWriter, read_fakes
from pocketgan.data.load import load_images
from pocketgan.evaluate import ErrorRate, confusion, error_rate, label_counts, least_sure, read_by
from pocketgan.generate import labelled
from pocketgan.model import Model
from pocketgan.recipes import Recipe, classifier_recipe, gan_recipe
from pocketgan.report import write_report
from pocketgan.saved import holds, save_state_dict
from pocketgan.train import train
from pocketgan.training.events import read_events

FORMAT_VERSION = 1
FAKES = 100  # the classic assignment's fake data set
MANY_FAKES = 10_000  # as many as MNIST's test images
LEAST_SURE = 10
SECOND_CLASSIFIER = {"cnn": "cnn-dense"}  # labels fakes that nothing else can; another network than C

OUTPUTS: dict[str, tuple[str, ...]] = {
    "train": ("recipe.toml", "events.jsonl", "timings.jsonl", "samples", "checkpoints", "model", "G.pkl", "D.pkl"),
    "generate": ("fakes", "grid.png"),
    "classify": ("classifier", "guide", "C.pkl"),
    "score": ("scores.json", "summary.json"),
    "report": ("report.html",),
}


def run(
    recipe: str | Recipe = "pocket",
    *,
    out: str | Path,
    classifier: str = "cnn",
    skip: Collection[str] = (),
    redo: Collection[str] = (),
    device: str = "auto",
    tensorboard: bool = False,
    quiet: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Train, generate 100 fakes with their latents, train a classifier C, count S0 and S1, write the report.

    What a folder already holds is kept: a training goes on where it was, fakes and classifier stay as they are (with a
    person's corrections of labels), scores and report are made again.

    Parameters
    ----------
    recipe, out, device, tensorboard, quiet, options
        As in `pocketgan.train`.
    classifier
        Recipe of C: ``cnn``, ``mlp``, ``cnn-dense`` or ``linear-224``, or a TOML file; or the folder of a trained one.
    skip
        Steps to leave out: ``train``, ``generate``, ``classify``, ``score``, ``report``.
    redo
        Steps whose results are thrown away and made again; ``train`` takes ``generate`` with it.

    Returns
    -------
    dict
        What `summary.json` holds.

    Raises
    ------
    UsageError
        An option is wrong, or a skipped step's results are needed and missing.
    """
    for step in (*skip, *redo):
        if step not in OUTPUTS:
            raise UsageError(f"step '{step}' is unknown{nearest(step, OUTPUTS)}")
    folder, display = Path(out), Display(quiet)
    wanted = gan_recipe(recipe, options) if isinstance(recipe, str) else recipe
    trained = Classifier.load(classifier) if holds(classifier, "classifier") else None
    same_data = {"source": wanted.data.source, "split": wanted.data.split, "seed": wanted.seed}
    learner = trained.recipe if trained is not None else classifier_recipe(classifier, same_data)
    _forget(folder, {*redo, *(["generate"] if "train" in redo else [])} - set(skip))
    if "train" not in skip:
        display.line(f"[1/5] training {wanted.name}")
        train(wanted, out=folder, device=device, tensorboard=tensorboard, quiet=quiet)
    model = Model.load(folder, device)
    if "generate" not in skip and not (folder / "fakes").exists():
        display.line(f"[2/5] generating {FAKES} fakes with their latents")
        _generate(folder, model, _reader(folder, model, learner.name, quiet))
    has_labels = load_images(wanted.data.source, wanted.data.split).labels is not None
    if not has_labels:
        display.line(f"[3/5] {wanted.data.source} has no labels: no classifier, no S0 and no S1")
    elif "classify" not in skip and not (folder / "classifier").exists():
        if trained is None:
            display.line(f"[3/5] training classifier C ({learner.name})")
            c = train_classifier(learner, out=folder / "classifier", device=device, quiet=quiet)
        else:
            display.line(f"[3/5] classifier C is {classifier}")
            c = trained
            c.save(folder / "classifier")
        save_state_dict(c.network, folder / "C.pkl")
    if "score" not in skip:
        display.line("[4/5] counting S0 and S1")
        scores = _score(folder, model, display) if has_labels else {}
        write_json(folder / "scores.json", {"format_version": FORMAT_VERSION, **scores})
        write_json(folder / "summary.json", _summary(folder, model, scores))
    if "report" not in skip:
        display.line("[5/5] writing the report")
        write_report(folder)
    summary: dict[str, Any] = read_json(folder / "summary.json") if (folder / "summary.json").exists() else {}
    return summary


def _forget(folder: Path, steps: Collection[str]) -> None:
    for step in steps:
        for name in OUTPUTS[step]:
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _reader(folder: Path, model: Model, c_name: str, quiet: bool) -> Classifier | None:
    """Who labels the fakes of an unconditional model: the shipped guide, or a second classifier trained for it."""
    if model.conditional or not model.class_names:
        return None
    guide = guide_for(model.shape, model.class_names)
    if guide is not None:
        return guide
    if not (folder / "guide").exists():
        data = model.recipe.data
        second = SECOND_CLASSIFIER.get(c_name, "cnn")
        options = {"source": data.source, "split": data.split, "seed": model.recipe.seed + 1}
        train_classifier(classifier_recipe(second, options), out=folder / "guide", quiet=quiet)
    return Classifier.load(folder / "guide")


def _generate(folder: Path, model: Model, reader: Classifier | None) -> None:
    parts = list(labelled(model.stream(FAKES, seed=model.recipe.seed), model, reader))
    with whole_folder(folder / "fakes") as beside:
        writer = FakesWriter(beside, model.recipe.model.latent_dim, FAKES)
        for part in parts:
            writer.add(part)
        writer.close()
    images = torch.cat([part.images for part in parts])
    labels = [part.labels for part in parts if part.labels is not None]
    if labels and not model.conditional:
        images = images[torch.cat(labels).argsort(stable=True)]  # class by class, where classes do not take turns
    write_bytes(folder / "grid.png", to_png(grid(images, columns=10), scale=2))


def _score(folder: Path, model: Model, display: Display) -> dict[str, Any]:
    if not (folder / "classifier").exists() or not (folder / "fakes").exists():
        raise UsageError(f"{folder} holds no classifier or no fakes to score; run it without --skip classify,generate")
    c = Classifier.load(folder)
    _, test = learning_and_test_sets(model.recipe.data.source, model.recipe.data.split)
    fakes = read_fakes(folder / "fakes")
    assert test.labels is not None
    classes = len(c.class_names)
    read_test, _ = read_by(c, test.images)
    read_fake, sure = read_by(c, fakes.images.images)
    reader, parts = _reader(folder, model, c.recipe.name, display.quiet), []
    with display.bar("reading 10,000 fakes", MANY_FAKES) as bar:
        for part in labelled(model.stream(MANY_FAKES, seed=model.recipe.seed), model, reader):
            parts.append((c.label(part.images), part.labels, part.label_source))
            bar.update(sum(len(read) for read, _, _ in parts))
    read_many = torch.cat([read for read, _, _ in parts])
    labels_many = torch.cat([labels for _, labels, _ in parts if labels is not None])
    scores: dict[str, Any] = {
        "s0": _counted(error_rate(read_test, test.labels), c, test.name, "the test set"),
        "s1_10k": _counted(error_rate(read_many, labels_many), c, f"{MANY_FAKES:,} fakes", parts[0][2]),
        "label_counts": label_counts(read_fake, classes),
        "label_counts_10k": label_counts(read_many, classes),
        "confusion_real": confusion(read_test, test.labels, classes),
        "confusion": confusion(read_many, labels_many, classes),
        "least_sure": [
            {
                "file": f"fakes/{fakes.files[row]}",
                "label": None if fakes.images.labels is None else int(fakes.images.labels[row]),
                "read_as": read,
                "confidence": confidence,
            }
            for row, read, confidence in least_sure(sure, LEAST_SURE)
        ],
    }
    if fakes.images.labels is not None:
        rate = error_rate(read_fake, fakes.images.labels)
        scores["s1"] = _counted(rate, c, f"the {len(read_fake)} fakes in fakes/", _sources(fakes))
    return scores


def _counted(rate: ErrorRate, c: Classifier, data: str, labels_from: str) -> dict[str, Any]:
    return {**rate.as_dict(), "classifier": c.recipe.name, "data": data, "labels_from": labels_from}


def _sources(fakes: FakeSet) -> str:
    """Who labelled the fakes: one word, or each with its count where a person corrected some."""
    names = sorted(set(fakes.label_source))
    if len(names) == 1:
        return names[0]
    return ", ".join(f"{name} ({fakes.label_source.count(name)})" for name in names)


def _summary(folder: Path, model: Model, scores: dict[str, Any]) -> dict[str, Any]:
    timings = read_events(folder / "timings.jsonl")
    last = timings[-1] if timings else {}
    summary: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "recipe": model.recipe.name,
        "seed": model.recipe.seed,
        "nimg": model.facts["nimg"],
        "train_seconds": last.get("seconds"),
        "images_per_second": last.get("images_per_second"),
        "peak_memory_mb": last.get("peak_memory_mb"),
        "parameters": model.facts["parameters"],
        **model.facts["made_with"],
    }
    for name in ("s0", "s1", "s1_10k"):
        if name in scores:
            key = "s1_error_10k" if name == "s1_10k" else f"{name}_error"
            summary[key] = scores[name]["error"]
            summary[key.replace("error", "interval")] = [scores[name]["low"], scores[name]["high"]]
    if scores:
        summary["s1_label_source"] = scores.get("s1", {}).get("labels_from")
        summary["s1_10k_label_source"] = scores["s1_10k"]["labels_from"]
        summary["s0_counted"] = scores["s0"]["data"]
        summary["classifier"] = scores["s0"]["classifier"]
        summary["label_counts"] = scores["label_counts"]
        summary["label_counts_10k"] = scores["label_counts_10k"]
    return summary
