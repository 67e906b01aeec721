"""The child process that opens a stranger's file of weights: nothing in the file is run.

It imports what it needs, gives up memory, processor time, files and processes, and while it loads it ends itself at the
first audit event (PEP 578): an honest file causes none. What it found goes to stdout: ``T`` and a safetensors file
whose metadata keeps the order of the tensors and what the file was, or ``E`` and one line.
It imports nothing of pocketgan but its readers of pickles and of HDF5.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import torch
from safetensors.torch import save

from pocketgan.importing.hdf5 import honest as honest_hdf5
from pocketgan.importing.hdf5 import read_keras
from pocketgan.importing.unpickling import (
    RefusedError,
    Thing,
    View,
    read_legacy,
    read_plain,
    read_zip,
    tree_of,
    weights_of,
)

MEMORY = 64 << 20  # bytes that opening a file may take besides the file's own,
TIMES_THE_FILE = 4  # and besides this many times its size
SECONDS = 20  # of processor time
ZIP_MAGIC = b"PK\x03\x04"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
TORCH_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that torch's older files begin with
HARMLESS = frozenset({"builtins.id"})  # events of h5py's own
DEPTH = 3  # of dictionaries that a network may lie in


def run() -> NoReturn:
    """Be that child: the path and the key are the words of the command."""
    main(*sys.argv[1:])
    os._exit(0)


class Network(NamedTuple):
    """One network of a file."""

    tensors: dict[str, torch.Tensor]
    tree: dict[str, Any] | None = None  # of a whole module: its classes and settings
    config: Any = None  # of Keras' files


def main(path: str, key: str = "") -> None:
    """Open `path` and write what it holds to stdout: its one network, or the one that is called `key` in it."""
    warnings.simplefilter("ignore")
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        keras = _is_keras(file)
        _warm_up(keras)
        _limit(size)
        try:
            with _forbidden(HARMLESS if keras else frozenset()):
                network = _of_keras(file, size) if keras else _network(_opened(file, size), key, size)
            answer = b"T" + _converted(network)
        except MemoryError:
            answer = b"Eit asks for more memory than its size allows"
        except RefusedError as error:
            answer = b"E" + str(error).encode("utf-8", "replace")
        except Exception:  # whatever the unpickler meets; its own words would help nobody
            answer = b"Eit is damaged; fetch or save it again"
    _say(answer)


def _is_keras(file: IO[bytes]) -> bool:
    """Whether the file is an HDF5 file, or a zip that holds one under Keras' name."""
    begin = file.read(len(HDF5_MAGIC))
    file.seek(0)
    if begin == HDF5_MAGIC:
        return True
    if not begin.startswith(ZIP_MAGIC):
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            return "model.weights.h5" in archive.namelist()
    except Exception:  # of whatever a stranger's directory says
        return False
    finally:
        file.seek(0)


def _of_keras(file: IO[bytes], size: int) -> Network:
    tensors, config = read_keras(file, size, TIMES_THE_FILE)
    if not tensors:
        raise RefusedError("its network has no weights")
    return Network(tensors, config=config)


def _opened(file: IO[bytes], size: int) -> Any:
    """What the file holds, of plain values, tensors and stand-ins."""
    begin = file.read(len(TORCH_MAGIC))
    file.seek(0)
    if not begin.startswith((ZIP_MAGIC, TORCH_MAGIC)):
        return read_plain(file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # it holds more than weights
        file.seek(0)
        return read_zip(file, size) if begin.startswith(ZIP_MAGIC) else read_legacy(file)


def _converted(network: Network) -> bytes:
    """A network as a safetensors file that keeps its order."""
    plain = {name: tensor.detach().contiguous().clone() for name, tensor in network.tensors.items()}
    told = {"tree": json.dumps(network.tree), "config": json.dumps(network.config)}
    return save(plain, metadata={"order": json.dumps(list(plain)), **told})


def _network(loaded: Any, key: str, size: int) -> Network:
    """One network of what was loaded from a file of `size` bytes."""
    found = dict(_networks(loaded, "", DEPTH))
    if not found:
        raise RefusedError(f"it holds {_in_words(loaded)}, and no network's weights")
    wanted = [name for name in found if not key or key in (name, name.rpartition(".")[2])]
    if len(wanted) != 1:
        names = ", ".join(sorted(name or "one without a name" for name in found))[:120]
        told = f"no network is called {key!r} in it" if key and not wanted else f"it holds {len(found)} networks"
        raise RefusedError(f"{told} ({names}); name one by --key" if found.keys() != {""} else f"{told}; drop --key")
    network = found[wanted[0]]
    parts = weights_of(network) if isinstance(network, Thing) else network
    total = sum(_nbytes(name, part) for name, part in parts.items())
    if total > TIMES_THE_FILE * size + (1 << 20):
        raise RefusedError(f"its tensors claim {total:,} bytes where the file has {size:,}")
    tensors = {name: part.tensor() if isinstance(part, View) else part for name, part in parts.items()}
    if not tensors:
        raise RefusedError("its network has no weights")
    return Network(tensors, tree_of(network) if isinstance(network, Thing) else None)


def _networks(value: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Whole modules and state dicts in what was loaded, with their names."""
    if _is_state_dict(value) or (isinstance(value, Thing) and value.is_module):
        yield name, value
    elif depth and isinstance(value, dict | list | tuple):
        parts = value.items() if isinstance(value, dict) else enumerate(value[:20])
        for key, part in parts:
            if isinstance(value, list | tuple) or isinstance(key, str):
                yield from _networks(part, f"{name}.{key}" if name else str(key), depth - 1)


def _nbytes(name: str, part: Any) -> int:
    if isinstance(part, View):
        return part.nbytes
    if part.layout != torch.strided or part.device.type != "cpu" or part.is_quantized or part.is_complex():
        raise RefusedError(f"its tensor {name!r} is of a kind that is not read")
    return int(part.numel() * part.element_size())


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(isinstance(name, str) and isinstance(part, torch.Tensor | View) for name, part in value.items())
    )


def _in_words(loaded: Any) -> str:
    if isinstance(loaded, torch.Tensor | View):
        return "a single tensor"
    if isinstance(loaded, dict):
        return f"a dictionary ({', '.join(str(key) for key in list(loaded)[:6])[:80] or 'empty'})"
    return f"something else ({'an object' if isinstance(loaded, Thing) else type(loaded).__name__})"


def _warm_up(keras: bool) -> None:
    """Open honest files of all kinds, so that all that is imported on the way is imported before it is forbidden.

    On one thread: after this no other can be started, and one that a parent left behind in a fork never answers.
    """
    torch.set_num_threads(1)
    module = torch.nn.Linear(2, 1)
    honest = [pickle.dumps(module)]
    for whole in ({"a": module}, module.state_dict()):
        for zipped in (True, False):
            buffer = io.BytesIO()
            torch.save(whole, buffer, _use_new_zipfile_serialization=zipped)
            honest.append(buffer.getvalue())
    for content in honest:
        _converted(_network(_opened(io.BytesIO(content), len(content)), "", len(content)))
    if keras:
        _converted(_of_keras(io.BytesIO(honest_hdf5()), 10_000))


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
def _forbidden(harmless: frozenset[str] = frozenset()) -> Iterator[None]:
    """Inside the block, any audit event but a harmless one ends this process."""
    loading = True

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if loading and event not in harmless:
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
