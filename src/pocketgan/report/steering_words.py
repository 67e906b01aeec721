"""What the steering page says in words. Plain text: the page escapes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from pocketgan.report.words import duration, per_cent
from pocketgan.steer.fits import Figures, FitFacts

ABOUT = {  # what a method is, and what to look at in its images
    "flow": (
        "One network turns fresh noise and a class into a latent; another reads latents, and what it is not sure of is "
        "drawn again. It learns how all latents of a class lie, not one of them, and never runs out.",
        "Within a row, images should differ from each other as much as the bank's do.",
    ),
    "bank": (
        "Latents were drawn at random, and those were kept in whose images the guide was sure of a class. Nothing is "
        "learned: these are the generator's own images, sorted.",
        "This is all the variety that the generator has; the other methods are measured against it. Each latent is "
        "given once, so the bank comes to an end.",
    ),
    "energy": (
        "A walk that starts at a random latent and goes where a network that reads latents is surer of the class, with "
        "noise in each step, so that not all walks end in one place.",
        "Look for images that are half another class: walks that had not yet arrived.",
    ),
    "search": (
        "Steps along the gradient, through the generator and the guide, from a random latent to one in whose image the "
        "guide reads the class.",
        "Look for images that the guide reads as asked and you do not: a gradient can find latents that fool the "
        "guide, whose count is then far above the judge's.",
    ),
    "directions": (
        "A random latent is moved to the mean of its class; whatever else is in it stays.",
        "The class is mostly right. Compare with the bank: images of a row that are rather alike have lost variety.",
    ),
    "lcp": (
        "A latent code predictor: a network that is told the class must predict the latent, by squared error. What has "
        "the least squared error is the mean of all latents of the class.",
        "All images of a row are one image. It may be a perfect one, which is why hits alone say little.",
    ),
}


def fit_facts(facts: FitFacts) -> str:
    """What a fit was made from and what it took."""
    return (
        f"{facts.latents:,} latents that the guide read in {duration(facts.collect_seconds)}; then "
        f"{duration(facts.fit_seconds)} of fitting, both in CPU time; seed {facts.seed}, {facts.steps:,} steps for "
        "each network that the method learns"
    )


def read_by_guide(right: int, count: int) -> str:
    """What the guide reads in the images on the page."""
    return f"reads {right} of these {count} images as asked; it chose the latents, so that is no score"


def hits(figures: Figures) -> str:
    """What the judge reads in a method's images."""
    worst = min(figures.classes, key=lambda one: one.hit)
    if worst.hit == 1:
        return f"all of {figures.count:,} images are read as asked"
    return (
        f"{per_cent(figures.hit, figures.count)} of {figures.count:,} images are read as asked; the worst class is "
        f"{worst.name} with {per_cent(worst.hit, worst.count)}"
    )


def summary(figures: Figures) -> str:
    """A measured method in one clause: right images that are all alike are no success."""
    return f"{hits(figures)}; {figures.coverage:.1%} of real images have one of them near"


def checked(figures: Figures) -> str:
    """What a second draw is worth."""
    return f"{per_cent(figures.checked_hit, figures.count)} read as asked where the guide looks once (--checked)"


def variety(figures: Figures) -> str:
    """How much of the real images, and of the bank's, a method's images cover."""
    bank = sum(one.bank_coverage for one in figures.classes) / len(figures.classes)
    share = f", {figures.coverage / bank:.0%} of what the bank covers" if bank and figures.method != "bank" else ""
    return f"{figures.coverage:.1%} of real images have one of these near them{share}"


def latents(figures: Figures) -> str:
    """Whether latents are as long as they are in the prior."""
    return f"{figures.norm:.2f} between the lengths of these latents and the bank's: 0 for equal, 1 for wholly apart"


def time_each(figures: Figures) -> str:
    """What one image costs."""
    return f"{max(0.0, figures.latent_ms):.3f} ms for a latent, {figures.image_ms:.3f} ms with its image, in CPU time"


def measuring_commands(folder: str, unmeasured: Iterable[FitFacts]) -> list[str]:
    """The commands that let the judge measure fits: one for each budget that they were made with."""
    budgets: dict[tuple[int, int, int], list[str]] = {}
    for facts in unmeasured:
        budgets.setdefault((facts.latents, facts.steps, facts.seed), []).append(facts.method)
    return [
        shlex.join(
            [
                *("pocketgan", "bench", "steering", folder, "--method", ",".join(methods)),
                *("--latents", str(budget[0]), "--steps", str(budget[1]), "--seed", str(budget[2])),
                *("--out", "steering.md"),
            ]
        )
        for budget, methods in budgets.items()
    ]
