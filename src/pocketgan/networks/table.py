"""The tables that name the networks. To add a pair, write one file and one row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import nn

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.pixels import MAX_SIDE, MIN_SIDE, PixelRange
from pocketgan.core.rng import seeded
from pocketgan.networks.classifiers import CNN, CNNDense, Judge, Linear224, MLPClassifier, TSTRNetwork
from pocketgan.networks.contracts import Discriminator, Generator, Shape
from pocketgan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from pocketgan.networks.dcgan_rotate import RotateDiscriminator, RotateGenerator
from pocketgan.networks.mlp import MLPDiscriminator, MLPGenerator
from pocketgan.networks.pocket import PocketDiscriminator, PocketFreeGenerator, PocketGenerator
from pocketgan.recipes.sections import ModelConfig


class Pair(NamedTuple):
    """One row of the table: how to build the two networks, and which images they can make."""

    generator: Callable[..., Generator]  # (latent_dim, shape), the number of classes or clusters, the width
    discriminator: Callable[..., Discriminator]  # (shape), and the number of classes or clusters
    conditional: bool = False
    channels: bool = False  # the generator can have another number of them
    clusters: bool = False  # it can learn with clusters of images in the place of classes
    names_classes: bool = False  # the discriminator gives logits of classes, or of clusters in their place
    mixes_images: bool = False  # the discriminator has BatchNorm, so what it says of an image depends on the others
    side_multiple: int = 1  # height and width must be multiples of this,
    side_exact: int | None = None  # or exactly this
    pixels: PixelRange = "signed"  # the range in which both networks see images


# fmt: off
PAIRS: dict[str, Pair] = {
    "mlp":          Pair(partial(MLPGenerator, hidden=(256,)),                             partial(MLPDiscriminator, hidden=(256, 100))),
    "mlp-bn":       Pair(partial(MLPGenerator, hidden=(256, 512, 1024), batch_norm=True),  partial(MLPDiscriminator, hidden=(512, 256))),
    "mlp-deep":     Pair(partial(MLPGenerator, hidden=(256, 512, 1024)),                   partial(MLPDiscriminator, hidden=(512, 256))),
    "dcgan":        Pair(DCGANGenerator,                                                   DCGANDiscriminator, side_multiple=4),
    "dcgan-rotate": Pair(RotateGenerator,                                                  RotateDiscriminator, mixes_images=True, side_exact=28, pixels="unit"),
    "pocket":       Pair(PocketGenerator,                                                  PocketDiscriminator, conditional=True, channels=True, names_classes=True, side_multiple=4),
    "pocket-free":  Pair(PocketFreeGenerator,                                              PocketDiscriminator, channels=True, names_classes=True, clusters=True, side_multiple=4),
}
# fmt: on

CLASSIFIERS: dict[str, Callable[[Shape, int], nn.Module]] = {
    "cnn": CNN,
    "mlp": MLPClassifier,
    "cnn-dense": CNNDense,
    "linear-224": Linear224,
    "judge": Judge,
    "tstr": TSTRNetwork,
}
SMALLEST_SIDE = {"cnn-dense": 10}  # pixels that a classifier needs, where it is more than `MIN_SIDE`


def pair_of(architecture: str) -> Pair:
    """The row of the table with this name.

    Raises
    ------
    UsageError
        There is none.
    """
    if architecture not in PAIRS:
        raise UsageError(f"architecture '{architecture}' is unknown{nearest(architecture, PAIRS)}")
    return PAIRS[architecture]


def check_model(config: ModelConfig, shape: Shape, classes: int) -> None:
    """Refuse a pair that there is not, what it cannot be, and images that it cannot learn.

    Raises
    ------
    UsageError
        The architecture is unknown, it has no clusters or no other number of channels, the sides do not fit, or it needs labels and there
        are none.
    """
    architecture, pair = config.architecture, pair_of(config.architecture)
    if config.clusters and not pair.clusters:
        raise UsageError(f"--clusters: {architecture} learns none; give 0, or a pair that does ({_able('clusters')})")
    if config.channels_g and not pair.channels:
        able = _able("channels")
        raise UsageError(f"--channels-g: {architecture} has its own number; give 0, or a pair that has others ({able})")
    _, height, width = shape
    size = f"{height}x{width}"
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width)):
        raise UsageError(f"images of {size} pixels: sides from {MIN_SIDE} to {MAX_SIDE} are supported; resize them")
    if pair.side_exact and {height, width} != {pair.side_exact}:
        raise UsageError(
            f"{architecture} makes {pair.side_exact}x{pair.side_exact} images only, not {size}; resize them or try 'mlp'"
        )
    if height % pair.side_multiple or width % pair.side_multiple:
        raise UsageError(
            f"{architecture} needs sides that are multiples of {pair.side_multiple}, not {size}; resize them or try 'mlp'"
        )
    if pair.conditional and classes == 0:
        raise UsageError(
            f"{architecture} learns from labels and these images have none; add class folders or try 'pocket-free'"
        )


def build_generator(config: ModelConfig, shape: Shape, classes: int) -> Generator:
    """A generator with fresh weights, drawn from torch's global generator."""
    check_model(config, shape, classes)
    options = {"width": config.channels_g} if config.channels_g else {}
    return pair_of(config.architecture).generator(config.latent_dim, shape, *_groups(config, classes), **options)


def build_discriminator(config: ModelConfig, shape: Shape, classes: int) -> Discriminator:
    """A discriminator with fresh weights, drawn from torch's global generator."""
    check_model(config, shape, classes)
    return pair_of(config.architecture).discriminator(shape, *_groups(config, classes))


def _groups(config: ModelConfig, classes: int) -> list[int]:
    """How many classes, or clusters in their place, a pair is told of; nothing where it knows neither."""
    pair = pair_of(config.architecture)
    return [classes] if pair.conditional else [config.clusters] if config.clusters else []


def _able(what: str) -> str:
    return ", ".join(name for name, pair in PAIRS.items() if getattr(pair, what))


def build_pair(config: ModelConfig, shape: Shape, classes: int, seed: int) -> tuple[Generator, Discriminator]:
    """Both networks with the weights that a seed gives them.

    Parameters
    ----------
    config
        Which pair, and the length of z.
    shape
        Channels, height and width of the images.
    classes
        How many classes their labels have; 0 without labels.
    seed
        Of the run.

    Raises
    ------
    UsageError
        The architecture is unknown or cannot make such images.
    """
    with seeded(seed, "initialisation"):
        return build_generator(config, shape, classes), build_discriminator(config, shape, classes)


def build_classifier(architecture: str, shape: Shape, classes: int, seed: int) -> nn.Module:
    """A classifier with the weights that a seed gives it.

    Raises
    ------
    UsageError
        The architecture is unknown, or the images are too small for it.
    """
    if architecture not in CLASSIFIERS:
        raise UsageError(f"classifier '{architecture}' is unknown{nearest(architecture, CLASSIFIERS)}")
    smallest = SMALLEST_SIDE.get(architecture, MIN_SIDE)
    if min(shape[1:]) < smallest:
        raise UsageError(f"{architecture} reads images with sides of {smallest} pixels or more; try cnn or mlp")
    with seeded(seed, "initialisation"):
        return CLASSIFIERS[architecture](shape, classes)
