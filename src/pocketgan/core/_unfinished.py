"""Unfinished files and folders: named for their place, locked while their writer lives, removed when it is dead.

The lock is the operating system's (flock), on the unfinished file or folder itself: a death frees it at once, and it
holds across containers, where process numbers say nothing. Windows has none: there only a run's own folder is tidied.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

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
