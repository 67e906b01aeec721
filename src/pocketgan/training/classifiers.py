"""Classifiers and judges: the images they learn from, cross-entropy epoch by epoch, errors on test images."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.devices import multiplies_bf16, sent
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import refuse_existing, refuse_unwritable
from pocketgan.core.pixels import images_for
from pocketgan.core.rng import rng, seeded
from pocketgan.core.terminal import Display
from pocketgan.data.augment import cut_out, jitter, shifted
from pocketgan.data.datasets import DATASETS
from pocketgan.data.given import name_of
from pocketgan.data.image_set import ImageSet, in_classes
from pocketgan.data.load import learning_images, load_images, own_test_images
from pocketgan.data.splits import choose_rows
from pocketgan.data.stream import BatchStream
from pocketgan.metrics.labels import error_rate
from pocketgan.models.classifier import Classifier
from pocketgan.models.judge import JUDGE, Judge
from pocketgan.models.saved import data_facts, made_with
from pocketgan.networks.classifiers import build_classifier
from pocketgan.networks.contracts import channels_last, has, parameter_count
from pocketgan.recipes import ClassifierRecipe
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions
from pocketgan.runs.facts import ClassifierEpoch, ClassifierFacts, Rate

TICK_STEPS = 25  # steps between two milestones inside an epoch
HELD_OUT = 1 / 6  # share kept from a classifier's training where the images come without a test split


class Learned(NamedTuple):
    """Where a classifier's training stands; loss and accuracy are averages since the epoch began."""

    nimg: int
    epoch: int
    epoch_ended: bool
    loss: float
    accuracy: float  # on the images as they were learned from, a fraction


def train_classifier_steps(
    network: nn.Module, data: ImageSet, recipe: ClassifierRecipe, device: torch.device
) -> Iterator[Learned]:
    """Train `network` in place for the recipe's epochs, yielding every `TICK_STEPS` steps and at each epoch's end.

    The images lie whole on the device, as bytes, and a step waits for the device once.
    """
    assert data.labels is not None, "a classifier needs labels"
    images, classes = data.images.to(device), data.labels.to(device)
    full, rest = divmod(len(data), recipe.batch_size)
    steps = full if recipe.drop_last and full else full + (rest > 0)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.lr, eps=recipe.eps, weight_decay=recipe.weight_decay, fused=True
    )
    cycle = None
    if recipe.one_cycle:
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.epochs * steps)
    stream = BatchStream(len(data), recipe.batch_size, recipe.seed)
    drops = has(network, nn.Dropout)
    bf16 = recipe.precision == "auto" and multiplies_bf16(device)
    average = copy.deepcopy(network.state_dict()) if recipe.average else {}
    network.train()
    nimg = 0
    for epoch in range(1, recipe.epochs + 1):
        sums = torch.zeros(2, dtype=torch.float64)
        if recipe.drop_last:
            nimg = (epoch - 1) * len(data)
        for step in range(1, steps + 1):
            rows = sent(stream.rows(nimg), device)
            labels = classes[rows]
            changed = images_for(_learned_from(images[rows], recipe, nimg), device)
            with (
                seeded(recipe.seed, "dropout", nimg) if drops else nullcontext(),
                torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext(),
            ):
                logits = network(changed)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if cycle is not None:
                cycle.step()
            nimg += len(rows)
            _follow(average, network, min(recipe.average, nimg / (nimg + 10 * recipe.batch_size)))
            hits = (logits.detach().argmax(1) == labels).float().mean()
            sums += torch.stack([loss.detach(), hits]).cpu().double()
            if step % TICK_STEPS == 0 or step == steps:
                mean_loss, accuracy = (sums / step).tolist()
                if step == steps and epoch == recipe.epochs and average:
                    network.load_state_dict(average)
                yield Learned(nimg, epoch, step == steps, mean_loss, accuracy)


@torch.no_grad()
def _follow(average: dict[str, Tensor], network: nn.Module, kept: float) -> None:
    """Move the average of a network's weights and BatchNorm figures one step: `kept` of it stays."""
    if average:
        for name, value in network.state_dict().items():
            average[name].lerp_(value, 1 - kept) if value.is_floating_point() else average[name].copy_(value)


