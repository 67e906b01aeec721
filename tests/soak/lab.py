"""The lab's Break cards: each training that fails must raise the alarm it promises, its healthy twin none."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from pocketgan.lab.breaking import BATCH, CARDS, STEPS, Card, prepare, twin_words, words_of
from pocketgan.runs.facts import TroubleEvent
from pocketgan.runs.folder import RunFolder
from soak.children import Child, command
from soak.runs import Count

SEEDS = range(5)
SECONDS = 900.0  # that one training may take


def cards(folder: Path, seeds: Iterable[int] = SEEDS, names: Iterable[str] = tuple(CARDS)) -> list[Count]:
    """Play these cards with these seeds, by the very commands that the lab starts."""
    tried = list(seeds)
    broken = [Count(f"Break card raises its alarm within {STEPS:,} steps: {name}", len(tried), []) for name in names]
    twins: dict[tuple[str, ...], Count] = {}
    for name, count in zip(names, broken, strict=True):
        card = CARDS[name]
        for seed in tried:
            told = _told(card, folder, seed, twin=False)
            if not set(told) & set(card.alarms):
                count.failed.append(f"seed {seed}: {told or 'no alarm'}")
        key = tuple(map(str, card.twin.items()))
        if key not in twins:  # cards with the same twin share it
            twins[key] = Count(f"healthy twin without an alarm: of {name} and all with the same", len(tried), [])
            twins[key].failed.extend(
                f"seed {seed}: {told}" for seed in tried if (told := _told(card, folder, seed, twin=True))
            )
    return [*broken, *twins.values()]


def _told(card: Card, folder: Path, seed: int, twin: bool) -> dict[str, int]:
    """The alarms of one training, and the step at which each was raised."""
    began, out = time.monotonic(), folder / f"{card.id}-{seed}-{'twin' if twin else 'broken'}"
    prepare(card, folder)
    words = (twin_words if twin else words_of)(card, str(out), seed, folder)
    ended = Child(command(*words, "--quiet", "--device=cpu"), out.with_suffix(".err")).wait(SECONDS)
    if ended.code != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {ended.code}: {ended.err}")
    batch = BATCH if twin else int(card.options.get("batch_size", BATCH))
    told: dict[str, int] = {}
    for event in RunFolder(out).events():
        if isinstance(event, TroubleEvent):
            told.setdefault(event.kind, event.nimg // batch)
    print(f"lab: {out.name}: {json.dumps(told)}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return told
