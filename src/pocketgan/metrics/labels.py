"""Errors of a classifier on real and on generated images: S0 and S1, with what was counted said each time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

Z95 = 1.959963984540054  # the normal quantile of a 95 % interval


@dataclass(frozen=True)
class ErrorRate:
    """A share of images read wrongly, with its 95 % Wilson interval. All shares are fractions.

    Attributes
    ----------
    errors, count
        Wrong ones, and all.
    error, low, high
        errors / count, and its interval.
    """

    errors: int
    count: int
    error: float
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.errors:,} of {self.count:,} read wrongly: {self.error:.2%} ({self.low:.2%} to {self.high:.2%})"


def wilson_interval(errors: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share from `errors` out of `count`: Wilson 1927, equation for the score interval.

    Returns
    -------
    tuple of float
        Lower and upper end, fractions in [0, 1].
    """
    share, z2 = errors / count, Z95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, centre - half) if errors else 0.0, min(1.0, centre + half) if errors < count else 1.0


def error_rate(read: Tensor, labels: Tensor) -> ErrorRate:
    """How often `read` differs from `labels`, both int64 ``[N]``.

    Raises
    ------
    ValueError
        They differ in length, or are empty.
    """
    if read.shape != labels.shape or not len(labels):
        raise ValueError(f"one reading for each label is needed, not {len(read)} for {len(labels)}")
    errors, count = int((read != labels).sum()), len(labels)
    low, high = wilson_interval(errors, count)
    return ErrorRate(errors, count, errors / count, low, high)


def confusion(read: Tensor, labels: Tensor, classes: int) -> list[list[int]]:
    """Counts ``[K][K]``: row, the label; column, what the classifier read."""
    return torch.bincount(labels * classes + read, minlength=classes**2).view(classes, classes).tolist()


def label_counts(read: Tensor, classes: int) -> list[int]:
    """How many images were read as each class: ``[K]``."""
    return torch.bincount(read, minlength=classes).tolist()


def least_sure(probabilities: Tensor, count: int) -> list[tuple[int, int, float]]:
    """The images that a classifier is least sure of: (row, class it reads, its probability), least sure first."""
    confidence, read = probabilities.max(1)
    rows = confidence.argsort(stable=True)[:count].tolist()
    return [(row, int(read[row]), float(confidence[row])) for row in rows]
