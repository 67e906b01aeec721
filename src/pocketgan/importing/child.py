"""The child process that opens a stranger's pickle: weights only, and nothing else can happen.

Run as a script with the path of one file. It imports what it needs, gives up memory, processor time, files and
processes, and while it loads it ends itself at the first audit event (PEP 578): an honest file causes none. What it
found goes to stdout: ``T`` and a safetensors file whose metadata keeps the order of the tensors, or ``E`` and one line.
It imports nothing of pocketgan.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import save

MEMORY = 64 << 20  # bytes that opening a file may take besides the file's own,
TIMES_THE_FILE = 4  # and besides this many times its size
SECONDS = 20  # of processor time


class RefusedError(Exception):
    """The file holds something else than weights."""


def main(path: str) -> None:
    """Open `path` and write what it holds to stdout."""
    warnings.simplefilter("ignore")
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        _warm_up()
        _limit(size)
        try:
            with _forbidden():
                tensors = _state_dict(torch.load(file, map_location="cpu", weights_only=True), size)
            answer = b"T" + _converted(tensors)
        except MemoryError:
            answer = b"Eit asks for more memory than its size allows"
        except RefusedError as error:
            answer = b"E" + str(error).encode("utf-8", "replace")
        except Exception as error:  # whatever the unpickler meets
            answer = b"E" + _reason(error).encode("utf-8", "replace")
    _say(answer)


def _converted(tensors: dict[str, torch.Tensor]) -> bytes:
    """A state dict as a safetensors file that keeps its order."""
    plain = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    return save(plain, metadata={"order": json.dumps(list(plain))})


def _state_dict(loaded: Any, size: int) -> dict[str, torch.Tensor]:
    """The one state dict in what was loaded from a file of `size` bytes."""
    if not isinstance(loaded, dict):
        raise RefusedError(f"it holds a {type(loaded).__name__}, not a state dict")
    found = loaded
    if not _is_state_dict(loaded):
        inside = {str(name): value for name, value in loaded.items() if _is_state_dict(value)}
        if len(inside) != 1:
            names = ", ".join(sorted(inside)) or "none"
            raise RefusedError(f"it holds {len(inside)} state dicts ({names[:80]}) where one is needed; save one alone")
        found = next(iter(inside.values()))
    for name, tensor in found.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_complex():
            raise RefusedError(f"its tensor {name!r} is of a kind that is not read")
    total = sum(tensor.numel() * tensor.element_size() for tensor in found.values())
    if total > TIMES_THE_FILE * size + (1 << 20):
        raise RefusedError(f"its tensors claim {total:,} bytes where the file has {size:,}")
    return dict(found)


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(isinstance(name, str) and isinstance(part, torch.Tensor) for name, part in value.items())
    )


def _reason(error: Exception) -> str:
    text = str(error)
    if "Unsupported global" in text or "Unsupported class" in text or "weights_only" in text.lower():
        return "it holds more than weights, such as a whole module or code; save its state_dict()"
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _warm_up() -> None:
    """Open honest files of both kinds, so that all that torch imports on the way is imported before it is forbidden.

    On one thread: after this no other can be started, and one that a parent left behind in a fork never answers.
    """
    torch.set_num_threads(1)
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save({"a": torch.ones(2)}, buffer, _use_new_zipfile_serialization=zipped)
        buffer.seek(0)
        _converted(_state_dict(torch.load(buffer, map_location="cpu", weights_only=True), 1000))


def _limit(size: int) -> None:
    """Give up all that opening a file of `size` bytes does not need, where the system can take it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    more = MEMORY + TIMES_THE_FILE * size
    limits = {"RLIMIT_CPU": SECONDS, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0, "RLIMIT_NOFILE": 0}
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limits["RLIMIT_AS"] = pages * resource.getpagesize() + more
    for name, limit in limits.items():
        if hasattr(resource, name):
            resource.setrlimit(getattr(resource, name), (limit, limit))


@contextmanager
def _forbidden() -> Iterator[None]:
    """Inside the block, any audit event ends this process."""
    loading = True

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if loading:
            _end(f"it asks for {event!r}, which weights never need")

    sys.addaudithook(refuse)
    yield
    loading = False


def _end(line: str) -> NoReturn:
    _say(b"E" + line.encode("utf-8", "replace"))
    os._exit(1)


def _say(answer: bytes) -> None:
    left = memoryview(answer)
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)
