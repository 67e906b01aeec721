"""Kills, flips, full disks and signals: a sample of what `make soak` does at length."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pocketgan.api import train
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import alone_in, write_bytes
from pocketgan.core.process import Terminated, held_back
from pocketgan.training import checkpoint, listeners
from pocketgan.training.checkpoint import FORMAT_VERSION, checkpoints, load_newest, save_checkpoint
from soak import disk, flips, kills, runs
from soak.children import POSIX, Child

pytestmark = pytest.mark.skipif(not POSIX, reason="children are forked")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small run's data and its undisturbed end lie."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def data(folder: Path) -> Path:
    return runs.whole_run(folder)[0]


def holds(count: runs.Count) -> None:
    assert count.tried > 0
    assert count.failed == []


def test_a_run_killed_at_any_instant_ends_as_the_whole_one(folder: Path) -> None:
    holds(kills.at_random_instants(folder, 4))


@pytest.mark.catches("old checkpoint dropped first")
def test_a_kill_inside_a_save_leaves_a_checkpoint(folder: Path) -> None:
    holds(kills.in_a_save(folder, every=7))


def test_a_kill_during_a_resume_loses_nothing(folder: Path) -> None:
    holds(kills.in_a_resume(folder, every=3, most=5))


@pytest.mark.catches("skipped manifest", "facts without a sum")
def test_every_flip_and_cut_in_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    holds(flips.of_checkpoints(tmp_path, 300))


def test_a_bad_disk_costs_one_line_and_no_checkpoint(folder: Path) -> None:
    holds(disk.at_every_operation(folder, every=11))
    holds(disk.of_sizes(folder, 4))


def test_of_two_starts_one_trains_and_the_other_is_told(folder: Path) -> None:
    holds(disk.paired_starts(folder, 2))


def test_signals_save_and_end_with_their_codes(folder: Path) -> None:
    holds(disk.terminated(folder, 3))


@pytest.mark.catches("signal not saved", "signal waits for a milestone")
def test_a_signal_is_answered_at_the_next_step(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the next milestone of the loop, which a slow recipe reaches late."""
    steps, plain = [], listeners.FiniteCheck.read

    def at_third_step(self: listeners.FiniteCheck, losses: torch.Tensor) -> list[float]:
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGTERM)
        return plain(self, losses)

    monkeypatch.setattr(listeners.FiniteCheck, "read", at_third_step)
    with pytest.raises(Terminated):
        train("mlp", out=tmp_path / "run", source=str(data), nimg=2000, batch_size=16, quiet=True)
    assert [path.name for path in checkpoints(tmp_path / "run" / "checkpoints")] == ["nimg-000000000048"]


@pytest.mark.catches("second signal waits")
def test_a_second_signal_does_not_wait() -> None:
    with held_back() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.came == signal.SIGINT
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            stop.obey()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_of_the_main_thread_no_signal_is_waited_for() -> None:
    came: list[object] = []

    def work() -> None:
        with held_back() as stop:
            came.append(stop.came)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert came == [None]


@pytest.mark.catches("lock ignored", "holder not told")
def test_the_lock_tells_who_holds_it_and_death_frees_it(tmp_path: Path) -> None:
    def hold() -> None:
        with alone_in(tmp_path):
            (tmp_path / "held").touch()
            signal.pause()

    child = Child(hold, tmp_path / "err")
    try:
        while not (tmp_path / "held").exists():
            time.sleep(0.01)
        with pytest.raises(UsageError, match=f"in use by process {child.pid} on .+ since 20"), alone_in(tmp_path):
            pass
    finally:
        child.send(signal.SIGKILL)
        child.wait()
    with alone_in(tmp_path):
        assert json.loads((tmp_path / ".lock-holder.json").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".lock-holder.json").exists()


