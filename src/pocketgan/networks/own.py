"""A user's own networks: ordinary modules of a Python file, or given in Python, as generator and discriminator.

What they take and give is found by trying them once: latents as vectors or as maps of one pixel, labels as numbers or
one-hot, images or flat vectors, logits or probabilities. Nothing in them is changed but a Sigmoid at the end of the
discriminator, which becomes part of the loss.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.pixels import PixelRange
from pocketgan.core.rng import rng, seeded
from pocketgan.networks.contracts import Critique, Discriminator, Generator, Shape
from pocketgan.recipes.code import classes_of, needed_statements, trusted_source

Factory = Callable[..., nn.Module]
TRIED = 4  # images that the networks are tried on
LABEL_NAMES = ("labels", "label", "y", "c", "cls", "classes", "class_labels", "gen_labels", "condition", "cond")
LATENT_NAMES = ("latent_dim", "z_dim", "nz", "noise_dim", "latent_size", "dim_z", "zdim", "g_input_dim")
ALMOST = 1e-6  # how near to 0 or 1 a probability is taken to lie at most, where it is turned into a logit


class Way(NamedTuple):
    """How a module is called."""

    as_map: bool = False  # a generator's latents as [B, D, 1, 1]
    flat: bool = False  # a discriminator's images as [B, C*H*W]
    labels: str = "none"  # or "number", "one-hot"
    labels_first: bool = False


class _Own:
    """What both wrappers share: the weights' names are the user's own, so that files load into the user's classes."""

    module: nn.Module
    way: Way
    classes: int

    @property
    def draws(self) -> bool:
        """True: a user's forward pass may draw without any layer that shows it."""
        return True

    def _call(self, x: Tensor, y: Tensor | None) -> Any:
        if self.way.as_map:
            x = x[:, :, None, None]
        if self.way.flat:
            x = x.flatten(1)
        if self.way.labels == "none":
            return self.module(x)
        assert y is not None, "a conditional network needs labels"
        told = F.one_hot(y, self.classes).to(x.dtype) if self.way.labels == "one-hot" else y
        return self.module(told, x) if self.way.labels_first else self.module(x, told)


class OwnGenerator(_Own, Generator):
    """A user's generator."""

    any_layout = False

    def __init__(self, module: nn.Module, latent_dim: int, shape: Shape, classes: int, way: Way) -> None:
        super().__init__(latent_dim)
        self.module, self.shape, self.classes, self.way = module, shape, classes, way
        self.conditional = way.labels != "none"

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        made: Tensor = self._call(z, y)
        return made.reshape(-1, *self.shape)

    def state_dict(self, *args: Any, **options: Any) -> Any:
        return self.module.state_dict(*args, **options)

    def load_state_dict(self, *args: Any, **options: Any) -> Any:
        return self.module.load_state_dict(*args, **options)


class OwnDiscriminator(_Own, Discriminator):
    """A user's discriminator. `gives_probabilities` where a Sigmoid could not be taken out."""

    any_layout = False

    def __init__(self, module: nn.Module, classes: int, way: Way) -> None:
        super().__init__()
        self.module, self.classes, self.way = module, classes, way
        self.conditional = way.labels != "none"
        self._seen: Tensor | None = None
        weighted = [layer for layer in module.modules() if getattr(layer, "weight", None) is not None]
        if weighted:
            weighted[-1].register_forward_pre_hook(self._note)

    def _note(self, layer: nn.Module, given: tuple[Any, ...]) -> None:
        self._seen = given[0] if given and isinstance(given[0], Tensor) else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Critique:
        said = self._call(x, y)
        class_logits = None
        if isinstance(said, tuple) and len(said) == 2 and said[1].ndim == 2:
            said, class_logits = said
        logits = cast(Tensor, said).flatten()
        if self.gives_probabilities:
            logits = torch.logit(logits.float(), eps=ALMOST)
        seen, self._seen = self._seen, None
        features = logits.unsqueeze(1) if seen is None or seen.shape[0] != x.shape[0] else seen.flatten(1)
        return Critique(logits, features, class_logits)

    def state_dict(self, *args: Any, **options: Any) -> Any:
        return self.module.state_dict(*args, **options)

    def load_state_dict(self, *args: Any, **options: Any) -> Any:
        return self.module.load_state_dict(*args, **options)


class OwnPair(NamedTuple):
    """Both networks as they were found, and in words what was found."""

    generator: OwnGenerator
    discriminator: OwnDiscriminator
    pixels: PixelRange
    notes: tuple[str, ...]


def own_pair(
    networks: str, latent_dim: int, pixels: PixelRange | None, shape: Shape, classes: int, seed: int
) -> OwnPair:
    """A user's networks with the weights that a seed gives them.

    Parameters
    ----------
    networks
        The file's sha256, or the names of classes that were given in Python: see `recipes.code`.
    latent_dim
        Length of z that is tried first; then what the classes say of themselves.
    pixels
        Range of the images; found by what the generator makes where it is None.
    shape, classes
        Of the images: channels, height and width, and how many classes they have (0 without labels).
    seed
        Of the run.

    Raises
    ------
    UsageError
        The classes cannot be found or built, or do not fit the images or each other. The line says which and why.
    PocketganError
        The file cannot be run.
    """
    makers = _makers(networks)
    with seeded(seed, "initialisation"):
        generator = _constructed(makers[0], "generator", latent_dim, shape, classes)
        discriminator = _constructed(makers[1], "discriminator", latent_dim, shape, classes)
    with seeded(seed, "trial"), torch.no_grad(), _kept_statistics(generator, discriminator):
        made, found = _fitted_generator(generator, latent_dim, shape, classes)
        judged = _fitted_discriminator(discriminator, found, classes, made.conditional)
        notes = _fold_sigmoid(judged, found, classes)
        low, high = float(found.min()), float(found.max())
    if pixels is None:
        pixels = "unit" if low >= 0.0 else "signed"
        span = "[0, 1]" if pixels == "unit" else "[-1, 1]"
        notes.insert(0, f"images in {span}: the generator makes {low:.2f} to {high:.2f}")
    made.pixels = pixels
    if made.conditional:
        notes.insert(0, f"conditional: labels are given as {made.way.labels}s")
    if made.latent_dim != latent_dim:
        notes.insert(0, f"latents of length {made.latent_dim}, as the generator takes them")
    return OwnPair(made, judged, pixels, tuple(notes))


@contextmanager
def _kept_statistics(*networks: nn.Module) -> Iterator[None]:
    """Leave weights and running figures as they were before the trial."""
    before = [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]
    try:
        yield
    finally:
        for network, values in zip(networks, before, strict=True):
            network.load_state_dict(values)
            network.train()


def _makers(networks: str) -> tuple[Factory, Factory]:
    given = classes_of(networks)
    if given is not None:
        return given
    source = trusted_source(networks)
    if source is None:
        raise UsageError(
            f"the networks {networks[:80]} are code that is not here: give the file (--networks FILE), or in Python "
            "the classes (generator=..., discriminator=...)"
        )
    module = _module_of(networks, source)
    return _find(module, "generator", ("g", "netg")), _find(module, "discriminator", ("d", "netd", "critic"))


def _module_of(networks: str, source: bytes) -> ModuleType:
    """The file's classes, with what they need of the file, as a module. Its trainings and downloads are not run."""
    name = f"pocketgan_networks_{networks[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    code = compile(needed_statements(source), "networks.py", "exec")
    arguments, sys.argv = sys.argv, ["networks.py"]
    sys.modules[name] = module
    try:
        with torch.random.fork_rng(devices=[]):
            exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        reason = (str(error).splitlines() or [""])[0]
        raise PocketganError(f"networks.py cannot be run: {type(error).__name__}: {reason}; mend it") from error
    finally:
        sys.argv = arguments
    return module


