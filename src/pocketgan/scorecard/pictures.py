"""What of a scorecard is better looked at: closest pairs, best and worst, outliers, the map of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pocketgan.core.files import write_bytes, write_json
from pocketgan.core.pixels import grid, to_png
from pocketgan.scorecard.card import FORMAT_VERSION
from pocketgan.scorecard.measure import Measured
from pocketgan.scorecard.yardstick import JudgedImages, Yardstick, part_of

PAIRS = 10
SHOWN = 20
MAP_POINTS = 1000  # of each kind


def write_pictures(folder: Path, measured: Measured, judged: JudgedImages, yard: Yardstick) -> None:
    """Write the pictures of a scorecard into its folder.

    ``closest.png`` has the fakes nearest to a training image over those images; ``best.png`` and ``worst.png`` the
    fakes that the judge is most and least sure of, ``unreal.png`` those farthest from real images,
    ``uncovered.png`` the real images that most lack a fake near them, and ``map.json`` the points of `feature_map`.
    """
    pixels = measured.closeness["pixels"]
    rows = pixels.distance.argsort(stable=True)[:PAIRS]
    pairs = torch.cat([judged.images.images[rows], yard.training.images.images[pixels.row[rows]]])
    write_bytes(folder / "closest.png", to_png(grid(pairs, columns=PAIRS), scale=2))
    sure = _sureness(judged)
    order = sure.argsort(stable=True)
    pictures = {
        "worst": judged.images.images[order[:SHOWN]],
        "best": judged.images.images[_one_of_each(judged, order.flip(0))],
        "unreal": judged.images.images[measured.manifold.nearest_real.argsort(descending=True, stable=True)[:SHOWN]],
        "uncovered": yard.reference.images.images[_uncovered(measured)],
    }
    for name, images in pictures.items():
        if len(images):
            write_bytes(folder / f"{name}.png", to_png(grid(images, columns=10), scale=2))
    write_json(folder / "map.json", {"format_version": FORMAT_VERSION, **feature_map(judged, yard)})


def _sureness(judged: JudgedImages) -> Tensor:
    """How sure the judge is of each image's label, or of what it reads where there is none: ``[N]``."""
    labels = judged.reading.labels if judged.images.labels is None else judged.images.labels
    return judged.reading.probabilities.gather(1, labels[:, None]).squeeze(1)


def _one_of_each(judged: JudgedImages, order: Tensor) -> Tensor:
    """The first rows of an order, taking turns through the classes."""
    labels = judged.reading.labels[order]
    classes = judged.reading.probabilities.shape[1]
    each = max(1, SHOWN // classes)
    return torch.cat([order[labels == label][:each] for label in range(classes)])[:SHOWN]


def _uncovered(measured: Measured) -> Tensor:
    """Real images with no fake in their neighbourhood, the farthest from any first: rows of the reference."""
    alone = torch.where(measured.manifold.covering == 0, measured.manifold.nearest_fake, -1.0)
    order = alone.argsort(descending=True, stable=True)[:SHOWN]
    return order[alone[order] >= 0]


def feature_map(judged: JudgedImages, yard: Yardstick) -> dict[str, Any]:
    """Real images and fakes on the two main axes of the real images' features (principal components).

    Returns
    -------
    dict
        ``share``, of the real features' variance that the two axes hold; ``real`` and ``fake``, lists of
        ``[x, y, class that the judge reads]``, at most `MAP_POINTS` each.
    """
    real = yard.reference.reading.features.double()
    mean = real.mean(0)
    _, sizes, axes = torch.linalg.svd(real - mean, full_matrices=False)
    signs = torch.where(axes[:2].sum(1) < 0, -1.0, 1.0).double()  # the decomposition leaves them open

    def points(judged: JudgedImages) -> list[list[float]]:
        few = judged.rows(part_of(judged.images, MAP_POINTS, 0))
        places = ((few.reading.features.double() - mean) @ axes[:2].T) * signs
        labels = few.reading.labels
        return [[round(x, 3), round(y, 3), int(label)] for (x, y), label in zip(places.tolist(), labels, strict=True)]

    share = float(sizes[:2].square().sum() / sizes.square().sum())
    return {"share": share, "real": points(yard.reference), "fake": points(judged)}