@pytest.fixture
def stopped(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """A training that was stopped at its second checkpoint; called, it goes on."""
    monkeypatch.setattr(listeners, "CHECKPOINT_SECONDS", 0.0)
    Child(lambda: kills.at_second_save(data, tmp_path / "run", 0), tmp_path / "err").wait()
    monkeypatch.setattr(listeners, "CHECKPOINT_SECONDS", 1000.0)
    options = {"nimg": runs.STEPS * runs.BATCH, "batch_size": runs.BATCH, "ema_share": 0.2, "device": "cpu"}

    def go_on(**more: object) -> object:
        return train("mlp", out=tmp_path / "run", source=str(data), quiet=True, **options, **more)  # type: ignore[arg-type]

    return go_on


@pytest.mark.catches("threads not compared")
def test_other_threads_are_refused_unless_inexact(stopped: Callable[..., object], tmp_path: Path) -> None:
    events = tmp_path / "run" / "events.jsonl"
    before = events.read_bytes()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # the child had one
    try:
        with pytest.raises(UsageError, match=r"threads was 1, is 2; .*--inexact") as caught:
            stopped()
        assert "\n" not in str(caught.value)
        assert events.read_bytes() == before
        stopped(inexact=True)
    finally:
        torch.set_num_threads(threads)
    assert {"event": "inexact", "nimg": 32, "changed": ["threads was 1, is 2"]} in map(
        json.loads, events.read_text().splitlines()
    )


@pytest.mark.catches("newest checkpoint not taken", "holder of a complete run left")
def test_the_same_command_goes_on_and_finds_a_complete_run_complete(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Child(lambda: kills.at_second_save(data, run, 0), tmp_path / "err").wait()
    ended = runs.train(data, run, 1000.0)
    assert (ended.code, "resumed at nimg 32\n" in ended.err) == (0, True)
    (run / ".lock-holder.json").write_text("{}")  # as a process killed at its very end leaves it
    ended = runs.train(data, run, 1000.0)
    assert (ended.code, "is complete" in ended.err) == (0, True)
    assert not (run / ".lock-holder.json").exists()


@pytest.mark.catches("good checkpoint not kept")
def test_the_newest_checkpoint_without_suspicion_is_kept(tmp_path: Path) -> None:
    state = flips.small_state()
    for nimg, suspicions in ((100, {}), (200, {}), (300, {"variety": 1}), (400, {"variety": 2}), (500, {"variety": 3})):
        state.nimg, state.suspicions = nimg, suspicions
        save_checkpoint(tmp_path, state)
    assert [int(path.name[5:]) for path in checkpoints(tmp_path)] == [200, 400, 500]


def test_a_checkpoint_of_other_networks_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    state = flips.small_state()
    state.nimg = 100
    save_checkpoint(tmp_path, state)
    other = flips.small_state()
    other.generator.add_module("more", torch.nn.Linear(2, 2))
    with pytest.raises(PocketganError, match="does not fit the recipe's networks"):
        load_newest(tmp_path, other)


@pytest.mark.parametrize("version", [2, 3])
def test_a_checkpoint_of_an_earlier_version_is_gone_on_with(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 2 knew nothing of underrepresented images, and 3 of an R1 that grows."""
    state = flips.small_state()
    state.nimg = 100
    with monkeypatch.context() as patch:
        tensors, fields = checkpoint._tensors, checkpoint.CheckpointFacts.model_dump_json
        without = {"underrepresented"} if version == 2 else set()
        patch.setattr(checkpoint, "FORMAT_VERSION", version)
        patch.setattr(
            checkpoint,
            "_tensors",
            lambda state: {name: value for name, value in tensors(state).items() if name not in without},
        )
        patch.setattr(
            checkpoint.CheckpointFacts, "model_dump_json", lambda facts, **_: fields(facts, exclude={"r1_growth"})
        )
        save_checkpoint(tmp_path, state)
    fresh = flips.small_state()
    assert load_newest(tmp_path, fresh) == []
    assert fresh.nimg == 100
    assert fresh.r1_growth == 1.0
    assert len(fresh.underrepresented) == 0


@pytest.mark.catches("manifest without its own sum")
def test_a_flipped_version_is_damage_and_not_a_newer_format(tmp_path: Path) -> None:
    state = flips.small_state()
    for nimg in (100, 200):
        state.nimg = nimg
        save_checkpoint(tmp_path, state)
    manifest = checkpoints(tmp_path)[-1] / "manifest.json"
    written = manifest.read_text()
    manifest.write_text(
        written.replace(f'"format_version": {FORMAT_VERSION}', f'"format_version": {FORMAT_VERSION + 1}')
    )
    assert manifest.read_text() != written
    assert load_newest(tmp_path, state) == [f"{manifest} is damaged: its sha256 is not the one that it holds"]
    assert state.nimg == 100


@pytest.mark.catches("no sync", "folder not synced", "in-place save")
def test_a_file_is_synced_before_it_takes_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("old")
    seen: list[tuple[str, str]] = []

    def fsync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        seen.append((f"{kind} synced", (tmp_path / "file").read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_bytes(tmp_path / "file", b"new")
    assert seen == [("file synced", "old"), ("folder synced", "new")]


@pytest.mark.catches("in-place save")
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("old")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PocketganError, match="file could not be written: No space left on device; free the space"):
        write_bytes(tmp_path / "file", b"new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_without_any_whole_checkpoint_a_run_starts_again_and_says_why(data: Path, folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Child(lambda: kills.at_second_save(data, run, 0), tmp_path / "err").wait()
    for path in (run / "checkpoints").iterdir():
        shutil.rmtree(path)
        path.mkdir()
    ended = runs.train(data, run, 1000.0)
    assert ended.err.count("passed over: ") == 2
    assert "resumed at nimg 0\n" in ended.err
    assert runs.digest(run) == runs.digest(folder / "whole")
