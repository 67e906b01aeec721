"""`bench known-answers`: the scorecard of sets whose faults are known, and how often healthy images raise an alarm."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

from pocketgan.bench.faulty import faulty_sets
from pocketgan.core.files import write_text
from pocketgan.core.rng import rng
from pocketgan.core.terminal import Display
from pocketgan.data.load import load_images
from pocketgan.metrics.labels import wilson_interval
from pocketgan.models.judge import Judge
from pocketgan.scorecard.card import Scorecard, floor_of, make_card
from pocketgan.scorecard.figures import METRICS, shown
from pocketgan.scorecard.yardstick import Part, Yardstick, part_of, yardstick

RESAMPLED = 2000  # images in each healthy sample
SHOWN = tuple(name for name in METRICS if name not in ("classes_covered", "diversity_least"))


@dataclass(frozen=True)
class Healthy:
    """Samples of real images, and how many of them raised each alarm."""

    samples: int
    alarmed: int
    alarms: Counter[str]


def known_answers(out: Path, resamplings: int, display: Display) -> Path:
    """Score every faulty set and many healthy samples, and write the table as Markdown.

    Parameters
    ----------
    out
        The Markdown file; one that is there is replaced.
    resamplings
        Healthy samples, of 2,000 images each, from the part of `val` that the floor of as many leaves.
    display
        Where progress is shown.
    """
    judge = Judge.load(device="cpu")
    test, val, fit = load_images("mnist", "test"), load_images("mnist", "val"), load_images("mnist", "fit")
    display.line("reading real images")
    yard = yardstick(judge, test, fit)
    cards = {}
    sets = faulty_sets()
    with display.bar("faulty sets", len(sets)) as bar:
        for name, make in sets.items():
            images = make()
            floor = floor_of(judge, test, fresh=val, rest=fit, count=len(images))
            cards[name], _ = make_card(yard, Part(images, judge.read(images.images)), floor)
            bar.update(len(cards), name)
            display.line(f"{name}: {cards[name].verdict}")
    write_text(out, _markdown(cards, _healthy(yard, resamplings, display), judge))
    return out


def _healthy(yard: Yardstick, resamplings: int, display: Display) -> Healthy:
    """Verdicts on samples of `val`, none of whose images are the floor's."""
    val = load_images("mnist", "val")
    floor = floor_of(yard.judge, yard.reference.images, fresh=val, rest=yard.training.images, count=RESAMPLED)
    free = torch.ones(len(val), dtype=torch.bool)
    free[part_of(val, RESAMPLED, 0)] = False
    rows = free.nonzero().squeeze(1)
    whole = Part(val, yard.judge.read_kept(val))
    alarmed, alarms = 0, Counter[str]()
    with display.bar("healthy samples", resamplings) as bar:
        for sample in range(resamplings):
            order = torch.randperm(len(rows), generator=rng(sample, "healthy sample"))
            card, _ = make_card(yard, whole.rows(rows[order[:RESAMPLED]]), floor)
            alarmed += bool(card.faults)
            alarms.update({fault.fault for fault in card.faults})
            bar.update(sample + 1, f"{alarmed} alarmed")
    return Healthy(resamplings, alarmed, alarms)


def _markdown(cards: dict[str, Scorecard], healthy: Healthy, judge: Judge) -> str:
    lines = [
        "# Known answers",
        "",
        "Can the scorecard see what it should? Sets of real images with faults put in on purpose, scored against the",
        "test images of MNIST, with `fit` as training images. Made by `pocketgan bench known-answers`, judge",
        f"{judge.version} ({judge.digest[:16]}…).",
        "",
        "| what was done to the images | verdict |",
        "|---|---|",
        *(f"| {name} | {card.verdict} |" for name, card in cards.items()),
        "",
        "## The figures",
        "",
        "Each beside its 95 % interval; **bold** where it cannot be told from that of real images. N is 10,000, and",
        "8,982 where class 3 is left out.",
        "",
        "| | " + " | ".join(f"`{name}`" for name in SHOWN) + " |",
        "|---" * (len(SHOWN) + 1) + "|",
    ]
    for name, card in cards.items():
        cells = []
        for metric in SHOWN:
            score = card.score(metric)
            if score is None:
                cells.append("")
                continue
            half = shown(metric, (score.high - score.low) / 2)
            value = f"{shown(metric, score.value)} ± {half}"
            cells.append(f"**{value}**" if score.saturated else value)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if healthy.samples:
        low, high = wilson_interval(healthy.alarmed, healthy.samples)
        raised = ", ".join(f"{name} {count}" for name, count in healthy.alarms.most_common()) or "none"
        lines += [
            "",
            "## Healthy images",
            "",
            f"{healthy.samples} samples of {RESAMPLED:,} images of `val`, without those that make the floor: "
            f"{healthy.alarmed} raised an alarm of any kind, {healthy.alarmed / healthy.samples:.2%} "
            f"(95 % interval {low:.2%} to {high:.2%}). Alarms by kind: {raised}.",
        ]
    return "\n".join(lines) + "\n"
