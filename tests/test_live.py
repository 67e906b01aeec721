"""The live channel: a training that is watched, paused and stepped makes the same weights, and waits for nobody."""

from __future__ import annotations

import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketgan.api import train
from pocketgan.core.files import write_json
from pocketgan.core.process import Terminated
from pocketgan.models.model import Model
from pocketgan.models.saved import weights_digest
from pocketgan.runs.folder import RunFolder
from pocketgan.runs.live import OFFERED, UnfitMessageError, Unpacker, live_socket, pack
from pocketgan.training.channel import CURVE_POINTS, MOST_WAITING, Allowance, Channel, Curve
from pocketgan.training.listeners import DRAWN_SHARE, TOLD_SHARE, Live

pytestmark = pytest.mark.skipif(not OFFERED, reason="Windows' Python has no Unix sockets")

SECONDS = 60.0  # after which a test gives up
BATCH = 100  # of mlp
LOOKERS: list[Looker] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Nobody looks on after a test."""
    yield
    while LOOKERS:
        LOOKERS.pop().connection.close()


class Looker:
    """A viewer of a run, who reads what it is told."""

    def __init__(self, run: RunFolder, by: str = "me") -> None:
        until = time.monotonic() + SECONDS
        while (path := live_socket(run)) is None:
            assert time.monotonic() < until, "the training offers no channel"
            time.sleep(0.005)
        self.connection, self.by = socket.socket(socket.AF_UNIX), by
        LOOKERS.append(self)
        self.connection.settimeout(SECONDS)
        self.connection.connect(str(path))
        self.unpacker, self.came, self.number = Unpacker(), list[tuple[dict[str, Any], bytes]](), 0

    def ask(self, do: str, **content: Any) -> dict[str, Any]:
        """Ask for something; the answer."""
        self.number += 1
        self.connection.sendall(pack({"do": do, "by": self.by, "number": self.number, **content}))
        return self.wait(type="answer", number=self.number)[0]

    def wait(self, **wanted: Any) -> tuple[dict[str, Any], bytes]:
        """The next message that says all this."""
        while True:
            while self.came:
                head, body = self.came.pop(0)
                if wanted.items() <= head.items():
                    return head, body
            piece = self.connection.recv(1 << 20)
            assert piece, f"the training has ended before {wanted}"
            self.came += self.unpacker.messages(piece)

    def step(self, steps: int) -> int:
        """Ask for steps; the nimg at which it holds after them."""
        assert self.ask("step", steps=steps)["ok"]
        return int(self.wait(type="numbers", state="paused")[0]["nimg"])


class Trained(threading.Thread):
    """A training in a thread, that begins when somebody looks."""

    def __init__(self, out: Path, nimg: int = 2000) -> None:
        super().__init__(daemon=True)
        self.run_folder, self.nimg, self.error = RunFolder(out), nimg, None
        self.start()

    error: BaseException | None

    def run(self) -> None:
        try:
            train("mlp", out=self.run_folder.path, nimg=self.nimg, quiet=True)
        except BaseException as error:  # the end by a signal too
            self.error = error

    def end(self) -> None:
        self.join(SECONDS)
        assert not self.is_alive()


@pytest.fixture
def waits_for_a_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings take no step before somebody looks, so that tests do not race them."""
    opened = Channel.open

    def wait(channel: Channel) -> None:
        opened(channel)
        while not channel.viewers:
            channel.poll(0.01)

    monkeypatch.setattr(Channel, "open", wait)


