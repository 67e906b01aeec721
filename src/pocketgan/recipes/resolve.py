"""From a name, a file and options to one validated recipe, and back to TOML or a command. Imports no torch."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from pocketgan.core.arguments import checked
from pocketgan.core.config import Config, complaint
from pocketgan.core.errors import PocketganError, UsageError, nearest
from pocketgan.core.files import check_version, read_bytes, user_path, write_text
from pocketgan.recipes.coach import COACHED
from pocketgan.recipes.code import classes_of, find_beside, remember_file, trust
from pocketgan.recipes.image_options import ImageOptions
from pocketgan.recipes.pairs import PAIRS
from pocketgan.recipes.papers import PAPERS
from pocketgan.recipes.presets import CLASSIFIER_PRESETS, GAN_PRESETS, Preset
from pocketgan.recipes.recipe import FORMAT_VERSION, ClassifierRecipe, Recipe, RecipeT

MAX_RECIPE_BYTES = 64 << 10  # of a TOML file; a recipe has about one thousand
BUDGETS = ("epochs", "nimg", "minutes")
OWN = Recipe.model_validate(  # what a user's own networks are trained by, where nothing else is said
    {
        "name": "own",
        "model": {"latent_dim": 100},
        "optimizer": {"beta1": 0.5},
        "schedule": {"batch_size": 64, "epochs": 20},
    }
)


@checked
def gan_recipe(
    start: str | Path | Recipe | None, options: Mapping[str, Any] | None = None, *, coach: bool = False
) -> Recipe:
    """A recipe for a pair: a preset's name or a TOML file, with `options` laid over it.

    Parameters
    ----------
    start
        The name of a preset, a path that ends in ``.toml``, or a recipe. A file may start from a preset
        (``preset = "dcgan"``), and hold layers in tables ``[generator]`` and ``[discriminator]``; of a pair that is a
        list of layers, one table may stand for the preset's. None: `OWN` with the option ``networks``, else ``pocket``.
    options
        ``networks`` is the path of a Python file with the networks.
        Field names, bare (``lr_g``) or dotted (``optimizer.lr_g``), with ``-`` or ``_``; values as text
        or as what they are. A loss brings what its paper adds to it (`PAPERS`), beneath all that is said beside it.
    coach
        Lay the champion's rules over what `start` says of the training, beneath the options (`COACHED`).

    Raises
    ------
    UsageError
        The name, a field or a value is wrong; the line gives the nearest right one.
    PocketganError
        The file cannot be read.
    """
    options = dict(options or {})
    networks = options.pop("networks", None)
    if start is None:
        start = "pocket" if networks is None else OWN
    if networks is not None:
        digest = str(networks)
        if classes_of(digest) is None:
            digest = remember_file(user_path(networks))
            trust(digest)
        named = {"name": "own" if digest == networks else user_path(networks).stem} if start is OWN else {}
        options = {"architecture": "python", "networks": digest, **named, **options}
    recipe = _resolve(Recipe, GAN_PRESETS, start, options, COACHED if coach else {})
    if recipe.model.networks is not None and isinstance(start, str | Path):
        find_beside(user_path(start), recipe.model.networks)
    return recipe


@checked
def classifier_recipe(
    start: str | Path | ClassifierRecipe, options: Mapping[str, Any] | None = None
) -> ClassifierRecipe:
    """A recipe for a classifier; as `gan_recipe`."""
    return _resolve(ClassifierRecipe, CLASSIFIER_PRESETS, start, options or {})


def image_options(options: Mapping[str, Any]) -> ImageOptions:
    """How given images are to be read, of options by their names; values as text or as what they are.

    Raises
    ------
    UsageError
        A name is unknown or a value is wrong.
    """
    values = {_place_of(ImageOptions, option)[1]: value for option, value in options.items()}
    try:
        return ImageOptions.model_validate(values)
    except ValidationError as error:
        raise UsageError(_first_complaint(ImageOptions, error)) from error


def read_recipe(kind: type[RecipeT], path: Path) -> RecipeT:
    """The recipe in a TOML file that the program wrote."""
    return _resolve(kind, {}, path, {})


def recipe_toml(recipe: Recipe | ClassifierRecipe) -> str:
    """A recipe as TOML; a budget that is not given is left out."""
    return tomli_w.dumps(recipe.model_dump(exclude_none=True))


def write_recipe(recipe: Recipe | ClassifierRecipe, path: Path) -> None:
    """Write a recipe so that `gan_recipe(path)` gives it back."""
    write_text(path, recipe_toml(recipe))


def rebuild_command(recipe: Recipe) -> str:
    """The command that trains by this recipe: its preset and what differs from it, or its file where it has no preset.

    The same machine, versions and threads give the same bytes; a budget in minutes is told in images.
    """
    if recipe.name not in GAN_PRESETS or recipe.model.architecture in ("layers", "python"):
        return "pocketgan train recipe.toml"
    preset, words = GAN_PRESETS[recipe.name].recipe, ["pocketgan", "train", recipe.name]
    loss = recipe.objective.loss
    begun = preset if loss == preset.objective.loss else gan_recipe(recipe.name, {"loss": loss})
    start = begun.model_dump()
    values = recipe.model_dump(exclude_none=True)
    if recipe.schedule.nimg is not None:
        values["schedule"].pop("minutes", None)
    for field, (section, _) in field_places(Recipe).items():
        value = (values[section] if section else values).get(field)
        said = field == "loss" and begun is not preset  # it stands for all that its paper adds
        if value is None or (value == (start[section] if section else start)[field] and not said):
            continue
        option = "data" if field == "source" else field.replace("_", "-")
        words += (
            [f"--{option}" if value else f"--no-{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
        )
    return shlex.join(words)


def _resolve(
    kind: type[RecipeT],
    presets: Mapping[str, Preset[RecipeT]],
    start: str | Path | RecipeT,
    options: Mapping[str, Any],
    over: Mapping[str, Any] | None = None,
) -> RecipeT:
    origin = ""
    start = str(start) if isinstance(start, Path) else start
    if not isinstance(start, str):
        values = start.model_dump(exclude_none=True)
    elif start.endswith(".toml"):
        values, origin = _read_toml(user_path(start)), f"{start}: "
        values = _with_code(values, user_path(start))
        preset = values.pop("preset", None)
        if preset is not None:
            if not isinstance(preset, str) or preset not in presets:
                raise UsageError(f"{start}: preset '{preset}' is unknown{nearest(str(preset), presets)}")
            values = _laid_over(_with_paper(presets[preset].recipe.model_dump(exclude_none=True), values), values)
    elif start in presets:
        values = presets[start].recipe.model_dump(exclude_none=True)
    else:
        raise UsageError(f"recipe '{start}' is unknown{nearest(start, presets)} (or give a .toml file)")
    values = _laid_over(values, over or {})
    nested: dict[str, Any] = {}
    for option, value in options.items():
        section, field = _place_of(kind, option)
        (nested.setdefault(section, {}) if section else nested)[field] = value
    values = _laid_over(_with_paper(values, nested), nested)
    if kind is Recipe:
        values = _with_layers(values)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UsageError(origin + _first_complaint(kind, error)) from error


def _with_paper(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Where the values above say a loss, those below with what its paper adds to it."""
    objective = above.get("objective")
    loss = objective.get("loss") if isinstance(objective, Mapping) else None
    return _laid_over(below, PAPERS.get(loss, {})) if isinstance(loss, str) else below


