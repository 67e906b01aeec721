"""The layers of a saved model: names, output shapes, parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import holds
from pocketgan.runs.folder import CLASSIFIER, MODEL


class Layer(NamedTuple):
    """One row of a summary: a layer without children, in the order it is called."""

    name: str
    kind: str
    output: tuple[int, ...]  # shape, the batch left out
    parameters: int


def layer_table(network: nn.Module, *inputs: Tensor) -> list[Layer]:
    """The layers that a network calls for these inputs, with the shapes that they give.

    Parameters
    ----------
    network
        In evaluation mode.
    inputs
        What it is called with; the first axis is the batch.
    """
    rows: list[Layer] = []
    hooks = []
    for name, layer in network.named_modules():
        if next(layer.children(), None) is not None or layer is network:
            continue

        def note(module: nn.Module, _: Any, output: Tensor, name: str = name) -> None:
            count = sum(parameter.numel() for parameter in module.parameters())
            rows.append(Layer(name, type(module).__name__, tuple(output.shape[1:]), count))

        hooks.append(layer.register_forward_hook(note))
    try:
        with torch.no_grad():
            network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return rows


class ModelInfo(NamedTuple):
    """A saved model, and the layers of each of its networks by the network's name."""

    model: Model | Classifier
    layers: dict[str, list[Layer]]


def model_info(path: str | Path) -> ModelInfo:
    """The model at a path, or else the classifier there, with its layers.

    Raises
    ------
    UsageError
        There is neither.
    """
    if holds(path, CLASSIFIER) and not holds(path, MODEL):
        reader = Classifier.load(path)
        return ModelInfo(reader, {"classifier": layer_table(reader.network, torch.zeros(1, *reader.shape))})
    model = Model.load(path)
    told = model.conditional or model.recipe.model.clusters > 0
    labels = [torch.zeros(1, dtype=torch.int64)] if told else []
    tables = {"generator": layer_table(model.generator, torch.zeros(1, model.recipe.model.latent_dim), *labels)}
    if model.discriminator is not None:
        tables["discriminator"] = layer_table(model.discriminator, torch.zeros(1, *model.shape), *labels)
    return ModelInfo(model, tables)
