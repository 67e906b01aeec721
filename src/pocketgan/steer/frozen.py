"""A generator and a guide that stay as they are: what every method looks through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pocketgan.core.pixels import PixelRange, to_unit
from pocketgan.models.classifier import Classifier
from pocketgan.networks.contracts import Generator


@dataclass(frozen=True, eq=False)
class Frozen:
    """A trained generator with a guide that reads its images.

    Attributes
    ----------
    name
        Of the model, for people.
    generator
        The unconditional network, in evaluation mode.
    pixels
        The range of its images.
    draw
        From latents float32 ``[N, D]`` to images uint8 ``[N, C, H, W]``, as the model itself makes them.
    guide
        The classifier that names classes; never the judge.
    """

    name: str
    generator: Generator
    pixels: PixelRange
    draw: Callable[[Tensor], Tensor]
    guide: Classifier

    @property
    def classes(self) -> int:
        """How many classes the guide tells apart."""
        return len(self.guide.class_names)

    def pictures(self, z: Tensor) -> Tensor:
        """Images in [0, 1], float32 ``[N, C, H, W]``, through which gradients reach the latents ``[N, D]``."""
        return to_unit(self.generator(z.to(self.guide.device)), self.pixels)

    def log_probabilities(self, z: Tensor) -> Tensor:
        """What the guide reads in the images of latents ``[N, D]``: log-probabilities ``[N, K]``, with gradients."""
        found: Tensor = self.guide.network(self.pictures(z)).log_softmax(1)
        return found

    def read(self, z: Tensor) -> Tensor:
        """The guide's probabilities float32 ``[N, K]`` of the images as bytes."""
        return self.guide.probabilities(self.draw(z))
