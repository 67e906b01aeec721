"""The classroom systems' networks as lists of layers: a literal table. Imports no torch."""

from __future__ import annotations

from typing import Any, NamedTuple

from pocketgan.recipes.layers import DiscriminatorConfig, GeneratorConfig


class Pair(NamedTuple):
    """A generator and a discriminator."""

    generator: GeneratorConfig
    discriminator: DiscriminatorConfig


def _linear(out_features: int | str) -> dict[str, Any]:
    return {"type": "Linear", "out_features": out_features}


def _hidden(*units: int, after: list[Any]) -> list[Any]:
    """Linear layers, each with the same layers after it."""
    return [layer for width in units for layer in (_linear(width), *after)]


def _pair(generator: dict[str, Any], discriminator: dict[str, Any]) -> Pair:
    return Pair(GeneratorConfig.model_validate(generator), DiscriminatorConfig.model_validate(discriminator))


_LEAKY: dict[str, Any] = {"type": "LeakyReLU", "negative_slope": 0.2}
_IMAGE = [_linear("C*H*W"), "Tanh"]
_KERAS_LEAKY: dict[str, Any] = {"type": "LeakyReLU", "negative_slope": 0.3}
_DROPOUT: dict[str, Any] = {"type": "Dropout", "p": 0.3}


def _keras_norm(name: str) -> dict[str, Any]:
    return {
        "type": "BatchNorm",
        "eps": 1e-3,
        "momentum": 0.01,
        "name": name,
    }  # Keras counts momentum from the other end


def _up(name: str, channels: int | str, stride: int) -> dict[str, Any]:
    sides = {"kernel_size": 5, "stride": stride, "padding": "same"}
    return {"type": "ConvTranspose2d", "out_channels": channels, **sides, "name": name}


def _down(name: str, channels: int) -> dict[str, Any]:
    return {"type": "Conv2d", "out_channels": channels, "kernel_size": 5, "stride": 2, "padding": "same", "name": name}


def _transposed(channels: int | str, kernel: int, stride: int, **options: Any) -> dict[str, Any]:
    return {"type": "ConvTranspose2d", "out_channels": channels, "kernel_size": kernel, "stride": stride, **options}


def _strided(channels: int, kernel: int) -> dict[str, Any]:
    return {"type": "Conv2d", "out_channels": channels, "kernel_size": kernel, "stride": 2}


# fmt: off
PAIRS: dict[str, Pair] = {
    "mlp": _pair(
        {"layers": [*_hidden(256, after=["ReLU"]), *_IMAGE]},
        {"layers": ["Flatten", *_hidden(256, 100, after=[_LEAKY]), _linear(1)]}),
    "mlp-bn": _pair(
        {"layers": [*_hidden(256, 512, 1024, after=["BatchNorm", _LEAKY]), *_IMAGE]},
        {"layers": ["Flatten", *_hidden(512, 256, after=[_LEAKY]), _linear(1)]}),
    "mlp-deep": _pair(
        {"layers": [*_hidden(256, 512, 1024, after=["ReLU"]), *_IMAGE]},
        {"layers": ["Flatten", *_hidden(512, 256, after=[_LEAKY]), _linear(1)]}),
    "dcgan": _pair(
        {"initialisation": "keras", "layers": [
            {**_linear("H/4*W/4*256"), "name": "dense"}, _keras_norm("norm0"), _KERAS_LEAKY,
            {"type": "Unflatten", "unflattened_size": [256, "H/4", "W/4"], "order": "channels-last"},
            _up("up1", 128, 1), _keras_norm("norm1"), _KERAS_LEAKY,
            _up("up2", 64, 2), _keras_norm("norm2"), _KERAS_LEAKY,
            _up("up3", "C", 2), "Tanh"]},
        {"initialisation": "keras", "layers": [
            _down("down1", 64), _KERAS_LEAKY, _DROPOUT,
            _down("down2", 128), _KERAS_LEAKY, _DROPOUT,
            "Flatten", _linear(1)]}),
    "dcgan-rotate": _pair(
        # the last bias begins at 0: one that begins below leaves the last ReLU dead, one above a grey background
        {"initialisation": "normal", "pixels": "unit", "layers": [
            _transposed(256, 3, 2), "BatchNorm", "ReLU",
            _transposed(128, 4, 1), "BatchNorm", "ReLU",
            _transposed(64, 3, 2), "BatchNorm", "ReLU",
            _transposed("C", 4, 2, zero_bias=True), "ReLU"]},
        {"initialisation": "normal", "layers": [
            _strided(16, 3), "BatchNorm", _LEAKY,
            _strided(32, 5), "BatchNorm", _LEAKY,
            _strided(64, 5), "BatchNorm", _LEAKY,
            "Flatten", _linear(1)]}),
}
# fmt: on
