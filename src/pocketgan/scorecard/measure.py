"""All metrics of one set of images against one yardstick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketgan.data.image_set import images_in
from pocketgan.metrics.appearance import APPEARANCES, appearance
from pocketgan.metrics.distances import frechet_distance, kernel_distances, moments
from pocketgan.metrics.labels import confusion, label_counts, wilson_interval
from pocketgan.metrics.neighbours import Closeness, Manifold, closeness, manifold, nearest_other
from pocketgan.metrics.spread import halves, spread
from pocketgan.scorecard.figures import Figure, possible
from pocketgan.scorecard.yardstick import SPACES, JudgedImages, Yardstick

HALF_SHARE = 0.5  # of its expected share that a class must have to count as covered
LEAST_MEMBERS = 20  # images of a class whose diversity can be told


@dataclass(frozen=True)
class Measured:
    """The figures of a set, and what they were made from.

    Attributes
    ----------
    figures
        By the names of `figures.METRICS`; without `label_error` where there are no labels.
    counts, expected
        Images that the judge reads as each class, and the share of each that was expected: ``[K]``.
    diversities
        Of each class, over that of real images; None where a class has too few: ``[K]``.
    variations
        Of each class of the reference: how much squared distances to its mean vary, over their own mean: ``[K]``.
    confusion
        ``[K][K]``: row, the label; column, what the judge reads. None without labels.
    reference_copies
        Share of the images that are in the reference, byte for byte.
    distinct
        How many different images there are, byte for byte.
    manifold, closeness, twins
        Image by image; `closeness` for each of `SPACES`, `twins` the distance to the nearest other, in pixels.
    """

    figures: dict[str, Figure]
    counts: list[int]
    expected: list[float]
    diversities: list[float | None]
    variations: list[float]
    confusion: list[list[int]] | None
    reference_copies: float
    distinct: int
    manifold: Manifold
    closeness: dict[str, Closeness]
    twins: Tensor


STAGES = ("distances", "neighbours", "classes", "copies, pixels", "copies, judge", "twins", "appearance", "undoings")
OnStage = Callable[[int, str], None]  # stages done of `STAGES`, and which one begins


def measure(
    yard: Yardstick, judged: JudgedImages, balanced: bool = False, on_progress: OnStage | None = None
) -> Measured:
    """Every metric but `tstr`.

    Parameters
    ----------
    yard
        What the images are measured against.
    judged
        The images, with labels or without, and the judge's reading of them.
    balanced
        Whether each class was asked for equally often. Else the shares expected are those of the set's own labels, or
        of the training images.
    on_progress
        Called at the beginning of each of `STAGES` but the last, which `make_card` takes.
    """

    def begin(stage: str) -> None:
        if on_progress is not None:
            on_progress(STAGES.index(stage), stage)

    real, fake = yard.reference.reading.features, judged.reading.features
    classes, count = judged.reading.probabilities.shape[1], len(judged)
    read, labels = judged.reading.labels, judged.images.labels
    sets = halves(count)
    figures: dict[str, Figure] = {}
    begin("distances")
    known = moments(real)
    figures["fd_judge"] = _from(torch.tensor([frechet_distance(known, moments(fake[chosen])) for chosen in sets]))
    figures["kd_judge"] = _from(kernel_distances(real, fake, sets, yard.kernel))
    begin("neighbours")
    neighbourhoods = manifold(real, fake, sets, yard.radii)
    for name in ("precision", "recall", "density", "coverage"):
        figures[name] = _from(getattr(neighbourhoods, name))

    begin("classes")
    expected = _expected(yard, labels, classes, balanced)
    real_spreads = class_spreads(real, yard.reference.reading.labels, classes)
    diversities = torch.stack([class_spreads(fake[chosen], read[chosen], classes) / real_spreads for chosen in sets])
    told = read.bincount(minlength=classes) >= LEAST_MEMBERS
    if told.any():
        figures["diversity"] = _from(diversities[:, told].mean(1))
        figures["diversity_least"] = _from(diversities[:, told].amin(1))
    table = None
    if labels is not None:
        figures["label_error"] = _share(read != labels)
        table = confusion(read, labels, classes)
    shares = torch.stack([read[chosen].bincount(minlength=classes) / chosen.sum() for chosen in sets]).double()
    figures["label_kl"] = _from(_divergences(shares, expected))
    figures["classes_covered"] = _from((shares >= HALF_SHARE * expected).sum(1).double())

    near = {}
    for space, name in zip(SPACES, ("copy_share", "copy_share_judge"), strict=True):
        begin(f"copies, {space}")
        points = judged.points(space)
        near[space] = closeness(points, yard.training.points(space), yard.reference.points(space))
        figures[name] = _share(near[space].distance < yard.copy_distance[space])
    pixels = near["pixels"]
    figures["memorisation"] = _from(torch.stack([_ratio(pixels, chosen) for chosen in sets]))
    begin("twins")
    twins = nearest_other(judged.points("pixels")).distance
    figures["duplicates"] = _share(twins < yard.twin_distance)
    begin("appearance")
    looks = appearance(judged.images.images)
    for column, name in enumerate(APPEARANCES):
        figures[name] = _from(torch.stack([looks[chosen, column].mean() for chosen in sets]))

    return Measured(
        figures={name: possible(name, figure, classes) for name, figure in figures.items()},
        counts=label_counts(read, classes),
        expected=expected.tolist(),
        diversities=[value if told[row] else None for row, value in enumerate(diversities[0].tolist())],
        variations=class_variations(real, yard.reference.reading.labels, classes).tolist(),
        confusion=table,
        reference_copies=float(images_in(judged.images, yard.reference.images).double().mean()),
        distinct=len({row.tobytes() for row in judged.images.images.contiguous().numpy()}),
        manifold=neighbourhoods,
        closeness=near,
        twins=twins,
    )


def _from(values: Tensor) -> Figure:
    return Figure(*spread(values))


def _share(hits: Tensor) -> Figure:
    errors, count = int(hits.sum()), len(hits)
    low, high = wilson_interval(errors, count)
    return Figure(errors / count, low, high)


def _expected(yard: Yardstick, labels: Tensor | None, classes: int, balanced: bool) -> Tensor:
    if balanced:
        return torch.full((classes,), 1 / classes, dtype=torch.float64)
    known = yard.training.images.labels if labels is None else labels
    assert known is not None, "a yardstick has labels"
    return known.bincount(minlength=classes).double() / len(known)


def _divergences(shares: Tensor, expected: Tensor) -> Tensor:
    """Kullback-Leibler divergences in nats of shares ``[R, K]`` from those expected ``[K]``; a class that should not be
    there counts as one image in a million expected."""
    floor = expected.clamp(min=1e-6)
    return torch.where(shares > 0, shares * (shares.clamp(min=1e-12) / floor).log(), 0.0).sum(1)


def class_spreads(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Root mean square distance between two images of one class, from features ``[N, D]``: float64 ``[K]``.

    It is the root of twice the features' total variance, so that no pair has to be visited; 0 for fewer than 2 images.
    """
    members = [features[labels == label].double() for label in range(classes)]
    variances = [rows.var(0).sum() if len(rows) > 1 else torch.zeros((), dtype=torch.float64) for rows in members]
    return (2 * torch.stack(variances)).sqrt()


def class_variations(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Variation of the squared distances to a class's mean, over their mean, from features ``[N, D]``: float64 ``[K]``.

    The spread of ``n`` images has a relative standard error of half of it over the root of ``n``. 0 for fewer than 2
    images or for equal ones.
    """
    variations = torch.zeros(classes, dtype=torch.float64)
    for label in range(classes):
        members = features[labels == label].double()
        squares = (members - members.mean(0)).square().sum(1)
        if len(members) > 1 and squares.any():
            variations[label] = squares.std() / squares.mean()
    return variations


def _ratio(near: Closeness, chosen: Tensor) -> Tensor:
    """Mean nearest distance to training rows over that to as many held-out rows."""
    return near.subset_distances[chosen].mean() / near.held_out_distances[chosen].mean()
