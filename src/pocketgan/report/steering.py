"""What was fitted to steer a model, as a page of its own: each method's images, its fit, and the judge's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from markupsafe import Markup
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.files import write_text
from pocketgan.core.pixels import grid, to_png
from pocketgan.metrics.appearance import STROKES
from pocketgan.models.judge import judge_for
from pocketgan.models.model import Model
from pocketgan.models.saved import model_folder
from pocketgan.report import steering_words, words
from pocketgan.report.page import data_uri, render
from pocketgan.report.scorecard_charts import bar
from pocketgan.runs.folder import MODEL, RunFolder, run_of_model
from pocketgan.steer.directions import SHOWN, Directions
from pocketgan.steer.fits import METHODS, Figures, Fitted, kept_in, read_figures

COLUMNS = 10  # images of each class
SEED = 0  # of all images on the page
ENLARGED = 4  # times, for dense screens


class Row(NamedTuple):
    """The images of one class, and how many of them the guide reads as it."""

    name: str
    picture: str
    read: int


class Collection(NamedTuple):
    """Latents that the guide read: for which methods, and how often each class was kept, over its bar."""

    methods: list[str]
    latents: int
    rows: list[tuple[str, str, Markup]]


class ClassRow(NamedTuple):
    """What the judge measured of one class: each figure in words, over its bar."""

    name: str
    hit: str
    hit_bar: Markup
    coverage: str
    coverage_bar: Markup


class MethodSection(NamedTuple):
    """All that the page shows of one method."""

    method: str
    about: str
    look: str
    rows: list[Row]
    read: int
    missing: list[str]
    classes: list[ClassRow]
    figures: Figures | None
    facts: list[tuple[str, str]]


def page_of(folder: Path) -> Path:
    """Where the steering page of a model's folder lies: beside the report, where the model is a run's."""
    run = run_of_model(folder)
    return run.steering_page if run is not None else RunFolder(folder).steering_page


def write_steering_page(path: str | Path) -> Path:
    """Write `steering.html`: what was fitted to the model in a run folder or a model folder.

    Raises
    ------
    UsageError
        There is no model, or nothing was fitted to it.
    PocketganError
        One of its files is damaged, or the page cannot be written.
    """
    folder = model_folder(path, MODEL)
    if not kept_in(folder):
        raise UsageError(f"{path} has nothing fitted; fit it first: pocketgan steer fit {path}")
    model = Model.load(folder, "cpu")
    target = page_of(folder)
    write_text(target, render("steering_page.html.j2", **_content(model, target.parent)))
    return target


def steering_summary(run: RunFolder) -> list[tuple[str, str, str | None]]:
    """Methods that were fitted to a run's model: name, what it is, and what the judge measured, if it did."""
    summaries = []
    for method in kept_in(run.model):
        figures = read_figures(run.model, method)
        summaries.append((method, METHODS[method].about, steering_words.summary(figures) if figures else None))
    return summaries


def _content(model: Model, home: Path) -> dict[str, Any]:
    """All names that the page uses."""
    assert model.folder is not None, "the page is about a folder"
    fits, folder = model.steer.everything(), home.resolve().name
    parts = [_section(model, name, fitted, read_figures(model.folder, name)) for name, fitted in fits.items()]
    unmeasured = [fits[part.method].facts for part in parts if part.figures is None]
    measurable, judges = _measurable(model, fits), {part.figures.judge for part in parts if part.figures}
    return {
        "model": model,
        "names": model.steer.names(),
        "parts": parts,
        "collections": _collections(fits, model.steer.names()),
        "columns": COLUMNS,
        "seed": SEED,
        "unmeasured": [facts.method for facts in unmeasured],
        "commands": steering_words.measuring_commands(folder, unmeasured) if measurable else [],
        "judges": sorted(judges),
        "strokes": _strokes(model, fits["directions"]) if "directions" in fits else [],
        "amounts": [f"{amount:+.0f}" if amount else "0" for amount in SHOWN],
        "made": [row.name for row in parts[0].rows],
        "best": parts[0].method,
        "folder": folder,
        "generator": fits[parts[0].method].facts.generator,
        "guides": sorted({fitted.facts.guide for fitted in fits.values()}),
    }


