"""The two errors a user can cause or meet. Each is one line that names the file or option and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PocketganError(Exception):
    """Something failed: a file cannot be read, a disk is full. Exit code 1."""

    exit_code = 1

    def __str__(self) -> str:
        """One line, whatever names and values it tells of."""
        return " ".join(super().__str__().splitlines())


class UsageError(PocketganError):
    """The request itself is wrong: an unknown name, a value out of range. Exit code 2."""

    exit_code = 2


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error line: ``; did you mean 'x'?`` where one of `known` is close, else the whole list."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(names)}"
