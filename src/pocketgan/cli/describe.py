"""What tells of what is there: `pocketgan report`, `recipes`, `info` and `doctor`."""

from __future__ import annotations

import json
from pathlib import Path

from pocketgan.cli.parameters import Json
from pocketgan.core.signals import load_torch


def report(run_folder: Path) -> None:
    """Write report.html into a run's folder: one file that opens offline.

    Parameters
    ----------
    run_folder
        A run whose training has ended; a model folder that has steering fitted gets steering.html alone.
    """
    load_torch()
    from pocketgan.report import write_report

    print(write_report(run_folder))


def recipes(name: str | None = None, *, json_output: Json = False) -> None:
    """List the recipes with their cost, or print one as TOML.

    Parameters
    ----------
    name
        A recipe to print whole: its description and all its fields, to save as a .toml file and change.
    """
    from pocketgan.verbs.listing import print_recipe, print_recipes

    if name is None:
        print_recipes(json_output)
    else:
        print_recipe(name)


def info(model: str, *, json_output: Json = False) -> None:
    """Print a model's layers, shapes and parameters, and where it comes from.

    Parameters
    ----------
    model
        A run folder, a model folder or a classifier's folder; or digits or guide, the shipped generator and classifier.
    """
    load_torch()
    from pocketgan.verbs.describe import load_any, model_layers

    loaded = load_any(model)
    tables = model_layers(loaded)
    if json_output:
        layers = {name: [layer._asdict() for layer in table] for name, table in tables.items()}
        print(json.dumps({"recipe": loaded.recipe.model_dump(mode="json"), "layers": layers, **loaded.facts}, indent=2))
        return
    from pocketgan.verbs.listing import print_layers

    print_layers(loaded, tables)


def doctor(*, json_output: Json = False) -> None:
    """Tell what this machine can do: versions, devices, measured speed, extras, data."""
    load_torch()
    from pocketgan.verbs.describe import machine_facts

    facts = machine_facts()
    if json_output:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        if value is None:
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(value, dict):
            shown = ", ".join(f"{key}: {'yes' if there else 'no'}" for key, there in value.items())
        print(f"{name.replace('_', ' '):<16}{shown}")
