"""Steering as people meet it: the verbs, the tutorial's code, and the table of measured figures."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp

from conftest import ended
from pocketgan.bench.steering import steering_results
from pocketgan.core.pixels import to_png
from pocketgan.core.rng import latents
from pocketgan.core.terminal import Display
from pocketgan.data.fakes import read_fakes
from pocketgan.metrics.steering import latent_distance, norm_distance, spread_within
from pocketgan.models.model import Model

TUTORIAL = (Path(__file__).parent.parent / "docs" / "steering.md").read_text()


@pytest.fixture
def folder(steered_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(steered_folder, tmp_path / "model")
    return tmp_path / "model"


def test_fit_then_generate(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder / "steer")
    words = ["--latents", 1000, "--steps", 5, "--json", "--quiet"]
    assert ended("steer", "fit", folder, "--method", "bank,directions", *words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [one["method"] for one in facts] == ["bank", "directions"]
    assert sum(facts[0]["kept"]) <= facts[0]["latents"] == 1000
    out = tmp_path / "fives"
    assert ended("generate", folder, "--digit", 5, "--count", 6, "--slant", 1.5, "--out", out) == 0
    assert "steered by bank" in capsys.readouterr().err
    fakes = read_fakes(out / "png")
    assert (set(fakes.label_source), fakes.images.labels.tolist()) == ({"steered"}, [5] * 6)  # type: ignore[union-attr]
    assert json.loads((out / "provenance.json").read_text())["steered_by"] == "bank"
    z = torch.from_numpy(np.load(out / "png" / "latents.npy"))
    assert torch.equal(Model.load(folder).images(z), fakes.images.images)


def test_a_picture_is_inverted_and_walked_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(to_png(Model.load(folder).sample(1, label=3, method="bank").images[0]))
    assert ended("steer", "invert", folder, tmp_path / "picture.png", "--out", tmp_path / "found", "--quiet") == 0
    assert json.loads((tmp_path / "found" / "errors.json").read_text())["rmse"][0] < 0.1
    words = ["3", "latent:7", tmp_path / "picture.png", "--steps", 4, "--method", "bank", "--out", tmp_path / "walk"]
    assert ended("steer", "interpolate", folder, *words, "--quiet") == 0
    walk = np.load(tmp_path / "walk" / "latents.npy")
    assert walk.shape == (7, 16)
    assert np.allclose(walk[3], Model.load(folder).sample(1, start=7).latents[0].numpy(), atol=1e-5)
    with Image.open(tmp_path / "walk" / "walk.png") as moving:
        assert moving.n_frames == 12  # there, and back without the ends
    assert ended("steer", "directions", folder, "--digit", 3, "--out", tmp_path / "sheet.png") == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * (7 * 30 + 2), 2 * (3 * 30 + 2))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["steer", "fit", "MODEL", "--method", "flw"], "did you mean 'flow'"),
        (["steer", "fit", "MODEL", "--latents", "0"], "--latents 0"),
        (["steer", "fit", "MODEL", "--steps", "0"], "--steps 0"),
        (["steer", "fit", "MODEL", "--width", "5000"], "--width 5000"),
        (["steer", "fit", "MODEL", "--guide", "judge"], "only scores"),
        (["steer", "fit", "POCKET"], "conditional"),
        (["steer", "interpolate", "MODEL", "3", "--out", "OUT"], "two stops"),
        (["steer", "interpolate", "MODEL", "3", "nine", "--out", "OUT"], "nine is no stop"),
        (["steer", "interpolate", "MODEL", "3", "4", "--steps", "1", "--out", "OUT"], "--steps 1"),
        (["steer", "invert", "MODEL", "nothing", "--out", "OUT"], "nothing is missing"),
        (["steer", "invert", "MODEL", "nothing", "--count", "0", "--out", "OUT"], "--count 0"),
        (["steer", "directions", "MODEL", "--digit", "12", "--out", "OUT"], "class '12' is unknown"),
        (["generate", "MODEL", "--digit", "12", "--out", "OUT"], "class '12' is unknown"),
        (["generate", "MODEL", "--checked", "--out", "OUT"], "add --digit"),
        (["generate", "POCKET", "--digit", "1", "--slant", "1", "--out", "OUT"], "leave them out"),
        (["bench", "steering", "--out", "OUT"], "no models"),
        (["bench", "steering", "POCKET", "--out", "OUT"], "conditional"),
    ],
)
def test_a_wrong_request_gets_one_line(
    words: list[str],
    line: str,
    steered_folder: Path,
    small_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"MODEL": steered_folder, "POCKET": small_run, "OUT": tmp_path / "out"}
    assert ended(*(places.get(word, word) for word in words)) == 2
    told = capsys.readouterr().err
    assert re.fullmatch(r"pocketgan: [^\n]+\n", told)
    assert line in told
    assert not (tmp_path / "out").exists()


def test_the_code_of_the_tutorial_runs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder / "steer")
    (tmp_path / "runs").mkdir()
    folder.rename(tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"<!-- tested -->\n```python\n(.*?)```", TUTORIAL, re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, object] = {}
    for code in blocks:
        small = code.replace("latents=200_000", "latents=3000, steps=20" if ".fit(" in code else "latents=3000")
        exec(compile(small, "steering.md", "exec"), names)
    assert float(names["hits"]) > 0.1  # type: ignore[arg-type]


def test_what_the_tutorial_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TUTORIAL):
        assert (Path(__file__).parent.parent / "docs" / target).exists(), target


def test_the_table_is_made_by_command(steered_folder: Path, tmp_path: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in steered_folder.rglob("*"))
    table = tmp_path / "table.md"
    options = {"methods": ["bank", "lcp"], "count": 12, "latents": 3000, "steps": 50, "seed": 0}
    steering_results([steered_folder], table, display=Display(quiet=True), **options)  # type: ignore[arg-type]
    text = table.read_text()
    rows = re.findall(r"^\| (bank|lcp) \| [\d,]+ \| ([\d.]+)% \|", text, re.MULTILINE)
    assert [name for name, _ in rows] == ["bank", "lcp"]
    assert float(rows[0][1]) >= 80  # two readers agree on what one of them is sure of
    (picture,) = re.findall(r"\]\(([^)]+\.png)\)", text)
    with Image.open(tmp_path / picture) as drawn:
        assert drawn.size == (3 * 302 + 4 * 8, 302 + 2 * 8)
    assert sorted(path.stat().st_mtime_ns for path in steered_folder.rglob("*")) == before


def test_norm_distances_are_scipys() -> None:
    one, other = latents(0, 0, 300, 10), 1.2 * latents(1, 0, 200, 10)
    expected = ks_2samp(one.norm(dim=1).numpy(), other.norm(dim=1).numpy()).statistic
    assert norm_distance(one, other) == pytest.approx(expected, abs=1e-9)
    assert norm_distance(one, one) == 0


def test_distances_and_spreads_are_taken_within_classes() -> None:
    labels = torch.arange(400) % 2
    z = latents(0, 0, 400, 6) + 3.0 * labels.unsqueeze(1)
    fresh = latents(1, 0, 400, 6) + 3.0 * labels.unsqueeze(1)
    near, far = (latent_distance(z, labels, fresh, asked, [0, 1]) for asked in (labels, 1 - labels))
    assert 10 * abs(near) < far
    assert spread_within(z, labels, fresh, labels, [0, 1]).coverage > 0.8
    assert spread_within(z, labels, fresh, 1 - labels, [0, 1]).coverage < 0.1
    one_point = fresh[:1].expand(400, 6)
    assert spread_within(z, labels, one_point, labels, [0, 1]).coverage < 0.1
