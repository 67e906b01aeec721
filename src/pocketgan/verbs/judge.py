"""`judge train`: a judge for any labelled image set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketgan.data.load import own_test_images
from pocketgan.metrics.labels import error_rate
from pocketgan.models.judge import JUDGE, Judge
from pocketgan.runs.facts import Rate
from pocketgan.verbs.classify import train_classifier


def train_judge(*, out: str | Path, device: str = "auto", quiet: bool = False, **options: Any) -> Judge:
    """Train a judge: the preset ``judge``, which learns from `fit`, with `val` to look at; the error is of test images.

    A source without test images of its own has no more than `val` to count the error on.

    Parameters
    ----------
    out
        A new folder.
    device, quiet
        As in `pocketgan.train`.
    options
        Fields of the recipe: ``source="pictures/"``, ``seed=1``, ``epochs=5``, …

    Returns
    -------
    Judge
        Its classifier's `facts` hold the error on the test images, counted once at the end.

    Raises
    ------
    UsageError
        The images have no labels, an option is wrong, or `out` exists.
    """
    classifier = train_classifier(JUDGE, out=out, device=device, quiet=quiet, **options)
    test = own_test_images(classifier.recipe.source) if classifier.recipe.split == "fit" else None
    if test is not None and test.labels is not None:
        rate = error_rate(classifier.label(test.images), test.labels)
        counted = {"val": classifier.facts.test, "test": Rate(name=test.name, **rate.as_dict())}
        classifier.facts = classifier.facts.model_copy(update=counted)
        classifier.save(Path(out))
    return Judge(classifier)
