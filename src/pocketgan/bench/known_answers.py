"""`bench known-answers`: scorecards of sets whose faults are known, and how often healthy images raise an alarm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import read_bytes, write_text
from pocketgan.core.pixels import to_pillow
from pocketgan.core.rng import rng
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.metrics.labels import wilson_interval
from pocketgan.models.judge import Judge
from pocketgan.scorecard.card import Scorecard, floor_of, make_card
from pocketgan.scorecard.figures import METRICS, shown
from pocketgan.scorecard.yardstick import MOST, JudgedImages, Yardstick, in_classes_of, part_of, yardstick

SEED = 0


def faulty_sets() -> dict[str, Callable[[], ImageSet]]:
    """By what was done: labelled sets made from the 10,000 of `val`, or from `fit` where they are copies."""
    return {
        "nothing: `val` as it is": lambda: load_images("mnist", "val"),
        "rows of `fit`, copied": _copies,
        "the same with 1 % noise": _noisy_copies,
        "one image, 10,000 times": lambda: _named(_val().rows(torch.zeros(10_000, dtype=torch.int64))),
        "class 3 left out": lambda: _named(_val().rows(_labels(_val()) != 3)),
        "classes 3 and 5 swapped in the labels": _swapped,
        "all labels shuffled": _shuffled,
        "blurred": lambda: _changed(_blurred),
        "shifted by 2 pixels": lambda: _changed(lambda images: F.pad(images, (2, -2, 2, -2))),
        "uniform noise": lambda: _changed(_noise),
        "500 different images": lambda: _named(_val().rows(torch.arange(10_000) % 500)),
        "half real, half noise": lambda: _changed(_half_noise),
        "each class's mean image": _means,
    }


def transformed_sets() -> dict[str, Callable[[], ImageSet]]:
    """The same of what was done to all images alike, or to all labels."""
    return {
        "transposed": lambda: _changed(lambda images: images.mT),
        "mirrored left to right": lambda: _changed(lambda images: images.flip(3)),
        "mirrored top to bottom": lambda: _changed(lambda images: images.flip(2)),
        "light and dark exchanged": lambda: _changed(lambda images: 255 - images),
        "transposed, light and dark exchanged": lambda: _changed(lambda images: 255 - images.mT),
        "turned clockwise by 90 degrees": lambda: _changed(lambda images: images.rot90(-1, (2, 3))),
        "turned by 180 degrees": lambda: _changed(lambda images: images.flip(2, 3)),
        "turned clockwise by 15 degrees": lambda: _changed(lambda images: _turned_by_pillow(images, -15)),
        "turned counter-clockwise by 25 degrees": lambda: _changed(lambda images: _turned_by_pillow(images, 25)),
        "strokes made thicker": lambda: _changed(lambda images: _neighbours(images).amax(0)),
        "strokes made thinner": lambda: _changed(lambda images: _neighbours(images).amin(0)),
        "each label one too high": lambda: _relabelled((_labels(_val()) + 1) % 10),
        "nines labelled 4": lambda: _relabelled(_labels(_val()).where(_labels(_val()) != 9, 4)),
        "the same, and no class 9 by name": _without_the_last_class,
        "fours and nines alone": lambda: _named(_val().rows((_labels(_val()) == 4) | (_labels(_val()) == 9))),
    }


def _without_the_last_class() -> ImageSet:
    labels = _labels(_val()).where(_labels(_val()) != 9, 4)
    return replace(_relabelled(labels), class_names=_val().class_names[:9])


def _turned_by_pillow(images: Tensor, degrees: float) -> Tensor:
    """Turned counter-clockwise by another program, so that nothing is undone by the same arithmetic."""
    turned = [to_pillow(image).rotate(degrees, Image.Resampling.BICUBIC) for image in images]
    return torch.stack([torch.from_numpy(np.array(picture)) for picture in turned]).unsqueeze(1)


def _neighbours(images: Tensor) -> Tensor:
    """Each pixel with the four at its sides: ``[5, N, C, H, W]``; the margin goes round, where digits are black."""
    moved = [images.roll(step, axis) for axis in (2, 3) for step in (1, -1)]
    return torch.stack([images, *moved])


def _val() -> ImageSet:
    return load_images("mnist", "val")


def _named(images: ImageSet) -> ImageSet:
    return replace(images, name="known fault", split="all")


def _changed(change: Callable[[Tensor], Tensor]) -> ImageSet:
    return _named(replace(_val(), images=change(_val().images)))


def _relabelled(labels: Tensor) -> ImageSet:
    return _named(replace(_val(), labels=labels))


def _labels(images: ImageSet) -> Tensor:
    assert images.labels is not None
    return images.labels


def _copies() -> ImageSet:
    fit = load_images("mnist", "fit")
    return _named(fit.rows(torch.randperm(len(fit), generator=rng(SEED, "copies"))[:10_000]))


def _noisy_copies() -> ImageSet:
    copies = _copies()
    noise = torch.randn(copies.images.shape, generator=rng(SEED, "noise")) * 0.01 * 255
    return replace(copies, images=(copies.images + noise).round().clamp(0, 255).to(torch.uint8))


def _swapped() -> ImageSet:
    labels = _labels(_val()).clone()
    three, five = labels == 3, labels == 5
    labels[three], labels[five] = 5, 3
    return _relabelled(labels)


def _shuffled() -> ImageSet:
    labels = _labels(_val())
    return _relabelled(labels[torch.randperm(len(labels), generator=rng(SEED, "labels"))])


def _blurred(images: Tensor) -> Tensor:
    """A Gaussian of one pixel's standard deviation."""
    line = torch.exp(-torch.arange(-3, 4).float().square() / 2)
    line = line / line.sum()
    kernel = (line[:, None] * line).expand(1, 1, 7, 7)
    return F.conv2d(images.float(), kernel, padding=3).round().to(torch.uint8)


