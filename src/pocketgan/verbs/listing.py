"""Tables for people: the recipes with their cost, one recipe as TOML, a model's layers. Imports no torch of its own."""

from __future__ import annotations

import json
import textwrap
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from pocketgan.core.errors import UsageError, nearest
from pocketgan.recipes import CLASSIFIER_PRESETS, GAN_PRESETS, ClassifierRecipe, Recipe, recipe_toml

if TYPE_CHECKING:
    from pocketgan.models.classifier import Classifier
    from pocketgan.models.model import Model
    from pocketgan.verbs.describe import Layer

MNIST_IMAGES = 60_000
REFERENCE_GFLOPS = 400.0  # numpy's fp32 matrix products on the machine that the speeds below were measured on


class Cost(NamedTuple):
    """What one preset costs on 28x28 images. A test counts parameters and operations anew."""

    generator: int  # parameters
    discriminator: int
    mflop: float  # per real image shown, all passes of both players
    images_per_second: float  # measured on two cores of an Intel Xeon with AMX, PyTorch 2.13


# fmt: off
COSTS: dict[str, Cost] = {
    "pocket":       Cost(  513_444, 842_475,  80.3,  4_360),
    "pocket-free":  Cost(  516_900, 870_177,  80.5,  4_340),
    "mlp":          Cost(  227_344, 226_761,   4.6, 27_900),
    "mlp-bn":       Cost(1_489_936, 533_505,  15.8,  9_300),
    "dcgan":        Cost(2_318_209, 212_865, 472.4,  1_050),
    "mlp-deep":     Cost(1_486_352, 533_505,  15.8,  7_700),
    "dcgan-rotate": Cost(  747_841,  64_545,  67.5,  2_800),
}
# fmt: on
CLASSIFIER_PARAMETERS = {  # counted too
    **{"cnn": 45_458, "mlp": 535_818, "cnn-dense": 225_034, "linear-224": 1_505_290},
    **{"judge": 223_402, "tstr": 421_642},
}


def recipe_rows() -> list[dict[str, Any]]:
    """One row for each preset: names, parameters, cost, and the minutes it will take here."""
    ratio = matmul_speed_here() / REFERENCE_GFLOPS
    rows: list[dict[str, Any]] = []
    for name, preset in GAN_PRESETS.items():
        cost, schedule = COSTS[name], preset.recipe.schedule  # type: ignore[union-attr]
        minutes = schedule.total_nimg(MNIST_IMAGES) / (cost.images_per_second * ratio) / 60
        budget = {"epochs": schedule.epochs, "minutes_here": round(minutes, 1)}
        parameters = {"generator": cost.generator, "discriminator": cost.discriminator}
        rows.append({"name": name, **parameters, "mflop_per_image": cost.mflop, **budget, "about": preset.about})
    return rows


def matmul_speed_here() -> float:
    """This machine's fp32 matrix-multiplication speed in GFLOP/s, from the best of a few products (numpy, 0.1 s)."""
    left = np.ones((1024, 1024), np.float32)
    best, until = float("inf"), time.perf_counter() + 0.1
    while time.perf_counter() < until:
        began = time.perf_counter()
        left @ left
        best = min(best, time.perf_counter() - began)
    return 2 * 1024**3 / best / 1e9


def print_recipes(as_json: bool) -> None:
    """The table of presets, on stdout."""
    rows = recipe_rows()
    classifiers = [
        {"name": name, "parameters": CLASSIFIER_PARAMETERS[name], "about": preset.about}
        for name, preset in CLASSIFIER_PRESETS.items()
    ]
    if as_json:
        print(json.dumps({"recipes": rows, "classifiers": classifiers}, indent=2))
        return
    table = Table(title="recipes", title_justify="left")
    for heading in ("name", "generator", "discriminator", "MFLOP an image", "epochs", "minutes here"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for row in rows:
        counts = f"{row['generator']:,}", f"{row['discriminator']:,}"
        table.add_row(
            row["name"], *counts, f"{row['mflop_per_image']:,}", f"{row['epochs']:g}", f"{row['minutes_here']:g}"
        )
    console = Console()
    console.print(table)
    print("classifiers: " + ", ".join(f"{row['name']} ({row['parameters']:,} parameters)" for row in classifiers))
    print("pocketgan recipes NAME prints one whole; minutes are scaled from a reference machine by matrix products")


def print_recipe(name: str) -> None:
    """One preset on stdout: its description as comments, then TOML that can be saved and changed, each field explained.

    Raises
    ------
    UsageError
        The name is unknown.
    """
    presets = {**CLASSIFIER_PRESETS, **GAN_PRESETS}
    if name not in presets:
        raise UsageError(f"recipe '{name}' is unknown{nearest(name, presets)}")
    preset = presets[name]
    noun = "recipe" if isinstance(preset.recipe, Recipe) else "classifier recipe"
    print(textwrap.fill(f"{noun} {name}. {preset.about}", 100, initial_indent="# ", subsequent_indent="# "))
    print(_explained(preset.recipe), end="")
    if name in CLASSIFIER_PRESETS and name in GAN_PRESETS:
        print(
            textwrap.indent(f"\nclassifier recipe {name}\n{_explained(CLASSIFIER_PRESETS[name].recipe)}", "# "), end=""
        )


def _explained(recipe: Recipe | ClassifierRecipe) -> str:
    """A recipe as TOML, with what each field means behind it."""
    fields, lines = type(recipe).model_fields, []
    for line in recipe_toml(recipe).splitlines():
        if line.startswith("["):
            section = getattr(recipe, line.strip("[]"))
            fields = type(section).model_fields
        field = fields.get(line.partition(" = ")[0])
        lines.append(f"{line}  # {field.description}" if field is not None and field.description else line)
    return "\n".join(lines) + "\n"


def print_layers(model: Model | Classifier, tables: dict[str, list[Layer]]) -> None:
    """The layers of each network, with shapes and parameters, on stdout; then where the model comes from."""
    console = Console()
    for name, layers in tables.items():
        table = Table(title=name, title_justify="left")
        table.add_column("layer")
        table.add_column("kind")
        table.add_column("output shape")
        table.add_column("parameters", justify="right")
        for layer in layers:
            table.add_row(layer.name, layer.kind, str(list(layer.output)), f"{layer.parameters:,}")
        table.add_section()
        table.add_row("total", "", "", f"{sum(layer.parameters for layer in layers):,}")
        console.print(table)
    data, made_with = model.facts.get("data", {}), model.facts.get("made_with", {})
    print(f"recipe      {model.recipe.name}, seed {model.recipe.seed}")
    if "command" in model.facts:
        print(f"rebuild     {model.facts['command']}")
    if "imported" in model.facts:
        for name, digest in model.facts["imported"].items():
            print(f"imported    {name} from a file with sha256 {digest[:16]}…")
    elif "weights" in model.facts:
        print(f"weights     {model.facts['weights']} after {model.facts['nimg']:,} images")
    if "test" in model.facts:
        test = model.facts["test"]
        print(f"test        {test['errors']} of {test['count']:,} images of {test['name']} read wrongly")
    if data:
        digest = data.get("digest", "")[:16]
        print(f"data        {data.get('name')} ({data.get('count', 0):,} images), sha256 {digest}…")
    print("made with   " + ", ".join(f"{key} {value}" for key, value in made_with.items()))
