"""`compare`: scorecards side by side."""

from __future__ import annotations

from pathlib import Path

from pocketgan.core.errors import UsageError
from pocketgan.core.files import refuse_existing, user_path, whole_folder, write_json
from pocketgan.data.image_set import ImageSet
from pocketgan.models.judge import Judge
from pocketgan.models.model import Model
from pocketgan.report.comparison import write_comparison_page
from pocketgan.scorecard.card import kept_card
from pocketgan.scorecard.comparison import Comparison, Entry, compare_cards, refuse_mixed
from pocketgan.scorecard.yardstick import MOST
from pocketgan.verbs.evaluate import evaluate


def compare(
    *subjects: Model | ImageSet | str | Path,
    split: str = "test",
    count: int = MOST,
    seed: int = 0,
    judge: Judge | str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Comparison:
    """Lay scorecards side by side, and say of each metric which subjects are the best.

    Parameters
    ----------
    subjects
        Two or more. A run folder that has a scorecard and a folder made by `evaluate` are taken as they were scored;
        a `Model`, a run or model folder without one, and images are scored now.
    split, count, seed, judge
        Of what is scored now, as in `evaluate`.
    out
        A new folder for ``comparison.json`` and ``comparison.html``.
    device, quiet
        As in `pocketgan.train`.

    Raises
    ------
    UsageError
        Fewer than two subjects; or their judges, real images or N differ, so that their figures do not compare.
    PocketganError
        A scorecard is damaged.
    """
    if out is not None:
        refuse_existing(user_path(out))
    if len(subjects) < 2:
        raise UsageError("compare needs two subjects or more: runs, models, images or folders of `evaluate --out`")
    kept = [_kept(subject) for subject in subjects]
    refuse_mixed([entry for entry in kept if entry])
    if not all(kept) and isinstance(judge, str | Path):
        judge = Judge.load(judge, device)

    def scored(subject: Model | ImageSet | str | Path) -> Entry:
        card = evaluate(subject, split=split, count=count, seed=seed, judge=judge, device=device, quiet=quiet)
        return Entry(_source(subject), card)

    comparison = compare_cards([entry or scored(subject) for subject, entry in zip(subjects, kept, strict=True)])
    if out is not None:
        with whole_folder(user_path(out)) as beside:
            write_json(beside / "comparison.json", comparison.model_dump(mode="json"))
            write_comparison_page(comparison, beside / "comparison.html")
    return comparison


def _kept(subject: Model | ImageSet | str | Path) -> Entry | None:
    """The scorecard that lies in a folder, if there is one."""
    if isinstance(subject, Model | ImageSet):
        return None
    card = kept_card(subject)
    return Entry(str(subject), card) if card else None


def _source(subject: Model | ImageSet | str | Path) -> str:
    if isinstance(subject, Model):
        return f"{subject.recipe.name}, seed {subject.recipe.seed}"
    return subject.name if isinstance(subject, ImageSet) else str(subject)
