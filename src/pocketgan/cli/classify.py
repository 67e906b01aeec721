"""`pocketgan classify`: train, label."""

from __future__ import annotations

import json
from pathlib import Path

from cyclopts import App

from pocketgan.cli.parameters import ClassifierField, Data, Device, Json, Quiet, Seed, Whole, recipe_options
from pocketgan.core.signals import load_torch

app = App(name="classify", help="Train a classifier, or label images with one.", help_format="plaintext")


@app.command
def train(
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
    load_torch()
    from pocketgan.verbs.classify import train_classifier

    classifier = train_classifier(recipe, out=out, device=device, quiet=quiet, **recipe_options(options, data))
    test = classifier.facts["test"]
    if json_output:
        print(json.dumps({"epochs": classifier.facts["epochs"], "test": test}, indent=2))
    else:
        print(f"{out}: {test['errors']} of {test['count']:,} read wrongly on {test['name']} ({test['error']:.2%})")


@app.command
def label(
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

    Rows are in the order of the images; those of a folder of pictures in the order of the sorted names, each with its
    file name.

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
    load_torch()
    from pocketgan.verbs.classify import label_images

    rows = label_images(classifier, images, out=out, split=split, count=count, seed=seed, device=device)
    if json_output:
        known = ({name: value for name, value in row._asdict().items() if value is not None} for row in rows)
        print(json.dumps(list(known)))
    else:
        print(out)
