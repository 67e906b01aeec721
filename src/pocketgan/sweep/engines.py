"""Who runs the cells of a sweep: this machine, as many at a time as its cores bear, or Ray.

Each cell is two commands of the program, in a process of its own with a fixed number of threads. A sweep that was
stopped goes on: a complete run is not trained again, and a scorecard that stands is not made again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pocketgan.core.cluster import RETRIES, ray_cluster
from pocketgan.core.process import Neighbours
from pocketgan.runs.folder import RunFolder
from pocketgan.scorecard.card import CARD
from pocketgan.sweep.plan import Cell

LOOK_SECONDS = 0.2
GRACE_SECONDS = 60.0  # to save in, after a stop


class Ended(NamedTuple):
    """How a cell ended."""

    cell: Cell
    code: int  # 0; 3 where the health watch stopped it
    line: str  # the last one that it said, where the code is not 0


def missing(cell: Cell, out: Path) -> list[list[str]]:
    """The commands of a cell whose results are not there yet."""
    run = RunFolder(out / cell.name)
    if (run.scorecard / CARD).is_file():
        return []
    return [cell.score] if run.is_complete else cell.commands


def environment(threads: int) -> dict[str, str]:
    """The environment of a cell: that of this process, with its number of threads."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


def run_here(cells: list[Cell], out: Path, threads: int, done: Callable[[Ended], None]) -> None:
    """Run the cells on this machine; `done` hears of each that ends.

    After Ctrl-C or SIGTERM the running cells are told to save, and the same sweep goes on later.
    """
    waiting = list(reversed(cells))
    running: dict[str, _Running] = {}
    most = max(1, Neighbours().cores // threads)
    with _stopped(running):
        while waiting or running:
            while waiting and len(running) < most:
                cell = waiting.pop()
                running[cell.name] = _Running(cell, out, threads)
            for name, process in list(running.items()):
                if (ended := process.ended()) is not None:
                    del running[name]
                    done(ended)
            time.sleep(LOOK_SECONDS if running else 0)


class _Running:
    """A cell whose commands run one after another."""

    def __init__(self, cell: Cell, out: Path, threads: int) -> None:
        self.cell, self.commands, self.environment = cell, missing(cell, out), environment(threads)
        self.process: subprocess.Popen[str] | None = None

    def ended(self) -> Ended | None:
        """How it ended, or None while it runs; the next command is started when one has ended well."""
        if self.process is not None:
            if self.process.poll() is None:
                return None
            _, said = self.process.communicate()
            if self.process.returncode:
                return Ended(self.cell, self.process.returncode, _last_line(said))
        if not self.commands:
            return Ended(self.cell, 0, "")
        words = [sys.executable, "-m", "pocketgan", *self.commands.pop(0)]
        self.process = subprocess.Popen(
            words,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a terminal's Ctrl-C reaches the sweep alone, which lets each cell save
        )
        return None

    def stop(self) -> None:
        """Tell it to save and end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()


@contextmanager
def _stopped(running: dict[str, _Running]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for process in running.values():
            process.stop()
        until = time.monotonic() + GRACE_SECONDS
        for process in running.values():
            if process.process is not None:
                try:
                    process.process.communicate(timeout=max(0.1, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.process.kill()
        raise


def _last_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1].removeprefix("pocketgan: ") if lines else ""


def run_by_ray(cells: list[Cell], out: Path, threads: int, address: str | None, done: Callable[[Ended], None]) -> None:
    """Run the cells as tasks of a Ray cluster, or of this machine without an address. All see `out` by the same path.

    Raises
    ------
    UsageError
        The extra is not installed, or there is no cluster at the address.
    PocketganError
        Ray failed.
    """

    def work(commands: list[list[str]], variables: dict[str, str]) -> tuple[int, str]:
        import subprocess
        import sys

        for command in commands:
            words = [sys.executable, "-m", "pocketgan", *command]
            ended = subprocess.run(words, env=variables, capture_output=True, text=True)
            if ended.returncode:
                return ended.returncode, ended.stderr
        return 0, ""

    with ray_cluster(address, "Ray lost a training; the same sweep goes on") as ray:
        task = ray.remote(num_cpus=threads, max_retries=RETRIES)(work)
        tasks = {task.remote(missing(cell, out), environment(threads)): cell for cell in cells}
        waiting = list(tasks)
        while waiting:
            ready, waiting = ray.wait(waiting)
            for reference in ready:
                code, said = ray.get(reference)
                done(Ended(tasks[reference], code, _last_line(said)))
