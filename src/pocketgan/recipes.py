"""Recipes: frozen, validated descriptions of one training, and the tables of presets. Imports no torch.

A value is born as a default in the room that uses it, replaced by a preset, then by a TOML file, then by an option; it
is validated once, here, and written into the run.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import tomli_w
from pydantic import Field, ValidationError

from pocketgan.core.config import Config, complaint
from pocketgan.core.errors import PocketganError, UsageError, nearest
from pocketgan.core.files import check_version, read_bytes, write_text
from pocketgan.data.config import DataConfig
from pocketgan.models.config import ModelConfig
from pocketgan.objectives.config import ObjectiveConfig
from pocketgan.training.config import OptimizerConfig, ScheduleConfig

FORMAT_VERSION = 1
MAX_RECIPE_BYTES = 64 << 10  # of a TOML file; a recipe has about one thousand


class Recipe(Config):
    """One training of a generator and a discriminator. With its data, it fixes every byte of the result."""

    format_version: Literal[1] = 1
    kind: Literal["gan"] = "gan"
    name: str = Field(default="custom", description="what the run calls itself")
    seed: int = Field(default=0, ge=0, lt=2**63, description="of every random number in the training")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig(epochs=5)


class ClassifierRecipe(Config):
    """One training of a classifier: cross-entropy, pixels in [0, 1]."""

    format_version: Literal[1] = 1
    kind: Literal["classifier"] = "classifier"
    name: str = Field(default="custom", description="what the run calls itself")
    seed: int = Field(default=0, ge=0, lt=2**63, description="of every random number in the training")
    source: str = Field(default="mnist", description=DataConfig.model_fields["source"].description)
    split: Literal["train", "fit"] = Field(default="train", description=DataConfig.model_fields["split"].description)
    architecture: str = Field(default="cnn", description="the network, named as its preset")
    epochs: int = Field(default=5, ge=1, description="budget in passes over the data")
    batch_size: int = Field(default=128, ge=2, le=65536, description="images in a step")
    lr: float = Field(default=1e-3, gt=0, le=1, description="learning rate")
    eps: float = Field(default=1e-8, gt=0, description="PyTorch's default; Keras has 1e-7")
    weight_decay: float = Field(
        default=0.0, ge=0, le=1, description="decoupled, as AdamW has it (Loshchilov & Hutter 2019)"
    )
    one_cycle: bool = Field(default=False, description="the rate climbs to lr and falls to 0 (PyTorch's OneCycleLR)")
    drop_last: bool = Field(default=False, description="leave out an epoch's last, incomplete batch")
    rotate: float = Field(default=0.0, ge=0, le=180, description="turn images by up to so many degrees each way")
    scale: float = Field(default=0.0, ge=0, lt=1, description="enlarge or shrink them by up to this share")
    shift: float = Field(default=0.0, ge=0, le=16, description="shift them by up to so many pixels")


RecipeT = TypeVar("RecipeT", Recipe, ClassifierRecipe)


class Preset(NamedTuple):
    """One row of a table of presets."""

    recipe: Recipe | ClassifierRecipe
    about: str  # what it is, and what was chosen where an original leaves a thing open


def _gan(name: str, **sections: Any) -> Recipe:
    return Recipe.model_validate({"name": name, **sections})


# fmt: off
_GANS: list[tuple[Recipe, str]] = [
    (_gan("pocket",
        data={"underrepresented": 0.17},
        model={"architecture": "pocket", "latent_dim": 64},
        objective={"loss": "relativistic", "r1": 0.1, "r1_every": 8, "r1_target": 0.57, "class_weight": 0.2},
        optimizer={"lr_g": 2e-3, "lr_d": 2e-3, "beta1": 0.0, "beta2": 0.99, "precision": "auto"},
        schedule={"batch_size": 128, "epochs": 8, "lr_hold": 0.5, "ema_share": 0.06}),
     "The default: a small residual, convolutional, conditional pair: relativistic loss, lazy R1 on real images that grows "
     "where the discriminator learns them by heart, a projection and an auxiliary class head, no momentum, a moving average of the generator and a rate that falls over the last half; "
     "both follow the budget. From the fourth epoch on a sixth of each batch comes from the images that fakes come least near "
     "to. Fakes carry the labels of the real batch. Products are in bf16 where the processor has it."),
    (_gan("pocket-free",
        model={"architecture": "pocket-free", "latent_dim": 64, "clusters": 64},
        objective={"loss": "relativistic", "r1": 0.1, "r1_every": 8, "class_weight": 0.2},
        optimizer={"lr_g": 2e-3, "lr_d": 2e-3, "beta1": 0.0, "beta2": 0.99, "precision": "auto"},
        schedule={"batch_size": 128, "epochs": 28, "lr_hold": 0.2, "ema_share": 0.06}),
     "The default without labels: 64 clusters of images that look alike, found by k-means before the training, take the "
     "place of classes inside. From outside it is unconditional: the first 16 numbers of z choose the cluster."),
    (_gan("mlp",
        model={"architecture": "mlp", "latent_dim": 100},
        objective={"fresh_latents": True},
        schedule={"batch_size": 100, "epochs": 100}),
     "Original A: 100-256-784 against 784-256-100-1, told to train \"until indistinguishable\". Left open and chosen: "
     "Adam at 2e-4 with PyTorch's betas, batch 100, 100 epochs (or --until-good), new latents for the generator's step, "
     "discriminator losses added.", ),
    (_gan("mlp-bn",
        model={"architecture": "mlp-bn", "latent_dim": 100},
        optimizer={"beta1": 0.5},
        schedule={"batch_size": 64, "epochs": 50}),
     "Original B: BatchNorm in the generator, LeakyReLU, BCE, 50 epochs. Left open and chosen: widths 256-512-1024 and "
     "512-256, slope 0.2, Adam at 2e-4 with beta1 0.5, batch 64 (its classifier's summed losses fit 938 batches an epoch)."),
    (_gan("dcgan",
        model={"architecture": "dcgan", "latent_dim": 100},
        objective={"updates": "simultaneous"},
        optimizer={"eps": 1e-7, "precision": "auto"},
        schedule={"batch_size": 128, "epochs": 50}),
     "Original C: TensorFlow's DCGAN with Keras' defaults; both players learn from one pass over the same fakes. Left "
     "open and chosen: dropout 0.3, as in the tutorial it follows. Products are in bf16 where the processor has it (--precision fp32 is the original's)."),
    (_gan("mlp-deep",
        model={"architecture": "mlp-deep", "latent_dim": 100},
        schedule={"batch_size": 64, "epochs": 60}),
     "Original D: four linear layers against three, 60 epochs. Left open and chosen: widths 256-512-1024 and 512-256, "
     "slope 0.2, PyTorch's betas, the same latents for both steps."),
    (_gan("dcgan-rotate",
        data={"rotate": 20},
        model={"architecture": "dcgan-rotate", "latent_dim": 64},
        objective={"halves": "mean", "fresh_latents": True},
        optimizer={"beta1": 0.5, "beta2": 0.99, "precision": "auto"},
        schedule={"batch_size": 128, "epochs": 20}),
     "Original E: a small unpadded pair whose generator ends in ReLU, on randomly turned digits, convolutions and "
     "BatchNorm drawn from N(0, 0.02). Left open and chosen: turns of up to 20 degrees and the filters of the course it "
     "follows (256-128-64 and 16-32-64), discriminator losses averaged, and a last bias that begins at 0: PyTorch's own "
     "beginning makes half the seeds black for good and leaves the others a grey background. Products are in bf16 where "
     "the processor has it (--precision fp32 is the original's)."),
]

_CLASSIFIERS: list[tuple[ClassifierRecipe, str]] = [
    (ClassifierRecipe(name="cnn", architecture="cnn", epochs=5),
     "Original A's: two 5x5 convolutions (36, 32), 45,458 parameters. Left open and chosen: Adam at 1e-3, batch 128, 5 epochs."),
    (ClassifierRecipe(name="mlp", architecture="mlp", epochs=5, batch_size=64),
     "Original B's \"fully connected\" network, 5 epochs, reported as it comes (its author's 98.98 % looks like a "
     "convolutional network's). Left open and chosen: widths 512 and 256, Adam at 1e-3, batch 64."),
    (ClassifierRecipe(name="cnn-dense", architecture="cnn-dense", epochs=5, eps=1e-7),
     "Original C's: two convolutions and two dense layers, 5 epochs. Left open and chosen: 3x3 filters 32 and 64, 128 "
     "units, Keras' Adam, batch 128."),
    (ClassifierRecipe(name="linear-224", architecture="linear-224", epochs=5, batch_size=64),
     "Original D's: one linear layer on images turned to 3 channels and 224x224. Left open and chosen: bilinear resizing, "
     "Adam at 1e-3, batch 64, 5 epochs."),
    (ClassifierRecipe(name="judge", architecture="judge", split="fit", epochs=14, lr=4e-3, weight_decay=0.01, one_cycle=True,
        rotate=10, scale=0.1, shift=1.5),
     "The network that scores, and does nothing else: four convolutions with BatchNorm, 128 features, learned from `fit` "
     "so that neither `val` nor the test images are known to it."),
    (ClassifierRecipe(name="tstr", architecture="tstr", epochs=5, lr=2e-3, weight_decay=0.01, one_cycle=True, drop_last=True),
     "The learner of tstr (train on synthetic, test on real): two 3x3 convolutions, 128 units, dropout 0.3, AdamW, one cycle."),
]
# fmt: on

GAN_PRESETS: dict[str, Preset] = {recipe.name: Preset(recipe, about) for recipe, about in _GANS}
CLASSIFIER_PRESETS: dict[str, Preset] = {recipe.name: Preset(recipe, about) for recipe, about in _CLASSIFIERS}

BUDGETS = ("epochs", "nimg", "minutes")


def gan_recipe(start: str | Recipe, options: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe for a pair: a preset's name or a TOML file, with `options` laid over it.

    Parameters
    ----------
    start
        The name of a preset, a path that ends in ``.toml``, or a recipe. A file may start from a preset
        (``preset = "dcgan"``).
    options
        Field names, bare (``lr_g``) or dotted (``optimizer.lr_g``), with ``-`` or ``_``; values as text or as what they are.

    Raises
    ------
    UsageError
        The name, a field or a value is wrong; the line gives the nearest right one.
    PocketganError
        The file cannot be read.
    """
    return _resolve(Recipe, GAN_PRESETS, start, options or {})


