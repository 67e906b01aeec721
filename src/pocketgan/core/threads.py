"""Threads beside other work: how long they wait by spinning, and whether other processes keep cores busy. No torch.

After each parallel loop OpenMP's threads spin for a while, in the hope of the next loop. Beside a busy process they
spin on a core that the last of them needs to finish.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import NamedTuple

# what the OpenMP of torch's wheels reads when it is loaded: libgomp on Linux, LLVM's and Intel's elsewhere
SPINNING = {
    "GOMP_SPINCOUNT": "1000",  # turns of a loop, some microseconds; 300,000 by default
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
