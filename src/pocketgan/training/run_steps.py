"""The steps of a run around its training: what is refused before it, the fakes, who labels them, the classifier C."""

from __future__ import annotations

import shutil
from collections.abc import Collection

import torch

from pocketgan.core.devices import find_device
from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import refuse_existing, whole_folder, write_bytes
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import learning_images
from pocketgan.data.pictures import FakesWriter
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.judge import refuse_judge
from pocketgan.models.model import Model, labelled
from pocketgan.models.saved import holds, save_state_dict
from pocketgan.networks.architectures import empty_generator, settled
from pocketgan.networks.classifiers import SMALLEST_SIDE
from pocketgan.recipes import CLASSIFIER_PRESETS, ClassifierRecipe, Recipe, classifier_recipe
from pocketgan.runs.facts import StartEvent
from pocketgan.runs.folder import CLASSIFIER, RunFolder
from pocketgan.training.classifiers import learning_and_test_sets, train_classifier

FAKES = 100  # what the usual assignment asks for
C_RECIPE = "cnn"  # recipe of C where none is asked for
SECOND_CLASSIFIER = {"cnn": "cnn-dense"}  # labels fakes that nothing else can; another network than C

OUTDATES = {  # whose results are no longer true when a step is made again
    "train": ("generate", "classify", "score", "report"),
    "generate": ("score", "report"),
    "classify": ("score", "report"),
    "score": ("report",),
    "report": (),
}


def outdated_by(redo: Collection[str], skip: Collection[str]) -> set[str]:
    """The steps to be made again, and those whose results are then no longer true.

    Raises
    ------
    UsageError
        A step is unknown, or is to be skipped too.
    """
    for step in (*skip, *redo):
        if step not in OUTDATES:
            raise UsageError(f"step '{step}' is unknown{nearest(step, OUTDATES)}")
    if both := set(skip) & set(redo):
        raise UsageError(f"step '{min(both)}' is both in --skip and in --redo; give it once")
    return {outdated for step in redo for outdated in (step, *OUTDATES[step])}


def checked_classifier(
    folder: RunFolder, wanted: Recipe, classifier: str | None, skip: Collection[str], old: Collection[str], device: str
) -> Classifier | ClassifierRecipe:
    """Refuse what cannot end well before anything is trained or thrown away; the classifier C or its recipe.

    Raises
    ------
    UsageError
        The images, the device, the guide or C do not fit, the folder holds something else, or a skipped step's results
        are needed and missing.
    """
    data = learning_images(wanted.data.source, wanted.data.split, wanted.data)
    wanted, _ = settled(wanted, data.shape, len(data.class_names))
    find_device(device)
    if wanted.schedule.until_good:
        Classifier.load(wanted.schedule.guide)
    if "train" in old:
        _refuse_strange(folder)
    learner = _learner(classifier or C_RECIPE, wanted, data)
    if data.labels is None:
        return learner
    kept = {step for step in OUTDATES if step not in old and folder.made_by(step)[0].exists()}
    for step in ("generate", "classify"):
        if step in skip and "score" not in skip and step not in kept:
            raise UsageError(
                f"--skip {step}: {folder} holds no {folder.made_by(step)[0].name} to score; skip score too"
            )
    if "classify" in kept:
        held = Classifier.load(folder.path)
        if classifier is None:
            learner = held
        elif not _is_wanted(held, learner, folder.start(), data):
            raise UsageError(
                f"--classifier {classifier}: {folder} holds another, {held.recipe.name}; add --redo classify"
            )
    if not {"classify", "score"} <= set(skip):
        learning_and_test_sets(wanted.data.source, wanted.data.split, wanted.data)
    if isinstance(learner, Classifier):
        refuse_judge(learner, f"--classifier {classifier}")
        if (learner.shape, learner.class_names) != (data.shape, data.class_names):
            raise UsageError(f"--classifier {classifier} reads other images or classes than {data.name} has")
        if not empty_generator(wanted, data.shape, len(data.class_names)).conditional:
            own = Classifier.load(folder.guide) if holds(folder.guide, CLASSIFIER) else None
            _refuse_same(learner, guide_for(data.shape, data.class_names) or own)
    return learner


def _refuse_strange(folder: RunFolder) -> None:
    """Refuse to make a training again where other things than a run's lie, or lie beside it."""
    if not folder.is_begun:
        refuse_existing(folder.path)
        return
    known = {path for step in OUTDATES for path in folder.made_by(step)}
    strange = sorted(path.name for path in folder.path.iterdir() if path not in known and path.name[0] != ".")
    if strange:
        raise UsageError(
            f"--redo train empties {folder}, which also holds {strange[0]}; move it, or choose another --out"
        )


