"""`judge train`: a judge for any labelled image set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketgan.data.mnist import mnist
from pocketgan.metrics.labels import error_rate
from pocketgan.models.judge import JUDGE, Judge
from pocketgan.verbs.classify import train_classifier


def train_judge(*, out: str | Path, device: str = "auto", quiet: bool = False, **options: Any) -> Judge:
    """Train a judge: the preset ``judge``, which for MNIST learns from `fit`, with `val` to look at.

    Of other sources it learns from the training images, or from five sixths of them where there is no test split.

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
    if options.get("source", "mnist") != "mnist":
        options.setdefault("split", "train")
    classifier = train_classifier(JUDGE, out=out, device=device, quiet=quiet, **options)
    if classifier.recipe.source == "mnist" and classifier.recipe.split == "fit":
        test = mnist("test")
        assert test.labels is not None
        rate = error_rate(classifier.label(test.images), test.labels)
        classifier.facts["val"] = classifier.facts["test"]
        classifier.facts["test"] = {"name": test.name, **rate.as_dict()}
        classifier.save(Path(out))
    return Judge(classifier)
