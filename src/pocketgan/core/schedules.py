"""Rates as functions of nimg, the number of real images shown so far."""

from __future__ import annotations


def rate_factor(nimg: int, total: int, hold: float) -> float:
    """Learning rate as a share of its start: 1 for the first `hold` of the budget, then a straight line to 0.

    `hold` lies in [0, 1]; 1 keeps the rate for good.
    """
    if hold >= 1.0:
        return 1.0
    return min(1.0, max(0.0, (1.0 - nimg / total) / (1.0 - hold)))


def ema_beta(batch: int, half_life_nimg: float) -> float:
    """Weight that the moving average keeps at one step of `batch` images, for a half-life counted in images.

    Karras et al. 2018 (Progressive GAN) and after: ``0.5 ** (batch / half_life)``.
    """
    return float(0.5 ** (batch / half_life_nimg))
