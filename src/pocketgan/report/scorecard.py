"""The scorecard as a part of a run's report and as a page of its own, in drawings and in words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from pocketgan.core.errors import UsageError
from pocketgan.core.files import whole_folder, write_json, write_text
from pocketgan.report import words
from pocketgan.report.page import ENLARGED_WIDTH, both_widths, data_uri, enlarged, open_picture, png, render
from pocketgan.report.reading import CardFolder, read_card_folder
from pocketgan.report.scorecard_charts import bar, feature_map, scale_of, track
from pocketgan.scorecard.card import CARD, ClassFacts, Interval, Score, Scorecard, SetFacts, TstrFacts
from pocketgan.scorecard.comparison import Comparison, title_of
from pocketgan.scorecard.evaluate import Scored
from pocketgan.scorecard.figures import METRICS, poor, shown
from pocketgan.scorecard.pictures import write_pictures

DIRECTIONS = {
    "lower": "lower is better",
    "higher": "higher is better",
    "near": "best where real images are",
}
LABELS = {
    "asked": "Every class was asked for equally often; misread is what the judge reads as another class than that.",
    "given": "The images came with labels; misread is what the judge reads as another class than its label.",
    "none": "The images have no labels, so classes are those that the judge reads, and nothing counts as misread.",
}
DIGEST_SHOWN = 12  # hexadecimal digits
FactRows = list[tuple[str, str]]  # what, and what is said of it


def about_metric(metric: str) -> str:
    """What a metric means, and which way is better."""
    row = METRICS[metric]
    return f"{row.about[0].upper()}{row.about[1:]}; {DIRECTIONS[row.better]}"


def gap(tstr: TstrFacts) -> str:
    """How far classifiers that learned from fakes lie behind those that learned from real images."""
    learned = f"Learned from {tstr.count:,} fakes, or from {tstr.real_count:,} real images"
    ends = f"{100 * tstr.gap.low:.2f} to {100 * tstr.gap.high:.2f}"
    return (
        f"{learned}, {len(tstr.classifier_seeds)} seeds of each: the gap is {100 * tstr.gap.value:.2f} points ({ends})"
    )


def scorecard_facts(card: Scorecard) -> FactRows:
    """How the figures came about, and how the images that they are measured against were kept apart."""
    scored = [("Scored", _images(card.subject, title_of(card)))]
    if card.made_by:
        made_by = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in card.made_by.items())
        scored.append(("Made by", made_by[0].upper() + made_by[1:]))
        apart = f"{_images(card.training)}. The images of {card.reference.name} took no part."
        learned = ("Learned from", f"{apart} {_copied(card)}")
    else:
        learned = ("Copies", f"Looked for among {_images(card.training)}. {_copied(card)}")
    return [*scored, learned, ("Labels", LABELS[card.labels]), *_protocol(card.judge, card.reference, card.floor)]


def comparison_facts(comparison: Comparison) -> FactRows:
    """What is the same for all that are compared."""
    return [
        ("Scored", f"{comparison.count:,} images of each"),
        *((subject.name, LABELS[subject.labels]) for subject in comparison.subjects),
        *_protocol(comparison.judge, comparison.reference, comparison.floor),
    ]


def _protocol(judge: dict[str, str], reference: SetFacts, floor: SetFacts) -> FactRows:
    return [
        ("Measured against", f"{_images(reference)}: real images, for this alone."),
        ("Floor", f"{_images(floor)}: fresh real images, scored in just the same way."),
        ("Judge", f"{judge['version']}, sha256 {judge['digest'][:DIGEST_SHOWN]}…: a network that only ever scores."),
        ("Intervals", "95%: of shares Wilson's, of all else from random halves of the images."),
    ]


def _images(images: SetFacts, name: str = "") -> str:
    return f"{images.count:,} images of {name or images.name} (sha256 {images.digest[:DIGEST_SHOWN]}…)"


def _copied(card: Scorecard) -> str:
    copies = round(card.reference_copies * card.subject.count)
    many = "None" if copies == 0 else f"{copies:,}"
    return f"{many} of the scored images {'are' if copies > 1 else 'is'} byte for byte in {card.reference.name}."


GROUPS = {  # headings of the table, and the metrics under each
    "As a whole": ("fd_judge", "kd_judge"),
    "Does each image look real?": ("precision", "density", "label_error"),
    "Is there all the variety of real images?": (
        *("recall", "coverage", "diversity", "diversity_least"),
        *("label_kl", "classes_covered", "duplicates"),
    ),
    "Is anything copied?": ("copy_share", "copy_share_judge", "memorisation"),
    "Plain looks": ("brightness", "sharpness", "offset_right", "offset_down"),
    "What can a classifier learn from them?": ("tstr",),
}
LEAST_MISREAD_SHOWN = 0.05  # share that fills a bar where every class is below it


class Measure(NamedTuple):
    """One row of the table of metrics, in words, with its drawing."""

    name: str
    about: str
    value: str
    range: str
    floor: str
    floor_range: str
    saturated: bool
    poor: bool
    track: Markup


class ClassRow(NamedTuple):
    """One row of the table of classes: each figure in words, over its bar."""

    name: str
    images: str
    images_bar: Markup
    misread: str | None
    misread_bar: Markup
    diversity: str | None
    diversity_bar: Markup


def write_scorecard(folder: Path, scored: Scored) -> None:
    """Write a new folder, whole: ``scorecard.json``, its pictures and ``scorecard.html``.

    Raises
    ------
    PocketganError
        It cannot be written.
    """
    with whole_folder(folder) as beside:
        write_json(beside / CARD, scored.card.model_dump(mode="json"))
        write_pictures(beside, scored.measured, scored.judged, scored.yard)
        write_scorecard_page(beside)


def write_scorecard_page(folder: str | Path) -> Path:
    """Write `scorecard.html` into a folder made by `evaluate`: the scorecard and its pictures as one file.

    Raises
    ------
    UsageError
        The folder holds no scorecard.
    PocketganError
        One of its files is damaged, or the page cannot be written.
    """
    card_folder = read_card_folder(Path(folder))
    if card_folder is None:
        raise UsageError(f"{folder} holds no {CARD}; give a folder made by `pocketgan evaluate --out`")
    target = Path(folder) / "scorecard.html"
    card = card_folder.card
    write_text(target, render("scorecard_page.html.j2", title=title_of(card), scorecard=scorecard_content(card_folder)))
    return target


def scorecard_content(card_folder: CardFolder) -> dict[str, Any]:
    """All names that the scorecard's part of a page uses."""
    card = card_folder.card
    return {
        "card": card,
        "title": title_of(card),
        "groups": _groups(card),
        "some_saturated": any(score.saturated for score in card.metrics.values()),
        "classes": _class_rows(card.classes, card.subject.count),
        "map": _map(card_folder),
        "map_share": f"{card_folder.map.share:.0%}" if card_folder.map else "",
        "pictures": {
            name: data_uri(png(enlarged(open_picture(path), ENLARGED_WIDTH)))
            for name, path in card_folder.pictures.items()
        },
        "facts": scorecard_facts(card),
    }


