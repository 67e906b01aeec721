"""What there is: recipes with their cost, a model's layers, and what this machine can do."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.core.devices import find_device
from pocketgan.core.threads import Neighbours, crowded
from pocketgan.data.datasets import datasets_rows
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import holds
from pocketgan.networks.contracts import Shape
from pocketgan.recipes import Recipe
from pocketgan.training.loop import STEPS, Batch
from pocketgan.training.state import new_state

SPEEDS = {"fp32": torch.float32, "bf16": torch.bfloat16}  # that `doctor` measures


class Layer(NamedTuple):
    """One row of a summary: a layer without children, in the order it is called."""

    name: str
    kind: str
    output: tuple[int, ...]  # shape, the batch left out
    parameters: int


def layer_table(network: nn.Module, *inputs: Tensor) -> list[Layer]:
    """The layers that a network calls for these inputs, with the shapes that they give.

    Parameters
    ----------
    network
        In evaluation mode.
    inputs
        What it is called with; the first axis is the batch.
    """
    rows: list[Layer] = []
    hooks = []
    for name, layer in network.named_modules():
        if next(layer.children(), None) is not None or layer is network:
            continue

        def note(module: nn.Module, _: Any, output: Tensor, name: str = name) -> None:
            count = sum(parameter.numel() for parameter in module.parameters())
            rows.append(Layer(name, type(module).__name__, tuple(output.shape[1:]), count))

        hooks.append(layer.register_forward_hook(note))
    try:
        with torch.no_grad():
            network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def model_layers(model: Model | Classifier) -> dict[str, list[Layer]]:
    """The layers of each network of a saved model, by the network's name."""
    images = torch.zeros(1, *model.shape)
    if isinstance(model, Classifier):
        return {"classifier": layer_table(model.network, images)}
    told = model.conditional or model.recipe.model.clusters > 0
    labels = [torch.zeros(1, dtype=torch.int64)] if told else []
    tables = {"generator": layer_table(model.generator, torch.zeros(1, model.recipe.model.latent_dim), *labels)}
    if model.discriminator is not None:
        tables["discriminator"] = layer_table(model.discriminator, images, *labels)
    return tables


def load_any(path: str | Path) -> Model | Classifier:
    """The model at a path, or else the classifier there.

    Raises
    ------
    UsageError
        There is neither.
    """
    return Classifier.load(path) if holds(path, "classifier") and not holds(path, "model") else Model.load(path)


def training_flops(recipe: Recipe, shape: Shape, classes: int) -> int:
    """Floating-point operations of one training step for each real image: products and sums of all passes."""
    size = recipe.schedule.batch_size
    state = new_state(recipe, shape, classes, torch.device("cpu"))
    labels = torch.zeros(size, dtype=torch.int64)  # of classes, of clusters, or for pairs that look at neither
    latents = torch.zeros(size, recipe.model.latent_dim)
    fresh = torch.zeros_like(latents) if recipe.objective.fresh_latents else latents
    batch = Batch(torch.zeros(size, *shape), labels, latents, fresh)

    def counted(penalised: bool) -> int:
        with FlopCounterMode(display=False) as counter:
            STEPS[recipe.objective.updates](state, batch._replace(penalised=penalised), recipe.objective)
        return int(counter.get_total_flops())

    plain = counted(False)
    penalty = (counted(True) - plain) / recipe.objective.r1_every if recipe.objective.r1 else 0.0
    return round((plain + penalty) / size)


def matmul_speed(dtype: torch.dtype, side: int = 1024, seconds: float = 0.5) -> float:
    """This machine's matrix-multiplication speed on the CPU, in GFLOP/s: the best of the products done in `seconds`."""
    left, right = torch.ones(side, side, dtype=dtype), torch.ones(side, side, dtype=dtype)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9


def machine_facts() -> dict[str, Any]:
    """What this machine can do: versions, cores, memory, devices, speed, extras, and which data sets are here.

    ``busy_elsewhere`` is how many of the cores other processes keep busy while the speed is measured, and ``advice``
    what follows from it; both are None where there is nothing to say.
    """
    neighbours, threads = Neighbours(), torch.get_num_threads()
    speeds = {f"{name}_gflops": round(matmul_speed(dtype)) for name, dtype in SPEEDS.items()}
    busy = neighbours.busy()
    devices = ["cpu", *[name for name in ("cuda", "mps") if _available(name)]]
    return {
        "pocketgan": version("pocketgan"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": threads,
        "busy_elsewhere": None if busy is None else round(busy, 1),
        "advice": crowded(threads, neighbours.cores, busy),
        "memory_gb": _memory_gb(),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "devices": devices,
        "device_auto": find_device("auto").type,
        **speeds,
        "extras": {"tensorboard": importlib.util.find_spec("tensorboard") is not None},
        "data": [f"{row['name']} ({row['state']})" for row in datasets_rows()],
    }


def _available(name: str) -> bool:
    return torch.cuda.is_available() if name == "cuda" else torch.backends.mps.is_available()


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
