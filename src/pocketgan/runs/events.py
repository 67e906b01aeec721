"""The event log of a run: one JSON object a line, appended and synced, cut back to a checkpoint on resume.

`events.jsonl` holds nothing that depends on the clock; times and speeds go to `timings.jsonl`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import clear_errors, write_text


def append_event(path: Path, event: dict[str, Any]) -> None:
    """Add one line and sync it to disk."""
    with clear_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_events(path: Path) -> list[dict[str, Any]]:
    """All whole lines; a last line that a kill cut short is left out. An absent file has none."""
    if not path.exists():
        return []
    events = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            event = json.loads(line)
        except ValueError as error:
            raise PocketganError(f"{path}, line {number} is not JSON; the run was changed by hand") from error
        if not isinstance(event, dict):
            raise PocketganError(f"{path}, line {number} is no JSON object; the run was changed by hand")
        events.append(event)
    return events


def cut_events(path: Path, nimg: int) -> None:
    """Drop what was logged after `nimg`, and an end that was not reached, so that a resumed run logs it again, once."""
    kept = [event for event in read_events(path) if event.get("nimg", 0) <= nimg and event.get("event") != "finish"]
    write_text(path, "".join(json.dumps(event) + "\n" for event in kept))
