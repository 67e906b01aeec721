"""How far a figure would move with other samples, from random halves without replacement, or with other seeds."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, mean, stdev

import torch
from torch import Tensor

from pocketgan.core.rng import rng

PAIRS = 8  # of complementary halves
STUDENT = 2.306004135204166  # the quantile of a 95 % interval of Student's t with as many degrees of freedom

FEW = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # the same with 1 to 9 degrees


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of two values or more, one for each seed, and its 95 % interval (Student 1908).

    With more than ten values the quantile is that of the normal distribution with its first two corrections, right to
    0.001.
    """
    middle, degrees = mean(values), len(values) - 1
    if degrees <= len(FEW):
        quantile = FEW[degrees - 1]
    else:
        z = NormalDist().inv_cdf(0.975)
        quantile = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    half = quantile * stdev(values) / sqrt(len(values))
    return middle, middle - half, middle + half


def halves(count: int, seed: int = 0) -> Tensor:
    """The whole set and `PAIRS` pairs of complementary random halves of it: bool ``[1 + 2 PAIRS, count]``."""
    chosen = torch.zeros(1 + 2 * PAIRS, count, dtype=torch.bool)
    chosen[0] = True
    for pair in range(PAIRS):
        order = torch.randperm(count, generator=rng(seed, "halves", pair))
        chosen[1 + 2 * pair, order[: count // 2]] = True
        chosen[2 + 2 * pair, order[count // 2 :]] = True
    return chosen


def spread(values: Tensor) -> tuple[float, float, float]:
    """A figure and its 95 % interval from its values on the sets of `halves`.

    The mean of two halves moves with the sample as the whole does, and half their difference has the same variance, so
    the standard error is the root mean square of half the differences (the delete-half jackknife, Shao & Wu 1989). A
    bias by the number of images, which both halves share, cancels.

    Parameters
    ----------
    values
        float ``[1 + 2 PAIRS]``.

    Returns
    -------
    tuple of float
        The value on the whole set, and the interval's ends.
    """
    value = float(values[0])
    differences = (values[1::2] - values[2::2]) / 2
    error = float(differences.square().mean().sqrt())
    return value, value - STUDENT * error, value + STUDENT * error
