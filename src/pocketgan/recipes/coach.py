"""The coach: a pair keeps its networks, and is trained by the champion's rules. Imports no torch.

What `pocket` and `pocket-free` are trained by (recipes/presets.py; docs/log.md has how it was found), laid over any
other recipe: relativistic pairing, R1, no momentum, an average of the generator, rates and budget.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pocketgan.recipes.papers import NOTHING_ADDED
from pocketgan.recipes.recipe import Recipe

R1_EVERY = {False: 1, True: 8}  # lazy where the networks have convolutions, which make it dear
EPOCHS = {False: 60.0, True: 28.0}  # the linear pairs' was the first try on `mlp`; the other is `pocket-free`'s

COACHED: dict[str, dict[str, Any]] = {
    "objective": {
        "loss": "relativistic",
        "halves": "sum",
        "updates": "alternating",
        "fresh_latents": False,
        "r1": 0.1,
        "r1_every": R1_EVERY[False],
        "r1_target": 0.0,
        **NOTHING_ADDED,
    },
    "optimizer": {"lr_g": 2e-3, "lr_d": 2e-3, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8, "precision": "auto"},
    "schedule": {"batch_size": 128, "epochs": EPOCHS[False], "lr_hold": 0.2, "ema_share": 0.06},
}


def with_networks(
    recipe: Recipe, said: Collection[str], *, convolutional: bool, mixes_images: bool
) -> tuple[Recipe, tuple[str, ...]]:
    """A coached recipe with what depends on its networks, but for fields that were said; and in words what is left out.

    Parameters
    ----------
    recipe
        With `COACHED` laid over it, and options over that.
    said
        The bare names of those options.
    convolutional
        Whether the generator has convolutions.
    mixes_images
        Whether the discriminator has BatchNorm, with which R1 cannot be.
    """
    if not {"epochs", "nimg", "minutes"} & set(said):
        recipe = recipe.changed("schedule", epochs=EPOCHS[convolutional])
    if recipe.objective.r1 and "r1" not in said and mixes_images:
        off = {"r1": 0.0, **({} if "r1_every" in said else {"r1_every": 1})}
        notes = ("the coach leaves R1 out: the discriminator has BatchNorm and judges no image alone",)
        return recipe.changed("objective", **off), notes
    if recipe.objective.r1 and "r1_every" not in said:
        recipe = recipe.changed("objective", r1_every=R1_EVERY[convolutional])
    return recipe, ()
