"""Long work of the lab, one after the other in a thread of its own, and trainings in processes of their own."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from pocketgan.core.errors import PocketganError, UsageError

MOST_JOBS = 64  # that are remembered
MOST_WAITING = 8
MOST_NOTES = 400
MOST_SAID = 4096  # bytes of a command's last words

Watch = Callable[[float, str], None]


class _CancelledError(Exception):
    """Somebody does not want it any more."""


class Job:
    """One piece of long work.

    Attributes
    ----------
    command
        The one that does the same in the terminal.
    state, done, note
        ``waiting``, ``working``, ``done``, ``failed`` or ``cancelled``; the share that is done, and what it says.
    notes
        All shares and notes so far, thinned.
    stages
        What there is to see of it so far, where it has any.
    result, why
        What it gave; why it failed.
    """

    def __init__(
        self, kind: str, command: str, work: Callable[[Watch], Any], stages: list[dict[str, Any]] | None = None
    ) -> None:
        self.id, self.kind, self.command, self.work = secrets.token_hex(8), kind, command, work
        self.state: Literal["waiting", "working", "done", "failed", "cancelled"] = "waiting"
        self.done, self.note, self.why = 0.0, "", ""
        self.notes: list[tuple[float, str]] = []
        self.stages = [] if stages is None else stages
        self.result: Any = None
        self.cancelled = False

    @property
    def is_open(self) -> bool:
        """Whether it waits or is being done."""
        return self.state in ("waiting", "working")

    def run(self) -> None:
        """Do it."""
        if self.cancelled:
            self.state = "cancelled"
            return
        self.state = "working"
        try:
            self.result = self.work(self._watch)
            self.done, self.state = 1.0, "done"
        except _CancelledError:
            self.state = "cancelled"
        except PocketganError as error:
            self.state, self.why = "failed", str(error)
        except Exception as error:  # it must not take the thread with it
            self.state, self.why = "failed", f"internal error: {type(error).__name__}: {error}"

    def _watch(self, done: float, note: str) -> None:
        if self.cancelled:
            raise _CancelledError
        self.done, self.note = done, note
        self.notes.append((round(done, 4), note))
        if len(self.notes) > MOST_NOTES:
            del self.notes[::2]

    def as_json(self) -> dict[str, Any]:
        """As the page sees it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "done": self.done,
            "note": self.note,
            "notes": self.notes[-100:],
            "stages": self.stages,
            "why": self.why,
            "result": self.result,
            "command": self.command,
        }


class Jobs:
    """All long work of one server."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "work")
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(
        self, kind: str, command: str, work: Callable[[Watch], Any], stages: list[dict[str, Any]] | None = None
    ) -> Job:
        """Put work behind what waits; what it puts into `stages` is shown while it works.

        Raises
        ------
        UsageError
            Too much waits already.
        """
        job = Job(kind, command, work, stages)
        with self._lock:
            if sum(other.is_open for other in self._jobs.values()) >= MOST_WAITING:
                raise UsageError("too much work waits already; let some of it end, or cancel it")
            self._jobs[job.id] = job
            for old in [old for old in self._jobs.values() if not old.is_open][:-MOST_JOBS]:
                del self._jobs[old.id]
        self._thread.submit(job.run)
        return job

    def get(self, identity: str) -> Job:
        """The job of this id.

        Raises
        ------
        UsageError
            There is none.
        """
        job = self._jobs.get(identity)
        if job is None:
            raise UsageError(f"there is no job {identity[:40]!r}; it was another server's, or is long over")
        return job

    def close(self) -> None:
        """Give up what waits and what works."""
        for job in self._jobs.values():
            job.cancelled = True
        self._thread.shutdown(wait=False, cancel_futures=True)


class Launched:
    """A command of the program that was started in a process session of its own, and belongs to nobody."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pocketgan", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,
        )

    def close(self) -> None:
        """Listen no longer; it goes on."""
        self._said.close()

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line that it said."""
        said = self._said.fileno()  # whose place of writing is the child's too, and stays where it is
        size = os.fstat(said).st_size
        piece = os.pread(said, MOST_SAID, max(0, size - MOST_SAID)) if hasattr(os, "pread") else b""
        lines = piece.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def checked_name(name: str) -> str:
    """The name of a new run.

    Raises
    ------
    UsageError
        It is no plain name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise UsageError(
            f"{name[:80]!r} is no name for a run: give at most 64 letters, digits, '-', '_' and '.', no sign first"
        )
    return name
