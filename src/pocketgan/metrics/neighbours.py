"""Nearest neighbours by exact search, in chunks, so that no whole matrix of distances is ever held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

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


def chunks(queries: Tensor, rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of all `queries` to all `rows`, a band of queries at a time."""
    norms = rows.square().sum(1)
    size = max(1, CHUNK_ELEMENTS // max(1, len(rows)))
    for start in range(0, len(queries), size):
        band = slice(start, min(len(queries), start + size))
        yield band, squared_distances(queries[band], rows, norms)


def nearest(queries: Tensor, rows: Tensor) -> Nearest:
    """The nearest of `rows` ``[M, D]`` to each of `queries` ``[N, D]``; the distance is measured again in float64."""
    index = torch.empty(len(queries), dtype=torch.int64)
    for band, squared in chunks(queries, rows):
        index[band] = squared.argmin(1)
    return Nearest(_exact(queries, rows, index), index)


def nearest_other(rows: Tensor) -> Nearest:
    """The nearest other row of the same set to each row of ``[N, D]``, N at least 2."""
    index = torch.empty(len(rows), dtype=torch.int64)
    for band, squared in chunks(rows, rows):
        _hide_self(squared, band)
        index[band] = squared.argmin(1)
    return Nearest(_exact(rows, rows, index), index)


def radii(rows: Tensor, k: int) -> Tensor:
    """Squared distance of each row of ``[N, D]`` to its k-th nearest other row: ``[N]``; infinite for N <= k."""
    if len(rows) <= k:
        return torch.full((len(rows),), torch.inf, dtype=rows.dtype)
    found = torch.empty(len(rows), dtype=rows.dtype)
    for band, squared in chunks(rows, rows):
        _hide_self(squared, band)
        found[band] = squared.topk(k, 1, largest=False, sorted=True).values[:, -1]
    return found


def _hide_self(squared: Tensor, band: slice) -> None:
    squared[torch.arange(len(squared)), torch.arange(band.start, band.stop)] = torch.inf


def _exact(queries: Tensor, rows: Tensor, index: Tensor) -> Tensor:
    parts = [
        (query.double() - rows[chosen].double()).square().sum(1).sqrt()
        for query, chosen in zip(queries.split(4096), index.split(4096), strict=True)
    ]
    return torch.cat(parts)
