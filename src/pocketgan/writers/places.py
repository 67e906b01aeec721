"""Where an image set lies: a local folder, or a store such as S3, by its address. Both hold shards that are whole.

In a local folder a shard is renamed into place. In a store it is written to a temporary folder here and put file by
file, its `provenance.json` last: that lists the size of every other file, so that a shard is known to be whole or not.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import read_json, unfinished, user_path
from pocketgan.data._checks import first_line
from pocketgan.data.image_set import PROVENANCE

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
HERE = ("file", "local")  # protocols of local folders
OF_ONE_PROCESS = "memory://"  # what lies there no other process sees


class Place(ABC):
    """Where the shards of one set lie."""

    name: str  # as it was asked for

    @abstractmethod
    def entries(self) -> list[str]:
        """Names of what is there, files and folders, but for hidden ones; sorted.

        Raises
        ------
        UsageError
            It is a file.
        PocketganError
            It cannot be read.
        """

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Bytes of a file, None where there is none. A store is asked once for all, by `entries`."""

    @abstractmethod
    def facts(self, shards: Sequence[str]) -> list[Any]:
        """What each shard's provenance says; None where there is none in a store, for that is put last.

        Raises
        ------
        PocketganError
            A file cannot be read.
        """

    @abstractmethod
    def filled(self, shard: str) -> Any:
        """A context: a path here to write a shard to, as a new folder. When the block ends well, it is in its place."""

    @abstractmethod
    def about(self) -> Any:
        """A context: a folder here to write files to which tell of the whole set. They are put after the block."""

    @abstractmethod
    def remove(self, shard: str) -> None:
        """Remove a shard that is not whole."""

    @abstractmethod
    def shown(self, path: str) -> Path | str:
        """The path, or the address, of what lies there."""


def place_of(out: str | Path) -> Place:
    """The place that a path or an address such as ``s3://bucket/folder`` names.

    Raises
    ------
    UsageError
        What the address needs is not installed, or nothing can be called so.
    """
    found = ADDRESS.fullmatch(out) if isinstance(out, str) else None
    if found is None:
        return LocalPlace(user_path(out))
    if found[1] in HERE:
        return LocalPlace(user_path(unquote(found[2])))
    return StorePlace(found[0])


def is_store(out: str | Path | None) -> bool:
    """Whether an address is that of a store, and not of a local folder."""
    found = ADDRESS.fullmatch(out) if isinstance(out, str) else None
    return found is not None and found[1] not in HERE


class LocalPlace(Place):
    """A folder of this machine, or one that several machines see by the same path."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, str(folder)

    def entries(self) -> list[str]:
        """As `Place` says."""
        if not self.folder.exists():
            return []
        if not self.folder.is_dir():
            raise UsageError(f"--out {self.name} is a file; choose another folder")
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))

    def size(self, path: str) -> int | None:
        """As `Place` says."""
        try:
            return (self.folder / path).stat().st_size
        except OSError:
            return None

    def facts(self, shards: Sequence[str]) -> list[Any]:
        """As `Place` says; a shard is put in its place at once, so that one without this file is damaged."""
        return [read_json(self.folder / shard / PROVENANCE) for shard in shards]

    @contextmanager
    def filled(self, shard: str) -> Iterator[Path]:
        """As `Place` says; whoever writes there does so whole or not at all."""
        yield self.folder / shard

    @contextmanager
    def about(self) -> Iterator[Path]:
        """As `Place` says."""
        yield self.folder

    def remove(self, shard: str) -> None:
        """As `Place` says."""
        shutil.rmtree(self.folder / shard, ignore_errors=True)

    def shown(self, path: str) -> Path:
        """As `Place` says."""
        return self.folder / path


class StorePlace(Place):
    """A folder of a store that the library `fsspec` knows.

    Parameters
    ----------
    address
        With its protocol. Keys and other settings are those that the store's library reads itself (for S3 ``AWS_…``).
    """

    def __init__(self, address: str) -> None:
        self.name, protocol = address.rstrip("/"), address.partition("://")[0]
        try:
            import fsspec
        except ImportError as error:
            raise UsageError(f"--out {self.name} needs fsspec: pip install fsspec") from error
        try:
            self.store, self.root = fsspec.core.url_to_fs(self.name)
        except ImportError as error:
            extra = "'.[s3]' in pocketgan's source folder" if protocol in ("s3", "s3a") else "what it names"
            raise UsageError(f"--out {self.name}: {first_line(error)}; pip install {extra}") from error
        except ValueError as error:
            raise UsageError(f"--out {self.name}: {first_line(error)}; give a folder or such as s3://…") from error
        self.sizes: dict[str, int] = {}

    @contextmanager
    def _clear(self, doing: str) -> Iterator[None]:
        """Whatever a store's library raises, as one line."""
        try:
            yield
        except PocketganError:
            raise
        except Exception as error:
            raise PocketganError(
                f"--out {self.name} could not be {doing}: {first_line(error)}; look at address, keys and network"
            ) from error

    def entries(self) -> list[str]:
        """As `Place` says."""
        with self._clear("read"):
            self.store.invalidate_cache()
            found = self.store.find(self.root, detail=True)
        if self.root in found:
            raise UsageError(f"--out {self.name} is a file; choose another folder")
        self.sizes = {path[len(self.root) :].lstrip("/"): int(about["size"]) for path, about in found.items()}
        return sorted({path.partition("/")[0] for path in self.sizes if not path.startswith(".")})

    def size(self, path: str) -> int | None:
        """As `Place` says."""
        return self.sizes.get(path)

    def facts(self, shards: Sequence[str]) -> list[Any]:
        """As `Place` says."""
        paths = {
            shard: f"{self.root}/{shard}/{PROVENANCE}" for shard in shards if f"{shard}/{PROVENANCE}" in self.sizes
        }
        with self._clear("read"):
            found = self.store.cat(list(paths.values())) if paths else {}
        told: list[Any] = []
        for shard in shards:
            try:
                told.append(json.loads(found[paths[shard]]) if shard in paths else None)
            except ValueError:
                told.append(None)  # put in part
        return told

    @contextmanager
    def filled(self, shard: str) -> Iterator[Path]:
        """As `Place` says; what a killed process left of it here goes with the next one's."""
        target = Path(tempfile.gettempdir()) / f"{self.name}/{shard}".replace("/", "-")
        with unfinished(target, folder=True) as beside:
            yield beside / "shard"
            self._put(beside / "shard", f"{shard}/")

    @contextmanager
    def about(self) -> Iterator[Path]:
        """As `Place` says."""
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
            self._put(Path(folder), "")

    def _put(self, folder: Path, prefix: str) -> None:
        """All files below a folder, the provenance last; each is looked at once it is there."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for file in sorted(files, key=lambda path: path.name == PROVENANCE):
            target = f"{self.root}/{prefix}{file.relative_to(folder).as_posix()}"
            with self._clear("written"):
                self.store.put_file(str(file), target)
                there = int(self.store.size(target))
            if there != file.stat().st_size:
                raise PocketganError(f"--out {self.name}: {target} has {there} bytes after it was put; try again")

    def remove(self, shard: str) -> None:
        """As `Place` says."""
        with self._clear("written"):
            for path in [path for path in self.sizes if path.startswith(f"{shard}/")]:
                self.store.rm_file(f"{self.root}/{path}")
                del self.sizes[path]

    def shown(self, path: str) -> str:
        """As `Place` says."""
        return f"{self.name}/{path}".rstrip("/")
