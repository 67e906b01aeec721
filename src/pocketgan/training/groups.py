"""What a pair is told of each real image besides its pixels: its class, or its cluster where it knows no classes."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from pocketgan.data.clusters import Clusters, clusters
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.contracts import Generator
from pocketgan.networks.pocket import PocketFreeGenerator
from pocketgan.recipes import Recipe


def groups_of(recipe: Recipe, data: ImageSet, *, conditional: bool) -> Tensor | None:
    """The class or cluster of each image, int64 ``[N]``; None for a pair that knows neither.

    Clusters are a function of the images and the recipe's seed, so a resumed run finds them again.
    """
    if conditional:
        return data.labels
    return _clusters_of(data, recipe.model.clusters, recipe.seed).members if recipe.model.clusters else None


def share_out_clusters(recipe: Recipe, data: ImageSet, generator: Generator, average: Generator) -> None:
    """Let a generator, and its average alike, choose clusters as often as they come among the images."""
    if not recipe.model.clusters or not isinstance(generator, PocketFreeGenerator):
        return
    members, centres = _clusters_of(data, recipe.model.clusters, recipe.seed)
    generator.apportion(centres, torch.bincount(members, minlength=len(centres)))
    if isinstance(average, PocketFreeGenerator):
        average.choose_as(generator)


@lru_cache(maxsize=1)
def _clusters_of(data: ImageSet, count: int, seed: int) -> Clusters:
    """As `clusters`; a training asks twice, for itself and for the health watch."""
    return clusters(data.images, count, seed)
