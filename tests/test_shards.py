"""Shards: processes in any order make the same set; each is whole or absent; what is said of the whole comes last."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pocketgan as pg
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.rng import BLOCK
from pocketgan.models.model import Model
from pocketgan.networks.architectures import build_pair
from pocketgan.recipes import gan_recipe
from pocketgan.runs.facts import PairFacts
from pocketgan.scorecard.card import kept_card
from pocketgan.writers.sharded import shard_named, shards_of

FORMATS = ["png", "npz", "idx", "webdataset", "grid"]
COUNT = 394  # 4 blocks, the last of 10


@pytest.fixture(scope="module")
def model() -> Model:
    recipe = gan_recipe("pocket", {"latent_dim": 5, "channels_g": 8})
    return Model(*build_pair(recipe, (1, 28, 28), 10), recipe, (1, 28, 28), tuple("0123456789"), PairFacts())


def make(model: Model, out: Path, shard: str | None, **options: object) -> list[Path]:
    return pg.generate(model, out=out, **{"count": COUNT, "format": FORMATS, "shard": shard, "quiet": True, **options})  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    """Every visible file below a folder, by its relative name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@given(count=st.integers(1, 5000), of=st.integers(1, 40))
def test_shards_are_whole_blocks_and_together_all_images(count: int, of: int) -> None:
    of = min(of, -(-count // BLOCK))
    shards = shards_of(count, of)
    assert [one.start for one in shards] == [0, *(one.stop for one in shards[:-1])]
    assert shards[-1].stop == count
    assert all(one.start % BLOCK == 0 and one.stop > one.start for one in shards)
    sizes = [-(-(one.stop - one.start) // BLOCK) for one in shards]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("4/3", "does not exist; the first is 1/3, the last 3/3"),
        ("0/3", "does not exist"),
        ("1/0", "does not exist"),
        ("1/5", "at most 4 shards"),
        ("one/3", "such as 1/8"),
        ("1", "such as 1/8"),
        ("-1/3", "such as 1/8"),
    ],
)
def test_a_shard_that_cannot_be_is_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match="--shard") as caught:
        shard_named(text, COUNT)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_set_is_the_same_in_any_order_and_what_is_said_of_it_comes_last(model: Model, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        assert not (tmp_path / "one/README.md").exists()
        make(model, tmp_path / "one", f"{number}/3")
    with ThreadPoolExecutor(3) as workers:  # all at once, and each shard twice
        list(workers.map(lambda number: make(model, tmp_path / "many", f"{number}/3"), (3, 1, 2, 2, 3, 1)))
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "many")
    whole = json.loads(one["provenance.json"])
    assert (whole["count"], whole["shards"], whole["seed"], whole["label_source"]) == (COUNT, 3, 0, "asked")
    assert b"# 394 generated images" in one["README.md"]
    assert b"shard-*-of-00003/png/**" in one["README.md"]


def test_every_image_is_that_of_the_whole_set_with_its_seed_and_index(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path / "whole", None, format=["npz"], seed=5)
    for number in (1, 2, 3):
        make(model, tmp_path / "parts", f"{number}/3", format=["npz", "png"], seed=5)
    folders = [tmp_path / f"parts/shard-{number:05d}-of-00003" for number in (1, 2, 3)]
    whole = np.load(tmp_path / "whole/samples.npz")
    for key in ("images", "labels", "latents", "index"):
        parts = [np.load(folder / "samples.npz")[key] for folder in folders]
        assert np.array_equal(np.concatenate(parts), whole[key])
    tables = [(folder / "png/metadata.csv").read_text().splitlines() for folder in folders]
    rows = [row for table in tables for row in csv.DictReader(table)]
    assert [(int(row["seed"]), int(row["index"]), int(row["label"])) for row in rows] == [
        (5, index, index % 10) for index in range(COUNT)
    ]


def test_a_shard_that_stands_is_left_and_one_that_lacks_is_made(model: Model, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        make(model, tmp_path / "out", f"{number}/3")
    before, shard = contents(tmp_path / "out"), tmp_path / "out/shard-00002-of-00003"
    (shard / "grid.png").write_bytes(b"mine")
    paths = make(model, tmp_path / "out", "2/3")
    assert (shard / "grid.png").read_bytes() == b"mine"
    assert shard / "grid.png" in paths
    shutil.rmtree(shard)
    (tmp_path / "out/README.md").unlink()
    make(model, tmp_path / "out", "1/3")
    assert not (tmp_path / "out/README.md").exists()
    make(model, tmp_path / "out", "2/3")
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"count": COUNT + 1}, "images is 394 there and 395 here"),
        ({"shard": "2/4"}, "shards is 3 there and 4 here"),
        ({"format": ["npz"]}, "formats is"),
        ({"label": "7"}, "class is None there and 7 here"),
        ({"test_share": 0.2}, "test_share is None there"),
    ],
)
def test_shards_of_two_sets_do_not_lie_in_one_folder(
    model: Model, tmp_path: Path, options: dict[str, object], says: str
) -> None:
    make(model, tmp_path, "1/3")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="of another set") as caught:
        make(model, tmp_path, **{"shard": "2/3", **options})  # type: ignore[arg-type]
    assert says in str(caught.value)
    assert contents(tmp_path) == before


