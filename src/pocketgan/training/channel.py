"""The training's end of the live channel: a socket that is never waited for, and what its viewers ask.

What a viewer does not read is dropped: of frames at most one waits for it, and of everything together `MOST_WAITING`
bytes. What it has missed it gets as one curve when it reads again.
"""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import write_json
from pocketgan.runs.folder import RunFolder
from pocketgan.runs.live import OFFERED, PREFIX, SOCKET, LiveFile, UnfitMessageError, Unpacker, live_socket, pack

MOST_VIEWERS = 64
MOST_WAITING = 1 << 20  # bytes for one viewer
MOST_ASKED = 4096  # bytes in what a viewer asks at once
PIECE = 1 << 16
LAST_SECONDS = 0.2  # for which the last words wait for their readers
CURVE_POINTS = 2048  # an even number

Point: TypeAlias = tuple[int, float, float]  # nimg, and the losses of discriminator and generator


class Viewer:
    """One who looks."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.waiting: deque[memoryview] = deque()
        self.bytes_waiting = 0
        self.unpacker = Unpacker(MOST_ASKED, 0)
        self.is_new = True  # has not been greeted, or has missed something

    def flush(self) -> None:
        """Send what the other end takes now.

        Raises
        ------
        OSError
            It is gone.
        """
        with suppress(BlockingIOError):
            while self.waiting:
                sent = self.connection.send(self.waiting[0])
                self.bytes_waiting -= sent
                if sent < len(self.waiting[0]):
                    self.waiting[0] = self.waiting[0][sent:]
                else:
                    self.waiting.popleft()


class Asked(NamedTuple):
    """What a viewer asks."""

    viewer: Viewer
    content: dict[str, Any]


class Channel:
    """A socket that any number of viewers may look through, and that is closed where none can be had.

    Attributes
    ----------
    fault
        Why there is no socket; None where there is one, or where it was not yet opened.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run, self.fault = run, None if OFFERED else "this system's Python has no Unix sockets"
        self.viewers: list[Viewer] = []
        self._listening: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._folder: Path | None = None

    @property
    def watched(self) -> bool:
        """Whether anybody looks who reads what he gets."""
        return any(not viewer.waiting for viewer in self.viewers)

    def open(self) -> None:
        """Open the socket and name it in the run's folder, which the caller holds alone; once."""
        if self._listening is not None or self.fault is not None:
            return
        self._tidy()
        try:
            self._folder = _private_folder()
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listening = listening
            listening.bind(str(self._folder / SOCKET))
            os.chmod(self._folder / SOCKET, 0o600)  # noqa: PTH101
            listening.listen(MOST_VIEWERS)
            listening.setblocking(False)
            self._selector.register(listening, selectors.EVENT_READ, None)
            write_json(self.run.live_file, LiveFile(socket=str(self._folder / SOCKET), pid=os.getpid()).as_json())
        except (OSError, PocketganError) as error:
            self.close()
            self.fault = str(error)

    def _tidy(self) -> None:
        """Remove what a training that was killed has left."""
        with suppress(PocketganError):
            old = live_socket(self.run)
            if old is not None:
                shutil.rmtree(old.parent, ignore_errors=True)

    def close(self) -> None:
        """Close the socket and take its name away; for good."""
        until = time.perf_counter() + LAST_SECONDS
        while any(viewer.waiting for viewer in self.viewers) and time.perf_counter() < until:
            time.sleep(0.005)
            self._flush()
        for viewer in list(self.viewers):
            self._drop(viewer)
        if self._listening is not None:
            with suppress(KeyError):
                self._selector.unregister(self._listening)
            self._listening.close()
            self._listening = None
        self._selector.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):
                self.run.live_file.unlink(missing_ok=True)
            self._folder = None

    def poll(self, wait: float = 0.0) -> list[Asked]:
        """Let viewers in, send what waits, and read what they ask; waits so many seconds for something to happen."""
        asked: list[Asked] = []
        if self._listening is None:
            if wait:
                time.sleep(wait)
            return asked
        for key, _ in self._selector.select(wait):
            if key.data is None:
                self._let_in(self._listening)
            else:
                asked += self._read(key.data)
        self._flush()
        return asked

    def tell(self, head: dict[str, Any], body: bytes = b"", to: Viewer | None = None) -> None:
        """Put a message before all viewers, or one; who still has not read the last ones misses it."""
        message = memoryview(pack(head, body))
        for viewer in self.viewers if to is None else [to]:
            if viewer.bytes_waiting and (body or viewer.bytes_waiting + len(message) > MOST_WAITING):
                viewer.is_new = viewer.is_new or not body  # a picture is soon replaced; numbers are told again
                continue
            viewer.waiting.append(message)
            viewer.bytes_waiting += len(message)
        self._flush()

    def _flush(self) -> None:
        for viewer in [viewer for viewer in self.viewers if viewer.waiting]:
            try:
                viewer.flush()
            except OSError:
                self._drop(viewer)

    def _let_in(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        if len(self.viewers) >= MOST_VIEWERS:
            connection.close()
            return
        connection.setblocking(False)
        viewer = Viewer(connection)
        self.viewers.append(viewer)
        self._selector.register(connection, selectors.EVENT_READ, viewer)

    def _read(self, viewer: Viewer) -> list[Asked]:
        try:
            piece = viewer.connection.recv(PIECE)
            asked = [Asked(viewer, content) for content, _ in viewer.unpacker.messages(piece)]
        except BlockingIOError:
            return []
        except (OSError, UnfitMessageError):
            piece, asked = b"", []
        if not piece:
            self._drop(viewer)
        return asked

    def _drop(self, viewer: Viewer) -> None:
        if viewer in self.viewers:
            self.viewers.remove(viewer)
            with suppress(KeyError, ValueError):
                self._selector.unregister(viewer.connection)
        viewer.connection.close()


def _private_folder() -> Path:
    """A new folder that only this user can enter, whose name leaves room for a socket's: 108 bytes, 104 on macOS."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    if len(os.fsencode(folder / SOCKET)) < 100:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))


class Allowance:
    """Lets work be done only as often as it costs at most a share of the time.

    Parameters
    ----------
    share
        Of the time, 0 to 1.
    seconds
        From one to the next, at least.
    """

    def __init__(self, share: float, seconds: float) -> None:
        self.share, self.seconds, self.next_at = share, seconds, 0.0

    def due(self, now: float) -> bool:
        """Whether it may be done again."""
        return now >= self.next_at

    def spent(self, began: float, ended: float) -> None:
        """It was done between these two times."""
        self.next_at = max(began + self.seconds, ended + (ended - began) * (1 / self.share - 1))


class Curve:
    """Both losses by step, from the first on: means of so many steps that the points stay few."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.steps = 1  # in a point
        self._sums, self._summed = [0.0, 0.0], 0

    def add(self, nimg: int, loss_d: float, loss_g: float) -> Point:
        """One step more, which is given back."""
        step = nimg, loss_d, loss_g
        self._sums[0] += loss_d
        self._sums[1] += loss_g
        self._summed += 1
        if self._summed < self.steps:
            return step
        self.points.append((nimg, self._sums[0] / self.steps, self._sums[1] / self.steps))
        self._sums, self._summed = [0.0, 0.0], 0
        if len(self.points) == CURVE_POINTS:
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [(last[0], (one[1] + last[1]) / 2, (one[2] + last[2]) / 2) for one, last in pairs]
            self.steps *= 2
        return step

    def back_to(self, nimg: int) -> None:
        """Forget what lies after a training that was rolled back."""
        self.points = [point for point in self.points if point[0] <= nimg]
        self._sums, self._summed = [0.0, 0.0], 0
