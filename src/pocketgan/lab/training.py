"""Train and Break: what can be trained, as the command line declares it, in words. Imports no torch."""

from __future__ import annotations

import shlex
from typing import Any, Literal, get_args, get_origin

from pocketgan.recipes import GAN_PRESETS, Recipe, field_places, gan_recipe
from pocketgan.recipes.costs import RecipeRow


def recipe_facts(row: RecipeRow) -> dict[str, Any]:
    """A recipe as a card."""
    assert isinstance(row.recipe, Recipe)
    return {
        "name": row.name,
        "about": row.about,
        "parameters": row.parameters,
        "mflop_per_image": row.mflop_per_image,
        "minutes": row.minutes,
        "fields": row.recipe.model_dump(mode="json", exclude_none=True, exclude={"generator", "discriminator"}),
    }


def fields() -> list[dict[str, Any]]:
    """Every field of a recipe that an option can set: its section, kind, range, default and sentence."""
    told = []
    for name, (section, _) in field_places(Recipe).items():
        holder: Any = Recipe.model_fields[section].annotation if section else Recipe
        info = holder.model_fields[name]
        kinds = [kind for kind in (info.annotation, *get_args(info.annotation)) if kind is not type(None)]
        choices = next((list(get_args(kind)) for kind in kinds if get_origin(kind) is Literal), None)
        bounds = {
            word: getattr(limit, word)
            for limit in info.metadata
            for word in ("gt", "ge", "lt", "le", "multiple_of")
            if getattr(limit, word, None) is not None
        }
        kind = next((word for known, word in KINDS.items() if known in kinds), "text")
        told.append(
            {
                "name": name,
                "option": "--data" if name == "source" else f"--{name.replace('_', '-')}",
                "section": section,
                "kind": "choice" if choices else kind,
                "choices": choices,
                "default": info.default,
                "bounds": bounds if all(abs(bound) < 2**53 for bound in bounds.values()) else {"ge": 0},
                "about": info.description,
            }
        )
    return told


KINDS: dict[Any, str] = {bool: "yes or no", int: "whole number", float: "number"}


def train_words(recipe: str, out: str, options: dict[str, Any]) -> list[str]:
    """The words of `pocketgan train` for a recipe and values of its fields."""
    words = ["train", recipe, "--out", out]
    for name, value in options.items():
        option = "data" if name == "source" else name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}={value}"]
    return words


def shown(words: list[str]) -> str:
    """Words as a person types them."""
    return shlex.join(["pocketgan", *words])


def checked_recipe(recipe: str, options: dict[str, Any]) -> Recipe:
    """The recipe that these options make; own networks are not looked into.

    Raises
    ------
    UsageError
        A name or a value is wrong.
    """
    return gan_recipe(
        recipe, {name: value for name, value in options.items() if name not in ("networks", "start_from")}
    )


RECIPES = tuple(GAN_PRESETS)
