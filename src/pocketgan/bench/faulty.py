"""Sets of real images with faults put in on purpose, to see whether a scorecard names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.rng import rng
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images

SEED = 0


def faulty_sets() -> dict[str, Callable[[], ImageSet]]:
    """By what was done: labelled sets made from the 10,000 of `val`, or from `fit` where they are copies."""
    return {
        "nothing: `val` as it is": lambda: load_images("mnist", "val"),
        "rows of `fit`, copied": _copies,
        "the same with 1 % noise": _noisy_copies,
        "one image, 10,000 times": lambda: _named(_val().rows(torch.zeros(10_000, dtype=torch.int64))),
        "class 3 left out": lambda: _named(_val().rows(_labels(_val()) != 3)),
        "classes 3 and 5 swapped in the labels": _swapped,
        "all labels shuffled": _shuffled,
        "blurred": lambda: _changed(_blurred),
        "shifted by 2 pixels": lambda: _changed(lambda images: F.pad(images, (2, -2, 2, -2))),
        "uniform noise": lambda: _changed(_noise),
        "500 different images": lambda: _named(_val().rows(torch.arange(10_000) % 500)),
        "half real, half noise": lambda: _changed(_half_noise),
        "each class's mean image": _means,
    }


def _val() -> ImageSet:
    return load_images("mnist", "val")


def _named(images: ImageSet) -> ImageSet:
    return replace(images, name="known fault", split="all")


def _changed(change: Callable[[Tensor], Tensor]) -> ImageSet:
    return _named(replace(_val(), images=change(_val().images)))


def _relabelled(labels: Tensor) -> ImageSet:
    return _named(replace(_val(), labels=labels))


def _labels(images: ImageSet) -> Tensor:
    assert images.labels is not None
    return images.labels


def _copies() -> ImageSet:
    fit = load_images("mnist", "fit")
    return _named(fit.rows(torch.randperm(len(fit), generator=rng(SEED, "copies"))[:10_000]))


def _noisy_copies() -> ImageSet:
    copies = _copies()
    noise = torch.randn(copies.images.shape, generator=rng(SEED, "noise")) * 0.01 * 255
    return replace(copies, images=(copies.images + noise).round().clamp(0, 255).to(torch.uint8))


def _swapped() -> ImageSet:
    labels = _labels(_val()).clone()
    three, five = labels == 3, labels == 5
    labels[three], labels[five] = 5, 3
    return _relabelled(labels)


def _shuffled() -> ImageSet:
    labels = _labels(_val())
    return _relabelled(labels[torch.randperm(len(labels), generator=rng(SEED, "labels"))])


def _blurred(images: Tensor) -> Tensor:
    """A Gaussian of one pixel's standard deviation."""
    line = torch.exp(-torch.arange(-3, 4).float().square() / 2)
    line = line / line.sum()
    kernel = (line[:, None] * line).expand(1, 1, 7, 7)
    return F.conv2d(images.float(), kernel, padding=3).round().to(torch.uint8)


def _noise(images: Tensor) -> Tensor:
    return torch.randint(0, 256, images.shape, generator=rng(SEED, "uniform"), dtype=torch.uint8)


def _half_noise(images: Tensor) -> Tensor:
    changed = images.clone()
    changed[::2] = _noise(images[::2])
    return changed


def _means() -> ImageSet:
    images, labels = _val().images, _labels(_val())
    means = torch.stack([images[labels == label].float().mean(0).round().to(torch.uint8) for label in range(10)])
    return _named(replace(_val(), images=means[labels]))
