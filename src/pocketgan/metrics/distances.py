"""Distances between two sets of features as wholes: Fréchet's, and the kernel distance (unbiased MMD)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Mean ``[D]`` and covariance ``[D, D]`` of features, float64."""

    mean: Tensor
    covariance: Tensor


def moments(features: Tensor) -> Moments:
    """Mean and unbiased covariance of features ``[N, D]``, N at least 2, in float64."""
    features = features.double()
    return Moments(features.mean(0), features.T.cov())


def frechet_distance(one: Moments, other: Moments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): Dowson & Landau 1982; of networks' features, Heusel et al. 2017.

    The trace of the root is taken from the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric, so that no complex
    numbers arise where a covariance is singular. The distance is biased upward by few images: compare equal numbers.

    Returns
    -------
    float
        At least 0, in squared units of the features.
    """
    values, vectors = torch.linalg.eigh(one.covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ other.covariance @ root).clamp(min=0).sqrt().sum()
    means = (one.mean - other.mean).square().sum()
    distance = means + one.covariance.trace() + other.covariance.trace() - 2 * cross
    return max(0.0, float(distance))


CHUNK = 1000  # rows of a kernel matrix in memory at once


def polynomial_kernel(one: Tensor, other: Tensor) -> Tensor:
    """(x·y / D + 1)^3 for features ``[N, D]`` and ``[M, D]``: ``[N, M]``. Bińkowski et al. 2018."""
    base = (one @ other.T).div_(one.shape[1]).add_(1)
    return base.square().mul_(base)


def kernel_distances(real: Tensor, fake: Tensor, subsets: Tensor, real_mean: float | None = None) -> Tensor:
    """The distance of several subsets of `fake` to the whole of `real`, from one pass over the kernel matrices.

    The unbiased estimator of squared MMD: Gretton et al. 2012, lemma 6.

    Parameters
    ----------
    real, fake
        Features ``[N, D]`` and ``[M, D]``.
    subsets
        bool ``[R, M]``, each with at least two rows.
    real_mean
        ``mean_kernel(real)``, where it is known already.

    Returns
    -------
    Tensor
        float64 ``[R]``; its expectation is 0 for equal distributions, so it can be negative.
    """
    real, fake, chosen = real.double(), fake.double(), subsets.double()
    within_real = mean_kernel(real) if real_mean is None else real_mean
    cross = torch.zeros(len(fake), dtype=torch.float64)
    rows = torch.zeros(len(fake), len(subsets), dtype=torch.float64)
    for start in range(0, len(fake), CHUNK):
        part = fake[start : start + CHUNK]
        cross[start : start + CHUNK] = polynomial_kernel(part, real).sum(1)
        rows[start : start + CHUNK] = polynomial_kernel(part, fake) @ chosen.T
    own = (fake.square().sum(1) / fake.shape[1] + 1) ** 3
    counts = chosen.sum(1)
    within_fake = (rows * chosen.T).sum(0) - chosen @ own
    return within_real + within_fake / (counts * (counts - 1)) - 2 * (chosen @ cross) / (counts * len(real))


def mean_kernel(features: Tensor) -> float:
    """The mean kernel value of two different rows of ``[N, D]``."""
    features = features.double()
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, len(features), CHUNK):
        total += polynomial_kernel(features[start : start + CHUNK], features).sum()
    total -= ((features.square().sum(1) / features.shape[1] + 1) ** 3).sum()
    return float(total) / (len(features) * (len(features) - 1))
