"""What each preset costs: parameters, and operations for each image. Imports no torch."""

from __future__ import annotations

from typing import NamedTuple

from pocketgan.core.errors import UsageError, nearest
from pocketgan.recipes.presets import CLASSIFIER_PRESETS, GAN_PRESETS
from pocketgan.recipes.recipe import ClassifierRecipe, Recipe

# fmt: off
PARAMETERS = {  # of generator and discriminator; a test counts them anew
    "pocket":       (  513_444, 842_475),
    "pocket-free":  (  516_900, 870_177),
    "mlp":          (  227_344, 226_761),
    "mlp-bn":       (1_489_936, 533_505),
    "dcgan":        (2_318_209, 212_865),
    "mlp-deep":     (1_486_352, 533_505),
    "dcgan-rotate": (  747_841,  64_545),
}
MFLOP = {  # for each real image of 28x28 pixels that is shown, all passes of both players; counted anew too
    "pocket":        80.3,
    "pocket-free":   80.5,
    "mlp":            4.6,
    "mlp-bn":        15.8,
    "dcgan":        472.4,
    "mlp-deep":      15.8,
    "dcgan-rotate":  67.5,
}
CLASSIFIER_PARAMETERS = {  # by architecture; counted anew too
    "cnn":           45_458,
    "mlp":          535_818,
    "cnn-dense":    225_034,
    "linear-224": 1_505_290,
    "cnn-normed":   288_170,
    "judge":        223_402,
    "judge-deep":   348_074,
    "tstr":         421_642,
}
# fmt: on


class RecipeRow(NamedTuple):
    """One preset and its cost on MNIST."""

    recipe: Recipe | ClassifierRecipe
    about: str
    parameters: dict[str, int]  # by network
    mflop_per_image: float | None = None  # None for classifiers
    minutes: float | None = None  # that its budget takes on this machine; None where nothing was measured

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def is_pair(self) -> bool:
        """Whether it is of a generator and a discriminator, rather than of a classifier."""
        return isinstance(self.recipe, Recipe)


def recipe_rows(name: str | None = None) -> list[RecipeRow]:
    """A row for each preset, or for those of one name: ``mlp`` is a pair and a classifier. Minutes are not told.

    Raises
    ------
    UsageError
        The name is unknown.
    """
    known = {*GAN_PRESETS, *CLASSIFIER_PRESETS}
    if name is not None and name not in known:
        raise UsageError(f"recipe '{name}' is unknown{nearest(name, known)}")
    rows = []
    for pair in GAN_PRESETS.values():
        counts = dict(zip(("generator", "discriminator"), PARAMETERS[pair.recipe.name], strict=True))
        rows.append(RecipeRow(pair.recipe, pair.about, counts, MFLOP[pair.recipe.name]))
    for classifier in CLASSIFIER_PRESETS.values():
        counts = {"classifier": CLASSIFIER_PARAMETERS[classifier.recipe.architecture]}
        rows.append(RecipeRow(classifier.recipe, classifier.about, counts))
    return [row for row in rows if name in (None, row.name)]