def _measurable(model: Model, fits: dict[str, Fitted]) -> bool:
    """Whether a shipped judge knows the images, and every class is made."""
    names = model.steer.names()
    whole = all(len(fitted.facts.made) == len(names) for fitted in fits.values())
    return whole and judge_for(model.shape, names, "cpu") is not None


def _section(model: Model, method: str, fitted: Fitted, figures: Figures | None) -> MethodSection:
    facts, names = fitted.facts, model.steer.names()
    images, labels = _images(model, fitted)
    read = model.steer.guided_by(None).guide.label(images) == labels
    rows = [
        Row(names[label], _uri(images[labels == label], COLUMNS), int(read[labels == label].sum()))
        for label in facts.made
    ]
    told = [
        ("Fitted from", steering_words.fit_facts(facts)),
        (
            "The guide",
            f"reads {int(read.sum())} of these {len(read)} images as asked; it chose the latents, so that is no score",
        ),
    ]
    if figures is not None:
        told += [
            (f"The judge, {figures.judge}", steering_words.hits(figures)),
            ("With a second look", steering_words.checked(figures)),
            ("Guide and judge", f"read the same in {words.per_cent(figures.agreement, figures.count)} of the images"),
            ("Variety", steering_words.variety(figures)),
        ]
        told += [("Latents", steering_words.latents(figures))] if method != "bank" else []
        told += [("Time", steering_words.time_each(figures))]
    about, look = steering_words.ABOUT[method]
    return MethodSection(
        method=method,
        about=about,
        look=look,
        rows=rows,
        read=int(read.sum()),
        missing=model.steer.missing(facts),
        classes=_class_rows(figures) if figures else [],
        figures=figures,
        facts=told,
    )


def _images(model: Model, fitted: Fitted) -> tuple[Tensor, Tensor]:
    """The first `COLUMNS` images of each class that can be asked for, and their classes."""
    facts = fitted.facts
    if len(facts.made) == len(facts.kept):  # all classes in turn: one block of latents instead of one for each class
        parts = [model.sample(COLUMNS * len(facts.made), balanced=True, method=facts.method, seed=SEED)]
    else:
        parts = [model.sample(COLUMNS, label=label, method=facts.method, seed=SEED) for label in facts.made]
    labels = [part.labels for part in parts if part.labels is not None]
    return torch.cat([part.images for part in parts]), torch.cat(labels)


def _collections(fits: dict[str, Fitted], names: tuple[str, ...]) -> list[Collection]:
    """Each set of latents once, as methods that were fitted alike share theirs."""
    methods: dict[tuple[int, tuple[int, ...]], list[str]] = {}
    for method, fitted in fits.items():
        methods.setdefault((fitted.facts.latents, tuple(fitted.facts.kept)), []).append(method)
    return [
        Collection(
            sharing,
            latents,
            [
                (name, words.per_cent(count / latents, latents), bar(count, max(kept)))
                for name, count in zip(names, kept, strict=True)
            ],
        )
        for (latents, kept), sharing in methods.items()
    ]


def _class_rows(figures: Figures) -> list[ClassRow]:
    widest = 1.04 * max([0.01, *(max(one.coverage, one.bank_coverage) for one in figures.classes)])
    return [
        ClassRow(
            name=one.name,
            hit=words.per_cent(one.hit, one.count),
            hit_bar=bar(one.hit, 1.0),
            coverage=f"{one.coverage:.1%}",
            coverage_bar=bar(one.coverage, widest, mark=None if figures.method == "bank" else one.bank_coverage),
        )
        for one in figures.classes
    ]


def _strokes(model: Model, fitted: Fitted) -> list[tuple[str, str]]:
    """For each direction, a sheet as a data URI: a row for each class, a column for each of `SHOWN`."""
    mover = fitted.steerer
    assert isinstance(mover, Directions)
    labels = torch.tensor(fitted.facts.made)
    z = torch.cat([model.steer.latents(1, label, seed=SEED) for label in fitted.facts.made])
    swept = mover.swept(z, labels)
    return [
        (name, _uri(model.images(latents.transpose(0, 1).flatten(0, 1)), len(SHOWN)))
        for name, latents in zip(STROKES, swept, strict=True)
    ]


def _uri(images: Tensor, columns: int) -> str:
    return data_uri(to_png(grid(images, columns=columns), scale=ENLARGED))
