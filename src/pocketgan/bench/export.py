"""`bench export`: every format of the export, with its size, its time and what opened it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pocketgan.bench.loops import CPU
from pocketgan.core.files import write_text
from pocketgan.export import FORMATS, Exported, export
from pocketgan.models.saved import made_with

OPENED_BY = {"onnx": "onnxruntime {onnxruntime}", "hub": "its generator.py, torch {torch}", "torch": "torch {torch}"}


def write_exports(models: Sequence[str | Path], out: Path, quiet: bool) -> Path:
    """Export each model in a folder that goes again, and write the table as Markdown."""
    made: dict[str, list[Exported]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(models):
            made[Path(model).name] = export(model, Path(folder) / str(number), list(FORMATS), quiet=quiet)
    versions = {name: version(name) for name in ("onnxruntime", "torch")}
    lines = [
        "# Export",
        "",
        "What `pocketgan export MODEL --to onnx,hub,torch` makes, and what opened it. Each file was run on 1,000",
        "latents of seed 0 and compared with pocketgan's own bytes; one that is off by more than 1 of 255 is refused.",
        "The quantised generator has its large weights in 8 bits, a scale for each output channel, and sums in",
        "float32; it is kept if a classifier reads at most 10 of its 1,000 images otherwise. Seconds are those of",
        "making and checking one file; the first ONNX file of a process includes the loading of the exporter.",
        "",
        f"`pocketgan bench export {' '.join(map(str, models))}`: torch {versions['torch']}, "
        f"onnx {version('onnx')}, onnxscript {version('onnxscript')}, {made_with(CPU).machine}.",
        "",
        "| model | file | MB | seconds | opened by | compared with pocketgan |",
        "|---|---|---:|---:|---|---|",
    ]
    for name, files in made.items():
        for one in files:
            opened = OPENED_BY[one.format].format(**versions)
            path = f"`{one.format}/`" if one.path.name == one.format else f"`{one.format}/{one.path.name}`"
            lines.append(f"| `{name}` | {path} | {one.bytes / 1e6:.2f} | {one.seconds:.1f} | {opened} | {one.words} |")
    write_text(out, "\n".join(lines) + "\n")
    return out
