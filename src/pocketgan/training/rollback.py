"""What a training goes on with after trouble: another seed, lower rates, the same budget."""

from __future__ import annotations

from pocketgan.core.rng import derive
from pocketgan.recipes import Recipe

ROLLBACKS = 3  # at most
ROLLBACK_RATE = 0.5  # share of the learning rates that each of them leaves


def after_rollbacks(recipe: Recipe, count: int) -> Recipe:
    """The recipe that a training goes on with after `count` rollbacks: another seed, lower rates, the same budget."""
    if count == 0:
        return recipe
    share = ROLLBACK_RATE**count
    rates = {"lr_g": recipe.optimizer.lr_g * share, "lr_d": recipe.optimizer.lr_d * share}
    return recipe.model_copy(
        update={
            "seed": derive(recipe.seed, "rollback", count),
            "optimizer": recipe.optimizer.model_copy(update=rates),
        }
    )
