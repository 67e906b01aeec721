"""The weights that a training begins with where they are another model's: found, checked, put into the networks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.models.saved import model_folder, read_model_file, read_weights, tensors_digest
from pocketgan.networks.architectures import empty_discriminator, empty_generator
from pocketgan.networks.contracts import Shape
from pocketgan.recipes import Recipe
from pocketgan.runs.facts import PairFile
from pocketgan.runs.folder import MODEL
from pocketgan.training.state import TrainState

NETWORKS = "generator", "discriminator"


class Start(NamedTuple):
    """The weights of a pair, by network and name, and what is known of them."""

    path: str  # as it was given
    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor]
    took_part: tuple[str, ...]  # digests of the classifiers that selected the model

    @property
    def digest(self) -> str:
        """The sha256 of all weights, whatever folder they lie in."""
        both = zip(NETWORKS, (self.generator, self.discriminator), strict=True)
        return tensors_digest({f"{name}.{key}": value for name, tensors in both for key, value in tensors.items()})


def read_start(path: str | Path) -> Start:
    """The weights in a run or model folder, or of a shipped model. No code that a model brings is run.

    Raises
    ------
    UsageError
        There is no model, or it has no discriminator.
    PocketganError
        A file is damaged.
    """
    try:
        folder = model_folder(path, MODEL)
    except UsageError as error:
        raise UsageError(f"--start-from {error}") from error
    about = read_model_file(folder, PairFile)
    if "discriminator.safetensors" not in about.sha256:
        raise UsageError(
            f"--start-from {path}: it has no discriminator to go on with; give a run that pocketgan trained"
        )
    generator, discriminator = (read_weights(folder, name, about) for name in NETWORKS)
    return Start(str(path), generator, discriminator, about.took_part)


def check_fit(start: Start, recipe: Recipe, shape: Shape, classes: int) -> None:
    """Refuse weights that are not those of the recipe's pair.

    Raises
    ------
    UsageError
        A tensor is missing, too many, or has another shape; the line names the first.
    """
    networks = empty_generator(recipe, shape, classes), empty_discriminator(recipe, shape, classes)
    for name, network, tensors in zip(NETWORKS, networks, (start.generator, start.discriminator), strict=True):
        wanted = {key: list(value.shape) for key, value in network.state_dict().items()}
        given = {key: list(value.shape) for key, value in tensors.items()}
        for key in (*wanted, *given):
            if wanted.get(key) != given.get(key):
                there, here = (_shown(shapes.get(key)) for shapes in (given, wanted))
                raise UsageError(
                    f"--start-from {start.path}: its {name} does not fit {recipe.name} on these images ({key}: {there} "
                    f"there, {here} here); give a model of the same networks, image size and classes"
                )


def _shown(shape: list[int] | None) -> str:
    return "missing" if shape is None else str(shape)


@torch.no_grad()
def begin_with(state: TrainState, start: Start) -> None:
    """Put the weights into a fresh state, and the generator's into its moving average too."""
    state.generator.load_state_dict(start.generator)
    state.discriminator.load_state_dict(start.discriminator)
    if state.ema is not None:
        state.ema.load_state_dict(start.generator)
