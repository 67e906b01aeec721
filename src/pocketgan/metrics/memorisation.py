"""Are the fakes copies? Nearest training images, beside what fresh real images have."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.core.rng import rng
from pocketgan.metrics.neighbours import chunks

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
