"""A generator as a flat list of layers with every number filled in: what `generator.py` of a hub folder
reads, and the page of `--to html`.

Each entry is ``{"type", "arguments", "weights"}``: a module of `torch.nn` or of `pocketgan.export.generator`, what it
is made with, and what its weights are called in the file. What does nothing after training (Dropout) is left out.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from pocketgan.core.errors import UsageError
from pocketgan.models.model import Model
from pocketgan.networks.layers import (
    CutConvTranspose2d,
    FlattenChannelsLast,
    JoinClass,
    LayerGenerator,
    SameConv2d,
    Unflatten,
)
from pocketgan.networks.pocket import PocketFreeGenerator, PocketGenerator

Entry = dict[str, Any]


def generator_layers(model: Model, to: str = "hub") -> list[Entry]:
    """The layers of a model's generator, in the order in which they are called; `to` is the format that asks.

    Raises
    ------
    UsageError
        It is a user's own Python, which no list of layers describes.
    """
    generator = model.generator
    if isinstance(generator, LayerGenerator):
        names = {module: name for name, module in generator.named_modules()}
        return _in_order([(names[module], module) for module in generator.sequence])
    if isinstance(generator, PocketGenerator):
        return _pocket(generator)
    raise UsageError(
        f"--to {to}: {model.recipe.name} is Python code of your own, which is never shipped; take --to onnx,torch, or "
        "write the networks as layers in the recipe"
    )


def _in_order(modules: list[tuple[str, nn.Module]]) -> list[Entry]:
    """Entries of a list of modules by name; a vector becomes a map of one pixel before a transposed convolution."""
    entries: list[Entry] = []
    flat = True
    for name, module in modules:
        if isinstance(module, nn.ConvTranspose2d) and flat:
            entries.append(_entry("Unflatten", dim=1, unflattened_size=[module.in_channels, 1, 1]))
        if isinstance(module, Unflatten | nn.ConvTranspose2d):
            flat = False
        elif isinstance(module, nn.Flatten | FlattenChannelsLast):
            flat = True
        entries += _entries(name, module)
    return entries


def _pocket(generator: PocketGenerator) -> list[Entry]:
    """The default generator, with classes, with clusters or with neither."""
    entries: list[Entry] = []
    if generator.embedding is not None:
        if isinstance(generator, PocketFreeGenerator):
            clusters, choosing = generator.anchors.shape
            about = _entry("Clusters", clusters=clusters, choosing=choosing)
            entries.append(about | {"weights": {"anchors": "anchors", "offsets": "offsets"}})
        entries.append(_embedding("embedding", generator.embedding, "concat"))
    entries += _entries("dense", generator.dense)
    entries += _entries("", Unflatten((generator.width, *generator.start), channels_last=True))
    entries.append(_weighted("block", generator.block, "Residual", width=generator.width))
    for name in ("norm0", "up", "norm1", "last"):
        entries += _entries(name, generator.get_submodule(name))
        if name.startswith("norm"):
            entries.append(_entry("ReLU"))
    return [*entries, _entry("PixelShuffle", upscale_factor=2), _entry("Tanh")]


def _entries(name: str, module: nn.Module) -> list[Entry]:
    """The entries of one module: of most one, of those that PyTorch has no single module for two."""
    match module:
        case nn.Linear():
            sizes = {"in_features": module.in_features, "out_features": module.out_features}
            return [_weighted(name, module, "Linear", **sizes, bias=module.bias is not None)]
        case SameConv2d():
            return [_entry("ZeroPad2d", padding=list(module.pads)), _convolution(name, module, "Conv2d")]
        case CutConvTranspose2d():
            cut = _entry("ZeroPad2d", padding=[0, -module.cut, 0, -module.cut])
            return [_convolution(name, module, "ConvTranspose2d"), cut]
        case nn.Conv2d():
            return [_convolution(name, module, "Conv2d")]
        case nn.ConvTranspose2d():
            return [_convolution(name, module, "ConvTranspose2d", output_padding=list(module.output_padding))]
        case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.InstanceNorm2d():
            kind = type(module).__name__
            return [_weighted(name, module, kind, num_features=module.num_features, **_norm(module))]
        case nn.LayerNorm():
            return [
                _weighted(name, module, "LayerNorm", normalized_shape=list(module.normalized_shape), eps=module.eps)
            ]
        case nn.GroupNorm():
            sizes = {"num_groups": module.num_groups, "num_channels": module.num_channels}
            return [_weighted(name, module, "GroupNorm", **sizes, eps=module.eps)]
        case nn.modules.dropout._DropoutNd():
            return []
        case nn.Upsample():
            return [_entry("Upsample", scale_factor=module.scale_factor, mode=module.mode)]
        case nn.PixelShuffle():
            return [_entry("PixelShuffle", upscale_factor=module.upscale_factor)]
        case nn.PixelUnshuffle():
            return [_entry("PixelUnshuffle", downscale_factor=module.downscale_factor)]
        case nn.MaxPool2d() | nn.AvgPool2d():
            return [_entry(type(module).__name__, kernel_size=module.kernel_size, stride=module.stride)]
        case nn.Flatten():
            return [_entry("Flatten")]
        case FlattenChannelsLast():
            return [_entry("Permute", dims=[2, 3, 1]), _entry("Flatten")]
        case Unflatten() if module.channels_last:
            channels, height, width = module.size
            return [
                _entry("Unflatten", dim=1, unflattened_size=[height, width, channels]),
                _entry("Permute", dims=[3, 1, 2]),
            ]
        case Unflatten():
            return [_entry("Flatten"), _entry("Unflatten", dim=1, unflattened_size=list(module.size))]
        case JoinClass():
            if module.embedding is None:
                return [_entry("JoinClass", classes=module.classes)]
            return [_embedding(f"{name}.embedding", module.embedding, module.join)]
        case nn.LeakyReLU():
            return [_entry("LeakyReLU", negative_slope=module.negative_slope)]
        case nn.ELU():
            return [_entry("ELU", alpha=module.alpha)]
        case nn.PReLU():
            return [_weighted(name, module, "PReLU")]
    return [_entry(type(module).__name__)]


def _entry(kind: str, **arguments: Any) -> Entry:
    return {"type": kind, "arguments": arguments} if arguments else {"type": kind}


def _weighted(name: str, module: nn.Module, kind: str, **arguments: Any) -> Entry:
    """An entry whose weights are in the file under the module's name."""
    entry = _entry(kind, **arguments) | ({"spectral_norm": True} if is_parametrized(module) else {})
    weights = {own: f"{name}.{own}" for own in module.state_dict()}
    return entry | ({"weights": weights} if weights else {})


def _convolution(name: str, module: nn.Conv2d | nn.ConvTranspose2d, kind: str, **more: Any) -> Entry:
    channels = {"in_channels": module.in_channels, "out_channels": module.out_channels}
    sides = {side: list(getattr(module, side)) for side in ("kernel_size", "stride", "padding")}
    return _weighted(name, module, kind, **channels, **sides, **more, bias=module.bias is not None)


def _norm(module: nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d) -> dict[str, Any]:
    return {"eps": module.eps, "momentum": module.momentum, "affine": module.affine}


def _embedding(name: str, table: nn.Embedding, join: str) -> Entry:
    about = _entry("JoinClass", classes=table.num_embeddings, width=table.embedding_dim, join=join)
    return about | {"weights": {"table.weight": f"{name}.weight"}}
