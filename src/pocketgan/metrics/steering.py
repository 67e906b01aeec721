"""How images that were asked for by class, and their latents, stand to real images and to accepted latents."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.metrics.distances import kernel_distances
from pocketgan.metrics.neighbours import manifold


class Spread(NamedTuple):
    """Coverage and recall within the classes, as means over them: fractions."""

    coverage: float
    recall: float


def spread_within(real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor, classes: list[int]) -> Spread:
    """Coverage and recall of fakes against the real images of their own class.

    Parameters
    ----------
    real, fake
        Features ``[N, D]`` and ``[M, D]``.
    real_labels, fake_labels
        int64 ``[N]`` and ``[M]``: the classes of real images, and those that were asked for.
    classes
        Over which the mean is taken.
    """
    manifolds = []
    for label in classes:
        rows = fake[fake_labels == label]
        manifolds.append(manifold(real[real_labels == label], rows, torch.ones(1, len(rows), dtype=torch.bool)))
    return Spread(
        sum(float(one.coverage[0]) for one in manifolds) / len(manifolds),
        sum(float(one.recall[0]) for one in manifolds) / len(manifolds),
    )


def norm_distance(one: Tensor, other: Tensor) -> float:
    """The Kolmogorov-Smirnov distance of the norms of latents ``[N, D]`` and ``[M, D]``, in [0, 1]."""
    first, second = one.norm(dim=1).sort().values, other.norm(dim=1).sort().values
    both = torch.cat([first, second])
    below = [torch.searchsorted(norms, both, right=True).double() / len(norms) for norms in (first, second)]
    return float((below[0] - below[1]).abs().max())


def latent_distance(one: Tensor, one_labels: Tensor, other: Tensor, other_labels: Tensor, classes: list[int]) -> float:
    """The kernel distance of latents within the classes, as a mean over them; its expectation is 0 for equal ones.

    The unbiased squared MMD with the cubic kernel, which feels means, spreads and skews: Bińkowski et al. 2018.
    """
    distances = []
    for label in classes:
        rows = other[other_labels == label]
        whole = torch.ones(1, len(rows), dtype=torch.bool)
        distances.append(float(kernel_distances(one[one_labels == label], rows, whole)[0]))
    return sum(distances) / len(distances)
