"""`generate`: images from a saved model, streamed into the formats that people's own loaders read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pocketgan.core.errors import UsageError
from pocketgan.core.terminal import Display
from pocketgan.data.class_names import asked_class
from pocketgan.data.image_set import Samples
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.judge import refuse_judge
from pocketgan.models.model import Model
from pocketgan.steer.wish import Wish
from pocketgan.writers import export_samples


def generate(
    model: Model | str | Path,
    *,
    out: str | Path,
    count: int = 100,
    label: int | str | None = None,
    digit: int | None = None,
    balanced: bool = False,
    seed: int = 0,
    formats: Sequence[str] = ("png", "grid"),
    test_share: float | None = None,
    classifier: Classifier | str | Path | None = None,
    method: str | None = None,
    checked: bool = False,
    moves: Mapping[str, float] | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> list[Path]:
    """Generate images and write them with their latents, in bounded memory.

    Parameters
    ----------
    model
        A `Model`, a run folder or a model folder.
    out
        A new folder.
    count
        Images in all.
    label
        The class of all of them, by its index or by its name as text; without it a conditional model's classes take
        turns. An unconditional model needs a fitted method (`pocketgan.steer`).
    digit
        Short for the class whose name is this number, as MNIST's are.
    balanced
        Every class equally often, also of an unconditional model.
    seed
        Of the latents; the same seed and index give the same bytes whatever the count.
    formats
        Any of ``png``, ``npz``, ``idx``, ``grid``.
    test_share
        Share of the images, in (0, 1), that goes into the test part of NPZ (then with Keras' names) and IDX.
    classifier
        What labels the images of an unconditional model, and only of such; the shipped guide where it knows them, else
        nothing. Where the model is steered, its guide.
    method, checked, moves
        How an unconditional model is steered, as in `Model.sample`.
    device, quiet
        As in `pocketgan.train`.

    Returns
    -------
    list of Path
        The files and folders written.

    Raises
    ------
    UsageError
        The model cannot do what is asked, a format is unknown, or `out` exists.
    """
    source = model if isinstance(model, Model) else Model.load(model, device)
    if classifier is not None and source.conditional:
        raise UsageError(f"--classifier: {source.recipe.name} is asked for classes, which are the labels; leave it out")
    wanted = asked_class(label, digit)
    steered = not source.conditional and (balanced or wanted is not None)
    if steered:
        source.steer.guided_by(classifier)
    chosen = None if wanted is None else source.class_index(wanted, method)
    display, wish = Display(quiet), Wish(chosen, balanced, method, checked, moves)
    parts = source.stream(count, wish, seed=seed)
    if steered:
        display.line(f"steered by {source.steer.fitted(method).facts.method}")
    else:
        parts = labelled(parts, source, classifier)
    with display.bar(f"generating {count:,} images", count) as bar:
        return export_samples(
            parts, count, Path(out), formats, test_share=test_share, on_progress=lambda done: bar.update(done)
        )


def labelled(
    parts: Iterator[Samples], model: Model, classifier: Classifier | str | Path | None = None
) -> Iterator[Samples]:
    """The same parts, with labels read by a classifier where the model could not be asked for any.

    Raises
    ------
    UsageError
        The classifier reads images of another shape.
    """
    if model.conditional:
        return parts
    reader = guide_for(model.shape, model.class_names) if classifier is None else classifier
    if reader is None:
        return parts
    if not isinstance(reader, Classifier):
        reader = Classifier.load(reader, str(model.device))
    refuse_judge(reader, "--classifier")
    if reader.shape != model.shape:
        raise UsageError(f"the classifier reads images {list(reader.shape)}, the model makes {list(model.shape)}")
    return (_read(part, reader) for part in parts)


def _read(part: Samples, reader: Classifier) -> Samples:
    return replace(part, labels=reader.label(part.images), class_names=reader.class_names, label_source="guide")
