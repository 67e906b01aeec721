"""Original C: the convolutional pair of TensorFlow's DCGAN tutorial, as Keras computes it.

Keras' conventions are kept: `same` padding (for stride 2 one pixel before and two after, mirrored when transposed),
biases everywhere, LeakyReLU slope 0.3, BatchNorm momentum 0.99 and epsilon 1e-3, Glorot initialisation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.devices import memory_format
from pocketgan.networks.contracts import Critique, Discriminator, Dropout, Generator, Shape, keras_initialisation

SLOPE = 0.3
MOMENTUM, EPSILON = 0.01, 1e-3  # of BatchNorm; PyTorch counts momentum from the other end: 1 - 0.99


class DCGANGenerator(Generator):
    """z -> Dense (H/4)(W/4)256, BN, LeakyReLU -> ConvT 5x5 128 stride 1 -> 64 stride 2 -> C stride 2, tanh: [-1, 1]."""

    def __init__(self, latent_dim: int, shape: Shape) -> None:
        super().__init__(latent_dim)
        channels, height, width = shape
        self.start = (height // 4, width // 4)
        units = 256 * self.start[0] * self.start[1]
        self.dense = nn.Linear(latent_dim, units)
        self.norm0 = nn.BatchNorm1d(units, EPSILON, MOMENTUM)
        self.up1 = nn.ConvTranspose2d(256, 128, 5, stride=1, padding=2)
        self.norm1 = nn.BatchNorm2d(128, EPSILON, MOMENTUM)
        self.up2 = nn.ConvTranspose2d(128, 64, 5, stride=2, padding=1)
        self.norm2 = nn.BatchNorm2d(64, EPSILON, MOMENTUM)
        self.up3 = nn.ConvTranspose2d(64, channels, 5, stride=2, padding=1)
        keras_initialisation(self)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = F.leaky_relu(self.norm0(self.dense(z)), SLOPE)
        x = x.view(-1, *self.start, 256).permute(0, 3, 1, 2)  # Keras' Reshape((H/4, W/4, 256)): channels last
        x = F.leaky_relu(self.norm1(self.up1(x)), SLOPE)
        x = F.leaky_relu(self.norm2(_cropped(self.up2(x))), SLOPE)
        return torch.tanh(_cropped(self.up3(x)))


def _cropped(x: Tensor) -> Tensor:
    """Drop the last row and column, as `same` padding of a transposed convolution does in Keras."""
    return x[..., :-1, :-1].contiguous(memory_format=memory_format(x.device))


class DCGANDiscriminator(Discriminator):
    """Conv 5x5 stride 2: 64, then 128, each LeakyReLU and Dropout(0.3) -> flatten -> one logit."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels, height, width = shape
        self.down1 = nn.Conv2d(channels, 64, 5, stride=2)
        self.down2 = nn.Conv2d(64, 128, 5, stride=2)
        self.drop = Dropout(0.3)
        self.head = nn.Linear(128 * (height // 4) * (width // 4), 1)
        keras_initialisation(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Critique:
        x = self.drop(F.leaky_relu(self.down1(F.pad(x, (1, 2, 1, 2))), SLOPE))
        x = self.drop(F.leaky_relu(self.down2(F.pad(x, (1, 2, 1, 2))), SLOPE))
        features = x.flatten(1)
        return Critique(self.head(features).squeeze(1), features)
