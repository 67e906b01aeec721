"""The page about reliability: its words, and the counts that were measured."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from soak.runs import Count

DOCS = Path(__file__).parent.parent.parent / "docs"
COUNTS = DOCS / "reliability.json"
PAGE = DOCS / "reliability.md"
WORDS = Path(__file__).parent / "reliability.md"
PLACE = "<!-- counts -->\n"


def keep(shard: str, counts: list[Count], seconds: float, machine: str) -> None:
    """Put what a shard counted in the place of what it counted before."""
    known: dict[str, Any] = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    rows = [{"what": count.what, "tried": count.tried, "failed": len(count.failed)} for count in counts]
    known[shard] = {"date": time.strftime("%Y-%m-%d"), "machine": machine, "seconds": round(seconds), "counts": rows}
    COUNTS.write_text(json.dumps(known, indent=2) + "\n")


def write(shards: Iterable[str]) -> None:
    """Write the page from its words and all counts that are kept; it names the `shards` that there are no counts of."""
    known = json.loads(COUNTS.read_text())
    lines = ["| what was tried | times | failed | true rate, at most | |", "|---|---:|---:|---:|---|"]
    for shard, found in known.items():
        for row in found["counts"]:
            bound = f"{highest_rate(row['tried']):.2g}" if row["failed"] == 0 and row["tried"] else ""
            how = f"`{shard}`, {found['date']}, {found['seconds']:,} s"
            lines.append(f"| {row['what']} | {row['tried']:,} | {row['failed']} | {bound} | {how} |")
    machines = sorted({found["machine"] for found in known.values()})
    words = WORDS.read_text()
    before, after = words.split(PLACE)
    missing = ", ".join(f"`{shard}`" for shard in shards if shard not in known)
    if missing:
        machines.append(f"not run in full yet: {missing}")
    PAGE.write_text(f"{before}{chr(10).join(lines)}\n\nMeasured on {'; '.join(machines)}.\n{after}")


def highest_rate(tried: int) -> float:
    """The largest rate of failures that `tried` trials without one leave possible, at 95 % confidence.

    Clopper & Pearson 1934, one-sided: the p with ``(1 - p) ** tried = 0.05``.
    """
    return float(1.0 - 0.05 ** (1.0 / tried))
