"""Groups of images that look alike, for a pair that has no labels to learn from."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketgan.core.randomness import generator

SEEN = 10_000  # images that the groups are found in, at most; all images then join the nearest group
COMPONENTS = 50
ROUNDS = 30


def clusters(images: Tensor, count: int, seed: int) -> Tensor:
    """The cluster of each image: k-means in the pixels' first principal components.

    Lloyd's algorithm from k-means++ (Arthur & Vassilvitskii 2007). Clusters with neighbouring numbers look alike:
    each is followed by the nearest of those that are left.

    Parameters
    ----------
    images
        uint8 ``[N, C, H, W]``.
    count
        Of clusters; some stay empty where there are fewer different images.
    seed
        Decides which images are looked at, and where k-means begins.

    Returns
    -------
    Tensor
        int64 ``[N]`` from 0 to `count` - 1.
    """
    random = generator(seed, "clusters")
    rows = torch.randperm(len(images), generator=random)[:SEEN]
    mean, components = _principal(images[rows])
    seen = _projected(images[rows], mean, components)
    centres = _begin(seen, count, random)
    for _ in range(ROUNDS):
        nearest = torch.cdist(seen, centres).argmin(1)
        members = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, seen)
        centres = torch.where((members > 0)[:, None], sums / members.clamp(min=1)[:, None], centres)
    centres = centres[_tour(centres)]
    parts = [torch.cdist(_projected(part, mean, components), centres).argmin(1) for part in images.split(SEEN)]
    return torch.cat(parts)


def _principal(images: Tensor) -> tuple[Tensor, Tensor]:
    """The mean picture and the directions in which pictures differ most, float64 ``[P]`` and ``[P, <=COMPONENTS]``."""
    pixels = images.flatten(1).double()
    mean = pixels.mean(0)
    _, directions = torch.linalg.eigh((pixels - mean).T @ (pixels - mean))
    return mean, directions[:, -COMPONENTS:]


def _projected(images: Tensor, mean: Tensor, components: Tensor) -> Tensor:
    return (images.flatten(1).double() - mean) @ components


def _begin(points: Tensor, count: int, random: torch.Generator) -> Tensor:
    """k-means++: each new centre is a point drawn with a weight that is its squared distance to the nearest one."""
    centres = points[torch.randint(len(points), (1,), generator=random)]
    while len(centres) < count:
        distance = torch.cdist(points, centres).amin(1).square()
        weights = distance if distance.any() else torch.ones_like(distance)
        centres = torch.cat([centres, points[torch.multinomial(weights, 1, generator=random)]])
    return centres


def _tour(centres: Tensor) -> list[int]:
    """An order of the centres: from the first on, always to the nearest that is left."""
    distance = torch.cdist(centres, centres)
    order, left = [0], set(range(1, len(centres)))
    while left:
        order.append(min(left, key=lambda one: float(distance[order[-1], one])))
        left.remove(order[-1])
    return order