def classifier_recipe(start: str | ClassifierRecipe, options: Mapping[str, Any] | None = None) -> ClassifierRecipe:
    """A recipe for a classifier; as `gan_recipe`."""
    return _resolve(ClassifierRecipe, CLASSIFIER_PRESETS, start, options or {})


def read_recipe(kind: type[RecipeT], path: Path) -> RecipeT:
    """The recipe in a TOML file that the program wrote."""
    return _resolve(kind, {}, str(path), {})


def recipe_toml(recipe: Recipe | ClassifierRecipe) -> str:
    """A recipe as TOML; a budget that is not given is left out."""
    return tomli_w.dumps(recipe.model_dump(exclude_none=True))


def write_recipe(recipe: Recipe | ClassifierRecipe, path: Path) -> None:
    """Write a recipe so that `gan_recipe(path)` gives it back."""
    write_text(path, recipe_toml(recipe))


def rebuild_command(recipe: Recipe) -> str:
    """The command that trains by this recipe: its preset and what differs from it, or its file where it has no preset.

    The same machine, versions and threads give the same bytes; a budget in minutes is told in images.
    """
    if recipe.name not in GAN_PRESETS:
        return "pocketgan train recipe.toml"
    start, words = GAN_PRESETS[recipe.name].recipe.model_dump(), ["pocketgan", "train", recipe.name]
    values = recipe.model_dump(exclude_none=True)
    if recipe.schedule.nimg is not None:
        values["schedule"].pop("minutes", None)
    for field, (section, _) in field_places(Recipe).items():
        value = (values[section] if section else values).get(field)
        if value is None or value == (start[section] if section else start)[field]:
            continue
        option = "data" if field == "source" else field.replace("_", "-")
        words += [f"--{option}"] if field == "until_good" else [f"--{option}", str(value)]
    return shlex.join(words)


