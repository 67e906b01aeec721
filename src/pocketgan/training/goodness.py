"""When a training is good enough: "until indistinguishable", made measurable by a guide."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

COUNT = 1000  # real images, and samples, that the guide reads
SURENESS = 0.98  # share of its mean confidence on real images that it must have on samples
CLASS_SHARE = 0.5  # share of its frequency among real images that each class must have among the samples


class Goodness:
    """Compares how surely a guide reads samples with how surely it reads real images.

    Parameters
    ----------
    probabilities
        The guide: uint8 ``[N, C, H, W]`` to class probabilities ``[N, K]``.
    real
        Real images, uint8 ``[N, C, H, W]``; about `COUNT` of them are read, evenly spaced.
    """

    def __init__(self, probabilities: Callable[[Tensor], Tensor], real: Tensor) -> None:
        self.probabilities = probabilities
        read = probabilities(real[:: max(1, len(real) // COUNT)])
        self.real_confidence = read.max(1).values.mean().item()
        self.shares = read.argmax(1).bincount(minlength=read.shape[1]) / len(read)

    def reached(self, samples: Tensor) -> bool:
        """Whether samples, uint8 ``[N, C, H, W]``, are read as surely as real images and no class is missing."""
        probabilities = self.probabilities(samples)
        confidence = probabilities.max(1).values.mean().item()
        shares = probabilities.argmax(1).bincount(minlength=probabilities.shape[1]) / len(samples)
        return confidence >= SURENESS * self.real_confidence and bool((shares >= CLASS_SHARE * self.shares).all())
