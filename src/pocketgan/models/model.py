"""A trained generator: load, save, sample. Where its latents come from, and how they become images."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pocketgan.core.arguments import Seed, checked
from pocketgan.core.devices import find_device, sent
from pocketgan.core.errors import UsageError
from pocketgan.core.files import user_path
from pocketgan.core.pixels import to_bytes
from pocketgan.core.rng import BLOCK, balanced_labels, latents
from pocketgan.data.image_set import Samples, as_labels, class_index, joined
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.judge import refuse_judge
from pocketgan.models.saved import SHIPPED, check_sum, load_weights, model_folder, read_model_file, save_networks
from pocketgan.networks.architectures import empty_discriminator, empty_generator
from pocketgan.networks.contracts import Discriminator, Generator, Shape, channels_last, parameter_count
from pocketgan.recipes import Recipe
from pocketgan.recipes.code import Factory, find_beside, remember_classes, trust_here
from pocketgan.runs.facts import PairFacts, PairFile
from pocketgan.runs.folder import MODEL, MODEL_FILE
from pocketgan.steer.search import Inversion, invert
from pocketgan.steer.steering import Steering
from pocketgan.steer.wish import Wish

MOST_SAMPLED = 10_000_000  # images that `sample` keeps in memory


class Model:
    """A trained generator, with what is needed to sample it and to tell where it comes from.

    Attributes
    ----------
    generator, discriminator
        The networks; the discriminator is None where it was not saved, and is read when it is first asked for.
    recipe
        What they were trained by.
    shape
        Channels, height and width of an image.
    class_names
        Of the images it learned from; empty where they had no labels.
    facts
        The rest of `model.json`: nimg, whether the weights are the moving average, the data's digest, versions.
    folder
        Where it was loaded from, and where steerers are kept; None for one that is only in memory.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator | Callable[[], Discriminator] | None,
        recipe: Recipe,
        shape: Shape,
        class_names: tuple[str, ...],
        facts: PairFacts,
        folder: Path | None = None,
    ) -> None:
        self.generator = generator.eval()
        self._discriminator = discriminator
        self.recipe, self.shape, self.class_names, self.facts = recipe, shape, class_names, facts
        self.device = next(generator.parameters()).device
        self.folder = folder

    @property
    def discriminator(self) -> Discriminator | None:
        """The discriminator, in evaluation mode; None where it was not saved."""
        if self._discriminator is not None and not isinstance(self._discriminator, Discriminator):
            self._discriminator = self._discriminator()
        return None if self._discriminator is None else self._discriminator.eval()

    @property
    def conditional(self) -> bool:
        """Whether the generator can be asked for a class."""
        return self.generator.conditional

    @cached_property
    def steer(self) -> Steering:
        """What finds latents for classes: ``model.steer.fit("flow")``, then ``model.sample(16, label=5)``.

        Raises
        ------
        UsageError
            The model is conditional and needs none.
        """
        if self.conditional:
            raise UsageError(
                f"{self.recipe.name} is conditional and makes any class it is asked for; steering is for models that "
                "are not, so leave it out (pocketgan generate MODEL --digit 5)"
            )
        name = f"{self.recipe.name}, seed {self.recipe.seed}"
        return Steering(
            name, self.shape, self.class_names, self.generator, self.generator.pixels, self.images, self.folder
        )

    @checked
    def sample(
        self,
        count: int,
        *,
        label: int | str | None = None,
        seed: Seed = 0,
        start: int = 0,
        balanced: bool = False,
        method: str | None = None,
        checked: bool = False,
        moves: Mapping[str, float] | None = None,
        exact: bool = True,
    ) -> Samples:
        """Generate images.

        Parameters
        ----------
        count
            How many; at least 1, and at most ten million, for all of them stay in memory.
        label
            The class of all of them, by its index or by its name as text. Without it a conditional model's classes take
            turns: index modulo K. A model that is unconditional needs a method that was fitted: `steer`.
        seed
            Of the latents. The same seed and index give the same bytes, whatever `count`.
        start
            Index of the first.
        balanced
            Let the classes take turns on an unconditional model too.
        method, checked, moves
            How an unconditional model is steered, as in `Wish`; the best fitted method without one.
        exact
            As in `images`: False is for looking at a few, and far faster.

        Raises
        ------
        UsageError
            The model has no such class, or is unconditional and nothing was fitted to it; or an argument is of another
            kind.

        Examples
        --------
        >>> import pocketgan as pg
        >>> pg.load("runs/first").sample(16, label=5)  # doctest: +SKIP
        """
        if count > MOST_SAMPLED:
            raise UsageError(f"{count:,} images do not fit in memory; write them with generate, or take them by stream")
        wish = Wish(None if label is None else self.class_index(label, method), balanced, method, checked, moves)
        return joined(list(self.stream(count, wish, seed=seed, start=start, exact=exact)))

    @checked
    def class_index(self, label: int | str, method: str | None = None) -> int:
        """The label of a class that is asked for by its index or its name; of steered models, as the guide names it.

        Raises
        ------
        UsageError
            There is no such class, or the model is unconditional and `method` (or any) was not fitted to it.
        """
        if self.conditional:
            return class_index(label, self.class_names)
        self.steer.fitted(method)
        return class_index(label, self.steer.names())

    @checked
    def stream(
        self, count: int, wish: Wish | None = None, *, seed: Seed = 0, start: int = 0, exact: bool = True
    ) -> Iterator[Samples]:
        """`sample` in parts of at most 128 images, for more than memory holds; what it is asked for is a `Wish`."""
        if count < 1:
            raise UsageError(f"--count {count} is too small; ask for at least 1 image")
        if start < 0:
            raise UsageError(f"start {start} is too small; images are counted from 0")
        stop = start + count
        source = self._source(wish or Wish(), stop)
        return (
            self._block(block, max(start, block), min(stop, block + BLOCK), seed, source, exact)
            for block in range(start - start % BLOCK, stop, BLOCK)
        )

    def images(self, z: Any, labels: Any = None, *, exact: bool = True) -> Tensor:
        """The images of given latents.

        Parameters
        ----------
        z
            Finite floats ``[N, latent_dim]``, a tensor, an array or lists of them.
        labels
            Whole numbers ``[N]``, for conditional models.
        exact
            Images are computed in padded blocks of 128, so that a stored latent gives its image again, byte for byte.
            Without it there is no padding: one image takes a millisecond or two, and a byte may differ by one.

        Returns
        -------
        Tensor
            uint8 ``[N, C, H, W]``.

        Raises
        ------
        UsageError
            Latents or labels have another shape or kind, or there is no such class.
        """
        z = as_latents(z, self.recipe.model.latent_dim)
        if self.conditional and labels is None:
            raise UsageError(f"this model is conditional: give one label for each of the {len(z)} latents")
        if labels is not None and not self.conditional:
            raise UsageError(f"{self.recipe.name} is unconditional: its latents give images without any label")
        if labels is not None:
            labels = as_labels(labels, len(z))
            for label in set(labels.tolist()):
                class_index(label, self.class_names)
        return draw(self.generator, z, labels, exact=exact) if len(z) else torch.empty(0, *self.shape).byte()

    def invert(
        self,
        pictures: Tensor,
        *,
        label: int | str | None = None,
        seed: int = 0,
        watch: Callable[[float, str], None] = lambda done, note: None,
        look: Callable[[int, Tensor, Tensor], None] | None = None,
    ) -> Inversion:
        """The latents whose images come nearest to pictures.

        Parameters
        ----------
        pictures
            uint8 ``[N, C, H, W]``, of the model's size.
        label
            The class that a conditional model is asked for; without it the one that comes nearest.
        seed
            Of the starts.
        watch
            Told the share that is done, and a note.
        look
            Shown the descent, as `steer.search.invert` tells.

        Raises
        ------
        UsageError
            The pictures have another size, or there is no such class.
        """
        if label is not None and not self.conditional:
            raise UsageError(f"{self.recipe.name} is unconditional: its latents give images without any label")
        classes = range(len(self.class_names)) if label is None else [class_index(label, self.class_names)]
        return invert(
            self.generator,
            self.images,
            pictures,
            classes=classes if self.conditional else (),
            seed=seed,
            watch=watch,
            look=look,
        )

    def _source(self, wish: Wish, stop: int) -> _Source:
        """Where latents come from; `stop` is the index after the last one."""
        if not self.conditional and wish.for_class:
            steered_by = {"steered_by": self.steer.fitted(wish.method).facts.method}
            return _Source(self.steer.provider(wish, stop), wish.label, self.steer.names(), "steered", steered_by)
        if wish.method or wish.checked or wish.moves:
            raise UsageError(
                f"{self.recipe.name} is not steered here, so --method, --checked and moves mean nothing; "
                + ("leave them out" if self.conditional else "add --digit or --balanced")
            )
        dim = self.recipe.model.latent_dim

        def prior(labels: Tensor | None, block: int, seed: int) -> Tensor:
            return latents(seed, block, block + BLOCK, dim)

        if not self.conditional:
            return _Source(prior)
        if wish.label is not None:
            class_index(wish.label, self.class_names)
        return _Source(prior, wish.label, self.class_names, "asked")

    def _block(self, block: int, start: int, stop: int, seed: int, source: _Source, exact: bool) -> Samples:
        y = source.classes(block)
        z = source.latents(y, block, seed)
        chosen = slice(start - block, stop - block)
        told = y if self.conditional else None
        if exact:
            images = draw(self.generator, z, told)[chosen]
        else:
            images = draw(self.generator, z[chosen], None if told is None else told[chosen], exact=False)
        return Samples(
            images=images,
            labels=None if y is None else y[chosen],
            class_names=source.class_names,
            name=f"{self.recipe.name}, seed {seed}",
            provenance={**self.provenance, **(source.provenance or {})},
            latents=z[chosen],
            seed=seed,
            index=torch.arange(start, stop),
            label_source=source.label_source,
        )

    @property
    def name(self) -> str:
        """What it is called: a shipped model by its own name, another by its recipe and seed."""
        if self.folder is not None and self.folder.parent == SHIPPED:
            return self.folder.name
        return f"{self.recipe.name}-{self.recipe.seed}"

    @property
    def provenance(self) -> dict[str, str]:
        """What goes with every image set made by this model."""
        learned_from = self.facts.data.provenance  # may have been made by another model
        return {**learned_from, "made_by": f"pocketgan, recipe {self.recipe.name}"}

    @checked
    def save(self, folder: str | Path) -> None:
        """Write the model folder, whole, and then the steerers that it has."""
        folder = user_path(folder)
        networks: dict[str, nn.Module] = {"generator": self.generator}
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        steerers = {} if self.conditional else self.steer.everything()
        save_networks(folder, networks, self.recipe, self.shape, self.class_names, self.facts)
        if steerers:
            self.steer.save(folder, steerers)

    @classmethod
    @checked
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        trust_code: bool = False,
        classes: tuple[Factory, Factory] | None = None,
    ) -> Model:
        """Load a model from a run folder or a model folder.

        Parameters
        ----------
        path
            The folder.
        device
            ``auto``, ``cpu``, ``cuda`` or ``mps``.
        trust_code
            Run the Python file of a model that has networks of its own, though it was not trained with here.
        classes
            Generator and discriminator of a model whose networks were given as classes.

        Raises
        ------
        UsageError
            There is no model at this path, or it has code of its own that is not trusted.
        PocketganError
            A file is damaged, or was written by a newer version.
        """
        folder = model_folder(path, MODEL)
        about = read_model_file(folder, PairFile)
        count = len(about.class_names)
        recipe, shape = about.recipe, about.shape
        if recipe.model.networks is not None:
            find_beside(folder / MODEL_FILE, recipe.model.networks)
            if classes is not None:
                remember_classes(*classes, recipe.model.networks)
            if trust_code:
                trust_here(recipe.model.networks)
        where = find_device(device)

        def discriminator() -> Discriminator:
            network = empty_discriminator(recipe, shape, count)
            load_weights(folder, "discriminator", network, about)
            return network.to(where)

        generator = empty_generator(recipe, shape, count)
        load_weights(folder, "generator", generator, about)
        channels_last(generator.to(where))
        critic = None
        if "discriminator.safetensors" in about.sha256:
            check_sum(folder, "discriminator", about)
            critic = discriminator
        return cls(generator, critic, about.recipe, about.shape, about.class_names, about.facts, folder)

    def __repr__(self) -> str:
        height, width = self.shape[1:]
        kind = "conditional" if self.conditional else "unconditional"
        return f"Model({self.recipe.name!r}, {kind}, {height}x{width}, {parameter_count(self.generator):,} parameters)"

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.sample(20)._repr_png_()).decode()
        return f'<p>{html.escape(repr(self))}</p><img alt="20 samples" src="data:image/png;base64,{picture}">'


