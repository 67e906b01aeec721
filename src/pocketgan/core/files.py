"""Files that are whole or absent: written beside, synced, renamed, their folder synced.

Every writer of the program goes through here, so a kill or a full disk leaves either the old file or the new one.
Unfinished files are named for their target, locked while their writer lives (flock, which a death frees at once and
which holds across containers), and removed when it is dead. Windows has no such lock: there only a run's own folder is
tidied. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pocketgan.core.errors import PocketganError, UsageError

if sys.platform != "win32":
    import fcntl


LONGEST_NAME, LONGEST_PATH = 255, 4000  # bytes of one part of a path, and of all of it; Linux takes 255 and 4,095
LOCK, HOLDER = ".lock", ".lock-holder.json"  # of a folder in use, and who uses it
MAX_TEXT_BYTES = 4 << 20  # of a JSON file; what is parsed takes many times as much memory
FILES_SYNCED_ONE_BY_ONE = 200  # in a folder with more, one sync of the whole system is faster by far


@contextmanager
def clear_errors(path: Path, doing: str = "written") -> Iterator[None]:
    """Turn an OSError inside the block (full disk, no permission) into one line that names `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise PocketganError(
            f"{path} could not be {doing}: {reason}; free the space or choose another folder"
        ) from error


def user_path(path: str | Path) -> Path:
    """A path as a person gave it, with ``~`` for the home folder. Every path that the program is given passes here.

    Raises
    ------
    UsageError
        No file can be called so.
    """
    try:
        given = Path(path).expanduser()
        name = os.fsencode(given)
    except (TypeError, ValueError, RuntimeError) as error:  # no text; halves of characters; the home of nobody
        raise UsageError(f"{str(path)[:60]!r} is no path ({error}); give another") from None
    if b"\0" in name or any(len(part) > LONGEST_NAME for part in name.split(b"/")) or len(name) > LONGEST_PATH:
        raise UsageError(f"{str(path)[:60]!r} is no path: it is too long, or has a NUL character; give another")
    return given


def sync_folder(path: Path) -> None:
    """Make renames inside a folder durable. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, or leave what was there.

    Raises
    ------
    PocketganError
        The folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(path) as beside:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(0o644)
            beside.replace(path)
        sync_folder(path.parent)


def write_text(path: Path, content: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """`write_bytes` of indented JSON."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_bytes(path: Path, most: int = MAX_TEXT_BYTES) -> bytes:
    """The bytes of a file of at most `most` bytes; its size is asked before anything is read.

    Raises
    ------
    PocketganError
        The file is missing, unreadable, larger, or no file (a folder, a pipe, a device).
    """
    path = Path(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise PocketganError(f"{path} is no file; give the path of one")
        if found.st_size > most:
            raise PocketganError(
                f"{path} has {found.st_size:,} bytes, more than the {most:,} that are read; shorten it"
            )
        with path.open("rb") as file:
            return file.read(most + 1)[:most]
    except FileNotFoundError as error:
        raise PocketganError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise PocketganError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    PocketganError
        The file is missing, unreadable or no JSON.
    """
    content = read_bytes(path)
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PocketganError(f"{path} is not readable as JSON ({error})") from error


def check_version(path: Path, content: Any, known: int) -> None:
    """Refuse a file of the program's own that a newer version wrote, or that is not one of its files."""
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise PocketganError(f"{path} has no format_version: it was not written by pocketgan")
    if version > known:
        raise PocketganError(
            f"{path} has format {version}, newer than this pocketgan reads ({known}); upgrade pocketgan"
        )


@contextmanager
def whole_folder(target: Path, *, keep: bool = False) -> Iterator[Path]:
    """Fill a folder beside `target` and rename it into place when the block ends well; on an error nothing is left.

    An existing `target` is replaced; callers that must not overwrite use `refuse_existing` first. With `keep`, what
    another process has put there meanwhile stays, and what was filled here goes: for work that many do alike.
    """
    target = Path(target)
    with clear_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(target, folder=True) as beside:
            beside.chmod(0o755)
            yield beside
            _sync_tree(beside)
            if keep:
                try:
                    beside.replace(target)
                except OSError:
                    if not target.is_dir():
                        raise
            elif target.exists():
                with unfinished(target, folder=True) as old:
                    target.replace(old / target.name)
                    try:
                        beside.replace(target)
                    except BaseException:
                        (old / target.name).replace(target)
                        raise
            else:
                beside.replace(target)
        sync_folder(target.parent)


def _sync_tree(folder: Path) -> None:
    """Make all that lies under a folder durable: file by file, or at once where there are many."""
    files = list(islice((path for path in folder.rglob("*") if path.is_file()), FILES_SYNCED_ONE_BY_ONE + 1))
    if len(files) > FILES_SYNCED_ONE_BY_ONE and hasattr(os, "sync"):
        os.sync()
        return
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        sync_folder(path)


def refuse_unwritable(target: Path) -> None:
    """Tell before a long work what could not be written after it.

    Raises
    ------
    PocketganError
        The folder around `target` cannot be made or written.
    """
    with clear_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(target, folder=True):
            pass


def refuse_existing(path: Path) -> None:
    """Refuse to write over anything but an empty folder (hidden files apart); what a kill left beside it is removed.

    Raises
    ------
    UsageError
        Something is there already.
    """
    path = Path(path)
    remove_litter(path)
    if path.is_dir() and all(inside.name.startswith(".") for inside in path.iterdir()):
        return
    if path.exists():
        raise UsageError(f"--out {path} exists already and is left as it is; choose another folder or remove it")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for the length of the block; the lock is freed by death. Unfinished files of the dead are removed.

    Raises
    ------
    UsageError
        Another process holds it; the line tells which.
    PocketganError
        The folder cannot be written.
    """
    from filelock import FileLock, Timeout  # slow to load

    lock = FileLock(folder / LOCK)
    with clear_errors(folder):
        try:
            lock.acquire(blocking=False)
        except Timeout as error:  # itself an OSError
            raise UsageError(
                f"--out {folder} is in use by {_holder(folder)}; wait for it or choose another folder"
            ) from error
    try:
        with clear_errors(folder):
            for litter in list(folder.rglob(f"{PARTIAL}*")):
                remove_unless_held(litter, unsure=True)
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            write_json(folder / HOLDER, {"pid": os.getpid(), "host": platform.node(), "since": since})
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def tidy(folder: Path) -> None:
    """Remove what a process that died at its very end left in a folder, unless another holds it or it is read-only."""
    if (folder / HOLDER).exists():
        with suppress(PocketganError), alone_in(folder):
            pass


def _holder(folder: Path) -> str:
    """Who holds a folder, in words, as far as it is known."""
    try:
        holder = read_json(folder / HOLDER)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (PocketganError, LookupError, TypeError):
        return "another pocketgan"


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


PARTIAL = ".partial-"  # what an unfinished file or folder begins with


@contextmanager
def unfinished(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """A new, empty file (or folder) beside `target`, to be renamed; what is left of it after the block is removed.

    What dead processes left for the same target is removed first, so a disk that they filled has its space again.
    """
    remove_litter(target)
    path, lock = _held(target, folder)
    try:
        yield path
    finally:
        _remove(path)
        if lock is not None:
            os.close(lock)


def remove_litter(target: Path) -> None:
    """Remove unfinished files and folders of `target` whose writer is dead."""
    with suppress(OSError):
        for path in list(target.parent.glob(f"{_beginning(target)}*")):
            remove_unless_held(path)


def remove_unless_held(path: Path, *, unsure: bool = False) -> None:
    """Remove an unfinished file or folder, but not that of a living writer; `unsure`: also where locks cannot tell."""
    try:
        lock = _lock(path)
    except (FileNotFoundError, BlockingIOError):
        return  # renamed or removed meanwhile; or its writer lives
    if lock is not None or unsure:
        _remove(path)
    if lock is not None:
        os.close(lock)


def _beginning(target: Path) -> str:
    """What names of a target's unfinished files begin with; a digest, because a target's own name may be too long."""
    return f"{PARTIAL}{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}-"


def _held(target: Path, folder: bool) -> tuple[Path, int | None]:
    """A new unfinished file or folder, and its lock where there are locks."""
    while True:
        if folder:
            path = Path(tempfile.mkdtemp(prefix=_beginning(target), dir=target.parent))
        else:
            handle, name = tempfile.mkstemp(prefix=_beginning(target), dir=target.parent)
            os.close(handle)
            path = Path(name)
        with suppress(FileNotFoundError, BlockingIOError):  # another process tidies, and took it for litter: anew
            lock = _lock(path)
            if path.exists():
                return path, lock
            if lock is not None:
                os.close(lock)


def _lock(path: Path) -> int | None:
    """Lock a path until what is returned is closed; None where that cannot be done.

    Raises
    ------
    BlockingIOError
        Another holds it.
    FileNotFoundError
        It is gone.
    """
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
