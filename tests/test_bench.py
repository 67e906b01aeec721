"""Stored runs and the page made of them."""

from __future__ import annotations

import json
import shutil
from itertools import islice, pairwise
from pathlib import Path
from statistics import mean
from xml.etree import ElementTree

import pytest
import torch

from pocketgan.bench import api as bench
from pocketgan.bench.classroom import Classroom, Digits
from pocketgan.bench.curves import curves, write_curves
from pocketgan.bench.results import keep, write_results
from pocketgan.bench.speedrun import speedrun
from pocketgan.bench.threads import SETTINGS, busy_neighbour, measured, threads, write_threads
from pocketgan.bench.throughput import drawing, throughput, write_throughput
from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import grid, to_floats, to_png
from pocketgan.core.terminal import Display
from pocketgan.data.image_set import ImageSet
from pocketgan.models.model import Model
from pocketgan.models.saved import SHIPPED
from pocketgan.networks.architectures import build_pair
from pocketgan.recipes import GAN_PRESETS, gan_recipe
from pocketgan.scorecard.card import CARD, read_card
from pocketgan.training.groups import groups_of
from pocketgan.training.loop import STEPS, Batch
from pocketgan.training.shards import make_step
from pocketgan.training.state import new_state


@pytest.fixture
def scored(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the small run with scores that were made up."""
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    share = {"errors": 2, "count": 100, "error": 0.02, "low": 0.0055, "high": 0.07, "labels_from": "asked"}
    scores = {"format_version": 1, "s1": share, "s1_10k": share, "label_counts": [10] * 9 + [8]}
    (run / "scores.json").write_text(json.dumps(scores))
    summary = {"recipe": "pocket", "seed": 0, "nimg": 5120, "train_seconds": 66.0, "images_per_second": 77.6}
    (run / "summary.json").write_text(json.dumps({"format_version": 1, **summary, "threads": 2}))
    (run / "grid.png").write_bytes(to_png(grid(Model.load(run).sample(100).images)))
    return run


def test_a_kept_run_draws_the_same_but_for_rounding(scored: Path, tmp_path: Path) -> None:
    keep(scored, tmp_path / "kept")
    whole, kept = Model.load(scored), Model.load(tmp_path / "kept")
    assert kept.facts.stored_precision == "half"
    difference = whole.sample(50).images.int() - kept.sample(50).images.int()
    assert difference.abs().max() <= 3
    sizes = [
        sum(path.stat().st_size for path in folder.rglob("*.safetensors")) for folder in (scored, tmp_path / "kept")
    ]
    assert sizes[1] < sizes[0] / 4  # half the bytes, and no discriminator


def test_the_page_says_what_the_runs_say(scored: Path, tmp_path: Path) -> None:
    keep(scored, tmp_path / "kept", generator=False)
    page = write_results([SHIPPED / "guide", tmp_path / "kept"], tmp_path / "results.md")
    text = page.read_text()
    assert "| `pocket` | 0 | 0 of 8 | 2.00% (0.55% to 7.00%)" in text
    assert "| `pocket` | 0 | 10 | 10 | 10 | 10 | 10 | 10 | 10 | 10 | 10 | 8 |" in text
    about = json.loads((SHIPPED / "guide" / "model.json").read_text())["test"]
    assert f"{about['errors']} of 10,000" in text
    assert "(results/pocket-0.png)" in text
    assert (tmp_path / "results" / "pocket-0.png").read_bytes() == (scored / "grid.png").read_bytes()


def test_two_runs_of_one_name_are_refused(scored: Path, tmp_path: Path) -> None:
    keep(scored, tmp_path / "kept")
    with pytest.raises(UsageError, match="are both of pocket-0"):
        write_results([scored, tmp_path / "kept"], tmp_path / "results.md")


def test_what_is_neither_a_run_nor_a_classifier_is_refused(tmp_path: Path, small_run: Path) -> None:
    with pytest.raises(UsageError, match="neither"):
        write_results([tmp_path], tmp_path / "results.md")
    with pytest.raises(UsageError, match=r"summary\.json"):
        keep(small_run, tmp_path / "kept")


@pytest.mark.parametrize("name", GAN_PRESETS)
def test_the_classroom_loop_trains_every_preset(name: str, digits: ImageSet) -> None:
    recipe = gan_recipe(name)
    shown = list(islice(Classroom(digits, recipe).steps(), 3))
    assert shown == [recipe.schedule.batch_size * step for step in (1, 2, 3)]


@pytest.mark.parametrize("name", ["pocket", "dcgan", "mlp-bn"])
def test_a_step_of_the_classroom_is_a_step_of_ours(
    name: str, digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = gan_recipe(name, {"batch_size": 8, "precision": "fp32"})
    ours = new_state(recipe, (1, 28, 28), 10, torch.device("cpu"))
    theirs = Classroom(digits, recipe)
    for network in (ours.generator, ours.discriminator, theirs.generator, theirs.discriminator):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.p = 0.0
    latents = torch.randn(8, recipe.model.latent_dim)
    monkeypatch.setattr("pocketgan.bench.classroom._latents", lambda recipe, count: latents)
    labels = digits.labels[:8] if name == "pocket" else None  # type: ignore[index]
    real = to_floats(digits.images[:8], "signed")
    make_step(
        STEPS[recipe.objective.updates](ours, Batch(real, labels, latents, latents, penalised=True), recipe.objective)
    )
    (theirs._together if name == "dcgan" else theirs._in_turn)(real, labels, 0)
    for one, other in ((ours.discriminator, theirs.discriminator), (ours.generator, theirs.generator)):
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        apart = torch.cat([(mine - its).detach().reshape(-1) for mine, its in pairs])
        # Adam's first step is the rate, by the gradient's sign: noise where BatchNorm makes that nothing
        assert (apart.abs() > recipe.optimizer.lr_g / 10).double().mean() < 0.01


@pytest.mark.parametrize("name", ["pocket", "dcgan-rotate"])
def test_the_classroom_sees_images_in_the_recipes_range(name: str, digits: ImageSet) -> None:
    recipe = gan_recipe(name, {"rotate": 0})
    generator, _ = build_pair(recipe, digits.shape, 10)
    groups = groups_of(recipe, digits, conditional=generator.conditional)
    image, label = Digits(digits, recipe, groups, generator.pixels)[3]
    assert torch.allclose(image, to_floats(digits.images[3], generator.pixels), atol=1e-6)
    assert digits.labels is not None
    assert label == (digits.labels[3] if generator.conditional else 0)


def test_throughput_is_measured_and_written(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.bench.throughput.TURN_SECONDS", 0.05)
    monkeypatch.setattr("pocketgan.bench.throughput.ROUNDS", 2)
    monkeypatch.setattr("pocketgan.bench.throughput._memory", lambda kind, name: 300)
    (row,) = throughput(["mlp"], Display(quiet=True))
    assert row.least_ratio <= row.ratio <= row.most_ratio
    assert row.here > 0
    assert row.gflops == pytest.approx(row.here * 4.6e-3, rel=0.05)  # 4.6 million operations an image
    monkeypatch.setattr("pocketgan.bench.throughput.DRAWN", 256)
    monkeypatch.setattr("pocketgan.bench.throughput.SHIPPED_MODEL", str(small_run))
    drawn = drawing(Display(quiet=True))
    assert drawn.gflops == pytest.approx(drawn.images_per_second * 12.2e-3, rel=0.05)  # of `pocket`'s generator
    assert drawn.first_seconds > 0
    text = write_throughput([row], drawn, tmp_path / "throughput.md").read_text()
    assert f"{drawn.images_per_second:,.0f} images a second in bulk" in text
    assert f"| `mlp` | fp32 | {row.classroom:,.0f} | {row.here:,.0f} | {row.ratio:.1f} " in text
    assert f"| {row.fp32_share:.0%} | {row.bf16_share:.0%} | 300 | 300 |" in text


def test_curves_look_at_both_loops_at_the_same_images(small_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.bench.curves.SAMPLES", 200)
    monkeypatch.setattr("pocketgan.bench.curves.LOOKS", 2)
    found = curves(["mlp"], 1000, [3, 4], Display(quiet=True))
    assert [(curve.loop, curve.seed) for curve in found] == [
        (loop, seed) for seed in (3, 4) for loop in ("classroom", "pocketgan")
    ]
    for curve in found:
        assert [look.nimg for look in curve.looks] == [500, 1000]  # epochs have 500 images here
        assert all(one.seconds < other.seconds for one, other in pairwise(curve.looks))
        assert all(look.distance > 100 for look in curve.looks)  # noise is far from digits
    page = write_curves(found, small_mnist / "curves.md").read_text()
    for axis in ("nimg", "seconds"):
        assert f"curves/mlp-{axis}.svg" in page
        ElementTree.parse(small_mnist / "curves" / f"mlp-{axis}.svg")


def test_a_speedrun_trains_and_scores_each_seed_once(small_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.scorecard.tstr.SEEDS", (0,))
    monkeypatch.setattr("pocketgan.scorecard.evaluate.COUNT", 200)
    out = small_mnist / "speed"
    entries = speedrun("pocket", [3, 4], out, split="val", display=Display(quiet=True), nimg=256)
    assert [Model.load(out / f"seed-{seed}").recipe.data.split for seed in (3, 4)] == ["fit", "fit"]
    assert [(entry.seed, entry.nimg) for entry in entries] == [(3, 256), (4, 256)]
    written = json.loads((out / "speedrun.json").read_text())
    score = entries[0].card.score("fd_judge")
    assert score is not None
    assert written["runs"][0]["fd_judge"] == pytest.approx(score.value / score.floor.value)
    assert written["runs"][1]["tstr"] == entries[1].card.tstr.accuracy.value  # type: ignore[union-attr]
    assert (out / "speedrun.md").read_text().count("| 256 |") == 2
    monkeypatch.setattr("pocketgan.bench.speedrun.evaluate", None)  # nothing is scored a second time
    assert speedrun("pocket", [3, 4], out, split="val", display=Display(quiet=True), nimg=256) == entries
    with pytest.raises(UsageError, match="must be test or val"):
        speedrun("pocket", [3], out, split="train", display=Display(quiet=True))


def test_losses_are_compared_on_one_pair_and_budget(small_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.scorecard.evaluate.COUNT", 200)
    out = small_mnist / "losses"
    page = bench.objectives("bce", "wgan", out=out, seeds=[0, 1], split="val", nimg=1000, quiet=True).read_text()
    told = json.loads((out / "objectives.json").read_text())["losses"]
    seen = [(row["loss"], row["n_critic"], row["nimg"]) for row in told]
    assert seen == [("bce", 1, [1000, 1000]), ("wgan", 5, [1000, 1000])]
    assert Model.load(out / "wgan" / "seed-1").recipe.objective.clip == 0.01
    distance = told[1]["metrics"]["fd_judge"]
    cards = [read_card(out / "wgan" / f"seed-{seed}" / "scorecard-val" / CARD) for seed in (0, 1)]
    values = [score.value for card in cards if (score := card.score("fd_judge")) is not None]
    assert distance["mean"] == pytest.approx(mean(values))
    assert distance["high"] - distance["mean"] == pytest.approx(12.706 * abs(values[0] - values[1]) / 2)
    assert 0 < distance["floor"] < distance["mean"]
    assert "| real images |" in page
    assert "| `wgan` | 1,000 | 1/5 |" in page
    with pytest.raises(UsageError, match="did you mean 'hinge'"):
        bench.objectives("hinges", out=out)


def test_threads_are_measured_quiet_and_busy_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    figures = iter(range(100, 1000))

    def made_up(recipe: str, setting: dict[str, str], seconds: float) -> float:
        asked.append(next(name for name, variables in SETTINGS.items() if variables == setting))
        return float(next(figures))

    monkeypatch.setattr("pocketgan.bench.threads.measured", made_up)
    rows = threads(("mlp", "pocket"), 2, 0.1, Display(quiet=True))
    assert asked == [*SETTINGS] * 8, "two rounds of two recipes, quiet and busy"
    assert rows[0].quiet == [100.0, 124.0]
    assert rows[0].busy == [106.0, 130.0]
    page = write_threads(rows, tmp_path / "threads.md").read_text().splitlines()
    assert "| `mlp` | none | 112 (100 to 124) | 100% | 118 (106 to 130) | 100% |" in page
    assert "| `mlp` | OMP_NUM_THREADS=1 | 117 (105 to 129) | 105% | 123 (111 to 135) | 104% |" in page
    with pytest.raises(UsageError, match="mlpp"):
        threads(("mlpp",), 1, 0.1, Display(quiet=True))


def test_a_measured_process_hears_of_openmp_what_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    tell = "import os, sys; print(sum(len(n) for n in os.environ if n.startswith(('GOMP', 'OMP'))), sep='')"
    monkeypatch.setattr("pocketgan.bench.threads.MEASURE", tell)
    assert measured("mlp", SETTINGS["OMP_NUM_THREADS=1"], 0.1) == len("OMP_NUM_THREADS")


def test_a_measured_process_trains() -> None:
    with busy_neighbour():
        assert measured("mlp", SETTINGS["OMP_NUM_THREADS=1"], 0.05) > 0
