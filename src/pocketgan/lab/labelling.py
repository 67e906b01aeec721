"""Label: the fakes of a run, a person's labels on them, and S1 with its interval at once."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from pocketgan.core.errors import UsageError
from pocketgan.data._checks import read_table
from pocketgan.data.fakes import PERSON, FakeSet, read_fakes, set_aside, set_labels
from pocketgan.data.pictures import CLASSES, METADATA, UNLABELLED, folder_names
from pocketgan.metrics.labels import error_rate
from pocketgan.models.classifier import Classifier
from pocketgan.models.saved import holds
from pocketgan.runs.facts import Rate
from pocketgan.runs.folder import CLASSIFIER, RunFolder

DIGITS = 10  # that a key each is there for, where no classes are known


def fakes_of(run: RunFolder) -> dict[str, Any]:
    """The fakes as a page shows them: pixels, and the labels that a person gave. What a program said is not told."""
    fakes = _read(run)
    given = [
        label if source == PERSON else None for label, source in zip(fakes.labels, fakes.label_source, strict=True)
    ]
    pixels = fakes.images.images
    return {
        "files": _names(run, fakes),
        "shape": list(pixels.shape[1:]),
        "pixels": base64.b64encode(pixels.numpy().tobytes()).decode(),
        "labels": given,
        "class_names": list(_class_names(run, fakes)),
        "unreadable": set_aside(run.fakes),
        "s1": s1_of(run, fakes),
        "command": f"edit {run.fakes / METADATA}, then: pocketgan run --skip train,generate,classify --out {run}",
    }


def label(run: RunFolder, labels: Mapping[str, int | None], taken_back: Collection[str] = ()) -> dict[str, Any]:
    """Write a person's labels into the table of the fakes, as an edit by hand does; S1 as it then is.

    The run's `scores.json` gets it too, where S1 was counted before.
    """
    with run.alone():
        fakes = set_labels(run.fakes, labels, taken_back)
        counted = s1_of(run, fakes)
        scores = run.scores()
        is_whole = fakes.images.labels is not None
        if scores is not None and counted is not None and scores.s1 is not None and is_whole:
            run.write_scores(scores.model_copy(update={"s1": Rate.model_validate(counted)}))
    by_person = sum(source == PERSON for source in fakes.label_source)
    return {"s1": counted, "by_person": by_person, "unreadable": set_aside(run.fakes)}


def compared(run: RunFolder) -> dict[str, Any]:
    """What the program said of each fake, beside what is said now. Where it said nothing, nothing is compared."""
    fakes = _read(run)
    names = fakes.images.class_names
    rows, labelled, same = [], 0, 0
    for file, now, source in zip(_names(run, fakes), fakes.labels, fakes.label_source, strict=True):
        folder, by_person = file.partition("/")[0], source == PERSON
        rows.append({"file": file, "folder": folder, "label": now, "by_person": by_person})
        if by_person and now is not None and folder != UNLABELLED:
            labelled += 1
            same += _is_called(names, now, folder)
    return {"rows": rows, "labelled": labelled, "same": same, "class_names": list(names)}


def s1_of(run: RunFolder, fakes: FakeSet) -> dict[str, Any] | None:
    """The share of the labelled fakes that C reads otherwise; None where none is labelled, or without C."""
    rows = [row for row, label in enumerate(fakes.labels) if label is not None]
    if not rows or not holds(run.path, CLASSIFIER):
        return None
    c = Classifier.load(run.path, "cpu")
    labels = torch.tensor([label for label in fakes.labels if label is not None])
    rate = error_rate(c.label(fakes.images.images[rows]), labels)
    sources = Counter(fakes.label_source[row] for row in rows)
    told = ", ".join(f"{name} ({count})" for name, count in sorted(sources.items()))
    data = f"the {rate.count} fakes in {run.fakes.name}/"
    counted = Rate(**rate.as_dict(), classifier=c.recipe.name, data=data, labels_from=told)
    return counted.as_json()


def _read(run: RunFolder) -> FakeSet:
    if not run.fakes.is_dir() or run.fakes.is_symlink():
        raise UsageError("this run has no fakes yet; pocketgan run makes them")
    return read_fakes(run.fakes, partly=True)


def _class_names(run: RunFolder, fakes: FakeSet) -> tuple[str, ...]:
    """The classes that can be chosen; none are told of where the labels so far only look like digits."""
    names = fakes.images.class_names
    return names if (run.fakes / CLASSES).is_file() or len(names) > DIGITS else ()


def _names(run: RunFolder, fakes: FakeSet) -> list[str]:
    """The names by which the table knows the fakes, though a picture may lie in another folder now."""
    return [cells["file_name"] for _, cells in read_table(run.fakes / METADATA, ("file_name",))]


def _is_called(names: tuple[str, ...], label: int, folder: str) -> bool:
    return folder == (folder_names(names)[label] if names else str(label))


def picture_of(path: Path, most: int) -> bytes:
    """The bytes of a picture of a run; no link is followed.

    Raises
    ------
    UsageError
        There is none.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size > most:
        raise UsageError("there is no such picture")
    return path.read_bytes()