def _learner(name_or_folder: str, wanted: Recipe, data: ImageSet) -> Classifier | ClassifierRecipe:
    """C, or the recipe for it, which is never that of the guide that labels the fakes."""
    if name_or_folder not in CLASSIFIER_PRESETS and holds(name_or_folder, CLASSIFIER):
        return Classifier.load(name_or_folder)
    same_data = {"source": wanted.data.source, "split": wanted.data.split, "seed": wanted.seed, **wanted.data.fields}
    recipe = classifier_recipe(name_or_folder, same_data)
    guide = guide_for(data.shape, data.class_names)
    if guide is not None and recipe == guide.recipe:
        return recipe.model_copy(update={"seed": recipe.seed + 1})
    return recipe


def _is_wanted(
    held: Classifier, learner: Classifier | ClassifierRecipe, start: StartEvent | None, data: ImageSet
) -> bool:
    """Whether a run's C is the network, or was trained by the recipe, on these images under whatever path."""
    if isinstance(learner, Classifier):
        return _same(held, learner)
    if start is not None and start.data == data.digest:
        learner = learner.model_copy(update={"source": held.recipe.source, **held.recipe.fields})
    return held.recipe == learner


def recipe_of(c: Classifier | ClassifierRecipe) -> ClassifierRecipe:
    """What C was trained by, or is to be."""
    return c.recipe if isinstance(c, Classifier) else c


def _same(one: Classifier, other: Classifier) -> bool:
    """Whether two classifiers are one network: the same weights, whatever they are called."""
    first, second = one.network.state_dict(), other.network.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name].to(first[name])) for name in first
    )


def _refuse_same(c: Classifier, reader: Classifier | None) -> None:
    if reader is not None and _same(c, reader):
        raise UsageError(
            "--classifier is the network that labels the fakes, so that S1 would always be 0; choose another, or cnn"
        )


def forget(folder: RunFolder, steps: Collection[str]) -> None:
    """Throw away what steps have made."""
    if not steps or not folder.path.is_dir():
        return
    with folder.alone():
        for path in (path for step in steps for path in folder.made_by(step)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def classify(folder: RunFolder, learner: Classifier | ClassifierRecipe, device: str, display: Display) -> None:
    """Make sure that the run has its C, as a folder and as a plain state dict."""
    if not folder.classifier.exists():
        if isinstance(learner, Classifier):
            learner.save(folder.classifier)
        else:
            train_classifier(learner, out=folder.classifier, device=find_device(device), display=display)
    if not folder.classifier_weights.exists():
        save_state_dict(Classifier.load(folder.path).network, folder.classifier_weights)


def reader_for(
    folder: RunFolder, model: Model, c: Classifier | ClassifierRecipe, display: Display
) -> Classifier | None:
    """Who labels the fakes of an unconditional model: the shipped guide, or a second classifier trained for it."""
    if model.conditional or not model.class_names:
        return None
    reader = guide_for(model.shape, model.class_names, str(model.device))
    if reader is None:
        if not folder.guide.exists():
            data = model.recipe.data
            second = SECOND_CLASSIFIER.get(recipe_of(c).architecture, "cnn")
            if min(model.shape[1:]) < SMALLEST_SIDE.get(second, 0):
                second = "mlp"
            display.line(f"training a second classifier ({second}), which labels the fakes")
            options = {"source": data.source, "split": data.split, "seed": model.recipe.seed + 1, **data.fields}
            wanted = classifier_recipe(second, options)
            train_classifier(wanted, out=folder.guide, device=model.device, display=display)
        reader = Classifier.load(folder.guide, str(model.device))
    if isinstance(c, Classifier):
        _refuse_same(c, reader)
    return reader


def generate(folder: RunFolder, model: Model, reader: Classifier | None) -> None:
    """Write the run's 100 fakes and their grid, labelled by `reader` where the model cannot be asked."""
    parts = list(labelled(model.stream(FAKES, seed=model.recipe.seed), model, reader))
    images = torch.cat([part.images for part in parts])
    labels = [part.labels for part in parts if part.labels is not None]
    if labels and not model.conditional:
        images = images[torch.cat(labels).argsort(stable=True)]  # class by class, where classes do not take turns
    write_bytes(folder.grid, to_png(grid(images, columns=10), scale=2))
    with whole_folder(folder.fakes) as beside:  # the last, because it tells that the step is done
        writer = FakesWriter(beside, model.recipe.model.latent_dim, FAKES)
        for part in parts:
            writer.add(part)
        writer.close()
