"""Files from the net: pinned by checksum, from mirrors in turn, whole or absent, resumed where they stopped.

Proxies come from the environment, as Python's urllib takes them. Nothing is installed before its checksum is the pinned
one; a page of HTML in the place of a file, as captive portals and dead links give it, is told as that.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import clear_errors, sync_folder
from pocketgan.core.terminal import Display
from pocketgan.data._checks import first_line

SECONDS = 30.0  # without a byte, after which a mirror counts as dead
BLOCK = 1 << 20
SHOWN = 8 << 20  # bytes of a file whose download shows its progress
HTML = (b"<!doctype", b"<html", b"<?xml")


class RemoteFile(NamedTuple):
    """A file that is published, and how to know it."""

    name: str
    checksum: str  # algorithm:hexadecimal, as its publisher prints it
    most_bytes: int  # it is not larger


def fetch(file: RemoteFile, mirrors: Sequence[str], folder: Path) -> Path:
    """The path of a published file in `folder`; it is downloaded unless it is there already.

    Parameters
    ----------
    file
        What to fetch.
    mirrors
        Addresses of folders that hold it, each ending in ``/``, in the order in which they are tried.
    folder
        Where it is kept, under its name. What is downloaded is kept under another name until it is whole, and gone on
        with by the next call.

    Raises
    ------
    PocketganError
        No mirror gave the file with its checksum; or `folder` cannot be written.
    """
    target = Path(folder) / file.name
    with clear_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{file.name}.lock")):
            if is_whole(file, target.parent):
                return target
            part = target.with_name(f".{file.name}.part")
            wrong = []
            for mirror in mirrors:
                reason = _try(mirror + file.name, file, part)
                if reason is None:
                    part.replace(target)
                    sync_folder(target.parent)
                    return target
                wrong.append(f"{mirror}{file.name}: {reason}")
    raise PocketganError(
        f"{file.name} could not be downloaded ({'; '.join(wrong)}); try again later, or fetch it by hand and give its "
        "folder: pocketgan datasets --data-folder FOLDER"
    )


def is_whole(file: RemoteFile, folder: Path) -> bool:
    """Whether `folder` holds this file, with its checksum."""
    path = folder / file.name
    if not path.is_file():
        return False
    stat = path.stat()
    if stat.st_size > file.most_bytes:
        return False
    return _known_checksum(path, file, stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns) == file.checksum


def _try(address: str, file: RemoteFile, part: Path) -> str | None:
    """Download to `part`, going on with what is there; why that failed, or None. A wrong file is thrown away."""
    begun = part.stat().st_size if part.exists() else 0
    reason = _download(address, file, part, begun)
    if reason is None and begun and _checksum(part, file) != file.checksum:
        part.unlink()  # what was there was of another file: once more, whole
        reason = _download(address, file, part, 0)
    if reason is not None:
        return reason
    if _checksum(part, file) == file.checksum:
        return None
    with part.open("rb") as stream:
        head = stream.read(64).lstrip().lower()
    part.unlink()
    if head.startswith(HTML):
        return "a page came instead of the file"
    return f"its checksum is not {file.checksum}"


def _download(address: str, file: RemoteFile, part: Path, begun: int) -> str | None:
    """Append to `part` from `begun` on, or write it anew where the server gives no parts; why that failed, or None."""
    request = urllib.request.Request(address, headers={"User-Agent": "pocketgan", "Accept-Encoding": "identity"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    try:
        with urllib.request.build_opener().open(request, timeout=SECONDS) as answer:
            goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {begun}-")
            size = begun if goes_on else 0
            expected = answer.headers.get("Content-Length")
            display = Display(quiet=file.most_bytes < SHOWN)
            with part.open("ab" if goes_on else "wb") as stream, display.bar(file.name, file.most_bytes) as bar:
                came = 0
                while block := answer.read(BLOCK):
                    came += len(block)
                    bar.update(size + came, f"{(size + came) / 1e6:.0f} of {file.most_bytes / 1e6:.0f} MB")
                    if size + came > file.most_bytes:
                        stream.truncate(0)
                        return f"more came than the {file.most_bytes:,} bytes that it has at most"
                    stream.write(block)
                stream.flush()
                os.fsync(stream.fileno())
            if expected is not None and expected.isdecimal() and came < int(expected):
                return f"the connection ended after {came:,} of {int(expected):,} bytes"
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and begun:  # nothing is left to send: the checksum tells whether that is right
            return None
        return f"the server answers {error.code} {str(error.reason).splitlines()[0]}"
    except urllib.error.URLError as error:
        return str(error.reason).splitlines()[0]
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        return first_line(error)
    return None


@lru_cache(maxsize=64)
def _known_checksum(path: Path, file: RemoteFile, *state: int) -> str:
    """A file's checksum, counted once in a process while the file stays as it is: the large ones take a second."""
    return _checksum(path, file)


def _checksum(path: Path, file: RemoteFile) -> str:
    algorithm = file.checksum.partition(":")[0]
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return f"{algorithm}:{digest.hexdigest()}"
