"""Architectures: objects that build a recipe's two networks and know what they can be. To add one, write a row.

Lists of layers (the classroom systems' and those of a recipe), the default pair, and a user's own Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.rng import seeded
from pocketgan.networks.contracts import Discriminator, Generator, Shape
from pocketgan.networks.layers import LayerDiscriminator, LayerGenerator
from pocketgan.networks.own import OwnPair, own_pair
from pocketgan.networks.pocket import PocketDiscriminator, PocketFreeGenerator, PocketGenerator
from pocketgan.recipes import Recipe
from pocketgan.recipes.image_options import MAX_SIDE, MIN_SIDE
from pocketgan.recipes.layers import DiscriminatorConfig, GeneratorConfig, Sizes, check_pair
from pocketgan.recipes.pairs import PAIRS


class Architecture(Protocol):
    """A pair of networks that can be built for images of a shape.

    Attributes
    ----------
    extras
        Fields of the recipe's model that only some pairs know: ``clusters``, ``channels_g``.
    empty_on
        Device on which they can be built to be filled: ``meta``, which holds no numbers, or ``cpu``.
    """

    extras: tuple[str, ...]
    empty_on: str

    def check(self, recipe: Recipe, shape: Shape, classes: int) -> None:
        """Refuse images that the networks cannot make, with a `UsageError`."""

    def generator(self, recipe: Recipe, shape: Shape, classes: int) -> Generator:
        """A generator with fresh weights, drawn from torch's global generator."""

    def discriminator(self, recipe: Recipe, shape: Shape, classes: int) -> Discriminator:
        """A discriminator with fresh weights, drawn from torch's global generator."""


class Layers:
    """Two lists of layers."""

    extras: tuple[str, ...] = ()
    empty_on = "meta"

    def __init__(self, generator: GeneratorConfig, discriminator: DiscriminatorConfig) -> None:
        self.configs = generator, discriminator

    def check(self, recipe: Recipe, shape: Shape, classes: int) -> None:
        check_pair(*self.configs, recipe.model.latent_dim, shape, classes)

    def generator(self, recipe: Recipe, shape: Shape, classes: int) -> Generator:
        steps, _ = check_pair(*self.configs, recipe.model.latent_dim, shape, classes)
        return LayerGenerator(self.configs[0], steps, Sizes(*shape, classes))

    def discriminator(self, recipe: Recipe, shape: Shape, classes: int) -> Discriminator:
        _, steps = check_pair(*self.configs, recipe.model.latent_dim, shape, classes)
        return LayerDiscriminator(self.configs[1], steps, Sizes(*shape, classes))


class Pocket:
    """The default pair, with classes or (`free`) with clusters of look-alikes in their stead."""

    empty_on = "meta"

    def __init__(self, free: bool) -> None:
        self.free = free
        self.extras: tuple[str, ...] = ("channels_g", "clusters") if free else ("channels_g",)

    def check(self, recipe: Recipe, shape: Shape, classes: int) -> None:
        _, height, width = shape
        if height % 4 or width % 4:
            raise UsageError(f"it needs sides that are multiples of 4, not {height}x{width}; resize the images")
        if not self.free and classes == 0:
            raise UsageError("it learns from labels and these images have none; add class folders or try 'pocket-free'")

    def generator(self, recipe: Recipe, shape: Shape, classes: int) -> Generator:
        options = {"width": recipe.model.channels_g} if recipe.model.channels_g else {}
        if self.free:
            return PocketFreeGenerator(recipe.model.latent_dim, shape, recipe.model.clusters, **options)
        return PocketGenerator(recipe.model.latent_dim, shape, classes, **options)

    def discriminator(self, recipe: Recipe, shape: Shape, classes: int) -> Discriminator:
        return PocketDiscriminator(shape, recipe.model.clusters if self.free else classes)


class Own:
    """A user's Python. Both networks are built at once, to be tried on each other."""

    extras: tuple[str, ...] = ()
    empty_on = "cpu"  # what a module of a user's does with tensors that have no memory is not known

    def check(self, recipe: Recipe, shape: Shape, classes: int) -> None:
        self.tried(recipe, shape, classes)

    def generator(self, recipe: Recipe, shape: Shape, classes: int) -> Generator:
        return self.tried(recipe, shape, classes).generator

    def discriminator(self, recipe: Recipe, shape: Shape, classes: int) -> Discriminator:
        return self.tried(recipe, shape, classes).discriminator

    def tried(self, recipe: Recipe, shape: Shape, classes: int) -> OwnPair:
        """Both, with what was found out about them."""
        networks, latent_dim, pixels = recipe.model.networks, recipe.model.latent_dim, recipe.model.pixels
        return own_pair(networks or "", latent_dim, pixels, shape, classes, recipe.seed)


