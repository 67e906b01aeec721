"""The tensors in a stranger's file, in their order, and what the file says of their network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from torch import Tensor

import pocketgan
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import read_bytes
from pocketgan.importing import child, keras, modules
from pocketgan.importing.kinds import SAVE, Kind, kind_of
from pocketgan.importing.modules import Listing

MAX_BYTES = 1 << 30  # of a model file
MAX_HEADER = 1 << 20  # bytes of a safetensors file's header
WALL_SECONDS = 60.0  # that the child may take in all
OWN_NAMES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")  # of a layer, in PyTorch's order
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
STILL = "`pocketgan evaluate FOLDER` scores its images all the same"


class Weights(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    what
        The file in words: "a plain pickle of a whole module".
    tensors
        By their names, in the file's order.
    listing
        The layers that the file tells, where it does; None where only a recipe can.
    """

    what: str
    tensors: dict[str, Tensor]
    listing: Listing | None = None


def read_weights(path: Path, key: str = "") -> Weights:
    """What is in a safetensors file, a file of ``torch.save``, a plain pickle or a file of Keras.

    Pickles and HDF5 files are opened in a child process with limits on memory and time, and no name in a pickle is
    looked up. There is no fallback.

    Parameters
    ----------
    path
        The file; its name tells nothing.
    key
        Which network, where the file holds several.

    Raises
    ------
    PocketganError
        The file is missing, too large, damaged, or holds anything else than weights. The line says what it is.
    """
    path = Path(path)
    content = read_bytes(path, MAX_BYTES)
    kind = kind_of(content)
    if kind.remedy:
        raise PocketganError(f"{path} is {kind.what}, which is not imported; {kind.remedy}; {STILL}")
    one = content[8:9] == b"{" or "Keras" in kind.what
    if one and key:
        raise UsageError(f"{path} is {kind.what}, which holds one network; drop --key")
    if "Keras" in kind.what and find_spec("h5py") is None:
        raise UsageError(
            f"{path} is {kind.what}, which needs h5py: pip install '.[keras]' in pocketgan's source folder"
        )
    if content[8:9] == b"{":
        weights = Weights(kind.what, _from_safetensors(path, content)[0])
    else:
        del content
        weights = _told(path, kind, *_from_safetensors(path, _converted(path, key, kind)))
    for name, tensor in weights.tensors.items():
        if tensor.dtype in FLOATS and not bool(tensor.isfinite().all()):
            raise PocketganError(f"{path} holds numbers in {name!r} that are not finite; train the network again")
    return weights


def _from_safetensors(path: Path, content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors in the order that the metadata keep, or in the one that their names tell; and the metadata."""
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, MAX_HEADER):
        raise PocketganError(f"{path} claims a header of {length:,} bytes, more than it has or is read; save it again")
    try:
        header = json.loads(content[8 : 8 + length])
        metadata = header.pop("__metadata__", None) or {}
        tensors = safetensors.torch.load(content)
        order = json.loads(metadata["order"]) if "order" in metadata else sorted(tensors, key=_as_listed)
        if sorted(order) != sorted(tensors):
            raise ValueError("its metadata name other tensors than it holds")
    except MemoryError:
        raise PocketganError(f"{path} does not fit into memory") from None
    except Exception as error:  # of the library and of what a header may hold instead of what it should
        raise PocketganError(f"{path} is a damaged safetensors file; fetch or save it again") from error
    return {name: tensors[name] for name in order}, metadata


def _told(path: Path, kind: Kind, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Weights:
    """What the child found, with the layers that the file tells."""
    tree, config = json.loads(metadata["tree"]), json.loads(metadata["config"])
    if config is not None:
        try:
            listing, tensors = keras.listing_of(config, tensors)
        except keras.UnknownError as error:
            raise PocketganError(f"{path} is {kind.what}, and is not imported: it has {error}; {STILL}") from None
        return Weights(kind.what, tensors, listing)
    if tree is not None:
        return Weights(f"{kind.what} of a whole module", tensors, modules.listing_of(tree))
    return Weights(f"{kind.what} of a state dict", tensors)


def _as_listed(name: str) -> tuple[list[tuple[int, str]], int]:
    """Where a tensor of this name stands in a state dict, as far as its name tells: safetensors files keep no order."""
    module, _, own = name.rpartition(".")
    parts = [(int(part), "") if part.isdecimal() else (-1, part) for part in module.split(".")]
    return parts, OWN_NAMES.index(own) if own in OWN_NAMES else len(OWN_NAMES)


def _converted(path: Path, key: str, kind: Kind) -> bytes:
    """A file's tensors as the bytes of a safetensors file, made by the child."""
    package = str(Path(pocketgan.__file__).resolve().parent.parent)
    code = f"import sys; sys.path.append({package!r}); from pocketgan.importing import child; child.run()"
    command = [sys.executable, "-P", "-c", code, str(path.resolve()), key]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    most = child.MEMORY + child.TIMES_THE_FILE * path.stat().st_size
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None
        timer = threading.Timer(WALL_SECONDS, process.kill)
        timer.start()
        try:
            answer = process.stdout.read(most + 1)
        finally:
            timer.cancel()
            process.kill()
    return answer_of(path, answer, most, kind)


def answer_of(path: Path, answer: bytes, most: int, kind: Kind) -> bytes:
    """The safetensors file in a child's answer.

    Raises
    ------
    PocketganError
        The child refused the file, or did not live to say so.
    """
    if answer[:1] == b"T" and len(answer) <= most:
        return answer[1:]
    reason = "opening it took too much memory or time"
    if answer[:1] == b"E":
        reason = answer[1:400].decode("utf-8", "replace")
    printable = "".join(letter if letter.isprintable() else " " for letter in reason)
    helps = "save it again by model.save('G.keras')" if "Keras" in kind.what else SAVE
    remedy = "" if ";" in printable else f"; {helps}"
    raise PocketganError(f"{path}, {kind.what}, is not imported: {printable}{remedy}; {STILL}")
