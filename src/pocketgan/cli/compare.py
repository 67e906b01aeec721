"""`pocketgan compare`."""

from __future__ import annotations

import json
from pathlib import Path

from pocketgan.cli.parameters import Device, DrawSeed, Json, JudgeFolder, Quiet, RealSplit, Whole
from pocketgan.core.signals import load_torch


def compare(
    *subjects: str,
    split: RealSplit = "test",
    count: Whole = 10_000,
    seed: DrawSeed = 0,
    judge: JudgeFolder = "judge",
    out: Path | None = None,
    markdown: Path | None = None,
    device: Device = "auto",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lay scorecards side by side: of each metric the best, and all that the intervals cannot tell from it.

    Parameters
    ----------
    subjects
        Two or more: runs, folders made by `evaluate --out`, models or images. What has no scorecard yet is scored now,
        as the next four options say.
    count
        How many images of each are scored.
    out
        A new folder for comparison.html and comparison.json.
    markdown
        A Markdown file for the table of the main metrics, lowest fd_judge first. Of one that has such a table
        already only the table is replaced; what you wrote above it stays.
    """
    load_torch()
    from pocketgan.core.files import write_bytes
    from pocketgan.scorecard.listing import above_table, leaderboard, print_comparison
    from pocketgan.verbs.compare import compare as compare_subjects

    above = above_table(markdown) if markdown is not None else b""
    found = compare_subjects(
        *subjects, split=split, count=count, seed=seed, judge=judge, out=out, device=device, quiet=quiet
    )
    if markdown is not None:
        write_bytes(markdown, above + leaderboard(found).encode())
    if json_output:
        print(json.dumps(found.model_dump(mode="json"), indent=2))
    else:
        print_comparison(found)
