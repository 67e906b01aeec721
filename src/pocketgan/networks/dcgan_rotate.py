"""Original E: a small unpadded convolutional pair whose generator ends in ReLU, for 28x28 images only."""

from __future__ import annotations

from torch import Tensor, nn

from pocketgan.networks.contracts import Critique, Discriminator, Generator, Shape, normal_initialisation


class RotateGenerator(Generator):
    """z as a 1x1 map -> ConvT to 3x3, 6x6, 13x13, 28x28, BatchNorm and ReLU between, ReLU at the end: [0, inf)."""

    def __init__(self, latent_dim: int, shape: Shape) -> None:
        super().__init__(latent_dim)
        self.layers = nn.Sequential(
            *[nn.ConvTranspose2d(latent_dim, 256, 3, stride=2), nn.BatchNorm2d(256), nn.ReLU()],
            *[nn.ConvTranspose2d(256, 128, 4, stride=1), nn.BatchNorm2d(128), nn.ReLU()],
            *[nn.ConvTranspose2d(128, 64, 3, stride=2), nn.BatchNorm2d(64), nn.ReLU()],
            *[nn.ConvTranspose2d(64, shape[0], 4, stride=2), nn.ReLU()],
        )
        normal_initialisation(self)
        # a bias that begins below 0 leaves the last ReLU dead, without gradient; one above it, a grey background
        nn.init.zeros_(self.layers[-2].get_parameter("bias"))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class RotateDiscriminator(Discriminator):
    """Conv 3x3 16, 5x5 32, 5x5 64, all stride 2 with BatchNorm and LeakyReLU(0.2) -> flatten -> one logit."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *[nn.Conv2d(shape[0], 16, 3, stride=2), nn.BatchNorm2d(16), nn.LeakyReLU(0.2)],
            *[nn.Conv2d(16, 32, 5, stride=2), nn.BatchNorm2d(32), nn.LeakyReLU(0.2)],
            *[nn.Conv2d(32, 64, 5, stride=2), nn.BatchNorm2d(64), nn.LeakyReLU(0.2)],
            nn.Flatten(),
        )
        self.head = nn.Linear(64, 1)
        normal_initialisation(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Critique:
        features = self.body(x)
        return Critique(self.head(features).squeeze(1), features)
