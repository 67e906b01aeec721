"""The judge: the fixed classifier that scores. It never trains, selects or steers; those that do are guides."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from pocketgan.core.arguments import checked
from pocketgan.core.cache import cached
from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import images_for
from pocketgan.data.datasets import DATASETS, dataset_like
from pocketgan.data.image_set import ImageSet, as_bytes
from pocketgan.models.classifier import Classifier
from pocketgan.models.saved import weights_digest
from pocketgan.networks.classifiers import Judge as JudgeNetwork
from pocketgan.networks.contracts import Shape

JUDGE = "judge"  # the shipped one, of MNIST's digits
VERSIONS = {"a2e1d9ec7b46648b0aa494248daf45cd827362c2aba536b1ae9383af437b84f9": "mnist-1"}  # shipped ones, by digest
BATCH = 500


class Reading(NamedTuple):
    """What the judge makes of images: features float32 ``[N, 128]`` and class probabilities float32 ``[N, K]``."""

    features: Tensor
    probabilities: Tensor

    @property
    def labels(self) -> Tensor:
        """The likeliest classes, int64 ``[N]``."""
        return self.probabilities.argmax(1)


class Judge:
    """A classifier of an architecture that judges, bound to the images it learned from.

    Attributes
    ----------
    classifier
        The network with its classes and facts.
    version
        Name and number of a shipped one, such as ``mnist-1``, or ``own-`` and the beginning of the digest; scores of
        different versions do not compare.
    digest
        The sha256 of its weights.
    """

    @checked
    def __init__(self, classifier: Classifier) -> None:
        if not isinstance(classifier.network, JudgeNetwork):
            raise UsageError(
                f"a judge has the architecture 'judge' or 'judge-deep', not '{classifier.recipe.architecture}'; "
                "make one with `pocketgan judge train`"
            )
        self.classifier = classifier
        self.digest = weights_digest(classifier.network)
        self.version = VERSIONS.get(self.digest, f"own-{self.digest[:8]}")

    @classmethod
    @checked
    def load(cls, path: str | Path = JUDGE, device: str = "auto") -> Judge:
        """The judge in a folder; without one, the shipped judge of MNIST's digits.

        Raises
        ------
        UsageError
            There is no classifier at this path, or it is of no architecture that judges.
        """
        return cls(Classifier.load(path, device))

    @torch.no_grad()
    @checked
    def read(self, images: Any, batch_size: int = BATCH) -> Reading:
        """Features and class probabilities of uint8 ``[N, C, H, W]``, computed on the judge's device.

        Bytes only, in whatever form `as_bytes` takes them: an image set, a tensor, an array.

        What is returned lies on the CPU, where statistics are computed in float64.

        Raises
        ------
        UsageError
            The images are no bytes, or have another shape than those it was trained on; or a batch has none.
        """
        if batch_size < 1:
            raise UsageError(f"batch_size {batch_size} is too small; give at least 1")
        images = as_bytes(images)
        shape, network = self.classifier.shape, cast(JudgeNetwork, self.classifier.network)
        if tuple(images.shape[1:]) != shape:
            raise UsageError(
                f"judge {self.version} reads images of shape {list(shape)}, not {list(images.shape[1:])}; "
                "make one for these images with `pocketgan judge train`"
            )
        features, probabilities = [], []
        for part in images.split(batch_size):
            found = network.features(images_for(part, self.classifier.device))
            features.append(found)
            probabilities.append(network.head(found).softmax(1))
        return Reading(torch.cat(features).cpu(), torch.cat(probabilities).cpu())

    @checked
    def read_kept(self, images: ImageSet) -> Reading:
        """`read`, computed once for each image set and then kept in the cache."""
        key = f"reading {self.digest} {self.classifier.device.type} {images.digest}"
        return Reading(**cached(key, lambda: self.read(images.images)._asdict()))

    @checked
    def refuse_if_took_part(self, digests: Collection[str], subject: str) -> None:
        """Refuse to score what this very network helped to make.

        Raises
        ------
        UsageError
            Its digest is among those of the networks that trained, selected or labelled.
        """
        if self.digest in digests:
            raise UsageError(
                f"judge {self.version} took part in making {subject}, so it cannot score it; give another with --judge"
            )


def judge_for(shape: Shape, class_names: tuple[str, ...], device: str = "auto") -> Judge | None:
    """The shipped judge of the data set that has this shape and these classes; None if there is none."""
    known = dataset_like(shape, class_names)
    return Judge.load(known.judge, device) if known is not None and known.judge is not None else None


def refuse_judge(classifier: Classifier, option: str) -> None:
    """Refuse a guide, or a classifier C, that is a shipped judge: one network never both takes part and scores.

    Raises
    ------
    UsageError
        The weights are the judge's, whatever folder they came from.
    """
    shipped = [row.judge for row in DATASETS.values() if row.judge is not None]
    if weights_digest(classifier.network) in [Judge.load(name, "cpu").digest for name in shipped]:
        raise UsageError(f"{option} is the shipped judge, which only scores; choose another classifier")
