"""Precision, recall, density and coverage from k nearest neighbours."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.metrics.neighbours import chunks, radii

K = 5


class Manifold(NamedTuple):
    """How the fakes lie to the real images' neighbourhoods, and the reverse; `precision` to `coverage` are ``[R]``.

    Attributes
    ----------
    precision, recall
        Share of fakes inside some real image's ball, and of real images inside some fake's: Kynkäänniemi et al. 2019.
    density, coverage
        Mean number of real balls around a fake, over k (may exceed 1), and share of real images with a fake in their
        ball: Naeem et al. 2020.
    inside
        int64 ``[M]``: real balls around each fake.
    nearest_real, nearest_fake
        float64 ``[M]`` and ``[N]``: distance of each fake to its nearest real image, and the reverse.
    covering
        int64 ``[N]``: fakes in each real image's ball.
    """

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor
    inside: Tensor
    nearest_real: Tensor
    nearest_fake: Tensor
    covering: Tensor


def manifold(real: Tensor, fake: Tensor, subsets: Tensor, real_radii: Tensor | None = None, k: int = K) -> Manifold:
    """Precision, recall, density and coverage of several subsets of `fake` against the whole of `real`.

    A ball reaches to the k-th nearest other image of its own set, its edge excluded; the balls of fakes are those of
    the subset.

    Parameters
    ----------
    real, fake
        Features ``[N, D]`` and ``[M, D]``, N over k.
    subsets
        bool ``[R, M]``; of one with k fakes or fewer, every ball is without end.
    real_radii
        ``radii(real.double(), k)``, where it is known already.
    """
    real, fake = real.double(), fake.double()
    real_radii = radii(real, k) if real_radii is None else real_radii
    members = [chosen.nonzero().squeeze(1) for chosen in subsets]
    fake_radii = [radii(fake[rows], k) for rows in members]
    inside = torch.zeros(len(fake), dtype=torch.int64)
    closest = torch.full((len(fake),), torch.inf, dtype=torch.float64)
    covered, recalled = (torch.zeros(len(subsets), dtype=torch.float64) for _ in range(2))
    covering, lonely = torch.empty(len(real), dtype=torch.int64), torch.empty(len(real), dtype=torch.float64)
    for band, squared in chunks(real, fake):
        within = squared < real_radii[band, None]
        inside += within.sum(0)
        covering[band] = within.sum(1)
        lonely[band] = squared.min(1).values
        closest = torch.minimum(closest, squared.min(0).values)
        columns, hits = squared.T.contiguous(), within.T.contiguous()  # picking rows is much faster than columns
        for place, (rows, squared_radii) in enumerate(zip(members, fake_radii, strict=True)):
            recalled[place] += (columns[rows] < squared_radii[:, None]).any(0).sum()
            covered[place] += hits[rows].any(0).sum()
    chosen, counts = subsets.double(), subsets.sum(1).double()
    return Manifold(
        precision=chosen @ (inside > 0).double() / counts,
        recall=recalled / len(real),
        density=chosen @ inside.double() / (counts * k),
        coverage=covered / len(real),
        inside=inside,
        nearest_real=closest.sqrt(),
        nearest_fake=lonely.sqrt(),
        covering=covering,
    )
