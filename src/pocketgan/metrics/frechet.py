"""Fréchet distance between two sets of features, each taken for a Gaussian."""

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
