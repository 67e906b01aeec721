"""What the commands print: for people, and for --json.

Each function takes the result of a function of the Python API, and what that was called with.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from pocketgan.api import RunResult
    from pocketgan.core.machine import Machine
    from pocketgan.export import Exported
    from pocketgan.importing.weights import Imported
    from pocketgan.models.classifier import Classifier
    from pocketgan.models.judge import Judge
    from pocketgan.models.model import Model
    from pocketgan.models.summary import ModelInfo
    from pocketgan.recipes import ClassifierRecipe, Recipe
    from pocketgan.recipes.costs import RecipeRow
    from pocketgan.runs.facts import Rate
    from pocketgan.scorecard.card import Scorecard
    from pocketgan.scorecard.comparison import Comparison
    from pocketgan.steer.search import Inversion
    from pocketgan.steer.steering import FitReport
    from pocketgan.sweep.summary import SweepFacts
    from pocketgan.writers import Labelled

Given = Mapping[str, Any]  # what the function was called with, by its parameters' names
MOST_CLASSES_SHOWN = 20  # in the table after a run


def out(result: object, given: Given) -> None:
    """The path that was written, as it was given."""
    print(given["out"])


def path(written: Path, given: Given) -> None:
    """The path that was written."""
    print(written)


def path_facts(written: Path, given: Given) -> dict[str, str]:
    return {"file": str(written)}


def out_facts(result: object, given: Given) -> dict[str, str]:
    return {"out": str(given["out"])}


def nothing(result: object, given: Given) -> None:
    """Nothing more: it was printed while the command ran."""


def addresses_facts(addresses: list[str], given: Given) -> dict[str, list[str]]:
    return {"addresses": addresses}


def content(written: Path, given: Given) -> None:
    """What stands in the file that was written."""
    print(written.read_text(encoding="utf-8"), end="")


def paths(written: list[Path | str], given: Given) -> None:
    print("\n".join(map(str, written)))


def paths_facts(written: list[Path | str], given: Given) -> list[str]:
    return list(map(str, written))


# ---- trainings -----------------------------------------------------------------------------------------------------


def training_facts(model: Model, given: Given) -> dict[str, Any]:
    """Folder, images and epochs shown, seconds of training, and the sha256 of the generator's weights."""
    from pocketgan.models.saved import weights_digest
    from pocketgan.runs.folder import RunFolder

    timings = RunFolder(given["out"]).timings()
    return {
        "folder": str(given["out"]),
        "nimg": model.facts.nimg,
        "epochs": round(model.facts.nimg / model.facts.data.count, 3),
        "seconds": timings[-1].seconds,
        "weights": weights_digest(model.generator),
    }


