"""`bench steering`: every method on every generator, measured by the judge, with a grid each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.files import write_bytes, write_text
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.terminal import Display
from pocketgan.data.mnist import mnist
from pocketgan.data.samples import Samples
from pocketgan.judge import Judge, Reading
from pocketgan.metrics.steering import latent_distance, norm_distance, spread_within
from pocketgan.model import Model
from pocketgan.scorecard.yardstick import Part
from pocketgan.steer.stored import Fitted
from pocketgan.steer.table import METHODS

READABLE = 0.9  # the judge's probability from which an image counts as readable
GRID_COLUMNS = 10
FIRST = "bank"  # what the others are measured against


@dataclass(frozen=True)
class Figures:
    """What is measured of one method on one generator; shares are fractions, seconds are of the CPU."""

    generator: str
    method: str
    count: int  # images in all
    hit: float
    worst: float
    worst_class: str
    readable: float
    readable_hit: float
    checked_hit: float
    agreement: float
    coverage: float
    recall: float
    bank_coverage: float
    norm: float
    distance: float
    latent_ms: float
    image_ms: float
    fit_seconds: float
    collect_seconds: float


@dataclass(frozen=True)
class _Drawn:
    """Images of all classes in turn, what the judge reads in them, and the time they took."""

    samples: Samples
    reading: Reading
    latent_ms: float
    image_ms: float

    @property
    def labels(self) -> Tensor:
        assert self.samples.labels is not None, "steered samples are labelled"
        return self.samples.labels

    @property
    def hits(self) -> Tensor:
        return self.reading.labels == self.labels


def steering_results(
    models: Sequence[str | Path],
    out: Path,
    *,
    methods: Sequence[str] = (),
    count: int = 1000,
    latents: int = 200_000,
    steps: int = 1000,
    seed: int = 0,
    display: Display,
) -> Path:
    """Fit every method to every generator, measure it, and write the tables as Markdown with a grid for each.

    Nothing is kept in the models' folders.

    Parameters
    ----------
    models
        Unconditional generators of MNIST's digits.
    out
        The Markdown file; grids go into a folder of the same name.
    methods
        Names of the table; all without any. The bank is always among them.
    count
        Images of each class.
    latents, steps, seed
        As in `Steering.fit`.
    display
        Where progress is shown.

    Raises
    ------
    UsageError
        A model is conditional, makes other images, or misses a class.
    """
    chosen = [FIRST, *(name for name in methods or METHODS if name != FIRST)]
    judge, test = Judge.load(device="cpu"), mnist("test")
    real = Part(test, judge.read_kept(test))
    found: list[Figures] = []
    for path in models:
        model = Model.load(path, "cpu")
        model.folder = None
        bank: _Drawn | None = None
        name = f"{model.recipe.name}-{model.recipe.seed}"
        for method in chosen:
            with display.bar(f"{name}: {method}", 1.0) as bar:
                fitted = model.steer.fit(method, latents=latents, steps=steps, seed=seed, watch=bar.update)
            if lines := model.steer.missing(fitted.facts):
                raise UsageError(f"{path}: {lines[0]}")
            drawn = _draw(model, judge, method, count, seed + 1)
            bank = bank or drawn
            found.append(_measure(name, model, judge, fitted, real, drawn, bank, seed + 2))
            picture = out.with_suffix("") / f"{name}-{method}.png"
            write_bytes(picture, to_png(_grid(drawn)))
            display.line(f"{name} {method}: {found[-1].hit:.2%} hits, worst class {found[-1].worst:.2%}")
    write_text(out, _markdown(found, out, latents, steps, count, judge))
    return out


def _draw(model: Model, judge: Judge, method: str, count: int, seed: int, checked: bool = False) -> _Drawn:
    total = count * len(model.steer.names())
    began = time.process_time()
    samples = model.sample(total, balanced=True, method=method, seed=seed, checked=checked)
    whole = time.process_time() - began
    began = time.process_time()
    model.images(samples.latents)
    drawing = time.process_time() - began
    per_image = 1000 / total
    return _Drawn(samples, judge.read(samples.images), (whole - drawing) * per_image, whole * per_image)


def _measure(
    name: str,
    model: Model,
    judge: Judge,
    fitted: Fitted,
    real: Part,
    drawn: _Drawn,
    bank: _Drawn,
    seed: int,
) -> Figures:
    classes, facts = fitted.facts.made, fitted.facts
    guide = model.steer.guided_by(None).guide
    shares = torch.tensor([float(drawn.hits[drawn.labels == label].float().mean()) for label in classes])
    readable = drawn.reading.probabilities.amax(1) >= READABLE
    assert real.images.labels is not None, "MNIST is labelled"
    spread = spread_within(real.reading.features, real.images.labels, drawn.reading.features, drawn.labels, classes)
    of_bank = spread_within(bank.reading.features, bank.labels, drawn.reading.features, drawn.labels, classes)
    again = _draw(model, judge, facts.method, len(drawn.labels) // len(classes), seed, checked=True)
    z, reference = drawn.samples.latents, bank.samples.latents
    return Figures(
        generator=name,
        method=facts.method,
        count=len(drawn.labels),
        hit=float(drawn.hits.float().mean()),
        worst=float(shares.min()),
        worst_class=model.steer.names()[classes[int(shares.argmin())]],
        readable=float(readable.float().mean()),
        readable_hit=float(drawn.hits[readable].float().mean()),
        checked_hit=float(again.hits.float().mean()),
        agreement=float((guide.label(drawn.samples.images) == drawn.reading.labels).float().mean()),
        coverage=spread.coverage,
        recall=spread.recall,
        bank_coverage=of_bank.coverage,
        norm=norm_distance(z, reference),
        distance=latent_distance(reference, bank.labels, z, drawn.labels, classes),
        latent_ms=drawn.latent_ms,
        image_ms=drawn.image_ms,
        fit_seconds=facts.fit_seconds,
        collect_seconds=facts.collect_seconds,
    )


def _grid(drawn: _Drawn) -> Tensor:
    """A row for each class, its first images."""
    rows = [drawn.samples.images[drawn.labels == label][:GRID_COLUMNS] for label in drawn.labels.unique()]
    return grid(torch.cat(rows), columns=min(GRID_COLUMNS, len(rows[0])))


def _markdown(found: list[Figures], out: Path, latents: int, steps: int, count: int, judge: Judge) -> str:
    lines = [
        "# Steering: results",
        "",
        "Every method of `pocketgan steer` on unconditional generators, made by `pocketgan bench steering`. The",
        f"methods were fitted from {latents:,} latents that the shipped guide read, with {steps:,} training steps for",
        f"each network they learn, and measured on {count:,} images of each class by the judge {judge.version}, which",
        "had no part in any of them, against the test images of MNIST.",
        "",
        "`hits`: the judge reads the class that was asked for; `worst`: in the worst class; `readable`: hits among the",
        f"images that the judge reads with {READABLE:.0%} or more, and how many those are; `checked`: hits when images",
        "that the guide reads as another class are drawn once more; `agree`: guide and judge read the same.",
        "",
        "`coverage`, `recall` (k = 5): of the real images of the class, in the judge's features; `of the bank's`: the",
        "share of the bank's coverage; `covers the bank`: the bank's images taken for the real ones. `norms`: the",
        "Kolmogorov-Smirnov distance of the latents' norms to the bank's; `kernel`: the unbiased kernel distance of",
        "the latents to the bank's within the class, near 0 for equal ones. Times are of the CPU on one thread.",
        "",
    ]
    for generator in dict.fromkeys(one.generator for one in found):
        own = [one for one in found if one.generator == generator]
        bank = next(one for one in own if one.method == FIRST)
        lines += [f"## {generator}", ""]
        lines += ["| method | hits | worst | readable | checked | agree |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {one.method} | {one.hit:.2%} | {one.worst:.2%} ({one.worst_class}) | {one.readable_hit:.2%} of "
            f"{one.readable:.0%} | {one.checked_hit:.2%} | {one.agreement:.2%} |"
            for one in own
        ]
        lines += ["", "| method | coverage | of the bank's | recall | covers the bank | norms | kernel |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [
            f"| {one.method} | {one.coverage:.3f} | {one.coverage / bank.coverage:.0%} | {one.recall:.3f} | "
            + (f"{one.bank_coverage:.3f} | {one.norm:.3f} | {one.distance:.4f} |" if one is not bank else "| | |")
            for one in own
        ]
        lines += [
            "",
            "| method | ms for z | ms for an image | seconds to fit | with collecting |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {one.method} | {max(0.0, one.latent_ms):.3f} | {one.image_ms:.3f} | {one.fit_seconds:.1f} | "
            f"{one.fit_seconds + one.collect_seconds:.1f} |"
            for one in own
        ]
        for one in own:
            lines += ["", f"### {generator}, {one.method}", ""]
            lines += [f"![a row for each class]({out.stem}/{generator}-{one.method}.png)"]
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"
