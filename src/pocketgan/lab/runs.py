"""The runs under a folder, each known by an opaque id and never by a path. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import Any, Literal

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import HOLDER, read_json
from pocketgan.runs.facts import BudgetEvent, StartEvent, TroubleEvent
from pocketgan.runs.folder import RunFolder
from pocketgan.runs.live import live_socket

DEPTH = 2  # folders below the lab's own in which runs are looked for
MOST = 2000  # folders that are looked at
ID_BYTES = 8

State = Literal["running", "starting", "stopped", "complete", "damaged"]


class Shelf:
    """The runs below a folder. What a link leads to is left out, so nothing outside is ever shown.

    Parameters
    ----------
    folder
        The lab's; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def runs(self) -> dict[str, RunFolder]:
        """All runs there are now, by id."""
        found, level = dict[str, RunFolder](), [self.folder]
        seen = 0
        for _ in range(DEPTH + 1):
            below: list[Path] = []
            for path in level:
                run = RunFolder(path)
                if run.recipe_file.is_file() and not run.recipe_file.is_symlink():
                    found[self.id_of(path)] = run
                    continue
                try:
                    inside = sorted(os.scandir(path), key=lambda entry: entry.name)
                except OSError:
                    continue
                seen += len(inside)
                if seen > MOST:
                    break
                below += [
                    Path(entry.path) for entry in inside if entry.name[0] != "." and entry.is_dir(follow_symlinks=False)
                ]
            level = below
        return found

    def id_of(self, path: Path) -> str:
        """The id of a folder: the same for every server, and no path."""
        name = os.fsencode(path.relative_to(self.folder))
        return hashlib.blake2b(name, digest_size=ID_BYTES).hexdigest()

    def run(self, identity: str) -> RunFolder:
        """The run of this id.

        Raises
        ------
        UsageError
            There is none.
        """
        run = self.runs().get(identity)
        if run is None:
            raise UsageError(f"there is no run {identity[:40]!r} here; look at the list of runs again")
        return run

    def name_of(self, run: RunFolder) -> str:
        """What a run is called: its folder, as it lies in the lab's."""
        name = run.path.relative_to(self.folder).as_posix()
        return self.folder.name if name == "." else name


def state_of(run: RunFolder) -> tuple[State, str]:
    """How a run stands, and why, in words; whether a running one is paused, only its channel tells."""
    try:
        if live_socket(run) is not None and _is_held(run):
            return "running", ""
        if not run.is_begun:
            return "starting", ""
        run.recipe()
        if run.is_complete:
            return "complete", ""
        events = run.events()
        if _is_held(run):
            return "starting", ""
    except (PocketganError, OSError) as error:
        return "damaged", str(error)
    trouble = next((event for event in reversed(events) if isinstance(event, TroubleEvent)), None)
    return "stopped", trouble.words if trouble is not None and trouble.event == "trouble" else ""


def _is_held(run: RunFolder) -> bool:
    """Whether a living process of this machine holds the folder."""
    try:
        holder = read_json(run.path / HOLDER)
        pid, host = int(holder["pid"]), holder["host"]
    except (PocketganError, LookupError, TypeError, ValueError):
        return False
    if host != platform.node() or sys.platform == "win32":  # Windows' `os.kill` is no question
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def summary_of(shelf: Shelf, identity: str, run: RunFolder) -> dict[str, Any]:
    """A run as it stands in the list."""
    state, why = state_of(run)
    row: dict[str, Any] = {"id": identity, "name": shelf.name_of(run), "state": state, "why": why}
    try:
        recipe, events, summary = run.recipe(), run.events(), run.summary()
    except (PocketganError, OSError) as error:
        return {**row, "state": "damaged", "why": str(error)}
    budgets = [event.total_nimg for event in events if isinstance(event, StartEvent | BudgetEvent)]
    return {
        **row,
        "recipe": recipe.name,
        "seed": recipe.seed,
        "nimg": max((event.nimg for event in events), default=0),
        "total_nimg": budgets[-1] if budgets else None,
        "has_model": run.model.is_dir(),
        "has_fakes": run.fakes.is_dir(),
        "has_report": run.report.is_file(),
        "has_scorecard": run.scorecard.is_dir(),
        "epochs_drawn": list(run.sample_files()),
        "warnings": [
            {"nimg": event.nimg, "kind": event.kind, "words": event.words}
            for event in events
            if isinstance(event, TroubleEvent)
        ],
        "s0": summary.s0_error if summary is not None else None,
        "s1": summary.s1_error if summary is not None else None,
        "verdict": summary.verdict if summary is not None else None,
    }


def events_of(run: RunFolder) -> list[dict[str, Any]]:
    """The events of a run, as they are logged."""
    return [{"event": event.event, **event.as_json()} for event in run.events()]
