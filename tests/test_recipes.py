"""Recipes: presets, files and options laid over one another, and one line for each mistake."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from conftest import ended
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.recipes import (
    CLASSIFIER_PRESETS,
    GAN_PRESETS,
    Recipe,
    classifier_recipe,
    field_places,
    gan_recipe,
    rebuild_command,
    write_recipe,
)


@pytest.mark.parametrize("name", GAN_PRESETS)
def test_a_written_recipe_reads_back_the_same(name: str, tmp_path: Path) -> None:
    recipe = gan_recipe(name, {"seed": 7})
    write_recipe(recipe, tmp_path / "recipe.toml")
    assert gan_recipe(str(tmp_path / "recipe.toml")) == recipe


@pytest.mark.parametrize("name", CLASSIFIER_PRESETS)
def test_a_written_classifier_recipe_reads_back_the_same(name: str, tmp_path: Path) -> None:
    recipe = classifier_recipe(name)
    write_recipe(recipe, tmp_path / "recipe.toml")
    assert classifier_recipe(str(tmp_path / "recipe.toml")) == recipe


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 3},
        {"epochs": 2, "lr_g": 1e-3, "ema_share": 0.0},
        {"nimg": 1_000_000, "precision": "bf16", "fresh_latents": True},
        {"source": "my pictures/", "split": "fit", "updates": "simultaneous"},
        {"until_good": True, "minutes": 0.5},
    ],
)
def test_the_command_of_a_recipe_gives_the_recipe(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Recipe] = []
    monkeypatch.setattr("pocketgan.training.opening.train_in", lambda run, recipe, **_: trained.append(recipe))
    recipe = gan_recipe("mlp-bn", options)
    program, *words = shlex.split(rebuild_command(recipe))
    assert (program, ended(*words, "--out", "run")) == ("pocketgan", 0)
    assert trained == [recipe]


def test_the_command_tells_minutes_in_images_and_own_recipes_by_their_file() -> None:
    both = gan_recipe("mlp", {"minutes": 5})
    decided = both.model_copy(update={"schedule": both.schedule.model_copy(update={"nimg": 4000})})
    assert rebuild_command(decided) == "pocketgan train mlp --nimg 4000"
    assert rebuild_command(gan_recipe("mlp", {"until_good": True})) == "pocketgan train mlp --until-good"
    assert rebuild_command(Recipe(name="mine")) == "pocketgan train recipe.toml"


def test_the_originals_are_as_told() -> None:
    facts = {
        name: (
            preset.recipe.model.latent_dim,
            preset.recipe.schedule.batch_size,
            preset.recipe.schedule.epochs,
            preset.recipe.optimizer.lr_g,
            preset.recipe.optimizer.beta1,
            preset.recipe.optimizer.beta2,
            preset.recipe.optimizer.eps,
            preset.recipe.schedule.ema_share,
        )
        for name, preset in GAN_PRESETS.items()
        if isinstance(preset.recipe, Recipe)
    }
    assert facts["dcgan"] == (100, 128, 50, 2e-4, 0.9, 0.999, 1e-7, 0)
    assert facts["mlp-deep"] == (100, 64, 60, 2e-4, 0.9, 0.999, 1e-8, 0)
    assert facts["dcgan-rotate"] == (64, 128, 20, 2e-4, 0.5, 0.99, 1e-8, 0)
    assert facts["mlp-bn"][:3] == (100, 64, 50)
    assert facts["mlp"][0] == 100
    assert GAN_PRESETS["dcgan"].recipe.objective.updates == "simultaneous"
    assert GAN_PRESETS["dcgan"].recipe.objective.halves == "sum"
    assert GAN_PRESETS["dcgan-rotate"].recipe.data.rotate > 0


def test_options_go_by_bare_and_by_dotted_name_and_as_text() -> None:
    for option in ("lr_g", "lr-g", "optimizer.lr_g"):
        assert gan_recipe("dcgan", {option: "0.001"}).optimizer.lr_g == 1e-3


def test_bare_names_are_unique() -> None:
    sections = [section for section in Recipe.model_fields.values() if hasattr(section.annotation, "model_fields")]
    fields = [name for section in sections for name in section.annotation.model_fields]  # type: ignore[union-attr]
    assert len(fields) == len(set(fields))
    assert set(fields) <= set(field_places(Recipe))


def test_options_are_laid_over_a_recipe_object_too() -> None:
    recipe = gan_recipe("dcgan", {"seed": 3})
    changed = gan_recipe(recipe, {"epochs": 2})
    assert (changed.seed, changed.schedule.epochs, changed.optimizer) == (3, 2, recipe.optimizer)
    assert gan_recipe(recipe) == recipe
    with pytest.raises(UsageError, match="--depth"):
        gan_recipe(recipe, {"depth": 3})


@pytest.mark.parametrize("budget", [{"nimg": 1000}, {"minutes": 2}, {"epochs": 3}])
def test_a_budget_replaces_the_presets_own(budget: dict[str, int]) -> None:
    schedule = gan_recipe("dcgan", budget).schedule
    given = {name: getattr(schedule, name) for name in ("epochs", "nimg", "minutes")}
    assert {name: value for name, value in given.items() if value is not None} == budget


def test_the_budget_is_whole_batches_and_never_short() -> None:
    schedule = gan_recipe("pocket", {"nimg": 1000}).schedule
    assert schedule.total_nimg(60_000) == 1024
    assert gan_recipe("pocket", {"epochs": 1}).schedule.total_nimg(60_000) == 60_032


def test_a_file_may_start_from_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('preset = "dcgan"\nname = "mine"\n[optimizer]\nbeta1 = 0.5\n[schedule]\nminutes = 5\n')
    recipe = gan_recipe(str(file))
    assert (recipe.name, recipe.model.architecture, recipe.optimizer.beta1) == ("mine", "dcgan", 0.5)
    assert (recipe.optimizer.eps, recipe.schedule.epochs, recipe.schedule.minutes) == (1e-7, None, 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr_gg": 1}, ["--lr-gg", "did you mean '--lr-g'"]),
        ({"lr_g": "fast"}, ["optimizer.lr_g", "number", "'fast'"]),
        ({"beta1": 1.5}, ["optimizer.beta1", "less than 1"]),
        ({"epochs": 1, "minutes": 1}, ["one budget"]),
        ({"batch_size": 0}, ["schedule.batch_size"]),
        ({"seed": -1}, ["seed"]),
        ({"model.lr_g": 1}, ["--model.lr-g"]),
    ],
)
def test_a_wrong_option_gets_one_line(options: dict[str, object], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        gan_recipe("pocket", options)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = ", ["not readable as TOML"]),
        ("[optimizer]\nlr = 1", ["optimizer.lr", "did you mean 'optimizer.lr_"]),
        ('preset = "dcgn"', ["did you mean 'dcgan'"]),
        ("format_version = 99", ["newer"]),
        ("optimizer = 3", ["optimizer"]),
    ],
)
def test_a_wrong_file_gets_one_line_that_names_it(text: str, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(PocketganError) as caught:
        gan_recipe(str(file))
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in [*words, "wrong.toml"]), line


def test_a_missing_file_and_an_unknown_name_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml is missing"):
        gan_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match="did you mean 'pocket'"):
        gan_recipe("poket")
