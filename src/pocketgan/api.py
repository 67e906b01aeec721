"""What pocketgan does, as functions: each command of the program is one of them.

A function's signature and docstring are the only declaration of a command's options, defaults and help: `pocketgan.cli`
makes the command from them. This module imports no torch; the bodies load what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pocketgan.core.arguments import Images, Seed, checked
from pocketgan.core.errors import UsageError
from pocketgan.core.files import user_path
from pocketgan.steer import LATENTS, STEPS, WIDTH

if TYPE_CHECKING:
    from torch import Tensor

    from pocketgan.core.machine import Machine
    from pocketgan.core.terminal import Display
    from pocketgan.data.image_set import ImageSet
    from pocketgan.export import Exported
    from pocketgan.importing.weights import Imported
    from pocketgan.models.classifier import Classifier
    from pocketgan.models.judge import Judge
    from pocketgan.models.model import Model
    from pocketgan.models.summary import ModelInfo
    from pocketgan.recipes import ClassifierRecipe, ImageOptions, Recipe
    from pocketgan.recipes.costs import RecipeRow
    from pocketgan.runs.folder import RunFolder
    from pocketgan.scorecard.card import Scorecard
    from pocketgan.scorecard.comparison import Comparison
    from pocketgan.steer.search import Inversion
    from pocketgan.steer.steering import FitReport
    from pocketgan.writers import Labelled

Factory: TypeAlias = Callable[..., Any]  # a class, or a function that makes a network


class RunResult(NamedTuple):
    """What `run` made: its folder, and what `summary.json` in it says (empty where nothing was scored)."""

    folder: Path
    summary: dict[str, Any]


# ---- trainings -----------------------------------------------------------------------------------------------------


@checked
def run(
    recipe: str | Path | Recipe | None = None,
    *,
    out: str | Path | None = None,
    data: str | Path | Images | None = None,
    data_folder: str | Path | None = None,
    generator: Factory | None = None,
    discriminator: Factory | None = None,
    coach: bool = False,
    classifier: str | Path | None = None,
    skip: Sequence[str] = (),
    redo: Sequence[str] = (),
    tensorboard: bool = False,
    inexact: bool = False,
    on_trouble: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = False,
    **options: Any,
) -> RunResult:
    """Do it all: train, generate 100 fakes, train a classifier C, count S0 and S1, write the report.

    S0 is the share of real test images that C reads wrongly, S1 that of the fakes. What the folder already holds is
    kept: a training goes on where it was, fakes and classifier stay as they are (with a person's corrections of
    labels), scores and report are made again. Images without labels have no C and no scores.

    Parameters
    ----------
    recipe
        As in `train`. Where ``train`` is skipped, the recipe is that of the model in the folder.
    out
        The run's folder; runs/RECIPE-SEED without it.
    classifier
        Recipe of C (cnn, mlp, cnn-dense, linear-224 or a .toml file), or the folder of a trained one. Without it the
        one that the folder holds, or else cnn.
    skip
        Steps to leave out: train, generate, classify, score, report.
    redo
        Steps to throw away, with all that was made from them, and make again; train throws away all that is in the
        run.
    data, data_folder, generator, discriminator, coach
        As in `train`.
    tensorboard, inexact, on_trouble, device, threads, quiet, options
        As in `train`.

    Returns
    -------
    RunResult
        The folder, and its summary.

    Raises
    ------
    UsageError
        An option is wrong, or a skipped step's results are needed and missing.
    """
    _compute_with(threads)
    from pocketgan.core.terminal import Display
    from pocketgan.data.given import name_of
    from pocketgan.models.classifier import Classifier
    from pocketgan.models.model import Model
    from pocketgan.runs.facts import Scores
    from pocketgan.runs.folder import RunFolder
    from pocketgan.scorecard.scores import score_run, summary_of
    from pocketgan.training import run_steps as steps

    fields = _fields(options, data, generator, discriminator, data_folder=data_folder)
    wanted = _wanted(recipe, fields, coach, Display(quiet))
    name = Path(recipe).stem if isinstance(recipe, str | Path) else wanted.name
    folder, display = RunFolder(Path("runs") / f"{name}-{wanted.seed}" if out is None else out), Display(quiet)
    outdated = steps.outdated_by(redo, skip)
    if "train" in skip:
        wanted = Model.load(folder.path).recipe
    asked = None if classifier is None else str(classifier)
    learner = steps.checked_classifier(folder, wanted, asked, skip, outdated, device)
    if "train" in redo:
        steps.forget(folder, outdated)
    if "train" not in skip:
        display.line(f"[1/5] training {wanted.name}")
        train(
            wanted,
            out=folder.path,
            tensorboard=tensorboard,
            inexact=inexact,
            on_trouble=on_trouble,
            device=device,
            quiet=quiet,
        )
    steps.forget(folder, outdated - {"train"})
    model = Model.load(folder.path, device)
    model.recipe = model.recipe.changed("data", source=wanted.data.source, **wanted.data.fields)  # where they lie now
    if "generate" not in skip and not folder.fakes.exists():
        display.line(f"[2/5] generating {steps.FAKES} fakes with their latents")
        steps.generate(folder, model, steps.reader_for(folder, model, learner, display))
    if not model.class_names:
        display.line(f"[3/5] {name_of(wanted.data.source)} has no labels: no classifier, no S0 and no S1")
    elif "classify" not in skip:
        display.line(f"[3/5] classifier C: {steps.recipe_of(learner).name}")
        steps.classify(folder, learner, device, display)
    if "score" not in skip:
        scores = Scores()
        if model.class_names:
            display.line("[4/5] counting S0 and S1")
            c = Classifier.load(folder.path, device)
            scores = score_run(folder, model, c, steps.reader_for(folder, model, c, display), display)
        card = _run_card(folder, model, display)
        folder.write_scores(scores)
        folder.write_summary(summary_of(folder, model, scores, card))
    if "report" not in skip:
        display.line("[5/5] writing the report, and a page that draws")
        _run_play(folder, display)
        write_report(folder.path)
    summary = folder.summary()
    return RunResult(folder.path, {} if summary is None else summary.as_json())


def _run_play(folder: RunFolder, display: Display) -> None:
    """Write a run's page that draws with the generator, but for networks that are a user's own code."""
    from pocketgan.export.page import write_page
    from pocketgan.models.model import Model
    from pocketgan.scorecard.card import CARD, read_card

    card = read_card(folder.scorecard / CARD) if folder.scorecard.exists() else None
    try:
        write_page(Model.load(folder.path, "cpu"), card, folder.play)
    except UsageError as error:
        display.line(f"no {folder.play.name}: {error}")


def _run_card(folder: RunFolder, model: Model, display: Display) -> Scorecard | None:
    """The scorecard of a run, in a folder of its own; None where these images cannot have one."""
    from pocketgan.scorecard.card import CARD, read_card

    if folder.scorecard.exists():  # a person's labels change nothing in it
        return read_card(folder.scorecard / CARD)
    try:
        return evaluate(model, seed=model.recipe.seed, out=folder.scorecard, quiet=display.quiet)
    except UsageError as error:  # images that no judge knows, or too few of them
        display.line(f"no scorecard: {error}")
        return None


@checked
def train(
    recipe: str | Path | Recipe | None = None,
    *,
    out: str | Path,
    data: str | Path | Images | None = None,
    data_folder: str | Path | None = None,
    generator: Factory | None = None,
    discriminator: Factory | None = None,
    coach: bool = False,
    tensorboard: bool = False,
    inexact: bool = False,
    on_trouble: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    processes: int = 1,
    quiet: bool = False,
    **options: Any,
) -> Model:
    """Train a generator and a discriminator. The same command again goes on where it stopped.

    A larger budget trains a finished run on: ``--epochs 4`` on one of 2 trains two more. From there on rates, moving
    average and all that follows the budget are those of 4; the first two stay as they are. What the longer training
    outdates (fakes, scores, report) is removed. Less than was trained is refused.

    Parameters
    ----------
    recipe
        The name of a preset (``pocketgan recipes`` lists them) or a .toml file. The default is pocket, or for your own
        networks their recipe.
    out
        The run's folder: a new one, or the folder of a training that should go on.
    data
        Images to learn from: the name of a data set (``pocketgan datasets`` lists them; downloaded once), a folder of
        pictures (one folder in it for each class, or none), an NPZ, NPY or IDX file, an IDX folder, a folder of Parquet
        files, or hf:OWNER/NAME on the Hugging Face hub. The recipe decides by default. In Python also images
        themselves: an `ImageSet`, an array or a tensor, a pair (images, labels), a dict of arrays such as
        scikit-learn's Bunch, a data set of torch, or a Dataset or DatasetDict of Hugging Face. The run keeps their
        digest and no copy: give the same object again to go on.
    data_folder
        The folder with the files of a named data set that you downloaded by hand. Files with the right checksum are
        copied to where downloads are kept.
    generator, discriminator
        Classes (or functions) that make your own networks. To give a file instead, use ``networks="mine.py"``.
    coach
        Keep both networks, but train them as pocket is trained: relativistic loss, R1, no momentum, an average of the
        generator, its rates and budget. Options that you give still count.
    tensorboard
        Also write files for TensorBoard, into OUT/tensorboard.
    inexact
        Go on even if torch, the device or the number of threads has changed, so that the result cannot be bit for bit
        the same.
    on_trouble
        What to do when numbers stop being finite, the generator collapses, or the discriminator wins or learns too
        fast: stop (exit code 3), rollback (to the last good checkpoint, with another seed and half the rates, at most
        three times) or warn. The default is to stop in the first case and to warn in the others.
    device
        Where to compute: auto, cpu, cuda or mps.
    threads
        How many threads compute on the CPU; the default is all cores. The bytes depend on this number, so a run goes on
        with the number it began with.
    processes
        How many processes on this machine share the shards of each batch, one thread each: --processes 2 --shards 2.
        The bytes are those of one process with the same shards. For several machines see docs/processes.md. In Python,
        start the script itself by torchrun; of its processes only the first comes back from here.
    quiet
        Show no progress.
    options
        Any field of the recipe: ``seed=1``, ``epochs=2``, ``lr_g=1e-3``, …

    Returns
    -------
    Model
        The trained model, which is also in ``out/model``.

    Raises
    ------
    UsageError
        The recipe, an option or the images do not fit, `out` holds something else or is in use, or a run cannot go on
        bit for bit here.
    PocketganError
        The images or the run cannot be read or written.
    TroubleError
        The health watch stopped the training.
    """
    if processes != 1:
        _start_processes(processes, threads)
    _compute_with(threads)
    from pocketgan.core.terminal import Display
    from pocketgan.runs.folder import RunFolder
    from pocketgan.training.opening import policy_of, train_in

    display = Display(quiet)
    fields = _fields(options, data, generator, discriminator, data_folder=data_folder)
    return train_in(
        RunFolder(out),
        _wanted(recipe, fields, coach, display),
        device=device,
        tensorboard=tensorboard,
        display=display,
        policy=policy_of(on_trouble),
        inexact=inexact,
    )


@checked
def train_classifier(
    recipe: str | Path | ClassifierRecipe = "cnn",
    *,
    out: str | Path,
    data: str | Path | Images | None = None,
    data_folder: str | Path | None = None,
    device: str = "auto",
    quiet: bool = False,
    **options: Any,
) -> Classifier:
    """Train a classifier on real images and count its errors on test images, once, at the end.

    Parameters
    ----------
    recipe
        cnn, mlp, cnn-dense, linear-224, or a .toml file.
    out
        A new folder, for model.json and classifier.safetensors.
    data, data_folder, device, quiet, options
        As in `train`.

    Returns
    -------
    Classifier
        Its `facts` hold loss and accuracy of each epoch and the test error.

    Raises
    ------
    UsageError
        The recipe, an option or the images do not fit, or `out` exists.
    """
    from pocketgan.core.devices import find_device
    from pocketgan.core.terminal import Display
    from pocketgan.recipes import classifier_recipe
    from pocketgan.training.classifiers import train_classifier as train_network

    wanted = classifier_recipe(recipe, _fields(options, data, data_folder=data_folder))
    return train_network(wanted, out=user_path(out), device=find_device(device), display=Display(quiet))


@checked
def train_judge(
    *,
    out: str | Path,
    data: str | Path | Images | None = None,
    data_folder: str | Path | None = None,
    device: str = "auto",
    quiet: bool = False,
    **options: Any,
) -> Judge:
    """Train a judge for labelled images. The default data is MNIST: the judge in the package is made again.

    The preset is that of the data set, or else judge-deep for colour and judge for grey images.

    The judge learns from `fit`, and `val` is there to look at. The error is counted on the test images, or on `val` if
    there are none.

    Parameters
    ----------
    out
        A new folder.
    data, data_folder, device, quiet, options
        As in `train`.

    Returns
    -------
    Judge
        Its classifier's `facts` hold the error on the test images, counted once at the end.

    Raises
    ------
    UsageError
        The images have no labels, an option is wrong, or `out` exists.
    """
    from pocketgan.core.devices import find_device
    from pocketgan.core.terminal import Display
    from pocketgan.models.judge import JUDGE
    from pocketgan.recipes import classifier_recipe
    from pocketgan.training.classifiers import judge_preset
    from pocketgan.training.classifiers import train_judge as train_network

    fields = _fields(options, data, data_folder=data_folder)
    wanted = classifier_recipe(judge_preset(classifier_recipe(JUDGE, fields)), fields)
    return train_network(wanted, out=user_path(out), device=find_device(device), display=Display(quiet))


def _wanted(recipe: str | Path | Recipe | None, fields: dict[str, Any], coach: bool, display: Display) -> Recipe:
    """The recipe that a training is asked for by."""
    from pocketgan.recipes import gan_recipe
    from pocketgan.training.opening import coached

    wanted = gan_recipe(recipe, fields, coach=coach)
    return coached(wanted, fields, display) if coach else wanted


def _fields(
    options: dict[str, Any],
    data: str | Path | Images | None,
    generator: Factory | None = None,
    discriminator: Factory | None = None,
    *,
    data_folder: str | Path | None = None,
) -> dict[str, Any]:
    """Fields of a recipe, the images to learn from and own networks among them; files from `data_folder` are kept."""
    from pocketgan.recipes.code import remember_classes

    if data_folder is not None:
        _take_files(data_folder, data)
    fields = options if data is None else {**options, "source": _source(data, "data")}
    if generator is None and discriminator is None:
        return fields
    if generator is None or discriminator is None or "networks" in options:
        raise UsageError("give both generator and discriminator, or networks, a file that has both")
    return {**fields, "networks": remember_classes(generator, discriminator)}


def _source(images: str | Path | Images, argument: str) -> str:
    """What stands in a recipe for images that are given by a name or a path, or as an object."""
    if isinstance(images, str | Path):
        return str(images)
    from pocketgan.data.given import source_of

    return source_of(images, argument)


def _image_set(images: str | Path | Images, argument: str, reading: ImageOptions, split: str = "train") -> ImageSet:
    """Images as a set: one that is given is itself, whatever else holds them is read."""
    from pocketgan.data.image_set import ImageSet
    from pocketgan.data.load import load_images

    return images if isinstance(images, ImageSet) else load_images(_source(images, argument), split, reading)


def _take_files(folder: str | Path, data: str | Path | Images | None) -> None:
    """Keep copies of the files of the data set `data` from a folder."""
    from pocketgan.data.datasets import DATASETS, take_files

    if not isinstance(data, str | Path) or str(data) not in DATASETS:
        raise UsageError(f"--data-folder {folder} holds the files of a data set known by name; name it with --data")
    take_files(user_path(folder), [str(data)])


def _start_processes(count: int, threads: int | None) -> None:
    """Have torchrun's launcher run this command line in `count` processes, and exit; in one of those, do nothing."""
    from pocketgan.core.process import command_line, shared_by

    words = command_line()
    if count < 1:
        raise UsageError(f"--processes {count}: give 1 or more")
    if shared_by() > 1:
        return
    if not words:
        raise UsageError(f"processes={count}: start the script itself by torchrun --nproc-per-node {count} SCRIPT.py")
    from pocketgan.training.launch import launch

    launch(count, 1 if threads is None else threads, words)


