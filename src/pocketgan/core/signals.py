"""Signals that wait for a good moment: the first one is noted, the second one stops at once. Loads no torch unasked."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from pocketgan.core.threads import bound_spinning

STOPS = (signal.SIGINT, signal.SIGTERM)


class Terminated(BaseException):
    """SIGTERM came; as KeyboardInterrupt, it passes all that catches errors."""


class Stop:
    """Whether a signal has asked for the end. `came` is its number, or None."""

    def __init__(self) -> None:
        self.came: int | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler: note the first signal, obey the second."""
        if self.came is not None:
            _end(number)
        self.came = number

    def obey(self) -> None:
        """End now if a signal has come.

        Raises
        ------
        KeyboardInterrupt, Terminated
            SIGINT, or SIGTERM, has come.
        """
        if self.came is not None:
            _end(self.came)


def _end(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def terminate(number: int, frame: FrameType | None) -> NoReturn:
    """The handler of SIGTERM outside of `held_back`."""
    raise Terminated


@contextmanager
def held_back() -> Iterator[Stop]:
    """Note SIGINT and SIGTERM inside the block rather than obey them; the block asks `Stop` at its good moments.

    Signals that the caller ignores stay ignored. Outside of the main thread, where Python handles none, nothing comes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in STOPS}
    taken = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, stop.note)
    try:
        yield stop
    finally:
        for number in taken:
            signal.signal(number, before[number])


def load_torch(threads: int | None = None) -> None:
    """Import torch with signals held back: inside this import one would be swallowed, or leave half of numpy.

    Its waiting threads are told to sleep soon; `threads` says how many compute, and torch decides without it.
    """
    if "torch" not in sys.modules:
        bound_spinning()
    with held_back() as stop:
        torch = importlib.import_module("torch")
    stop.obey()
    if threads is not None:
        torch.set_num_threads(threads)
