"""What this machine can do: versions, cores, memory, devices, measured speed."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch

from pocketgan.core.devices import find_device
from pocketgan.core.process import Neighbours, crowded

EXTRAS = {  # a module of each
    "tensorboard": "tensorboard",
    "onnx": "onnxruntime",
    "hub": "huggingface_hub",
    "parquet": "pyarrow",
    "mat": "scipy",
    "lab": "starlette",
}


class Machine(NamedTuple):
    """What `pocketgan doctor` tells, in its order."""

    pocketgan: str
    python: str
    torch: str
    system: str
    cores: int | None
    threads: int  # that torch computes with
    busy_elsewhere: float | None  # cores that other processes kept busy meanwhile; None where the system does not tell
    advice: str | None  # what follows from it; None where there is nothing to say
    memory_gb: float | None
    free_disk_gb: float  # where the program was started
    devices: tuple[str, ...]
    device_auto: str  # which of them is taken unasked
    fp32_gflops: int  # of matrix products on the CPU
    bf16_gflops: int
    extras: dict[str, bool]  # optional packages, and whether they are here
    data: tuple[str, ...]  # data sets by name, and whether they are here


def this_machine(data: tuple[str, ...]) -> Machine:
    """Look at this machine, for about a second.

    Parameters
    ----------
    data
        What is to be told of data sets.
    """
    neighbours, threads = Neighbours(), torch.get_num_threads()
    fp32_gflops, bf16_gflops = (round(matmul_speed(dtype)) for dtype in (torch.float32, torch.bfloat16))
    busy = neighbours.busy()
    return Machine(
        pocketgan=version("pocketgan"),
        python=platform.python_version(),
        torch=torch.__version__,
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count(),
        threads=threads,
        busy_elsewhere=None if busy is None else round(busy, 1),
        advice=crowded(threads, neighbours.cores, busy),
        memory_gb=_memory_gb(),
        free_disk_gb=round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        devices=("cpu", *(name for name in ("cuda", "mps") if _available(name))),
        device_auto=find_device("auto").type,
        fp32_gflops=fp32_gflops,
        bf16_gflops=bf16_gflops,
        extras={name: importlib.util.find_spec(module) is not None for name, module in EXTRAS.items()},
        data=data,
    )


def matmul_speed(dtype: torch.dtype, side: int = 1024, seconds: float = 0.5) -> float:
    """This machine's matrix-multiplication speed on the CPU, in GFLOP/s: the best of the products done in `seconds`."""
    left, right = torch.ones(side, side, dtype=dtype), torch.ones(side, side, dtype=dtype)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9


def _available(name: str) -> bool:
    return torch.cuda.is_available() if name == "cuda" else torch.backends.mps.is_available()


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
