"""The coach: the same networks, trained by the champion's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pocketgan.api import run, train
from pocketgan.core.errors import UsageError
from pocketgan.networks.architectures import build_pair
from pocketgan.recipes import GAN_PRESETS, Recipe, gan_recipe, read_recipe, rebuild_command
from pocketgan.runs.folder import RunFolder

SMALL: dict[str, Any] = {"nimg": 256, "device": "cpu", "quiet": True}


def stored(folder: Path) -> Recipe:
    return read_recipe(Recipe, folder / "recipe.toml")


@pytest.mark.parametrize("name", GAN_PRESETS)
def test_the_networks_stay_and_the_training_is_the_champions(name: str) -> None:
    plain, coached = gan_recipe(name), gan_recipe(name, coach=True)
    assert (coached.model, coached.data, coached.name) == (plain.model, plain.data, plain.name)
    champion, rules = GAN_PRESETS["pocket-free"].recipe, coached
    for field in ("loss", "r1", "updates", "halves", "gp", "clip", "n_critic"):
        assert getattr(rules.objective, field) == getattr(champion.objective, field), field
    assert rules.optimizer == champion.optimizer
    for field in ("batch_size", "lr_hold", "ema_share"):
        assert getattr(rules.schedule, field) == getattr(champion.schedule, field), field
    shape = (1, 28, 28)
    for one, other in zip(build_pair(plain, shape, 10), build_pair(coached, shape, 10), strict=True):
        assert {k: v.shape for k, v in one.state_dict().items()} == {k: v.shape for k, v in other.state_dict().items()}


def test_options_win_over_the_coach_and_the_coach_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('preset = "mlp"\n[objective]\nhalves = "mean"\n[optimizer]\nlr_g = 1e-5\n[schedule]\nnimg = 64\n')
    coached = gan_recipe(file, {"beta1": 0.5, "epochs": 3}, coach=True)
    assert (coached.objective.halves, coached.optimizer.lr_g) == ("sum", 2e-3)
    assert (coached.optimizer.beta1, coached.schedule.epochs, coached.schedule.nimg) == (0.5, 3, None)
    assert gan_recipe("mlp", {"loss": "hinge"}, coach=True).objective.r1 == 0
    with pytest.raises(UsageError, match="r1 needs alternating updates"):
        gan_recipe("dcgan", {"updates": "simultaneous"}, coach=True)


def test_a_coached_run_trains_and_tells_all_in_its_recipe(small_mnist: Path, tmp_path: Path) -> None:
    model = train("mlp", out=tmp_path / "a", coach=True, **SMALL)
    recipe = stored(tmp_path / "a")
    assert (recipe.objective.loss, recipe.objective.r1, recipe.objective.r1_every) == ("relativistic", 0.1, 1)
    assert recipe.schedule.nimg == model.facts.nimg == 256
    assert recipe.optimizer.precision != "auto"
    written = train(tmp_path / "a" / "recipe.toml", out=tmp_path / "b", device="cpu", quiet=True)
    for key, value in model.generator.state_dict().items():
        assert torch.equal(value, written.generator.state_dict()[key])
    assert "--coach" not in rebuild_command(recipe)
    train("mlp", out=tmp_path / "a", coach=True, **{**SMALL, "nimg": 384})  # the same command goes on
    assert RunFolder(tmp_path / "a").recipe().schedule.nimg == 384


def test_the_budget_and_the_lazy_penalty_follow_the_networks(small_mnist: Path, tmp_path: Path) -> None:
    train("dcgan", out=tmp_path / "conv", coach=True, **SMALL)
    assert stored(tmp_path / "conv").objective.r1_every == 8
    run("mlp", out=tmp_path / "own", coach=True, skip=["generate", "classify", "score", "report"], r1_every=3, **SMALL)
    assert stored(tmp_path / "own").objective.r1_every == 3
    wanted = gan_recipe("mlp", coach=True)
    assert wanted.schedule.epochs == 60


def test_batchnorm_in_the_discriminator_leaves_r1_out_and_says_so(
    small_mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("dcgan-rotate", out=tmp_path / "run", coach=True, **{**SMALL, "quiet": False})
    assert stored(tmp_path / "run").objective.r1 == 0
    assert "the coach leaves R1 out: the discriminator has BatchNorm" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--r1: the discriminator of dcgan-rotate has BatchNorm"):
        train("dcgan-rotate", out=tmp_path / "other", coach=True, r1=0.1, **SMALL)
