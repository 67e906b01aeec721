"""Classifiers: images in [0, 1] ``[B, C, H, W]`` to class logits ``[B, K]``."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.rng import seeded
from pocketgan.networks.contracts import Shape, keras_initialisation
from pocketgan.recipes.image_options import MIN_SIDE


class CNN(nn.Module):
    """Of `mlp`'s project: conv 5x5 padding 2 with 36 filters, ReLU, pool 2; again with 32; linear. 45,458 weights."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.layers = nn.Sequential(
            *[nn.Conv2d(channels, 36, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Conv2d(36, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), classes)],
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class MLPClassifier(nn.Module):
    """Of `mlp-bn`'s project: the "fully connected" network; its widths are not told: 512 and 256 with ReLU."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            *[nn.Linear(math.prod(shape), 512), nn.ReLU()],
            *[nn.Linear(512, 256), nn.ReLU()],
            nn.Linear(256, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class CNNDense(nn.Module):
    """Of `dcgan`'s project: two 3x3 convolutions (32, 64), pooled; two dense layers (128, K); Keras' defaults."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        rows, columns = ((height - 2) // 2 - 2) // 2, ((width - 2) // 2 - 2) // 2
        self.layers = nn.Sequential(
            *[nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Flatten(), nn.Linear(64 * rows * columns, 128), nn.ReLU(), nn.Linear(128, classes)],
        )
        keras_initialisation(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class Linear224(nn.Module):
    """Of `mlp-deep`'s project: images in 3 equal channels, resized to 224x224; one linear layer. 1,505,290 weights."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 224 * 224, classes)

    def forward(self, x: Tensor) -> Tensor:
        large = F.interpolate(x, size=(224, 224), mode="bilinear", align_corners=False)
        logits: Tensor = self.linear(large.expand(-1, 3, -1, -1).flatten(1))
        return logits


class Judge(nn.Module):
    """Four 3x3 convolutions with BatchNorm (32; 64, 64; 96) over three pools, then 128 features and the classes.

    What it computes before its last layer is the space in which image sets are compared.
    """

    FEATURES = 128

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.body = nn.Sequential(
            *[*_normed(channels, 32), nn.MaxPool2d(2)],
            *[*_normed(32, 64), *_normed(64, 64), nn.MaxPool2d(2)],
            *[*_normed(64, 96), nn.MaxPool2d(2)],
            *[nn.Flatten(), nn.Dropout(0.2), nn.Linear(96 * (height // 8) * (width // 8), self.FEATURES), nn.ReLU()],
        )
        self.head = nn.Linear(self.FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """Images ``[B, C, H, W]`` to features ``[B, 128]``."""
        features: Tensor = self.body(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


class Sum(nn.Module):
    """What comes in, with what some layers make of it added (He et al. 2016)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.layers(x)
        return added


class LargestOfEach(nn.Module):
    """Each channel's largest number: ``[B, C, H, W]`` to ``[B, C]``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


class DeepJudge(Judge):
    """A judge for harder images: a small residual network, wider for colour than for grey.

    A convolution, then three times: convolution and pool, and what residual convolutions add (one; two; and in colour
    one more), all 3x3 with BatchNorm; then each channel's largest number. The plan is that of D. Page's network for
    CIFAR-10 ("How to train your ResNet", 2018), with an eighth of its parameters.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        nn.Module.__init__(self)
        colour = shape[0] == 3
        first, second, third = (24, 64, 128) if colour else (16, 48, 96)
        self.body = nn.Sequential(
            *[nn.Conv2d(shape[0], first, 3, padding=1), nn.ReLU()],
            *[*_pooled(first, second), Sum(*_normed(second, second))],
            *[*_pooled(second, third), Sum(*_normed(third, third), *_normed(third, third))],
            *_pooled(third, self.FEATURES),
            *([Sum(*_normed(self.FEATURES, self.FEATURES))] if colour else []),
            LargestOfEach(),
        )
        self.head = nn.Linear(self.FEATURES, classes)


class CNNNormed(nn.Module):
    """A plain guide for harder images: pairs of 3x3 convolutions with BatchNorm (32, 64, 128), a pool after each pair.

    It ends in each channel's mean and one linear layer; it shares neither its plan nor its features with the judges.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((shape[0], 32), (32, 64), (64, 128)):
            layers += [*_normed(inputs, outputs), *_normed(outputs, outputs), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


def _pooled(inputs: int, outputs: int) -> list[nn.Module]:
    """A convolution whose sides are halved before the rest, which so costs a quarter."""
    convolution, *rest = _normed(inputs, outputs)
    return [convolution, nn.MaxPool2d(2), *rest]


def _normed(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class TSTRNetwork(nn.Module):
    """The learner of `tstr`: conv 3x3 32, pool 2, conv 3x3 64, pool 2, 128 units, dropout 0.3."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.layers = nn.Sequential(
            *[nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Flatten(), nn.Linear(64 * (height // 4) * (width // 4), 128), nn.ReLU(), nn.Dropout(0.3)],
            nn.Linear(128, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


CLASSIFIERS: dict[str, Callable[[Shape, int], nn.Module]] = {
    "cnn": CNN,
    "mlp": MLPClassifier,
    "cnn-dense": CNNDense,
    "linear-224": Linear224,
    "cnn-normed": CNNNormed,
    "judge": Judge,
    "judge-deep": DeepJudge,
    "tstr": TSTRNetwork,
}
SMALLEST_SIDE = {"cnn-dense": 10}  # pixels that a classifier needs, where it is more than `MIN_SIDE`


def build_classifier(architecture: str, shape: Shape, classes: int, seed: int) -> nn.Module:
    """A classifier with the weights that a seed gives it.

    Raises
    ------
    UsageError
        The architecture is unknown, or the images are too small for it.
    """
    if architecture not in CLASSIFIERS:
        raise UsageError(f"classifier '{architecture}' is unknown{nearest(architecture, CLASSIFIERS)}")
    smallest = SMALLEST_SIDE.get(architecture, MIN_SIDE)
    if min(shape[1:]) < smallest:
        raise UsageError(f"{architecture} reads images with sides of {smallest} pixels or more; try cnn or mlp")
    with seeded(seed, "initialisation"):
        return CLASSIFIERS[architecture](shape, classes)
