"""Small real data and small runs that tests share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from filelock import FileLock
from hypothesis import settings

from pocketgan.api import train
from pocketgan.cli import main
from pocketgan.core.cache import VARIABLE
from pocketgan.core.pixels import to_bytes
from pocketgan.data.datasets import DATASETS
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.networks.architectures import build_pair
from pocketgan.recipes import Recipe, gan_recipe
from pocketgan.runs.facts import PairFacts
from pocketgan.steer.fits import METHODS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")

WEB = Path(__file__).parent.parent / "web"
SMALL = {"train": 600, "test": 200}  # images of `small_mnist`


def ended(*words: object) -> int:
    """The exit code of a command line, run in this process: words, each a text or a path."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert isinstance(end.value.code, int)
    return end.value.code


def layer_recipe(name: str) -> Recipe:
    """A pair for 8x8 grey images of three classes, whose generator has this layer."""
    middles: dict[str, list[object]] = {
        "Linear": [{"type": "Linear", "out_features": 64, "spectral_norm": True, "zero_bias": True}],
        "GroupNorm": [{"type": "GroupNorm", "num_groups": 4}],
        "Upsample": [{"type": "Upsample", "mode": "bilinear"}, "AvgPool2d"],
        "PixelShuffle": ["PixelShuffle", "PixelUnshuffle"],
        "PixelUnshuffle": ["PixelUnshuffle", "PixelShuffle"],
        "MaxPool2d": ["MaxPool2d", "Upsample"],
        "AvgPool2d": ["AvgPool2d", "Upsample"],
        "Flatten": [{"type": "Flatten", "order": "channels-last"}],
        "Embedding": [{"type": "Embedding", "join": "multiply"}, {"type": "Embedding", "embedding_dim": 4}],
    }
    sized = {"Conv2d": "out_channels", "ConvTranspose2d": "out_channels"}
    middle = middles.get(name, [name])
    if name in sized:
        middle = [{"type": name, sized[name]: 16, "kernel_size": 3, "padding": "same", "stride": 1}]
    vector = name in ("Linear", "BatchNorm1d")
    unflatten = [{"type": "Unflatten", "unflattened_size": [16, 4, 4]}]
    body = [{"type": "Linear", "out_features": 256}, *([] if vector or name == "Unflatten" else unflatten)]
    if name == "Unflatten":
        middle = unflatten
    flat = [] if vector or name == "Flatten" else ["Flatten"]
    told = ["OneHot"] if name in ("OneHot", "Embedding") else []
    return gan_recipe(
        Recipe.model_validate(
            {
                "model": {"architecture": "layers", "latent_dim": 8},
                "generator": {"layers": [*body, *middle, *flat, {"type": "Linear", "out_features": "C*H*W"}]},
                "discriminator": {"layers": ["Flatten", *told, {"type": "Linear", "out_features": 1}]},
            }
        )
    )


LONG = {"test_quality", "test_scorecard", "test_page", "test_processes", "test_sets"}  # which begin first
REAL = "POCKETGAN_REAL_DATA"  # names a folder with the publishers' files, where somebody has them


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--catches", help="run only the tests that are marked to catch this planted bug")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    bug = config.getoption("--catches")
    if bug is not None:
        items[:] = [item for item in items if any(bug in mark.args for mark in item.iter_markers("catches"))]
    left_out = [] if torch.cuda.is_available() else ["gpu"]
    if "extras" not in config.option.markexpr:
        left_out.append("extras")
    if REAL not in os.environ:
        left_out.append("publishers")
    unfit = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    items[:] = [item for item in items if item not in unfit]
    items.sort(key=lambda item: item.path.stem not in LONG)
    config.hook.pytest_deselected(items=unfit)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own, so that they neither find nor leave anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ[VARIABLE])


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """The first 1,000 digits of MNIST's training images."""
    return load_images("mnist").rows(torch.arange(1000))


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


def drawing_model(digits: ImageSet, classes: range = range(10)) -> Model:
    """An unconditional model that was built, not trained: where exactly one of its first latents is high, it draws one.

    Latent number k above 1.2 lays a real digit k into the picture; classes left out are never drawn.
    """
    recipe = gan_recipe("mlp", {"latent_dim": 16})
    generator, _ = build_pair(recipe, digits.shape, 10)
    first, last = (layer for layer in generator.modules() if isinstance(layer, torch.nn.Linear))
    assert digits.labels is not None
    guide = Classifier.load("guide")
    with torch.no_grad():
        for tensor in generator.parameters():
            tensor.zero_()
        last.bias.fill_(-4.0)
        for label in classes:
            several = digits.images[digits.labels == label][:10].flatten(1).float() / 255
            drawn = to_bytes(torch.tanh(16.0 * several - 4.0), "signed").view(-1, *digits.shape)
            picture = several[guide.probabilities(drawn)[:, label].argmax()]
            first.weight[label, label], first.bias[label] = 5.0, -6.0
            last.weight[:, label] = 8.0 * picture
    return Model(generator, None, recipe, digits.shape, digits.class_names, PairFacts())


@pytest.fixture(scope="session")
def steered_folder(digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a drawing model with every method fitted to it."""
    folder = tmp_path_factory.mktemp("steered") / "model"
    drawing_model(digits).save(folder)
    model = Model.load(folder)
    for method in METHODS:
        model.steer.fit(method, latents=4000, steps=100)
    return folder


@pytest.fixture(scope="session")
def steered(steered_folder: Path) -> Model:
    return Model.load(steered_folder)


@pytest.fixture(scope="module")
def few_fakes() -> Iterator[None]:
    """200 fakes for S1, where the program makes 10,000."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pocketgan.scorecard.scores.MANY_FAKES", 200)
        yield


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder to work in, where MNIST is 600 images and a minute a thousandth of one."""

    row = DATASETS["mnist"]

    def few(folder: Path, split: str) -> ImageSet:
        return row.reader(folder, split).rows(torch.arange(SMALL[split]))

    monkeypatch.setitem(DATASETS, "mnist", replace(row, reader=few))
    monkeypatch.setattr("pocketgan.training.opening.WARM_UP_SECONDS", 0.05)
    monkeypatch.setattr("pocketgan.training.speed.MEASURED_SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from pocketgan.bench.browser import browser

    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The packages of the lock file, and no others; put there once, however many processes run the tests."""
    assert shutil.which("npm"), "Node is needed to build the page anew"
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    done = tmp_path_factory.getbasetemp().parent / f"npm-{run}"
    with FileLock(f"{done}.lock"):
        if not done.exists():
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=WEB, check=True, capture_output=True)
            done.touch()
