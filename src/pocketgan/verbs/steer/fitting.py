"""Fit methods to a frozen generator, and keep them in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pocketgan.core.terminal import Display
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.report import renew_steering
from pocketgan.steer.fits import FitFacts, method_of
from pocketgan.steer.method import Budget


class FitReport(NamedTuple):
    """What a fit tells: its facts, and a line for each class that cannot be asked for."""

    facts: FitFacts
    missing: list[str]


def fit(
    model: Model | str | Path,
    methods: Sequence[str] = ("flow",),
    *,
    guide: Classifier | str | Path | None = None,
    latents: int = Budget().latents,
    steps: int = Budget().steps,
    seed: int = 0,
    device: str = "auto",
    quiet: bool = False,
) -> list[FitReport]:
    """Fit methods to a model, and keep them in its folder, with a page that shows them: `steering.html`.

    Parameters
    ----------
    model
        A `Model`, a run folder or a model folder.
    methods
        Names of the table of methods.
    guide, latents, steps, seed
        As in `Steering.fit`.
    device, quiet
        As in `pocketgan.train`.

    Raises
    ------
    UsageError
        A method is unknown, the model is conditional, or no guide knows its images.
    """
    for method in methods:
        method_of(method)
    source = model if isinstance(model, Model) else Model.load(model, device)
    steering, display, reports = source.steer, Display(quiet), []
    for method in methods:
        with display.bar(f"fitting {method}", 1.0) as bar:
            fitted = steering.fit(
                method,
                guide=guide,
                latents=latents,
                steps=steps,
                seed=seed,
                watch=lambda done, note: bar.update(done, note),
            )
        reports.append(FitReport(fitted.facts, steering.missing(fitted.facts)))
    if source.folder is not None:
        display.line(f"what was fitted: {renew_steering(source.folder)}")
    return reports
