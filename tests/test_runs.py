"""The run folder: its files are named in one place, and what is written there is what was read."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from pocketgan.models.saved import read_model_file
from pocketgan.runs.facts import EpochEvent, OtherEvent, PairFile, Record
from pocketgan.runs.folder import RunFolder

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "pocketgan"
KEPT = sorted(path.parent for path in (ROOT / "zoo").glob("*/summary.json"))
NAMES = {
    path.name
    for path in vars(RunFolder("run")).values()
    if path.suffix in (".toml", ".jsonl", ".json", ".pkl", ".html") or path.name == "checkpoints"
} | {"model.json"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_module_names_a_file_of_a_run(path: Path) -> None:
    if path.parent.name in ("runs", "strangers"):  # what strangers bring has such names too
        return
    texts = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    assert not texts & NAMES


def test_the_names_are_those_of_a_run(small_run: Path) -> None:
    assert {"recipe.toml", "events.jsonl", "timings.jsonl", "G.pkl", "D.pkl"} <= NAMES
    assert {path.name for path in small_run.iterdir() if path.is_file() and path.name[0] != "."} <= NAMES


def given_again(facts: Record | None, path: Path) -> bool:
    assert facts is not None
    return json.dumps(facts.as_json()) == json.dumps(json.loads(path.read_text()))


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_files_of_earlier_versions_are_read_and_written_as_they_were(folder: Path) -> None:
    run = RunFolder(folder)
    assert given_again(run.scores(), run.scores_file)
    assert given_again(run.summary(), run.summary_file)
    events = [{"event": event.event, **event.as_json()} for event in run.events()]
    assert "".join(json.dumps(event) + "\n" for event in events) == run.events_file.read_text()
    timings = [timing.as_json() for timing in run.timings()]
    assert "".join(json.dumps(timing) + "\n" for timing in timings) == run.timings_file.read_text()
    if run.model.exists():
        facts = read_model_file(run.model, PairFile).facts.as_json()
        written = json.loads((run.model / "model.json").read_text())
        assert list(facts) == [name for name in written if name in facts]
        assert all(written[name] == value for name, value in facts.items())


def test_a_run_is_complete_when_its_model_is_the_one_that_it_ended_with(small_run: Path, tmp_path: Path) -> None:
    assert RunFolder(small_run).is_complete
    assert not RunFolder(tmp_path / "none").is_complete
    assert not RunFolder(tmp_path / "none").is_begun


def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert (run.events(), run.timings(), run.scores(), run.summary(), run.model_facts()) == ([], [], None, None, None)
    run.add_event(EpochEvent(epoch=1, nimg=100, loss_d=None, loss_g=0.5))
    run.events_file.write_text(run.events_file.read_text() + '{"event": "later", "nimg": 100, "what": 1}\n{"ev')
    first, other = run.events()
    assert isinstance(first, EpochEvent)
    assert (first.loss_d, first.loss_g) == (None, 0.5)
    assert isinstance(other, OtherEvent)
    assert other.as_json() == {"event": "later", "nimg": 100, "what": 1}