def _find(module: ModuleType, role: str, short: tuple[str, ...]) -> Factory:
    """The class of a role: one named for it, or the only one whose name holds the word."""
    known = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    }
    exact = [value for name, value in known.items() if name.lower() in (role, *short)]
    near = [value for name, value in known.items() if role in name.lower()]
    found = exact or near
    if len(found) == 1:
        return found[0]
    told = ", ".join(known) or "none"
    raise UsageError(
        f"networks.py: {'no' if not found else 'more than one'} class is the {role} (modules in it: {told}); name one "
        f"{role.capitalize()}"
    )


def _constructed(make: Factory, role: str, latent_dim: int, shape: Shape, classes: int) -> nn.Module:
    """A network of a class, whose arguments without defaults are told by their names."""
    channels, height, _ = shape
    known: dict[str, Any] = dict.fromkeys(LATENT_NAMES, latent_dim)
    known |= dict.fromkeys(("img_shape", "image_shape", "shape", "input_shape"), shape)
    known |= dict.fromkeys(("channels", "nc", "img_channels", "image_channels", "num_channels"), channels)
    known |= dict.fromkeys(("img_size", "image_size", "size", "side"), height)
    known |= dict.fromkeys(("n_classes", "num_classes", "classes", "class_num", "n_class"), classes)
    known |= {"ngpu": 0, "d_input_dim": math.prod(shape), "g_output_dim": math.prod(shape)}
    ends = (latent_dim, math.prod(shape)) if role == "generator" else (math.prod(shape), 1)
    known |= dict(product(("input_size", "input_dim", "in_features"), ends[:1]))
    known |= dict(product(("output_size", "output_dim", "out_features"), ends[1:]))
    try:
        wanted = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        wanted = ()  # type: ignore[assignment]
    required = [
        one.name for one in wanted if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    name = getattr(make, "__name__", role)
    for unknown in (word for word in required if word.lower() not in known):
        raise UsageError(f"{name} needs an argument {unknown!r} that its name does not tell; give it a default")
    try:
        network = make(**{word: known[word.lower()] for word in required})
    except Exception as error:
        raise UsageError(f"{name} cannot be built: {_line(error)}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{name} makes a {type(network).__name__}, not a network (torch.nn.Module)")
    return network.train()


def _ways(network: nn.Module, classes: int, role: str) -> list[Way]:
    """How a module may want to be called, the likeliest first, by the arguments of its `forward`."""
    parameters = [
        one
        for one in inspect.signature(network.forward).parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    required = [one for one in parameters if one.default is one.empty]
    second = parameters[1] if len(parameters) > 1 else None
    takes_labels = len(required) >= 2 or (second is not None and classes > 0 and second.name.lower() in LABEL_NAMES)
    first = takes_labels and parameters[0].name.lower() in LABEL_NAMES
    plain = Way(labels_first=first)
    shapes = [plain, plain._replace(as_map=True) if role == "generator" else plain._replace(flat=True)]
    if not takes_labels:
        return shapes
    return [shape._replace(labels=kind) for kind in ("number", "one-hot") for shape in shapes]


def _fitted_generator(network: nn.Module, latent_dim: int, shape: Shape, classes: int) -> tuple[OwnGenerator, Tensor]:
    """The generator with the way it is called, and images of it."""
    misfits, labels = [], torch.arange(TRIED) % max(classes, 1)
    ways = _ways(network, classes, "generator")
    if ways[0].labels != "none" and not classes:
        raise UsageError("the generator takes labels and these images have none; give images in class folders")
    for dim in _latent_dims(network, latent_dim, classes):
        z = torch.randn(TRIED, dim, generator=rng(0, "trial"))
        for way in ways:
            wrapped = OwnGenerator(network, dim, shape, classes, way)
            try:
                made = wrapped._call(z, labels)
            except Exception as error:
                misfits.append(f"for latents {[TRIED, dim]} it says: {_line(error)}")
                continue
            if not isinstance(made, Tensor) or made.numel() != TRIED * math.prod(shape):
                given = list(made.shape[1:]) if isinstance(made, Tensor) else type(made).__name__
                raise UsageError(f"the generator makes {given} where images are {list(shape)}; change one of them")
            return wrapped, made.reshape(-1, *shape)
    raise UsageError(f"the generator takes no latents that were tried; {misfits[0]}; give --latent-dim")


def _latent_dims(network: nn.Module, latent_dim: int, classes: int) -> list[int]:
    """Lengths of z to be tried: what the recipe says, the module's own word, then what its first layer takes."""
    said = [value for name in LATENT_NAMES if isinstance(value := getattr(network, name, None), int)]
    first = []
    embedded = [layer.embedding_dim for layer in network.modules() if isinstance(layer, nn.Embedding)]
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
            taken = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
            first += [taken, *(taken - width for width in (*embedded, classes) if 0 < width < taken)]
            break
    return list(dict.fromkeys([latent_dim, *said, *first, 100, 64, 128]))


def _fitted_discriminator(network: nn.Module, images: Tensor, classes: int, conditional: bool) -> OwnDiscriminator:
    """The discriminator with the way it is called."""
    misfits, labels = [], torch.arange(len(images)) % max(classes, 1)
    ways = _ways(network, classes, "discriminator")
    if (ways[0].labels != "none") != conditional:
        takes, not_ = ("discriminator", "generator") if ways[0].labels != "none" else ("generator", "discriminator")
        raise UsageError(f"the {takes} takes labels and the {not_} does not; let both take them, or neither")
    for way in ways:
        wrapped = OwnDiscriminator(network, classes, way)
        try:
            said = wrapped._call(images, labels)
        except Exception as error:
            misfits.append(f"for images {list(images.shape)} it says: {_line(error)}")
            continue
        first = said[0] if isinstance(said, tuple) else said
        if not isinstance(first, Tensor) or first.numel() != len(images):
            given = list(first.shape) if isinstance(first, Tensor) else type(first).__name__
            raise UsageError(
                f"the discriminator gives {given} where one number an image, [{len(images)}, 1], is needed"
            )
        if isinstance(said, tuple):
            wrapped.names_classes = True
        return wrapped
    raise UsageError(f"the discriminator takes no images of these; {misfits[0]}")


def _fold_sigmoid(wrapped: OwnDiscriminator, images: Tensor, classes: int) -> list[str]:
    """Take a Sigmoid at the end out, so that its logits are learned from; what was done, in words."""
    labels = torch.arange(len(images)) % max(classes, 1)
    called: list[tuple[nn.Module, Any]] = []
    hooks = [
        layer.register_forward_hook(lambda layer, _, output: called.append((layer, output)))
        for layer in wrapped.module.modules()
        if next(layer.children(), None) is None
    ]
    try:
        said = wrapped._call(images, labels)
    finally:
        for hook in hooks:
            hook.remove()
    first = said[0] if isinstance(said, tuple) else said
    ends = [layer for layer, output in called if isinstance(output, Tensor) and isinstance(layer, nn.Sigmoid)]
    last = next((layer for layer, output in reversed(called) if output is first or _same(output, first)), None)
    if isinstance(last, nn.Sigmoid) and ends.count(last) == 1:
        for parent in wrapped.module.modules():
            for name, child in parent.named_children():
                if child is last:
                    setattr(parent, name, nn.Identity())
        return ["the discriminator ends in a Sigmoid, which becomes part of the loss: the same, without overflow"]
    extremes = [wrapped._call(images * scale, labels) for scale in (1.0, 100.0, -100.0)]
    values = torch.cat([(one[0] if isinstance(one, tuple) else one).flatten() for one in extremes])
    if bool(((values >= 0) & (values <= 1)).all()) and values.unique().numel() > 1:
        wrapped.gives_probabilities = True
        return ["the discriminator gives probabilities: they are turned into logits"]
    return []


def _same(output: Any, other: Tensor) -> bool:
    return (
        isinstance(output, Tensor)
        and output.numel() == other.numel()
        and torch.equal(output.flatten(), other.flatten())
    )


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
