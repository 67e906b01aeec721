"""What a person sees while something runs: a progress bar and small pictures, on stderr. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.text import Text


class Display:
    """Progress on stderr: bars and pictures where it is a terminal, plain lines everywhere; silent if `quiet`.

    Use `bar` around each long piece of work and `update` inside it.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self.quiet = quiet
        self.console = Console(stderr=True, quiet=quiet, highlight=False)

    @contextmanager
    def bar(self, title: str, total: float) -> Iterator[Bar]:
        """A bar that runs from 0 to `total`, with time left, for the length of the block."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        if not self.console.is_terminal or self.quiet:
            yield Bar(None)
            return
        columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()]
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=total, note="")

            def move(done: float, note: str) -> None:
                progress.update(task, completed=done, note=note)

            yield Bar(move)

    def line(self, text: str) -> None:
        """One line, above a running bar."""
        self.console.print(text, markup=False, soft_wrap=True)

    def picture(self, images: NDArray[np.uint8]) -> None:
        """A row of images, uint8 ``[N, C, H, W]``, as many as the terminal is wide, at about half size."""
        if self.console.is_terminal and not self.quiet:
            self.console.print(half_blocks(images, self.console.width))


class Bar:
    """One running bar of a `Display`; without a `move` it shows nothing."""

    def __init__(self, move: Callable[[float, str], None] | None) -> None:
        self.move = move

    def update(self, done: float, note: str = "") -> None:
        """Set how much is done, in the unit of the bar's total, with a short note beside the bar."""
        if self.move is not None:
            self.move(done, note)


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