@pytest.mark.usefixtures("waits_for_a_viewer")
def test_watched_paused_and_stepped_it_makes_the_same_weights(mlp_model: Model, tmp_path: Path) -> None:
    training = Trained(tmp_path / "run")
    looker = Looker(training.run_folder)
    assert looker.ask("pause")["ok"]
    assert looker.ask("rate", pictures_per_second=60)["ok"]
    head, pixels = looker.wait(type="picture")
    assert head["shape"] == [100, 1, 28, 28]
    assert len(pixels) == 100 * 28 * 28
    assert sum(head["logits"]["real"]) == sum(head["logits"]["fake"]) == 100
    nimg = head["nimg"]
    newest = training.run_folder.checkpoints / f"nimg-{nimg:012d}"
    assert newest.is_dir(), "a pause saves"
    for number in range(7):
        assert looker.step(1) == nimg + (number + 1) * BATCH
    assert looker.step(10) == nimg + 17 * BATCH
    assert training.is_alive()
    assert looker.ask("go")["ok"]
    assert looker.wait(type="end")[0]["reason"] == "budget"
    training.end()
    assert training.error is None
    alone = weights_digest(mlp_model.generator)
    assert weights_digest(Model.load(tmp_path / "run").generator) == alone
    assert not training.run_folder.live_file.exists()


@pytest.mark.usefixtures("waits_for_a_viewer")
def test_who_comes_gets_the_losses_of_all_steps(tmp_path: Path) -> None:
    training = Trained(tmp_path / "run", nimg=1000)
    first = Looker(training.run_folder)
    first.ask("pause")
    at = first.step(4)
    second = Looker(training.run_folder, "other")
    hello = second.wait(type="hello")[0]
    assert (hello["recipe"], hello["batch_size"], hello["total_nimg"]) == ("mlp", BATCH, 1000)
    assert [point[0] for point in hello["curve"]["points"]] == list(range(BATCH, at + 1, BATCH))
    numbers = second.wait(type="numbers")[0]
    assert (numbers["state"], numbers["nimg"], numbers["controller"]) == ("paused", at, "me")
    refused = second.ask("go")
    assert not refused["ok"]
    assert "take over" in refused["why"]
    assert second.ask("take")["ok"]
    assert not first.ask("go")["ok"]
    assert not second.ask("dance")["ok"]
    assert not second.ask("step", steps=0)["ok"]
    assert not second.ask("rate", pictures_per_second=1e9)["ok"]
    second.connection.close()  # who controls is gone: anybody may
    assert first.ask("go")["ok"]
    training.end()
    assert training.error is None


@pytest.mark.usefixtures("waits_for_a_viewer")
def test_stopped_in_a_pause_it_is_saved_and_goes_on(mlp_model: Model, tmp_path: Path) -> None:
    training = Trained(tmp_path / "run")
    looker = Looker(training.run_folder)
    looker.ask("pause")
    at = looker.step(3)
    assert looker.ask("stop")["ok"]
    training.end()
    assert isinstance(training.error, Terminated)
    assert (training.run_folder.checkpoints / f"nimg-{at:012d}").is_dir()
    again = Trained(tmp_path / "run")
    Looker(again.run_folder)
    again.end()
    assert again.error is None
    assert weights_digest(Model.load(tmp_path / "run").generator) == weights_digest(mlp_model.generator)


def test_with_nobody_looking_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Live, *rest: object) -> Any:
        raise AssertionError("drawn for nobody")

    monkeypatch.setattr(Live, "_picture", never)
    monkeypatch.setattr(Live, "_numbers", never)
    train("mlp", out=tmp_path / "run", nimg=2000, quiet=True)


@pytest.mark.parametrize("cost", [0.0005, 0.05, 2.0])
def test_what_is_shown_takes_its_share_of_the_time_whatever_the_rate(cost: float) -> None:
    allowances = [Allowance(TOLD_SHARE, 1 / 60), Allowance(DRAWN_SHARE, 1 / 60)]
    now, spent = 0.0, 0.0
    while now < 100 * cost / TOLD_SHARE:
        for allowance in allowances:
            if allowance.due(now):
                allowance.spent(now, now + cost)
                now, spent = now + cost, spent + cost
        now += 0.1 * cost
    assert 0 < spent / now <= 0.02


# ---- the channel itself ---------------------------------------------------------------------------------------------


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    folder = tmp_path / ("long" * 30) / ("name" * 30)
    folder.mkdir(parents=True)
    channel = Channel(RunFolder(folder))
    channel.open()
    yield channel
    channel.close()
    assert not channel.run.live_file.exists()


