"""A stranger's weights, safely, into a model folder of this program."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import refuse_existing
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.importing.tensors import read_weights
from pocketgan.models.saved import add_network, made_with, read_model_file, save_networks
from pocketgan.networks.architectures import build_pair
from pocketgan.networks.classifiers import build_classifier
from pocketgan.networks.contracts import parameter_count
from pocketgan.recipes import CLASSIFIER_PRESETS, GAN_PRESETS, ClassifierRecipe, Recipe, classifier_recipe, gan_recipe
from pocketgan.runs.facts import ClassifierFacts, PairFacts, PairFile
from pocketgan.runs.folder import MODEL_FILE


class Candidate(NamedTuple):
    """A network that a file's tensors may belong to."""

    role: str  # generator, discriminator or classifier
    network: nn.Module
    recipe: Recipe | ClassifierRecipe


def import_weights(file: Path, recipe: str, out: Path, key: str = "") -> tuple[Path, str]:
    """Convert the weights in a file into a model folder.

    Parameters
    ----------
    file
        As `read_weights` reads them.
    recipe
        A preset's name, of a pair or of a classifier, or a TOML file: it says which networks there are, and the tensors
        say which of them this is. They are mapped by their names if these are the program's own, else in their order,
        and every shape must fit.
    out
        A new folder; or that of the other network of the same pair, which is then added to it.
    key
        Which network, where the file holds several.

    Returns
    -------
    tuple
        The folder, and what was found: ``generator``, ``discriminator`` or ``classifier``.

    Raises
    ------
    UsageError
        The recipe is unknown, or `out` holds something else.
    PocketganError
        The file is no file of weights, or its tensors fit none of the recipe's networks.
    """
    recipes = _recipes(recipe)
    tensors = read_weights(file, key).tensors
    found: Candidate | None = None
    misfits = []
    data = None
    for known in recipes:
        origin = known.data if isinstance(known, Recipe) else known
        data = load_images(origin.source, origin.split)
        for candidate in _candidates(known, data):
            misfit = _fill(candidate.network, tensors)
            if misfit is None:
                found = candidate
                break
            misfits.append(f"as a {candidate.role} {misfit}")
        if found is not None:
            break
    if found is None or data is None:
        raise PocketganError(f"{file} does not fit {recipe}: {'; '.join(misfits)}; give the recipe it was made by")
    _write(out, found, data, hashlib.sha256(file.read_bytes()).hexdigest())
    return out, found.role


def _recipes(name: str) -> list[Recipe | ClassifierRecipe]:
    """The recipes of this name; ``mlp`` is a pair and a classifier."""
    found: list[Recipe | ClassifierRecipe] = []
    if name in GAN_PRESETS or name not in CLASSIFIER_PRESETS:
        found.append(gan_recipe(name))
    if name in CLASSIFIER_PRESETS:
        found.append(classifier_recipe(name))
    return found


def _candidates(recipe: Recipe | ClassifierRecipe, data: ImageSet) -> list[Candidate]:
    classes = len(data.class_names)
    if isinstance(recipe, ClassifierRecipe):
        network = build_classifier(recipe.architecture, data.shape, classes, recipe.seed)
        return [Candidate("classifier", network, recipe)]
    generator, discriminator = build_pair(recipe, data.shape, classes)
    return [Candidate("generator", generator, recipe), Candidate("discriminator", discriminator, recipe)]


@torch.no_grad()
def _fill(network: nn.Module, tensors: dict[str, Tensor]) -> str | None:
    """Put the tensors into the network, in their order; or say what does not fit, and leave it as it is."""
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
    for (_, value), (_, its) in zip(wanted, given, strict=True):
        value.copy_(its)
    return None


def _numbers(tensors: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """The tensors without BatchNorm's counters, which no sample depends on and some files leave out."""
    return [(name, value) for name, value in tensors.items() if value.ndim > 0 or value.is_floating_point()]


def _write(out: Path, found: Candidate, data: ImageSet, digest: str) -> None:
    role, network, recipe = found
    here = made_with(torch.device("cpu"))
    if isinstance(recipe, ClassifierRecipe):
        refuse_existing(out)
        counted = {role: parameter_count(network)}
        facts = ClassifierFacts(parameters=counted, made_with=here, imported={role: digest})
        save_networks(out, {role: network}, recipe, data.shape, data.class_names, facts)
        return
    if (out / MODEL_FILE).is_file():
        about = read_model_file(out, PairFile)
        if about.recipe != recipe or about.shape != data.shape or f"{role}.safetensors" in about.sha256:
            raise UsageError(f"--out {out} holds another model, or this network already; choose another folder")
        imported = {**about.imported, role: digest}
        counts = {**about.parameters, role: parameter_count(network)}
        add_network(out, role, network, PairFacts(imported=imported, parameters=counts))
        return
    refuse_existing(out)
    learned = PairFacts(
        nimg=0,
        weights="imported",
        parameters={role: parameter_count(network)},
        made_with=here,
        imported={role: digest},
    )
    save_networks(out, {role: network}, recipe, data.shape, data.class_names, learned)
