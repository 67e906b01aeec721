"""Saved networks: a folder of safetensors and `model.json`, enough to rebuild them with no code in it.

A `Model` is a trained generator (and its discriminator); a `Classifier` names classes. Both are loaded by a path: a run
folder, or the model folder itself.
"""

from __future__ import annotations

import base64
import html
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pocketgan.core.devices import find_device
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import check_version, read_json, sha256, whole_folder, write_json
from pocketgan.core.latents import BLOCK, balanced_labels, latents
from pocketgan.core.pixels import to_bytes
from pocketgan.data.image_set import ImageSet
from pocketgan.models import build_classifier, build_discriminator, build_generator, pair_of
from pocketgan.models.layers import Discriminator, Generator, Shape, channels_last, parameter_count
from pocketgan.recipes import ClassifierRecipe, Recipe
from pocketgan.training.classifiers import images_for

FORMAT_VERSION = 1
SHIPPED = Path(__file__).parent / "weights"
GUIDE = "guide"  # the shipped classifier of MNIST digits that labels, selects and steers, and never judges


@dataclass(frozen=True, eq=False, repr=False)
class Samples(ImageSet):
    """Generated images, with the latents that made them.

    Attributes
    ----------
    latents
        float32 ``[N, latent_dim]``.
    seed, index
        What each latent is known by: ``latents(seed, index)``; index is int64 ``[N]``.
    label_source
        ``asked`` (the generator was asked for these classes), ``guide`` (a classifier read them) or ``none``.
    """

    latents: Tensor = field(default_factory=lambda: torch.empty(0, 1))
    seed: int = 0
    index: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    label_source: str = "none"


