"""This process's memory: what it has held at most, and that it keeps what it frees."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT = 1 << 30  # bytes at the end of the heap that may stay there unused
FROM_HEAP = 1 << 25  # allocations of up to so many bytes come from it; glibc takes no more


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for what is allocated next. With another C library nothing happens.

    By itself it gives an image-sized tensor's memory back to the system at once, and the next step pays for a new page,
    zeroed by the kernel, at every 4 KiB: 10,000 times in a step of `dcgan`, 1,000 in one of `pocket`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, FROM_HEAP)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def peak_memory_mb() -> int | None:
    """The most memory this process has held so far, in MB (10^6 bytes); None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    status = Path("/proc/self/status")
    if status.is_file():  # of this program alone; what `getrusage` says began with the parent's at the fork
        peaks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if peaks:
            return round(int(peaks[0].split()[1]) * 1024 / 1e6)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6)
