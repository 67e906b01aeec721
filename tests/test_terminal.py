"""Progress where there is no terminal: lines in a log, one live line in a notebook."""

from __future__ import annotations

import sys
import threading
from types import ModuleType
from typing import Any

import pytest

from pocketgan.core.terminal import LINE_SECONDS, Bar, Display


class Hours:
    """A clock that moves only when it is told to, or while something waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turn, self.told = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self) -> float:
        return self.now

    def wait(self, ended: threading.Event, seconds: float) -> bool:
        """Stand still until `passes` lets the seconds pass, or the event is set."""
        assert seconds == LINE_SECONDS
        self.told.release()
        while not self.turn.acquire(timeout=0.01):
            if ended.is_set():
                return True
        self.now += seconds
        return False

    def passes(self) -> None:
        """Let `LINE_SECONDS` pass, and what is told then be told."""
        self.told.acquire()
        self.turn.release()
        self.told.acquire()
        self.told.release()


def test_a_log_gets_a_line_every_so_often_and_none_for_short_work(capsys: pytest.CaptureFixture[str]) -> None:
    hours = Hours()
    display = Display(clock=hours, wait=hours.wait)
    with display.bar("short", 10) as bar:
        bar.update(5, "half")
    assert capsys.readouterr().err == ""
    hours = Hours()
    display = Display(clock=hours, wait=hours.wait)
    with display.bar("training", 400) as bar:
        hours.passes()
        bar.update(100, "D 0.5")
        hours.passes()
        bar.line("epoch 1/2")
        bar.update(200)  # the note stays
        hours.passes()
    lines = [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "training 0%",
        "training 25% D 0.5 0:01:30 left",
        "epoch 1/2",
        "training 50% D 0.5 0:00:45 left",
    ]


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(quiet=True)
    with display.bar("training", 2) as bar:
        bar.update(1, "half")
        bar.line("epoch 1/2")
        assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
    assert capsys.readouterr().err == ""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What a notebook, as far as rich and we ask for one, is told to show: new lines and changes of old ones."""
    shown: list[tuple[str, str]] = []

    class Handle:
        def update(self, data: dict[str, str], raw: bool) -> None:
            shown.append(("changed", data["text/plain"]))

    def show(data: dict[str, str], raw: bool, display_id: bool) -> Handle:
        shown.append(("new", data["text/plain"]))
        return Handle()

    module: Any = ModuleType("IPython.display")
    module.display = show
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    return shown


def test_a_notebook_has_one_live_line(notebook: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    hours = Hours()
    display = Display(clock=hours)
    for title in ("training", "scoring"):
        with display.bar(title, 1000) as bar:
            for done in range(1000):
                hours.now += 0.01
                bar.update(done, f"epoch {done // 100}")
                if done % 100 == 99:
                    bar.line(f"epoch {done // 100} of 10")
            bar.update(1000)
    assert [kind for kind, _ in notebook].count("new") == 1
    assert len(notebook) <= 2 * (10 / 0.5 + 2)
    assert notebook[-1] == ("changed", "scoring  100%  epoch 9")
    assert capsys.readouterr() == ("", "")


def test_a_bar_tells_its_state_in_one_line() -> None:
    hours = Hours()
    bar = Bar("training", 3, hours)
    assert str(bar) == "training  0%"
    hours.now = 60
    bar.update(1, "epoch 1")
    assert str(bar) == "training  33%  epoch 1  0:02:00 left"
    bar.update(3)
    assert str(bar) == "training  100%  epoch 1"
