"""The data card of an image set: a README.md by which Hugging Face's `datasets` knows classes, splits and licence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketgan.core.files import write_text
from pocketgan.core.licences import licence_named

CARD = "README.md"
Feature = dict[str, Any]  # as the card's YAML has it


def label_feature(class_names: Sequence[str]) -> Any:
    """The type of a column of labels: a class label with its names, or a number where there are no classes."""
    if not class_names:
        return "int64"
    return {"class_label": {"names": {str(number): name for number, name in enumerate(class_names)}}}


def write_data_card(
    folder: Path, facts: Mapping[str, Any], features: Mapping[str, Any], files: Mapping[str, str], opened: str
) -> None:
    """Write the card beside the files that it is about.

    Parameters
    ----------
    facts
        Where the images come from, as in `provenance.json`.
    features
        The type of each column, by its name.
    files
        A pattern of the files of each split.
    opened
        Code that opens the folder.
    """
    licence = licence_named(str(facts.get("licence", "")))
    listed = [{"name": name, "dtype": kind} for name, kind in features.items()]
    split = [{"split": name, "path": pattern} for name, pattern in files.items()]
    configuration = {"config_name": "default", "data_files": split, "features": listed}
    front = {
        "license": licence.id,
        **({"license_name": licence.name} if licence.id == "other" else {}),
        **({"license_link": licence.link} if licence.id == "other" and licence.link else {}),
        "tags": ["synthetic", "pocketgan"],
        "configs": [configuration],
        "dataset_info": {"features": listed},
    }
    lines = [
        "---",
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()),
        "---",
        "",
        f"# {facts['count']:,} generated images",
        "",
        f"Made by a network ({facts.get('made_by', 'pocketgan')}), seed {facts['seed']}.",
        f"Where the labels come from: {facts['label_source']}.",
        f"It learned from {facts.get('data', 'images that are not told')}. Licence: {licence.text or 'not told'}.",
        "",
        "```python",
        *opened.splitlines(),
        "```",
    ]
    write_text(folder / CARD, "\n".join(lines) + "\n")
