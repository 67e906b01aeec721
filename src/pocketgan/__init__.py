"""pocketgan trains, judges, steers and ships GANs for small images.

The commands of the program, as functions::

    import pocketgan as pg

    model = pg.train("pocket", out="runs/mine", epochs=1)
    model.sample(16, label=5, seed=0)
    pg.run("mlp", out="runs/mlp", epochs=10)

Importing this module loads no torch; the first use of a function or class does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pocketgan.api import (
    compare,
    doctor,
    evaluate,
    export_model,
    fit_steering,
    generate,
    import_file,
    info,
    interpolate,
    invert,
    label_images,
    list_datasets,
    list_recipes,
    load,
    run,
    show_directions,
    train,
    train_classifier,
    train_judge,
    write_report,
)
from pocketgan.core.errors import PocketganError, UsageError

if TYPE_CHECKING:
    from pocketgan.data.image_set import ImageSet, Samples
    from pocketgan.data.load import load_images
    from pocketgan.models.classifier import Classifier
    from pocketgan.models.judge import Judge
    from pocketgan.models.model import Model
    from pocketgan.recipes import ClassifierRecipe, Recipe, classifier_recipe, gan_recipe
    from pocketgan.scorecard.card import Scorecard

_LOADED_AT_FIRST_USE = {
    "Classifier": "models.classifier",
    "ClassifierRecipe": "recipes",
    "ImageSet": "data.image_set",
    "Judge": "models.judge",
    "Model": "models.model",
    "Recipe": "recipes",
    "Samples": "data.image_set",
    "Scorecard": "scorecard.card",
    "classifier_recipe": "recipes",
    "gan_recipe": "recipes",
    "load_images": "data.load",
}

__all__ = [
    "Classifier",
    "ClassifierRecipe",
    "ImageSet",
    "Judge",
    "Model",
    "PocketganError",
    "Recipe",
    "Samples",
    "Scorecard",
    "UsageError",
    "classifier_recipe",
    "compare",
    "doctor",
    "evaluate",
    "export_model",
    "fit_steering",
    "gan_recipe",
    "generate",
    "import_file",
    "info",
    "interpolate",
    "invert",
    "label_images",
    "list_datasets",
    "list_recipes",
    "load",
    "load_images",
    "run",
    "show_directions",
    "train",
    "train_classifier",
    "train_judge",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _LOADED_AT_FIRST_USE:
        raise AttributeError(f"module 'pocketgan' has no attribute {name!r}")
    return getattr(importlib.import_module(f"pocketgan.{_LOADED_AT_FIRST_USE[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_LOADED_AT_FIRST_USE]
