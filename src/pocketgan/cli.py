"""The command line: the only argument parser. No verb imports torch before it needs it."""

from __future__ import annotations

import importlib
import io
import json
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Parameter, Token
from cyclopts.validators import Number

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.signals import Terminated, held_back, terminate

DEBUG = "--debug"
MOST_CLASSES_SHOWN = 20  # in the table after a run
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # in torch's RuntimeErrors

app = App(
    name="pocketgan",
    help="Train, judge, steer and ship GANs for small images. Any command takes --debug: it shows the traceback behind "
    "an error's line.",
    version_flags=["--version"],
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
classify_app = App(name="classify", help="Train a classifier, or label images with one.", help_format="plaintext")
app.command(classify_app)
judge_app = App(name="judge", help="Make the network that scores.", help_format="plaintext")
app.command(judge_app)
steer_app = App(
    name="steer",
    help="Ask a frozen, unconditional generator for classes; walk in its latents.",
    help_format="plaintext",
)
app.command(steer_app)
bench_app = App(name="bench", help="Make the published figures.", help_format="plaintext")
app.command(bench_app)


def _whole(kind: object, tokens: Sequence[Token]) -> int:
    """A whole number; the parser's own conversion would round 1.5 without a word."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is no whole number") from None


def _field_help(examples: str) -> str:
    return f"Any field of the recipe, such as {examples}; `pocketgan recipes NAME` prints them all."


GanField = Annotated[str, Parameter(help=_field_help("--epochs 2, --minutes 5, --seed 1 or --lr-g 1e-3"))]
ClassifierField = Annotated[str, Parameter(help=_field_help("--epochs 2, --seed 1 or --lr 1e-3"))]
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False, help="Print the result as JSON.")]
Quiet = Annotated[bool, Parameter(negative="", show_default=False, help="Show no progress.")]
Device = Annotated[str, Parameter(help="Where to compute: auto, cpu, cuda or mps.")]
Data = Annotated[
    str | None,
    Parameter(
        help="Images to learn from: mnist, fashion-mnist (downloaded once), a folder of pictures (one folder in it for "
        "each class, or none), an NPZ, NPY or IDX file, or an IDX folder. Without it the recipe decides."
    ),
]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Resume = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Go on with the run that OUT holds, which the same command does anyway; start one if there is none.",
    ),
]
Inexact = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Go on even where torch, device or threads have changed and the result cannot be the same bit for bit.",
    ),
]
OnTrouble = Annotated[
    str | None,
    Parameter(
        show_default=False,
        help="What to do when numbers stop being finite, the generator collapses or the discriminator has won: stop "
        "(exit code 3), rollback (to the last good checkpoint, with another seed and half the rates, at most three "
        "times) or warn. Without it, stop for the first and warn of the others.",
    ),
]
Steps = Annotated[str, Parameter(show_default=False)]
Whole = Annotated[int, Parameter(converter=_whole)]
Seed = Annotated[int, Parameter(converter=_whole, validator=Number(gte=0, lt=2**63))]


@app.command
def run(
    recipe: str = "pocket",
    *,
    out: Path | None = None,
    data: Data = None,
    classifier: str | None = None,
    skip: Steps = "",
    redo: Steps = "",
    until_good: Flag = False,
    tensorboard: Flag = False,
    resume: Resume = False,
    inexact: Inexact = False,
    on_trouble: OnTrouble = None,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
    **options: GanField,
) -> None:
    """Do it all: train, generate 100 fakes, train a classifier C, count S0 and S1, write the report.

    S0 is the share of real test images that C reads wrongly, S1 that of the fakes.

    Parameters
    ----------
    recipe
        A preset's name (`pocketgan recipes` lists them) or a .toml file.
    out
        The run's folder; runs/RECIPE-SEED without it. What it holds already is kept and gone on with.
    classifier
        Recipe of C (cnn, mlp, cnn-dense, linear-224 or a .toml file), or the folder of a trained one; cnn without it.
    skip
        Steps to leave out, with commas between: train, generate, classify, score, report.
    redo
        Steps to throw away and make again, with commas between; train throws away all that is in the run.
    until_good
        Stop training at the epoch whose samples a guide reads as surely as real images.
    tensorboard
        Write TensorBoard's files too, into OUT/tensorboard.
    """
    _load_torch()
    from pocketgan.recipes import gan_recipe
    from pocketgan.verbs.run import run as run_all

    chosen = _options(options, data, until_good)
    folder = out or Path("runs") / f"{Path(recipe).stem}-{gan_recipe(recipe, chosen).seed}"
    summary = run_all(
        recipe,
        out=folder,
        classifier=classifier,
        skip=_listed(skip),
        redo=_listed(redo),
        device=device,
        tensorboard=tensorboard,
        quiet=quiet,
        on_trouble=on_trouble,
        inexact=inexact,
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
    resume: Resume = False,
    inexact: Inexact = False,
    on_trouble: OnTrouble = None,
    device: Device = "auto",
    quiet: Quiet = False,
    **options: GanField,
) -> None:
    """Train a generator and a discriminator. The same command again goes on where it stopped.

    Parameters
    ----------
    recipe
        A preset's name (`pocketgan recipes` lists them) or a .toml file.
    out
        The run's folder: a new one, or that of the same training to go on with.
    until_good
        Stop at the epoch whose samples a guide reads as surely as real images.
    tensorboard
        Write TensorBoard's files too, into OUT/tensorboard.
    """
    _load_torch()
    from pocketgan.verbs.train import train as train_pair

    chosen = _options(options, data, until_good)
    train_pair(
        recipe,
        out=out,
        device=device,
        tensorboard=tensorboard,
        quiet=quiet,
        on_trouble=on_trouble,
        inexact=inexact,
        **chosen,
    )
    print(out)


@app.command
def generate(
    model: str,
    *,
    out: Path,
    count: Whole = 100,
    digit: Annotated[int | None, Parameter(converter=_whole)] = None,
    balanced: Flag = False,
    seed: Seed = 0,
    format: str = "png,grid",
    test_share: float | None = None,
    classifier: str | None = None,
    method: str | None = None,
    checked: Flag = False,
    slant: float | None = None,
    thickness: float | None = None,
    width: float | None = None,
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
        The class of all of them, by its number from 0. Unconditional models need `pocketgan steer fit MODEL` first.
    balanced
        Every class equally often, as conditional models do without --digit.
    seed
        Seed of the latents: the same seed and index give the same bytes, whatever the count.
    format
        With commas between: png (a folder for each label), npz, idx (as torchvision's MNIST reads it), grid.
    test_share
        Share of the images, between 0 and 1, that goes into the test part of NPZ (then with Keras' names) and IDX.
    classifier
        Folder of the classifier that labels the images of a model that cannot be asked; for MNIST's digits the
        shipped guide does without it.
    method
        Steer by this fitted method; the best one fitted without it.
    checked
        Steered images that the guide reads as another class are drawn once more.
    slant
        Lean steered images to the right by so many standard deviations of their class (fit directions first).
    thickness
        The same for the thickness of the stroke.
    width
        The same for the width.
    """
    if balanced and digit is not None:
        raise UsageError("--balanced and --digit exclude each other; give one")
    _load_torch()
    from pocketgan.verbs.generate import generate as generate_images

    moves = {"slant": slant, "thickness": thickness, "width": width}
    written = generate_images(
        model,
        out=out,
        count=count,
        digit=digit,
        seed=seed,
        formats=_listed(format),
        test_share=test_share,
        classifier=classifier,
        method=method,
        checked=checked,
        moves={name: amount for name, amount in moves.items() if amount is not None},
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
    **options: ClassifierField,
) -> None:
    """Train a classifier and count its errors on the test images.

    Parameters
    ----------
    recipe
        cnn, mlp, cnn-dense, linear-224, or a .toml file.
    out
        A new folder.
    """
    _load_torch()
    from pocketgan.verbs.classify import train_classifier

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
    count: Whole = 100,
    seed: Seed = 0,
    device: Device = "auto",
    json_output: Json = False,
) -> None:
    """Label images, or a model's output, and write row, label, class name and confidence as CSV.

    Rows are in the order of the images; those of a folder of pictures in the order of the sorted names.

    Parameters
    ----------
    images
        A folder of pictures, an NPZ, NPY or IDX file, mnist, or a run or model folder (its output is labelled).
    classifier
        A classifier's folder, a run's folder (its C is taken), or guide, the shipped one for MNIST's digits.
    out
        A new CSV file.
    split
        Which part of images that have parts: train or test, of mnist also fit or val.
    count
        How many images a model is to make.
    seed
        Seed of their latents.
    """
    _load_torch()
    from pocketgan.verbs.classify import label_images

    rows = label_images(classifier, images, out=out, split=split, count=count, seed=seed, device=device)
    if json_output:
        print(json.dumps([{"label": label, "confidence": sure} for label, sure in rows]))
    else:
        print(out)