class Model:
    """A trained generator, with what is needed to sample it and to tell where it comes from.

    Attributes
    ----------
    generator, discriminator
        The networks; the discriminator is None where it was not saved.
    recipe
        What they were trained by.
    shape
        Channels, height and width of an image.
    class_names
        Of the images it learned from; empty where they had no labels.
    facts
        The rest of `model.json`: nimg, whether the weights are the moving average, the data's digest, versions.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        recipe: Recipe,
        shape: Shape,
        class_names: tuple[str, ...],
        facts: dict[str, Any],
    ) -> None:
        self.generator = generator.eval()
        self.discriminator = discriminator.eval() if discriminator is not None else None
        self.recipe, self.shape, self.class_names, self.facts = recipe, shape, class_names, facts
        self.device = next(generator.parameters()).device

    @property
    def conditional(self) -> bool:
        """Whether the generator can be asked for a class."""
        return pair_of(self.recipe.model.architecture).conditional

    def sample(self, count: int, *, label: int | None = None, seed: int = 0, start: int = 0) -> Samples:
        """Generate images.

        Parameters
        ----------
        count
            How many; at least 1.
        label
            The class of all of them (conditional models). Without it the classes take turns: index modulo K.
        seed
            Of the latents. The same seed and index give the same bytes, whatever `count`.
        start
            Index of the first.

        Raises
        ------
        UsageError
            The model is not conditional, or has no such class.

        Examples
        --------
        >>> import pocketgan as pg
        >>> pg.load("runs/first").sample(16, label=5)  # doctest: +SKIP
        """
        parts = list(self.stream(count, label=label, seed=seed, start=start))
        first = parts[0]
        return Samples(
            images=torch.cat([part.images for part in parts]),
            labels=None
            if first.labels is None
            else torch.cat([part.labels for part in parts if part.labels is not None]),
            class_names=first.class_names,
            name=first.name,
            provenance=first.provenance,
            latents=torch.cat([part.latents for part in parts]),
            seed=seed,
            index=torch.cat([part.index for part in parts]),
            label_source=first.label_source,
        )

    def stream(self, count: int, *, label: int | None = None, seed: int = 0, start: int = 0) -> Iterator[Samples]:
        """`sample` in parts of at most 128 images, for more than memory holds."""
        if count < 1:
            raise UsageError(f"--count {count} is too small; ask for at least 1 image")
        if label is not None:
            self._check_label(label)
        stop = start + count
        return (
            self._block(block, max(start, block), min(stop, block + BLOCK), label, seed)
            for block in _blocks(start, stop)
        )

    def images(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """The images of given latents.

        Parameters
        ----------
        z
            float32 ``[N, latent_dim]``.
        labels
            int64 ``[N]``, for conditional models.

        Returns
        -------
        Tensor
            uint8 ``[N, C, H, W]``; a stored latent gives its image again, byte for byte.
        """
        if z.ndim != 2 or z.shape[1] != self.recipe.model.latent_dim:
            raise UsageError(f"latents must be [N, {self.recipe.model.latent_dim}], not {list(z.shape)}")
        if self.conditional and (labels is None or labels.shape != z.shape[:1]):
            raise UsageError(f"this model is conditional: give one label for each of the {len(z)} latents")
        made = []
        for begin in range(0, len(z), BLOCK):
            part = None if labels is None else labels[begin : begin + BLOCK]
            made.append(self._chunk(z[begin : begin + BLOCK], part))
        return torch.cat(made) if made else torch.empty(0, *self.shape, dtype=torch.uint8)

    @torch.no_grad()
    def _chunk(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """At most `BLOCK` images, computed as a whole padded block so that their company never changes their bytes."""
        count = len(z)
        padded = torch.zeros(BLOCK, z.shape[1])
        padded[:count] = z
        y = None
        if self.conditional and labels is not None:
            y = torch.zeros(BLOCK, dtype=torch.int64)
            y[:count] = labels
            y = y.to(self.device)
        floats = self.generator(padded.to(self.device), y)
        return to_bytes(floats, self.recipe.data.pixels)[:count].cpu().contiguous()

    def _block(self, block: int, start: int, stop: int, label: int | None, seed: int) -> Samples:
        z = latents(seed, block, block + BLOCK, self.recipe.model.latent_dim)
        y = None
        if self.conditional:
            classes = len(self.class_names)
            y = torch.full((BLOCK,), label) if label is not None else balanced_labels(block, block + BLOCK, classes)
        chosen = slice(start - block, stop - block)
        return Samples(
            images=self._chunk(z, y)[chosen],
            labels=None if y is None else y[chosen],
            class_names=self.class_names if y is not None else (),
            name=f"{self.recipe.name}, seed {seed}",
            provenance=self.provenance,
            latents=z[chosen],
            seed=seed,
            index=torch.arange(start, stop),
            label_source="none" if y is None else "asked",
        )

    def _check_label(self, label: int) -> None:
        if not self.conditional:
            raise UsageError(
                f"{self.recipe.name} is unconditional and cannot be asked for a class; train a conditional recipe (pocket)"
            )
        if not 0 <= label < len(self.class_names):
            raise UsageError(f"--digit {label} is outside the classes 0 to {len(self.class_names) - 1} of this model")

    @property
    def provenance(self) -> dict[str, str]:
        """What goes with every image set made by this model."""
        return {"made_by": f"pocketgan, recipe {self.recipe.name}", **self.facts.get("data", {}).get("provenance", {})}

    def save(self, folder: Path) -> None:
        """Write the model folder, whole."""
        networks: dict[str, nn.Module] = {"generator": self.generator}
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        content = {"recipe": self.recipe.model_dump(exclude_none=True, mode="json"), **self.facts}
        _save(folder, "gan", networks, self.shape, self.class_names, content)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Model:
        """Load a model from a run folder or a model folder.

        Raises
        ------
        UsageError
            There is no model at this path.
        PocketganError
            A file is damaged, or was written by a newer version.
        """
        folder = model_folder(path, "model")
        about = _read_about(folder, "gan")
        recipe = Recipe.model_validate(about.pop("recipe"))
        shape, class_names = _shape_of(about), tuple(about.pop("class_names"))
        generator = build_generator(recipe.model, shape, len(class_names))
        _load_weights(folder, "generator", generator, about)
        discriminator = None
        if "discriminator.safetensors" in about["sha256"]:
            discriminator = build_discriminator(recipe.model, shape, len(class_names))
            _load_weights(folder, "discriminator", discriminator, about)
            discriminator.to(find_device(device))
        generator.to(find_device(device))
        channels_last(generator)
        return cls(generator, discriminator, recipe, shape, class_names, about)

    def __repr__(self) -> str:
        height, width = self.shape[1:]
        kind = "conditional" if self.conditional else "unconditional"
        return f"Model({self.recipe.name!r}, {kind}, {height}x{width}, {parameter_count(self.generator):,} parameters)"

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.sample(20)._repr_png_()).decode()
        return f'<p>{html.escape(repr(self))}</p><img alt="20 samples" src="data:image/png;base64,{picture}">'


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
        facts: dict[str, Any],
    ) -> None:
        self.network = network.eval()
        self.recipe, self.shape, self.class_names, self.facts = recipe, shape, class_names, facts
        self.device = next(network.parameters()).device

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Class probabilities: uint8 ``[N, C, H, W]`` in, float32 ``[N, K]`` out, computed in blocks of 500.

        Raises
        ------
        UsageError
            The images have another shape than those it was trained on.
        """
        if tuple(images.shape[1:]) != self.shape:
            raise UsageError(f"the classifier reads images of shape {list(self.shape)}, not {list(images.shape[1:])}")
        parts = [self.network(images_for(part, self.device)).softmax(1).cpu() for part in images.split(500)]
        return torch.cat(parts) if parts else torch.empty(0, len(self.class_names))

    def label(self, images: Tensor) -> Tensor:
        """The likeliest class of each image: int64 ``[N]``."""
        return self.probabilities(images).argmax(1)

    def save(self, folder: Path) -> None:
        """Write the model folder, whole."""
        content = {"recipe": self.recipe.model_dump(exclude_none=True, mode="json"), **self.facts}
        _save(folder, "classifier", {"classifier": self.network}, self.shape, self.class_names, content)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Classifier:
        """Load a classifier from a run folder or its own; ``guide`` is the one that comes with the package."""
        folder = model_folder(path, "classifier")
        about = _read_about(folder, "classifier")
        recipe = ClassifierRecipe.model_validate(about.pop("recipe"))
        shape, class_names = _shape_of(about), tuple(about.pop("class_names"))
        network = build_classifier(recipe.architecture, shape, len(class_names), recipe.seed)
        _load_weights(folder, "classifier", network, about)
        network.to(find_device(device))
        return cls(channels_last(network), recipe, shape, class_names, about)

    def __repr__(self) -> str:
        return f"Classifier({self.recipe.name!r}, {len(self.class_names)} classes, {parameter_count(self.network):,} parameters)"


