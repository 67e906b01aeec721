"""Point 6: disks that are full, read-only or failing; two starts at once; SIGTERM."""

from __future__ import annotations

import random
import re
import resource
import shutil
import signal
import time
from pathlib import Path

from soak import operations, runs
from soak.children import Child, Ended
from soak.kills import at_second_save
from soak.runs import Count

ONE_LINE = re.compile(r"pocketgan: [^\n]+\n")
ERRORS = {"full": operations.NO_SPACE, "read-only": operations.READ_ONLY, "failing": operations.BROKEN}


def at_every_operation(folder: Path, every: int = 1) -> Count:
    """Let the disk fail from the nth file operation of the second checkpoint on; then go on, on a good disk."""
    data, whole = runs.whole_run(folder)
    failed: list[str] = []
    tried = 0
    for name, error in ERRORS.items():
        number = 1
        while True:
            run = folder / "faulty"
            shutil.rmtree(run, ignore_errors=True)
            act = operations.fail(error)
            ended = Child(lambda: at_second_save(data, run, number, act, True), run.with_suffix(".err")).wait()  # noqa: B023
            if ended.code == 0:
                break  # the save has fewer operations
            tried += 1
            _told_and_goes_on(data, run, whole, failed, f"{name} disk from operation {number} on", ended)
            number += every
    return Count("disks that are full, read-only or failing, from each file operation of a save on", tried, failed)


def of_sizes(folder: Path, count: int) -> Count:
    """Runs that may write no file larger than a limit, from nothing to the largest file of a run."""
    data, whole = runs.whole_run(folder)
    largest = max(path.stat().st_size for path in (folder / "whole").rglob("*") if path.is_file())
    failed: list[str] = []
    for number in range(count):
        run, size = folder / f"small-{number}", largest * number // count

        def work(run: Path = run, size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            runs.training_of(data, run)()

        child = Child(work, run.with_suffix(".err"), limited=True)
        _told_and_goes_on(data, run, whole, failed, f"files of at most {size} bytes", child.wait())
        shutil.rmtree(run, ignore_errors=True)
    return Count("limits on the size of files", count, failed)


def with_few_handles(folder: Path) -> Count:
    """Runs that may hold few files open, from none on, until one gets through."""
    data, whole = runs.whole_run(folder)
    failed: list[str] = []
    for more in range(16):
        run = folder / f"few-{more}"

        def work(run: Path = run, more: int = more) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (4 + more, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            runs.training_of(data, run)()

        ended = Child(work, run.with_suffix(".err")).wait()
        if ended.code == 0:
            return Count("limits on open files", more, failed)
        _told_and_goes_on(data, run, whole, failed, f"{more} more open files", ended)
        shutil.rmtree(run, ignore_errors=True)
    return Count("limits on open files", 16, failed)


def paired_starts(folder: Path, count: int) -> Count:
    """Start the same run twice at once: one trains, the other is told who holds the folder, or finds it complete."""
    data, whole = runs.whole_run(folder)
    failed: list[str] = []
    for number in range(count):
        run = folder / f"paired-{number}"
        pair = [Child(runs.training_of(data, run), folder / f"paired-{number}-{which}.err") for which in (0, 1)]
        ends = [child.wait() for child in pair]
        for ended, other in zip(ends, reversed(pair), strict=True):
            told = f"in use by process {other.pid} on " in ended.err or "in use by another pocketgan" in ended.err
            fine = ended.code == 0 or (ended.code == 2 and told and ONE_LINE.search(ended.err))
            if not fine:
                failed.append(f"pair {number}: {ended}")
        if all(ended.code == 2 for ended in ends) or runs.digest(run) != whole:
            failed.append(f"pair {number}: {ends}")
        shutil.rmtree(run, ignore_errors=True)
    return Count("paired starts in one folder", count, failed)


def terminated(folder: Path, count: int, seed: int = 0) -> Count:
    """SIGTERM and SIGINT at random instants: exit 143 or 130 within 10 s; the same command ends as the whole run."""
    data, whole = runs.whole_run(folder)
    chance, failed = random.Random(seed), []
    for number in range(count):
        run = folder / f"terminated-{number}"
        which = chance.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGINT))
        child = Child(runs.training_of(data, run, 1000.0), run.with_suffix(".err"))
        time.sleep(chance.uniform(0.1, 0.8))
        child.send(which)
        ended = child.wait(10.0)
        if ended.code not in (0, 128 + which) or (ended.code and not ONE_LINE.search(ended.err)):
            failed.append(f"{which.name} {number}: {ended}")
        runs.ends_alike(run, whole, failed, f"{which.name} {number}", runs.train(data, run, 1000.0))
        shutil.rmtree(run, ignore_errors=True)
    return Count("SIGTERM and SIGINT at random instants", count, failed)


def _told_and_goes_on(
    data: Path, run: Path, whole: dict[str, str], failed: list[str], about: str, ended: Ended
) -> None:
    lines = ended.err.splitlines()
    if ended.code not in (1, 2) or not lines or not lines[-1].startswith("pocketgan: ") or "internal" in lines[-1]:
        failed.append(f"{about}: {ended}")
    ended = runs.train(data, run, 1000.0)
    runs.ends_alike(run, whole, failed, about, ended)
    if litter := [str(path) for path in run.rglob(".partial-*")]:
        failed.append(f"{about}: left {litter}")
