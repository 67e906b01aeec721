"""S0 and S1 of a run: a classifier's errors on real images and on fakes, with what was counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pocketgan.core.errors import PocketganError
from pocketgan.core.terminal import Display
from pocketgan.data.fakes import FakeSet, read_fakes
from pocketgan.metrics.labels import ErrorRate, confusion, error_rate, label_counts, least_sure
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.runs.events import read_events
from pocketgan.scorecard.card import Scorecard
from pocketgan.verbs.classify import learning_and_test_sets
from pocketgan.verbs.generate import labelled

FORMAT_VERSION = 1
MANY_FAKES = 10_000  # as many as MNIST's test images
LEAST_SURE = 10


def score_run(folder: Path, model: Model, c: Classifier, reader: Classifier | None, display: Display) -> dict[str, Any]:
    """Count S0, S1 and S1 on 10,000 fakes: what `scores.json` holds.

    Parameters
    ----------
    folder
        The run, with its ``fakes/`` as a person may have corrected them.
    model
        Its model.
    c
        The classifier whose errors are counted.
    reader
        Who labels the fakes of an unconditional model.
    display
        Where progress is shown.

    Raises
    ------
    PocketganError
        The fakes are damaged, or hold a label that is no class.
    """
    _, test = learning_and_test_sets(model.recipe.data.source, model.recipe.data.split)
    fakes = read_fakes(folder / "fakes")
    assert test.labels is not None, "learning_and_test_sets gives labels"
    classes = len(c.class_names)
    if fakes.images.labels is not None and int(fakes.images.labels.max()) >= classes:
        wrong = int(fakes.images.labels.max())
        raise PocketganError(f"{folder / 'fakes'} has a label {wrong}; labels run from 0 to {classes - 1}; mend it")
    read_test, sure = c.label(test.images), c.probabilities(fakes.images.images)
    read_fake, parts = sure.argmax(1), []
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
                "file": f"fakes/{fakes.images.files[row]}",
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


def summary_of(folder: Path, model: Model, scores: dict[str, Any], card: Scorecard | None) -> dict[str, Any]:
    """What `summary.json` holds: the main numbers, flat; without those that were not counted."""
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
    if card is not None:
        summary |= {name: score.value for name, score in card.metrics.items()}
        summary |= {"verdict": card.verdict, "judge": card.judge["version"]}
    if not scores:
        return summary
    for name, key in (("s0", "s0_{}"), ("s1", "s1_{}"), ("s1_10k", "s1_{}_10k")):
        rate = scores.get(name)  # no s1 where a person took all labels away
        summary[key.format("error")] = rate and rate["error"]
        summary[key.format("interval")] = rate and [rate["low"], rate["high"]]
        summary[key.format("counted")] = rate and rate["data"]
    summary["s0_counted"] = f"{scores['s0']['count']:,} real images ({scores['s0']['data']})"
    summary["s1_label_source"] = scores.get("s1", {}).get("labels_from")
    summary["s1_10k_label_source"] = scores["s1_10k"]["labels_from"]
    for name in ("label_counts", "label_counts_10k"):
        summary[name] = scores[name]
    summary["classifier"] = scores["s0"]["classifier"]
    summary["class_names"] = list(model.class_names)
    return summary
