"""`pocketgan evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

from pocketgan.cli.parameters import Device, DrawSeed, Flag, Json, JudgeFolder, Quiet, RealSplit, Whole
from pocketgan.core.signals import load_torch


def evaluate(
    subject: str,
    *,
    split: RealSplit = "test",
    count: Whole = 10_000,
    seed: DrawSeed = 0,
    trained_on: str | None = None,
    judge: JudgeFolder = "judge",
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
    count
        How many images are scored; part of most metrics' names.
    trained_on
        What the model of given images learned from: train or fit of MNIST, or a source of images.
    tstr
        Also train classifiers on fakes alone and test them on real images: minutes.
    out
        A new folder for scorecard.html, scorecard.json and pictures.
    """
    load_torch()
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
