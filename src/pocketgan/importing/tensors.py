"""The tensors in a stranger's file, in their order. What a file is, is told by its first bytes, never by its ending."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import read_bytes
from pocketgan.importing import child

MAX_BYTES = 1 << 30  # of a model file
MAX_HEADER = 1 << 20  # bytes of a safetensors file's header
WALL_SECONDS = 60.0  # that the child may take in all
ZIP_MAGIC = b"PK\x03\x04"
TORCH_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that torch's older files begin with
OWN_NAMES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")  # of a layer, in PyTorch's order
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or of a state dict that ``torch.save`` wrote, in the file's order.

    A pickle is opened in a child process, with ``weights_only=True`` and limits on memory and time. There is no
    fallback.

    Raises
    ------
    PocketganError
        The file is missing, too large, damaged, or holds anything else than weights.
    """
    path = Path(path)
    content = read_bytes(path, MAX_BYTES)
    if content[8:9] == b"{":
        tensors = _from_safetensors(path, content)
    elif content.startswith((ZIP_MAGIC, TORCH_MAGIC)):
        del content
        tensors = _from_safetensors(path, _converted(path))
    else:
        raise PocketganError(
            f"{path} is neither a safetensors file nor one that torch.save writes; save the state_dict() of its network"
        )
    for name, tensor in tensors.items():
        if tensor.dtype in FLOATS and not bool(tensor.isfinite().all()):
            raise PocketganError(f"{path} holds numbers in {name!r} that are not finite; train the network again")
    return tensors


def _from_safetensors(path: Path, content: bytes) -> dict[str, Tensor]:
    """Tensors in the order that the metadata keep, or in the one that their names tell."""
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
        return {name: tensors[name] for name in order}
    except MemoryError:
        raise PocketganError(f"{path} does not fit into memory") from None
    except Exception as error:  # of the library and of what a header may hold instead of what it should
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise PocketganError(f"{path} is a damaged safetensors file ({reason}); fetch it again") from error


def _as_listed(name: str) -> tuple[list[tuple[int, str]], int]:
    """Where a tensor of this name stands in a state dict, as far as its name tells: safetensors files keep no order."""
    module, _, own = name.rpartition(".")
    parts = [(int(part), "") if part.isdecimal() else (-1, part) for part in module.split(".")]
    return parts, OWN_NAMES.index(own) if own in OWN_NAMES else len(OWN_NAMES)


def _converted(path: Path) -> bytes:
    """A pickle's tensors as the bytes of a safetensors file, made by the child."""
    command = [sys.executable, "-P", str(Path(child.__file__).resolve()), str(path.resolve())]
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
    return answer_of(path, answer, most)


def answer_of(path: Path, answer: bytes, most: int) -> bytes:
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
    raise PocketganError(f"{path} is not imported: {printable}")