def _noise(images: Tensor) -> Tensor:
    return torch.randint(0, 256, images.shape, generator=rng(SEED, "uniform"), dtype=torch.uint8)


def _half_noise(images: Tensor) -> Tensor:
    changed = images.clone()
    changed[::2] = _noise(images[::2])
    return changed


def _means() -> ImageSet:
    images, labels = _val().images, _labels(_val())
    means = torch.stack([images[labels == label].float().mean(0).round().to(torch.uint8) for label in range(10)])
    return _named(replace(_val(), images=means[labels]))


RESAMPLED = 2000  # images in each healthy sample
SHOWN = tuple(name for name in METRICS if name not in ("classes_covered", "diversity_least"))


@dataclass(frozen=True)
class Healthy:
    """Samples of real images, and how many of them raised each alarm."""

    samples: int
    alarmed: int
    alarms: Counter[str]


PARTS = {"faults": "# Known answers", "transformations": "## Done to all images", "healthy": "## Healthy images"}


def known_answers(out: Path, parts: Sequence[str], resamplings: int, display: Display) -> Path:
    """Score sets whose faults are known and healthy samples, and write the tables as Markdown.

    Parameters
    ----------
    out
        The Markdown file; of one that is there, the parts that are not asked for stay as they are.
    parts
        Of `PARTS`.
    resamplings
        Healthy samples, of 2,000 images each, from the part of `val` that the floor of as many leaves.
    display
        Where progress is shown.

    Raises
    ------
    UsageError
        A part is unknown, or one that is not asked for is not in the file.
    """
    written = _written(out, parts)
    judge = Judge.load(device="cpu")
    display.line("reading real images")
    yard = yardstick(judge, load_images("mnist", "test"), load_images("mnist", "fit"))
    made = {
        "faults": lambda: _faults(_cards(yard, faulty_sets(), MOST, display), judge),
        "transformations": lambda: _transformations(_cards(yard, transformed_sets(), RESAMPLED, display), judge),
        "healthy": lambda: _told(_healthy(yard, resamplings, display)),
    }
    for part in parts:
        written[part] = "\n".join(made[part]())
    write_text(out, "\n\n".join(written[part] for part in PARTS) + "\n")
    return out


