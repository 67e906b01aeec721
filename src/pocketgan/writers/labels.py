"""What a classifier reads in images, as a table."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from pocketgan.core.files import write_bytes
from pocketgan.data.image_set import ImageSet
from pocketgan.models.classifier import Classifier


class Labelled(NamedTuple):
    """What a classifier reads in an image: the class, and how surely, 0 to 1; of a picture in a folder, its file."""

    label: int
    confidence: float
    file_name: str | None


def write_labels(path: Path, classifier: Classifier, images: ImageSet) -> list[Labelled]:
    """Label images and write ``row,label,class_name,confidence`` as CSV; ``file_name`` after ``row`` where known."""
    confidences, labels = classifier.probabilities(images.images).max(1)
    files = images.files or [None] * len(images)
    rows = list(map(Labelled, labels.tolist(), confidences.tolist(), files))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *(["file_name"] if images.files else []), "label", "class_name", "confidence"])
    for row, (label, sure, file) in enumerate(rows):
        writer.writerow([row, *([file] if images.files else []), label, classifier.class_names[label], f"{sure:.6f}"])
    write_bytes(path, text.getvalue().encode("utf-8", "replace"))  # a file's name need not be UTF-8
    return rows
