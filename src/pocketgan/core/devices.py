"""Which device to compute on."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from pocketgan.core.errors import UsageError

KINDS = ("cpu", "cuda", "mps")


def find_device(name: str = "auto") -> torch.device:
    """The device of this name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    UsageError
        The name is unknown, or this machine or this build of torch has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in KINDS:
            raise RuntimeError
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"--device {name} is not available here; use auto or cpu (pocketgan doctor tells more)"
        ) from error
    return device


def multiplies_bf16(device: torch.device) -> bool:
    """Whether a device has bf16 matrix products of its own; where they are emulated, they are slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older releases do not tell
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def exactness(device: torch.device) -> dict[str, str | int]:
    """What must be the same for a training to be repeated bit for bit: versions, device, threads, processor.

    Kernels are chosen by the processor's vector instructions, and sums are split among threads.
    """
    return {
        "pocketgan": version("pocketgan"),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }
