"""A stranger's weights, safely, into a model folder of this program."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import refuse_existing
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.importing.modules import Entry, as_toml
from pocketgan.importing.reading import NAMED, Reading, read_images, share_right
from pocketgan.importing.tensors import STILL, Weights, read_weights
from pocketgan.importing.variants import AS_IT_IS, RANGES, Choices, chosen, in_words, others, stand_in, with_lists
from pocketgan.models.saved import add_network, holds, made_with, read_model_file, save_networks
from pocketgan.networks.architectures import build_pair, settled
from pocketgan.networks.classifiers import build_classifier
from pocketgan.networks.contracts import Generator, parameter_count
from pocketgan.recipes import CLASSIFIER_PRESETS, GAN_PRESETS, ClassifierRecipe, Recipe, classifier_recipe, gan_recipe
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions
from pocketgan.recipes.layers import DiscriminatorConfig, GeneratorConfig, plan
from pocketgan.runs.facts import ClassifierFacts, PairFacts, PairFile
from pocketgan.runs.folder import MODEL_FILE

ROLES = ("generator", "discriminator")
WHY_BADLY = "it may have been trained on other or normalised pixels, or its layers are others than those of the recipe"


class Imported(NamedTuple):
    """What became of a file.

    Attributes
    ----------
    folder
        The model folder.
    network
        ``generator``, ``discriminator`` or ``classifier``.
    what
        The file in words, such as "a plain pickle of a whole module".
    assumed
        What the network computes that the file does not say.
    real, readings
        How surely the shipped guide reads real images, and this generator's beside those of other networks that fit
        the file, the imported one first. None and empty where no guide knows such images.
    right
        Of a classifier: the share of 1,000 images that it reads as they are labelled.
    warnings
        In plain words, why the import may be wrong.
    """

    folder: Path
    network: str
    what: str
    assumed: tuple[str, ...] = ()
    real: float | None = None
    readings: tuple[Reading, ...] = ()
    right: float | None = None
    warnings: tuple[str, ...] = ()


class Candidate(NamedTuple):
    """A network that a file's tensors may belong to."""

    role: str  # generator, discriminator or classifier
    network: nn.Module
    recipe: Recipe | ClassifierRecipe


def import_weights(
    file: Path,
    out: Path,
    *,
    recipe: str = "",
    key: str = "",
    networks: Path | None = None,
    source: str = "",
    choices: Choices = AS_IT_IS,
    images_as: ImageOptions = AS_THEY_ARE,
) -> Imported:
    """Convert the weights in a file into a model folder; the arguments are those of `pocketgan.import_file`."""
    weights = read_weights(file, key)
    there = read_model_file(out, PairFile) if (out / MODEL_FILE).is_file() and holds(out, "model") else None
    data = load_images(source or "mnist", "train", images_as)
    tried: list[Recipe | ClassifierRecipe] = []
    options = {"source": source, **images_as.fields} if source else {}
    if networks is not None:
        tried = [gan_recipe(recipe or None, {**options, "networks": networks})]
    elif recipe:
        tried = _recipes(recipe, options)
    elif there is not None and there.stand_in is None:
        tried = [there.recipe]
    if not tried:
        tried = [_of_its_own(file, weights, source, data, there)]
    found: Candidate | None = None
    misfits: list[str] = []
    for known in tried:
        origin = known.data if isinstance(known, Recipe) else known
        data = load_images(origin.source, origin.split, origin)
        found = _found(known, data, weights, choices, misfits)
        if found is not None:
            break
    if found is None:
        told = recipe or (str(networks) if networks else "the layers that it tells or that are there")
        raise PocketganError(
            f"{file} does not fit {told}: {'; '.join(misfits)}; give the recipe it was made by; {STILL}"
        )
    _write(out, found, data, hashlib.sha256(file.read_bytes()).hexdigest(), there, named=bool(recipe or networks))
    return _looked_at(Imported(out, found.role, weights.what), found, data, weights, choices)