@steer_app.command(name="fit")
def steer_fit(
    model: str,
    *,
    method: str = "flow",
    guide: str | None = None,
    latents: Whole = 200_000,
    steps: Whole = 1000,
    seed: Seed = 0,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit methods that find latents for classes, and keep them in the model's folder.

    Parameters
    ----------
    model
        A run folder or a model folder of an unconditional generator, which stays as it is.
    method
        With commas between: flow, bank, energy, search, directions, lcp.
    guide
        Folder of the classifier that tells the classes; for MNIST's digits the shipped guide does without it.
    latents
        How many are drawn and read by the guide. The readings are kept in the cache for the next method.
    steps
        Of training, for each network that a method learns.
    seed
        Of latents and trainings.
    """
    _load_torch()
    from pocketgan.verbs.steer import fit

    chosen = _listed(method)
    reports = fit(model, chosen, guide=guide, latents=latents, steps=steps, seed=seed, device=device, quiet=quiet)
    if json_output:
        print(json.dumps([one.facts.model_dump() for one in reports], indent=2))
        return
    for facts, missing in reports:
        kept = ", ".join(f"{count / facts.latents:.2%}" for count in facts.kept)
        print(f"{facts.method}: fitted in {facts.fit_seconds:.1f} s, after {facts.collect_seconds:.1f} s of collecting")
        print(f"  kept of {facts.latents:,} latents, by class: {kept}")
        for line in missing:
            print(f"  {line}")


@steer_app.command(name="invert")
def steer_invert(
    model: str,
    pictures: str,
    *,
    out: Path,
    count: Whole = 16,
    seed: Seed = 0,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the latents whose images come nearest to pictures.

    Parameters
    ----------
    model
        A run folder or a model folder.
    pictures
        A picture file, a folder of pictures, an NPZ, NPY or IDX file, or mnist.
    out
        A new folder for latents.npy, errors.json and pairs.png.
    count
        At most so many pictures, the first.
    seed
        Of the starts.
    """
    _load_torch()
    from pocketgan.verbs.steer import invert

    found = invert(model, pictures, out=out, count=count, seed=seed, device=device, quiet=quiet)
    if json_output:
        print(json.dumps({"rmse": found.errors.tolist()}))
    else:
        print(f"{out}: {len(found.errors)} latents; root mean square error of a pixel {float(found.errors.mean()):.3f}")


@steer_app.command(name="interpolate")
def steer_interpolate(
    model: str,
    *stops: str,
    out: Path,
    steps: Whole = 10,
    method: str | None = None,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Walk between latents, and write a strip and an animation.

    Parameters
    ----------
    model
        A run folder or a model folder.
    stops
        Two or more: a digit, a picture file, or latent:NUMBER.
    out
        A new folder for strip.png, walk.png (animated) and latents.npy.
    steps
        Images from one stop to the next, both included.
    method
        What finds digits; the best one fitted without it.
    seed
        Of latents.
    """
    _load_torch()
    from pocketgan.verbs.steer import interpolate

    interpolate(model, stops, out=out, steps=steps, method=method, seed=seed, device=device, quiet=quiet)
    print(out)


@steer_app.command(name="directions")
def steer_directions(
    model: str, *, digit: Whole, out: Path, method: str | None = None, seed: Seed = 0, device: Device = "auto"
) -> None:
    """Show one digit moved along slant, thickness and width, from -3 to +3 standard deviations.

    Parameters
    ----------
    model
        A run folder or a model folder to which directions were fitted.
    digit
        Its class.
    out
        A new PNG file: a row for each direction.
    method
        What finds the digit; the best one fitted without it.
    seed
        Of its latent.
    """
    _load_torch()
    from pocketgan.verbs.steer import directions

    directions(model, digit=digit, out=out, method=method, seed=seed, device=device)
    print(out)


@app.command
def evaluate(
    subject: str,
    *,
    split: str = "test",
    count: Whole = 10_000,
    seed: Seed = 0,
    trained_on: str | None = None,
    judge: str = "judge",
    tstr: Flag = False,
    out: Path | None = None,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a model or images: every metric beside what real images get, and what is wrong in plain words.

    Parameters
    ----------
    subject
        A run folder, a model folder, or images: a folder of pictures, an NPZ, NPY or IDX file.
    split
        Real images to measure against: test, or val for what was trained on MNIST's fit.
    count
        How many images are scored; part of most metrics' names.
    seed
        Of a model's latents, and of the draw from a larger set.
    trained_on
        What the model of given images learned from: train or fit of MNIST, or a source of images.
    judge
        The folder of another judge than the shipped one, which knows MNIST's digits.
    tstr
        Also train classifiers on fakes alone and test them on real images: minutes.
    out
        A new folder for scorecard.html, scorecard.json and pictures.
    """
    _load_torch()
    from pocketgan.scorecard.listing import print_card
    from pocketgan.verbs.evaluate import evaluate as evaluate_subject

    card = evaluate_subject(
        subject,
        split=split,
        count=count,
        seed=seed,
        trained_on=trained_on,
        judge=judge,
        tstr=tstr,
        out=out,
        device=device,
        quiet=quiet,
    )
    if json_output:
        print(json.dumps(card.model_dump(mode="json"), indent=2))
    else:
        print_card(card)


@app.command
def compare(
    *subjects: str,
    split: str = "test",
    count: Whole = 10_000,
    seed: Seed = 0,
    judge: str = "judge",
    out: Path | None = None,
    markdown: Path | None = None,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lay scorecards side by side: of each metric the best, and all that the intervals cannot tell from it.

    Parameters
    ----------
    subjects
        Two or more: runs, folders made by `evaluate --out`, models or images. What has no scorecard yet is scored now,
        as the next four options say.
    split
        Real images to measure against: test, or val for what was trained on MNIST's fit.
    count
        How many images of each are scored.
    seed
        Of a model's latents, and of the draw from a larger set.
    judge
        The folder of another judge than the shipped one, which knows MNIST's digits.
    out
        A new folder for comparison.html and comparison.json.
    markdown
        A Markdown file for the table of the main metrics, lowest fd_judge first; one that is there is replaced.
    """
    _load_torch()
    from pocketgan.core.files import write_text
    from pocketgan.scorecard.listing import leaderboard, print_comparison
    from pocketgan.verbs.compare import compare as compare_subjects

    found = compare_subjects(
        *subjects, split=split, count=count, seed=seed, judge=judge, out=out, device=device, quiet=quiet
    )
    if markdown is not None:
        write_text(markdown, leaderboard(found))
    if json_output:
        print(json.dumps(found.model_dump(mode="json"), indent=2))
    else:
        print_comparison(found)


@judge_app.command(name="train")
def judge_train(
    *,
    out: Path,
    data: Data = None,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
    **options: ClassifierField,
) -> None:
    """Train a judge for labelled images; without --data, the one of MNIST's digits again.

    Parameters
    ----------
    out
        A new folder.
    """
    _load_torch()
    from pocketgan.verbs.judge import train_judge

    judge = train_judge(out=out, device=device, quiet=quiet, **_options(options, data))
    test = judge.classifier.facts["test"]
    if json_output:
        print(json.dumps({"version": judge.version, "digest": judge.digest, "test": test}, indent=2))
    else:
        wrong = f"{test['errors']} of {test['count']:,} read wrongly on {test['name']} ({test['error']:.2%})"
        print(f"{out}: judge {judge.version}, {wrong}")


@bench_app.command(name="keep")
def bench_keep(run_folder: Path, *, out: Path, without_generator: Flag = False) -> None:
    """Store a finished run in small: scores, events, grid and the generator in half precision.

    Parameters
    ----------
    run_folder
        A finished run.
    out
        A new folder.
    without_generator
        Leave the generator out.
    """
    _load_torch()
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
        The Markdown file; one that is there is replaced. The grids go into a folder of the same name.
    """
    if not folders:
        raise UsageError("no folders are given; name the runs and classifiers to tell of")
    _load_torch()
    from pocketgan.bench.results import write_results

    print(write_results(folders, out))


@bench_app.command(name="throughput")
def bench_throughput(*recipes: str, out: Path, quiet: Quiet = False) -> None:
    """Measure images a second in training beside the loop that tutorials teach, in turns, in one run.

    Parameters
    ----------
    recipes
        Presets; all of them without any.
    out
        The Markdown file; one that is there is replaced.
    """
    _load_torch()
    from pocketgan.bench.throughput import throughput, write_throughput
    from pocketgan.core.terminal import Display
    from pocketgan.recipes import GAN_PRESETS

    rows = throughput(list(recipes or GAN_PRESETS), Display(quiet))
    print(write_throughput(rows, out))


@bench_app.command(name="speedrun")
def bench_speedrun(
    recipe: str = "pocket",
    *,
    out: Path,
    seeds: str = "0,1,2",
    split: str = "test",
    quiet: Quiet = False,
    **options: GanField,
) -> None:
    """Train a recipe once for each seed and score each model, tstr included: seconds of training against quality.

    Parameters
    ----------
    recipe
        A preset's name or a .toml file.
    out
        A folder, which the same command goes on with; speedrun.md and speedrun.json are written into it.
    seeds
        With commas between.
    split
        Real images to measure against: test, for a frozen recipe, or val for research (then fit is learned from).
    """
    _load_torch()
    from pocketgan.bench.speedrun import speedrun
    from pocketgan.core.terminal import Display

    numbers = [_seed(word) for word in _listed(seeds)]
    speedrun(recipe, numbers, out, split=split, display=Display(quiet), **_options(options, None))
    print((out / "speedrun.md").read_text(encoding="utf-8"), end="")


@bench_app.command(name="known-answers")
def bench_known_answers(*, out: Path, resamplings: Whole = 300, quiet: Quiet = False) -> None:
    """Score sets of images whose faults are known, and healthy ones: can the scorecard see what it should?

    Parameters
    ----------
    out
        The Markdown file; one that is there is replaced.
    resamplings
        Samples of healthy images, to count false alarms.
    """
    _load_torch()
    from pocketgan.bench.known_answers import known_answers
    from pocketgan.core.terminal import Display

    print(known_answers(out, resamplings, Display(quiet)))


@app.command(name="import")
def import_(file: Path, *, recipe: str, out: Path, json_output: Json = False) -> None:
    """Convert a stranger's weights into a model folder, safely: nothing in the file is run.

    Parameters
    ----------
    file
        A safetensors file, or a state dict that torch.save wrote (G.pkl, D.pkl, C.pkl, .pt, ...).
    recipe
        The recipe of the networks; the tensors say which of them the file holds, and must have its shapes in its order.
    out
        A new folder, or the one that holds the other network of the pair.
    """
    _load_torch()
    from pocketgan.importer import import_file

    folder, role = import_file(file, recipe=recipe, out=out)
    print(json.dumps({"folder": str(folder), "network": role}) if json_output else f"{folder}: {role} of {recipe}")


@bench_app.command(name="steering")
def bench_steering(
    *models: str,
    out: Path,
    method: str = "",
    count: Whole = 1000,
    latents: Whole = 200_000,
    steps: Whole = 1000,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Fit every steering method to unconditional generators of digits, and measure it by the judge.

    Parameters
    ----------
    models
        Run folders or model folders; figures of what lies fitted in one, with the same budget, are kept in it.
    out
        The Markdown file; one that is there is replaced. The grids go into a folder of the same name.
    method
        Methods, with commas between; all without it.
    count
        Images of each class.
    latents
        Latents that the guide reads, for each generator.
    steps
        Of training, for each network that a method learns.
    seed
        Of latents and trainings.
    """
    if not models:
        raise UsageError("no models are given; name the generators to steer")
    _load_torch()
    from pocketgan.bench.steering import steering_results
    from pocketgan.core.terminal import Display

    options = {"count": count, "latents": latents, "steps": steps, "seed": seed}
    print(steering_results(models, out, methods=_listed(method), display=Display(quiet), **options))


@app.command
def report(run_folder: Path) -> None:
    """Write report.html into a run's folder: one file that opens offline.

    Parameters
    ----------
    run_folder
        A run whose training has ended; a model folder that has steering fitted gets steering.html alone.
    """
    _load_torch()
    from pocketgan.report import write_report

    print(write_report(run_folder))


@app.command
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


@app.command
def info(model: str, *, json_output: Json = False) -> None:
    """Print a model's layers, shapes and parameters, and where it comes from.

    Parameters
    ----------
    model
        A run folder, a model folder or a classifier's folder; or guide, the shipped classifier.
    """
    _load_torch()
    from pocketgan.verbs.describe import load_any, model_layers

    loaded = load_any(model)
    tables = model_layers(loaded)
    if json_output:
        layers = {name: [layer._asdict() for layer in table] for name, table in tables.items()}
        print(json.dumps({"recipe": loaded.recipe.model_dump(mode="json"), "layers": layers, **loaded.facts}, indent=2))
        return
    from pocketgan.verbs.listing import print_layers

    print_layers(loaded, tables)


@app.command
def doctor(*, json_output: Json = False) -> None:
    """Tell what this machine can do: versions, devices, measured speed, extras, data."""
    _load_torch()
    from pocketgan.verbs.describe import machine_facts

    facts = machine_facts()
    if json_output:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(value, dict):
            shown = ", ".join(f"{key}: {'yes' if there else 'no'}" for key, there in value.items())
        print(f"{name.replace('_', ' '):<16}{shown}")


def _load_torch() -> None:
    """Import torch with signals held back: inside this import one would be swallowed, or leave half of numpy."""
    with held_back() as stop:
        importlib.import_module("torch")
    stop.obey()


def _options(options: dict[str, str], data: str | None, until_good: bool = False) -> dict[str, Any]:
    chosen: dict[str, Any] = {name.replace("-", "_"): value for name, value in options.items()}
    if data is not None:
        chosen["source"] = data
    if until_good:
        chosen["until_good"] = True
    return chosen


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _seed(word: str) -> int:
    if not word.isdecimal():
        raise UsageError(f"--seeds: {word!r} is no whole number from 0; give them with commas between")
    return int(word)


def _print_summary(folder: Path, summary: dict[str, Any]) -> None:
    """The result for people: a few rows in plain words. What was skipped or cannot be counted has no row."""
    from rich.console import Console
    from rich.table import Table

    from pocketgan.report.words import LABEL_SOURCES, duration

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
    if (folder / "report.html").exists():
        table.add_row("report", str(folder / "report.html"))
    Console().print(table, markup=False)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program and exit: 0 done, 1 failed, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    words = [word for word in words if word != DEBUG]
    signal.signal(signal.SIGTERM, terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to stop
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
        print(end="", flush=True)  # what does not get out is known now; sys.stdout may be None
        raise SystemExit(0)
    except CycloptsError as error:
        _fail(_misread(words, str(error)), 2, debug)
    except PocketganError as error:
        _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        _fail(_stopped(words), 128 + signal.SIGINT, debug)
    except Terminated:
        _fail(_stopped(words), 128 + signal.SIGTERM, debug)
    except BrokenPipeError:
        raise SystemExit(1) from None
    except OSError as error:
        _fail(f"{error.filename or 'stdout'}: {error.strerror or error}", 1, debug)
    except Exception as error:
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY):
            _fail("out of memory; choose fewer images or a smaller --batch-size", 1, debug)
        _fail(f"internal error: {type(error).__name__}: {error}; run it again with --debug and report it", 1, debug)


def _misread(words: list[str], message: str) -> str:
    """What the parser says of words it cannot use, with the remedy."""
    dotted = next((word for word in words if re.match(r"--[\w-]+\.\w", word)), None)
    if dotted is not None:
        return f"{dotted.partition('=')[0]}: leave the section out and write --{dotted.partition('.')[2]}"
    message = re.sub(r"(?<!\.)\.$", "", message.strip()).replace("Unused Tokens:", "too many words:")
    verb = [
        word for word in words[:2] if word in (*app, *classify_app, *steer_app, *bench_app) and not word.startswith("-")
    ]
    return f"{message}; see {' '.join(['pocketgan', *verb, '--help'])}"


def _stopped(words: list[str]) -> str:
    """What to do after a stop. Only trainings keep what they have done so far."""
    if words[:1] not in (["train"], ["run"]):
        return "stopped; nothing was written"
    again = "the same command" + (" without --redo" if any(word.startswith("--redo") for word in words) else "")
    return f"stopped; {again} goes on from the last checkpoint"


def _fail(line: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    print(f"pocketgan: {' '.join(line.split())}", file=sys.stderr)
    raise SystemExit(code)
