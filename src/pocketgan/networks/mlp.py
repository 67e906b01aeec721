"""Fully connected pairs: originals A, B and D."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pocketgan.networks.contracts import Critique, Discriminator, Generator, Shape


class MLPGenerator(Generator):
    """Linear layers with an activation after each hidden one, and tanh at the end: images in [-1, 1].

    Parameters
    ----------
    latent_dim
        Length of z.
    shape
        Channels, height and width of an image.
    hidden
        Widths of the hidden layers.
    batch_norm
        BatchNorm and LeakyReLU(0.2) after hidden layers, instead of ReLU.
    """

    def __init__(self, latent_dim: int, shape: Shape, *, hidden: tuple[int, ...], batch_norm: bool = False) -> None:
        super().__init__(latent_dim)
        self.shape = shape
        layers: list[nn.Module] = []
        width = latent_dim
        for units in hidden:
            layers.append(nn.Linear(width, units))
            layers += [nn.BatchNorm1d(units), nn.LeakyReLU(0.2)] if batch_norm else [nn.ReLU()]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, math.prod(shape)), nn.Tanh())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(z)
        return images.view(-1, *self.shape)


class MLPDiscriminator(Discriminator):
    """Linear layers, LeakyReLU(0.2) after each hidden one, and one logit. A final Sigmoid is folded into the loss."""

    def __init__(self, shape: Shape, *, hidden: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(shape)
        for units in hidden:
            layers += [nn.Linear(width, units), nn.LeakyReLU(0.2)]
            width = units
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Critique:
        features = self.body(x)
        return Critique(self.head(features).squeeze(1), features)
