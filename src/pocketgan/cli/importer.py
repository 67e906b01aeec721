"""`pocketgan import`."""

from __future__ import annotations

import json
from pathlib import Path

from pocketgan.cli.parameters import Json
from pocketgan.core.signals import load_torch


def import_(file: Path, *, recipe: str, out: Path, json_output: Json = False) -> None:
    """Convert a stranger's weights into a model folder, safely: nothing in the file is run.

    Parameters
    ----------
    file
        A safetensors file, or a state dict that torch.save wrote (G.pkl, D.pkl, C.pkl, .pt, ...).
    recipe
        The recipe of the networks; the tensors say which of them the file holds, and must have its shapes in its order.
    out
        A new folder, or the one that holds the other network of the pair.
    """
    load_torch()
    from pocketgan.importing import import_file

    folder, role = import_file(file, recipe=recipe, out=out)
    print(json.dumps({"folder": str(folder), "network": role}) if json_output else f"{folder}: {role} of {recipe}")