def as_latents(z: Any, latent_dim: int) -> Tensor:
    """Latents as a person has them, as float32 ``[N, latent_dim]``.

    Raises
    ------
    UsageError
        They are no finite numbers, or have another shape.
    """
    try:
        known = torch.as_tensor(z).detach().cpu()
        found = (known.real if known.is_complex() else known).to(torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise UsageError(f"latents must be numbers [N, {latent_dim}], not {type(z).__name__}") from None
    if found.ndim != 2 or found.shape[1] != latent_dim or known.is_complex():
        raise UsageError(f"latents must be numbers [N, {latent_dim}], not {list(found.shape)}")
    if not found.isfinite().all():
        raise UsageError("latents must be finite numbers; some are not")
    return found


class _Source(NamedTuple):
    """What a block of samples is drawn from.

    Attributes
    ----------
    latents
        ``latents(labels, block, seed)`` gives the latents float32 ``[BLOCK, D]`` of the block that starts at this
        index, for its classes int64 ``[BLOCK]`` or None.
    label
        The class of all of them; None where the classes take turns.
    class_names, label_source, provenance
        Of the samples, as in `Samples`; without class names there are no classes.
    """

    latents: Callable[..., Tensor]
    label: int | None = None
    class_names: tuple[str, ...] = ()
    label_source: str = "none"
    provenance: Mapping[str, str] | None = None

    def classes(self, block: int) -> Tensor | None:
        """The classes of one block: all one, or in turn."""
        if not self.class_names:
            return None
        if self.label is not None:
            return torch.full((BLOCK,), self.label)
        return balanced_labels(block, block + BLOCK, len(self.class_names))


@torch.no_grad()
def draw(generator: Generator, z: Tensor, labels: Tensor | None = None, *, exact: bool = True) -> Tensor:
    """The images of latents.

    Parameters
    ----------
    generator
        In evaluation mode.
    z
        float32 ``[N, latent_dim]``, N at least 1.
    labels
        int64 ``[N]``, for conditional generators.
    exact
        Compute in whole padded blocks, so that their company never changes the bytes of an image. Without it they are
        computed as they are, which is far faster for a few: a byte may differ by one.

    Returns
    -------
    Tensor
        uint8 ``[N, C, H, W]``, on the CPU.
    """
    device = next(generator.parameters()).device
    made = []
    for begin in range(0, len(z), BLOCK):
        part = z[begin : begin + BLOCK]
        size = BLOCK if exact else len(part)
        padded = torch.zeros(size, z.shape[1])
        padded[: len(part)] = part
        y = None
        if labels is not None:
            y = torch.zeros(size, dtype=torch.int64)
            y[: len(part)] = labels[begin : begin + BLOCK]
            y = sent(y, device)
        made.append(to_bytes(generator(sent(padded, device), y), generator.pixels)[: len(part)].contiguous())
    return torch.cat(made).cpu()


def labelled(parts: Iterator[Samples], model: Model, classifier: Classifier | None) -> Iterator[Samples]:
    """The same parts, with labels read by a classifier where the model could not be asked for any.

    Raises
    ------
    UsageError
        The classifier reads images of another shape.
    """
    if model.conditional:
        return parts
    reader = guide_for(model.shape, model.class_names) if classifier is None else classifier
    if reader is None:
        return parts
    refuse_judge(reader, "--classifier")
    if reader.shape != model.shape:
        raise UsageError(f"the classifier reads images {list(reader.shape)}, the model makes {list(model.shape)}")
    return (_read(part, reader) for part in parts)


def _read(part: Samples, reader: Classifier) -> Samples:
    return replace(part, labels=reader.label(part.images), class_names=reader.class_names, label_source="guide")
