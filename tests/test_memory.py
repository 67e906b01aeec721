"""This process's memory, as the system tells it."""

from __future__ import annotations

import ctypes
import multiprocessing
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketgan.core.process import peak_memory_mb

ALLOCATE = """
import ctypes
from pocketgan.core.process import keep_freed_memory

class Told(ctypes.Structure):  # by mallinfo(3)
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.mallinfo2.restype = Told

if {kept}:
    keep_freed_memory()
pointer = libc.malloc(20 << 20)
mapped = libc.mallinfo2().e  # hblkhd
libc.free(pointer)
print(mapped, libc.mallinfo2().j)  # keepcost
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file() or "VmHWM:" not in Path("/proc/self/status").read_text(),
    reason="this system tells no peak of one program alone",
)
def test_a_childs_peak_is_not_its_parents() -> None:
    held = np.ones(600 << 17)  # 629 MB
    mine = peak_memory_mb()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        childs = pool.apply(peak_memory_mb)
    assert mine is not None
    assert childs is not None
    assert held.nbytes / 1e6 < mine
    assert 0 < childs < mine - 300


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="another C library's memory is left alone, and an older one does not tell",
)
def test_freed_memory_is_kept_for_what_comes_next() -> None:
    def held(kept: bool) -> list[int]:
        program = [sys.executable, "-c", ALLOCATE.format(kept=kept)]
        told = subprocess.run(program, check=True, capture_output=True, text=True).stdout
        return [int(word) for word in told.split()]

    mapped, at_hand = held(kept=False)
    assert mapped >= 20 << 20  # from the system alone, and back to it
    assert at_hand < 20 << 20
    mapped, at_hand = held(kept=True)
    assert mapped < 20 << 20
    assert at_hand >= 20 << 20
