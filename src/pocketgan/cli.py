"""The command line: the only argument parser. No verb imports torch before it needs it."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Parameter

from pocketgan.core.errors import PocketganError, UsageError

SHOWN_WITH_DEBUG = "--debug"

app = App(
    name="pocketgan",
    help="Train, judge, steer and ship GANs for small images. RECIPE is a preset's name or a .toml file.",
    version_flags=["--version"],
    help_format="plaintext",
)
classify_app = App(name="classify", help="Train a classifier, or label images with one.", help_format="plaintext")
app.command(classify_app)
bench_app = App(name="bench", help="Make the published figures.", help_format="plaintext")
app.command(bench_app)

Options = Annotated[str, Parameter(help="Any field of the recipe, such as --lr-g 1e-3 (pocketgan recipes NAME).")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, Parameter(negative="", help="Show no progress.")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or mps.")]
Data = Annotated[str | None, Parameter(help="Images: mnist, a folder of pictures, an NPZ, NPY or IDX file or folder.")]
Flag = Annotated[bool, Parameter(negative="")]


@app.command
def run(
    recipe: str = "pocket",
    *,
    out: Path | None = None,
    data: Data = None,
    classifier: str = "cnn",
    skip: str = "",
    redo: str = "",
    until_good: Flag = False,
    tensorboard: Flag = False,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
    **options: Options,
) -> None:
    """Do it all: train, generate 100 fakes, train a classifier, count S0 and S1, write the report.

    Parameters
    ----------
    recipe
        A preset's name (pocketgan recipes lists them) or a .toml file.
    out
        The run's folder; runs/RECIPE-SEED without it. What it holds already is kept and gone on with.
    classifier
        Recipe of the classifier C.
    skip
        Steps to leave out, with commas: train, generate, classify, score, report.
    redo
        Steps to throw away and make again, with commas.
    until_good
        Stop training at the epoch whose samples a guide reads as surely as real images.
    tensorboard
        Write TensorBoard's files too.
    """
    from pocketgan.run import run as run_all

    chosen = _options(options, data, until_good)
    folder = out or Path("runs") / f"{Path(recipe).stem}-{chosen.get('seed', 0)}"
    summary = run_all(
        recipe,
        out=folder,
        classifier=classifier,
        skip=_listed(skip),
        redo=_listed(redo),
        device=device,
        tensorboard=tensorboard,
        quiet=quiet,
        **chosen,
    )
    if json_output:
        print(json.dumps(summary, indent=2))
    else:
        _print_summary(folder, summary)


@app.command
def train(
    recipe: str,
    *,
    out: Path,
    data: Data = None,
    until_good: Flag = False,
    tensorboard: Flag = False,
    device: Device = "auto",
    quiet: Quiet = False,
    **options: Options,
) -> None:
    """Train a generator and a discriminator. The same command again goes on where it stopped.

    Parameters
    ----------
    recipe
        A preset's name (pocketgan recipes lists them) or a .toml file.
    out
        The run's folder.
    until_good
        Stop at the epoch whose samples a guide reads as surely as real images.
    tensorboard
        Write TensorBoard's files too.
    """
    from pocketgan.train import train as train_pair

    chosen = _options(options, data, until_good)
    train_pair(recipe, out=out, device=device, tensorboard=tensorboard, quiet=quiet, **chosen)
    print(out)


@app.command
def generate(
    model: str,
    *,
    out: Path,
    count: int = 100,
    digit: int | None = None,
    balanced: Flag = False,
    seed: int = 0,
    format: str = "png,grid",
    test_share: float | None = None,
    classifier: str | None = None,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Generate images from a run or a model, with the latents that made them.

    Parameters
    ----------
    model
        A run folder or a model folder.
    out
        A new folder.
    count
        How many images.
    digit
        Their class (conditional models).
    balanced
        Every class equally often: what conditional models do without --digit.
    seed
        Of the latents: the same seed and index give the same bytes.
    format
        With commas: png, npz, idx, grid.
    test_share
        Share that goes into the test part of NPZ and IDX, between 0 and 1.
    classifier
        What labels an unconditional model's images; the shipped guide for digits.
    """
    if balanced and digit is not None:
        raise UsageError("--balanced and --digit exclude each other; give one")
    from pocketgan.generate import generate as generate_images

    written = generate_images(
        model,
        out=out,
        count=count,
        digit=digit,
        seed=seed,
        formats=_listed(format),
        test_share=test_share,
        classifier=classifier,
        balanced=balanced,
        device=device,
        quiet=quiet,
    )
    print(json.dumps([str(path) for path in written]) if json_output else "\n".join(map(str, written)))


@classify_app.command(name="train")
def classify_train(
    recipe: str = "cnn",
    *,
    out: Path,
    data: Data = None,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
    **options: Options,
) -> None:
    """Train a classifier and count its errors on the test images.

    Parameters
    ----------
    recipe
        cnn, mlp, cnn-dense, linear-224, or a .toml file.
    out
        A new folder.
    """
    from pocketgan.classify import train_classifier

    classifier = train_classifier(recipe, out=out, device=device, quiet=quiet, **_options(options, data))
    test = classifier.facts["test"]
    if json_output:
        print(json.dumps({"epochs": classifier.facts["epochs"], "test": test}, indent=2))
    else:
        print(f"{out}: {test['errors']} of {test['count']:,} read wrongly on {test['name']} ({test['error']:.2%})")


