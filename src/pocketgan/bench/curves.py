"""`bench curves`: the quality of both training loops, over images and over seconds: speed must cost none."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from pocketgan.bench.loops import CPU, LOOPS, OWN, Loop, preset_here
from pocketgan.core.files import write_text
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.metrics.distances import Moments, frechet_distance, moments
from pocketgan.models.judge import Judge
from pocketgan.models.model import Model
from pocketgan.models.saved import made_with
from pocketgan.recipes import Recipe
from pocketgan.report.charts import WIDE, Series, line_chart
from pocketgan.report.svg import standalone
from pocketgan.runs.facts import PairFacts

LOOKS = 8  # at each training
SAMPLES = 5000  # drawn at each look


class Look(NamedTuple):
    """One look at a training: images shown, seconds of training, Fréchet distance of `SAMPLES` samples to `val`."""

    nimg: int
    seconds: float
    distance: float


class Curve(NamedTuple):
    """One training by one of the loops."""

    recipe: str
    loop: str
    seed: int
    looks: list[Look]


def curves(names: Sequence[str], nimg: int, seeds: Sequence[int], display: Display) -> list[Curve]:
    """Train each recipe by both loops on MNIST's `fit`, and look at `val` on the way.

    Parameters
    ----------
    names
        Presets.
    nimg
        The budget of each training, in images.
    seeds
        Of the trainings.
    display
        Where progress is shown.
    """
    data, judge = load_images("mnist", "fit"), Judge.load(device="cpu")
    real = moments(judge.read_kept(load_images("mnist", "val")).features)
    found = []
    for name in names:
        for seed in seeds:
            for loop, start in LOOPS.items():
                recipe = preset_here(name, nimg=nimg, seed=seed, split="fit")
                with display.bar(f"{name}, seed {seed}, {loop}", nimg) as bar:
                    looks = _looks(start(data, recipe), recipe, data, judge, real, bar.update)
                found.append(Curve(name, loop, seed, looks))
                display.line(f"{name}, seed {seed}, {loop}: {looks[-1].distance:.2f} after {looks[-1].seconds:.0f} s")
    return found


def _looks(
    loop: Loop,
    recipe: Recipe,
    data: ImageSet,
    judge: Judge,
    real: Moments,
    progress: Callable[[float], None],
) -> list[Look]:
    total = recipe.schedule.total_nimg(len(data))
    looks: list[Look] = []
    seconds, began = 0.0, time.perf_counter()
    for nimg in loop.steps:
        progress(nimg)
        if nimg * LOOKS < total * (len(looks) + 1):
            continue
        seconds += time.perf_counter() - began
        model = Model(copy.deepcopy(loop.sampler()), None, recipe, data.shape, data.class_names, PairFacts())
        features = judge.read(model.sample(SAMPLES).images).features
        looks.append(Look(nimg, seconds, frechet_distance(moments(features), real)))
        began = time.perf_counter()
    return looks


def write_curves(found: Sequence[Curve], out: Path) -> Path:
    """The curves as pictures and tables in Markdown; the pictures go into a folder of the same name."""
    machine = made_with(CPU)
    names, folder = list(dict.fromkeys(curve.recipe for curve in found)), out.with_suffix("")
    seeds = len({curve.seed for curve in found})
    lines = [
        "# Quality of both training loops",
        "",
        "Each recipe trained on `fit` by the loop of tutorials and by pocketgan's, with the same networks, objective",
        f"and schedule; the Fréchet distance of {SAMPLES:,} samples to `val` in the judge's features, mean of {seeds}",
        "seeds (least to most in the table). Both go without the diagnosis of underrepresented images that `pocket`",
        "adds, and with an R1 that stays. Nothing was chosen by these figures.",
        "",
        f"`pocketgan bench curves`: torch {machine.torch}, {machine.machine}, {machine.threads} threads.",
    ]
    for name in names:
        lines += ["", f"## {name}", ""]
        for axis, words in (("nimg", "thousand images shown"), ("seconds", "seconds of training")):
            picture = folder / f"{name}-{axis}.svg"
            write_text(picture, standalone(_chart(found, name, axis, words)))
            lines.append(f"![Fréchet distance over {words}, both loops]({folder.name}/{picture.name})")
        lines += ["", "| images | classroom | | pocketgan | |", "|---:|---:|---|---:|---|"]
        for place in range(min(len(curve.looks) for curve in found if curve.recipe == name)):
            cells = [str(f"{_of(found, name, OWN)[0].looks[place].nimg:,}")]
            for loop in LOOPS:
                values = [curve.looks[place].distance for curve in _of(found, name, loop)]
                cells += [f"{mean(values):.2f}", f"{min(values):.2f} to {max(values):.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    write_text(out, "\n".join(lines) + "\n")
    return out


def _of(found: Sequence[Curve], name: str, loop: str) -> list[Curve]:
    return [curve for curve in found if (curve.recipe, curve.loop) == (name, loop)]


def _chart(found: Sequence[Curve], name: str, axis: str, words: str) -> str:
    scale = 1000 if axis == "nimg" else 1
    lines = []
    for loop in LOOPS:
        looks = list(zip(*(curve.looks for curve in _of(found, name, loop)), strict=True))
        points = [
            (mean(getattr(look, axis) for look in same) / scale, mean(look.distance for look in same)) for same in looks
        ]
        lines.append(Series(loop, points, accent=loop == OWN))
    alt = f"{name}: Fréchet distance over {words}, by both loops"
    return line_chart(lines, x_label=words, y_label="Fréchet distance", alt=alt, width=WIDE, logarithmic=True)
