"""Models by their address on the Hugging Face hub: ``hf://OWNER/NAME@REVISION``."""

from __future__ import annotations

import re
from pathlib import Path

from pocketgan.core.errors import PocketganError, UsageError

ADDRESS = re.compile(r"hf:/{1,2}(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
FILES = ["config.json", "model.safetensors"]  # that are downloaded: no code is


def is_address(path: str | Path) -> bool:
    """Whether this is meant as an address on the hub."""
    return str(path).startswith("hf:/")


def downloaded(address: str) -> Path:
    """The folder of a model on the hub, downloaded once for each revision.

    Raises
    ------
    UsageError
        It is no address, names no revision, or `huggingface_hub` is not installed.
    PocketganError
        It cannot be downloaded.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(f"{address} is no address; give hf://OWNER/NAME@REVISION")
    if found["revision"] is None:
        raise UsageError(
            f"{address} names no revision, and what it holds may change; give one of its commits: {address}@COMMIT"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UsageError(
            f"{address} needs huggingface_hub: pip install '.[hub]' in pocketgan's source folder"
        ) from error
    try:
        return Path(snapshot_download(found["repository"], revision=found["revision"], allow_patterns=FILES))
    except Exception as error:  # of the network, of the hub, of the disk
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PocketganError(f"{address} cannot be downloaded: {reason}") from error