def _recipes(name: str, options: dict[str, Any]) -> list[Recipe | ClassifierRecipe]:
    """The recipes of this name; ``mlp`` is a pair and a classifier."""
    found: list[Recipe | ClassifierRecipe] = []
    if name in GAN_PRESETS or name not in CLASSIFIER_PRESETS:
        found.append(gan_recipe(name, options))
    if name in CLASSIFIER_PRESETS:
        found.append(classifier_recipe(name, options))
    return found


def _found(
    recipe: Recipe | ClassifierRecipe, data: ImageSet, weights: Weights, choices: Choices, misfits: list[str]
) -> Candidate | None:
    """The network of a recipe that the tensors fit, filled; or what does not fit, added to `misfits`."""
    if isinstance(recipe, Recipe):
        recipe = _sized(chosen(recipe, choices), weights.tensors, data, choices)
    for candidate in _candidates(recipe, data):
        rolled = len(data.class_names) if choices.conditional == "one-hot-first" else 0
        misfit = _fill(candidate.network, weights.tensors, rolled if candidate.role == "generator" else 0)
        if misfit is None:
            return candidate
        misfits.append(f"as a {candidate.role} {misfit}")
    if isinstance(recipe, Recipe) and not choices.conditional and _is_wider(recipe, weights.tensors, data):
        misfits.append("if its labels are one-hot, add --conditional one-hot")
    return None


def _is_wider(recipe: Recipe, tensors: dict[str, Tensor], data: ImageSet) -> bool:
    """Whether the first layer takes a number for each class more than z has."""
    return len(data.class_names) > 0 and _inputs(tensors) - len(data.class_names) in (
        recipe.model.latent_dim,
        math.prod(data.shape),
    )


def _inputs(tensors: dict[str, Tensor]) -> int:
    """What the first layer takes; 0 where it is none that is known."""
    first = next(iter(tensors.values()))
    return first.shape[1] if first.ndim == 2 else first.shape[0] if first.ndim == 4 else 0


def _sized(recipe: Recipe, tensors: dict[str, Tensor], data: ImageSet, choices: Choices) -> Recipe:
    """A recipe whose labels were made one-hot, with the length of z that the file's first layer leaves for it."""
    length = _inputs(tensors) - len(data.class_names)
    if choices.conditional is None or recipe.model.architecture != "layers" or not 1 <= length <= 4096:
        return recipe
    if length == math.prod(data.shape):  # the discriminator's first layer
        return recipe
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"latent_dim": length})})


def _candidates(recipe: Recipe | ClassifierRecipe, data: ImageSet) -> list[Candidate]:
    classes = len(data.class_names)
    if isinstance(recipe, ClassifierRecipe):
        network = build_classifier(recipe.architecture, data.shape, classes, recipe.seed)
        return [Candidate("classifier", network, recipe)]
    recipe, _ = settled(recipe, data.shape, classes)
    generator, discriminator = build_pair(recipe, data.shape, classes)
    return [Candidate("generator", generator, recipe), Candidate("discriminator", discriminator, recipe)]


@torch.no_grad()
def _fill(network: nn.Module, tensors: dict[str, Tensor], rolled: int = 0) -> str | None:
    """Put the tensors into the network, in their order; or say what does not fit, and leave it as it is.

    The first `rolled` inputs of the first layer become its last: a stranger joined the labels before z.
    """
    wanted = _numbers(network.state_dict())
    given = _numbers(tensors)
    if sorted(name for name, _ in given) == sorted(name for name, _ in wanted):
        given = [(name, tensors[name]) for name, _ in wanted]
    for number, ((name, value), (other, its)) in enumerate(zip(wanted, given, strict=False), start=1):
        if value.shape != its.shape or not its.is_floating_point():
            kind = "" if its.is_floating_point() else f"{its.dtype} "
            return f"its tensor {number}, {other!r}, is {kind}{list(its.shape)} where {name!r} is {list(value.shape)}"
    if len(wanted) != len(given):
        return f"it has {len(given)} tensors where {len(wanted)} are needed"
    for number, ((_, value), (_, its)) in enumerate(zip(wanted, given, strict=True)):
        value.copy_(its.roll(-rolled, 1 if its.ndim == 2 else 0) if number == 0 and rolled else its)
    return None