def test_another_model_is_another_set(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path, "1/3")
    other = Model(*build_pair(model.recipe, (1, 28, 28), 10), model.recipe, (1, 28, 28), model.class_names, PairFacts())
    next(other.generator.parameters()).data += 1
    with pytest.raises(UsageError, match="of another set: model is"):
        make(other, tmp_path, "2/3")


def test_a_folder_of_other_things_is_refused(model: Model, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"thesis\.txt, which is no shard"):
        make(model, tmp_path, "1/3")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_shard_too_small_for_the_test_share_is_told_by_all(model: Model, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        with pytest.raises(UsageError, match="--test-share"):
            make(model, tmp_path / "out", f"{number}/3", count=2 * BLOCK + 2, test_share=0.1)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_without_a_whole_provenance_is_told_of(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path, "1/3")
    (tmp_path / "shard-00001-of-00003/provenance.json").write_text("{}")
    with pytest.raises(PocketganError, match="does not say what set it is part of"):
        make(model, tmp_path, "2/3")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_shard_leaves_nothing_and_the_same_command_makes_it(tmp_path: Path, number: int) -> None:
    out = tmp_path / "out"
    words = [
        "generate",
        "digits",
        "--count",
        "20000",
        "--shard",
        "1/2",
        "--format",
        "png",
        "--out",
        str(out),
        "--quiet",
    ]
    process = subprocess.Popen([sys.executable, "-m", "pocketgan", *words])
    deadline = time.monotonic() + 60
    while not list(out.glob(".partial-*/png/*/*.png")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(60) != 0
    assert not [path for path in out.glob("*") if not path.name.startswith(".")]
    assert bool(list(out.glob(".partial-*"))) == (number == signal.SIGKILL)
    small = {"count": 200, "shard": "1/2", "format": ["png"], "quiet": True}
    pg.generate("digits", out=out, **small)  # type: ignore[arg-type]
    assert [path.name for path in out.iterdir()] == ["shard-00001-of-00002"], "what the killed process left is gone"


def test_the_card_tells_how_good_the_model_is_or_that_nobody_knows(tmp_path: Path) -> None:
    scored = Path(__file__).parent.parent / "zoo/mlp-0"
    card = kept_card(scored)
    assert card is not None
    for model, words in ((scored, card.verdict), ("digits", "no scorecard lies beside the model")):
        pg.generate(model, out=tmp_path / "out", count=4, format=["png"], quiet=True)
        assert f"How good they are: {words}" in (tmp_path / "out/png/README.md").read_text(encoding="utf-8")
        shutil.rmtree(tmp_path / "out")
