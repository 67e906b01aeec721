"""The measured figures of steering as Markdown."""

from __future__ import annotations

import statistics
from pathlib import Path

from pocketgan.models.judge import Judge
from pocketgan.steer.fits import Figures

READABLE = 0.9  # the judge's probability from which an image counts as readable
FIRST = "bank"  # what the others are measured against


def markdown(found: list[Figures], out: Path, latents: int, steps: int, judge: Judge) -> str:
    """The tables of all generators.

    Parameters
    ----------
    found
        Every method of every generator; the bank among those of each.
    out
        The Markdown file that this is for; the grids lie in a folder of the same name.
    latents, steps
        What they were fitted from.
    judge
        Who measured.
    """
    lines = [
        "# Steering: results",
        "",
        "Every method of `pocketgan steer` on unconditional generators, made by `pocketgan bench steering`. The",
        f"methods were fitted from {latents:,} latents that the shipped guide read, with {steps:,} training steps for",
        f"each network they learn, and measured by the judge {judge.version}, which had no part in any of them,",
        "against the test images of MNIST. A method that asks the guide for each image is slow, so it drew a tenth of",
        "the images; it stands beside as many of the bank's.",
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
        if missing := [name for name in judge.classifier.class_names if name not in {one.name for one in bank.classes}]:
            lines += [f"It does not make {', '.join(missing)}; all figures are over the classes that it makes.", ""]
        lines += ["| method | images | hits | worst | readable | checked | agree |", "|---|---|---|---|---|---|---|"]
        lines += [
            f"| {one.method} | {one.count:,} | {one.hit:.2%} | {one.worst:.2%} ({one.worst_class}) | "
            f"{_readable(one)} | {one.checked_hit:.2%} | {one.agreement:.2%} |"
            for one in own
        ]
        lines += ["", "| method | coverage | of the bank's | recall | covers the bank | norms | kernel |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [
            f"| {one.method} | {one.coverage:.3f} | {_of_the_banks(one):.0%} | {one.recall:.3f} | "
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
        names = ", ".join(one.method for one in own)
        lines += ["", f"A row for each class; from left to right, then down: {names}.", ""]
        lines += [f"![pictures of {generator} by {names}]({out.stem}/{generator}.png)", ""]
    return "\n".join(lines).rstrip() + "\n"


def _of_the_banks(one: Figures) -> float:
    """The share of the coverage of as many of the bank's images."""
    return one.coverage / statistics.mean(part.bank_coverage for part in one.classes)


def _readable(one: Figures) -> str:
    return "none" if one.readable_hit is None else f"{one.readable_hit:.2%} of {one.readable:.0%}"
