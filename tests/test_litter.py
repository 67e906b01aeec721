"""What a kill leaves beside --out goes with the next start; what a living process writes there is left alone."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from pocketgan.core import files as unfinished
from pocketgan.core.errors import UsageError
from pocketgan.core.files import alone_in, refuse_existing, refuse_unwritable, whole_folder, write_bytes
from soak.children import POSIX, Child, command
from soak.operations import Operations, kill

pytestmark = pytest.mark.skipif(not POSIX, reason="children are forked, and Windows has no locks on folders")


def litter(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".partial-*"))


def killed(work: Callable[[], object], at: int, err: Path) -> None:
    """Do the work in a child that is killed at its `at`th file operation."""

    def until_killed() -> None:
        Operations(at, kill).install()
        work()

    assert Child(until_killed, err).wait().code == -signal.SIGKILL


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Child]:
    """A living process that writes the folder `tmp_path / "out"`, and is in the middle of it."""

    def hold() -> None:
        with whole_folder(tmp_path / "out") as beside:
            (beside / "half").touch()
            signal.pause()

    child = Child(hold, tmp_path / "err")
    while not list(tmp_path.glob(".partial-*/half")):
        time.sleep(0.01)
    yield child
    child.send(signal.SIGKILL)
    with suppress(ChildProcessError):  # the test has waited for it already
        child.wait()


@pytest.mark.parametrize(("verb", "kills"), [("generate", (3, 5, 9)), ("import", (5,)), ("label", (3, 4))])
def test_a_killed_command_leaves_nothing_after_it_was_given_again(
    verb: str, kills: tuple[int, ...], small_run: Path, tmp_path: Path
) -> None:
    torch.save(torch.load(small_run / "G.pkl", weights_only=True), tmp_path / "weights.pt")
    out = tmp_path / "place" / "out"
    words = {
        "generate": ("generate", small_run, "--count", 4, "--out", out),
        "import": ("import", tmp_path / "weights.pt", "--recipe", "pocket", "--out", out),
        "label": ("classify", "label", small_run, "--count", 4, "--out", out),
    }[verb]
    for at in kills:
        killed(command(*words), at, tmp_path / "err")
        assert litter(tmp_path), "the kill came in the middle"
        again = Child(command(*words), tmp_path / "err").wait()
        assert again.code == 0, again.err
        assert litter(tmp_path) == []
        shutil.rmtree(out) if out.is_dir() else out.unlink()


@pytest.mark.catches("killed write left")
def test_a_file_that_may_be_replaced_is_tidied_by_its_next_writer(tmp_path: Path) -> None:
    """As a second network that is imported into a model's folder."""
    write_bytes(tmp_path / "file", b"old")
    killed(lambda: write_bytes(tmp_path / "file", b"new"), 3, tmp_path / "err")
    assert len(litter(tmp_path)) == 1
    write_bytes(tmp_path / "file", b"new")
    assert litter(tmp_path) == []


@pytest.mark.catches("killed --out left")
def test_the_start_itself_removes_what_a_kill_left(tmp_path: Path) -> None:
    """A long command, such as evaluate, writes only at its end."""

    def hold() -> None:
        with whole_folder(tmp_path / "out"):
            signal.raise_signal(signal.SIGKILL)

    Child(hold, tmp_path / "err").wait()
    other = tmp_path / ".partial-of-another-place"
    other.touch()
    assert len(litter(tmp_path)) == 2
    refuse_existing(tmp_path / "out")
    assert litter(tmp_path) == [other]


@pytest.mark.catches("living writer swept")
def test_what_a_living_process_writes_is_left_alone_until_it_dies(held: Child, tmp_path: Path) -> None:
    (theirs,) = tmp_path.glob(".partial-*")
    refuse_existing(tmp_path / "out")
    write_bytes(tmp_path / "out", b"the same name, written at the same time")
    with alone_in(tmp_path):
        assert (theirs / "half").exists()
    held.send(signal.SIGKILL)
    held.wait()
    with pytest.raises(UsageError, match="exists already"):
        refuse_existing(tmp_path / "out")
    assert litter(tmp_path) == []


def test_writers_of_one_file_at_once_do_not_remove_each_others_work(tmp_path: Path) -> None:
    def write() -> None:
        for number in range(200):
            write_bytes(tmp_path / "file", b"%d" % number)

    children = [Child(write, tmp_path / f"err{number}") for number in range(3)]
    assert [child.wait() for child in children] == [(0, "")] * 3
    assert (tmp_path / "file").read_bytes() == b"199"
    assert litter(tmp_path) == []


def test_what_is_taken_for_litter_before_its_lock_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, swept = unfinished._lock, list[Path]()

    def slowly(path: Path) -> int | None:
        if not swept:
            swept.append(path)
            path.unlink()
        return lock(path)

    monkeypatch.setattr(unfinished, "_lock", slowly)
    write_bytes(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert len(swept) == 1


def test_without_locks_only_a_folder_of_ones_own_is_tidied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "_lock", lambda path: None)
    with unfinished.unfinished(tmp_path / "out", folder=True) as theirs:
        refuse_unwritable(tmp_path / "out")
        assert litter(tmp_path) == [theirs]
        with alone_in(tmp_path):
            assert litter(tmp_path) == []


def test_a_folder_that_cannot_be_replaced_keeps_what_it_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.name.startswith(".partial-"):
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(Exception, match="Input/output error"), whole_folder(tmp_path / "out") as beside:
        (beside / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]