def _with_code(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Where a recipe's file names a Python file (from its own folder), the same with that file's sha256."""
    model = values.get("model")
    named = model.get("networks") if isinstance(model, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(named, str) or not named.endswith(".py"):
        return values
    digest = remember_file(path.parent / named)
    return {**values, "model": {"architecture": "python", **model, "networks": digest}}


def _with_layers(values: dict[str, Any]) -> dict[str, Any]:
    """Where layers are given, they are the architecture; of two tables, the one that lacks is the named pair's."""
    given = [role for role in ("generator", "discriminator") if values.get(role) is not None]
    model = values.get("model", {})
    if not given or not isinstance(model, Mapping):
        return values
    named = PAIRS.get(model.get("architecture", ""))
    if named is not None:
        values = {**{role: getattr(named, role).model_dump() for role in ("generator", "discriminator")}, **values}
    return {**values, "model": {**model, "architecture": "layers"}}


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise UsageError(f"recipe file {path} is missing")
    try:
        values = tomllib.loads(read_bytes(path, MAX_RECIPE_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PocketganError(f"recipe file {path} is not readable as TOML ({error})") from error
    if "format_version" in values:
        check_version(path, values, FORMAT_VERSION)
    return values


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested tables as one, `above` winning. A budget above puts away the budgets below."""
    merged = dict(below)
    if any(budget in above for budget in BUDGETS):
        merged = {name: value for name, value in merged.items() if name not in BUDGETS}
    for name, value in above.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = _laid_over(old, value) if both else value  # type: ignore[arg-type]
    return merged


def field_places(kind: type[Config]) -> dict[str, tuple[str, str]]:
    """Every field that an option can set: its bare name to (section, field); section "" at the top level."""
    places: dict[str, tuple[str, str]] = {}
    for name, info in kind.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, Config):
            places |= {field: (name, field) for field in section.model_fields}
        elif name not in ("format_version", "kind", "generator", "discriminator"):
            places[name] = ("", name)
    return places


def _place_of(kind: type[Config], option: str) -> tuple[str, str]:
    places = field_places(kind)
    bare = option.replace("-", "_").rpartition(".")[2]
    dotted = option.replace("-", "_")
    if bare not in places or ("." in dotted and dotted != ".".join(places[bare])):
        shown = {f"--{name.replace('_', '-')}" for name in places}
        raise UsageError(
            f"option --{option.replace('_', '-')} is unknown{nearest('--' + bare.replace('_', '-'), shown)}"
        )
    return places[bare]


def _first_complaint(kind: type[Config], error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        name = ".".join(str(part) for part in first["loc"])
        known = {".".join(part for part in where if part): None for where in field_places(kind).values()}
        return f"field '{name}' is unknown{nearest(name, known)}"
    return complaint(error)
