"""`make soak`: the long form of every fault, in shards of under an hour; the counts go to docs/reliability.md."""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from soak import disk, flips, guided, health, hosts, kills, lab, mutants, pickles, planted, report
from soak.runs import Count

FILES = ("IDX and gzip", "NPZ and NPY", "PNG and JPEG", "TOML", "safetensors", "metadata.csv")

SHARDS: dict[str, Callable[[Path], list[Count]]] = {
    "kills": lambda folder: [
        kills.at_random_instants(folder, 200),
        kills.in_a_save(folder),
        kills.in_a_resume(folder),
    ],
    "flips": lambda folder: [flips.of_checkpoints(folder, 10_000)],
    "files": lambda folder: [mutants.of_kind(folder / name, name, 20_000) for name in FILES],
    "guided": lambda folder: [guided.of_kind(folder / name, name, 300) for name in FILES],
    "pickles": lambda folder: [*pickles.of_strangers(folder / "a"), pickles.damaged(folder / "b", 5_000)],
    "numbers": lambda folder: [health.not_finite(80)],
    "constant": lambda folder: [health.collapses("constant G", 10)],
    "ignored": lambda folder: [health.collapses("ignored z", 10)],
    "rate": lambda folder: [health.hasty(name, 10) for name in health.HASTY],
    "healthy": lambda folder: [health.healthy(30)],
    "lab": lab.cards,
    "disk": lambda folder: [
        disk.at_every_operation(folder),
        disk.of_sizes(folder, 64),
        disk.with_few_handles(folder),
        disk.paired_starts(folder, 50),
        disk.terminated(folder, 100),
    ],
    "hosts": lambda folder: [hosts.same_bytes(folder / "a"), hosts.stopped_peer(folder / "b")],
    "planted": lambda folder: [planted.caught(folder)],
}


def main(names: list[str]) -> int:
    """Run the shards of these names, or all; 1 if anything failed."""
    unknown = [name for name in names if name not in SHARDS]
    if unknown:
        print(f"shard {unknown[0]} is unknown; known: {', '.join(SHARDS)}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    failures = 0
    for name in names or SHARDS:
        if name == "guided" and not guided.CAN_LEAD:
            print("guided: left out, for there is no atheris here (make setup, then pip install '.[fuzz]')", flush=True)
            continue
        if name == "hosts" and not hosts.CAN_JOIN:
            print("hosts: left out, for it needs Linux, root and /dev/net/tun", flush=True)
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            counts = SHARDS[name](Path(folder))
        seconds = time.monotonic() - began
        for count in counts:
            print(f"{name}: {count.what}: {len(count.failed)} of {count.tried:,} failed", flush=True)
            for line in count.failed[:20]:
                print(f"    {line[:500]}", flush=True)
            failures += len(count.failed)
        report.keep(name, counts, seconds, f"{platform.system()} {platform.machine()}, torch {torch.__version__}")
    report.write(SHARDS)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