def _numbers(tensors: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """The tensors without BatchNorm's counters, which no sample depends on and some files leave out."""
    return [(name, value) for name, value in tensors.items() if value.ndim > 0 or value.is_floating_point()]


# ---- files that tell their own layers ------------------------------------------------------------------------------


def _of_its_own(file: Path, weights: Weights, source: str, data: ImageSet, there: PairFile | None) -> Recipe:
    """The recipe that a whole module's own list of layers makes; the other network's is a stand-in, or is there.

    Raises
    ------
    UsageError
        The file does not say its layers, or not for certain. The line holds what was found, and asks for a recipe.
    """
    if weights.listing is None:
        raise UsageError(
            f"{file} is {weights.what}, which says nothing of activations; {_fitting(weights, data)}give its layers "
            "in a recipe (--recipe FILE.toml), or its code (--networks FILE.py)"
        )
    listing = weights.listing
    if listing.doubt:
        raise UsageError(
            f"{file} is {weights.what}: {listing.doubt}; write its layers into a recipe (--recipe FILE.toml) or give "
            f"its code (--networks FILE.py); a start for the recipe: {as_toml(listing.layers)}"
        )
    try:
        role, layers = _role_of(listing.layers, listing.inputs, data)
        return _joined(role, layers, listing.inputs, source, data, there)
    except ValidationError:
        raise PocketganError(f"{file} is {weights.what} with settings that no layer can have; {STILL}") from None
    except UsageError as error:
        raise UsageError(f"{file} is {weights.what}: {error}") from None


def _fitting(weights: Weights, data: ImageSet) -> str:
    """The presets that have the shapes of a file, as the beginning of a remedy."""
    fits = []
    for name in {**GAN_PRESETS, **CLASSIFIER_PRESETS}:
        for recipe in _recipes(name, {}):
            with_labels = not isinstance(recipe, Recipe) or recipe.model.architecture != "pocket" or data.class_names
            if with_labels and _found(recipe, data, weights, AS_IT_IS, []) is not None and name not in fits:
                fits.append(name)
    return f"its shapes are those of {' and '.join(fits)}: add --recipe {fits[0]}, or " if fits else ""


def _role_of(layers: tuple[Entry, ...], inputs: int, data: ImageSet) -> tuple[str, tuple[Entry, ...]]:
    """Whether layers make images or judge them, and the layers with what stands around them."""
    classes, image = len(data.class_names), data.shape
    made: list[str] = []
    first = next((layer for layer in layers if isinstance(layer, dict) and "Linear" in str(layer["type"])), None)
    flattened = ("Flatten", *layers) if layers and layers[0] == first else layers
    for role, given, tried in (("generator", (inputs,), layers), ("discriminator", image, flattened)):
        kind = GeneratorConfig if role == "generator" else DiscriminatorConfig
        try:
            steps = plan(role, kind.model_validate({"layers": tried}), given, image, classes)
        except UsageError as error:
            made.append(str(error))
            continue
        shape = steps[-1].made
        if math.prod(shape) == (math.prod(image) if role == "generator" else 1):
            return role, tried
        if role == "discriminator" and shape == (classes,):
            raise UsageError("it names classes; say which classifier it is (--recipe cnn, mlp, …)")
        made.append(f"as a {role} it makes {list(shape)}")
    raise UsageError(f"{'; '.join(made)}, where images are {list(image)}; give --data with the images it was made for")


def _joined(
    role: str, layers: tuple[Entry, ...], inputs: int, source: str, data: ImageSet, there: PairFile | None
) -> Recipe:
    """A recipe with these layers, beside those of the other network."""
    other = ROLES[1 - ROLES.index(role)]
    tables: dict[str, Any] = {role: {"layers": layers}, other: stand_in(other, data.shape, conditional=False)}
    values: dict[str, Any] = {"name": "imported", "data": {"source": source or "mnist"}, "model": {"latent_dim": 100}}
    if there is not None:
        kept = there.recipe.model_dump(exclude_none=True)
        values = {**kept, **{name: kept[name] for name in ("data", "model")}}
        tables[other] = kept[other]
        if "OneHot" in [layer for layer in kept[other]["layers"] if isinstance(layer, str)]:
            first = next((n for n, one in enumerate(layers) if isinstance(one, dict) and one["type"] == "Linear"), 0)
            tables[role] = {"layers": [*layers[:first], "OneHot", *layers[first:]]}
    if role == "generator":
        ends = layers[-1] if isinstance(layers[-1], str) else layers[-1]["type"]
        tables[role]["pixels"] = "unit" if ends in (RANGES["unit"], "ReLU") else "signed"
        values["model"] = {**values["model"], "latent_dim": inputs}
    values["model"] = {**values["model"], "architecture": "layers"}
    return Recipe.model_validate({**values, **tables})


# ---- what is written and told --------------------------------------------------------------------------------------


def _write(out: Path, found: Candidate, data: ImageSet, digest: str, there: PairFile | None, named: bool) -> None:
    role, network, recipe = found
    here, counted, origin = made_with(torch.device("cpu")), {role: parameter_count(network)}, {role: digest}
    if isinstance(recipe, ClassifierRecipe):
        refuse_existing(out)
        facts = ClassifierFacts(parameters=counted, made_with=here, imported=origin)
        save_networks(out, {role: network}, recipe, data.shape, data.class_names, facts)
        return
    if there is not None:
        awaited = there.stand_in == role and not named
        if (
            f"{role}.safetensors" in there.sha256
            or there.shape != data.shape
            or not (awaited or there.recipe == recipe)
        ):
            raise UsageError(f"--out {out} holds another model, or this network already; choose another folder")
        added = PairFacts(
            imported={**there.imported, **origin}, parameters={**there.parameters, **counted}, stand_in=None
        )
        add_network(out, role, network, added, recipe)
        return
    refuse_existing(out)
    learned = PairFacts(nimg=0, weights="imported", parameters=counted, made_with=here, imported=origin)
    if not named:
        learned = learned.model_copy(update={"stand_in": ROLES[1 - ROLES.index(role)]})
    save_networks(out, {role: network}, recipe, data.shape, data.class_names, learned)


def _looked_at(done: Imported, found: Candidate, data: ImageSet, weights: Weights, choices: Choices) -> Imported:
    """The same with what was assumed, and what the guide makes of the images."""
    network, recipe = found.network, found.recipe
    if isinstance(recipe, ClassifierRecipe):
        right = share_right(network, data)
        bad = right is not None and right < NAMED
        warnings = (f"it reads only {right:.0%} of its own data right: {WHY_BADLY}",) if bad else ()
        return done._replace(assumed=("pixels in [0, 1]",), right=right, warnings=warnings)
    if not isinstance(network, Generator) or not isinstance(recipe, Recipe):
        return done
    listed = with_lists(recipe)
    assumed = in_words(listed or recipe)
    if choices.conditional is not None:
        place = "before z" if choices.conditional == "one-hot-first" else "behind z"
        assumed.append(f"labels joined one-hot {place}")
    if weights.listing is not None and recipe.name == "imported":
        assumed += weights.listing.assumed
    networks = [("", "", network), *_fitting_variants(listed, data, weights, choices)]
    read = read_images(networks, data)
    if read is None:
        return done._replace(assumed=tuple(assumed))
    return done._replace(assumed=tuple(assumed), real=read.real, readings=read.readings, warnings=read.warnings)


def _fitting_variants(
    recipe: Recipe | None, data: ImageSet, weights: Weights, choices: Choices
) -> Iterator[tuple[str, str, Generator]]:
    """Other generators that the same tensors fit."""
    for variant in others(recipe, choices, len(data.class_names)) if recipe is not None else ():
        made = _found(recipe, data, weights, variant.choices, []) if recipe is not None else None
        if made is not None and isinstance(made.network, Generator):
            yield variant.words, variant.options, made.network