def _written(out: Path, parts: Sequence[str]) -> dict[str, str]:
    """The parts of a file that is there, which are kept where no others are asked for."""
    for part in parts:
        if part not in PARTS:
            raise UsageError(f"--parts {part} is unknown{nearest(part, PARTS)}")
    text = read_bytes(out).decode() if out.is_file() else ""
    begins = [(text.find(heading), part) for part, heading in PARTS.items() if heading in text]
    ends = [*(begin for begin, _ in begins[1:]), len(text)]
    found = {part: text[begin:end].strip() for (begin, part), end in zip(begins, ends, strict=True)}
    missing = [part for part in PARTS if part not in found and part not in parts]
    if missing:
        raise UsageError(f"{out} has no part {missing[0]} to keep; make it too, with --parts {','.join(PARTS)}")
    return found


def _cards(
    yard: Yardstick, sets: dict[str, Callable[[], ImageSet]], count: int, display: Display
) -> dict[str, Scorecard]:
    """The scorecard of each set, of at most so many of its images."""
    cards: dict[str, Scorecard] = {}
    test, val, fit = yard.reference.images, load_images("mnist", "val"), load_images("mnist", "fit")
    with display.bar("sets", len(sets)) as bar:
        for name, make in sets.items():
            whole = in_classes_of(make(), test)
            images = whole.rows(part_of(whole, count, SEED))
            floor = floor_of(yard.judge, test, fresh=val, rest=fit, count=len(images))
            judged = JudgedImages(images, yard.judge.read(images.images))
            cards[name], _ = make_card(yard, judged, floor)
            bar.update(len(cards), name)
            display.line(f"{name}: {cards[name].verdict}")
    return cards


def _healthy(yard: Yardstick, resamplings: int, display: Display) -> Healthy:
    """Verdicts on samples of `val`, none of whose images are the floor's."""
    val = load_images("mnist", "val")
    floor = floor_of(yard.judge, yard.reference.images, fresh=val, rest=yard.training.images, count=RESAMPLED)
    free = torch.ones(len(val), dtype=torch.bool)
    free[part_of(val, RESAMPLED, 0)] = False
    rows = free.nonzero().squeeze(1)
    whole = JudgedImages(val, yard.judge.read_kept(val))
    alarmed, alarms = 0, Counter[str]()
    with display.bar("healthy samples", resamplings) as bar:
        for sample in range(resamplings):
            order = torch.randperm(len(rows), generator=rng(sample, "healthy sample"))
            card, _ = make_card(yard, whole.rows(rows[order[:RESAMPLED]]), floor)
            alarmed += bool(card.faults)
            alarms.update({fault.fault for fault in card.faults})
            bar.update(sample + 1, f"{alarmed} alarmed")
    return Healthy(resamplings, alarmed, alarms)


def _verdicts(cards: dict[str, Scorecard]) -> list[str]:
    rows = (f"| {name} | {card.verdict} |" for name, card in cards.items())
    return ["| what was done to the images | verdict |", "|---|---|", *rows]


def _transformations(cards: dict[str, Scorecard], judge: Judge) -> list[str]:
    return [
        PARTS["transformations"],
        "",
        f"The same with what was done to all images alike, or to all labels, on {RESAMPLED:,} of the images; judge",
        f"{judge.version} ({judge.digest[:16]}…).",
        "",
        *_verdicts(cards),
    ]


def _faults(cards: dict[str, Scorecard], judge: Judge) -> list[str]:
    lines = [
        PARTS["faults"],
        "",
        "Can the scorecard see what it should? Sets of real images with faults put in on purpose, scored against the",
        "test images of MNIST, with `fit` as training images. Made by `pocketgan bench known-answers`, judge",
        f"{judge.version} ({judge.digest[:16]}…).",
        "",
        *_verdicts(cards),
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
    return lines


def _told(healthy: Healthy) -> list[str]:
    low, high = wilson_interval(healthy.alarmed, healthy.samples)
    raised = ", ".join(f"{name} {count}" for name, count in healthy.alarms.most_common()) or "none"
    return [
        PARTS["healthy"],
        "",
        f"{healthy.samples} samples of {RESAMPLED:,} images of `val`, without those that make the floor: "
        f"{healthy.alarmed} raised an alarm of any kind, {healthy.alarmed / healthy.samples:.2%} "
        f"(95 % interval {low:.2%} to {high:.2%}). Alarms by kind: {raised}.",
    ]
