"""A trained classifier: load, save, read images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pocketgan.core.arguments import checked
from pocketgan.core.devices import find_device
from pocketgan.core.errors import UsageError
from pocketgan.core.files import user_path
from pocketgan.core.pixels import images_for
from pocketgan.data.datasets import DATASETS, dataset_like
from pocketgan.data.image_set import as_bytes
from pocketgan.models.saved import load_weights, model_folder, read_model_file, save_networks, weights_digest
from pocketgan.networks.classifiers import build_classifier
from pocketgan.networks.contracts import Shape, channels_last, parameter_count
from pocketgan.recipes import ClassifierRecipe
from pocketgan.runs.facts import ClassifierFacts, ClassifierFile
from pocketgan.runs.folder import CLASSIFIER


class Classifier:
    """A network that names classes, as it was trained.

    Attributes
    ----------
    network
        Images in [0, 1] to logits ``[B, K]``.
    recipe, shape, class_names, facts
        As in `Model`.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: ClassifierRecipe,
        shape: Shape,
        class_names: tuple[str, ...],
        facts: ClassifierFacts,
    ) -> None:
        self.network = network.eval()
        self.recipe, self.shape, self.class_names, self.facts = recipe, shape, class_names, facts
        self.device = next(network.parameters()).device

    @torch.no_grad()
    def probabilities(self, images: Any) -> Tensor:
        """Class probabilities: uint8 ``[N, C, H, W]`` in, float32 ``[N, K]`` out, computed in blocks of 500.

        Bytes only, in whatever form `as_bytes` takes them: an image set, a tensor, an array.

        Raises
        ------
        UsageError
            The images are no bytes, or have another shape than those it was trained on.
        """
        try:
            images = as_bytes(images, self.shape)
        except UsageError as error:
            raise UsageError(f"the classifier reads images of shape {list(self.shape)}: {error}") from None
        parts = [self.network(images_for(part, self.device)).softmax(1) for part in images.split(500)]
        return torch.cat(parts).cpu() if parts else torch.empty(0, len(self.class_names))

    def label(self, images: Any) -> Tensor:
        """The likeliest class of each image, given as in `probabilities`: int64 ``[N]``."""
        return self.probabilities(images).argmax(1)

    @checked
    def save(self, folder: str | Path) -> None:
        """Write the model folder, whole."""
        networks = {CLASSIFIER: self.network}
        save_networks(user_path(folder), networks, self.recipe, self.shape, self.class_names, self.facts)

    @classmethod
    @checked
    def load(cls, path: str | Path, device: str = "auto") -> Classifier:
        """Load a classifier from a run folder or its own; ``guide`` is the one that comes with the package."""
        folder = model_folder(path, CLASSIFIER)
        about = read_model_file(folder, ClassifierFile)
        network = build_classifier(about.recipe.architecture, about.shape, len(about.class_names), about.recipe.seed)
        load_weights(folder, CLASSIFIER, network, about)
        network.to(find_device(device))
        return cls(channels_last(network), about.recipe, about.shape, about.class_names, about.facts)

    def __repr__(self) -> str:
        classes, parameters = len(self.class_names), parameter_count(self.network)
        return f"Classifier({self.recipe.name!r}, {classes} classes, {parameters:,} parameters)"


def guide_for(data_shape: Shape, class_names: tuple[str, ...], device: str = "auto") -> Classifier | None:
    """The shipped guide of the data set that has this shape and these classes; None if there is none."""
    known = dataset_like(data_shape, class_names)
    return Classifier.load(known.guide, device) if known is not None and known.guide is not None else None


def is_shipped_guide(classifier: Classifier) -> bool:
    """Whether these are the weights of a shipped guide, whatever folder they came from."""
    digest = weights_digest(classifier.network)
    shipped = [row.guide for row in DATASETS.values() if row.guide is not None]
    return any(digest == weights_digest(Classifier.load(name, "cpu").network) for name in shipped)
