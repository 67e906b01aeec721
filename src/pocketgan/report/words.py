"""What the report says in words. Plain text: the page escapes it."""

from __future__ import annotations

from collections.abc import Sequence

from pocketgan.recipes import Recipe
from pocketgan.report.reading import Run
from pocketgan.runs.facts import DataFacts, EpochEvent, MadeWith, Rate, Scores

LABEL_SOURCES = {
    "asked": "the class that the generator was asked for",
    "steered": "the class that its latent was sought for",
    "guide": "read by the guide, a classifier other than C",
    "person": "given by a person",
    "mixed": "partly given by a person, partly read by the guide",
}
LABEL_WORDS = {
    "asked": "asked for",
    "steered": "steered to",
    "guide": "guide says",
    "person": "person says",
}  # beside one fake


def per_cent(share: float, count: int) -> str:
    """A share of `count` images, with no more decimals than the count can bear."""
    return f"{100 * share:.{2 if count >= 1000 else 1}f}%"


def interval(share: Rate) -> str:
    """The two ends: ``0.80 to 1.18%``."""
    return f"{per_cent(share.low, share.count).removesuffix('%')} to {per_cent(share.high, share.count)}"


def duration(seconds: float) -> str:
    """``9.4 s``, ``1 min 47 s`` or ``2 h 3 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def summary(run: Run) -> str:
    """The whole run in one sentence."""
    model, scores = run.model, run.scores or Scores()
    size = f" of {model.parameters['generator']:,} parameters" if "generator" in model.parameters else ""
    time = f" in {duration(run.train_seconds)}" if run.train_seconds else ""
    begin = f"A generator{size} learned from the {model.data.count:,} images of {model.data.name}{time} ({budget(run)})"
    told = [
        f"{per_cent(share.error, share.count)} of {share.count:,} {what} ({name})"
        for name, what, share in (("S0", real_images(scores.s0), scores.s0), ("S1", "fakes", scores.s1))
        if share
    ]
    return f"{begin}; the classifier C reads {' and '.join(told)} wrongly." if told else f"{begin}."


def outcome(run: Run) -> str:
    """Whether it went well, in one line: by the scorecard, else by the errors on real images and on fakes."""
    scores = run.scores or Scores()
    s0, s1 = scores.s0, scores.s1_10k or scores.s1
    if run.scorecard is not None:
        faults = run.scorecard.card.faults
        if not faults:
            return "It went well: no fault was found in the fakes."
        more = f" That is the first of {len(faults)} findings." if len(faults) > 1 else ""
        return f"Something is wrong: {faults[0].text}.{more}"
    if s0 is None or s1 is None:
        return "It was not scored, so this page cannot say whether it went well."
    fakes, real = (per_cent(share.error, share.count) for share in (s1, s0))
    shares = f"C reads {fakes} of the fakes wrongly, and {real} of the real images"
    if s1.low > s0.high:
        return f"Some fakes are no clear pictures: {shares}."
    return f"By this count it went well: {shares}."


def budget(run: Run) -> str:
    """How many epochs the training lasted and how many images it showed."""
    epochs = run.model.nimg / run.model.data.count if run.model.data.count else 0
    words = f"{round(epochs)}" if epochs and abs(epochs - round(epochs)) < 0.02 * epochs else f"{epochs:.1f}"
    shown = f"{run.model.nimg:,} images shown"
    return f"{words} epoch{'s' if words != '1' else ''}, {shown}" if epochs else shown


def real_images(share: Rate | None) -> str:
    """What S0 is counted on."""
    return "real test images" if share is None or share.data.endswith("test") else "real images"


def statement(share: Rate, what: str) -> str:
    """What exactly was counted, and whose labels decided."""
    labels = LABEL_SOURCES.get(share.labels_from, share.labels_from)
    counted = f"{share.errors:,} of {share.count:,} {what} read wrongly"
    shown = f"{per_cent(share.error, share.count)} (95% interval {interval(share)})"
    return f"{counted}, {shown}. Labels: {labels or 'of unknown source'}."


def comparison(s0: Rate, s1: Rate) -> str:
    """How the errors on real and on fake images stand to each other, and what that does and does not mean."""
    if s1.low > s0.high:
        return (
            "The intervals do not overlap: C reads the fakes wrongly more often than it does real images. "
            "Some fakes are no clear picture of their label."
        )
    if s1.high < s0.low:
        return (
            "The intervals do not overlap: C reads the fakes wrongly less often than it does real images. That need "
            "not mean that they are better: a generator that draws only plain, typical pictures makes an easy test."
        )
    return (
        "The intervals overlap: from these counts alone one cannot say that C reads fakes better or worse than "
        "it reads real images."
    )


def about_losses(recipe: Recipe) -> str:
    """How to read the two curves."""
    text = "Means over each epoch. A low loss of one player means that it is ahead of the other; "
    text += "neither curve says how good the pictures are."
    if recipe.objective.loss == "bce":
        guess = 1.386 if recipe.objective.halves == "sum" else 0.693
        text += f" A discriminator that tosses a coin stands at {guess}, and its generator at 0.693."
    return text


def loss_alt(losses: Sequence[EpochEvent]) -> str:
    """The loss curves for those who do not see them."""
    ends = [
        f"{name} from {getattr(losses[0], field):.2f} to {getattr(losses[-1], field):.2f}"
        for name, field in (("discriminator", "loss_d"), ("generator", "loss_g"))
        if getattr(losses[0], field) is not None and getattr(losses[-1], field) is not None
    ]
    return f"Line chart of the losses over {len(losses)} epochs: {', '.join(ends) or 'not all are numbers'}."


def split(data: DataFacts) -> str:
    """Which images were learned from, and which were kept apart."""
    if data.split == "train":
        return f"Both players learned from the {data.count:,} training images only; the test images took no part in it."
    if data.split == "fit":
        return (
            f"Both players learned from the {data.count:,} images of the split “fit”; the validation images that it "
            "leaves out and the test images took no part in it."
        )
    return f"Both players learned from all {data.count:,} images of this set."


def versions(made_with: MadeWith) -> str:
    """The programs that made the model."""
    programs = (("pocketgan", made_with.pocketgan), ("PyTorch", made_with.torch), ("Python", made_with.python))
    return ", ".join(f"{name} {version}" for name, version in programs if version)


def machine(made_with: MadeWith) -> str:
    """What it was made on."""
    told = [name for name in (made_with.machine, made_with.device) if name]
    if made_with.threads:
        told.append(f"{made_with.threads} thread{'s' if made_with.threads != 1 else ''}")
    return ", ".join(told)


def weights(kind: str) -> str:
    """Which of the generator's weights are kept."""
    if kind == "ema":
        return "the moving average (EMA) of the generator's weights along the training"
    return "the generator's weights as they were at the end; no moving average (EMA)"


def frequent_mistakes(matrix: Sequence[Sequence[int]], names: Sequence[str], count: int = 5) -> str:
    """The most frequent pairs of label and reading, for people who do not want to search the table."""
    pairs = [(n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    told = [f"{names[i]} read as {names[j]} ({n:,})" for n, i, j in pairs[:count]]
    return f"Most frequent: {', '.join(told)}." if told else "Not one is read wrongly."