def run(result: RunResult, given: Given) -> None:
    """A few rows in plain words. What was skipped or cannot be counted has no row."""
    from rich.console import Console
    from rich.table import Table

    from pocketgan.report.words import LABEL_SOURCES, duration
    from pocketgan.runs.folder import RunFolder

    folder, summary = result
    table = Table(title=str(folder), title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, key in (("S0", "s0_{}"), ("S1", "s1_{}"), ("S1 of 10,000", "s1_{}_10k")):
        error, interval, counted = (summary.get(key.format(what)) for what in ("error", "interval", "counted"))
        if error is not None and interval:
            low, high = interval
            table.add_row(name, f"{error:.2%} of {counted} read wrongly; 95% interval {low:.2%} to {high:.2%}")
    if verdict := summary.get("verdict"):
        table.add_row("scorecard", verdict)
    if source := summary.get("s1_label_source"):
        table.add_row("labels of fakes", LABEL_SOURCES.get(source, source))
    if 0 < len(names := summary.get("class_names", ())) <= MOST_CLASSES_SHOWN:
        counts = zip(names, summary["label_counts"], strict=True)
        table.add_row("fakes read as", ", ".join(f"{name}: {count}" for name, count in counts))
    if summary and not table.row_count:
        table.add_row("S0 and S1", "not counted: the images have no labels")
    if summary.get("train_seconds"):
        speed = f"{summary['images_per_second']:,.0f} images/s"
        table.add_row("training", f"{duration(summary['train_seconds'])}, {speed}")
    report = RunFolder(folder).report
    if report.exists():
        table.add_row("report", str(report))
    Console().print(table, markup=False)


def run_facts(result: RunResult, given: Given) -> dict[str, Any]:
    return result.summary


def classifier(trained: Classifier, given: Given) -> None:
    print(f"{given['out']}: {_misread(trained.facts.test)}")


def classifier_facts(trained: Classifier, given: Given) -> dict[str, Any]:
    facts = trained.facts.as_json()
    return {"epochs": facts["epochs"], "test": facts["test"]}


def judge(trained: Judge, given: Given) -> None:
    print(f"{given['out']}: judge {trained.version}, {_misread(trained.classifier.facts.test)}")


def judge_facts(trained: Judge, given: Given) -> dict[str, Any]:
    return {"version": trained.version, "digest": trained.digest, "test": trained.classifier.facts.as_json()["test"]}


def _misread(test: Rate | None) -> str:
    if test is None:
        return "not tested"
    return f"{test.errors} of {test.count:,} read wrongly on {test.name} ({test.error:.2%})"


# ---- models, images and scores -------------------------------------------------------------------------------------


def labels_facts(rows: list[Labelled], given: Given) -> list[dict[str, Any]]:
    return [{name: value for name, value in row._asdict().items() if value is not None} for row in rows]


def imported(found: Imported, given: Given) -> None:
    print(f"{found.folder}: {found.network} of {found.what}")
    for line in found.assumed:
        print(f"  assumed: {line}")
    for reading in found.readings:
        right = "" if reading.right is None else f", {reading.right:.0%} read as the class that was asked for"
        print(f"  {reading.words or 'as imported'}: the guide is {reading.sureness:.0%} sure of 100 images{right}")
    if found.real is not None:
        print(f"  real images: {found.real:.0%} sure")
    if found.right is not None:
        print(f"  it reads {found.right:.1%} of 1,000 images right")
    for line in found.warnings:
        print(f"  warning: {line}")


def imported_facts(found: Imported, given: Given) -> dict[str, Any]:
    readings = [reading._asdict() for reading in found.readings]
    return {**found._asdict(), "folder": str(found.folder), "readings": readings}


def exported(files: list[Exported], given: Given) -> None:
    """A line for each file, and one below it for what was measured."""
    for one in files:
        print(f"{one.path}" + (f"  {one.bytes / 1e6:.2f} MB" if one.bytes else ""))
        print(f"  {one.words}")


def exported_facts(files: list[Exported], given: Given) -> list[dict[str, Any]]:
    return [one.facts | {"path": str(one.path), "seconds": round(one.seconds, 2)} for one in files]


def card(scorecard: Scorecard, given: Given) -> None:
    from pocketgan.scorecard.listing import print_card

    print_card(scorecard)


def comparison(compared: Comparison, given: Given) -> None:
    from pocketgan.scorecard.listing import print_comparison

    print_comparison(compared)


def model_facts(result: Scorecard | Comparison, given: Given) -> dict[str, Any]:
    return result.model_dump(mode="json")


def sweep(found: SweepFacts | list[str], given: Given) -> None:
    if isinstance(found, list):
        print("\n".join(found))
        return
    from pocketgan.sweep.summary import table_of

    heading, rows = table_of(found)
    for row in rows:
        print(row[0])
        print("\n".join(f"  {name:<14}{value}" for name, value in zip(heading[1:], row[1:], strict=True) if value))
    print(f"\n{given['out']}/sweep.html")


def sweep_facts(found: SweepFacts | list[str], given: Given) -> Any:
    return found if isinstance(found, list) else found.model_dump(mode="json")


# ---- steering ------------------------------------------------------------------------------------------------------


def fits(reports: list[FitReport], given: Given) -> None:
    for facts, missing in reports:
        kept = ", ".join(f"{count / facts.latents:.2%}" for count in facts.kept)
        print(f"{facts.method}: fitted in {facts.fit_seconds:.1f} s, after {facts.collect_seconds:.1f} s of collecting")
        print(f"  kept of {facts.latents:,} latents, by class: {kept}")
        for line in missing:
            print(f"  {line}")


def fits_facts(reports: list[FitReport], given: Given) -> list[dict[str, Any]]:
    return [one.facts.model_dump() for one in reports]


def inversion(found: Inversion, given: Given) -> None:
    error = float(found.errors.mean())
    print(f"{given['out']}: {len(found.errors)} latents; root mean square error of a pixel {error:.3f}")


def inversion_facts(found: Inversion, given: Given) -> dict[str, list[float]]:
    return {"rmse": found.errors.tolist()}


def images_facts(made: Tensor, given: Given) -> dict[str, Any]:
    return {"out": str(given["out"]), "count": len(made)}


# ---- what there is -------------------------------------------------------------------------------------------------


def recipes(rows: list[RecipeRow], given: Given) -> None:
    """The table of presets; or those of one name, as TOML."""
    if given["name"] is not None:
        first, *others = rows
        kind = "recipe" if first.is_pair else "classifier recipe"
        print(textwrap.fill(f"{kind} {first.name}. {first.about}", 100, initial_indent="# ", subsequent_indent="# "))
        print(_explained(first.recipe), end="")
        for other in others:
            print(textwrap.indent(f"\nclassifier recipe {other.name}\n{_explained(other.recipe)}", "# "), end="")
        return
    from rich.console import Console
    from rich.table import Table

    from pocketgan.recipes import Recipe

    table = Table(title="recipes", title_justify="left")
    for heading in ("name", "generator", "discriminator", "MFLOP an image", "epochs", "minutes here"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    classifiers = []
    for row in rows:
        counts = [f"{count:,}" for count in row.parameters.values()]
        if isinstance(row.recipe, Recipe):
            minutes = "" if row.minutes is None else f"{row.minutes:.1f}"
            table.add_row(row.name, *counts, f"{row.mflop_per_image:,}", f"{row.recipe.schedule.epochs:g}", minutes)
        else:
            classifiers.append(f"{row.name} ({counts[0]} parameters)")
    Console().print(table)
    print("classifiers: " + ", ".join(classifiers))
    print("pocketgan recipes NAME prints one whole")


def recipes_facts(rows: list[RecipeRow], given: Given) -> dict[str, list[dict[str, Any]]]:
    """Pairs and classifiers, with the fields of each."""
    pairs, classifiers = [], []
    for row in rows:
        told = {"name": row.name, "about": row.about, "parameters": row.parameters}
        fields = row.recipe.model_dump(mode="json", exclude_none=True)
        if row.is_pair:
            costs = {"mflop_per_image": row.mflop_per_image, "minutes_here": row.minutes}
            pairs.append({**told, **costs, "fields": fields})
        else:
            classifiers.append({**told, "fields": fields})
    return {"recipes": pairs, "classifiers": classifiers}


def _explained(recipe: Recipe | ClassifierRecipe) -> str:
    """A recipe as TOML, with what each field means behind it."""
    from pocketgan.recipes import recipe_toml

    fields, lines = type(recipe).model_fields, []
    for line in recipe_toml(recipe).splitlines():
        if line.startswith("["):
            section = getattr(recipe, line.strip("[]"))
            fields = type(section).model_fields
        field = fields.get(line.partition(" = ")[0])
        lines.append(f"{line}  # {field.description}" if field is not None and field.description else line)
    return "\n".join(lines) + "\n"


def info(told: ModelInfo, given: Given) -> None:
    """The layers of each network, with shapes and parameters; then where the model comes from."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for name, layers in told.layers.items():
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
    from pocketgan.runs.facts import ClassifierFacts, PairFacts

    recipe, facts = told.model.recipe, told.model.facts
    print(f"recipe      {recipe.name}, seed {recipe.seed}")
    if isinstance(facts, PairFacts) and facts.command is not None:
        print(f"rebuild     {facts.command}")
    if facts.imported:
        for name, digest in facts.imported.items():
            print(f"imported    {name} from a file with sha256 {digest[:16]}…")
    elif isinstance(facts, PairFacts):
        print(f"weights     {facts.weights} after {facts.nimg:,} images")
    if isinstance(facts, ClassifierFacts) and facts.test is not None:
        print(f"test        {facts.test.errors} of {facts.test.count:,} images of {facts.test.name} read wrongly")
    if facts.data.digest:
        print(f"data        {facts.data.name} ({facts.data.count:,} images), sha256 {facts.data.digest[:16]}…")
    print("made with   " + ", ".join(f"{key} {value}" for key, value in facts.made_with.as_json().items()))


def info_facts(told: ModelInfo, given: Given) -> dict[str, Any]:
    layers = {name: [layer._asdict() for layer in table] for name, table in told.layers.items()}
    return {"recipe": told.model.recipe.model_dump(mode="json"), "layers": layers, **told.model.facts.as_json()}


def datasets(rows: list[dict[str, Any]], given: Given) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="data sets", title_justify="left")
    for heading in ("name", "train", "test", "shape", "MB", "licence", ""):
        table.add_column(heading, justify="right" if heading in ("train", "test", "MB") else "left")
    for row in rows:
        counts = f"{row['train']:,}", f"{row['test']:,}"
        table.add_row(
            row["name"],
            *counts,
            str(row["shape"]),
            f"{row['megabytes']}",
            row["licence"].partition(",")[0],
            row["state"],
        )
    Console().print(table, markup=False)


def datasets_facts(rows: list[dict[str, Any]], given: Given) -> list[dict[str, Any]]:
    return rows


def machine(found: Machine, given: Given) -> None:
    for name, value in found._asdict().items():
        if value is None:
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        if isinstance(value, dict):
            shown = ", ".join(f"{key}: {'yes' if there else 'no'}" for key, there in value.items())
        print(f"{name.replace('_', ' '):<16}{shown}")


def machine_facts(found: Machine, given: Given) -> dict[str, Any]:
    return found._asdict()
