"""`bench steering`: every method on every generator, measured by the judge, with a sheet of pictures each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.bench.steering_table import FIRST, READABLE, markdown
from pocketgan.core.files import write_bytes, write_text
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.rng import derive
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import Samples, joined
from pocketgan.data.load import load_images
from pocketgan.metrics.steering import latent_distance, norm_distance, spread_within
from pocketgan.models.judge import Judge, Reading
from pocketgan.models.model import Model
from pocketgan.report import renew_steering
from pocketgan.scorecard.yardstick import JudgedImages
from pocketgan.steer.fits import METHODS, ClassFigures, Figures, FitFacts, Fitted, read_figures, save_figures

SHOWN = 10  # images of each class in a picture
SHEET_COLUMNS, SHEET_GAP = 3, 8  # pictures side by side in a sheet, and the pixels between them


@dataclass(frozen=True)
class _Drawn:
    """Images of all classes that are made, what the judge reads in them, and the time they took."""

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

    def like(self, other: _Drawn) -> _Drawn:
        """As many of each class as another has."""
        rows = torch.cat(
            [
                (self.labels == label).nonzero()[:, 0][: int((other.labels == label).sum())]
                for label in other.labels.unique()
            ]
        )
        reading = Reading(*(part[rows] for part in self.reading))
        return replace(self, samples=self.samples.rows(rows), reading=reading)


class _Budget(NamedTuple):
    """What fits are made with."""

    latents: int
    steps: int
    seed: int

    @classmethod
    def of(cls, facts: FitFacts) -> _Budget:
        return cls(facts.latents, facts.steps, facts.seed)


def steering_results(
    models: Sequence[str | Path],
    out: Path,
    *,
    methods: Sequence[str] = (),
    count: int,
    latents: int,
    steps: int,
    seed: int,
    display: Display,
) -> Path:
    """Fit every method to every generator, measure it, and write the tables as Markdown with a sheet of pictures.

    A fit that lies in a model's folder and was made with the same latents, steps and seed is measured as it is; its
    figures are kept beside it, so that a command that was stopped goes on, and the model's steering page tells them.
    Other fits are not kept.

    Parameters
    ----------
    models
        Unconditional generators of MNIST's digits.
    out
        The Markdown file; a sheet of pictures for each generator goes into a folder of the same name.
    methods
        Names of the table; all without any. The bank is always among them.
    count
        Images of each class, or as many as the bank holds; of methods that ask the guide for each image a tenth.
    latents, steps, seed
        As in `Steering.fit`.
    display
        Where progress is shown.

    Raises
    ------
    UsageError
        A model is conditional or makes other images.
    """
    chosen = [FIRST, *(name for name in methods or METHODS if name != FIRST)]
    judge, test = Judge.load(device="cpu"), load_images("mnist", "test")
    real, budget = JudgedImages(test, judge.read_kept(test)), _Budget(latents, steps, seed)
    sheets = out.with_suffix("")
    measured = [one for path in models for one in _one_model(path, chosen, judge, real, sheets, count, budget, display)]
    write_text(out, markdown(measured, out, latents, steps, judge))
    return out


def _one_model(
    path: str | Path,
    methods: Sequence[str],
    judge: Judge,
    real: JudgedImages,
    sheets: Path,
    count: int,
    budget: _Budget,
    display: Display,
) -> list[Figures]:
    model = Model.load(path, "cpu")
    kept = [name for name, one in model.steer.everything().items() if _Budget.of(one.facts) == budget]
    home, name = model.folder, model.name
    bank: _Drawn | None = None
    measured, pictures = [], []
    for method in methods:
        if method in kept:
            fitted = model.steer.fitted(method)
        else:
            with display.bar(f"{name}: {method}", 1.0) as bar:
                fitted = model.steer.fit(method, **budget._asdict(), keep=False, watch=bar.update)
        counts = _counts(fitted, count)
        known = read_figures(home, method) if home is not None and method in kept else None
        if known is None or (known.judge, known.count) != (judge.version, sum(counts.values())):
            if bank is None:
                bank = _draw(model, judge, FIRST, _counts(model.steer.fitted(FIRST), count), budget.seed + 1)
            drawn = bank if method == FIRST else _draw(model, judge, method, counts, budget.seed + 1)
            again = _draw(model, judge, method, counts, budget.seed + 2, checked=True)
            known = _measure(name, model, fitted, judge, real, drawn, again, bank.like(drawn))
            if home is not None and method in kept:
                save_figures(home, known)
        measured.append(known)
        pictures.append(_picture(model, method, counts, budget.seed + 1))
        display.line(f"{name} {method}: {known.hit:.2%} hits, worst class {known.worst:.2%}")
    write_bytes(sheets / f"{name}.png", to_png(sheet(pictures)))
    if home is not None and kept:
        display.line(f"the page with these figures: {renew_steering(home)}")
    return measured


def _counts(fitted: Fitted, count: int) -> dict[int, int]:
    """How many images of each class that is made are measured, `count` of each being asked for."""
    wanted = max(1, count // 10) if METHODS[fitted.facts.method].asks_guide else count
    return {label: min(wanted, fitted.facts.kept[label]) for label in fitted.facts.made}


def _draw(
    model: Model, judge: Judge, method: str, counts: Mapping[int, int], seed: int, checked: bool = False
) -> _Drawn:
    began = time.process_time()
    samples = joined(
        [
            model.sample(count, label=label, method=method, seed=derive(seed, label), checked=checked)
            for label, count in counts.items()
        ]
    )
    whole = time.process_time() - began
    began = time.process_time()
    model.images(samples.latents)
    drawing = time.process_time() - began
    per_image = 1000 / sum(counts.values())
    return _Drawn(samples, judge.read(samples.images), (whole - drawing) * per_image, whole * per_image)


def _measure(
    name: str,
    model: Model,
    fitted: Fitted,
    judge: Judge,
    real: JudgedImages,
    drawn: _Drawn,
    again: _Drawn,
    bank: _Drawn,
) -> Figures:
    facts, names = fitted.facts, model.steer.names()
    guide = model.steer.guided_by(None).guide
    readable = drawn.reading.probabilities.amax(1) >= READABLE
    assert real.images.labels is not None, "MNIST is labelled"
    features, of_bank = (real.reading.features, real.images.labels), (bank.reading.features, bank.labels)
    own = (drawn.reading.features, drawn.labels)
    spreads = [spread_within(*features, *own, [label]) for label in facts.made]
    bank_spreads = [spread_within(*features, *of_bank, [label]) for label in facts.made]
    classes = [
        ClassFigures(
            name=names[label],
            count=int((drawn.labels == label).sum()),
            hit=float(drawn.hits[drawn.labels == label].float().mean()),
            coverage=spread.coverage,
            bank_coverage=bank_spread.coverage,
        )
        for label, spread, bank_spread in zip(facts.made, spreads, bank_spreads, strict=True)
    ]
    worst = min(classes, key=lambda one: one.hit)
    z, reference = drawn.samples.latents, bank.samples.latents
    return Figures(
        generator=name,
        method=facts.method,
        judge=judge.version,
        count=len(drawn.labels),
        hit=float(drawn.hits.float().mean()),
        worst=worst.hit,
        worst_class=worst.name,
        readable=float(readable.float().mean()),
        readable_hit=float(drawn.hits[readable].float().mean()) if readable.any() else None,
        checked_hit=float(again.hits.float().mean()),
        agreement=float((guide.label(drawn.samples.images) == drawn.reading.labels).float().mean()),
        coverage=statistics.mean(spread.coverage for spread in spreads),
        recall=statistics.mean(spread.recall for spread in spreads),
        bank_coverage=spread_within(*of_bank, *own, facts.made).coverage,
        norm=norm_distance(z, reference),
        distance=latent_distance(reference, bank.labels, z, drawn.labels, facts.made),
        latent_ms=drawn.latent_ms,
        image_ms=drawn.image_ms,
        fit_seconds=facts.fit_seconds,
        collect_seconds=facts.collect_seconds,
        classes=classes,
    )


def _picture(model: Model, method: str, counts: Mapping[int, int], seed: int) -> Tensor:
    """A row for each class, its first images: uint8 ``[C, H, W]``."""
    columns = min(SHOWN, *counts.values())
    rows = [model.sample(columns, label=label, method=method, seed=derive(seed, label)).images for label in counts]
    return grid(torch.cat(rows), columns=columns)


def sheet(pictures: Sequence[Tensor]) -> Tensor:
    """Pictures uint8 ``[C, H, W]`` of any sizes, three side by side, each at the top left of its place."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    places = torch.zeros(len(pictures), pictures[0].shape[0], height, width, dtype=torch.uint8)
    for place, picture in zip(places, pictures, strict=True):
        place[:, : picture.shape[1], : picture.shape[2]] = picture
    return grid(places, columns=SHEET_COLUMNS, gap=SHEET_GAP, background=255)
