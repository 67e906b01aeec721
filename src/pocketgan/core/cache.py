"""Tensors that are slow to make and follow from their key: kept in the user's cache folder, made again if damaged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import write_bytes

VARIABLE = "POCKETGAN_CACHE"  # names another folder
CHECKSUM_BYTES = 32


def cache_folder() -> Path:
    """Where tensors are kept: what `POCKETGAN_CACHE` names, else the system's place for caches."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else user_cache_path("pocketgan")


def cached(key: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of this key from the cache, or made and put there.

    A file that is damaged is made again; a cache that cannot be written is done without.

    Parameters
    ----------
    key
        Tells everything that the tensors depend on, such as digests of images and of networks.
    make
        Makes them.
    """
    path = cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()}.cache"
    found = _read(path)
    if found is None:
        found = {name: tensor.contiguous() for name, tensor in make().items()}
        content = save(found)
        with suppress(PocketganError):
            write_bytes(path, hashlib.sha256(content).digest() + content)
    return found


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[CHECKSUM_BYTES:]).digest() != content[:CHECKSUM_BYTES]:
            return None
        return load(content[CHECKSUM_BYTES:])
    except (OSError, SafetensorError):
        return None
