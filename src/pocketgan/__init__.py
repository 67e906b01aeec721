"""pocketgan trains, judges, steers and ships GANs for small images.

The verbs of the command line, as functions::

    import pocketgan as pg

    model = pg.train("pocket", out="runs/mine", epochs=1)
    model.sample(16, label=5, seed=0)
    pg.run("mlp", out="runs/mlp", epochs=10)

Importing this module loads no torch; the first use of a name does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketgan.core.errors import PocketganError, UsageError
    from pocketgan.data.image_set import ImageSet, Samples
    from pocketgan.data.load import load_images
    from pocketgan.importing import import_file
    from pocketgan.models.classifier import Classifier
    from pocketgan.models.judge import Judge
    from pocketgan.models.model import Model
    from pocketgan.recipes import ClassifierRecipe, Recipe, classifier_recipe, gan_recipe
    from pocketgan.report import write_report
    from pocketgan.scorecard.card import Scorecard
    from pocketgan.verbs.classify import label_images, train_classifier
    from pocketgan.verbs.compare import compare
    from pocketgan.verbs.evaluate import evaluate
    from pocketgan.verbs.generate import generate
    from pocketgan.verbs.judge import train_judge
    from pocketgan.verbs.run import run
    from pocketgan.verbs.train import train

_HOMES = {
    "Classifier": "models.classifier",
    "ClassifierRecipe": "recipes",
    "ImageSet": "data.image_set",
    "Judge": "models.judge",
    "Model": "models.model",
    "PocketganError": "core.errors",
    "Recipe": "recipes",
    "Samples": "data.image_set",
    "Scorecard": "scorecard.card",
    "UsageError": "core.errors",
    "classifier_recipe": "recipes",
    "gan_recipe": "recipes",
    "compare": "verbs.compare",
    "evaluate": "verbs.evaluate",
    "generate": "verbs.generate",
    "import_file": "importing",
    "label_images": "verbs.classify",
    "load_images": "data.load",
    "run": "verbs.run",
    "train": "verbs.train",
    "train_classifier": "verbs.classify",
    "train_judge": "verbs.judge",
    "write_report": "report",
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
    "evaluate",
    "gan_recipe",
    "generate",
    "import_file",
    "label_images",
    "load",
    "load_images",
    "run",
    "train",
    "train_classifier",
    "train_judge",
    "write_report",
]


def load(path: str, device: str = "auto") -> Model:
    """Load a trained model from a run folder or a model folder.

    Raises
    ------
    UsageError
        There is none.
    PocketganError
        A file of it is damaged.
    """
    from pocketgan.models.model import Model

    return Model.load(path, device)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pocketgan' has no attribute {name!r}")
    return getattr(importlib.import_module(f"pocketgan.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