@classify_app.command(name="label")
def classify_label(
    images: str,
    *,
    classifier: str = "guide",
    out: Path,
    split: str = "train",
    count: int = 100,
    seed: int = 0,
    device: Device = "auto",
    json_output: Json = False,
) -> None:
    """Label images, or a model's output, and write row, label, class name and confidence as CSV.

    Parameters
    ----------
    images
        A folder of pictures, an NPZ, NPY or IDX file, mnist, or a run or model folder (its output is labelled).
    classifier
        A classifier's folder, a run's folder, or guide, the shipped one.
    out
        A new CSV file.
    split
        Of images that have splits.
    count, seed
        Of a model's output.
    """
    from pocketgan.classify import label_images

    rows = label_images(classifier, images, out=out, split=split, count=count, seed=seed, device=device)
    if json_output:
        print(json.dumps([{"label": label, "confidence": sure} for label, sure in rows]))
    else:
        print(out)


@bench_app.command(name="keep")
def bench_keep(run_folder: Path, *, out: Path, without_generator: Flag = False) -> None:
    """Store a finished run in small: scores, events, grid and the generator in half precision.

    Parameters
    ----------
    run_folder
        The run.
    out
        A new folder.
    without_generator
        Leave the generator out.
    """
    from pocketgan.bench.results import keep
    from pocketgan.core.files import refuse_existing

    refuse_existing(out)
    print(keep(run_folder, out, generator=not without_generator))


@bench_app.command(name="results")
def bench_results(*folders: Path, out: Path) -> None:
    """Write the table of stored runs and classifiers as Markdown, with their grids.

    Parameters
    ----------
    folders
        Runs, whole or kept, and classifiers.
    out
        The Markdown file.
    """
    from pocketgan.bench.results import write_results

    print(write_results(folders, out))


@app.command
def report(run_folder: Path) -> None:
    """Write report.html into a run's folder: one file that opens offline.

    Parameters
    ----------
    run_folder
        The run.
    """
    from pocketgan.report import write_report

    print(write_report(run_folder))


@app.command
def recipes(name: str | None = None, *, json_output: Json = False) -> None:
    """List the recipes with their cost, or print one as TOML.

    Parameters
    ----------
    name
        Of one recipe: its description and all its fields, to save as a .toml file.
    """
    from pocketgan.listing import print_recipe, print_recipes

    if name is None:
        print_recipes(json_output)
    else:
        print_recipe(name)


@app.command
def info(model: str, *, json_output: Json = False) -> None:
    """Print a model's layers, shapes and parameters, and where it comes from.

    Parameters
    ----------
    model
        A run folder, a model folder or a classifier's folder; or guide, the shipped classifier.
    """
    from pocketgan.describe import load_any, model_layers

    loaded = load_any(model)
    tables = model_layers(loaded)
    if json_output:
        layers = {name: [layer._asdict() for layer in table] for name, table in tables.items()}
        print(json.dumps({"recipe": loaded.recipe.model_dump(mode="json"), "layers": layers, **loaded.facts}, indent=2))
        return
    from pocketgan.listing import print_layers

    print_layers(loaded, tables)


@app.command
def doctor(*, json_output: Json = False) -> None:
    """Tell what this machine can do: versions, devices, measured speed, extras, data."""
    from pocketgan.describe import machine_facts

    facts = machine_facts()
    if json_output:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(value, dict):
            shown = ", ".join(f"{key}: {'yes' if there else 'no'}" for key, there in value.items())
        print(f"{name.replace('_', ' '):<16}{shown}")


def _options(options: dict[str, str], data: str | None, until_good: bool = False) -> dict[str, Any]:
    chosen: dict[str, Any] = {name.replace("-", "_"): value for name, value in options.items()}
    if data is not None:
        chosen["source"] = data
    if until_good:
        chosen["until_good"] = True
    return chosen


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _print_summary(folder: Path, summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=str(folder), show_header=False, title_justify="left")
    for name, value in summary.items():
        shown = f"{value:.2%}" if name.startswith(("s0_error", "s1_error")) else value
        if name.endswith(("interval", "interval_10k")):
            shown = f"{value[0]:.2%} to {value[1]:.2%}"
        table.add_row(name, str(shown))
    Console().print(table)
    print(folder / "report.html")


def _stop(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program and exit: 0 done, 1 failed, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = SHOWN_WITH_DEBUG in words
    words = [word for word in words if word != SHOWN_WITH_DEBUG]
    signal.signal(signal.SIGTERM, _stop)
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
        raise SystemExit(0)
    except CycloptsError as error:
        _fail(str(error).replace("\n", " ").strip(), 2, debug)
    except PocketganError as error:
        _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        _fail("stopped; the same command goes on from the last checkpoint", 130, debug)
    except BrokenPipeError:
        raise SystemExit(1) from None
    except (OSError, MemoryError) as error:
        _fail(f"{error or 'out of memory'}", 1, debug)
    except Exception as error:
        _fail(f"internal error: {type(error).__name__}: {error}; run it again with --debug and report it", 1, debug)


def _fail(line: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    print(f"pocketgan: {' '.join(line.split())}", file=sys.stderr)
    raise SystemExit(code)
