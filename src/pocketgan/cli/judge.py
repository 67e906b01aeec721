"""`pocketgan judge`: train."""

from __future__ import annotations

import json
from pathlib import Path

from cyclopts import App

from pocketgan.cli.parameters import ClassifierField, Data, Device, Json, Quiet, recipe_options
from pocketgan.core.signals import load_torch

app = App(name="judge", help="Make the network that scores.", help_format="plaintext")


@app.command
def train(
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
    load_torch()
    from pocketgan.verbs.judge import train_judge

    judge = train_judge(out=out, device=device, quiet=quiet, **recipe_options(options, data))
    test = judge.classifier.facts["test"]
    if json_output:
        print(json.dumps({"version": judge.version, "digest": judge.digest, "test": test}, indent=2))
    else:
        wrong = f"{test['errors']} of {test['count']:,} read wrongly on {test['name']} ({test['error']:.2%})"
        print(f"{out}: judge {judge.version}, {wrong}")
