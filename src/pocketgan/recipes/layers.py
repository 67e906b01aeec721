"""Networks as lists of layers, by PyTorch's names: data that can be shared, checked, trained and exported.

A list says nothing of input sizes: they follow from the layer before. Sizes are numbers, or products and quotients of
``C``, ``H``, ``W`` (an image's channels, height and width) and ``K`` (the classes), such as ``"C*H*W"`` or ``"H/4"``.
Shapes are worked out here, without torch; `pocketgan.networks.layers` makes the modules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field, ValidationError, model_serializer, model_validator

from pocketgan.core.config import Config, complaint
from pocketgan.core.errors import UsageError, nearest

Shape = tuple[int, ...]  # of what one image has become: [features], or [channels, height, width]
ImageShape = tuple[int, int, int]  # channels, height, width

MOST_VALUES = 1 << 24  # in one layer's output for one image; more is taken for a mistake
MOST_LAYERS = 200


class MisfitError(Exception):
    """A layer cannot take what it is given. The text says why, and what helps."""


class Sizes(NamedTuple):
    """What the letters in a size stand for."""

    channels: int
    height: int
    width: int
    classes: int

    def of(self, size: int | str) -> int:
        """The number that a size stands for, at least 1.

        Raises
        ------
        MisfitError
            A quotient is no whole number, or the size is 0.
        """
        if isinstance(size, int):
            return size
        letters = {"C": self.channels, "H": self.height, "W": self.width, "K": self.classes}
        value = 1
        for sign, word in re.findall(r"([*/]?)(\w+)", size):
            number = letters[word] if word in letters else int(word)
            if sign != "/":
                value *= number
            elif value % number:
                raise MisfitError(
                    f"{size} is no whole number for images of {self.height}x{self.width} pixels; resize them so that "
                    f"their sides are multiples of {number}"
                )
            else:
                value //= number
        if value < 1:
            raise MisfitError(f"{size} is 0, since these images have no classes; give images with labels")
        return value


Size = (
    Annotated[int, Field(ge=1, le=MOST_VALUES)]
    | Annotated[str, Field(pattern=r"^(\d{1,7}|[CHWK])([*/](\d{1,7}|[CHWK]))*$", max_length=40)]
)
Sides = Annotated[int, Field(ge=1, le=64)]
Padding = Annotated[int, Field(ge=0, le=64)] | Literal["same"]
Order = Literal["channels-first", "channels-last"]


class LayerConfig(Config):
    """One layer. `name` is what its weights are called in files; without it its position in the list."""

    FLAT: ClassVar[bool | None] = None  # it takes vectors (True), maps (False) or both (None)

    type: str
    name: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")

    @model_serializer(mode="plain")
    def _short(self) -> str | dict[str, Any]:
        """As a person would write it: only what differs from the defaults, and the type alone where nothing does."""
        own = {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value
            for name, field in type(self).model_fields.items()
            if name not in ("type", "name") and getattr(self, name) != field.default
        }
        own |= {"name": self.name} if self.name else {}
        return {"type": self.type, **own} if own else self.type

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        """The shape that this layer makes of `given`.

        Raises
        ------
        MisfitError
            It cannot take that shape.
        """
        return given


class Linear(LayerConfig):
    FLAT = True
    type: Literal["Linear"]
    out_features: Size
    bias: bool = True
    zero_bias: bool = False  # the bias begins at 0
    spectral_norm: bool = False

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        return (sizes.of(self.out_features),)


class Conv2d(LayerConfig):
    FLAT = False
    type: Literal["Conv2d"]
    out_channels: Size
    kernel_size: Sides
    stride: Sides = 1
    padding: Padding = 0  # "same" as Keras has it: the sides are divided by the stride and rounded up
    bias: bool = True
    zero_bias: bool = False
    spectral_norm: bool = False

    def pads(self, side: int) -> tuple[int, int]:
        """Pixels added before and after a side."""
        if self.padding != "same":
            return self.padding, self.padding
        total = max((-(-side // self.stride) - 1) * self.stride + self.kernel_size - side, 0)
        return total // 2, total - total // 2

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        def side(length: int) -> int:
            padded = length + sum(self.pads(length))
            if padded < self.kernel_size:
                raise MisfitError(f"its kernel of {self.kernel_size} is larger than the map; make it smaller, or pad")
            return (padded - self.kernel_size) // self.stride + 1

        return sizes.of(self.out_channels), side(given[1]), side(given[2])


class ConvTranspose2d(LayerConfig):
    FLAT = False  # a vector is taken as a map of one pixel
    type: Literal["ConvTranspose2d"]
    out_channels: Size
    kernel_size: Sides
    stride: Sides = 1
    padding: Padding = 0  # "same" as Keras has it: the sides are multiplied by the stride
    output_padding: Annotated[int, Field(ge=0, le=63)] = 0
    bias: bool = True
    zero_bias: bool = False
    spectral_norm: bool = False

    @model_validator(mode="after")
    def _is_padded_once(self) -> ConvTranspose2d:
        if self.output_padding and (self.padding == "same" or self.output_padding >= self.stride):
            raise ValueError("output_padding must be less than stride, and 0 with padding 'same'")
        return self

    def cut(self) -> tuple[int, int]:
        """Pixels taken away before and after a side; the second is negative where some are added."""
        if self.padding != "same":
            return self.padding, self.padding - self.output_padding
        total = self.kernel_size - self.stride
        before = max(total, 0) // 2
        return before, total - before

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        def side(length: int) -> int:
            made = (length - 1) * self.stride + self.kernel_size - sum(self.cut())
            if made < 1:
                raise MisfitError("its padding leaves nothing of the map; take less")
            return made

        return sizes.of(self.out_channels), side(given[1]), side(given[2])


class BatchNorm(LayerConfig):
    type: Literal["BatchNorm", "BatchNorm1d", "BatchNorm2d"]
    eps: Annotated[float, Field(gt=0)] = 1e-5
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1  # weight of the new batch, as PyTorch counts it
    affine: bool = True


class InstanceNorm(LayerConfig):
    FLAT = False
    type: Literal["InstanceNorm", "InstanceNorm2d"]
    eps: Annotated[float, Field(gt=0)] = 1e-5
    affine: bool = False


class LayerNorm(LayerConfig):
    type: Literal["LayerNorm"]
    eps: Annotated[float, Field(gt=0)] = 1e-5


class GroupNorm(LayerConfig):
    type: Literal["GroupNorm"]
    num_groups: Annotated[int, Field(ge=1, le=4096)]
    eps: Annotated[float, Field(gt=0)] = 1e-5

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        if given[0] % self.num_groups:
            raise MisfitError(f"{given[0]} channels cannot be shared out among {self.num_groups} groups")
        return given


class Dropout(LayerConfig):
    type: Literal["Dropout", "Dropout2d"]
    p: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        if self.type == "Dropout2d" and len(given) != 3:
            raise MisfitError("it drops whole maps; take Dropout for vectors")
        return given


class Upsample(LayerConfig):
    FLAT = False
    type: Literal["Upsample"]
    scale_factor: Annotated[int, Field(ge=1, le=64)] = 2
    mode: Literal["nearest", "bilinear"] = "nearest"

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        return given[0], given[1] * self.scale_factor, given[2] * self.scale_factor


class PixelShuffle(LayerConfig):
    FLAT = False
    type: Literal["PixelShuffle"]
    upscale_factor: Annotated[int, Field(ge=1, le=64)] = 2

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        factor = self.upscale_factor
        if given[0] % factor**2:
            raise MisfitError(f"{given[0]} channels are no multiple of {factor**2}")
        return given[0] // factor**2, given[1] * factor, given[2] * factor


class PixelUnshuffle(LayerConfig):
    FLAT = False
    type: Literal["PixelUnshuffle"]
    downscale_factor: Annotated[int, Field(ge=1, le=64)] = 2

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        factor = self.downscale_factor
        if given[1] % factor or given[2] % factor:
            raise MisfitError(f"the sides are no multiples of {factor}")
        return given[0] * factor**2, given[1] // factor, given[2] // factor


class Pool2d(LayerConfig):
    FLAT = False
    type: Literal["MaxPool2d", "AvgPool2d"]
    kernel_size: Sides = 2
    stride: Sides | None = None  # the kernel's size without it

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        if min(given[1:]) < self.kernel_size:
            raise MisfitError(f"its kernel of {self.kernel_size} is larger than the map; make it smaller")
        step = self.stride or self.kernel_size
        return given[0], (given[1] - self.kernel_size) // step + 1, (given[2] - self.kernel_size) // step + 1


class Flatten(LayerConfig):
    type: Literal["Flatten"]
    order: Order = "channels-first"  # Keras lays maps out with the channels last

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        return (math.prod(given),)


class Unflatten(LayerConfig):
    type: Literal["Unflatten"]
    unflattened_size: tuple[Size, Size, Size]  # channels, height, width
    order: Order = "channels-first"

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        made = tuple(sizes.of(size) for size in self.unflattened_size)
        if math.prod(made) != math.prod(given):
            raise MisfitError(f"{list(made)} needs {math.prod(made):,} values and is given {math.prod(given):,}")
        return made


class OneHot(LayerConfig):
    """The class as K numbers, one of them 1, joined to a vector; to maps, as K more channels."""

    type: Literal["OneHot"]

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        return given[0] + sizes.of("K"), *given[1:]


class Embedding(LayerConfig):
    """The class as learned numbers. `join` says how they meet what is there.

    ``concat`` lays `embedding_dim` of them behind a vector, or as so many constant channels behind maps; ``channel``
    makes one more channel, a number for each pixel; ``multiply`` makes one for each value, and multiplies.
    """

    type: Literal["Embedding"]
    embedding_dim: Size | None = None
    join: Literal["concat", "channel", "multiply"] = "concat"

    @model_validator(mode="after")
    def _has_its_size(self) -> Embedding:
        if (self.embedding_dim is None) == (self.join == "concat"):
            raise ValueError("give embedding_dim with join 'concat', and with no other join")
        return self

    def width(self, given: Shape, sizes: Sizes) -> int:
        """Numbers for each class."""
        if self.join == "channel":
            return math.prod(given[1:])
        return math.prod(given) if self.embedding_dim is None else sizes.of(self.embedding_dim)

    def output(self, given: Shape, sizes: Sizes) -> Shape:
        sizes.of("K")
        if self.join == "multiply":
            return given
        if self.join == "channel":
            if len(given) != 3:
                raise MisfitError("join 'channel' is for maps; take 'concat' for vectors")
            return given[0] + 1, *given[1:]
        return given[0] + self.width(given, sizes), *given[1:]


class LeakyReLU(LayerConfig):
    type: Literal["LeakyReLU"]
    negative_slope: Annotated[float, Field(ge=0, le=1)] = 0.01


class ELU(LayerConfig):
    type: Literal["ELU"]
    alpha: Annotated[float, Field(gt=0)] = 1.0


class PReLU(LayerConfig):
    type: Literal["PReLU"]


class Activation(LayerConfig):
    type: Literal["ReLU", "Tanh", "Sigmoid", "SELU", "GELU", "SiLU", "Softplus", "Hardtanh", "Identity"]


_ANY = (
    *(Linear, Conv2d, ConvTranspose2d, BatchNorm, InstanceNorm, LayerNorm, GroupNorm, Dropout, Upsample, PixelShuffle),
    *(PixelUnshuffle, Pool2d, Flatten, Unflatten, OneHot, Embedding, LeakyReLU, ELU, PReLU, Activation),
)
_JOINS = (OneHot, Embedding)


def _names_of(kind: type[LayerConfig]) -> tuple[str, ...]:
    return tuple(kind.model_fields["type"].annotation.__args__)  # type: ignore[union-attr]


LAYERS: dict[str, type[LayerConfig]] = {name: kind for kind in _ANY for name in _names_of(kind)}


def _layer_of(value: Any) -> LayerConfig:
    """One entry of a list: a layer's name, or a table with its ``type``."""
    if isinstance(value, LayerConfig):
        return value
    table = {"type": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or not isinstance(table.get("type"), str):
        raise ValueError('a layer is a name such as "ReLU", or a table such as {type = "Linear", out_features = 256}')
    if table["type"] not in LAYERS:
        raise ValueError(f"layer {table['type']!r} is unknown{nearest(table['type'], LAYERS)}")
    try:
        return LAYERS[table["type"]].model_validate(table)
    except ValidationError as error:
        raise ValueError(f"{table['type']}, {complaint(error)}") from error


class NetworkConfig(Config):
    """What both networks' tables hold: the layers in order, and the first weights."""

    layers: tuple[Annotated[LayerConfig, BeforeValidator(_layer_of)], ...] = Field(
        min_length=1, max_length=MOST_LAYERS, description="in order: names, or tables with a type, as in PyTorch"
    )
    initialisation: Literal["pytorch", "keras", "dcgan", "normal", "he"] = Field(
        default="pytorch",
        description="pytorch: each layer's own; keras: Glorot; dcgan: N(0, 0.02), BatchNorm's scale about 1; normal: "
        "the same, its scale about 0; he: N(0, 2 / inputs)",
    )

    @property
    def conditional(self) -> bool:
        """Whether a layer takes the class."""
        return any(isinstance(layer, _JOINS) for layer in self.layers)

    @model_validator(mode="after")
    def _has_each_name_once(self) -> NetworkConfig:
        names = [layer.name for layer in self.layers if layer.name]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two layers are named {name!r}; give each its own name")
        return self


class GeneratorConfig(NetworkConfig):
    """Latents ``[latent_dim]`` to an image; a vector of an image's length becomes one by itself."""

    pixels: Literal["signed", "unit"] = Field(
        default="signed",
        description="range of its images: signed, [-1, 1], as after Tanh; unit, [0, 1], as after Sigmoid",
    )


class DiscriminatorConfig(NetworkConfig):
    """An image, in the generator's range, to one logit. A Sigmoid at the end is folded into the loss."""


class Step(NamedTuple):
    """One layer in a network for certain images."""

    layer: LayerConfig
    number: int  # in the list, from 0
    given: Shape
    made: Shape


def plan(role: str, network: NetworkConfig, given: Shape, image: ImageShape, classes: int) -> list[Step]:
    """The shapes of a network's layers, in order.

    Parameters
    ----------
    role
        ``generator`` or ``discriminator``, for the error line.
    network
        Its layers.
    given
        Shape of what the first one takes.
    image, classes
        Of the images: channels, height and width, and how many classes they have (0 without labels).

    Raises
    ------
    UsageError
        A layer cannot take what the one before makes; the line names the layer and both shapes.
    """
    sizes, steps = Sizes(*image, classes), []
    for number, layer in enumerate(network.layers):
        shape = given
        if isinstance(layer, ConvTranspose2d) and len(shape) == 1:
            shape = (*shape, 1, 1)
        try:
            if layer.FLAT is True and len(shape) != 1:
                raise MisfitError("it takes vectors [F]; put a Flatten before it")
            if layer.FLAT is False and len(shape) != 3:
                raise MisfitError("it takes maps [C, H, W]; put an Unflatten before it")
            made = layer.output(shape, sizes)
            if math.prod(made) > MOST_VALUES:
                raise MisfitError(f"it would make {list(made)}, more than the {MOST_VALUES:,} values that are allowed")
        except MisfitError as error:
            raise UsageError(f"{role}, layer {number + 1} ({layer.type}), is given {list(shape)}: {error}") from error
        steps.append(Step(layer, number, shape, made))
        given = made
    return steps


def check_pair(
    generator: GeneratorConfig, discriminator: DiscriminatorConfig, latent_dim: int, image: ImageShape, classes: int
) -> tuple[list[Step], list[Step]]:
    """Both networks' plans, for images of a shape.

    Raises
    ------
    UsageError
        A layer does not fit the one before, the generator makes no such image, the discriminator no logit, or only one
        of them takes the class.
    """
    if generator.conditional != discriminator.conditional:
        with_class, without = "generator", "discriminator"
        if discriminator.conditional:
            with_class, without = without, with_class
        raise UsageError(f"the {with_class} takes the class, the {without} does not; add OneHot or Embedding to both")
    making = plan("generator", generator, (latent_dim,), image, classes)
    last = making[-1]
    if last.made != image and (len(last.made) != 1 or last.made[0] != math.prod(image)):
        raise UsageError(
            f"generator, layer {last.number + 1} ({last.layer.type}), the last, makes {list(last.made)} where images "
            f"are {list(image)}; change the layers, or resize the images"
        )
    judging = plan("discriminator", discriminator, image, image, classes)
    if isinstance(judging[-1].layer, Activation) and judging[-1].layer.type == "Sigmoid":
        judging.pop()
    if not judging or math.prod(judging[-1].made) != 1:
        made = list(judging[-1].made) if judging else list(image)
        raise UsageError(f"the discriminator ends with {made} where one logit [1] is needed; end with a Linear of 1")
    return making, judging