def _resolve(
    kind: type[RecipeT], presets: Mapping[str, Preset], start: str | RecipeT, options: Mapping[str, Any]
) -> RecipeT:
    origin = ""
    if not isinstance(start, str):
        values = start.model_dump(exclude_none=True)
    elif start.endswith(".toml"):
        values, origin = _read_toml(Path(start)), f"{start}: "
        preset = values.pop("preset", None)
        if preset is not None:
            if not isinstance(preset, str) or preset not in presets:
                raise UsageError(f"{start}: preset '{preset}' is unknown{nearest(str(preset), presets)}")
            values = _laid_over(presets[preset].recipe.model_dump(exclude_none=True), values)
    elif start in presets:
        values = presets[start].recipe.model_dump(exclude_none=True)
    else:
        raise UsageError(f"recipe '{start}' is unknown{nearest(start, presets)} (or give a .toml file)")
    nested: dict[str, Any] = {}
    for option, value in options.items():
        section, field = _place_of(kind, option)
        (nested.setdefault(section, {}) if section else nested)[field] = value
    try:
        return kind.model_validate(_laid_over(values, nested))
    except ValidationError as error:
        raise UsageError(origin + _first_complaint(kind, error)) from error


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise UsageError(f"recipe file {path} is missing")
    try:
        values = tomllib.loads(read_bytes(path, MAX_RECIPE_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PocketganError(f"recipe file {path} is not readable as TOML ({error})") from error
    if "format_version" in values:
        check_version(path, values, FORMAT_VERSION)
    return values


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested tables as one, `above` winning. A budget above puts away the budgets below."""
    merged = dict(below)
    if any(budget in above for budget in BUDGETS):
        merged = {name: value for name, value in merged.items() if name not in BUDGETS}
    for name, value in above.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = _laid_over(old, value) if both else value  # type: ignore[arg-type]
    return merged


def field_places(kind: type[Recipe] | type[ClassifierRecipe]) -> dict[str, tuple[str, str]]:
    """Every field that an option can set: its bare name to (section, field); section "" at the top level."""
    places: dict[str, tuple[str, str]] = {}
    for name, info in kind.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, Config):
            places |= {field: (name, field) for field in section.model_fields}
        elif name not in ("format_version", "kind"):
            places[name] = ("", name)
    return places


def _place_of(kind: type[Recipe] | type[ClassifierRecipe], option: str) -> tuple[str, str]:
    places = field_places(kind)
    bare = option.replace("-", "_").rpartition(".")[2]
    dotted = option.replace("-", "_")
    if bare not in places or ("." in dotted and dotted != ".".join(places[bare])):
        shown = {f"--{name.replace('_', '-')}" for name in places}
        raise UsageError(
            f"option --{option.replace('_', '-')} is unknown{nearest('--' + bare.replace('_', '-'), shown)}"
        )
    return places[bare]


def _first_complaint(kind: type[Recipe] | type[ClassifierRecipe], error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        name = ".".join(str(part) for part in first["loc"])
        known = {".".join(part for part in where if part): None for where in field_places(kind).values()}
        return f"field '{name}' is unknown{nearest(name, known)}"
    return complaint(error)
