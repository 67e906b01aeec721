"""The lab's end of the live channel: one look at each training, however many pages show it. Imports no torch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from pocketgan.core.errors import PocketganError
from pocketgan.lab.runs import state_of
from pocketgan.runs.folder import RunFolder
from pocketgan.runs.live import OFFERED, Unpacker, live_socket, pack

AGAIN_SECONDS = 0.5  # from one look for a training that does not run to the next
ASKED_SECONDS = 1.0  # that the list of runs waits for one to say whether it is paused
MOST_KEPT = 200  # messages that wait for one page; of pictures, the last one
MOST_POINTS = 8192  # of a curve
PIECE = 1 << 16
NO_CHANNEL = "trainings cannot be watched here: this system's Python has no Unix sockets; their files still tell"


class Page:
    """One page that shows a training: what waits for it. A page that does not read loses messages, and no memory."""

    def __init__(self) -> None:
        self._texts: deque[bytes] = deque(maxlen=MOST_KEPT)
        self._picture: bytes | None = None
        self._some = asyncio.Event()

    def put(self, head: dict[str, Any], body: bytes = b"") -> None:
        """A message for it."""
        message = pack(head, body)
        if body:
            self._picture = message
        else:
            self._texts.append(message)
        self._some.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """What waits, and what comes; never ends."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._texts:
                yield self._texts.popleft()
            picture, self._picture = self._picture, None
            if picture is not None:
                yield picture


class Feed:
    """One training, looked at while any page shows it, and looked for again where it does not run.

    Parameters
    ----------
    run
        Its folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.pages: list[Page] = []
        self._last: dict[str, tuple[dict[str, Any], bytes]] = {}  # messages by type
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._asked: dict[int, tuple[Page, object]] = {}
        self._number = 0

    def join(self, page: Page) -> None:
        """A page comes; it is told what is known."""
        self.pages.append(page)
        for head, body in self._last.values():
            page.put(head, body)
        if self._task is None:
            self._task = asyncio.create_task(self._look())

    def leave(self, page: Page, by: str) -> None:
        """A page goes; with the last one nobody looks any more."""
        self.pages.remove(page)
        self._send({"do": "release", "by": by})
        if not self.pages and self._task is not None:
            self._task.cancel()
            self._task = None

    def ask(self, page: Page, content: dict[str, Any], by: str) -> None:
        """Send what a page asks to the training, whose answer goes to that page."""
        self._number += 1
        self._asked[self._number] = page, content.get("number")
        while len(self._asked) > MOST_KEPT:
            del self._asked[next(iter(self._asked))]
        if not self._send({**content, "by": by, "number": self._number}):
            del self._asked[self._number]
            page.put({"type": "answer", "number": content.get("number"), "ok": False, "why": "it does not run now"})

    def _send(self, content: dict[str, Any]) -> bool:
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(pack(content))
        return True

    async def _look(self) -> None:
        before = None
        while True:
            with suppress(OSError, PocketganError):
                path = await asyncio.to_thread(live_socket, self.run)
                if path is not None:
                    before = None
                    await self._read(str(path))
            state, why = await asyncio.to_thread(state_of, self.run)
            if (state, why) != before:
                before = state, why
                self._last = {}
                self._tell({"type": "off", "state": state, "why": why if OFFERED else NO_CHANNEL})
            await asyncio.sleep(AGAIN_SECONDS)

    async def _read(self, path: str) -> None:
        """Pass on what a training tells, until it ends."""
        reader, self._writer = await asyncio.open_unix_connection(path)
        unpacker = Unpacker()
        try:
            while piece := await reader.read(PIECE):
                for head, body in unpacker.messages(piece):
                    self._tell(head, body)
        finally:
            self._writer.close()
            self._writer = None
            self._last = {}

    def _tell(self, head: dict[str, Any], body: bytes = b"") -> None:
        if head.get("type") == "answer":
            asked = self._asked.pop(int(head.get("number") or 0), None)
            if asked is not None:
                asked[0].put({**head, "number": asked[1]})
            return
        if head.get("type") == "numbers" and "hello" in self._last:  # who comes later sees these steps too
            points = self._last["hello"][0]["curve"]["points"]
            points += head["losses"]
            if len(points) > MOST_POINTS:
                del points[::2]
        if head.get("type") in ("hello", "numbers", "picture", "off"):
            kept = {**head, "losses": []} if head["type"] == "numbers" else head
            self._last[str(head["type"])] = kept, body
        for page in self.pages:
            page.put(head, body)


async def is_paused(run: RunFolder) -> bool | None:
    """Whether a running training is paused; None where it does not say so in time."""
    with suppress(OSError, PocketganError, asyncio.TimeoutError):
        path = live_socket(run)
        if path is None:
            return None
        async with asyncio.timeout(ASKED_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(path))
            unpacker = Unpacker()
            try:
                while piece := await reader.read(PIECE):
                    for head, _ in unpacker.messages(piece):
                        if head.get("type") == "numbers":
                            return bool(head.get("state") == "paused")
            finally:
                writer.close()
    return None
