"""Point 1: SIGKILL at random instants of a run, at every file operation of a save, and of a resume."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pocketgan.training import listeners
from soak import operations, runs
from soak.children import Child
from soak.runs import Count


def at_random_instants(folder: Path, count: int, seed: int = 0) -> Count:
    """Kill runs at random instants, once or several times each; the same command must end as the whole run."""
    data, whole = runs.whole_run(folder)
    chance, failed = random.Random(seed), []
    for number in range(count):
        run = folder / f"killed-{number}"
        length = 1.0
        for _ in range(chance.choice((1, 1, 2, 3))):
            began = time.monotonic()
            child = Child(runs.training_of(data, run), run.with_suffix(".err"))
            time.sleep(chance.uniform(0.0, length))
            child.send(signal.SIGKILL)
            if child.wait().code == 0:
                length = 0.8 * (time.monotonic() - began)  # it had ended already: the next kill comes earlier
        runs.ends_alike(run, whole, failed, f"kill {number}", runs.train(data, run))
        shutil.rmtree(run, ignore_errors=True)
    return Count("SIGKILL at random instants of a run", count, failed)


def in_a_save(folder: Path, every: int = 1) -> Count:
    """Kill at the nth file operation of the second checkpoint, for every (or every so many) n, and go on."""
    data, whole = runs.whole_run(folder)
    failed: list[str] = []
    tried, number = 0, 1
    while True:
        run = folder / "killed-in-a-save"
        shutil.rmtree(run, ignore_errors=True)
        ended = Child(lambda: at_second_save(data, run, number), run.with_suffix(".err")).wait()  # noqa: B023
        if ended.code != -signal.SIGKILL:
            break  # the save has fewer operations
        tried += 1
        ended = runs.train(data, run)
        if "resumed at nimg " not in ended.err or "resumed at nimg 0" in ended.err:
            failed.append(f"operation {number}: no checkpoint was left: {ended.err[-300:]}")
        runs.ends_alike(run, whole, failed, f"operation {number} of a save", ended)
        number += every
    return Count("SIGKILL at each file operation of a save", tried, failed)


def in_a_resume(folder: Path, every: int = 1, most: int = 10_000) -> Count:
    """Kill at the nth file operation of a resumed run, from its first on, and go on."""
    data, whole = runs.whole_run(folder)
    half = folder / "half"
    Child(lambda: at_second_save(data, half, 0), half.with_suffix(".err")).wait()
    failed: list[str] = []
    tried, number = 0, 1
    while tried < most:
        run = folder / "killed-in-a-resume"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(half, run)

        def work(run: Path = run, number: int = number) -> None:
            operations.Operations(number, operations.kill).install()
            runs.training_of(data, run, 1000.0)()

        if Child(work, run.with_suffix(".err")).wait().code != -signal.SIGKILL:
            break
        tried += 1
        runs.ends_alike(run, whole, failed, f"operation {number} of a resume", runs.train(data, run, 1000.0))
        number += every
    return Count("SIGKILL at each file operation of a resumed run", tried, failed)


def at_second_save(
    data: Path, run: Path, number: int, act: Callable[[str], None] = operations.kill, lasting: bool = False
) -> None:
    """Work for a child: train, let `act` happen at an operation of the second checkpoint, and stop after it."""
    save, saves = listeners.save_checkpoint, []

    def watched(*arguments):  # type: ignore[no-untyped-def]
        saves.append(1)
        if len(saves) == 2:
            operations.Operations(number, act, lasting).install()
        save(*arguments)
        if len(saves) == 2:
            raise SystemExit(0)

    listeners.save_checkpoint = watched
    runs.training_of(data, run, 0.0)()
