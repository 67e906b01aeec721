"""Nearest neighbours by exact search, and what they tell: precision to coverage, and closeness to training rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.core.rng import rng

CHUNK_ELEMENTS = 1 << 24  # distances in memory at once


class Nearest(NamedTuple):
    """The nearest row of another set: Euclidean distance ``[N]`` and its index int64 ``[N]``."""

    distance: Tensor
    row: Tensor


def squared_distances(one: Tensor, other: Tensor, other_norms: Tensor | None = None) -> Tensor:
    """Squared Euclidean distances of ``[N, D]`` to ``[M, D]``: ``[N, M]``, at least 0, in the dtype given."""
    norms = other.square().sum(1) if other_norms is None else other_norms
    products = one @ other.T
    return products.mul_(-2).add_(norms).add_(one.square().sum(1, keepdim=True)).clamp_(min=0)


def chunks(queries: Tensor, rows: Tensor, *, others: bool = False) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of all `queries` to all `rows`, a band of queries at a time.

    With `others` the two are one set, and each row's distance to itself is infinite.
    """
    norms = rows.square().sum(1)
    size = max(1, CHUNK_ELEMENTS // max(1, len(rows)))
    for start in range(0, len(queries), size):
        band = slice(start, min(len(queries), start + size))
        squared = squared_distances(queries[band], rows, norms)
        if others:
            squared.diagonal(band.start).fill_(torch.inf)
        yield band, squared


def nearest(queries: Tensor, rows: Tensor) -> Nearest:
    """The nearest of `rows` ``[M, D]`` to each of `queries` ``[N, D]``; the distance is measured again in float64."""
    index = torch.empty(len(queries), dtype=torch.int64)
    for band, squared in chunks(queries, rows):
        index[band] = squared.argmin(1)
    return Nearest(_exact(queries, rows, index), index)


def nearest_other(rows: Tensor) -> Nearest:
    """The nearest other row of the same set to each row of ``[N, D]``, N at least 2."""
    index = torch.empty(len(rows), dtype=torch.int64)
    for band, squared in chunks(rows, rows, others=True):
        index[band] = squared.argmin(1)
    return Nearest(_exact(rows, rows, index), index)


def radii(rows: Tensor, k: int) -> Tensor:
    """Squared distance of each row of ``[N, D]`` to its k-th nearest other row: ``[N]``; infinite for N <= k."""
    if len(rows) <= k:
        return torch.full((len(rows),), torch.inf, dtype=rows.dtype)
    squared_radii = torch.empty(len(rows), dtype=rows.dtype)
    for band, squared in chunks(rows, rows, others=True):
        squared_radii[band] = squared.topk(k, 1, largest=False, sorted=True).values[:, -1]
    return squared_radii


def _exact(queries: Tensor, rows: Tensor, index: Tensor) -> Tensor:
    parts = [
        (query.double() - rows[chosen].double()).square().sum(1).sqrt()
        for query, chosen in zip(queries.split(4096), index.split(4096), strict=True)
    ]
    return torch.cat(parts)


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
        for number, (rows, squared_radii) in enumerate(zip(members, fake_radii, strict=True)):
            recalled[number] += (columns[rows] < squared_radii[:, None]).any(0).sum()
            covered[number] += hits[rows].any(0).sum()
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


SUBSETS = 5  # disjoint random subsets of training rows, and of held-out rows, for the ratio


class Closeness(NamedTuple):
    """How near images lie to the training rows.

    Attributes
    ----------
    distance, row
        To the nearest training row: float64 ``[N]`` and int64 ``[N]``.
    subset_distances
        float64 ``[N, S]``: to the nearest row of each of S disjoint random subsets of the training rows.
    held_out_distances
        float64 ``[N, S]``: to the nearest row of each of S disjoint random subsets of held-out rows of the same size.
    """

    distance: Tensor
    row: Tensor
    subset_distances: Tensor
    held_out_distances: Tensor


def closeness(queries: Tensor, training: Tensor, held_out: Tensor, seed: int = 0) -> Closeness:
    """Distances of images to the training rows and to equal random subsets of training and of held-out rows.

    The ratio follows the data-copying test's idea (Meehan et al. 2020): a model that has learned the distribution and
    not the rows lies as near to rows it never saw.

    Parameters
    ----------
    queries, training, held_out
        Features or pixels ``[N, D]``, ``[T, D]``, ``[H, D]``, float32; T and H at least `SUBSETS`.
    seed
        Of the subsets.
    """
    random = rng(seed, "closeness")
    order = torch.randperm(len(training), generator=random)  # so that each subset is a slice
    held_order = torch.randperm(len(held_out), generator=random)
    size = min(len(training), len(held_out)) // SUBSETS
    training, held_out = training[order], held_out[held_order[: size * SUBSETS]]
    index = torch.empty(len(queries), dtype=torch.int64)
    near, held = torch.empty(len(queries), SUBSETS), torch.empty(len(queries), SUBSETS)
    for band, squared in chunks(queries, training):
        index[band] = squared.argmin(1)
        near[band] = squared[:, : size * SUBSETS].unflatten(1, (SUBSETS, size)).amin(2)
    for band, squared in chunks(queries, held_out):
        held[band] = squared.unflatten(1, (SUBSETS, size)).amin(2)
    exact = (queries.double() - training[index].double()).square().sum(1).sqrt()
    return Closeness(exact, order[index], near.double().sqrt(), held.double().sqrt())
