"""This process: signals that wait for a good moment, its memory, its threads. Loads no torch unasked."""

from __future__ import annotations

import ctypes
import importlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM)


_command_line: list[str] = []


def came_by(words: list[str]) -> None:
    """Note the command line that this process was started with, without the program's name."""
    _command_line[:] = words


def command_line() -> list[str]:
    """The command line's words; none in a program that is not the command line."""
    return list(_command_line)


def shared_by() -> int:
    """How many processes torchrun has started for this work; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Terminated(BaseException):
    """SIGTERM came; as KeyboardInterrupt, it passes all that catches errors."""


class Stop:
    """Whether a signal has asked for the end. `came` is its number, or None."""

    def __init__(self) -> None:
        self.came: int | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler: note the first signal, obey the second."""
        if self.came is not None:
            _end(number)
        self.came = number

    def ask(self) -> None:
        """Ask for the end as SIGTERM does."""
        if self.came is None:
            self.came = signal.SIGTERM

    def obey(self) -> None:
        """End now if a signal has come.

        Raises
        ------
        KeyboardInterrupt, Terminated
            SIGINT, or SIGTERM, has come.
        """
        if self.came is not None:
            _end(self.came)


def _end(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def terminate(number: int, frame: FrameType | None) -> NoReturn:
    """The handler of SIGTERM outside of `held_back`."""
    raise Terminated


@contextmanager
def held_back() -> Iterator[Stop]:
    """Note SIGINT and SIGTERM inside the block rather than obey them; the block asks `Stop` at its good moments.

    Signals that the caller ignores stay ignored. Outside of the main thread, where Python handles none, nothing comes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in STOPS}
    taken = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, stop.note)
    try:
        yield stop
    finally:
        for number in taken:
            signal.signal(number, before[number])


def load_torch(threads: int | None = None) -> None:
    """Import torch with signals held back: inside this import one would be swallowed, or leave half of numpy.

    Its waiting threads are told to sleep soon; `threads` says how many compute, and torch decides without it.
    """
    if "torch" not in sys.modules:
        bound_spinning()
    with held_back() as stop:
        torch = importlib.import_module("torch")
    stop.obey()
    if threads is not None:
        torch.set_num_threads(threads)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT = 1 << 30  # bytes at the end of the heap that may stay there unused
FROM_HEAP = 1 << 25  # allocations of up to so many bytes come from it; glibc takes no more


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for what is allocated next. With another C library nothing happens.

    By itself it gives an image-sized tensor's memory back to the system at once, and the next step pays for a new page,
    zeroed by the kernel, at every 4 KiB: 10,000 times in a step of `dcgan`, 1,000 in one of `pocket`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, FROM_HEAP)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def peak_memory_mb() -> int | None:
    """The most memory this process has held so far, in MB (10^6 bytes); None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    status = Path("/proc/self/status")
    if status.is_file():  # of this program alone; what `getrusage` says began with the parent's at the fork
        peaks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if peaks:
            return round(int(peaks[0].split()[1]) * 1024 / 1e6)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6)


# what the OpenMP of torch's wheels reads when it is loaded: libgomp on Linux, LLVM's and Intel's elsewhere
SPINNING = {
    "GOMP_SPINCOUNT": "20000",  # turns of a loop; 300,000 by default. 1,000 takes a tenth of a quiet machine's speed
    "KMP_BLOCKTIME": "1",  # milliseconds; 200 by default
}
CHOSEN = (*SPINNING, "OMP_WAIT_POLICY", "KMP_LIBRARY")  # who has set one of these has decided

LOOK_SECONDS = 10.0  # from one look at the other processes to the next
A_BIT = 0.5  # cores that others may take without a word: a core is shared in halves
STAT = Path("/proc/stat")


def bound_spinning() -> None:
    """Let OpenMP's waiting threads sleep soon. It is of use before torch is loaded, and changes nothing else.

    Whoever has set any of the variables of this kind in the environment is left alone.
    """
    if not any(name in os.environ for name in CHOSEN):
        os.environ.update(SPINNING)


class _Ticks(NamedTuple):
    """Seconds since some beginning."""

    clock: float
    busy: float  # of all processes, on the cores that this one may use
    own: float  # of this process


class Neighbours:
    """Cores that other processes keep busy, averaged from one look to the next. Only Linux tells.

    Attributes
    ----------
    cores
        How many this process may use.
    """

    def __init__(self) -> None:
        self.cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._before = _ticks()

    def busy(self) -> float | None:
        """Cores that others kept busy since the last look, 0 to `cores`; None where the system does not tell."""
        before, now = self._before, _ticks()
        self._before = now
        if before is None or now is None or now.clock <= before.clock:
            return None
        others = (now.busy - before.busy) - (now.own - before.own)
        return min(max(0.0, others / (now.clock - before.clock)), float(self.cores))


class Crowding:
    """Tells once that fewer threads than these may be faster, because other processes need cores.

    Parameters
    ----------
    threads
        How many compute.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._neighbours, self._told = threads, Neighbours(), False
        self._looked_at = time.perf_counter()

    def note(self) -> str | None:
        """The line to show, the first time that it is true; at other times None. Cheap enough for every progress line.

        It looks once in `LOOK_SECONDS`.
        """
        if self._told or time.perf_counter() - self._looked_at < LOOK_SECONDS:
            return None
        self._looked_at = time.perf_counter()
        text = crowded(self._threads, self._neighbours.cores, self._neighbours.busy())
        self._told = text is not None
        return text


def crowded(threads: int, cores: int, busy: float | None) -> str | None:
    """What to say where `threads` of this process and `busy` cores of others are more than `cores`; else None."""
    if busy is None or threads < 2 or busy < cores - threads + A_BIT:
        return None
    fewer = max(1, min(threads - 1, cores - math.ceil(busy - A_BIT / 2)))
    return f"other processes keep {busy:.1f} of {cores} cores busy; --threads {fewer} may be faster"


def _ticks() -> _Ticks | None:
    """Where the clocks stand; None where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    try:
        lines = STAT.read_text().splitlines()
    except OSError:
        return None
    cores = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    rows = [line.split()[1:9] for line in lines if line.partition(" ")[0] in cores]
    if len(rows) != len(cores):
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal: all but the two in which nobody computes
    ticks = sum(int(value) for row in rows for place, value in enumerate(row) if place not in (3, 4))
    return _Ticks(time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time())