def test_the_socket_is_its_owners_alone_however_long_the_runs_path(channel: Channel) -> None:
    path = live_socket(channel.run)
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    Looker(channel.run)
    channel.poll(1.0)
    assert channel.watched


def test_who_does_not_read_costs_no_memory_and_gets_all_again(channel: Channel) -> None:
    stuck, reading = Looker(channel.run), Looker(channel.run)
    while len(channel.viewers) < 2:
        channel.poll(1.0)
    viewer = channel.viewers[0]
    for viewer in channel.viewers:
        viewer.is_new = False
    body = bytes(100 * 28 * 28)
    for number in range(300):
        channel.tell({"type": "numbers", "number": number, "fill": "x" * 20_000})
        channel.tell({"type": "picture", "number": number}, body)
        channel.poll()
        assert reading.wait(type="numbers", number=number)
        assert all(viewer.bytes_waiting <= MOST_WAITING + len(body) for viewer in channel.viewers)
    first, second = channel.viewers
    assert first.is_new, "it has missed numbers, and is told all again"
    assert not second.is_new
    stuck.connection.close()
    while len(channel.viewers) > 1:
        channel.poll(1.0)


def test_who_asks_too_much_is_put_out(channel: Channel) -> None:
    looker = Looker(channel.run)
    looker.connection.sendall(pack({"do": "x" * 10_000}))
    channel.poll(1.0)
    channel.poll(1.0)
    assert not channel.viewers
    looker = Looker(channel.run)
    looker.connection.sendall(pack({"do": "pause"})[:-1] + b"x")
    for _ in range(2):
        channel.poll(1.0)
    assert not channel.viewers


def test_what_a_killed_training_left_is_removed_by_the_next(channel: Channel) -> None:
    old = live_socket(channel.run)
    assert old is not None
    anew = Channel(channel.run)
    anew.open()
    assert not old.parent.exists()
    assert live_socket(channel.run) not in (None, old)
    anew.close()


def test_a_socket_that_a_run_names_is_believed_only_where_it_is_the_users_own(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    private = Path(tempfile.mkdtemp(prefix="pocketgan-"))
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(private / "live"))
            write_json(run.live_file, {"socket": str(private / "live"), "pid": 1})
            assert live_socket(run) == private / "live"
            private.chmod(0o755)
            assert live_socket(run) is None, "others can enter its folder"
            private.chmod(0o700)
            (private / "live").rename(private / "other")
            (private / "live").symlink_to("other")
            assert live_socket(run) is None, "a link leads elsewhere"
            write_json(run.live_file, {"socket": str(private / "other"), "pid": 1})
            assert live_socket(run) is None, "another name"
    finally:
        shutil.rmtree(private)


def test_messages_come_whole_out_of_pieces() -> None:
    sent = [({"type": "a", "n": 1}, b""), ({"type": "b"}, bytes(range(256)) * 3)]
    stream = b"".join(pack(*message) for message in sent)
    for size in (1, 7, 100, len(stream)):
        unpacker, came = Unpacker(), []
        for start in range(0, len(stream), size):
            came += unpacker.messages(stream[start : start + size])
        assert came == sent
    for bad in (b"\xff" * 8, pack({})[:8] + b"[]", pack({"a": 1})[:8] + b"x" * 7):
        with pytest.raises(UnfitMessageError):
            list(Unpacker().messages(bad))


def test_the_curve_stays_short_and_keeps_the_mean() -> None:
    curve, steps = Curve(), 3 * CURVE_POINTS
    for step in range(steps):
        curve.add(step + 1, float(step), 1.0)
    assert len(curve.points) < CURVE_POINTS
    assert curve.points[-1][0] == steps
    assert sum(d for _, d, _ in curve.points) / len(curve.points) == pytest.approx((steps - 1) / 2)
    curve.back_to(100)
    assert max(nimg for nimg, _, _ in curve.points) <= 100
