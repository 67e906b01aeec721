"""Images of a model, streamed into the formats that people's own loaders read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pocketgan.core.errors import UsageError
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import Samples
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.judge import refuse_judge
from pocketgan.models.model import Model
from pocketgan.steer.wish import Wish
from pocketgan.writers import export_samples


def generate(
    model: Model,
    *,
    out: Path,
    formats: Sequence[str],
    count: int,
    seed: int,
    label: int | str | None,
    balanced: bool,
    method: str | None,
    checked: bool,
    moves: Mapping[str, float],
    classifier: Classifier | None,
    test_share: float | None,
    display: Display,
) -> list[Path]:
    """Generate images, steered or labelled where the model cannot be asked, and write them with their latents."""
    steered = not model.conditional and (balanced or label is not None)
    if steered:
        model.steer.guided_by(classifier)
    chosen = None if label is None else model.class_index(label, method)
    parts = model.stream(count, Wish(chosen, balanced, method, checked, moves), seed=seed)
    if steered:
        display.line(f"steered by {model.steer.fitted(method).facts.method}")
    else:
        parts = labelled(parts, model, classifier)
    with display.bar(f"generating {count:,} images", count) as bar:
        return export_samples(
            parts, count, out, formats, test_share=test_share, on_progress=lambda done: bar.update(done)
        )


def labelled(parts: Iterator[Samples], model: Model, classifier: Classifier | None) -> Iterator[Samples]:
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
    refuse_judge(reader, "--classifier")
    if reader.shape != model.shape:
        raise UsageError(f"the classifier reads images {list(reader.shape)}, the model makes {list(model.shape)}")
    return (_read(part, reader) for part in parts)


def _read(part: Samples, reader: Classifier) -> Samples:
    return replace(part, labels=reader.label(part.images), class_names=reader.class_names, label_source="guide")
