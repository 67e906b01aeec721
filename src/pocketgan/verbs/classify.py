"""`classify`: train a classifier, and label images with one."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pocketgan.core.devices import find_device
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import refuse_existing, refuse_unwritable, write_bytes
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import learning_images, load_images, own_test_images
from pocketgan.data.splits import choose_rows
from pocketgan.metrics.labels import error_rate
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import data_facts, holds, made_with
from pocketgan.networks.classifiers import build_classifier
from pocketgan.networks.contracts import channels_last, parameter_count
from pocketgan.recipes import ClassifierRecipe, classifier_recipe
from pocketgan.runs.facts import ClassifierEpoch, ClassifierFacts, Rate
from pocketgan.runs.folder import MODEL
from pocketgan.training.classifiers import train_classifier_steps

HELD_OUT = 1 / 6  # share kept from a classifier's training where the images come without a test split


def learning_and_test_sets(source: str, split: str) -> tuple[ImageSet, ImageSet]:
    """The images a classifier learns from, and those its error is counted on. Both have labels.

    A source with test images (a data set, an NPZ or IDX folder with both) is taken as it is; `fit` is tested on `val`.
    Of any other source a sixth is held out, classes in proportion.

    Raises
    ------
    UsageError
        The images have no labels, or too few of them to hold any out.
    PocketganError
        The test images have no labels, or other sizes or classes than those to learn from.
    """
    learning = learning_images(source, split)
    if learning.labels is None:
        raise UsageError(f"{source} has no labels to learn from; put the images into one folder per class")
    test = load_images(source, "val") if learning.split == "fit" else own_test_images(source)
    if test is None:
        held_out = round(len(learning) * HELD_OUT)
        if held_out == 0:
            raise UsageError(f"{source} holds {len(learning)} images, too few to test a classifier on; add more")
        chosen = choose_rows(learning.labels.tolist(), held_out, seed=0)
        return learning.rows(~chosen), replace(learning.rows(chosen), name=f"a sixth of {source}, held out")
    if test.labels is None:
        raise PocketganError(f"{source} has no labels for its test images; add them, or leave the test images out")
    if test.shape != learning.shape or int(test.labels.max()) >= len(learning.class_names):
        raise PocketganError(f"{source} has test images of other sizes or classes than it has to learn from; mend it")
    return learning, test


def train_classifier(
    recipe: str | ClassifierRecipe = "cnn",
    *,
    out: str | Path,
    device: str = "auto",
    quiet: bool = False,
    **options: Any,
) -> Classifier:
    """Train a classifier on real images and count its errors on test images, once, at the end.

    Parameters
    ----------
    recipe
        The name of a preset (``cnn``, ``mlp``, ``cnn-dense``, ``linear-224``), a TOML file, or a `ClassifierRecipe`.
    out
        Folder for ``model.json`` and ``classifier.safetensors``; must not exist yet.
    device, quiet, options
        As in `pocketgan.train`.

    Returns
    -------
    Classifier
        Its `facts` hold loss and accuracy of each epoch and the test error.

    Raises
    ------
    UsageError
        The recipe, an option or the images do not fit, or `out` exists.
    """
    wanted = classifier_recipe(recipe, options)
    folder, display = Path(out), Display(quiet)
    refuse_existing(folder)
    learning, test = learning_and_test_sets(wanted.source, wanted.split)
    place = find_device(device)
    refuse_unwritable(folder)
    network = build_classifier(wanted.architecture, learning.shape, len(learning.class_names), wanted.seed).to(place)
    channels_last(network)
    began, epochs = time.perf_counter(), []
    with display.bar(f"classifier {wanted.name}", wanted.epochs * len(learning)) as bar:
        for step in train_classifier_steps(network, learning, wanted, place):
            figures = f"loss {step.loss:.4f}  accuracy {step.accuracy:.2%}"
            bar.update(step.nimg, f"epoch {step.epoch}/{wanted.epochs}  {figures}")
            if step.epoch_ended:
                epochs.append(ClassifierEpoch(epoch=step.epoch, loss=step.loss, accuracy=step.accuracy))
                display.line(f"epoch {step.epoch}/{wanted.epochs}  {figures}")
    facts = ClassifierFacts(
        parameters=parameter_count(network),
        data=data_facts(learning),
        made_with=made_with(place),
        epochs=epochs,
        train_seconds=round(time.perf_counter() - began, 3),
    )
    classifier = Classifier(network, wanted, learning.shape, learning.class_names, facts)
    assert test.labels is not None, "learning_and_test_sets gives labels"
    rate = error_rate(classifier.label(test.images), test.labels)
    classifier.facts = facts.model_copy(update={"test": Rate(name=test.name, **rate.as_dict())})
    display.line(f"test: {rate}")
    classifier.save(folder)
    return classifier


class Labelled(NamedTuple):
    """What a classifier reads in an image: the class, and how surely, 0 to 1; of a picture in a folder, its file."""

    label: int
    confidence: float
    file_name: str | None


def label_images(
    classifier: Classifier | str | Path,
    images: ImageSet | str | Path,
    *,
    out: str | Path,
    split: str = "train",
    count: int = 100,
    seed: int = 0,
    device: str = "auto",
) -> list[Labelled]:
    """Label images and write ``row,label,class_name,confidence`` as CSV.

    For a folder of pictures ``file_name`` comes after ``row``: each one's path from the folder. Such a file may be
    put there as its ``metadata.csv``.

    Parameters
    ----------
    classifier
        A `Classifier`, its folder, a run's folder, or ``guide``.
    images
        An `ImageSet`, a path as `load_images` takes it, or the folder of a model, whose output is labelled.
    out
        A new file.
    split
        Of images that have splits.
    count, seed
        Of a model's output.
    device
        As in `pocketgan.train`.

    Returns
    -------
    list
        One `Labelled` for each image, in their order.

    Raises
    ------
    UsageError
        `out` exists, nothing is at a path, or the images have another shape than the classifier reads.
    """
    target = Path(out)
    refuse_existing(target)
    reader = classifier if isinstance(classifier, Classifier) else Classifier.load(classifier, device)
    chosen = _chosen(images, split, count, seed, device)
    confidences, labels = reader.probabilities(chosen.images).max(1)
    files = chosen.files or [None] * len(chosen)
    rows = list(map(Labelled, labels.tolist(), confidences.tolist(), files))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *(["file_name"] if chosen.files else []), "label", "class_name", "confidence"])
    for row, (label, sure, file) in enumerate(rows):
        writer.writerow([row, *([file] if chosen.files else []), label, reader.class_names[label], f"{sure:.6f}"])
    write_bytes(target, text.getvalue().encode("utf-8", "replace"))  # a file's name need not be UTF-8
    return rows


def _chosen(images: ImageSet | str | Path, split: str, count: int, seed: int, device: str) -> ImageSet:
    if isinstance(images, ImageSet):
        return images
    if holds(images, MODEL):
        return Model.load(images, device).sample(count, seed=seed)
    return load_images(images, split)
