"""The code of the tutorials runs as it stands, with small budgets."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image

from conftest import ended
from pocketgan.core.errors import UsageError
from pocketgan.lab.breaking import CARDS
from pocketgan.networks.architectures import build_pair
from pocketgan.recipes import gan_recipe
from pocketgan.sweep.plan import cells_of, read_sweep

ROOT = Path(__file__).parent.parent
TUTORIALS = ROOT / "docs/tutorials"
OWN = (TUTORIALS / "own-networks.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"<!-- tested -->\n```{language}\n(.*?)```", text, re.DOTALL)


def run_page(name: str, **smaller: str) -> dict[str, object]:
    """Run the tested blocks of a page in order, with some words replaced by smaller ones; the names that it binds."""
    text, names = (TUTORIALS / f"{name}.md").read_text(), {"__name__": "tutorial"}
    for language, code in re.findall(r"<!-- tested -->\n```(console|python)\n(.*?)```", text, re.DOTALL):
        for said, small in smaller.items():
            code = code.replace(said, small)
        if language == "python":
            exec(compile(code, f"{name}.md", "exec"), names)
            continue
        for line in code.splitlines():
            words = shlex.split(line.removeprefix("$ "))
            assert words.pop(0) == "pocketgan"
            assert ended(*words) == 0, line
    return names


@pytest.mark.usefixtures("small_mnist")
def test_the_first_run() -> None:
    run_page("first-run", **{"run pocket": "run pocket --nimg 640 --skip classify,score"})  # `own-networks` has these
    assert Path("runs/first/report.html").is_file()
    assert len(list(Path("sevens/png/7").glob("*.png"))) == 64


def test_own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for label, name in enumerate(["circle", "cross"]):
        (tmp_path / "my-pictures" / name).mkdir(parents=True)
        for number in range(200):
            noise = torch.randint(0, 99, (8, 8), generator=torch.Generator().manual_seed(number + 200 * label))
            noise[2:6, 2:6] += 150 * label
            Image.fromarray(noise.byte().numpy()).save(tmp_path / "my-pictures" / name / f"{number}.png")
    names = run_page("your-images", **{"--epochs 50": "--nimg 128"})
    assert names["pictures"].class_names == ("circle", "cross")  # type: ignore[attr-defined]
    assert (tmp_path / "my-scorecard/scorecard.html").is_file()


@pytest.mark.usefixtures("small_mnist")
def test_a_collapse_is_found() -> None:
    names = run_page("collapsed", **{"1000": "100"})
    assert "Only 10 of 100 images differ" in names["card"].verdict  # type: ignore[attr-defined]
    assert len(names["threes"].unique(dim=0)) == 1  # type: ignore[attr-defined]
    scores = names["card"].metrics  # type: ignore[attr-defined]
    for name in ("coverage_k5_100", "recall_k5_100"):
        assert scores[name].high < 0.5 < scores[name].floor.low
    assert scores["duplicates_100"].value > 0.9 > scores["duplicates_100"].floor.high
    assert scores["precision_k5_100"].value > 0.9


def test_many_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page("many-processes", **{"2000": "200"})
    (text,) = blocks((TUTORIALS / "many-processes.md").read_text(), "toml")
    (tmp_path / "trial.toml").write_text(text)
    trial = tmp_path / "trial.toml"
    assert len(cells_of(read_sweep(trial), trial, tmp_path / "out")) == 6


def test_the_lessons_cards_are_the_labs() -> None:
    text = (TUTORIALS / "lesson.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \|", text.partition("## The cards")[2], re.MULTILINE)[1:]
    assert len(rows) >= 4
    assert set(rows) <= {card.title for card in CARDS.values()}


@pytest.mark.usefixtures("small_mnist")
def test_own_networks_reach_their_report() -> None:
    names: dict[str, object] = {"__name__": "tutorial"}
    code = "\n".join(blocks(OWN, "python"))
    assert code.count("epochs=20") == 1
    exec(compile(code.replace("epochs=20", "epochs=1"), "own-networks.md", "exec"), names)
    assert (Path("runs/mine") / "report.html").is_file()


def test_the_tutorials_layers_are_its_classes(tmp_path: Path) -> None:
    (text,) = blocks(OWN, "toml")
    (tmp_path / "mine.toml").write_text(text)
    generator, discriminator = build_pair(gan_recipe(str(tmp_path / "mine.toml")), (1, 28, 28), 10)
    assert [tuple(value.shape) for value in generator.parameters()] == [(256, 100), (256,), (784, 256), (784,)]
    assert sum(value.numel() for value in discriminator.parameters()) == 784 * 256 + 256 + 256 + 1


def test_the_misfit_that_is_shown_is_what_is_said(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```text\n(mine: .*?)\n```", OWN)
    (text,) = blocks(OWN, "toml")
    first, other = '{ type = "Linear", out_features = 256 }', '{ type = "Conv2d", out_channels = 8, kernel_size = 3 }'
    (tmp_path / "mine.toml").write_text(text.replace(first, other, 1))
    with pytest.raises(UsageError) as error:
        build_pair(gan_recipe(str(tmp_path / "mine.toml")), (1, 28, 28), 10)
    assert str(error.value) == shown
