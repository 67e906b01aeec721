"""What a pair is told of each real image besides its pixels: its class, or its cluster where it knows no classes."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketgan.data.clusters import clusters
from pocketgan.data.image_set import ImageSet
from pocketgan.models.layers import Generator
from pocketgan.models.pocket import PocketFreeGenerator
from pocketgan.models.table import pair_of
from pocketgan.recipes import Recipe


def groups_of(recipe: Recipe, data: ImageSet) -> Tensor | None:
    """The class or cluster of each image, int64 ``[N]``; None for a pair that knows neither.

    Clusters are a function of the images and the recipe's seed, so a resumed run finds them again.
    """
    if pair_of(recipe.model.architecture).conditional:
        return data.labels
    if recipe.model.clusters:
        return clusters(data.images, recipe.model.clusters, recipe.seed)
    return None


def apportion(generator: Generator, groups: Tensor) -> None:
    """Let a generator that has clusters choose each as often as it comes among the real images."""
    if isinstance(generator, PocketFreeGenerator) and generator.embedding is not None:
        generator.apportion(torch.bincount(groups, minlength=generator.embedding.num_embeddings))
