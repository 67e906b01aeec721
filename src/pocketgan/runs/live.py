"""The live channel of a run: where its socket lies, and the form of a message. Imports no torch.

A training that runs offers a Unix socket to its owner. It lies in a private folder of its own under the system's
temporary one, because a socket's path may have 108 bytes at most, and because not every file system of a run can hold
one. A file in the run's folder names it. Windows' Python has no such sockets: there no training can be watched.

A message is two lengths, a head of JSON and a body of bytes; the bodies are pixels.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import read_json
from pocketgan.runs.facts import Record, checked
from pocketgan.runs.folder import RunFolder

OFFERED = hasattr(socket, "AF_UNIX")
PREFIX, SOCKET = "pocketgan-", "live"  # of the private folder, and the socket in it
LENGTHS = struct.Struct(">II")  # of head and body
MOST_HEAD, MOST_BODY = 4 << 20, 16 << 20  # bytes; who sends more is not answered


class LiveFile(Record):
    """The file in a run's folder that names its socket."""

    socket: str
    pid: int


class UnfitMessageError(PocketganError):
    """What came is no message."""


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """A message as bytes."""
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


class Unpacker:
    """Messages out of bytes that come in pieces.

    Parameters
    ----------
    most_head, most_body
        Bytes that a message may have.
    """

    def __init__(self, most_head: int = MOST_HEAD, most_body: int = MOST_BODY) -> None:
        self._most = most_head, most_body
        self._kept = bytearray()

    def messages(self, piece: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The messages that end in this piece.

        Raises
        ------
        UnfitMessageError
            One is too long, or its head is no JSON object.
        """
        self._kept += piece
        while len(self._kept) >= LENGTHS.size:
            head, body = LENGTHS.unpack_from(self._kept)
            if head > self._most[0] or body > self._most[1]:
                raise UnfitMessageError(f"a message of {head:,} and {body:,} bytes is longer than what is read")
            end = LENGTHS.size + head + body
            if len(self._kept) < end:
                return
            message = bytes(self._kept[LENGTHS.size : end])
            del self._kept[:end]
            try:
                content = json.loads(message[:head])
            except (ValueError, RecursionError) as error:
                raise UnfitMessageError(f"a message has no head of JSON ({error})") from error
            if not isinstance(content, dict):
                raise UnfitMessageError("a message's head is no JSON object")
            yield content, message[head:]


def live_socket(run: RunFolder) -> Path | None:
    """The socket of a run's training; None where the run names none that is this user's own.

    A run's folder may come from a stranger, so what it names is believed only where the socket and the private folder
    around it belong to this user.

    Raises
    ------
    PocketganError
        The file that names it is damaged.
    """
    if not OFFERED or not run.live_file.is_file():
        return None
    path = Path(checked(LiveFile, read_json(run.live_file), run.live_file).socket)
    return path if is_own(path) else None


def is_own(path: Path) -> bool:
    """Whether this is a channel's socket, in a private folder, and both are this user's."""
    if not OFFERED or path.name != SOCKET or not path.parent.name.startswith(PREFIX):
        return False
    try:
        folder, found = path.parent.lstat(), path.lstat()
    except OSError:
        return False
    private = stat.S_ISDIR(folder.st_mode) and not folder.st_mode & 0o077
    return private and stat.S_ISSOCK(found.st_mode) and {folder.st_uid, found.st_uid} == {os.getuid()}
