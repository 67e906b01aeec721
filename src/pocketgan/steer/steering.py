"""What steers one model: fitted methods, in memory and in the model's folder, and how its latents are asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import PixelRange
from pocketgan.core.rng import BLOCK
from pocketgan.core.terminal import Display
from pocketgan.models.classifier import Classifier
from pocketgan.models.saved import SHIPPED, weights_digest
from pocketgan.networks.contracts import Generator, Shape
from pocketgan.steer import LATENTS, MOST_WIDTH, STEPS, WIDTH
from pocketgan.steer.fits import METHODS, FitFacts, Fitted, kept_in, load_fitted, method_of, save_fitted
from pocketgan.steer.guides import FOLDER, Frozen, find_guide, keep_guide
from pocketgan.steer.method import Budget, Collected, Context, collect, missing_line
from pocketgan.steer.wish import Wish, check_wish, granted


class Steering:
    """The methods of one model; `Model.steer` makes it.

    Parameters
    ----------
    name, shape, class_names
        The model's.
    generator, pixels, draw
        As in `Frozen`.
    folder
        The model's folder, where fits are kept; None keeps them in memory.
    """

    def __init__(
        self,
        name: str,
        shape: Shape,
        class_names: tuple[str, ...],
        generator: Generator,
        pixels: PixelRange,
        draw: Callable[[Tensor], Tensor],
        folder: Path | None,
    ) -> None:
        self.name, self.shape, self.class_names, self.folder = name, shape, class_names, folder
        self._generator, self._pixels, self._draw = generator, pixels, draw
        self._frozen: Frozen | None = None
        self._fitted: dict[str, Fitted] = {}

    def guided_by(self, guide: Classifier | str | Path | None) -> Frozen:
        """The model beside a guide, which is kept for later; None keeps the last one, or takes that of an earlier fit.

        Where there is none of an earlier fit, that is the shipped one.

        Raises
        ------
        UsageError
            No guide knows these images, or it is the judge.
        """
        if guide is None and self._frozen is not None:
            return self._frozen
        device = str(next(self._generator.parameters()).device)
        chosen = find_guide(guide, self.name, self.shape, self.class_names, self.folder, device)
        self._frozen = Frozen(self.name, self._generator, self._pixels, self._draw, chosen)
        return self._frozen

    def collect(
        self,
        *,
        guide: Classifier | str | Path | None = None,
        latents: int = LATENTS,
        seed: int = 0,
        watch: Callable[[float, str], None] = lambda done, note: None,
    ) -> Collected:
        """Draw latents from the prior and let the guide read them; kept in the cache."""
        if latents < 1:
            raise UsageError(f"--latents {latents} is too small; ask for at least 1")
        return collect(self.guided_by(guide), latents, seed, watch)

    def fit(
        self,
        method: str = "flow",
        *,
        guide: Classifier | str | Path | None = None,
        latents: int = LATENTS,
        steps: int = STEPS,
        width: int = WIDTH,
        seed: int = 0,
        keep: bool = True,
        watch: Callable[[float, str], None] = lambda done, note: None,
    ) -> Fitted:
        """Fit a method, and keep it in the model's folder where the model has one.

        Parameters
        ----------
        method
            A name of the table `METHODS`.
        guide
            A classifier or its folder; the shipped guide where it knows the images. It is never the judge.
        latents
            To draw and let the guide read.
        steps
            Of training, for each network that the method learns.
        width
            Units in each hidden layer of the network that reads latents, which flow and energy learn.
        seed
            Of latents and trainings.
        keep
            Write it into the model's folder; else it is in memory alone.
        watch
            Told the share that is done, and a note.

        Raises
        ------
        UsageError
            The method is unknown, no guide knows the images, or the generator makes no class.
        PocketganError
            The folder cannot be written.

        Examples
        --------
        >>> model = pocketgan.load("runs/mine")  # doctest: +SKIP
        >>> model.steer.fit("flow")  # doctest: +SKIP
        >>> model.sample(16, label=5)  # doctest: +SKIP
        """
        row = method_of(method)
        if steps < 1:
            raise UsageError(f"--steps {steps} is too small; ask for at least 1")
        if not 1 <= width <= MOST_WIDTH:
            raise UsageError(f"--width {width} must lie between 1 and {MOST_WIDTH}")
        if keep and self.folder is not None and self.folder.parent == SHIPPED:
            raise UsageError(
                f"{self.folder.name} came with the program and stays as it is; fit a copy of its folder, {self.folder}"
            )
        frozen = self.guided_by(guide)
        collected = self.collect(latents=latents, seed=seed, watch=watch)
        began = time.process_time()
        steerer = row.steerer.fit(Context(frozen, collected, watch), seed, Budget(latents, steps, width))
        facts = FitFacts(
            method=method,
            seed=seed,
            latents=latents,
            steps=steps,
            width=width,
            kept=collected.counts,
            made=collected.made,
            collect_seconds=round(collected.seconds, 3),
            fit_seconds=round(time.process_time() - began, 3),
            generator=weights_digest(frozen.generator),
            guide=weights_digest(frozen.guide.network),
        )
        fitted = Fitted(steerer, facts)
        self._fitted[method] = fitted
        if keep and self.folder is not None:
            self.save(self.folder, {method: fitted})
        return fitted

    def methods(self) -> list[str]:
        """The fitted methods, the best first."""
        stored = kept_in(self.folder) if self.folder is not None else []
        return [name for name in METHODS if name in self._fitted or name in stored]

    def fitted(self, method: str | None = None) -> Fitted:
        """A fitted method; without a name, the best one.

        Raises
        ------
        UsageError
            It has not been fitted.
        """
        if method is not None:
            method_of(method)
        there = self.methods()
        if (method is None and not there) or (method is not None and method not in there):
            what = f"--method {method} has not been fitted to it" if method else "cannot be asked for a class as it is"
            raise UsageError(
                f"{self.name} is unconditional and {what}; fit it first: "
                f"pocketgan steer fit MODEL{f' --method {method}' if method else ''}"
            )
        name = method or there[0]
        if name not in self._fitted:
            assert self.folder is not None, "what is not in memory was found in the folder"
            self._fitted[name] = load_fitted(self.folder / FOLDER / name, self.guided_by(None))
        return self._fitted[name]

    def everything(self) -> dict[str, Fitted]:
        """All fitted methods, read from the folder where they are not in memory."""
        return {name: self.fitted(name) for name in self.methods()}

    def save(self, folder: Path, fits: Mapping[str, Fitted]) -> None:
        """Write fits into a model's folder, each whole, with their guide where it is not the shipped one."""
        for name, fitted in fits.items():
            save_fitted(folder / FOLDER / name, fitted)
        if fits:
            keep_guide(self.guided_by(None).guide, folder)

    def provider(self, wish: Wish, stop: int) -> Callable[[Tensor, int, int], Tensor]:
        """How the latents of a wish are found: from labels int64 ``[BLOCK]``, the block's start and a seed.

        Parameters
        ----------
        wish
            What is wanted.
        stop
            Index after the last one that will be asked for.

        Raises
        ------
        UsageError
            The method is not fitted, a class is not made or not there, or the bank does not hold as many.
        """
        fitted = self.fitted(wish.method)
        check_wish(wish, fitted.facts, self.names(), stop)
        mover = self.fitted("directions").steerer if wish.moves else None
        return granted(wish, fitted, self.guided_by(None), mover)

    def latents(self, count: int, label: int, *, method: str | None = None, seed: int = 0) -> Tensor:
        """Latents of a class, float32 ``[count, D]``; the first ones are the same whatever the count."""
        provide = self.provider(Wish(label, method=method), count)
        labels = torch.full((BLOCK,), label)
        return torch.cat([provide(labels, start, seed) for start in range(0, count, BLOCK)])[:count]

    def names(self) -> tuple[str, ...]:
        """The classes that can be named."""
        return self.guided_by(None).guide.class_names

    def missing(self, facts: FitFacts) -> list[str]:
        """A line for each class that the generator does not make."""
        names = self.names()
        return [
            missing_line(name, facts.kept[label], facts.latents)
            for label, name in enumerate(names)
            if label not in facts.made
        ]


class FitReport(NamedTuple):
    """What a fit tells: its facts, and a line for each class that cannot be asked for."""

    facts: FitFacts
    missing: list[str]


def fit_methods(
    steering: Steering,
    methods: Sequence[str],
    *,
    guide: Classifier | str | Path | None,
    latents: int,
    steps: int,
    width: int,
    seed: int,
    display: Display,
) -> list[FitReport]:
    """Fit methods one after the other."""
    reports = []
    for method in methods:
        with display.bar(f"fitting {method}", 1.0) as bar:
            fitted = steering.fit(
                method, guide=guide, latents=latents, steps=steps, width=width, seed=seed, watch=bar.update
            )
        reports.append(FitReport(fitted.facts, steering.missing(fitted.facts)))
    return reports
