"""`bench throughput`: training beside the loop that tutorials teach, and how fast the shipped generator draws."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.bench.loops import CPU, LOOPS, preset_here
from pocketgan.core.files import write_text
from pocketgan.core.machine import matmul_speed
from pocketgan.core.process import keep_freed_memory, peak_memory_mb
from pocketgan.core.rng import BLOCK
from pocketgan.core.terminal import Display
from pocketgan.data.load import load_images
from pocketgan.models.model import Model
from pocketgan.models.saved import made_with
from pocketgan.training.speed import training_flops

ROUNDS = 5  # turns of both loops
TURN_SECONDS = 4.0  # of each turn, at least
SHIPPED_MODEL = "digits"
DRAWN = 20_000  # images of a turn of sampling


class Speed(NamedTuple):
    """One recipe's row: images a second and memory of both loops."""

    recipe: str
    precision: str
    classroom: float  # images a second, the median of the turns
    here: float
    ratio: float  # the median of the turns' ratios
    least_ratio: float
    most_ratio: float
    gflops: float  # that our loop does a second
    fp32_share: float  # of this machine's fp32 matrix products a second, a fraction
    bf16_share: float  # of its bf16 ones
    classroom_memory_mb: int | None
    memory_mb: int | None


class Drawing(NamedTuple):
    """How fast the shipped generator draws."""

    images_per_second: float  # in bulk, the median of the turns
    gflops: float  # that the generator does a second
    fp32_share: float  # of this machine's fp32 matrix products a second, a fraction
    first_seconds: float  # from a cold start to the first picture on disk, the median of the turns


def throughput(names: list[str], display: Display) -> list[Speed]:
    """Measure each recipe on MNIST's training images.

    Parameters
    ----------
    names
        Presets.
    display
        Where progress is shown.
    """
    data, rows = load_images("mnist"), []
    with display.bar("throughput", len(names) * ROUNDS) as bar:
        for place, name in enumerate(names):
            recipe = preset_here(name, nimg=1 << 40)  # a budget that has no end here
            loops = [warm(loop(data, recipe).steps) for loop in LOOPS.values()]
            turns = []
            for turn in range(ROUNDS):
                turns.append([speed(loop) for loop in loops])
                bar.update(place * ROUNDS + turn + 1, name)
            ratios = [here / classroom for classroom, here in turns]
            here = median(turn[1] for turn in turns)
            gflops = here * training_flops(recipe, data.shape, len(data.class_names)) / 1e9
            memory = [_memory(kind, name) for kind in LOOPS]
            rows.append(
                Speed(
                    recipe=name,
                    precision=recipe.optimizer.precision,
                    classroom=median(turn[0] for turn in turns),
                    here=here,
                    ratio=median(ratios),
                    least_ratio=min(ratios),
                    most_ratio=max(ratios),
                    gflops=gflops,
                    fp32_share=gflops / matmul_speed(torch.float32),
                    bf16_share=gflops / matmul_speed(torch.bfloat16),
                    classroom_memory_mb=memory[0],
                    memory_mb=memory[1],
                )
            )
            display.line(f"{name}: {rows[-1].here:,.0f} images/s, {rows[-1].ratio:.1f} times the classroom loop")
    return rows


def drawing(display: Display) -> Drawing:
    """Measure the shipped generator: in bulk in this process, and one picture by a command that starts cold."""
    model = Model.load(SHIPPED_MODEL, "cpu")
    model.sample(DRAWN // 10)
    speeds, colds = [], []
    with display.bar("sampling", 2 * ROUNDS) as bar:
        for turn in range(ROUNDS):
            began = time.perf_counter()
            for _ in model.stream(DRAWN, seed=turn):
                pass
            speeds.append(DRAWN / (time.perf_counter() - began))
            bar.update(2 * turn + 1, "in bulk")
            colds.append(_cold())
            bar.update(2 * turn + 2, "cold")
    with FlopCounterMode(display=False) as counter:
        model.sample(BLOCK)
    gflops = median(speeds) * counter.get_total_flops() / BLOCK / 1e9
    return Drawing(median(speeds), gflops, gflops / matmul_speed(torch.float32), median(colds))


def _cold() -> float:
    """Seconds of `pocketgan generate digits --digit 7 --count 1`, the interpreter's start included."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "generate",
            SHIPPED_MODEL,
            "--digit",
            "7",
            "--count",
            "1",
            "--out",
            str(Path(folder) / "one"),
            "--quiet",
        ]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "pocketgan", *words], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def warm(loop: Iterator[int]) -> Iterator[int]:
    """The loop after a second of it."""
    speed(loop, seconds=1.0)
    return loop


def speed(loop: Iterator[int], seconds: float = TURN_SECONDS) -> float:
    """Images a second over at least so many seconds, from one step's end to another's."""
    first, began = next(loop), time.perf_counter()
    for shown in loop:
        spent = time.perf_counter() - began
        if spent >= seconds:
            return (shown - first) / spent
    raise AssertionError("the loops have no end")


def _memory(kind: str, name: str) -> int | None:
    """Peak memory in MB of a process that does nothing but this loop, for some steps."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak, (kind, name))


def _peak(kind: str, name: str) -> int | None:
    keep_freed_memory()
    loop = LOOPS[kind](load_images("mnist"), preset_here(name, nimg=1 << 40)).steps
    speed(loop, seconds=2.0)
    return peak_memory_mb()


def write_throughput(rows: list[Speed], drawn: Drawing, out: Path) -> Path:
    """The tables as Markdown."""
    machine = made_with(CPU)
    lines = [
        "# Throughput",
        "",
        "Images a second in training, batch as in the recipe, beside the loop of tutorials: a data loader, images",
        "turned to floats one by one as torchvision does it, fp32, each player's passes apart (`dcgan`: one for both, "
        "as its tutorial has it). Both go without the",
        "diagnosis of underrepresented images that `pocket` makes every three epochs, and with an R1 that stays; both",
        f"keep freed memory, as all commands do. {ROUNDS} turns of each in one",
        "run; the ratio is the median of the turns', with the least and the most. A peak is what this machine's",
        "products of two matrices of 1024 a side reach in the same run. Memory is the peak of a process that does",
        "nothing else.",
        "",
        f"`pocketgan bench throughput`: torch {machine.torch}, {machine.machine}, {machine.threads} threads.",
        "",
        "| recipe | | classroom | pocketgan | ratio | GFLOP/s | of fp32 peak | of bf16 peak | MB, classroom | MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| `{row.recipe}` | {row.precision} | {row.classroom:,.0f} | {row.here:,.0f} "
        f"| {row.ratio:.1f} ({row.least_ratio:.1f} to {row.most_ratio:.1f}) | {row.gflops:,.0f} "
        f"| {row.fp32_share:.0%} | {row.bf16_share:.0%} | {row.classroom_memory_mb} | {row.memory_mb} |"
        for row in rows
    ]
    lines += [
        "",
        f"Sampling from `{SHIPPED_MODEL}`: {drawn.images_per_second:,.0f} images a second in bulk, latents and bytes",
        f"included; {drawn.gflops:,.0f} GFLOP/s, {drawn.fp32_share:.0%} of the fp32 peak. From a cold start,",
        f"`pocketgan generate {SHIPPED_MODEL} --digit 7 --count 1` has its picture on disk after "
        f"{drawn.first_seconds:.1f} s (medians of {ROUNDS}).",
    ]
    write_text(out, "\n".join(lines) + "\n")
    return out
