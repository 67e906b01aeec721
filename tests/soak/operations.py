"""Count the file operations of a process, and let something happen at one of them: a kill, or an error of the disk."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENTS = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def kill(_: str) -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail(number: int) -> Callable[[str], None]:
    """Fail as a disk does."""

    def act(name: str) -> None:
        raise OSError(number, os.strerror(number), name)

    return act


class Operations:
    """Counts opens for writing, writes, syncs, renames, removals and the like; for a child process, since it stays.

    Parameters
    ----------
    at
        The number of the operation, from 1, at which `act` is called; 0 for none.
    act
        Is given the operation's name, just before it happens; a write has then written half.
    lasting
        Call `act` at every later operation that takes space, too, as a disk that is full stays full.
    """

    def __init__(self, at: int, act: Callable[[str], None], lasting: bool = False) -> None:
        self.at, self.act, self.lasting, self.count, self.names = at, act, lasting, 0, [""]

    def install(self) -> None:
        """From now on, count."""
        sys.addaudithook(self._hear)
        sync, opened, handed = os.fsync, io.open, os.fdopen

        def fsync(handle: int) -> None:
            self.step("fsync")
            sync(handle)

        def wrap(opener: Callable[..., Any]) -> Callable[..., Any]:
            def opening(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
                stream = opener(file, mode, *arguments, **options)
                return _Writes(stream, self) if set(mode) & set("wax+") else stream

            return opening

        os.fsync, io.open, os.fdopen = fsync, wrap(opened), wrap(handed)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
            self.step(event, str(arguments[0]))

    def step(self, name: str, about: str = "") -> None:
        """Count one operation."""
        self.count += 1
        self.names.append(f"{name} {Path(about).name}")
        takes_space = name in ("open", "write", "fsync", "os.mkdir")
        if self.count == self.at or (self.lasting and 0 < self.at < self.count and takes_space):
            self.act(name)


class _Writes:
    """A file whose writes are counted."""

    def __init__(self, stream: Any, operations: Operations) -> None:
        self._stream, self._operations = stream, operations

    def write(self, content: Any) -> Any:
        if self._operations.count + 1 == self._operations.at:
            self._stream.write(content[: len(content) // 2])
            self._stream.flush()
        self._operations.step("write")
        return self._stream.write(content)

    def __enter__(self) -> _Writes:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


NO_SPACE, READ_ONLY, BROKEN, TOO_MANY = errno.ENOSPC, errno.EROFS, errno.EIO, errno.EMFILE
