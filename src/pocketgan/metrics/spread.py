"""How far a figure would move with other samples: from random halves, without replacement."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketgan.core.rng import rng

PAIRS = 8  # of complementary halves
STUDENT = 2.306004135204166  # the quantile of a 95 % interval of Student's t with as many degrees of freedom


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
