"""The page of what people bring: its rows come out anew as they are written."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from pocketgan.bench.strangers.kinds import Kind, Outcome, outcome
from pocketgan.bench.strangers.page import TABLES, line_of
from pocketgan.importing import tensors
from soak.children import POSIX
from soak.pickles import Worker

PAGE = Path(__file__).parent.parent / "docs" / "strangers.md"
KINDS = [kind for kinds in TABLES.values() for kind in kinds]
FEW = 30  # of them that the quick tests try

pytestmark = pytest.mark.skipif(not POSIX, reason="children are forked")


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open pickles in forked children, which need not import torch anew."""
    monkeypatch.setattr(tensors, "_converted", Worker())


def without_percent(line: str) -> str:
    """How sure a guide is may differ by rounding elsewhere."""
    return re.sub(r"\d+%", "N%", line)


def held_to_the_page(kinds: list[Kind], folder: Path) -> None:
    written = set(map(without_percent, PAGE.read_text(encoding="utf-8").splitlines()))
    for number, kind in enumerate(kinds):
        found = outcome(kind, folder / str(number))
        assert found.right, (kind.name, found)
        if found.happened != "not tried":
            assert without_percent(line_of(kind, found)) in written, (kind.name, found)


def test_a_part_of_the_page_holds(tmp_path: Path) -> None:
    """The same part each time; a row is added by the command that writes the page."""
    held_to_the_page(random.Random(0).sample(KINDS, FEW), tmp_path)


@pytest.mark.extras
def test_all_of_the_page_holds(tmp_path: Path) -> None:
    held_to_the_page(KINDS, tmp_path)


def test_the_page_has_every_kind_and_no_other() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    told = [line for line in lines if not line.startswith("| what |")]
    beginnings = [line_of(kind, Outcome("", "")).partition("` |")[0] for kind in KINDS]
    assert len(set(beginnings)) == len(KINDS)
    assert [line for line in told if not line.startswith(tuple(beginnings))] == []
    assert len(told) == len(KINDS)


@pytest.mark.parametrize(
    ("change", "happened"),
    [
        ({"holds": None}, "WRONGLY taken"),
        ({"holds": lambda found, path: False}, "WRONGLY taken"),
        ({"build": lambda folder: 1 / 0}, None),
        ({"command": "evaluate elsewhere"}, "refused"),
    ],
)
def test_a_kind_that_comes_out_otherwise_is_seen(
    change: dict[str, object], happened: str | None, tmp_path: Path
) -> None:
    kind = next(kind for kind in KINDS if kind.name == "PNG in folders 0 to 9")
    assert outcome(kind, tmp_path / "whole").right
    if happened is None:
        with pytest.raises(ZeroDivisionError):
            outcome(kind._replace(**change), tmp_path / "other")  # type: ignore[arg-type]
        return
    found = outcome(kind._replace(**change), tmp_path / "other")  # type: ignore[arg-type]
    assert found.happened.startswith(happened)
    assert not found.right
