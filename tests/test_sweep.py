"""Sweeps: the cells of a file, who runs them, and what is said over the seeds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import ended as ended_by
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.sweep.api import sweep
from pocketgan.sweep.engines import Ended, run_by_ray, run_here
from pocketgan.sweep.plan import Cell, cells_of, read_sweep
from pocketgan.sweep.summary import SettingFacts, spread_of, summed_up, table_of, with_best, write_summary

ZOO = Path(__file__).parent.parent / "zoo"
FILE = """
recipes = ["mlp", "pocket"]
seeds = [0, 1, 2]
[fields]
lr_g = [1e-4, 2e-4]
[options]
epochs = 1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "trial.toml"
    path.write_text(text)
    return path


def test_every_value_is_tried_with_every_other_and_every_seed(tmp_path: Path) -> None:
    path = written(tmp_path, FILE)
    cells = cells_of(read_sweep(path), path, tmp_path / "out")
    assert len(cells) == len({cell.name for cell in cells}) == 12
    assert {cell.setting for cell in cells} == {
        f"{recipe}, lr-g {rate}" for recipe in ("mlp", "pocket") for rate in ("0.0001", "0.0002")
    }
    words = cells[0].train
    assert words[:2] == ["train", "mlp"]
    for option, value in (("--lr-g", "0.0001"), ("--seed", "0"), ("--split", "fit"), ("--epochs", "1")):
        assert words[words.index(option) + 1] == value
    assert cells[0].score[cells[0].score.index("--split") + 1] == "val"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recipes = []", "recipes"),
        ('recipes = ["mlpp"]', "mlp"),
        ('recipes = ["mlp"]\nseed = 3', "seed"),
        ('recipes = ["mlp"]\n[fields]\nlr_x = [1]', "lr-x"),
        ('recipes = ["mlp"]\n[fields]\nlr_g = []', "0 trainings"),
        ('recipes = ["mlp"]\nseeds = [1, 1]', "twice"),
        ('recipes = ["mlp"]\nsplit = "train"', "val or test"),
        ('recipes = ["mlp"]\n[options]\nout = "x"', "'out'"),
        ("recipes = [", "TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_before_anything_begins(text: str, words: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=words):
        sweep(path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_commands_are_printed_for_a_scheduler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, FILE)
    assert ended_by("sweep", path, "--out", tmp_path / "out", "--print-commands") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert all(line.startswith("OMP_NUM_THREADS=1 pocketgan train ") and " && " in line for line in lines)
    assert not (tmp_path / "out").exists()


CELLS = [
    Cell("good", "good", 0, ["--version"], ["--help"]),
    Cell("bad", "bad", 0, ["nothing-like-this"], ["--version"]),
]


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.extras)])
def test_an_engine_tells_how_each_cell_ended(engine: str, tmp_path: Path) -> None:
    told: list[Ended] = []
    if engine == "ray":
        run_by_ray(CELLS, tmp_path, 1, None, told.append)
    else:
        run_here(CELLS, tmp_path, 1, told.append)
    ends = {one.cell.name: one for one in told}
    assert ends["good"].code == 0
    assert ends["bad"].code == 2
    assert "nothing-like-this" in ends["bad"].line


def test_a_scored_cell_is_not_run_again(tmp_path: Path) -> None:
    shutil.copytree(ZOO / "pocket-0" / "scorecard", tmp_path / "good" / "scorecard")
    told: list[Ended] = []
    run_here([Cell("good", "good", 0, ["no such command"], ["nor this"])], tmp_path, 1, told.append)
    assert [one.code for one in told] == [0]


def test_a_stopped_sweep_lets_its_trainings_save(tmp_path: Path) -> None:
    path = written(tmp_path, 'recipes = ["mlp"]\n[options]\nepochs = 500\ndata = "data.npz"')
    images = np.random.default_rng(0).integers(0, 256, (300, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=images)
    line = [sys.executable, "-m", "pocketgan", "sweep", str(path), "--out", "out", "--quiet"]
    process = subprocess.Popen(line, cwd=tmp_path)
    events = tmp_path / "out" / "mlp_seed-0" / "events.jsonl"
    for _ in range(600):
        if events.exists() and "epoch" in events.read_text():
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert list(events.parent.glob("checkpoints/nimg-*"))


def test_the_mean_over_seeds_has_students_interval() -> None:
    spread = spread_of([1.0, 2.0, 3.0])
    assert spread.mean == 2.0
    assert spread.low == pytest.approx(2 - 4.303 / 3**0.5)
    assert spread_of([5.0]).low is None
    assert spread_of([0.0, 0.02], share=True).low == 0.0
    many = spread_of([0.0, 1.0] * 8)  # 15 degrees: 2.131
    assert many.high == pytest.approx(0.5 + 2.131 * (4 / 15) ** 0.5 / 4, abs=5e-4)


def test_settings_are_told_over_their_seeds_the_best_first(tmp_path: Path) -> None:
    ended = []
    for setting, runs in (("mlp", ("mlp-0", "mlp-1")), ("pocket", ("pocket-0", "pocket-1"))):
        for seed, run in enumerate(runs):
            shutil.copytree(ZOO / run / "scorecard", tmp_path / run / "scorecard")
            ended.append(Ended(Cell(run, setting, seed, [], []), 0, ""))
    ended.append(Ended(Cell("mlp-2", "mlp", 2, [], []), 3, "the generator collapsed"))
    facts = summed_up(ended, tmp_path, split="test", count=10_000)
    assert [each.setting for each in facts.settings] == ["pocket", "mlp"]
    assert [each.best for each in facts.settings] == [True, True]  # two seeds tell so little of `mlp`
    assert facts.settings[1].stopped == ["mlp-2: the generator collapsed"]
    values = [json.loads((tmp_path / f"pocket-{n}/scorecard/scorecard.json").read_text()) for n in (0, 1)]
    found = [next(s["value"] for s in card["metrics"].values() if s["metric"] == "fd_judge") for card in values]
    assert facts.settings[0].metrics["fd_judge"].mean == pytest.approx(sum(found) / 2)
    write_summary(facts, tmp_path)
    heading, rows = table_of(facts)
    for file in ("sweep.md", "sweep.html"):
        text = (tmp_path / file).read_text()
        assert rows[0][0].removeprefix("* ") in text
        assert "the generator collapsed" in text
    assert rows[-1][0] == "real images"
    assert len(rows[0]) == len(heading)


def test_what_the_seeds_tell_from_the_best_is_not_marked() -> None:
    values = {"one": [1.0, 1.1, 1.2], "near": [1.2, 1.3, 1.1], "far": [3.0, 3.1, 3.2]}
    settings = [
        SettingFacts(setting=name, runs=[], stopped=[], metrics={"fd_judge": spread_of(found)})
        for name, found in values.items()
    ]
    assert [each.best for each in with_best(settings)] == [True, True, False]


def test_a_sweep_of_failures_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, 'recipes = ["mlp"]\n[options]\nnimg = 64\ndata = "nowhere"')
    with pytest.raises(PocketganError, match=r"no training ended well.*nowhere is missing"):
        sweep(path, out=tmp_path / "out", quiet=True)
