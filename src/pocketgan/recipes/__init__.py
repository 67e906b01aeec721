"""What one training is: recipes with their sections, presets, and how a name, a file and options become one.

Imports no torch.
"""

from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions
from pocketgan.recipes.presets import CLASSIFIER_PRESETS, GAN_PRESETS, Preset
from pocketgan.recipes.recipe import (
    ClassifierRecipe,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    Recipe,
    ScheduleConfig,
)
from pocketgan.recipes.resolve import (
    BUDGETS,
    classifier_recipe,
    field_places,
    gan_recipe,
    image_options,
    read_recipe,
    rebuild_command,
    recipe_toml,
    write_recipe,
)

__all__ = [
    "AS_THEY_ARE",
    "BUDGETS",
    "CLASSIFIER_PRESETS",
    "GAN_PRESETS",
    "ClassifierRecipe",
    "DataConfig",
    "ImageOptions",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "Preset",
    "Recipe",
    "ScheduleConfig",
    "classifier_recipe",
    "field_places",
    "gan_recipe",
    "image_options",
    "read_recipe",
    "rebuild_command",
    "recipe_toml",
    "write_recipe",
]