def guide_for(data_shape: Shape, class_names: tuple[str, ...]) -> Classifier | None:
    """The shipped guide, if it reads images of this shape and these classes; else None."""
    guide = Classifier.load(GUIDE)
    return guide if (guide.shape, guide.class_names) == (data_shape, class_names) else None


def model_folder(path: str | Path, inside: str) -> Path:
    """The folder that holds `model.json`: `path` itself, its subfolder `inside` (a run), or a shipped model's.

    Raises
    ------
    UsageError
        There is none.
    """
    folder = Path(path)
    for candidate in (folder, folder / inside, SHIPPED / folder):
        if (candidate / "model.json").is_file():
            return candidate
    raise UsageError(
        f"{path} holds no {inside}: give a run folder, a folder with model.json, or a shipped model's name"
    )


def made_with(device: torch.device) -> dict[str, Any]:
    """Versions and machine, for the record in `model.json`."""
    return {
        "pocketgan": version("pocketgan"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device.type,
        "threads": torch.get_num_threads(),
    }


def data_facts(data: ImageSet) -> dict[str, Any]:
    """What `model.json` keeps of the images a network was trained on."""
    kept = {"name": data.name, "split": data.split, "count": len(data)}
    return {**kept, "digest": data.digest, "provenance": data.provenance}


def _blocks(start: int, stop: int) -> range:
    return range(start - start % BLOCK, stop, BLOCK)


def _save(
    folder: Path,
    kind: str,
    networks: dict[str, nn.Module],
    shape: Shape,
    names: tuple[str, ...],
    content: dict[str, Any],
) -> None:
    with whole_folder(folder) as beside:
        sums = {}
        for name, network in networks.items():
            tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
            file = beside / f"{name}.safetensors"
            save_file(tensors, file, metadata={"format_version": str(FORMAT_VERSION), "kind": kind, "network": name})
            sums[file.name] = sha256(file)
        head = {"format_version": FORMAT_VERSION, "kind": kind, "shape": list(shape), "class_names": list(names)}
        write_json(beside / "model.json", {**head, **content, "sha256": sums})


def _read_about(folder: Path, kind: str) -> dict[str, Any]:
    about: dict[str, Any] = read_json(folder / "model.json")
    check_version(folder / "model.json", about, FORMAT_VERSION)
    if about.get("kind") != kind:
        raise UsageError(f"{folder} holds a {about.get('kind')}, not a {kind}")
    missing = {"recipe", "shape", "class_names", "sha256"} - set(about)
    if missing:
        raise PocketganError(f"{folder / 'model.json'} lacks {', '.join(sorted(missing))}; it was changed by hand")
    return about


def _shape_of(about: dict[str, Any]) -> Shape:
    channels, height, width = about.pop("shape")
    return channels, height, width


def _load_weights(folder: Path, name: str, network: nn.Module, about: dict[str, Any]) -> None:
    file = folder / f"{name}.safetensors"
    if not file.is_file() or sha256(file) != about["sha256"].get(file.name):
        raise PocketganError(f"{file} is missing or damaged: its sha256 is not that of model.json")
    try:
        network.load_state_dict(load_file(file))
    except (SafetensorError, RuntimeError) as error:
        raise PocketganError(f"{file} does not fit its model.json ({str(error).splitlines()[0]})") from error
