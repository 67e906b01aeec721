"""Threads beside other work: what OpenMP is told before torch is loaded, and when fewer threads are advised."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from conftest import ended
from pocketgan.core import process as threads
from pocketgan.core.process import CHOSEN, SPINNING, Crowding, Neighbours, bound_spinning, crowded


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing of OpenMP's waiting."""
    for name in CHOSEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # what is set goes no further
    return monkeypatch


def test_spinning_is_bounded(bare: pytest.MonkeyPatch) -> None:
    bound_spinning()
    assert {name: os.environ.get(name) for name in SPINNING} == SPINNING


@pytest.mark.parametrize("name", CHOSEN)
def test_what_the_user_set_stays(bare: pytest.MonkeyPatch, name: str) -> None:
    os.environ[name] = "7"
    bound_spinning()
    assert {known: os.environ.get(known) for known in CHOSEN} == {**dict.fromkeys(CHOSEN), name: "7"}


def test_the_command_line_bounds_spinning_before_torch_is_loaded() -> None:
    code = (
        "import os, sys\n"
        "from pocketgan.core.process import load_torch\n"
        "found = []\n"
        "class Look:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torch': found.append(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.meta_path.insert(0, Look())\n"
        "load_torch()\n"
        "print(found)\n"
    )
    bare = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([SPINNING["GOMP_SPINCOUNT"]])


@pytest.mark.parametrize(
    ("count", "cores", "busy", "advised"),
    [
        (2, 2, 1.0, 1),
        (2, 2, 1.9, 1),
        (4, 4, 1.0, 3),
        (4, 4, 2.4, 1),
        (8, 8, 0.7, 7),
        (3, 4, 1.6, 2),
    ],
)
def test_fewer_threads_are_advised_where_cores_are_short(count: int, cores: int, busy: float, advised: int) -> None:
    text = crowded(count, cores, busy)
    assert text is not None
    assert f"{busy:.1f} of {cores} cores" in text
    assert f"--threads {advised} " in text


@pytest.mark.parametrize(("count", "cores", "busy"), [(2, 2, 0.3), (1, 2, 2.0), (1, 2, 1.0), (2, 4, 2.2), (2, 2, None)])
def test_nothing_is_said_where_there_is_room_or_nothing_is_known(count: int, cores: int, busy: float | None) -> None:
    assert crowded(count, cores, busy) is None


def stat(**busy: int) -> str:
    """A `/proc/stat` in which cores have worked so many ticks, half of them in the system, and waited many more."""
    rows = [f"{name} {ticks // 2} 0 {ticks - ticks // 2} 9000 700 0 0 0 0 0" for name, ticks in busy.items()]
    return "\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *rows, "intr 5", "ctxt 1"])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, float]:
    """A Linux with cores 0 and 1 for this process, whose clocks the test sets."""
    clocks = {"clock": 0.0, "own": 0.0}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _: 100, raising=False)
    monkeypatch.setattr(threads, "STAT", tmp_path / "stat")
    monkeypatch.setattr(threads.time, "perf_counter", lambda: clocks["clock"])
    monkeypatch.setattr(threads.time, "process_time", lambda: clocks["own"])
    threads.STAT.write_text(stat(cpu0=1000, cpu1=1000, cpu2=1000))
    return clocks


def test_the_work_of_others_is_all_work_on_our_cores_less_our_own(machine: dict[str, float]) -> None:
    neighbours = Neighbours()
    machine.update(clock=10.0, own=5.0)
    threads.STAT.write_text(stat(cpu0=2000, cpu1=1500, cpu2=2000))  # 15 s of work on our two cores, and 10 s elsewhere
    assert neighbours.busy() == pytest.approx(1.0)
    machine.update(clock=20.0, own=15.0)
    threads.STAT.write_text(stat(cpu0=3000, cpu1=1500, cpu2=3000))
    assert neighbours.busy() == 0.0


def test_without_the_kernels_figures_nothing_is_known(machine: dict[str, float]) -> None:
    threads.STAT.unlink()
    neighbours = Neighbours()
    machine.update(clock=10.0)
    assert neighbours.busy() is None


def test_the_note_comes_once_and_not_at_once(machine: dict[str, float]) -> None:
    crowding = Crowding(2)
    threads.STAT.write_text(stat(cpu0=2000, cpu1=2000))
    machine.update(clock=threads.LOOK_SECONDS - 1, own=9.0)
    assert crowding.note() is None, "too early to tell"
    machine.update(clock=threads.LOOK_SECONDS, own=10.0)
    assert crowding.note() == "other processes keep 1.0 of 2 cores busy; --threads 1 may be faster"
    threads.STAT.write_text(stat(cpu0=3000, cpu1=3000))
    machine.update(clock=2 * threads.LOOK_SECONDS, own=20.0)
    assert crowding.note() is None, "it has been said"


@pytest.fixture
def own_threads() -> Iterator[None]:
    """Restores the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("own_threads")
def test_threads_are_the_runs_and_the_checkpoint_knows_them(tmp_path: Path) -> None:
    out, other = tmp_path / "run", torch.get_num_threads() + 1
    assert ended("train", "mlp", "--out", out, "--nimg", 200, "--threads", other, "--quiet", "--device", "cpu") == 0
    assert json.loads((out / "model" / "model.json").read_text())["made_with"]["threads"] == other
    assert ended("train", "mlp", "--out", tmp_path / "other", "--threads", 0) == 2


def test_a_training_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    text = "other processes keep 1.0 of 2 cores busy; --threads 1 may be faster"
    notes = iter([None, text])
    monkeypatch.setattr(Crowding, "note", lambda self: next(notes, None))
    assert ended("train", "mlp", "--out", tmp_path / "run", "--nimg", 20_000, "--device", "cpu") == 0
    assert capfd.readouterr().err.splitlines().count(text) == 1
