"""IDX, the file format of MNIST: a magic number, big-endian sizes, then the bytes. Plain or gzipped.

Source: the description at the end of the MNIST page (LeCun, Cortes, Burges): two zero bytes, a type code (0x08 for
unsigned bytes), the number of dimensions, each dimension as a 32-bit big-endian integer, the data.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
MOST_INFLATED = 1032  # bytes that one byte of deflated data can stand for (zlib's technical details)
MAX_BYTES = 4 << 30  # a larger array is refused before anything is allocated


def is_idx(head: bytes) -> bool:
    """Whether a file that begins with these 4 bytes can be IDX, plain or gzipped. Told by content, not by name."""
    return head[:2] == GZIP_MAGIC or (len(head) == 4 and head[:3] == bytes([0, 0, UNSIGNED_BYTE]) and 1 <= head[3] <= 4)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes: an array of the shape that its header gives.

    Raises
    ------
    PocketganError
        The file is missing, is no IDX file of unsigned bytes, is cut short, or holds more than its header says.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
            return _read_stream(path, stream, None if zipped else os.fstat(raw.fileno()).st_size)
    except FileNotFoundError as error:
        raise PocketganError(f"{path} is missing") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise PocketganError(f"{path} is a damaged gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise PocketganError(f"{path} cannot be read: {error.strerror or error}") from error


def _read_stream(path: Path, stream: BinaryIO, size: int | None) -> NDArray[np.uint8]:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != UNSIGNED_BYTE or not 1 <= head[3] <= 4:
        raise PocketganError(f"{path} is not an IDX file of unsigned bytes: it begins with {head.hex() or 'nothing'}")
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise PocketganError(f"{path} ends inside its header; fetch it again")
    shape = struct.unpack(f">{head[3]}I", sizes)
    expected = math.prod(shape)
    if max(shape, default=0) > MAX_BYTES or expected > MAX_BYTES:
        raise PocketganError(f"{path} claims {expected:,} bytes, more than the {MAX_BYTES:,} that are read")
    if size is None and expected > MOST_INFLATED * path.stat().st_size:
        raise PocketganError(f"{path} claims {expected:,} bytes, more than gzip can hold in a file of its size")
    if size is not None and size != 4 + len(sizes) + expected:
        raise PocketganError(f"{path} has {size:,} bytes where its header asks for {4 + len(sizes) + expected:,}")
    content = bytearray()
    while block := stream.read(min(1 << 22, expected + 1 - len(content))):  # one byte too many shows an oversized file
        content += block
        if len(content) > expected:
            break
    if len(content) != expected:
        kind = "fewer" if len(content) < expected else "more"
        raise PocketganError(f"{path} holds {kind} bytes than the {expected:,} of its header; fetch it again")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def idx_header(shape: tuple[int, ...]) -> bytes:
    """The bytes before the data of an IDX file of unsigned bytes with this shape."""
    return bytes([0, 0, UNSIGNED_BYTE, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
