"""A generator and a guide that stay as they are: what every method looks through, and which guide that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import PixelRange, to_unit
from pocketgan.models.classifier import Classifier, guide_for, is_shipped_guide
from pocketgan.models.judge import refuse_judge
from pocketgan.models.saved import holds
from pocketgan.networks.contracts import Generator, Shape
from pocketgan.runs.folder import CLASSIFIER


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
        log_probabilities: Tensor = self.guide.network(self.pictures(z)).log_softmax(1)
        return log_probabilities

    def read(self, z: Tensor) -> Tensor:
        """The guide's probabilities float32 ``[N, K]`` of the images as bytes."""
        return self.guide.probabilities(self.draw(z))


FOLDER = "steer"  # inside a model's folder; one folder in it for each method
GUIDE = "guide"  # beside a model's fits, where it is not the shipped one


def find_guide(
    guide: Classifier | str | Path | None,
    name: str,
    shape: Shape,
    class_names: tuple[str, ...],
    folder: Path | None,
    device: str,
) -> Classifier:
    """The guide that is asked for, or the one that is kept with a model, or the shipped one.

    Parameters
    ----------
    guide
        A classifier or its folder; None for the one at hand.
    name, shape, class_names
        The model's.
    folder
        The model's; None for one that is only in memory.
    device
        Where a guide is loaded to.

    Raises
    ------
    UsageError
        None knows these images, or it is the judge.
    """
    if guide is None and folder is not None and holds(folder / FOLDER / GUIDE, CLASSIFIER):
        guide = folder / FOLDER / GUIDE
    if guide is None:
        chosen = guide_for(shape, class_names, device)
        if chosen is None:
            raise UsageError(
                f"{name}: the shipped guide does not know these images; train one with "
                "`pocketgan classify train --data IMAGES --out GUIDE` and give --guide GUIDE"
            )
    else:
        chosen = guide if isinstance(guide, Classifier) else Classifier.load(guide, device)
    refuse_judge(chosen, "--guide")
    if chosen.shape != shape:
        raise UsageError(f"--guide reads images {list(chosen.shape)}, {name} makes {list(shape)}")
    return chosen


def keep_guide(guide: Classifier, folder: Path) -> None:
    """Write a guide beside the fits in a model's folder, where it is not the shipped one."""
    if not is_shipped_guide(guide):
        guide.save(folder / FOLDER / GUIDE)
