"""Recipes: frozen, validated descriptions of one training. Imports no torch.

A value is born as a default in its section, replaced by a preset, then by a TOML file, then by an option; it is
validated once and written into the run.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from pocketgan.core.config import Config
from pocketgan.recipes.layers import DiscriminatorConfig, GeneratorConfig
from pocketgan.recipes.sections import DataConfig, ModelConfig, ObjectiveConfig, OptimizerConfig, ScheduleConfig

FORMAT_VERSION = 1


class Recipe(Config):
    """One training of a generator and a discriminator. With its data, it fixes every byte of the result."""

    format_version: Literal[1] = 1
    kind: Literal["gan"] = "gan"
    name: str = Field(default="custom", description="what the run calls itself")
    seed: int = Field(default=0, ge=0, lt=2**63, description="seed of every random number in the training")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig(epochs=5)
    generator: GeneratorConfig | None = Field(default=None, description="its layers, where they are given here")
    discriminator: DiscriminatorConfig | None = Field(default=None, description="its layers, where they are given here")

    @model_validator(mode="after")
    def _has_its_layers(self) -> Recipe:
        given = (self.generator is not None) + (self.discriminator is not None)
        if self.model.architecture == "layers" and given < 2:
            raise ValueError("the layers of generator and discriminator are needed; write both tables")
        if self.model.architecture != "layers" and given:
            raise ValueError(f"architecture '{self.model.architecture}' has layers of its own; leave it out")
        if (self.model.architecture == "python") != (self.model.networks is not None):
            raise ValueError("architecture 'python' needs its file; give --networks FILE")
        return self

    def changed(self, section: str, **fields: Any) -> Recipe:
        """The same with other values, unchecked, in one section."""
        return self.model_copy(update={section: getattr(self, section).model_copy(update=fields)})


class ClassifierRecipe(Config):
    """One training of a classifier: cross-entropy, pixels in [0, 1]."""

    format_version: Literal[1] = 1
    kind: Literal["classifier"] = "classifier"
    name: str = Field(default="custom", description="what the run calls itself")
    seed: int = Field(default=0, ge=0, lt=2**63, description="seed of every random number in the training")
    source: str = Field(default="mnist", description=DataConfig.model_fields["source"].description)
    split: Literal["train", "fit"] = Field(default="train", description=DataConfig.model_fields["split"].description)
    architecture: str = Field(default="cnn", description="the network, named as its preset")
    epochs: int = Field(default=5, ge=1, description="budget, in passes over the data")
    batch_size: int = Field(default=128, ge=2, le=65536, description="images in a step")
    lr: float = Field(default=1e-3, gt=0, le=1, description="learning rate of Adam, per step")
    eps: float = Field(default=1e-8, gt=0, description=OptimizerConfig.model_fields["eps"].description)
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a weight taken away per step, times lr: AdamW (Loshchilov & Hutter 2019)",
    )
    one_cycle: bool = Field(default=False, description="the rate climbs to lr and falls to 0 (PyTorch's OneCycleLR)")
    drop_last: bool = Field(default=False, description="leave out an epoch's last, incomplete batch")
    rotate: float = Field(
        default=0.0, ge=0, le=180, description="turn images at random by up to so many degrees each way"
    )
    scale: float = Field(
        default=0.0, ge=0, lt=1, description="enlarge or shrink images at random by up to this share of their size"
    )
    shift: float = Field(
        default=0.0, ge=0, le=16, description="shift images at random by up to so many pixels each way"
    )


RecipeT = TypeVar("RecipeT", Recipe, ClassifierRecipe)
