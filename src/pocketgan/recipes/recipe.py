"""Recipes: frozen, validated descriptions of one training, section by section. Imports no torch.

A value is born as a default in its section, replaced by a preset, then by a TOML file, then by an option; it is
validated once and written into the run.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from pocketgan.core.config import Config
from pocketgan.recipes.image_options import ImageOptions
from pocketgan.recipes.layers import DiscriminatorConfig, GeneratorConfig

FORMAT_VERSION = 1


class DataConfig(ImageOptions):
    """The images a network is trained on, and how they reach it."""

    source: str = Field(
        default="mnist",
        description="a data set by name, or a path: a folder of pictures (or a ZIP or TAR of one), an NPZ, NPY or IDX "
        "file",
    )
    split: Literal["train", "fit"] = Field(
        default="train", description="all training images, or the five sixths of them that leave val out"
    )
    underrepresented: float = Field(
        default=0.0,
        ge=0,
        le=0.9,
        description="share of each batch drawn again from images that fakes come least near to (Lee et al. 2021)",
    )
    rotate: float = Field(
        default=0.0, ge=0, le=180, description="real images are turned at random by up to so many degrees each way"
    )


class ModelConfig(Config):
    """A pair of networks, named as in the table of `pocketgan.models`."""

    architecture: str = Field(
        default="pocket",
        description="the pair of networks, named as its preset; layers: this recipe's own; python: a Python file's",
    )
    networks: str | None = Field(
        default=None,
        description="a Python file with a Generator and a Discriminator (torch.nn.Module); kept by its sha256",
    )
    pixels: Literal["signed", "unit"] | None = Field(
        default=None, description="of python: range of the images, [-1, 1] or [0, 1]; found by what the generator makes"
    )
    start_from: str | None = Field(
        default=None,
        description="a run or model whose weights the training begins with; kept by their sha256",
    )
    latent_dim: int = Field(default=64, ge=1, le=4096, description="numbers in a latent z")
    channels_g: int = Field(
        default=0,
        ge=0,
        le=512,
        multiple_of=8,
        description="channels of the generator at its widest, a multiple of 8; 0: its own number",
    )
    clusters: int = Field(
        default=0, ge=0, le=1024, description="how many groups of look-alike images stand in for labels; 0: none"
    )


class ObjectiveConfig(Config):
    """The loss, named as in the table of `pocketgan.objectives.losses`, what is added to it, and the updates' order."""

    loss: str = Field(
        default="bce",
        description="adversarial loss, with what its paper adds to it: bce, relativistic, saturating, lsgan, wgan, "
        "wgan-gp, hinge or dragan",
    )
    halves: Literal["sum", "mean"] = Field(
        default="sum", description="how the discriminator's losses on real and on fake images are joined"
    )
    updates: Literal["alternating", "simultaneous"] = Field(
        default="alternating", description="simultaneous: the generator learns from the discriminator as it was before"
    )
    fresh_latents: bool = Field(
        default=False, description="draw new latents for the generator's update (alternating only)"
    )
    r1: float = Field(
        default=0.0, ge=0, description="gamma of the gradient penalty on real images (Mescheder et al. 2018)"
    )
    r1_every: int = Field(
        default=1, ge=1, description="steps from one such penalty to the next, each that much stronger (lazy)"
    )
    r1_target: float = Field(
        default=0.0, ge=0, description="discriminator's loss, in nats, that a growing r1 keeps up; 0: r1 is constant"
    )
    gp: float = Field(
        default=0.0,
        ge=0,
        description="lambda of the penalty on slopes other than 1 between real and fake images (Gulrajani et al. 2017)",
    )
    dragan: float = Field(default=0.0, ge=0, description="lambda of the same around real images (Kodali et al. 2017)")
    clip: float = Field(
        default=0.0,
        ge=0,
        description="most that a weight of the discriminator may be, either way (Arjovsky et al. 2017); 0: any",
    )
    n_critic: int = Field(
        default=1,
        ge=1,
        le=100,
        description="steps of the discriminator for one of the generator; the budget counts the images of all of them",
    )
    class_weight: float = Field(
        default=0.0, ge=0, description="weight of naming the classes in both players' losses (Odena et al. 2017)"
    )

    @model_validator(mode="after")
    def _has_what_grows(self) -> ObjectiveConfig:
        if self.r1_target and not self.r1:
            raise ValueError("r1_target needs an r1 to begin with, such as 0.1; or give 0")
        return self

    @model_validator(mode="after")
    def _fits_the_updates(self) -> ObjectiveConfig:
        if self.updates == "simultaneous":
            given = {name: getattr(self, name) for name in ("fresh_latents", "r1", "gp", "dragan", "class_weight")}
            for name, value in {**given, "n_critic": self.n_critic > 1}.items():
                if value:
                    raise ValueError(f"{name} needs alternating updates")
        return self


