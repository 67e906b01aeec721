"""Child processes that are killed, starved or watched. They are forked, so that none has to import torch again."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from pocketgan import cli

POSIX = hasattr(os, "fork")


class Ended(NamedTuple):
    """How a child ended."""

    code: int  # its exit code; minus the signal's number where a signal ended it
    err: str  # what it wrote to stderr


class Child:
    """A forked process that does one piece of work, its stderr in a file.

    Parameters
    ----------
    work
        Called in the child, which then exits with 0, or as a SystemExit says.
    err
        Where its stderr goes.
    limited
        The child may write no large files: its stderr then goes through a pipe.
    """

    def __init__(self, work: Callable[[], object], err: Path, limited: bool = False) -> None:
        self.err = err
        self.pipe = os.pipe() if limited else None
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forking beside threads: the child uses none of them
            self.pid = os.fork()
        if self.pid == 0:
            self._be_the_child(work)

    def _be_the_child(self, work: Callable[[], object]) -> None:
        code = 70
        try:
            handle = self.pipe[1] if self.pipe else os.open(self.err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            torch.set_num_threads(1)
            work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException as error:
            print(f"uncaught {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            with contextlib.suppress(Exception):
                sys.stderr.flush()
            os._exit(code)

    def send(self, number: int) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _said(self) -> str:
        if self.pipe is None:
            return self.err.read_text(errors="replace")
        reading, writing = self.pipe
        os.close(writing)
        with os.fdopen(reading, errors="replace") as stream:
            return stream.read()

    def wait(self, seconds: float = 120.0) -> Ended:
        """Wait for the end; a child that takes longer is killed, and that is a failure."""
        end = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return Ended(os.waitstatus_to_exitcode(status), self._said())
            if time.monotonic() > end:
                self.send(signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"a child did not end within {seconds} s: {self.err.read_text()}")
            time.sleep(0.002)


def command(*words: object) -> Callable[[], None]:
    """Work for a `Child`: one command line."""
    return lambda: cli.main([str(word) for word in words])
