"""Networks as graphs that other programs run: bytes outside, floats inside, with the answers that they must give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pocketgan.core.pixels import PixelRange, to_bytes, to_floats
from pocketgan.core.rng import balanced_labels, latents
from pocketgan.data.datasets import DATASETS
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import weights_digest
from pocketgan.networks.contracts import Critique, Discriminator, Generator
from pocketgan.recipes import Recipe, rebuild_command
from pocketgan.runs.facts import PairFacts

CHECKED = 1000  # latents of seed 0 that a graph is compared on
MOST_BYTES_APART = 1  # of 255, between our images and the graph's
MOST_APART = 1e-3  # of other outputs, as a share of the largest


class GeneratorGraph(nn.Module):
    """Latents float32 ``[N, D]`` (and classes int64 ``[N]``) to images uint8 ``[N, C, H, W]``."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return to_bytes(self.generator(z, label), self.generator.pixels)


class DiscriminatorGraph(nn.Module):
    """Images uint8 ``[N, C, H, W]`` (and classes int64 ``[N]``) to logits ``[N]``, positive for "real"."""

    def __init__(self, discriminator: Discriminator, pixels: PixelRange) -> None:
        super().__init__()
        self.discriminator, self.pixels = discriminator, pixels

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        critique: Critique = self.discriminator(to_floats(images, self.pixels), label)
        return critique.logits


class ClassifierGraph(nn.Module):
    """Images uint8 ``[N, C, H, W]`` to class probabilities float32 ``[N, K]``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(to_floats(images, "unit"))
        return logits.softmax(1)


@dataclass(frozen=True)
class Graph:
    """A network to be exported, and what it must answer.

    Attributes
    ----------
    name
        ``generator``, ``discriminator`` or ``classifier``: what its files are called.
    module
        In evaluation mode, on the CPU.
    inputs
        By name, `CHECKED` rows of each.
    output
        The name of what it gives.
    answers
        What pocketgan itself gives for these inputs.
    metadata
        Texts by name that go into the file.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    output: str
    answers: Tensor
    metadata: dict[str, str]


class Equality(NamedTuple):
    """How near a file's answers are to pocketgan's own."""

    rows: int
    values: int
    differing: int
    largest: float
    bytes: bool

    @property
    def holds(self) -> bool:
        """Whether they are near enough."""
        return self.largest <= (MOST_BYTES_APART if self.bytes else MOST_APART)

    @property
    def words(self) -> str:
        """For people."""
        if self.bytes:
            apart = f"{self.differing:,} of {self.values:,} values differ"
            return f"{self.rows:,} images: {apart}, by {self.largest:g} of 255 at most"
        return f"{self.rows:,} answers, {self.largest:.1e} apart at most"


def equality(answers: Tensor, given: Tensor) -> Equality:
    """Compare a file's answers with ours: bytes one by one; floats by their distance over the largest of ours."""
    if answers.shape != given.shape or answers.dtype != given.dtype:
        return Equality(len(answers), answers.numel(), answers.numel(), float("inf"), answers.dtype == torch.uint8)
    apart = (answers.double() - given.double()).abs()
    whole = answers.dtype == torch.uint8
    largest = float(apart.max() / (1.0 if whole else answers.double().abs().max().clamp(min=1e-12)))
    return Equality(len(answers), answers.numel(), int((apart > 0).sum()), largest, whole)


def model_graphs(model: Model) -> list[Graph]:
    """The generator, and the discriminator where it was saved."""
    z = latents(0, 0, CHECKED, model.recipe.model.latent_dim)
    label = {"label": balanced_labels(0, CHECKED, len(model.class_names))} if model.conditional else {}
    images = model.images(z, label.get("label"))
    about = metadata(model) | {"latent_dim": str(z.shape[1])}
    about |= {"nimg": str(model.facts.nimg), "images": "uint8, 0 to 255, [N, C, H, W]"}
    graphs = [_graph("generator", GeneratorGraph(model.generator), {"z": z, **label}, "images", about, images)]
    if model.discriminator is not None:
        judging = DiscriminatorGraph(model.discriminator, model.generator.pixels)
        graphs.append(_graph("discriminator", judging, {"images": images, **label}, "logits", about))
    return graphs


def classifier_graph(classifier: Classifier, images: Tensor) -> Graph:
    """A classifier, with images uint8 ``[N, C, H, W]`` to try it on."""
    about = metadata(classifier) | {"images": "uint8, 0 to 255, [N, C, H, W]"}
    answers = classifier.probabilities(images)
    reading = ClassifierGraph(classifier.network)
    return _graph("classifier", reading, {"images": images}, "probabilities", about, answers)


def trial_images(classifier: Classifier) -> Tensor:
    """Images to try a classifier on that comes without a generator: fixed noise, smoothed to several scales."""
    rng = torch.Generator().manual_seed(0)
    channels, height, width = classifier.shape
    noise = torch.rand(CHECKED, channels, -(-height // 4), -(-width // 4), generator=rng)
    return to_bytes(nn.functional.interpolate(noise, size=(height, width), mode="bilinear"), "unit")


@torch.no_grad()
def _graph(
    name: str,
    module: nn.Module,
    inputs: dict[str, Tensor],
    output: str,
    about: dict[str, str],
    answers: Tensor | None = None,
) -> Graph:
    module.eval()
    if answers is None:
        answers = module(*inputs.values())
    digest = weights_digest(next(module.children()))
    return Graph(name, module, inputs, output, answers, {**about, "network": name, "weights_sha256": digest})


def licence_of(subject: Model | Classifier) -> str:
    """The licence of the images that a network learned from, which what is made from them keeps; or nothing."""
    return subject.facts.data.provenance.get("licence", "")


def published_recipe(recipe: Recipe) -> Recipe:
    """A recipe without the folders of the machine that it was trained on: of a path, only the last part stays."""
    data = recipe.data.model_copy(update={"source": _published(recipe.data.source)})
    return recipe.model_copy(update={"data": data})


def published_facts(model: Model) -> PairFacts:
    """A model's facts, again without folders."""
    source, data = model.recipe.data.source, model.facts.data
    named = data.model_copy(update={"name": data.name.replace(source, _published(source))})
    command = rebuild_command(published_recipe(model.recipe))
    return model.facts.model_copy(update={"data": named, "command": command})


def _published(source: str) -> str:
    return source if source in DATASETS else Path(source).name


def metadata(subject: Model | Classifier) -> dict[str, str]:
    """What every file says of a network, as texts."""
    recipe = subject.recipe
    if isinstance(recipe, Recipe):
        told = published_recipe(recipe).model_dump(exclude_none=True, mode="json")
    else:
        told = recipe.model_dump(mode="json") | {"source": _published(recipe.source)}
    return {
        "pocketgan": version("pocketgan"),
        "recipe": json.dumps(told),
        "licence": licence_of(subject),
        "data": subject.facts.data.provenance.get("data", ""),
        "class_names": json.dumps(list(subject.class_names), ensure_ascii=False),
        "shape": json.dumps(list(subject.shape)),
    }
