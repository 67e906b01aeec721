"""`bench export`: every format of the export, with its size, its time and what opened it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pocketgan.bench.browser import open_page
from pocketgan.bench.loops import CPU
from pocketgan.core.files import write_text
from pocketgan.export import FORMATS, Exported, export
from pocketgan.models.model import Model
from pocketgan.models.saved import made_with

BELOW = "## "  # a person's own words begin here, and stay
OPENED_BY = {
    "onnx": "onnxruntime {onnxruntime}",
    "hub": "its generator.py, torch {torch}",
    "torch": "torch {torch}",
}  # a page by a browser


def write_exports(models: Sequence[str | Path], out: Path, quiet: bool) -> Path:
    """Export each model in a folder that goes again, and write the table as Markdown."""
    made: dict[str, list[tuple[Exported, str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(models):
            files = export(model, Path(folder) / str(number), list(FORMATS), quiet=quiet)
            made[Path(model).name] = [_told(one, model) for one in files]
    versions = {name: version(name) for name in ("onnxruntime", "torch")}
    lines = [
        "# Export",
        "",
        "What `pocketgan export MODEL --to onnx,hub,torch,html` makes, and what opened it. Each file was run on 1,000",
        "latents of seed 0 and compared with pocketgan's own bytes; one that is off by more than 1 of 255 is refused.",
        "A page's large weights are in half precision where that moves no byte by more than 2. Its images come from a",
        "headless browser without a network; its times are those of one image on one thread, and of the first picture",
        "after the page is opened.",
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
    for name, rows in made.items():
        for one, by in rows:
            opened = (by or OPENED_BY[one.format]).format(**versions)
            path = f"`{one.format}/`" if one.path.name == one.format else f"`{one.format}/{one.path.name}`"
            lines.append(f"| `{name}` | {path} | {one.bytes / 1e6:.2f} | {one.seconds:.1f} | {opened} | {one.words} |")
    kept = out.read_text(encoding="utf-8").partition(BELOW)[2] if out.exists() else ""
    write_text(out, "\n".join(lines) + "\n" + (f"\n{BELOW}{kept}" if kept else ""))
    return out


def _told(one: Exported, model: str | Path) -> tuple[Exported, str]:
    """A file with what opened it, where that is found out here: a page, by a browser."""
    if one.format != "html":
        return one, ""
    opened = open_page(one.path, Model.load(model, "cpu"))
    note = f"{one.note}; {opened.ms:.1f} ms an image, first picture after {opened.first_ms:.0f} ms"
    return one._replace(check=opened.check, note=note), opened.browser
