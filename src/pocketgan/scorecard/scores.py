"""S0 and S1 of a run: a classifier's errors on real images and on fakes, with what was counted."""

from __future__ import annotations

import torch

from pocketgan.core.errors import PocketganError
from pocketgan.core.terminal import Display
from pocketgan.data.fakes import FakeSet, read_fakes
from pocketgan.metrics.labels import ErrorRate, confusion, error_rate, label_counts, least_sure
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model, labelled
from pocketgan.runs.facts import Rate, Scores, Summary, Timing, Unsure
from pocketgan.runs.folder import RunFolder
from pocketgan.scorecard.card import Scorecard
from pocketgan.training.classifiers import learning_and_test_sets

MANY_FAKES = 10_000  # as many as MNIST's test images
LEAST_SURE = 10


def score_run(run: RunFolder, model: Model, c: Classifier, reader: Classifier | None, display: Display) -> Scores:
    """Count S0, S1 and S1 on 10,000 fakes.

    Parameters
    ----------
    run
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
    _, test = learning_and_test_sets(model.recipe.data.source, model.recipe.data.split, model.recipe.data)
    fakes = read_fakes(run.fakes)
    assert test.labels is not None, "learning_and_test_sets gives labels"
    classes = len(c.class_names)
    if fakes.images.labels is not None and int(fakes.images.labels.max()) >= classes:
        wrong = int(fakes.images.labels.max())
        raise PocketganError(f"{run.fakes} has a label {wrong}; labels run from 0 to {classes - 1}; mend it")
    read_test, sure = c.label(test.images), c.probabilities(fakes.images.images)
    read_fake, parts = sure.argmax(1), []
    with display.bar("reading 10,000 fakes", MANY_FAKES) as bar:
        for part in labelled(model.stream(MANY_FAKES, seed=model.recipe.seed), model, reader):
            parts.append((c.label(part.images), part.labels, part.label_source))
            bar.update(sum(len(read) for read, _, _ in parts))
    read_many = torch.cat([read for read, _, _ in parts])
    labels_many = torch.cat([labels for _, labels, _ in parts if labels is not None])
    scores = Scores(
        s0=_counted(error_rate(read_test, test.labels), c, test.name, "the test set"),
        s1_10k=_counted(error_rate(read_many, labels_many), c, f"{MANY_FAKES:,} fakes", parts[0][2]),
        label_counts=label_counts(read_fake, classes),
        label_counts_10k=label_counts(read_many, classes),
        confusion_real=confusion(read_test, test.labels, classes),
        confusion=confusion(read_many, labels_many, classes),
        least_sure=[
            Unsure(
                file=f"{run.fakes.name}/{fakes.images.files[row]}",
                label=None if fakes.images.labels is None else int(fakes.images.labels[row]),
                read_as=read,
                confidence=confidence,
            )
            for row, read, confidence in least_sure(sure, LEAST_SURE)
        ],
    )
    if fakes.images.labels is None:
        return scores
    rate = error_rate(read_fake, fakes.images.labels)
    s1 = _counted(rate, c, f"the {len(read_fake)} fakes in {run.fakes.name}/", _sources(fakes))
    return scores.model_copy(update={"s1": s1})


def _counted(rate: ErrorRate, c: Classifier, data: str, labels_from: str) -> Rate:
    return Rate(**rate.as_dict(), classifier=c.recipe.name, data=data, labels_from=labels_from)


def _sources(fakes: FakeSet) -> str:
    """Who labelled the fakes: one word, or each with its count where a person corrected some."""
    names = sorted(set(fakes.label_source))
    if len(names) == 1:
        return names[0]
    return ", ".join(f"{name} ({fakes.label_source.count(name)})" for name in names)


def summary_of(run: RunFolder, model: Model, scores: Scores, card: Scorecard | None) -> Summary:
    """The main numbers of a run; without those that were not counted."""
    timings, facts = run.timings(), model.facts
    last = timings[-1] if timings else Timing()
    summary = Summary(
        recipe=model.recipe.name,
        seed=model.recipe.seed,
        nimg=facts.nimg,
        train_seconds=last.seconds,
        images_per_second=last.images_per_second,
        peak_memory_mb=last.peak_memory_mb,
        parameters=facts.parameters,
        made_with=facts.made_with,
    )
    if card is not None:
        figures = {name: score.value for name, score in card.metrics.items()}
        judged = {"metrics": figures, "verdict": card.verdict, "judge": card.judge["version"]}
        summary = summary.model_copy(update=judged)
    if scores.s0 is None or scores.s1_10k is None:
        return summary
    s0, s1, s1_10k = scores.s0, scores.s1, scores.s1_10k
    counted = {
        "s0_error": s0.error,
        "s0_interval": [s0.low, s0.high],
        "s0_counted": f"{s0.count:,} real images ({s0.data})",
        "s1_error": s1 and s1.error,  # no s1 where a person took all labels away
        "s1_interval": s1 and [s1.low, s1.high],
        "s1_counted": s1 and s1.data,
        "s1_error_10k": s1_10k.error,
        "s1_interval_10k": [s1_10k.low, s1_10k.high],
        "s1_counted_10k": s1_10k.data,
        "s1_label_source": s1 and s1.labels_from,
        "s1_10k_label_source": s1_10k.labels_from,
        "label_counts": scores.label_counts,
        "label_counts_10k": scores.label_counts_10k,
        "classifier": s0.classifier,
        "class_names": list(model.class_names),
    }
    return summary.model_copy(update=counted)
