"""Trainings that go on past their end, begin from another's weights, or find their images under another path."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import ended
from pocketgan.api import run, train
from pocketgan.core.errors import UsageError
from pocketgan.data.fakes import read_fakes
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.models.model import Model
from pocketgan.runs.facts import BudgetEvent, EpochEvent, FinishEvent
from pocketgan.runs.folder import RunFolder
from pocketgan.training.checkpoint import checkpoints
from pocketgan.training.health import lengths
from pocketgan.training.listeners import HealthWatch, Listener, Training
from pocketgan.training.loop import Milestone

COUNT = 250  # images, of which an epoch of batches of 100 is no whole number
LOGGED = {"start", "epoch", "finish"}


@pytest.fixture
def source(digits: ImageSet, tmp_path: Path) -> Path:
    path = tmp_path / "few.npz"
    few = digits.rows(torch.arange(COUNT))
    assert few.labels is not None
    np.savez(path, images=few.images.numpy(), labels=few.labels.numpy())
    return path


def weights(run: Path) -> tuple[bytes, bytes]:
    return (run / "G.pkl").read_bytes(), (run / "D.pkl").read_bytes()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def logged(run: Path) -> list[dict[str, Any]]:
    """The events but for changes of the budget, and without the budget at the start."""
    lines = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    return [{**line, "total_nimg": 0} for line in lines if line["event"] in LOGGED]


# ---- past the end --------------------------------------------------------------------------------------------------


@pytest.mark.catches("sums forgotten at the end of the budget")
def test_a_longer_budget_ends_as_a_run_that_had_it_from_the_start(source: Path, tmp_path: Path) -> None:
    """The first ends within an epoch, whose losses must be averaged over all of it."""
    whole, longer = tmp_path / "whole", tmp_path / "longer"
    train("mlp", out=whole, source=str(source), epochs=4, quiet=True)
    for epochs in (1.5, 2, 4):
        train("mlp", out=longer, source=str(source), epochs=epochs, quiet=True)
    assert weights(longer) == weights(whole)
    assert logged(longer) == logged(whole)
    assert (longer / "recipe.toml").read_bytes() == (whole / "recipe.toml").read_bytes()
    budgets = [event for event in RunFolder(longer).events() if isinstance(event, BudgetEvent)]
    assert [(event.nimg, event.old_total_nimg, event.total_nimg) for event in budgets] == [
        (400, 400, 500),
        (500, 500, 1000),
    ]
    assert sorted(path.name for path in (longer / "samples").iterdir()) == sorted(
        path.name for path in (whole / "samples").iterdir()
    )


@pytest.mark.parametrize("budget", [{"epochs": 2}, {"nimg": 500}])
def test_as_long_a_budget_is_complete_however_it_is_given(
    budget: dict[str, Any], source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    train("mlp", out=out, source=str(source), epochs=2, quiet=True)
    before = tree(out)
    train("mlp", out=out, source=str(source), **budget)
    assert "is complete; nothing to train" in capsys.readouterr().err
    assert tree(out) == before


@pytest.mark.parametrize("budget", [{"epochs": 1}, {"nimg": 300}])
def test_a_smaller_budget_than_was_shown_is_refused(budget: dict[str, Any], source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train("mlp", out=out, source=str(source), epochs=2, quiet=True)
    before = tree(out)
    with pytest.raises(UsageError, match=f"--{next(iter(budget))} .* has seen 500 images already"):
        train("mlp", out=out, source=str(source), quiet=True, **budget)
    assert tree(out) == before


def test_more_minutes_are_more_images_at_the_same_speed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgan.training.opening.WARM_UP_SECONDS", 0.1)
    out = tmp_path / "run"
    first = train("mlp", out=out, source=str(source), minutes=0.002, quiet=True).recipe.schedule.nimg
    assert first is not None
    assert train("mlp", out=out, source=str(source), minutes=0.004, quiet=True).recipe.schedule.nimg == 2 * first


def stop_after_saving(self: Listener, training: Training, milestone: Milestone) -> None:
    training.save()
    raise KeyboardInterrupt


@pytest.mark.parametrize("epochs", [4, 2])
def test_a_stopped_run_takes_another_budget(
    epochs: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("mlp", out=tmp_path / "whole", source=str(source), epochs=epochs, quiet=True)
    with monkeypatch.context() as patch:
        patch.setattr("pocketgan.training.listeners.CHECKPOINT_SECONDS", 0.0)  # a milestone after each step
        patch.setattr("pocketgan.training.listeners.Saver.on_milestone", stop_after_saving)
        with pytest.raises(KeyboardInterrupt):
            train("mlp", out=tmp_path / "run", source=str(source), epochs=3, quiet=True)
    assert checkpoints(tmp_path / "run" / "checkpoints")
    train("mlp", out=tmp_path / "run", source=str(source), epochs=epochs, quiet=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_what_follows_the_budget_is_told_in_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"source": str(source), "batch_size": 50, "lr_hold": 0.5}
    train("mlp", out=tmp_path / "run", epochs=1, **options)
    train("mlp", out=tmp_path / "run", epochs=2, **options)
    line = (
        "the rate follows the budget: from here on it is that of 2 epochs, as after 250 images of a run of 2 epochs\n"
    )
    assert capsys.readouterr().err.count(line) == 1
    facts = RunFolder(tmp_path / "run").model_facts()
    assert facts is not None
    assert facts.command is None, "no one command makes it again"


class KilledError(BaseException):
    """As a kill would end the process."""


@pytest.mark.parametrize("killed_at", ["change_budget", "write_recipe", "add_event", "save_state_dict"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("then", [2, 1])
def test_a_kill_between_two_budgets_loses_nothing(
    killed_at: str, before: bool, then: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command goes on to the longer end; the old one finds, or makes, the shorter run."""
    out = tmp_path / "run"
    for name, epochs in (("one", 1), ("two", 2)):
        train("mlp", out=tmp_path / name, source=str(source), epochs=epochs, quiet=True)
    shutil.copytree(tmp_path / "one", out)
    inside = "pocketgan.training.trainer" if killed_at == "save_state_dict" else "pocketgan.runs.folder.RunFolder"
    module, _, owner = inside.rpartition(".")
    target = f"{inside}.{killed_at}"
    holder = __import__(module, fromlist=[owner])
    work: Callable[..., Any] = getattr(getattr(holder, owner), killed_at)

    def killed(*arguments: Any) -> None:
        if not before:
            work(*arguments)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(target, killed)
        with pytest.raises(KilledError):
            train("mlp", out=out, source=str(source), epochs=2, quiet=True)
    if then == 1 and killed_at == "save_state_dict":
        with pytest.raises(UsageError, match="has seen 500 images already"):
            train("mlp", out=out, source=str(source), epochs=then, quiet=True)
        return
    train("mlp", out=out, source=str(source), epochs=then, quiet=True)
    whole = tmp_path / ("one" if then == 1 else "two")
    assert weights(out) == weights(whole)
    assert logged(out) == logged(whole)


