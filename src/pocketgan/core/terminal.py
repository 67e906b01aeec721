"""What a person sees while something runs, on stderr: a bar, lines, small pictures. Imports no torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.text import Text

LINE_SECONDS = 15.0  # between two lines about a bar in a log
LIVE_SECONDS = 0.5  # between two states of a notebook's live line


class Display:
    """Progress on stderr, silent if `quiet`. Use `bar` around each long piece of work and `update` inside it.

    A terminal shows bars and pictures, a notebook one live line. Anything else, such as a log, gets a line every
    `LINE_SECONDS` while a bar runs, whether or not the work reports anything in between.

    Parameters
    ----------
    quiet
        Whether to show nothing.
    clock
        Seconds since any start.
    wait
        Waits until the event is set, but so many seconds at most; whether it was set.
    """

    def __init__(
        self,
        quiet: bool = False,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        from rich.console import Console

        self.quiet, self.clock, self.wait = quiet, clock, wait
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.said: set[str] = set()
        self.handle: Any = None  # of the notebook's live line, once there is one

    @contextmanager
    def bar(self, title: str, total: float) -> Iterator[Bar]:
        """A bar that runs from 0 to `total`, with time left, for the length of the block."""
        bar = Bar(title, total, self.clock)
        if self.quiet:
            yield bar
        elif self.console.is_jupyter:
            with self._live(bar):
                yield bar
        else:
            bar.line = self.line  # type: ignore[method-assign]
            with self._drawn(bar) if self.console.is_terminal else self._logged(bar):
                yield bar

    @contextmanager
    def _drawn(self, bar: Bar) -> Iterator[None]:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()]
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=self.console, transient=True) as progress:
            task = progress.add_task(bar.title, total=bar.total, note="")
            bar.show = lambda: progress.update(task, completed=bar.done, note=bar.note)
            yield

    @contextmanager
    def _logged(self, bar: Bar) -> Iterator[None]:
        """A thread writes the lines, so that work which reports nothing for minutes is not silent."""
        ended = threading.Event()

        def tell() -> None:
            while not self.wait(ended, LINE_SECONDS):
                self.line(str(bar))

        teller = threading.Thread(target=tell, name="progress", daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()

    @contextmanager
    def _live(self, bar: Bar) -> Iterator[None]:
        shown = self.clock()

        def show() -> None:
            nonlocal shown
            if self.clock() - shown >= LIVE_SECONDS:
                shown = self.clock()
                self._set_live(str(bar))

        bar.show = show
        self._set_live(str(bar))
        try:
            yield
        finally:
            self._set_live(str(bar))

    def _set_live(self, text: str) -> None:
        from IPython.display import display

        data = {"text/plain": text}
        if self.handle is None:
            self.handle = display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)

    def line(self, text: str) -> None:
        """One line that stays, above a running bar."""
        self.console.print(text, markup=False, soft_wrap=True)

    def lines(self, texts: Iterable[str]) -> None:
        """Each text on a line, once in the life of the display."""
        for text in texts:
            if text not in self.said:
                self.said.add(text)
                self.line(text)

    def picture(self, images: NDArray[np.uint8]) -> None:
        """A row of images, uint8 ``[N, C, H, W]``, as many as the terminal is wide, at about half size."""
        if self.console.is_terminal and not self.quiet:
            self.console.print(half_blocks(images, self.console.width))


class Bar:
    """One running bar of a `Display`; as text, its state in one line."""

    def __init__(self, title: str = "", total: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.title, self.total, self.clock = title, total, clock
        self.done, self.note, self.began = 0.0, "", clock()
        self.show: Callable[[], None] = lambda: None

    def update(self, done: float, note: str | None = None) -> None:
        """Set how much is done, in the unit of the bar's total, and the short note beside the bar if there is one."""
        self.done = done
        if note is not None:
            self.note = note
        self.show()

    def line(self, text: str) -> None:
        """One line for the record above the bar. A notebook has none: there the bar's note tells the same."""

    def __str__(self) -> str:
        share = min(1.0, self.done / self.total)
        parts = [self.title, f"{share:.0%}", self.note]
        if 0 < share < 1:
            left = (self.clock() - self.began) / share * (1 - share)
            parts.append(f"{timedelta(seconds=round(left))} left")
        return "  ".join(part for part in parts if part)


def half_blocks(images: NDArray[np.uint8], columns: int) -> Text:
    """Images ``[N, C, H, W]`` side by side in at most `columns` characters, two pixels to one upper-half block."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    height, width = images.shape[2] // 2 * 2, images.shape[3] // 2 * 2
    small = images[:, :, :height, :width].reshape(len(images), images.shape[1], height // 2, 2, width // 2, 2)
    small = small.mean(axis=(3, 5)).astype(np.uint8)
    small = np.pad(small, ((0, 0), (0, 0), (0, small.shape[2] % 2), (0, 1)))
    row = np.concatenate(list(small[: max(1, columns // small.shape[3])]), axis=2)
    colours = np.broadcast_to(row, (3, *row.shape[1:]))
    text = Text()
    for y in range(0, row.shape[1], 2):
        for x in range(row.shape[2]):
            upper, lower = (Color.from_rgb(*map(int, colours[:, line, x])) for line in (y, y + 1))
            text.append("▀", Style(color=upper, bgcolor=lower))
        text.append("\n")
    return text
