"""Lists of layers as modules: what `pocketgan.recipes.layers` describes, PyTorch computes.

A layer's weights are called `layers.N` in a generator and `body.N` in a discriminator, N its position in the list from
0, unless it has a name; the discriminator's last layer is its `head`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pocketgan.core.devices import memory_format
from pocketgan.networks.contracts import INITIALISATIONS, Critique, Discriminator, Dropout, Generator
from pocketgan.recipes import layers as config
from pocketgan.recipes.layers import DiscriminatorConfig, GeneratorConfig, Sizes, Step


class SameConv2d(nn.Conv2d):
    """Keras' `same` padding: where it is odd, the further pixel comes after (right, below)."""

    pads: tuple[int, int, int, int]  # left, right, above, below

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, self.pads))


class CutConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that drops `cut` more rows and columns at the end, as Keras' `same` padding does."""

    cut: int

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        made = super().forward(input, output_size)
        return made[..., : -self.cut, : -self.cut].contiguous(memory_format=memory_format(made.device))


class Unflatten(nn.Module):
    """Vectors to maps; Keras' order has the channels last."""

    def __init__(self, size: tuple[int, ...], channels_last: bool) -> None:
        super().__init__()
        self.size, self.channels_last = size, channels_last

    def forward(self, x: Tensor) -> Tensor:
        if not self.channels_last:
            return x.reshape(-1, *self.size)
        channels, height, width = self.size
        return x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


class FlattenChannelsLast(nn.Module):
    """Maps to vectors in Keras' order."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class JoinClass(nn.Module):
    """Joins the class to what is there: see `recipes.layers.OneHot` and `Embedding`."""

    def __init__(self, classes: int, width: int | None, join: str) -> None:
        super().__init__()
        self.classes, self.join = classes, join
        self.embedding = None if width is None else nn.Embedding(classes, width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        told = F.one_hot(y, self.classes).to(x.dtype) if self.embedding is None else self.embedding(y).to(x.dtype)
        if self.join == "multiply":
            return x * told.view_as(x)
        if self.join == "channel":
            told = told.view(-1, 1, *x.shape[2:])
        elif x.ndim == 4:
            told = told[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return torch.cat([x, told], 1)


def _module(step: Step, sizes: Sizes) -> nn.Module:
    """The module of one layer."""
    layer, given, made = step.layer, step.given, step.made
    match layer:
        case config.Linear():
            return nn.Linear(given[0], made[0], bias=layer.bias)
        case config.Conv2d():
            (above, below), (left, right) = layer.pads(given[1]), layer.pads(given[2])
            even = above == below and left == right
            kind = nn.Conv2d if even else SameConv2d
            padding = (above, left) if even else 0
            conv = kind(given[0], made[0], layer.kernel_size, layer.stride, padding, bias=layer.bias)
            if isinstance(conv, SameConv2d):
                conv.pads = (left, right, above, below)
            return conv
        case config.ConvTranspose2d():
            before, after = layer.cut()
            sides = layer.kernel_size, layer.stride, before, max(before - after, 0)
            if after <= before:
                return nn.ConvTranspose2d(given[0], made[0], *sides, bias=layer.bias)
            cut = CutConvTranspose2d(given[0], made[0], *sides, bias=layer.bias)
            cut.cut = after - before
            return cut
        case config.BatchNorm():
            norm = nn.BatchNorm1d if len(given) == 1 else nn.BatchNorm2d
            return norm(given[0], layer.eps, layer.momentum, layer.affine)
        case config.InstanceNorm():
            return nn.InstanceNorm2d(given[0], layer.eps, affine=layer.affine)
        case config.LayerNorm():
            return nn.LayerNorm(list(given), layer.eps)
        case config.GroupNorm():
            return nn.GroupNorm(layer.num_groups, given[0], layer.eps)
        case config.Dropout():
            if layer.type == "Dropout2d":
                return nn.Dropout2d(layer.p)
            return nn.Dropout(layer.p) if len(given) == 1 else Dropout(layer.p)
        case config.Upsample():
            return nn.Upsample(scale_factor=layer.scale_factor, mode=layer.mode)
        case config.PixelShuffle():
            return nn.PixelShuffle(layer.upscale_factor)
        case config.PixelUnshuffle():
            return nn.PixelUnshuffle(layer.downscale_factor)
        case config.Pool2d():
            pool = nn.MaxPool2d if layer.type == "MaxPool2d" else nn.AvgPool2d
            return pool(layer.kernel_size, layer.stride)
        case config.Flatten():
            return FlattenChannelsLast() if layer.order == "channels-last" and len(given) == 3 else nn.Flatten()
        case config.Unflatten():
            return Unflatten(made, layer.order == "channels-last")
        case config.OneHot():
            return JoinClass(sizes.classes, None, "concat")
        case config.Embedding():
            return JoinClass(sizes.classes, layer.width(given, sizes), layer.join)
        case config.LeakyReLU():
            return nn.LeakyReLU(layer.negative_slope)
        case config.ELU():
            return nn.ELU(layer.alpha)
        case config.PReLU():
            return nn.PReLU()
        case config.Activation():
            activation: nn.Module = getattr(nn, layer.type)()
            return activation
    raise AssertionError(f"{layer.type} is in the table of layers and has no module")


def _built(
    network: nn.Module, steps: list[Step], names: list[str], sizes: Sizes, initialisation: str
) -> list[nn.Module]:
    """The layers' modules, registered in `network` under their names, with their first weights."""
    for step, name in zip(steps, names, strict=True):
        parent, _, own = name.rpartition(".")
        if parent and parent not in dict(network.named_children()):
            network.add_module(parent, nn.ModuleDict())
        network.get_submodule(parent).add_module(own, _module(step, sizes))
    INITIALISATIONS[initialisation](network)
    modules = [network.get_submodule(name) for name in names]
    for step, module in zip(steps, modules, strict=True):
        if isinstance(step.layer, config.Linear | config.Conv2d | config.ConvTranspose2d):
            if step.layer.zero_bias and step.layer.bias:
                nn.init.zeros_(module.get_parameter("bias"))
            if step.layer.spectral_norm:
                spectral_norm(module)
    return modules