class OptimizerConfig(Config):
    """Adam (Kingma & Ba 2015) for both players."""

    lr_g: float = Field(default=2e-4, gt=0, le=1, description="learning rate of the generator, per step")
    lr_d: float = Field(default=2e-4, gt=0, le=1, description="learning rate of the discriminator, per step")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the first moment, per step")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="decay of the second moment, per step")
    eps: float = Field(
        default=1e-8, gt=0, description="added to the root of the second moment; 1e-8 is PyTorch's, 1e-7 Keras'"
    )
    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="fp32",
        description="bf16: products in bf16, weights and losses in fp32; auto: so where bf16 is native, else fp32",
    )


class ScheduleConfig(Config):
    """How long a training lasts and what happens along it. Counted in real images shown (nimg)."""

    batch_size: int = Field(default=128, ge=2, le=65536, description="real images in a step")
    shards: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="parts of a batch that are learned from apart and added up, a power of two, for as many processes",
    )
    epochs: float | None = Field(default=None, gt=0, description="budget, in passes over the data")
    nimg: int | None = Field(default=None, gt=0, description="budget, in real images shown")
    minutes: float | None = Field(
        default=None, gt=0, description="budget, in minutes of training, turned into nimg once at the start"
    )
    lr_hold: float = Field(
        default=1.0, ge=0, le=1, description="share of the budget at the full rate, which then falls to 0"
    )
    ema_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="half-life of the generator's moving average, as a share of the budget; 0: none",
    )
    until_good: bool = Field(
        default=False, description="stop earlier, at the epoch whose samples a guide reads as surely as real images"
    )
    guide: str = Field(
        default="guide", description="that guide: the shipped one for MNIST's digits, or a trained classifier's folder"
    )
    sample_every: int = Field(
        default=5, ge=1, description="epochs from one sample grid to the next, after one at each of epochs 1 to 5"
    )

    @model_validator(mode="after")
    def _one_budget(self) -> ScheduleConfig:
        given = [name for name in ("epochs", "nimg", "minutes") if getattr(self, name) is not None]
        if len(given) != 1 and given != ["nimg", "minutes"]:  # a budget in minutes keeps both once it is resolved
            raise ValueError(f"give one budget: epochs, nimg or minutes (given: {', '.join(given) or 'none'})")
        return self

    @model_validator(mode="after")
    def _shares_its_batch(self) -> ScheduleConfig:
        if self.shards & (self.shards - 1):
            raise ValueError(f"shards is {self.shards}; give a power of two, such as 2 or 4")
        if self.batch_size % self.shards or self.batch_size // self.shards < 2:
            raise ValueError(
                f"a batch of {self.batch_size} cannot be shared by {self.shards} shards of two images and more each; "
                "give fewer shards, or a batch_size that is a multiple"
            )
        return self

    def total_nimg(self, images: int) -> int:
        """The budget in images, rounded up to whole batches, for a set of `images`. A budget in minutes has none."""
        if self.nimg is not None:
            wanted = self.nimg
        elif self.epochs is not None:
            wanted = max(1, round(self.epochs * images))
        else:
            raise ValueError("a budget in minutes must be turned into nimg first")
        return -(-wanted // self.batch_size) * self.batch_size


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


class ClassifierRecipe(ImageOptions):
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
    flip: bool = Field(default=False, description="mirror half of the images, left to right")
    translate: int = Field(
        default=0,
        ge=0,
        le=7,
        description="shift images at random by up to so many whole pixels each way, what comes in mirrored",
    )
    cutout: int = Field(
        default=0,
        ge=0,
        le=32,
        description="hide a square of this side at a random place (DeVries & Taylor 2017); 0: none",
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of each label that is spread over all classes (Szegedy et al. 2016)"
    )
    average: float = Field(
        default=0.0, ge=0, lt=1, description="what the weights' moving average keeps in a step; 0: the last weights"
    )
    precision: Literal["fp32", "auto"] = Field(
        default="fp32",
        description="of the products in training; auto is bf16 where the processor multiplies it natively",
    )


RecipeT = TypeVar("RecipeT", Recipe, ClassifierRecipe)