def grouped(metrics: set[str]) -> list[tuple[str, list[str]]]:
    """Headings with those of their metrics that are among the given; groups without any are left out."""
    chosen = [(heading, [name for name in names if name in metrics]) for heading, names in GROUPS.items()]
    return [(heading, names) for heading, names in chosen if names]


def _groups(card: Scorecard) -> list[tuple[str, list[Measure]]]:
    by_metric = {score.metric: (name, score) for name, score in card.metrics.items()}
    about = {name: about_metric(name) for name in by_metric}
    if card.tstr is not None:
        about["tstr"] += f". {gap(card.tstr)}"
    return [
        (heading, [_measure(*by_metric[name], about[name]) for name in names])
        for heading, names in grouped(set(by_metric))
    ]


def _measure(name: str, score: Score, about: str) -> Measure:
    value, floor = shown(score.metric, score.value), shown(score.metric, score.floor.value)
    ends, floor_ends = ends_of(score.metric, score), ends_of(score.metric, score.floor)
    alt = f"{name}: {value}, {ends}; real images {floor}, {floor_ends}"
    scale = scale_of(METRICS[score.metric].better, (score, score.floor))
    drawn = track(score, score.floor, scale, alt=alt, accent=not score.saturated)
    return Measure(name, about, value, ends, floor, floor_ends, score.saturated, poor(score.metric, score.floor), drawn)


def ends_of(metric: str, interval: Interval) -> str:
    """The two ends of an interval in words."""
    return f"{shown(metric, interval.low).removesuffix('%')} to {shown(metric, interval.high)}"


def _class_rows(classes: list[ClassFacts], count: int) -> list[ClassRow]:
    most = 1.04 * max((max(row.count, row.share * count) for row in classes), default=1.0)
    misread = [row.misread / row.labelled if row.labelled and row.misread is not None else None for row in classes]
    most_misread = max([LEAST_MISREAD_SHOWN, *(share or 0.0 for share in misread)])
    widest = 1.04 * max([1.0, *(row.diversity or 0.0 for row in classes)])
    return [
        ClassRow(
            name=row.name,
            images=f"{row.count:,}",
            images_bar=bar(row.count, most, mark=row.share * count),
            misread=None if share is None else words.per_cent(share, row.labelled or 0),
            misread_bar=bar(share or 0.0, most_misread),
            diversity=None if row.diversity is None else f"{row.diversity:.2f}",
            diversity_bar=bar(row.diversity or 0.0, widest, mark=1.0),
        )
        for row, share in zip(classes, misread, strict=True)
    ]


def _map(card_folder: CardFolder) -> Markup:
    if card_folder.map is None:
        return Markup("")
    points, title = card_folder.map, title_of(card_folder.card)
    alt = f"Map of {len(points.real):,} real images and {len(points.fake):,} of {title}."
    names = [row.name for row in card_folder.card.classes]
    return both_widths(partial(feature_map, points, names, alt=alt))
