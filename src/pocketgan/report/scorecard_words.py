"""What a scorecard's page says in words. Plain text: the page escapes it."""

from __future__ import annotations

from pocketgan.scorecard.card import Scorecard, SetFacts, TstrFacts
from pocketgan.scorecard.comparison import Comparison, title_of
from pocketgan.scorecard.figures import METRICS

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
Facts = list[tuple[str, str]]  # what, and what is said of it


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


def scorecard_facts(card: Scorecard) -> Facts:
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


def comparison_facts(comparison: Comparison) -> Facts:
    """What is the same for all that are compared."""
    return [
        ("Scored", f"{comparison.count:,} images of each"),
        *((subject.name, LABELS[subject.labels]) for subject in comparison.subjects),
        *_protocol(comparison.judge, comparison.reference, comparison.floor),
    ]


def _protocol(judge: dict[str, str], reference: SetFacts, floor: SetFacts) -> Facts:
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