def _compute_with(threads: int | None) -> None:
    """Set how many threads compute on the CPU."""
    from pocketgan.core.process import load_torch

    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads} is too small; give at least 1")
    load_torch(threads)


# ---- models and images ---------------------------------------------------------------------------------------------


@checked
def load(
    path: str | Path,
    device: str = "auto",
    *,
    trust_code: bool = False,
    generator: Factory | None = None,
    discriminator: Factory | None = None,
) -> Model:
    """Load a trained model from a run folder or a model folder.

    Parameters
    ----------
    path
        The folder; ``digits``, the shipped generator; or ``hf://OWNER/NAME@REVISION``, one on the Hugging Face hub,
        which needs the extra ``hub``.
    device
        As in `train`.
    trust_code
        Run the Python file of a model that has networks of its own, though it was not trained with here.
    generator, discriminator
        The classes of a model whose networks were given as classes.

    Raises
    ------
    UsageError
        There is none, or it has code of its own that is not trusted.
    PocketganError
        A file of it is damaged.
    """
    from pocketgan.models.model import Model

    classes = None if generator is None or discriminator is None else (generator, discriminator)
    return Model.load(path, device, trust_code=trust_code, classes=classes)


def _model(model: Model | str | Path, device: str) -> Model:
    """The model itself, loaded where its folder or name is given."""
    from pocketgan.models.model import Model

    return model if isinstance(model, Model) else Model.load(model, device)


