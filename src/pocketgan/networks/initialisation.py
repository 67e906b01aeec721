"""The first weights of a network: functions that draw them anew, from torch's global generator."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn


def pytorch_initialisation(module: nn.Module) -> None:
    """What each layer of PyTorch begins with: nothing is drawn anew."""


def keras_initialisation(module: nn.Module) -> None:
    """Keras' defaults: Glorot-uniform kernels (Glorot & Bengio 2010), biases 0, BatchNorm scale 1 and shift 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def normal_initialisation(module: nn.Module) -> None:
    """N(0, 0.02) for convolutions and, as one classroom system has it, for BatchNorm's scale too (mean 0, not 1)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.bias)


def he_initialisation(module: nn.Module) -> None:
    """N(0, 2 / inputs of one output) for convolutions and linear layers, biases 0 (He et al. 2015)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose2d):  # an output pixel meets one in stride^2 of the kernel's places
                inputs = layer.weight[:, 0].numel() // math.prod(layer.stride)
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / inputs))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def dcgan_initialisation(module: nn.Module) -> None:
    """N(0, 0.02) for convolutions and linear layers, N(1, 0.02) for BatchNorm's scale (Radford et al. 2016)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


INITIALISATIONS: dict[str, Callable[[nn.Module], None]] = {
    "pytorch": pytorch_initialisation,
    "keras": keras_initialisation,
    "dcgan": dcgan_initialisation,
    "normal": normal_initialisation,
    "he": he_initialisation,
}
