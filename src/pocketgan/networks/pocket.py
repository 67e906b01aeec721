"""The default pair, with and without classes: small, residual in the generator, made for bf16 on two cores.

Work is done on few, deep pixels: the discriminator folds 2x2 pixels into channels before its first layer and the
generator unfolds them after its last, for convolutions with one channel cost as much as others and multiply little.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.devices import memory_format
from pocketgan.core.rng import latents
from pocketgan.networks.contracts import Critique, Discriminator, Generator, Shape, he_initialisation

WIDTH = 64  # channels at a quarter of the side, if none is given; half of them at half the side
EMBEDDING = 64  # length of a class's embedding in the generator
HIDDEN = 256  # units before the discriminator's last layer
CHOOSING = 16  # numbers of z that choose the cluster, where there are clusters
SHARED, STEPS = 50_000, 200  # latents that are shared out among the clusters, and steps of that


class Residual(nn.Module):
    """x + conv 3x3(relu(BN(conv 3x3(relu(BN(x)))))): He et al. 2016, "identity mappings"."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(F.relu(self.norm1(x)))
        change: Tensor = self.conv2(F.relu(self.norm2(inner)))
        return x + change


class PocketGenerator(Generator):
    """z (and a class embedding of 64) -> linear (H/4)(W/4)width -> residual block, BN -> ConvT 4x4 width/2, BN ->
    conv 3x3 4C, unfolded to 2x2 pixels, tanh: [-1, 1]. Without classes there is no embedding."""

    def __init__(self, latent_dim: int, shape: Shape, classes: int = 0, width: int = WIDTH) -> None:
        super().__init__(latent_dim)
        channels, *sides = shape
        self.start, self.width = (sides[0] // 4, sides[1] // 4), width
        self.conditional = classes > 0
        self.embedding = nn.Embedding(classes, EMBEDDING) if classes else None
        self.dense = nn.Linear(latent_dim + (EMBEDDING if classes else 0), width * math.prod(self.start))
        self.block = Residual(width)
        self.norm0 = nn.BatchNorm2d(width)
        self.up = nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1)
        self.norm1 = nn.BatchNorm2d(width // 2)
        self.last = nn.Conv2d(width // 2, 4 * channels, 3, padding=1)
        he_initialisation(self)
        with torch.no_grad():
            self.block.conv2.weight *= 0.3  # the block starts near the identity,
            self.last.weight *= 0.5  # and tanh away from its ends

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            assert y is not None, "a conditional generator needs labels"
            z = torch.cat([z, self.embedding(y)], 1)
        x = self.dense(z).view(-1, *self.start, self.width).permute(0, 3, 1, 2)  # channels last
        x = F.relu(self.norm0(self.block(x)))
        x = F.relu(self.norm1(self.up(x)))
        return torch.tanh(F.pixel_shuffle(self.last(x), 2))


class PocketFreeGenerator(PocketGenerator):
    """The same for images without labels; clusters of look-alike images take the place of classes (Liu et al. 2020,
    "Diverse image generation via self-conditioned GANs"). From outside it is unconditional: the first numbers of z
    choose the cluster, and do nothing else. A cluster's latents are those that its centre, moved by an offset, points
    to most; offsets are such that clusters come as often as among the real images."""

    anchors: Tensor  # [clusters, CHOOSING]
    offsets: Tensor  # [clusters]

    def __init__(self, latent_dim: int, shape: Shape, clusters: int = 0, width: int = WIDTH) -> None:
        super().__init__(latent_dim, shape, clusters, width)
        self.conditional = False
        if clusters:
            self.choosing = min(CHOOSING, latent_dim)
            self.register_buffer("anchors", torch.zeros(clusters, self.choosing))
            self.register_buffer("offsets", torch.zeros(clusters))

    def apportion(self, centres: Tensor, counts: Tensor) -> None:
        """Share the latents out.

        The offsets solve semi-discrete optimal transport from z to the centres (Aurenhammer et al. 1998), by gradient
        ascent on a fixed sample of latents.

        Parameters
        ----------
        centres
            float64 ``[clusters, D]``, the most telling coordinates first.
        counts
            int64 ``[clusters]``: real images in each.
        """
        shares = counts.double() / counts.sum()
        anchors = torch.zeros(len(centres), self.choosing, dtype=torch.float64)
        width = min(centres.shape[1], self.choosing)
        centred = centres[:, :width] - shares @ centres[:, :width]
        anchors[:, :width] = centred / (shares @ centred.square()).sqrt().clamp(min=1e-9)
        z = latents(0, 0, SHARED, self.choosing).double()
        pull, offsets = z @ anchors.T, torch.where(shares > 0, 0.0, -1e4).double()
        for step in range(STEPS):
            chosen = torch.bincount((pull + offsets).argmax(1), minlength=len(shares)) / SHARED
            offsets = offsets + 8.0 * (1 - step / STEPS) * (shares - chosen)
        self.anchors.copy_(anchors)
        self.offsets.copy_(offsets)

    def choose_as(self, other: PocketFreeGenerator) -> None:
        """Let the same latents choose the same clusters as in another generator."""
        self.anchors.copy_(other.anchors)
        self.offsets.copy_(other.offsets)

    def cluster(self, z: Tensor) -> Tensor:
        """The cluster that each latent chooses, int64 ``[B]``."""
        return (z[:, : self.choosing] @ self.anchors.T + self.offsets).argmax(1)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            y = self.cluster(z) if y is None else y
            z = F.pad(z[:, self.choosing :], (self.choosing, 0))
        return super().forward(z, y)


class PocketDiscriminator(Discriminator):
    """2x2 pixels folded -> conv 3x3 32 -> conv 4x4 stride 2 64 -> 256 hidden units -> a logit, with classes also a
    projection (Miyato & Koyama 2018) and class logits (Odena et al. 2017). No BatchNorm, so that each image stands
    alone and gradient penalties mean something."""

    def __init__(self, shape: Shape, classes: int = 0) -> None:
        super().__init__()
        channels, height, width = shape
        self.first = nn.Conv2d(4 * channels, WIDTH // 2, 3, padding=1)
        self.down = nn.Conv2d(WIDTH // 2, WIDTH, 4, stride=2, padding=1)
        self.dense = nn.Linear(WIDTH * (height // 4) * (width // 4), HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)
        self.projection = nn.Embedding(classes, HIDDEN) if classes else None
        self.classes = nn.Linear(HIDDEN, classes) if classes else None
        self.conditional = self.names_classes = classes > 0
        he_initialisation(self)
        nn.init.normal_(self.head.weight, 0.0, 0.02)  # small first logits: neither player starts as the winner
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, 0.0, 0.02)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Critique:
        x = F.pixel_unshuffle(x, 2).contiguous(memory_format=memory_format(x.device))
        x = F.leaky_relu(self.first(x), 0.2)
        x = F.leaky_relu(self.down(x), 0.2)
        features = F.leaky_relu(self.dense(x.permute(0, 2, 3, 1).flatten(1)), 0.2)
        direction = self.head.weight
        if self.projection is not None:
            assert y is not None, "a conditional discriminator needs labels"
            direction = direction + self.projection(y)
        logits = (features * direction).sum(1) + self.head.bias  # fp32 under autocast, as no matrix product would be
        return Critique(logits, features, None if self.classes is None else self.classes(features))