ARCHITECTURES: dict[str, Architecture] = {
    "pocket": Pocket(free=False),
    "pocket-free": Pocket(free=True),
    **{name: Layers(*pair) for name, pair in PAIRS.items()},
}


def architecture_of(recipe: Recipe) -> Architecture:
    """The object that builds a recipe's networks.

    Raises
    ------
    UsageError
        The recipe names none that there is.
    """
    name = recipe.model.architecture
    if name == "layers" and recipe.generator is not None and recipe.discriminator is not None:
        return Layers(recipe.generator, recipe.discriminator)
    if name == "python":
        return Own()
    if name not in ARCHITECTURES:
        raise UsageError(f"architecture '{name}' is unknown{nearest(name, ARCHITECTURES)}")
    return ARCHITECTURES[name]


@contextmanager
def _fitting(recipe: Recipe, shape: Shape) -> Iterator[Architecture]:
    """The recipe's architecture, for a block that checks or builds it: what that refuses is told with a remedy."""
    architecture, name = architecture_of(recipe), recipe.model.architecture
    for field in ("clusters", "channels_g"):
        if getattr(recipe.model, field) and field not in architecture.extras:
            able = ", ".join(other for other, row in ARCHITECTURES.items() if field in row.extras)
            raise UsageError(f"--{field.replace('_', '-')}: {name} has none; give 0, or a pair that has ({able})")
    _, height, width = shape
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width)):
        raise UsageError(
            f"images of {height}x{width} pixels: sides from {MIN_SIDE} to {MAX_SIDE} are supported; give --resize N"
        )
    try:
        yield architecture
    except UsageError as error:
        hint = "" if name in ("layers", "python", "mlp") else "; the mlp recipes make images of any size"
        raise UsageError(f"{recipe.name}: {error}{hint}") from error


def build_pair(recipe: Recipe, shape: Shape, classes: int) -> tuple[Generator, Discriminator]:
    """Both networks with the weights that the recipe's seed gives them.

    Parameters
    ----------
    recipe
        Names the pair, or holds its layers; and the length of z.
    shape
        Channels, height and width of the images.
    classes
        How many classes their labels have; 0 without labels.

    Raises
    ------
    UsageError
        As in `settled`.
    """
    with _fitting(recipe, shape) as architecture:
        if isinstance(architecture, Own):
            both = architecture.tried(recipe, shape, classes)
            return both.generator, both.discriminator
        architecture.check(recipe, shape, classes)
        with seeded(recipe.seed, "initialisation"):
            return architecture.generator(recipe, shape, classes), architecture.discriminator(recipe, shape, classes)


class _Undrawn(TorchFunctionMode):
    """Inside it, torch's initialisations leave tensors as they are: on tensors without memory they load a compiler."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


@contextmanager
def _empty(architecture: Architecture) -> Iterator[None]:
    """Build without weights inside the block, where the architecture allows it."""
    if architecture.empty_on == "cpu":
        yield
        return
    with torch.device(architecture.empty_on), _Undrawn():
        yield


def empty_generator(recipe: Recipe, shape: Shape, classes: int) -> Generator:
    """A generator to be filled by ``load_state_dict(..., assign=True)``: no weights are drawn to be thrown away."""
    architecture = architecture_of(recipe)
    with _empty(architecture):
        return architecture.generator(recipe, shape, classes)


def empty_discriminator(recipe: Recipe, shape: Shape, classes: int) -> Discriminator:
    """The same for a discriminator."""
    architecture = architecture_of(recipe)
    with _empty(architecture):
        return architecture.discriminator(recipe, shape, classes)


def settled(recipe: Recipe, shape: Shape, classes: int) -> tuple[Recipe, tuple[str, ...]]:
    """A recipe with what its networks say of themselves: a user's own tell the length of z and the pixels' range.

    Returns
    -------
    tuple
        The recipe, and in words what was found.

    Raises
    ------
    UsageError
        The architecture is unknown, it has no clusters or no other number of channels, a layer does not fit the one
        before or the images, or it needs labels and there are none.
    """
    with _fitting(recipe, shape) as architecture:
        if not isinstance(architecture, Own):
            architecture.check(recipe, shape, classes)
            return recipe, ()
        pair = architecture.tried(recipe, shape, classes)
    model = recipe.model.model_copy(update={"latent_dim": pair.generator.latent_dim, "pixels": pair.pixels})
    return recipe.model_copy(update={"model": model}), pair.notes
