"""Keras' files opened: the numbers in them by their paths, and the configuration as text. Needs h5py alone.

Part of the importer's child: it imports nothing of pocketgan but what stands beside it.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import IO, Any

import torch

from pocketgan.importing.unpickling import RefusedError

MOST_CONFIG = 4 << 20  # bytes of a configuration
MOST_PARTS = 5000  # groups and arrays in one file


def read_keras(file: IO[bytes], size: int, times: int) -> tuple[dict[str, torch.Tensor], Any]:
    """What is in a ``.keras`` archive or in a legacy HDF5 file of `size` bytes.

    Parameters
    ----------
    file
        Open for reading, at its beginning.
    size, times
        The numbers may take so many times the file's size.

    Returns
    -------
    tuple
        The arrays by their paths, and the configuration.

    Raises
    ------
    RefusedError
        It holds no configuration, or arrays of a kind that weights are not.
    """
    if file.read(4) != b"PK\x03\x04":
        file.seek(0)
        return _read_hdf5(file, size, times, "")
    with zipfile.ZipFile(file) as archive:
        parts = []
        for name, most in (("config.json", MOST_CONFIG), ("model.weights.h5", size)):
            info = archive.getinfo(name)
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
                raise RefusedError("it is compressed, or claims more than it has")
            parts.append(archive.read(info))
    return _read_hdf5(io.BytesIO(parts[1]), size, times, parts[0].decode("utf-8"))


def _read_hdf5(file: IO[bytes], size: int, times: int, config: str) -> tuple[dict[str, torch.Tensor], Any]:
    import h5py

    found: dict[str, torch.Tensor] = {}
    total = parts = 0
    with h5py.File(file, "r") as held:
        if not config:
            told = held.attrs.get("model_config", "")
            config = told.decode("utf-8") if isinstance(told, bytes) else str(told)
            if not config:
                raise RefusedError("it holds no layers of Keras; save the whole model by model.save('G.keras')")
        waiting: list[tuple[str, Any]] = [("", held)]
        while waiting:
            path, group = waiting.pop()
            for name in group:
                parts += 1
                if parts > MOST_PARTS or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise RefusedError("it has links, or more parts than a network")
                part = group[name]
                if isinstance(part, h5py.Group):
                    waiting.append((f"{path}{name}/", part))
                    continue
                plain = isinstance(part, h5py.Dataset) and not part.external and not part.is_virtual
                if not plain or part.id.get_create_plist().get_nfilters():
                    raise RefusedError("it holds arrays that are packed or lie elsewhere")
                if part.dtype.kind == "f" and part.dtype.itemsize in (2, 4, 8):
                    total += part.nbytes
                    if total > times * size + (1 << 20):
                        raise RefusedError(f"its arrays claim {total:,} bytes where the file has {size:,}")
                    found[path + name] = torch.from_numpy(part[()].astype(f"<f{part.dtype.itemsize}"))
    if len(config) > MOST_CONFIG:
        raise RefusedError("its configuration is too large")
    return found, json.loads(config)


def honest() -> bytes:
    """A small file, to be opened before anything is forbidden."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as held:
        held.attrs["model_config"] = "{}"
        held.create_group("a").create_dataset("b", data=torch.ones(2).numpy())
    return buffer.getvalue()
