"""What a pair is told of each real image besides its pixels: its class, or its cluster where it knows no classes."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from pocketgan.data.clusters import Clusters, clusters
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.contracts import Generator
from pocketgan.networks.pocket import PocketFreeGenerator
from pocketgan.networks.table import pair_of
from pocketgan.recipes import Recipe


def groups_of(recipe: Recipe, data: ImageSet, *generators: Generator) -> Tensor | None:
    """The class or cluster of each image, int64 ``[N]``; None for a pair that knows neither.

    Clusters are a function of the images and the recipe's seed, so a resumed run finds them again. The `generators`
    (a generator and its average) learn to choose them as often as they come.
    """
    if pair_of(recipe.model.architecture).conditional:
        return data.labels
    if not recipe.model.clusters:
        return None
    members, centres = _clusters_of(data, recipe.model.clusters, recipe.seed)
    told: PocketFreeGenerator | None = None
    for generator in generators:
        assert isinstance(generator, PocketFreeGenerator), "the table names no other pair that learns with clusters"
        if told is None:
            generator.apportion(centres, torch.bincount(members, minlength=len(centres)))
            told = generator
        else:
            generator.choose_as(told)
    return members


@lru_cache(maxsize=1)
def _clusters_of(data: ImageSet, count: int, seed: int) -> Clusters:
    """As `clusters`; a training asks twice, for itself and for the health watch."""
    return clusters(data.images, count, seed)
