"""The one line on stderr that an error or a stop gets, with the remedy in it, and the exit code."""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from collections.abc import Container
from typing import NoReturn

from cyclopts import CycloptsError

from pocketgan.core.errors import PocketganError
from pocketgan.core.process import Terminated

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # in torch's RuntimeErrors


def ending(error: BaseException, words: list[str], commands: Container[str]) -> tuple[str, int]:
    """What is said of an error, and the exit code.

    Parameters
    ----------
    error
        What ended the program.
    words
        The command line, without the program's name.
    commands
        The names of all commands, such as ``train`` and ``bench keep``.
    """
    if isinstance(error, CycloptsError):
        return _misread(words, str(error), commands), 2
    if isinstance(error, PocketganError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return _stopped(words), 128 + signal.SIGINT
    if isinstance(error, Terminated):
        return _stopped(words), 128 + signal.SIGTERM
    if isinstance(error, OSError):
        return f"{error.filename or 'stdout'}: {error.strerror or error}", 1
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY):
        return "out of memory; choose fewer images or a smaller --batch-size", 1
    return f"internal error: {type(error).__name__}: {error}; run it again with --debug and report it", 1


def fail(line: str, code: int, debug: bool) -> NoReturn:
    """Print the line, after the traceback of the error that is being handled if `debug`, and exit."""
    if debug:
        traceback.print_exc()
    rank = int(os.environ.get("RANK", "0"))
    if not rank or code < 128:  # of processes that share a training the first one tells of a stop
        number = f"process {rank}: " if rank else ""
        print(f"pocketgan: {number}{' '.join(line.split())}", file=sys.stderr)
    raise SystemExit(code)


def _misread(words: list[str], message: str, commands: Container[str]) -> str:
    """What the parser says of words it cannot use, with the remedy."""
    dotted = next((word for word in words if re.match(r"--[\w-]+\.\w", word)), None)
    if dotted is not None:
        return f"{dotted.partition('=')[0]}: leave the section out and write --{dotted.partition('.')[2]}"
    message = re.sub(r"(?<!\.)\.$", "", message.strip()).replace("Unused Tokens:", "too many words:")
    verbs = [verb for verb in (" ".join(words[:2]), *words[:1], "") if verb in commands and not verb.startswith("-")]
    remedy = " ".join(["pocketgan", *verbs[:1], "--help"])
    return f"{message} See {remedy}" if message.endswith("?") else f"{message}; see {remedy}"


def _stopped(words: list[str]) -> str:
    """What to do after a stop. Only trainings keep what they have done so far."""
    if words[:1] not in (["train"], ["run"]):
        return "stopped; nothing was written"
    again = "the same command" + (" without --redo" if any(word.startswith("--redo") for word in words) else "")
    return f"stopped; {again} goes on from the last checkpoint"
