"""Which device to compute on, and what is right for each kind. docs/devices.md says what is promised on which."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch
import torch.utils.deterministic
from torch import Tensor

from pocketgan.core.errors import UsageError

KINDS = ("cpu", "cuda", "mps")


def find_device(name: str = "auto") -> torch.device:
    """The device of this name; ``auto`` takes CUDA, then MPS, then the CPU.

    The first time that it is a CUDA device, this process is set to compute repeatably there (`compute_repeatably`).

    Raises
    ------
    UsageError
        The name is unknown, this machine or this build of torch has no such device, or it does not work.
    """
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    wanted = best if name == "auto" else name
    if wanted == "cuda" and "LOCAL_RANK" in os.environ:
        wanted = f"cuda:{os.environ['LOCAL_RANK']}"  # torchrun's processes have one each
    try:
        device = torch.device(wanted)
        if device.type not in KINDS:
            raise RuntimeError
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        if name in ("auto", best):  # it is there, and does not work: auto would take it again
            reason = str(error).partition("\n")[0]
            raise UsageError(f"--device {name}: {best} does not work here ({reason}); give --device cpu") from error
        raise UsageError(
            f"--device {name} is not available here; use auto or cpu (pocketgan doctor tells more)"
        ) from error
    if device.type == "cuda":
        compute_repeatably()
    return device


def compute_repeatably() -> None:
    """Have CUDA give the same bits for the same work on the same GPU, and multiply 32-bit floats as such.

    An operation that has no deterministic kernel warns. These are settings of the whole process.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it before its first product
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it would take time
    torch.backends.cudnn.benchmark = False  # it would choose kernels by the clock
    torch.backends.cudnn.allow_tf32 = False  # 10 bits of fraction, by default


def memory_format(device: torch.device) -> torch.memory_format:
    """How convolutions on this device like their tensors: channels last; plain on MPS, where that was often wrong."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device. Copied from the CPU to CUDA, nobody waits for it: from page-locked memory.

    MPS copies while the program waits; its copies that do not wait have read memory that was freed.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def multiplies_bf16(device: torch.device) -> bool:
    """Whether a device has bf16 matrix products of its own; where they are emulated, they are slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older releases do not tell
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def device_name(device: torch.device) -> str:
    """The GPU's model, else ``cpu`` or ``mps``: two models round differently."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def exactness(device: torch.device) -> dict[str, str | int]:
    """What must be the same for a training to be repeated bit for bit: versions, device, threads, processor.

    Kernels are chosen by the processor's vector instructions, and sums are split among threads.
    """
    return {
        "pocketgan": version("pocketgan"),
        "torch": torch.__version__,
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }
