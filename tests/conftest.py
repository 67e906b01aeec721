"""Small real data and small runs that tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pocketgan.core.cache import VARIABLE
from pocketgan.data.image_set import ImageSet
from pocketgan.data.mnist import Split, mnist
from pocketgan.model import Model
from pocketgan.verbs.train import train

SMALL = {"train": 600, "test": 200, "fit": 500, "val": 100}  # images of `small_mnist`


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--catches", help="run only the tests that are marked to catch this planted bug")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    bug = config.getoption("--catches")
    if bug is not None:
        items[:] = [item for item in items if any(bug in mark.args for mark in item.iter_markers("catches"))]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own, so that they neither find nor leave anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ[VARIABLE])


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """The first 1,000 digits of MNIST's training images."""
    return mnist("train").rows(torch.arange(1000))


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished `pocket` run of 40 steps."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    train("pocket", out=folder, nimg=40 * 128, quiet=True)
    return folder


@pytest.fixture(scope="session")
def pocket_model(small_run: Path) -> Model:
    return Model.load(small_run)


@pytest.fixture(scope="session")
def mlp_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """An unconditional model after 20 steps."""
    return train("mlp", out=tmp_path_factory.mktemp("runs") / "mlp", nimg=2000, quiet=True)


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder to work in, where MNIST is 600 images and a minute a thousandth of one."""

    def few(split: Split = "train"):  # type: ignore[no-untyped-def]
        return mnist(split).rows(torch.arange(SMALL[split]))

    for home in ("data.load", "data.sealed", "scorecard.yardstick", "verbs.evaluate"):
        monkeypatch.setattr(f"pocketgan.{home}.mnist", few)
    monkeypatch.setattr("pocketgan.verbs.train.WARM_UP_SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)
    return tmp_path
