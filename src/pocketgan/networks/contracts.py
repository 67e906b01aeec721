"""What all networks share: the two contracts, what is asked of any network, and first weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pocketgan.core.devices import memory_format
from pocketgan.core.pixels import PixelRange

Shape = tuple[int, int, int]  # channels, height, width of one image


class Critique(NamedTuple):
    """What a discriminator says of a batch.

    Attributes
    ----------
    logits
        ``[B]``, positive for "real". A Sigmoid that its author put at the end is folded into BCE on these logits.
    features
        ``[B, F]``, the input of the last layer.
    class_logits
        ``[B, K]`` where the discriminator also names classes, else None.
    """

    logits: Tensor
    features: Tensor
    class_logits: Tensor | None = None


class Network(nn.Module):
    """What a generator and a discriminator say of themselves.

    Attributes
    ----------
    conditional
        Whether it takes labels ``[B]``.
    any_layout
        Whether its tensors may lie channels last: a user's own ``view`` calls may not bear it.
    """

    conditional: bool = False
    any_layout: bool = True

    @property
    def draws(self) -> bool:
        """Whether its forward pass draws random numbers in training."""
        return has(self, nn.modules.dropout._DropoutNd)

    @property
    def convolutional(self) -> bool:
        """Whether it has convolutions, and may lie channels last for them."""
        return self.any_layout and has(self, (nn.Conv2d, nn.ConvTranspose2d))


class Generator(Network):
    """Latents ``[B, latent_dim]`` (and labels ``[B]`` if conditional) to images ``[B, C, H, W]`` in the pixel range.

    Attributes
    ----------
    latent_dim
        Length of z.
    pixels
        Range in which both networks see images.
    """

    latent_dim: int
    pixels: PixelRange = "signed"

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        raise AssertionError("a generator defines forward")


class Discriminator(Network):
    """Images ``[B, C, H, W]`` (and labels ``[B]`` if conditional) to a `Critique`."""

    names_classes: bool = False  # its critique has logits of classes
    gives_probabilities: bool = False  # its logits are made from a Sigmoid's output, and cannot go beyond some size

    @property
    def mixes_images(self) -> bool:
        """Whether what it says of an image depends on the others of the batch, as BatchNorm makes it."""
        return has(self, nn.modules.batchnorm._BatchNorm)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Critique:
        raise AssertionError("a discriminator defines forward")


class Dropout(nn.Dropout):
    """Dropout for channels-last images ``[B, C, H, W]``; the share that is dropped is exact to 1/65,536.

    On the CPU four places share one 64-bit draw: torch's own draws a number for each, which took a fifth of a DCGAN
    step. A GPU draws beside its arithmetic, so there it is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        batch, channels, height, width = x.shape
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = draws.view(torch.int16)[: x.numel()].view(batch, height, width, channels)  # uniform in -32768..32767
        kept = bits >= round(self.p * 65536) - 32768
        return x * kept.permute(0, 3, 1, 2).to(x.dtype).mul_(1.0 / (1.0 - self.p))


def has(module: nn.Module, kind: type[nn.Module] | tuple[type[nn.Module], ...]) -> bool:
    """Whether a network contains a layer of this kind."""
    return any(isinstance(layer, kind) for layer in module.modules())


def parameter_count(module: nn.Module) -> int:
    """Trainable parameters of a network."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def channels_last(module: nn.Module) -> nn.Module:
    """Lay convolutions out as the kernels of their device like them; results stay the same up to rounding."""
    if isinstance(module, Network) and not module.any_layout:
        return module
    device = next(module.parameters()).device
    return module.to(memory_format=memory_format(device))  # type: ignore[call-overload,no-any-return]


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
