"""What a file of weights leaves open: activations, the pixels' range, how labels join. Each as a change of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, cast, get_args

from pocketgan.core.errors import UsageError
from pocketgan.recipes import Recipe
from pocketgan.recipes.layers import (
    DiscriminatorConfig,
    GeneratorConfig,
    ImageShape,
    LayerConfig,
    NetworkConfig,
)
from pocketgan.recipes.pairs import PAIRS

ACTIVATIONS = ("ReLU", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Softplus", "Tanh", "Sigmoid", "PReLU", "Hardtanh")
RANGES = {"signed": "Tanh", "unit": "Sigmoid"}  # what a generator of this range ends with
SLOPE = 0.2  # of a LeakyReLU that is tried
USUAL = (
    8,
    10,
    16,
    20,
    32,
    50,
    62,
    64,
    96,
    100,
    128,
    200,
    256,
    512,
)  # lengths of z; one that is K more is looked at twice

Coding = Literal["one-hot", "one-hot-first"]
Pixels = Literal["signed", "unit"]


class Choices(NamedTuple):
    """What the user decides; None leaves it as the file or the recipe has it."""

    activation: str | None = None  # of all hidden layers: a layer's name, or LeakyReLU:0.2
    pixels: Pixels | None = None
    conditional: Coding | None = None


AS_IT_IS = Choices()


def choices_of(activation: str | None, pixels: str | None, conditional: str | None) -> Choices:
    """The options of `pocketgan import`, checked.

    Raises
    ------
    UsageError
        One of them is none of its words.
    """
    for option, value, words in (("pixels", pixels, get_args(Pixels)), ("conditional", conditional, get_args(Coding))):
        if value is not None and value not in words:
            raise UsageError(f"--{option} {value} is unknown; give {' or '.join(words)}")
    if activation is not None:
        activation_of(activation)
    return Choices(activation, cast(Pixels | None, pixels), cast(Coding | None, conditional))


class Variant(NamedTuple):
    """Another network of the same shapes."""

    words: str  # what differs
    options: str  # those of `pocketgan import` that choose it
    choices: Choices


def with_lists(recipe: Recipe) -> Recipe | None:
    """The same recipe with its layers written out; None for networks that are no lists."""
    if recipe.generator is not None:
        return recipe
    pair = PAIRS.get(recipe.model.architecture)
    if pair is None:
        return None
    model = recipe.model.model_copy(update={"architecture": "layers"})
    return recipe.model_copy(
        update={"generator": pair.generator, "discriminator": pair.discriminator, "model": model, "name": recipe.name}
    )


def chosen(recipe: Recipe, choices: Choices) -> Recipe:
    """A recipe with what the user decides.

    Raises
    ------
    UsageError
        An activation is unknown, or the recipe's networks are no lists of layers.
    """
    if choices == AS_IT_IS:
        return recipe
    listed = with_lists(recipe)
    if listed is None or listed.generator is None or listed.discriminator is None:
        given = " and ".join(f"--{name}" for name, value in choices._asdict().items() if value)
        raise UsageError(f"{given}: {recipe.model.architecture} says itself what it computes; leave it out")
    generator, discriminator = _table(listed.generator), _table(listed.discriminator)
    if choices.activation is not None:
        layer = activation_of(choices.activation)
        for table in (generator, discriminator):
            last = len(table["layers"]) - 1 if _is_activation(table["layers"][-1]) else len(table["layers"])
            table["layers"] = [
                layer if _is_activation(one) and number < last else one for number, one in enumerate(table["layers"])
            ]
    if choices.pixels is not None:
        generator["pixels"] = choices.pixels
        ends = _type(generator["layers"][-1])
        if ends in RANGES.values():
            generator["layers"][-1] = RANGES[choices.pixels]
        elif not _is_activation(generator["layers"][-1]):
            generator["layers"].append(RANGES[choices.pixels])
    if choices.conditional is not None and not listed.generator.conditional:
        generator["layers"].insert(0, "OneHot")
        first = next((n for n, one in enumerate(discriminator["layers"]) if _type(one) == "Linear"), 0)
        maps = first and _type(discriminator["layers"][0]) != "Flatten"
        discriminator["layers"].insert(0 if maps else first, "OneHot")
    return listed.model_copy(
        update={
            "generator": GeneratorConfig.model_validate(generator),
            "discriminator": DiscriminatorConfig.model_validate(discriminator),
        }
    )


def _table(network: NetworkConfig) -> dict[str, Any]:
    table = network.model_dump()
    return {**table, "layers": list(table["layers"])}


def _type(layer: Any) -> str:
    return str(layer["type"] if isinstance(layer, dict) else layer)


def _is_activation(layer: Any) -> bool:
    return _type(layer) in ACTIVATIONS


def activation_of(words: str) -> str | dict[str, Any]:
    """The layer that ``--activation`` names: ``ReLU``, or ``LeakyReLU:0.3`` with its slope (0.2 without).

    Raises
    ------
    UsageError
        There is none of this name, or the slope is no number from 0 to 1.
    """
    name, _, number = words.partition(":")
    known = {one.lower(): one for one in ACTIVATIONS}
    name = known.get(name.lower().replace("_", "").replace("-", ""), "")
    if not name or (number and name != "LeakyReLU"):
        raise UsageError(f"--activation {words} is unknown; give one of {', '.join(ACTIVATIONS)}, or LeakyReLU:0.2")
    if name != "LeakyReLU":
        return name
    try:
        slope = float(number or SLOPE)
    except ValueError:
        slope = -1.0
    if not 0 <= slope <= 1:
        raise UsageError(f"--activation {words}: the slope of LeakyReLU is a number from 0 to 1, such as {SLOPE}")
    return {"type": "LeakyReLU", "negative_slope": slope}


def others(recipe: Recipe, choices: Choices, classes: int) -> Iterator[Variant]:
    """Networks of the same shapes in what the user has not decided."""
    if recipe.generator is None:
        return
    layers = recipe.generator.layers
    hidden = {_of(layer) for layer in layers[:-1] if _is_activation(layer.type)}
    if choices.activation is None and hidden:
        for name in ("ReLU", f"LeakyReLU:{SLOPE}", "LeakyReLU:0.01"):
            if hidden != {name}:
                yield Variant(f"{name} in its hidden layers", f"--activation {name}", choices._replace(activation=name))
    if choices.pixels is None and (layers[-1].type in RANGES.values() or not _is_activation(layers[-1].type)):
        for pixels, name in RANGES.items():
            if layers[-1].type != name:
                option: Any = pixels
                yield Variant(f"{name} at its end", f"--pixels {pixels}", choices._replace(pixels=option))
    length = recipe.model.latent_dim
    wider = 1 < classes < length and length - classes in USUAL and length not in USUAL
    if wider and choices.conditional is None and not recipe.generator.conditional:
        codings: tuple[tuple[Coding, str], ...] = (("one-hot", "behind"), ("one-hot-first", "before"))
        for coding, place in codings:
            words = f"labels one-hot {place} {length - classes} numbers of z"
            yield Variant(words, f"--conditional {coding}", choices._replace(conditional=coding))


def _of(layer: LayerConfig) -> str:
    slope = getattr(layer, "negative_slope", None)
    return layer.type if slope is None else f"{layer.type}:{slope:g}"


def in_words(recipe: Recipe) -> list[str]:
    """What a recipe's generator takes for granted that no file of weights says."""
    if recipe.generator is None:
        return [f"the layers of {recipe.model.architecture}"]
    layers, said = recipe.generator.layers, []
    hidden = list(dict.fromkeys(_of(layer) for layer in layers[:-1] if _is_activation(layer.type)))
    said.append(f"{', '.join(hidden) or 'no activation'} between its layers")
    end = layers[-1].type if _is_activation(layers[-1].type) else "no activation"
    said.append(f"{end} at its end, pixels in {'[-1, 1]' if recipe.generator.pixels == 'signed' else '[0, 1]'}")
    eps = list(dict.fromkeys(f"{value:g}" for layer in layers if (value := getattr(layer, "eps", None)) is not None))
    if eps:
        said.append(f"normalisation with eps {', '.join(eps)}")
    said.append(
        f"z of {recipe.model.latent_dim} numbers, {'with' if recipe.generator.conditional else 'without'} labels"
    )
    return said


def stand_in(role: str, image: ImageShape, conditional: bool) -> dict[str, Any]:
    """The smallest network that a recipe can name for a role whose file has not come yet."""
    joined = ["OneHot"] if conditional else []
    if role == "discriminator":
        return {"layers": ["Flatten", *joined, {"type": "Linear", "out_features": 1}]}
    return {"layers": [*joined, {"type": "Linear", "out_features": "C*H*W"}, "Tanh"]}
