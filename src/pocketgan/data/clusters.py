"""Groups of images that look alike, for a pair that has no labels to learn from."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.rng import rng

SEEN = 10_000  # images that the groups are found in, at most; all images then join the nearest group
COMPONENTS = 50
ROUNDS = 30
MOST_PIXELS, SHRUNK_SIDE = 1024, 16  # of an image, channels counted too, that is looked at as it is; of one that is not


class Clusters(NamedTuple):
    """Which cluster each image is in, int64 ``[N]``, and the clusters' centres, float64 ``[K, D]``: coordinates in the
    principal components of the pixels, the first of them first."""

    members: Tensor
    centres: Tensor


def clusters(images: Tensor, count: int, seed: int) -> Clusters:
    """Images that look alike: k-means in the pixels' first principal components.

    Lloyd's algorithm from k-means++ (Arthur & Vassilvitskii 2007).

    Parameters
    ----------
    images
        uint8 ``[N, C, H, W]``.
    count
        Of clusters; some stay empty where there are fewer different images.
    seed
        Decides which images are looked at, and where k-means begins.
    """
    random = rng(seed, "clusters")
    rows = torch.randperm(len(images), generator=random)[:SEEN]
    mean, components = _principal(images[rows])
    seen = _projected(images[rows], mean, components)
    centres = _begin(seen, count, random)
    for _ in range(ROUNDS):
        nearest = torch.cdist(seen, centres).argmin(1)
        members = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, seen)
        centres = torch.where((members > 0)[:, None], sums / members.clamp(min=1)[:, None], centres)
    parts = [torch.cdist(_projected(part, mean, components), centres).argmin(1) for part in images.split(SEEN)]
    return Clusters(torch.cat(parts), centres)


def _principal(images: Tensor) -> tuple[Tensor, Tensor]:
    """The mean picture and the directions in which pictures differ most, float64 ``[P]`` and ``[P, D]``."""
    pixels = _pixels(images)
    mean = pixels.mean(0)
    _, directions = torch.linalg.eigh((pixels - mean).T @ (pixels - mean))
    return mean, directions.flip(1)[:, :COMPONENTS]


def _projected(images: Tensor, mean: Tensor, components: Tensor) -> Tensor:
    return (_pixels(images) - mean) @ components


def _pixels(images: Tensor) -> Tensor:
    """Images as float64 ``[N, P]``; larger ones shrunk first, for the components of P pixels take time by its cube."""
    if images[0].numel() > MOST_PIXELS:
        images = F.adaptive_avg_pool2d(images.float(), SHRUNK_SIDE)
    return images.flatten(1).double()


def _begin(points: Tensor, count: int, random: torch.Generator) -> Tensor:
    """k-means++: each new centre is a point drawn with a weight that is its squared distance to the nearest one."""
    centres = points[torch.randint(len(points), (1,), generator=random)]
    while len(centres) < count:
        distance = torch.cdist(points, centres).amin(1).square()
        weights = distance if distance.any() else torch.ones_like(distance)
        centres = torch.cat([centres, points[torch.multinomial(weights, 1, generator=random)]])
    return centres