def _run(layers: list[nn.Module], x: Tensor, y: Tensor | None) -> Tensor:
    for layer in layers:
        if isinstance(layer, JoinClass):
            assert y is not None, "a conditional network needs labels"
            x = layer(x, y)
        elif isinstance(layer, nn.ConvTranspose2d) and x.ndim == 2:
            x = layer(x[:, :, None, None])
        else:
            x = layer(x)
    return x


class LayerGenerator(Generator):
    """A generator made of a list of layers."""

    def __init__(self, network: GeneratorConfig, steps: list[Step], sizes: Sizes) -> None:
        super().__init__(math.prod(steps[0].given))
        self.pixels, self.conditional = network.pixels, network.conditional
        self.shape = sizes[:3]
        names = [step.layer.name or f"layers.{step.number}" for step in steps]
        # a plain list, which registers nothing a second time
        self.sequence = _built(self, steps, names, sizes, network.initialisation)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return _run(self.sequence, z, y).view(-1, *self.shape)


class LayerDiscriminator(Discriminator):
    """A discriminator made of a list of layers, which ends with one logit."""

    def __init__(self, network: DiscriminatorConfig, steps: list[Step], sizes: Sizes) -> None:
        super().__init__()
        self.conditional = network.conditional
        names = [step.layer.name or f"body.{step.number}" for step in steps[:-1]]
        names.append(steps[-1].layer.name or "head")
        self.sequence = _built(self, steps, names, sizes, network.initialisation)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Critique:
        features = _run(self.sequence[:-1], x, y)
        logits = _run(self.sequence[-1:], features, y)
        return Critique(logits.flatten(), features.flatten(1))