def _learned_from(images: Tensor, recipe: ClassifierRecipe, nimg: int) -> Tensor:
    """A batch as the recipe wants it learned from, changed at random or as it is."""
    random = rng(recipe.seed, "jitter", nimg, device=images.device)
    if recipe.rotate or recipe.scale or recipe.shift:
        images = jitter(images, recipe.rotate, recipe.scale, recipe.shift, random)
    if recipe.flip or recipe.translate:
        images = shifted(images, recipe.flip, recipe.translate, random)
    return cut_out(images, recipe.cutout, random) if recipe.cutout else images


def learning_and_test_sets(source: str, split: str, reading: ImageOptions = AS_THEY_ARE) -> tuple[ImageSet, ImageSet]:
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
    learning = learning_images(source, split, reading)
    name = name_of(source)
    if learning.labels is None:
        raise UsageError(f"{name} has no labels to learn from; put the images into one folder per class")
    val = learning.split == "fit"
    test = load_images(source, "val", reading) if val else own_test_images(source, reading)
    if test is None:
        held_out = round(len(learning) * HELD_OUT)
        if held_out == 0:
            raise UsageError(f"{name} holds {len(learning)} images, too few to test a classifier on; add more")
        chosen = choose_rows(learning.labels.tolist(), held_out, seed=0)
        return learning.rows(~chosen), replace(learning.rows(chosen), name=f"a sixth of {name}, held out")
    if test.labels is None:
        raise PocketganError(f"{name} has no labels for its test images; add them, or leave the test images out")
    if test.shape != learning.shape:
        raise PocketganError(f"{name} has test images of another size than it has to learn from; give --resize N")
    return learning, in_classes(test, learning.class_names)


def train_classifier(recipe: ClassifierRecipe, *, out: Path, device: torch.device, display: Display) -> Classifier:
    """Train a classifier, count its errors on test images once, and save it in a new folder."""
    refuse_existing(out)
    learning, test = learning_and_test_sets(recipe.source, recipe.split, recipe)
    refuse_unwritable(out)
    display.lines(learning.notes)
    network = build_classifier(recipe.architecture, learning.shape, len(learning.class_names), recipe.seed).to(device)
    channels_last(network)
    began, epochs = time.perf_counter(), []
    with display.bar(f"classifier {recipe.name}", recipe.epochs * len(learning)) as bar:
        for step in train_classifier_steps(network, learning, recipe, device):
            figures = f"loss {step.loss:.4f}  accuracy {step.accuracy:.2%}"
            bar.update(step.nimg, f"epoch {step.epoch}/{recipe.epochs}  {figures}")
            if step.epoch_ended:
                epochs.append(ClassifierEpoch(epoch=step.epoch, loss=step.loss, accuracy=step.accuracy))
                display.line(f"epoch {step.epoch}/{recipe.epochs}  {figures}")
    facts = ClassifierFacts(
        parameters=parameter_count(network),
        data=data_facts(learning),
        made_with=made_with(device),
        epochs=epochs,
        train_seconds=round(time.perf_counter() - began, 3),
    )
    classifier = Classifier(network, recipe, learning.shape, learning.class_names, facts)
    assert test.labels is not None, "learning_and_test_sets gives labels"
    rate = error_rate(classifier.label(test.images), test.labels)
    classifier.facts = facts.model_copy(update={"test": Rate(name=test.name, **rate.as_dict())})
    display.line(f"test: {rate}")
    classifier.save(out)
    return classifier


def judge_preset(recipe: ClassifierRecipe) -> str:
    """The preset that makes a judge of a recipe's images: that of the data set, else by colour."""
    if recipe.source in DATASETS:
        return DATASETS[recipe.source].judge_recipe
    return "judge-deep" if load_images(recipe.source, "train", recipe).shape[0] == 3 else JUDGE


def train_judge(recipe: ClassifierRecipe, *, out: Path, device: torch.device, display: Display) -> Judge:
    """Train a judge, and count its errors on the test images too, once, where it learned from `fit`."""
    classifier = train_classifier(recipe, out=out, device=device, display=display)
    known = classifier.recipe
    test = own_test_images(known.source, known) if known.split == "fit" else None
    if test is not None and test.labels is not None:
        test = in_classes(test, classifier.class_names)
        assert test.labels is not None
        rate = error_rate(classifier.label(test.images), test.labels)
        counted = {"val": classifier.facts.test, "test": Rate(name=test.name, **rate.as_dict())}
        classifier.facts = classifier.facts.model_copy(update=counted)
        classifier.save(out)
    return Judge(classifier)
