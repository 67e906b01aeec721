"""The default pair: small, convolutional, conditional."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.models.layers import Critique, Discriminator, Generator, Shape, small_initialisation


class PocketGenerator(Generator):
    """z and a class embedding of 64 -> linear (H/4)(W/4)64, BN -> ConvT 4x4 32, BN -> ConvT 4x4 C, tanh: [-1, 1]."""

    def __init__(self, latent_dim: int, shape: Shape, classes: int) -> None:
        super().__init__(latent_dim)
        channels, height, width = shape
        self.start = (64, height // 4, width // 4)
        self.embedding = nn.Embedding(classes, 64)
        self.dense = nn.Linear(latent_dim + 64, 64 * self.start[1] * self.start[2])
        self.norm0 = nn.BatchNorm2d(64)
        self.up1 = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)
        self.norm1 = nn.BatchNorm2d(32)
        self.up2 = nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1)
        small_initialisation(self)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        assert y is not None, "a conditional generator needs labels"
        x = self.dense(torch.cat([z, self.embedding(y)], 1)).view(-1, *self.start)
        x = F.relu(self.norm0(x))
        x = F.relu(self.norm1(self.up1(x)))
        return torch.tanh(self.up2(x))


class PocketDiscriminator(Discriminator):
    """Conv 4x4 stride 2: 32, then 64 with BN -> 256 hidden units -> a logit and a projection (Miyato & Koyama 2018)."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.down1 = nn.Conv2d(channels, 32, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(32, 64, 4, stride=2, padding=1)
        self.norm2 = nn.BatchNorm2d(64)
        self.dense = nn.Linear(64 * (height // 4) * (width // 4), 256)
        self.head = nn.Linear(256, 1)
        self.projection = nn.Embedding(classes, 256)
        small_initialisation(self)
        nn.init.normal_(self.projection.weight, 0.0, 0.02)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Critique:
        assert y is not None, "a conditional discriminator needs labels"
        x = F.leaky_relu(self.down1(x), 0.2)
        x = F.leaky_relu(self.norm2(self.down2(x)), 0.2)
        features = F.leaky_relu(self.dense(x.flatten(1)), 0.2)
        logits = self.head(features).squeeze(1) + (features * self.projection(y)).sum(1)
        return Critique(logits, features)
