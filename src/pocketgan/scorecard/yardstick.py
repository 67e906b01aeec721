"""What a set of images is measured against: real images kept apart, and the rows that a model learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pocketgan.core.cache import cached
from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import to_floats
from pocketgan.core.rng import rng
from pocketgan.data.image_set import ImageSet, matched
from pocketgan.data.load import load_images
from pocketgan.data.splits import VAL_SEED, choose_rows
from pocketgan.metrics.distances import mean_kernel
from pocketgan.metrics.neighbours import K, nearest, nearest_other, radii
from pocketgan.models.judge import Judge, Reading

SPACES = ("pixels", "judge")  # where distances to the training rows are measured
COPY_PERCENTILE = 0.01  # of fresh real images' nearest distances: what lies nearer counts as a copy
MOST = 10_000  # images of a set that are scored, the N in most metrics' names
FEWEST = 10 * K


@dataclass(frozen=True)
class JudgedImages:
    """Some images with what the judge makes of them."""

    images: ImageSet
    reading: Reading

    def rows(self, index: Tensor) -> JudgedImages:
        """Some of them, picked by int64 or bool."""
        return JudgedImages(self.images.rows(index), Reading(*(tensor[index] for tensor in self.reading)))

    def points(self, space: str) -> Tensor:
        """The images as points, float32 ``[N, D]``: pixels in [0, 1], or the judge's features."""
        return to_floats(self.images.images.flatten(1), "unit") if space == "pixels" else self.reading.features

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Yardstick:
    """Real images, each with the judge's reading.

    Attributes
    ----------
    judge
        The network that reads.
    reference
        Images that no training saw: MNIST's test images, or `val` for a model that learned from `fit`.
    training
        What the scored model learned from, for copies.
    copy_distance
        For each of `SPACES`: the 1st percentile of the reference's distances to the nearest training row.
    twin_distance
        The 1st percentile of the reference's distances to the nearest other image of its own, in pixels.
    radii, kernel
        What `manifold` and `kernel_distances` need of the reference's features.
    """

    judge: Judge
    reference: JudgedImages
    training: JudgedImages
    copy_distance: dict[str, float]
    twin_distance: float
    radii: Tensor
    kernel: float


def yardstick(judge: Judge, reference: ImageSet, training: ImageSet) -> Yardstick:
    """Read both sets, or take from the cache what was read before.

    Raises
    ------
    UsageError
        The judge knows other classes or other sizes.
    """
    for images in (reference, training):
        refuse_unknown(judge, images)
    known, learned = (JudgedImages(images, judge.read_kept(images)) for images in (reference, training))

    def of_both() -> dict[str, Tensor]:
        return {space: nearest(known.points(space), learned.points(space)).distance for space in SPACES}

    def of_reference() -> dict[str, Tensor]:
        features = known.reading.features.double()
        kernel = torch.tensor(mean_kernel(features), dtype=torch.float64)
        return {"twins": nearest_other(known.points("pixels")).distance, "radii": radii(features, K), "kernel": kernel}

    key = f"{judge.digest} {judge.classifier.device.type} {reference.digest}"
    near, own = cached(f"distances {key} {training.digest}", of_both), cached(f"distances {key}", of_reference)
    return Yardstick(
        judge=judge,
        reference=known,
        training=learned,
        copy_distance={space: float(near[space].quantile(COPY_PERCENTILE)) for space in SPACES},
        twin_distance=float(own["twins"].quantile(COPY_PERCENTILE)),
        radii=own["radii"],
        kernel=float(own["kernel"]),
    )


def refuse_unknown(judge: Judge, images: ImageSet) -> None:
    """Refuse real images of other classes or another shape than the judge learned.

    Raises
    ------
    UsageError
        They are.
    """
    if (images.class_names, images.shape) != (judge.classifier.class_names, judge.classifier.shape):
        raise UsageError(
            f"judge {judge.version} does not know the images or classes of {images.name}; make one with "
            f"`pocketgan judge train --data IMAGES --out JUDGE` and give --judge JUDGE"
        )


def in_classes_of(images: ImageSet, reference: ImageSet) -> ImageSet:
    """Given images with the classes of real ones, found by their names: a set may lack some, or have another order.

    Raises
    ------
    UsageError
        A class that has images is none of the real ones'.
    """
    if images.labels is None or images.class_names == reference.class_names:
        return images
    used = sorted(set(images.labels.tolist()))
    meant = matched([images.class_names[label] for label in used], reference.class_names, images.name)
    places = torch.zeros(len(images.class_names), dtype=torch.int64)
    places[torch.tensor(used, dtype=torch.int64)] = torch.tensor(meant)
    return replace(images, labels=places[images.labels], class_names=reference.class_names)


def floor_sets(reference: ImageSet, training: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Fresh real images to be scored as the floor, and training rows that hold none of them.

    For the test images of a data set of the table these are `val` and `fit`; else a part of the training images is set
    aside.
    """
    name = reference.dataset
    if name and training.dataset == name and reference.split == "test" and training.split in ("train", "fit"):
        return load_images(name, "val"), load_images(name, "fit")
    assert training.labels is not None, "a judge learned from labels"
    chosen = choose_rows(training.labels.tolist(), min(MOST, len(reference), len(training) // 5), VAL_SEED)
    return training.rows(chosen), training.rows(~chosen)


def part_of(images: ImageSet, count: int, seed: int) -> Tensor:
    """Which rows of a larger set are scored: int64 ``[count]``, drawn without replacement, in order."""
    if len(images) <= count:
        return torch.arange(len(images))
    return torch.randperm(len(images), generator=rng(seed, "scored rows"))[:count].sort().values