@checked
def generate(
    model: Model | str | Path,
    *,
    out: str | Path | None = None,
    count: int = 100,
    label: int | str | None = None,
    digit: int | None = None,
    balanced: bool = False,
    seed: Seed = 0,
    format: Sequence[str] = ("png", "grid"),
    test_share: float | None = None,
    shard: str | None = None,
    shards: int | None = None,
    engine: str = "local",
    address: str | None = None,
    classifier: Classifier | str | Path | None = None,
    method: str | None = None,
    checked: bool = False,
    slant: float | None = None,
    thickness: float | None = None,
    width: float | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> list[Path | str]:
    """Generate images from a run or a model, with the latents that made them, in bounded memory.

    Parameters
    ----------
    model
        A run folder, a model folder, or the name of a generator in the package: digits, digits-free.
    out
        A new folder. The default is MODEL-CLASS or MODEL-fakes in the current folder. For a set in shards also an
        address that `fsspec` knows, such as ``s3://bucket/folder`` (extra ``s3``).
    count
        How many images.
    label
        Make only this class, given by its name (in Python also by its index). An unconditional model needs ``pocketgan
        steer fit MODEL`` first.
    digit
        Short for the class whose name is this number, as in MNIST.
    balanced
        Make every class equally often. Conditional models do so by default.
    seed
        Seed of the latents: the same seed and index give the same bytes, whatever the count.
    format
        png (a folder for each label), npz, idx (as torchvision's MNIST reads it), grid, webdataset (tar files), parquet
        (needs the extra ``parquet``), tfrecord (needs the extra ``tfrecord``).
    test_share
        Share of the images, between 0 and 1, that becomes the test part. NPZ files then have Keras' names, and PNG
        files a folder for each part.
    shard
        Make only part K of OF, such as 3/8, in a folder of its own in OUT. A part that is there is left as it is. Any
        number of processes may make the parts at once; together they are the whole.
    shards
        Make a set of this many parts. Parts that are there and whole are left. With an address or Ray the default is
        the smallest number of parts with at most 51,200 images each. For parquet, webdataset and tfrecord.
    engine
        Who makes the parts: local (this process) or ray (tasks of one thread each; extra ``ray``). The bytes are the
        same.
    address
        Of a Ray cluster that is there, or auto; without it Ray starts on this machine.
    classifier
        The classifier, or its folder, that labels the images of an unconditional model. For MNIST's digits the default
        is the guide in the package.
    method
        The fitted method that steers. The default is the best one that was fitted.
    checked
        Draw an image once more if the guide reads it as another class.
    slant
        Lean steered images to the right by so many standard deviations of their class (fit directions first).
    thickness
        The same for the thickness of the stroke.
    width
        The same for the width.
    device, quiet
        As in `train`.

    Returns
    -------
    list of Path
        The files and folders written; of a set in shards, what is said of the whole. At an address they are texts.

    Raises
    ------
    UsageError
        The model cannot do what is asked, a format is unknown, or `out` exists; of a shard: `out` holds something else.
    """
    if balanced and (label is not None or digit is not None):
        raise UsageError("--balanced and a class exclude each other; give one")
    from pocketgan.core.cluster import check_engine
    from pocketgan.core.terminal import Display
    from pocketgan.data.pictures import folder_names
    from pocketgan.writers import export_samples
    from pocketgan.writers.engines import by_ray, lacking_of, make_set
    from pocketgan.writers.order import Opened, Order
    from pocketgan.writers.places import is_store, place_of
    from pocketgan.writers.sharded import shard_named

    check_engine(engine, address)
    if shard is not None and (engine != "local" or shards is not None):
        raise UsageError("--shard makes one part by itself; leave it out with --engine ray or --shards, which make all")
    part, display = None if shard is None else shard_named(shard, count), Display(quiet)
    asked = _asked(label, digit)
    leaning = {"slant": slant, "thickness": thickness, "width": width}
    moves = tuple((name, amount) for name, amount in leaning.items() if amount is not None)
    order = (count, asked, balanced, seed, tuple(format), test_share, classifier, method, checked, moves, device)
    opened = Opened(Order(model, *order))
    if out is None:
        called = Path(model).resolve().name if isinstance(model, str | Path) else opened.source.recipe.name
        out = f"{called}-{'fakes' if asked is None else folder_names((str(asked),))[0]}"
    if opened.steered_by is not None:
        display.line(f"steered by {opened.steered_by}")
    if part is None and (shards is not None or engine != "local" or is_store(out)):
        return make_set(opened, out, shards, display, by_ray(address) if engine == "ray" else None)
    if part is None:
        told: dict[str, Any] = {"test_share": test_share, "scores": opened.scores}
        with display.bar(f"generating {count:,} images", count) as bar:
            parts = opened.parts(0, count)
            return [*export_samples(parts, count, user_path(out), format, **told, on_progress=bar.update)]
    wanted = opened.shard_set(place_of(out), part.of)
    if part in lacking_of(wanted, display, part):
        with display.bar(f"generating {part.stop - part.start:,} images", part.stop - part.start) as bar:
            wanted.make(part, opened.parts(part.start, part.stop), bar.update)
    else:
        display.line(f"{part.name} stands there and is left as it is")
    return [*wanted.files(part), *wanted.finish()]


def _asked(label: int | str | None, digit: int | None) -> int | str | None:
    """What is asked for by `label` or by `digit`, which is short for the class whose name is this number.

    Raises
    ------
    UsageError
        Both are given.
    """
    if digit is None:
        return label
    if label is not None:
        raise UsageError("--class and --digit exclude each other; give one")
    return str(digit)


@checked
def label_images(
    images: str | Path | Images,
    *,
    classifier: Classifier | str | Path = "guide",
    out: str | Path,
    split: str = "train",
    count: int = 100,
    seed: Seed = 0,
    device: str = "auto",
    **options: Any,
) -> list[Labelled]:
    """Label images, or a model's output, and write row, label, class name and confidence as CSV.

    Rows are in the order of the images; those of a folder of pictures in the order of the sorted names, each with its
    file name. Such a file may be put into the folder as its metadata.csv.

    Parameters
    ----------
    images
        A folder of pictures, an NPZ, NPY or IDX file, mnist, or a run or model folder, whose output is then labelled.
        In Python also images as an object, as in `train`.
    classifier
        A classifier's folder, a run's folder (its C is taken), or guide, the shipped one for MNIST's digits.
    out
        A new CSV file.
    split
        Which part of the images: train or test, for mnist also fit or val.
    count
        How many images the model makes.
    seed
        The seed of their latents.
    device
        As in `train`.
    options
        As in `evaluate`.

    Returns
    -------
    list of Labelled
        Class, confidence (0 to 1) and file name of each image, in their order.

    Raises
    ------
    UsageError
        `out` exists, nothing is at a path, or the images have another shape than the classifier reads.
    """
    from pocketgan.core.files import refuse_existing
    from pocketgan.core.terminal import Display
    from pocketgan.models.classifier import Classifier
    from pocketgan.models.model import Model
    from pocketgan.models.saved import holds
    from pocketgan.recipes import image_options
    from pocketgan.runs.folder import MODEL
    from pocketgan.writers import write_labels

    refuse_existing(user_path(out))
    reader = classifier if isinstance(classifier, Classifier) else Classifier.load(classifier, device)
    if isinstance(images, str | Path) and holds(images, MODEL):
        chosen: ImageSet = Model.load(images, device).sample(count, seed=seed)
    else:
        chosen = _image_set(images, "images", image_options(options), split)
        Display().lines(chosen.notes)
    return write_labels(user_path(out), reader, chosen)


@checked
def import_file(
    file: str | Path,
    *,
    out: str | Path,
    recipe: str = "",
    key: str = "",
    networks: str | Path | None = None,
    data: str = "",
    pixels: str | None = None,
    activation: str | None = None,
    conditional: str | None = None,
    **options: Any,
) -> Imported:
    """Convert a stranger's weights into a model folder, safely: nothing in the file is run.

    What a file does not say is printed: activations, the range of pixels, how labels are joined.
    The shipped guide reads 100 images, beside those of other networks that fit the same file.

    Parameters
    ----------
    file
        A safetensors file, a state dict or a whole module that torch.save or pickle.dump wrote (G.pkl, D.pkl, C.pkl,
        .pt, …), or a model that Keras saved (.keras, .h5): told by content.
    out
        A new folder, or the one that holds the other network of the pair.
    recipe
        The recipe of the networks: of a pair or of a classifier. The tensors in the file must have the recipe's shapes,
        in its order. No recipe is needed for a Keras file, or for a whole module that is or holds one Sequential.
    key
        Which network to take if the file holds several: its key in the dictionary. The error message lists the keys.
    networks
        The Python file with the classes that the weights belong to.
    data
        The images that the networks were made for, as in `train`. The default is the recipe's data, or MNIST.
    pixels
        The range of the generator's images: signed, [-1, 1], as after Tanh; or unit, [0, 1], as after Sigmoid.
    activation
        The activation after the hidden layers: ReLU, LeakyReLU:0.2, ….
    conditional
        How the first layer takes labels: one-hot (behind z), or one-hot-first (before it).
    options
        Of the images in `data`, as in `evaluate`.

    Returns
    -------
    Imported
        The folder, and what was found: ``generator``, ``discriminator`` or ``classifier``; what was assumed, how surely
        the guide reads it, and warnings.

    Raises
    ------
    UsageError
        The recipe is unknown or missing, or `out` holds something else.
    PocketganError
        The file is no file of weights, or its tensors fit none of the recipe's networks.
    """
    from pocketgan.importing.variants import choices_of
    from pocketgan.importing.weights import import_weights
    from pocketgan.recipes import image_options

    return import_weights(
        user_path(file),
        user_path(out),
        recipe=recipe,
        key=key,
        networks=None if networks is None else user_path(networks),
        source=data,
        choices=choices_of(activation, pixels, conditional),
        images_as=image_options(options),
    )


@checked
def export_model(
    model: Model | str | Path,
    *,
    to: Sequence[str],
    out: str | Path | None = None,
    trust_code: bool = False,
    quiet: bool = False,
) -> list[Exported]:
    """Write a model for other programs, each file checked against pocketgan's own images.

    Parameters
    ----------
    model
        A run folder (its classifier is exported too), a model folder, a classifier's folder, or the name of a model in
        the package: digits, digits-free, guide.
    to
        onnx (graphs that give bytes, and a quantised generator; needs the extra ``onnx``), hub (a folder for Hugging
        Face, with a card and code that rebuilds the generator), torch (torch.export's .pt2), html (one page
        that draws in any browser, without a network).
    out
        A new folder, which gets a folder for each format. The default is MODEL-export in the current folder.
    trust_code
        As in `load`.
    quiet
        As in `train`.

    Returns
    -------
    list of Exported
        Each file, its size, and how near its answers are to pocketgan's own.

    Raises
    ------
    UsageError
        `out` exists; a format is unknown, needs an extra that is not installed, or cannot hold this model.
    PocketganError
        A network cannot be traced, or a file does not give what pocketgan gives.
    """
    from pocketgan.export import export
    from pocketgan.models.model import Model

    if out is None:
        called = model.recipe.name if isinstance(model, Model) else Path(str(model).partition("@")[0]).resolve().name
        out = f"{called}-export"
    return export(model, user_path(out), to, trust_code=trust_code, quiet=quiet)


# ---- scores --------------------------------------------------------------------------------------------------------


@checked
def evaluate(
    subject: Model | str | Path | Images,
    *,
    split: str = "test",
    count: int = 10_000,
    seed: Seed = 0,
    trained_on: str | Path | Images | None = None,
    judge: Judge | str | Path | None = None,
    tstr: bool = False,
    out: str | Path | None = None,
    device: str = "auto",
    quiet: bool = False,
    **options: Any,
) -> Scorecard:
    """Score a model or images. Every metric stands beside what real images get; what is wrong is said in plain words.

    Parameters
    ----------
    subject
        A run folder, a model folder, or images: a folder of pictures or a ZIP or TAR file of one, an NPZ, NPY or IDX
        file. In Python also a model, or images as an object, as in `train`.
    split
        The real images to compare with: test, or val for a model that was trained on fit.
    count
        How many images are scored, 50 to 10,000. The number is part of most metrics' names.
    seed
        The seed of a model's latents, and of the choice of images from a larger set.
    trained_on
        What the given images' model was trained on, so that copies are found: a source of images, or train or fit of
        the named data set with the same shape and classes. The default is train of that set (fit with split val). For
        a model that was trained on a Python object, give the same object again in a new process.
    judge
        The folder of a judge. For MNIST's digits the default is the judge in the package.
    tstr
        Also train classifiers on fakes alone and test them on real images. This takes minutes.
    out
        A new folder, which gets scorecard.html, scorecard.json and pictures.
    device, quiet
        As in `train`.
    options
        Of given images: ``grid="10x10"``, ``resize=28``, ``crop=True``, ``grey=True``, ``background="white"``,
        ``range="0:16"``, ``transpose=True``. Those of size and colours hold for the images of `trained_on` too.

    Raises
    ------
    UsageError
        An option is wrong, the judge does not know such images or took part in making them, or `tstr` is asked of
        images without labels.
    """
    from pocketgan.core.devices import find_device
    from pocketgan.core.files import refuse_existing
    from pocketgan.core.terminal import Display
    from pocketgan.data.image_set import ImageSet
    from pocketgan.models.judge import Judge
    from pocketgan.models.model import Model
    from pocketgan.models.saved import holds
    from pocketgan.recipes import image_options
    from pocketgan.report.scorecard import write_scorecard
    from pocketgan.runs.folder import MODEL
    from pocketgan.scorecard.evaluate import score

    if out is not None:
        refuse_existing(user_path(out))
    reading, display, where = image_options(options), Display(quiet), find_device(device)
    if isinstance(subject, str | Path) and holds(subject, MODEL):
        subject = Model.load(subject, device)
    elif not isinstance(subject, Model):
        subject = _image_set(subject, "subject", reading)
    if isinstance(subject, ImageSet):
        display.lines(subject.notes)
    scored = score(
        subject,
        Judge.load(judge, device) if isinstance(judge, str | Path) else judge,
        split=split,
        count=count,
        seed=seed,
        trained_on=None if trained_on is None else _source(trained_on, "trained_on"),
        tstr=tstr,
        shaping=reading.shaping,
        device=where,
        display=display,
    )
    if out is not None:
        write_scorecard(user_path(out), scored)
    return scored.card


@checked
def compare(
    *subjects: Model | str | Path | Images,
    split: str = "test",
    count: int = 10_000,
    seed: Seed = 0,
    judge: Judge | str | Path | None = None,
    out: str | Path | None = None,
    markdown: str | Path | None = None,
    device: str = "auto",
    quiet: bool = False,
    **options: Any,
) -> Comparison:
    """Compare scorecards side by side. The best value of each metric is marked, and all within its interval.

    Parameters
    ----------
    subjects
        Two or more runs, folders made by ``evaluate --out``, models or images. Those without a scorecard are scored
        now, with the next four options.
    split, count, seed, judge
        As in `evaluate`.
    out
        A new folder for comparison.html and comparison.json.
    markdown
        A Markdown file that gets the table of the main metrics, lowest fd_judge first. If it has such a table already,
        the table is replaced and what you wrote above it stays.
    device, quiet
        As in `train`.
    options
        As in `evaluate`.

    Raises
    ------
    UsageError
        Fewer than two subjects; or their judges, real images or N differ, so that their figures do not compare.
    PocketganError
        A scorecard is damaged.
    """
    from pocketgan.core.files import refuse_existing, write_bytes
    from pocketgan.models.model import Model
    from pocketgan.recipes import image_options
    from pocketgan.report.comparison import write_comparison
    from pocketgan.scorecard.comparison import compare_subjects
    from pocketgan.scorecard.listing import above_table, leaderboard

    table = None if markdown is None else user_path(markdown)
    above = b"" if table is None else above_table(table)
    if out is not None:
        refuse_existing(user_path(out))
    scored = partial(evaluate, split=split, count=count, seed=seed, judge=judge, device=device, quiet=quiet, **options)
    reading = image_options(options)
    given = [
        subject if isinstance(subject, str | Path | Model) else _image_set(subject, f"subject {number}", reading)
        for number, subject in enumerate(subjects, 1)
    ]
    comparison = compare_subjects(given, scored)
    if out is not None:
        write_comparison(user_path(out), comparison)
    if table is not None:
        write_bytes(table, above + leaderboard(comparison).encode())
    return comparison


@checked
def write_report(run_folder: str | Path) -> Path:
    """Write report.html into a run's folder: one file that opens offline.

    What was fitted to steer the model gets a page beside it, steering.html.

    Parameters
    ----------
    run_folder
        A run whose training has ended; a model folder that has steering fitted gets steering.html alone.

    Returns
    -------
    Path
        The page that was written; of two, the report.

    Raises
    ------
    UsageError
        The folder is no run that ended, and no model that anything was fitted to.
    PocketganError
        One of its files is damaged, or the report cannot be written.
    """
    from pocketgan.report import write_report as write_page

    return write_page(user_path(run_folder))


# ---- steering ------------------------------------------------------------------------------------------------------


@checked
def fit_steering(
    model: Model | str | Path,
    *,
    method: Sequence[str] = ("flow",),
    guide: Classifier | str | Path | None = None,
    latents: int = LATENTS,
    steps: int = STEPS,
    width: int = WIDTH,
    seed: Seed = 0,
    device: str = "auto",
    quiet: bool = False,
) -> list[FitReport]:
    """Fit methods that find latents for classes, and keep them in the model's folder, with a page that shows them.

    Parameters
    ----------
    model
        A run folder or a model folder of an unconditional generator, which stays as it is.
    method
        flow, bank, energy, search, directions, lcp.
    guide
        The classifier, or its folder, that tells the classes. For MNIST's digits the default is the package's guide.
    latents
        How many latents are drawn and read by the guide. The readings are cached for the next method.
    steps
        Training steps for each network that a method learns.
    width
        Units in each hidden layer of the network that reads latents, which flow and energy learn. Fewer make smaller
        files: with 192 a flow's has a third of the size.
    seed
        Of latents and trainings.
    device, quiet
        As in `train`.

    Returns
    -------
    list of FitReport
        Of each method.

    Raises
    ------
    UsageError
        A method is unknown, the model is conditional, or no guide knows its images.
    """
    from pocketgan.core.terminal import Display
    from pocketgan.report import renew_steering
    from pocketgan.steer.fits import method_of
    from pocketgan.steer.steering import fit_methods

    for name in method:
        method_of(name)
    frozen, display = _model(model, device), Display(quiet)
    reports = fit_methods(
        frozen.steer, method, guide=guide, latents=latents, steps=steps, width=width, seed=seed, display=display
    )
    if frozen.folder is not None:
        display.line(f"what was fitted: {renew_steering(frozen.folder)}")
    return reports


@checked
def invert(
    model: Model | str | Path,
    pictures: str | Path | Images,
    *,
    out: str | Path,
    count: int = 16,
    seed: Seed = 0,
    device: str = "auto",
    quiet: bool = False,
    **options: Any,
) -> Inversion:
    """Find the latents whose images are nearest to given pictures; write them, the images and their errors.

    Parameters
    ----------
    model
        As in `generate`.
    pictures
        A picture file, a folder of pictures, an NPZ, NPY or IDX file, or mnist; in Python also images as an object, as
        in `train`.
    out
        A new folder, which gets latents.npy, errors.json, and pairs.png with each picture above the image found.
    count
        How many pictures at most, from the first.
    seed
        Of the starts.
    device, quiet
        As in `train`.
    options
        As in `evaluate`.

    Raises
    ------
    UsageError
        `out` exists, or the pictures have another size than the generator's.
    """
    from pocketgan.core.files import refuse_existing
    from pocketgan.core.terminal import Display
    from pocketgan.recipes import image_options
    from pocketgan.writers.steering import write_inversion

    refuse_existing(user_path(out))
    if count < 1:
        raise UsageError(f"--count {count} is too small; ask for at least 1 picture")
    frozen, given, display = (
        _model(model, device),
        _image_set(pictures, "pictures", image_options(options)),
        Display(quiet),
    )
    display.lines(given.notes)
    return write_inversion(frozen, given.images[:count], out=user_path(out), seed=seed, display=display)


@checked
def interpolate(
    model: Model | str | Path,
    *stops: str,
    out: str | Path,
    steps: int = 10,
    method: str | None = None,
    seed: Seed = 0,
    device: str = "auto",
    quiet: bool = False,
) -> Tensor:
    """Walk between latents on the great circle, and write a strip and an animation.

    Parameters
    ----------
    model
        As in `generate`.
    stops
        Two or more stops: the name of a class, for which a fitted method finds a latent; a picture file, which is
        inverted; or latent:NUMBER, one of the seed's latents.
    out
        A new folder, which gets strip.png, walk.png (animated) and latents.npy.
    steps
        How many images from one stop to the next, both included; at least 2.
    method
        The fitted method that finds classes. The default is the best one that was fitted.
    seed
        Of latents.
    device, quiet
        As in `train`.

    Returns
    -------
    Tensor
        The latents of the walk, float32 ``[N, D]``.

    Raises
    ------
    UsageError
        There are fewer than two stops, or one is none of these.
    """
    from pocketgan.core.files import refuse_existing
    from pocketgan.core.terminal import Display
    from pocketgan.writers.steering import write_walk

    refuse_existing(user_path(out))
    if len(stops) < 2:
        raise UsageError("a walk needs two stops or more; give class names, picture files or latent:NUMBER")
    if steps < 2:
        raise UsageError(f"--steps {steps} is too small; ask for at least 2")
    frozen, display = _model(model, device), Display(quiet)
    return write_walk(frozen, stops, out=user_path(out), steps=steps, method=method, seed=seed, display=display)


@checked
def show_directions(
    model: Model | str | Path,
    *,
    label: int | str | None = None,
    digit: int | None = None,
    out: str | Path,
    method: str | None = None,
    seed: Seed = 0,
    device: str = "auto",
) -> Tensor:
    """Show one image moved along slant, thickness and width, from -3 to +3 standard deviations.

    Parameters
    ----------
    model
        A run folder or a model folder to which directions were fitted.
    label
        The class of the image, by its name (in Python also by its index).
    digit
        Short for the class whose name is this number, as in MNIST.
    out
        A new PNG file, with a row for each direction.
    method
        The fitted method that finds the image. The default is the best one that was fitted.
    seed
        Of its latent.
    device
        As in `train`.

    Returns
    -------
    Tensor
        The images, uint8 ``[21, C, H, W]``.

    Raises
    ------
    UsageError
        No class is given, or there is none of this name; or directions are not fitted.
    """
    from pocketgan.core.files import refuse_existing
    from pocketgan.writers.steering import write_directions

    wanted = _asked(label, digit)
    if wanted is None:
        raise UsageError("--class is missing; name the class whose image is moved")
    refuse_existing(user_path(out))
    return write_directions(_model(model, device), wanted, out=user_path(out), method=method, seed=seed)


# ---- what there is -------------------------------------------------------------------------------------------------


@checked
def list_recipes(name: str | None = None, *, quick: bool = False, quiet: bool = False) -> list[RecipeRow]:
    """List the recipes with their cost and the minutes that each takes here, or print one as TOML.

    Parameters
    ----------
    name
        A recipe to print in full, with all its fields. Save it as a .toml file to change it.
    quick
        Leave out the minutes, and answer at once. To measure them, each recipe trains for a second.
    quiet
        As in `train`.

    Returns
    -------
    list of RecipeRow
        Of each preset; or of those of this name, without minutes.

    Raises
    ------
    UsageError
        The name is unknown.
    """
    from pocketgan.core.process import load_torch
    from pocketgan.recipes.costs import recipe_rows

    rows = recipe_rows(name)
    if quick or name is not None:
        return rows
    load_torch()
    from pocketgan.training.speed import with_minutes

    return with_minutes(rows, quiet)


@checked
def info(model: str | Path) -> ModelInfo:
    """Print a model's layers, shapes and parameters, and where it comes from.

    Parameters
    ----------
    model
        A run folder, a model folder, a classifier's folder, or the name of a model in the package: digits, digits-free,
        guide.

    Raises
    ------
    UsageError
        There is no model.
    """
    from pocketgan.models.summary import model_info

    return model_info(model)


@checked
def list_datasets(*, data_folder: str | Path | None = None, markdown: str | Path | None = None) -> list[dict[str, Any]]:
    """List the data sets that are known by name: images, size, licence, and whether they are here.

    Parameters
    ----------
    data_folder
        A folder with files of them that were downloaded by hand. Those whose checksums are right are copied to where
        downloads are kept, so that their names work from now on.
    markdown
        A Markdown file for the table, with each set's files, checksums and classes.

    Returns
    -------
    list of dict
        As `pocketgan.data.datasets.datasets_rows` gives them.

    Raises
    ------
    UsageError
        The folder holds the files of no data set.
    """
    from pocketgan.core.files import write_text
    from pocketgan.data.datasets import datasets_page, datasets_rows, take_files

    if data_folder is not None:
        take_files(user_path(data_folder))
    if markdown is not None:
        write_text(user_path(markdown), datasets_page())
    return datasets_rows()


@checked
def doctor() -> Machine:
    """Tell what this machine can do: versions, devices, measured speed, extras, data."""
    from pocketgan.core.machine import this_machine
    from pocketgan.data.datasets import datasets_rows

    return this_machine(tuple(f"{row['name']} ({row['state']})" for row in datasets_rows()))
