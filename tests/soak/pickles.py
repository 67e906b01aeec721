"""Points 3 and 4: pickles, damaged and malicious, opened as `pocketgan import` opens them."""

from __future__ import annotations

import os
import random
import signal
import threading
import warnings
from pathlib import Path

from pocketgan.core.errors import PocketganError
from pocketgan.importing import child, tensors
from pocketgan.importing.kinds import Kind
from soak.gadgets import honest, legacy, malicious, state_dict, zipped
from soak.hidden import hidden
from soak.mutants import MEMORY_KB, mutated
from soak.runs import Count

ENDINGS = (".pkl", ".pt", ".safetensors", ".npz", ".png")


class Worker:
    """Stands in for the importer's child: the same code, forked instead of started anew. `peak` is its memory in kB."""

    def __init__(self) -> None:
        self.peak, self.before = 0, 0

    def __call__(self, path: Path, key: str, kind: Kind) -> bytes:
        """What `tensors._converted` gives."""
        self.before = _resident_kb()
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forking beside threads: the child uses none of them
            pid = os.fork()
        if pid == 0:
            try:
                os.dup2(writing, 1)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                child.main(str(path), key)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(writing)
        timer = threading.Timer(tensors.WALL_SECONDS, os.kill, (pid, signal.SIGKILL))
        timer.start()
        most = child.MEMORY + child.TIMES_THE_FILE * path.stat().st_size
        with os.fdopen(reading, "rb") as stream:
            answer = stream.read(most + 1)
        timer.cancel()
        self.peak = os.wait4(pid, 0)[2].ru_maxrss
        return tensors.answer_of(path, answer, most, kind)


def of_strangers(folder: Path, every: int = 1) -> list[Count]:
    """Open every malicious file (or every so many) under five endings, and honest files beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "victim").write_text("must stay")
    (folder / "script.py").write_text(f"open({str(folder / 'mark')!r}, 'w')")
    files = list({**malicious(folder), **hidden(folder)}.items())[::every]
    worker, saved, failed, honest_failed = Worker(), honest(), [], []
    for number, (name, content) in enumerate(files):
        for ending in ENDINGS:
            honest_too = name == "zip with two data.pkl"  # whichever is taken, nothing may be run
            wrong = _refused(folder, folder / f"file{ending}", content, worker, honest_too)
            if wrong:
                failed.append(f"{name} as {ending}: {wrong}")
        for good in (saved[number % len(saved)], saved[-1 - number % len(saved)]):
            (folder / "honest.pkl").write_bytes(good)
            if not _is_read(folder / "honest.pkl", worker):
                honest_failed.append(name)
    kinds = f"malicious files of {len(files)} kinds, each under {len(ENDINGS)} endings"
    return [
        Count(kinds, len(files) * len(ENDINGS), failed),
        Count("honest files imported beside them", len(files) * 2, honest_failed),
    ]


def _is_read(path: Path, worker: Worker) -> bool:
    """Whether an honest file gives its two tensors."""
    converted, tensors._converted = tensors._converted, worker
    try:
        return [tuple(value.shape) for value in tensors.read_weights(path).tensors.values()] == [(2, 4), (2,)]
    finally:
        tensors._converted = converted


def damaged(folder: Path, count: int, seed: int = 0) -> Count:
    """Damage honest files of torch.save and open them."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [*honest(), zipped(state_dict()), legacy(state_dict())]
    worker, chance, failed = Worker(), random.Random(seed), []
    for number in range(count):
        content = mutated(chance.choice(seeds), seeds, chance)
        wrong = _refused(folder, folder / "file.pt", content, worker, may_load=True)
        if wrong:
            failed.append(f"{number} ({len(content)} bytes): {wrong}")
    return Count("mutants of pkl and pt", count, failed)


def _refused(folder: Path, path: Path, content: bytes, worker: Worker, may_load: bool = False) -> str | None:
    """What is wrong with how a file was taken; None if it was refused in one line that names it and did nothing."""
    path.write_bytes(content)
    before = sorted(folder.iterdir())
    converted, tensors._converted = tensors._converted, worker
    worker.peak = worker.before = 0
    try:
        tensors.read_weights(path)
        wrong = None if may_load else "it was loaded"
    except PocketganError as error:
        wrong = None if str(path) in str(error) and "\n" not in str(error) else f"the line {str(error)!r}"
    finally:
        tensors._converted = converted
    if worker.peak - worker.before > MEMORY_KB + 4 * len(content) // 1024:
        wrong = f"took {worker.peak - worker.before} kB of memory"
    if sorted(folder.iterdir()) != before or (folder / "mark").exists():
        wrong = f"left {set(folder.iterdir()) - set(before)}"
    return wrong


def _resident_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