@pytest.mark.catches("end of a guided run forgotten")
def test_what_a_guide_ended_is_complete(
    small_mnist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pocketgan.training.listeners.Goodness.reached", lambda self, images: True)
    options: dict[str, Any] = {"until_good": True, "batch_size": 100}
    train("mlp", out="run", epochs=3, quiet=True, **options)
    assert RunFolder("run").finish() == FinishEvent(nimg=600, reason="until good")
    before = tree(Path("run"))
    train("mlp", out="run", epochs=5, **options)
    assert "is complete; nothing to train" in capsys.readouterr().err
    assert tree(Path("run")) == before
    shutil.rmtree("run/model")  # a kill came before the model was written
    train("mlp", out="run", epochs=3, quiet=True, **options)
    assert {name for name, content in tree(Path("run")).items() if before.get(name) != content} == set()


@pytest.mark.usefixtures("few_fakes")
def test_run_makes_again_what_a_longer_training_outdates(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgan.api._run_card", lambda *_: None)
    options: dict[str, Any] = {"source": str(source), "classifier": "mlp"}
    out = tmp_path / "run"
    run("pocket", out=out, nimg=256, quiet=True, **options)
    before = tree(out)
    summary = run("pocket", out=out, nimg=512, **options).summary
    assert summary["nimg"] == 512
    assert "a longer training outdates it: fakes, grid.png, scores.json, summary.json, report.html" in (
        capsys.readouterr().err
    )
    assert (out / "C.pkl").read_bytes() == before[str(out / "C.pkl")], "what reads real images stays"
    again = Model.load(out).sample(100, seed=0)
    assert torch.equal(read_fakes(out / "fakes").images.images, again.images)
    table = out / "fakes" / "metadata.csv"
    rows = table.read_text().splitlines()
    cells = rows[1].split(",")
    cells[1] = str((int(cells[1]) + 1) % 10)
    table.write_text("\n".join([rows[0], ",".join(cells), *rows[2:]]) + "\n")
    before = tree(out)
    with pytest.raises(UsageError, match="a person gave labels"):
        run("pocket", out=out, nimg=768, quiet=True, **options)
    assert tree(out).keys() >= before.keys()
    assert all(tree(out)[name] == content for name, content in before.items())


# ---- from another's weights ----------------------------------------------------------------------------------------


@pytest.fixture
def other(source: Path, tmp_path: Path) -> Path:
    train("mlp", out=tmp_path / "other", source=str(source), nimg=300, quiet=True)
    return tmp_path / "other"


def test_a_run_begins_with_anothers_weights(other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, watches = tmp_path / "run", []
    plain = HealthWatch.__init__

    def noted(self: HealthWatch, setup: Any) -> None:
        plain(self, setup)
        watches.append(self.watch)

    monkeypatch.setattr(HealthWatch, "__init__", noted)
    began = Model.load(other)
    assert began.discriminator is not None
    model = train("mlp", out=out, source="mnist", nimg=100, lr_g=1e-9, start_from=str(other), quiet=True)
    for name, value in began.generator.state_dict().items():
        assert torch.allclose(model.generator.state_dict()[name], value, atol=1e-7)
    first = RunFolder(out).start()
    assert first is not None
    assert first.start_from == model.recipe.model.start_from == RunFolder(out).recipe().model.start_from
    assert watches[0].starts == first.lengths == lengths(began.generator, began.discriminator)
    assert checkpoints(out / "checkpoints")[0].name == "nimg-000000000000"


@pytest.mark.parametrize("fate", ["gone", "longer", "moved", "left out"])
@pytest.mark.parametrize("start", [True, False])
def test_it_goes_on_whatever_became_of_the_other_run(
    fate: str, start: bool, other: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"source": str(source), "nimg": 500, "quiet": True}
    train("mlp", out=tmp_path / "whole", start_from=str(other), **options)
    out, named = tmp_path / "run", str(other)
    with monkeypatch.context() as patch:
        if start:
            patch.setattr("pocketgan.training.trainer._train", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        else:
            patch.setattr("pocketgan.training.listeners.Saver.on_milestone", stop_after_saving)
        with pytest.raises(KeyboardInterrupt):
            train("mlp", out=out, start_from=named, **options)
    if fate == "gone":
        shutil.rmtree(other)
    elif fate == "longer":
        train("mlp", out=other, source=str(source), nimg=600, quiet=True)
        with pytest.raises(UsageError, match=r"other weights than .* leave the option out"):
            train("mlp", out=out, start_from=named, **options)
    elif fate == "moved":
        other.rename(tmp_path / "elsewhere")
        named = str(tmp_path / "elsewhere" / "model")
    more = {} if fate in ("longer", "left out") else {"start_from": named}
    train("mlp", out=out, **more, **options)
    assert weights(out) == weights(tmp_path / "whole")
    assert (out / "events.jsonl").read_bytes() == (tmp_path / "whole" / "events.jsonl").read_bytes()


def test_without_a_checkpoint_or_the_other_run_nothing_is_trained(other: Path, source: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"source": str(source), "nimg": 500, "quiet": True}
    out = tmp_path / "run"
    train("mlp", out=out, start_from=str(other), **options)
    for name in ("checkpoints", "model"):
        shutil.rmtree(out / name)
    with pytest.raises(UsageError, match="first weights are another model's; add --start-from"):
        train("mlp", out=out, **options)
    with pytest.raises(UsageError, match="tells no folder"):
        train(str(out / "recipe.toml"), out=tmp_path / "again", quiet=True)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("recipe", "broken", "message"),
    [
        ("mlp-deep", False, "--start-from .*: its generator does not fit mlp-deep on these images"),
        ("mlp", True, "--start-from .*: it has no discriminator to go on with"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_written(
    recipe: str, broken: bool, message: str, other: Path, source: Path, tmp_path: Path
) -> None:
    model = Model.load(other)
    if broken:
        model = Model(model.generator, None, model.recipe, model.shape, model.class_names, model.facts)
    model.save(tmp_path / "alone")
    with pytest.raises(UsageError, match=message):
        train(recipe, out=tmp_path / "run", source=str(source), start_from=str(tmp_path / "alone"), quiet=True)
    with pytest.raises(UsageError, match=r"--start-from .* holds no model"):
        train("mlp", out=tmp_path / "run", source=str(source), start_from=str(tmp_path / "none"), quiet=True)
    assert not (tmp_path / "run").exists()


# ---- the same images ------------------------------------------------------------------------------------------------


def test_the_same_images_under_another_path_are_the_same_run(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train("mlp", out=out, source=str(source), nimg=300, quiet=True)
    moved = source.rename(tmp_path / "moved.npz")
    recipe = (out / "recipe.toml").read_bytes()
    train("mlp", out=out, source=str(moved), nimg=300, quiet=True)
    assert (out / "recipe.toml").read_bytes() == recipe
    train("mlp", out=out, source=str(moved), nimg=500, quiet=True)
    assert RunFolder(out).recipe().data.source == str(source)
    assert [event.nimg for event in RunFolder(out).events() if isinstance(event, EpochEvent)] == [300, 500]
    images = load_images(moved)
    assert images.labels is not None
    np.savez(moved, images=images.images.numpy() // 2, labels=images.labels.numpy())
    with pytest.raises(UsageError, match="holds another run"):
        train("mlp", out=out, source=str(moved), nimg=500, quiet=True)


@pytest.mark.usefixtures("few_fakes")
def test_run_finds_images_that_were_moved(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.api._run_card", lambda *_: None)
    out = tmp_path / "run"
    run("pocket", out=out, source=str(source), nimg=256, classifier="mlp", quiet=True)
    moved = source.rename(tmp_path / "moved.npz")
    summary = run("pocket", out=out, source=str(moved), nimg=256, classifier="mlp", redo=["score"], quiet=True).summary
    assert summary["s0_error"] >= 0


def test_home_is_expanded_in_every_path(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    source.rename(home / "few.npz")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    assert ended("train", "mlp", "--data", "~/few.npz", "--nimg", 300, "--out", "~/run", "--quiet") == 0
    more = ("--data", home / "few.npz", "--start-from", "~/run", "--nimg", 100, "--quiet")
    assert ended("train", "~/run/recipe.toml", *more, "--out", "~/second") == 0
    assert ended("generate", "~/run", "--count", 3, "--out", "~/fakes", "--quiet") == 0
    words = ("classify", "train", "mlp", "--data", "~/few.npz", "--epochs", 1)
    assert ended(*words, "--out", "~/c", "--quiet") == 0
    assert ended("classify", "label", "~/few.npz", "--classifier", "~/c", "--out", "~/labels.csv") == 0
    assert {path.name for path in home.iterdir()} >= {"run", "second", "fakes", "c", "labels.csv"}
    assert not (tmp_path / "~").exists()
