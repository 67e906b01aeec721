"""Training: the two players' updates against a plain reference, exactness of reruns and resumes, and what is logged."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from pocketgan.api import train
from pocketgan.core.errors import UsageError
from pocketgan.core.files import alone_in, refuse_existing
from pocketgan.core.schedules import ema_beta, rate_factor
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.objectives.losses import LOSSES
from pocketgan.recipes import GAN_PRESETS, Recipe, gan_recipe, write_recipe
from pocketgan.recipes.recipe import ObjectiveConfig
from pocketgan.runs.facts import EpochEvent
from pocketgan.runs.folder import RunFolder
from pocketgan.training.checkpoint import checkpoints, load_newest, save_checkpoint
from pocketgan.training.health import Goodness
from pocketgan.training.loop import Batch, Milestone, alternating_step, simultaneous_step, train_steps
from pocketgan.training.shards import make_step
from pocketgan.training.state import TrainState, new_state, update_ema

CPU = torch.device("cpu")
STEPS = 20


def state_of(recipe: Recipe) -> TrainState:
    return new_state(recipe, (1, 28, 28), 10, CPU)


def weights(state: TrainState) -> torch.Tensor:
    networks = [state.generator, state.discriminator, *([state.ema] if state.ema is not None else [])]
    return torch.cat([value.double().flatten() for network in networks for value in network.state_dict().values()])


def run_through(state: TrainState, data: ImageSet, recipe: Recipe) -> Milestone:
    """Train to the end; the last milestone, with its losses."""
    return list(train_steps(state, data, recipe))[-1]


def short(name: str, steps: int = STEPS) -> Recipe:
    batch = GAN_PRESETS[name].recipe.schedule.batch_size
    return gan_recipe(name, {"nimg": steps * batch})


@pytest.mark.parametrize("name", GAN_PRESETS)
def test_the_same_recipe_and_seed_give_the_same_bytes(name: str, digits: ImageSet) -> None:
    recipe = gan_recipe(name, {"nimg": 48, "batch_size": 16})
    first, again = state_of(recipe), state_of(recipe)
    before = weights(first)
    run_through(first, digits, recipe)
    torch.manual_seed(1234)  # the caller's own random numbers must not matter
    run_through(again, digits, recipe)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(before, weights(first))


@pytest.mark.catches("generator not restored", "average not restored", "optimiser state not restored")
@pytest.mark.catches("sums not restored")
@pytest.mark.parametrize(
    ("name", "precision"),
    [("pocket", "fp32"), ("pocket", "bf16"), ("dcgan", "fp32"), ("dcgan-rotate", "fp32")],
)
def test_twenty_steps_are_ten_and_ten_after_a_resume(
    name: str, precision: str, digits: ImageSet, tmp_path: Path
) -> None:
    digits = digits.rows(torch.arange(160))
    recipe = gan_recipe(name, {"nimg": 160, "batch_size": 8, "precision": precision})
    whole, half, resumed = state_of(recipe), state_of(recipe), state_of(recipe)
    last = run_through(whole, digits, recipe)
    middle = next(train_steps(half, digits, recipe, lambda state, _: state.nimg == 72))  # before its tenth step
    assert (middle.nimg, middle.epoch_ended) == (80, False)
    save_checkpoint(tmp_path, half)
    assert load_newest(tmp_path, resumed) == []
    assert resumed.nimg == middle.nimg
    resumed_last = run_through(resumed, digits, recipe)
    assert torch.equal(weights(whole), weights(resumed))
    assert last == resumed_last


def test_training_leaves_the_callers_random_numbers_alone(digits: ImageSet) -> None:
    recipe = short("dcgan", 2)  # it has dropout
    before = torch.random.get_rng_state()
    run_through(state_of(recipe), digits, recipe)
    assert torch.equal(before, torch.random.get_rng_state())


def reference_batch(state: TrainState) -> Batch:
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(8, 100, generator=random)
    return Batch(torch.rand(8, 1, 28, 28, generator=random) * 2 - 1, None, latents, latents)


def test_an_alternating_step_is_the_textbooks(digits: ImageSet) -> None:
    recipe = short("mlp-deep")
    ours, plain = state_of(recipe), state_of(recipe)
    batch = reference_batch(ours)
    make_step(alternating_step(ours, batch, ObjectiveConfig()))

    ones, zeros = torch.ones(8), torch.zeros(8)
    fake = plain.generator(batch.latents)
    on_real = F.binary_cross_entropy(plain.discriminator(batch.real).logits.sigmoid(), ones)
    on_fake = F.binary_cross_entropy(plain.discriminator(fake.detach()).logits.sigmoid(), zeros)
    (on_real + on_fake).backward()
    plain.optimizer_d.step()
    plain.optimizer_g.zero_grad()
    F.binary_cross_entropy(plain.discriminator(fake).logits.sigmoid(), ones).backward()
    plain.optimizer_g.step()
    assert torch.allclose(weights(ours), weights(plain), atol=2e-5)


def test_a_simultaneous_step_uses_the_discriminator_as_it_was(digits: ImageSet) -> None:
    recipe = short("mlp-deep")
    ours, plain = state_of(recipe), state_of(recipe)
    batch = reference_batch(ours)
    make_step(simultaneous_step(ours, batch, ObjectiveConfig()))

    ones, zeros = torch.ones(8), torch.zeros(8)
    fake = plain.generator(batch.latents)
    real_logits, fake_logits = plain.discriminator(batch.real).logits, plain.discriminator(fake).logits
    loss_g = F.binary_cross_entropy_with_logits(fake_logits, ones)
    loss_d = F.binary_cross_entropy_with_logits(real_logits, ones)
    loss_d = loss_d + F.binary_cross_entropy_with_logits(fake_logits, zeros)
    of_g = torch.autograd.grad(loss_g, list(plain.generator.parameters()), retain_graph=True)
    of_d = torch.autograd.grad(loss_d, list(plain.discriminator.parameters()))
    for network, gradients in ((plain.generator, of_g), (plain.discriminator, of_d)):
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter.grad = gradient
    plain.optimizer_d.step()
    plain.optimizer_g.step()
    assert torch.allclose(weights(ours), weights(plain), atol=2e-5)


def test_the_two_orders_of_updates_differ(digits: ImageSet) -> None:
    recipe = short("mlp-deep")
    one, other = state_of(recipe), state_of(recipe)
    batch = reference_batch(one)
    make_step(alternating_step(one, batch, ObjectiveConfig()))
    make_step(simultaneous_step(other, batch, ObjectiveConfig()))
    assert not torch.allclose(weights(one), weights(other), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dcgan-rotate", {"rotate": 0}),
        ("dcgan-rotate", {"fresh_latents": False}),
        ("pocket", {"lr_hold": 1}),
        ("pocket", {"ema_share": 0.5}),
        ("pocket", {"r1": 1}),
        ("pocket", {"r1_every": 2}),
        ("pocket", {"class_weight": 0}),
        ("pocket", {"loss": "bce"}),
        ("pocket", {"lr_d": 1e-4}),
        ("pocket", {"lr_g": 1e-4}),
        ("pocket", {"beta1": 0.5}),
        ("pocket", {"eps": 1e-2}),
        ("mlp", {"precision": "bf16"}),
        ("mlp", {"updates": "simultaneous", "fresh_latents": False}),
    ],
)
def test_every_field_of_the_training_matters(name: str, options: dict[str, object], digits: ImageSet) -> None:
    batch = GAN_PRESETS[name].recipe.schedule.batch_size
    changed = gan_recipe(name, {"nimg": 4 * batch, **options})
    plain, other = state_of(short(name, 4)), state_of(changed)
    run_through(plain, digits, short(name, 4))
    run_through(other, digits, changed)
    assert not torch.equal(weights(plain), weights(other))


def test_the_mean_of_the_discriminators_halves_is_half_their_sum(digits: ImageSet) -> None:
    losses = []
    for halves in ("sum", "mean"):
        recipe = gan_recipe("mlp", {"nimg": 100, "halves": halves})
        losses.append(run_through(state_of(recipe), digits, recipe).loss_d)
    assert losses[0] == pytest.approx(2 * losses[1])


def test_real_images_are_turned_only_where_the_recipe_says_so(
    digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = []
    monkeypatch.setattr("pocketgan.training.loop.rotate", lambda images, degrees, _: turned.append(degrees) or images)
    for name in ("dcgan-rotate", "dcgan"):
        recipe = short(name, 1)
        run_through(state_of(recipe), digits, recipe)
    assert turned == [20]


def test_bce_is_torchs_own_and_survives_large_logits() -> None:
    real, fake = torch.tensor([-3.0, 0.0, 200.0]), torch.tensor([-200.0, 0.5, 3.0])
    on_real, on_fake = LOSSES["bce"].discriminator(real, fake)
    expected = F.binary_cross_entropy_with_logits
    assert torch.allclose(on_real, expected(real, torch.ones(3), reduction="none"))
    assert torch.allclose(on_fake, expected(fake, torch.zeros(3), reduction="none"))
    assert torch.allclose(LOSSES["bce"].generator(real, fake), expected(fake, torch.ones(3), reduction="none"))


def test_rates_hold_and_then_fall_to_nothing() -> None:
    assert [rate_factor(nimg, 100, 0.5) for nimg in (0, 50, 75, 100)] == [1.0, 1.0, 0.5, 0.0]
    assert [rate_factor(nimg, 100, 1.0) for nimg in (0, 99, 100)] == [1.0, 1.0, 1.0]


def test_the_average_has_its_half_life_whatever_the_batch() -> None:
    for batch in (32, 128):
        assert ema_beta(batch, 12_800) ** (12_800 / batch) == pytest.approx(0.5)
    assert ema_beta(128, 44_300) == pytest.approx(0.998, abs=1e-5)


def test_the_average_moves_by_its_share_buffers_included() -> None:
    state = state_of(short("pocket"))
    assert state.ema is not None
    with torch.no_grad():
        for tensor in (*state.ema.parameters(), *state.ema.buffers()):
            tensor.zero_()
        for tensor in (*state.generator.parameters(), *state.generator.buffers()):
            tensor.fill_(4)
    update_ema(state, 0.75)
    for average, current in zip(state.ema.state_dict().values(), state.generator.state_dict().values(), strict=True):
        assert torch.all(average == (1.0 if current.is_floating_point() else 4))


def test_milestones_tell_epochs_and_their_average_losses(digits: ImageSet) -> None:
    recipe = gan_recipe("mlp", {"epochs": 3, "batch_size": 50})
    milestones = list(train_steps(state_of(recipe), digits, recipe))
    ends = [milestone for milestone in milestones if milestone.epoch_ended]
    assert [(end.epoch, end.nimg, end.finished) for end in ends] == [
        (1, 1000, False),
        (2, 2000, False),
        (3, 3000, True),
    ]
    assert len({end.loss_d for end in ends}) == 3


def test_a_run_holds_what_it_promises(small_run: Path) -> None:
    for name in ("recipe.toml", "events.jsonl", "timings.jsonl", "samples/epoch-0001.png", "G.pkl", "D.pkl", "model"):
        assert (small_run / name).exists(), name
    assert [event.event for event in RunFolder(small_run).events()] == ["start", "epoch", "finish"]
    assert not {"seconds", "time"} & set(re.findall(r'"(\w+)":', (small_run / "events.jsonl").read_text()))
    state = torch.load(small_run / "G.pkl", weights_only=True)
    stored = load_file(small_run / "model" / "generator.safetensors")
    assert state.keys() == stored.keys()
    assert all(torch.equal(state[key], stored[key]) for key in stored)
    assert json.loads((small_run / "model" / "model.json").read_text())["weights"] == "ema"


def test_a_complete_run_is_left_as_it_is(small_run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small_run.rglob("*")}
    train("pocket", out=small_run, nimg=40 * 128, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in small_run.rglob("*")} == before


@pytest.mark.parametrize("options", [{"nimg": 5120, "seed": 1}, {"nimg": 10240, "lr_g": 0.5}])
def test_another_recipe_does_not_touch_a_run(options: dict[str, float], small_run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small_run.rglob("*")}
    with pytest.raises(UsageError, match="holds another run"):
        train("pocket", out=small_run, quiet=True, **options)
    assert {path: path.stat().st_mtime_ns for path in small_run.rglob("*")} == before


def test_an_unknown_loss_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="loss 'hinged' is unknown"):
        train("mlp", out=tmp_path / "run", loss="hinged", nimg=100, quiet=True)
    assert not (tmp_path / "run").exists()


def test_an_option_that_the_pair_lacks_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--channels-g: mlp"):
        train("mlp", out=tmp_path / "run", channels_g=96, nimg=100, quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_run_in_use_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("mlp", out=run, nimg=100, quiet=True)
    shutil.rmtree(run / "model")
    with alone_in(run), pytest.raises(UsageError, match="in use"):
        train("mlp", out=run, nimg=100, quiet=True)


def test_a_run_that_another_process_begins_meanwhile_is_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for a recipe and the look at the folder, another start may write the recipe."""
    run = tmp_path / "run"
    recipe = gan_recipe("mlp", {"nimg": 100})

    def begun_meanwhile(folder: Path) -> None:
        write_recipe(recipe, folder / "recipe.toml")
        refuse_existing(folder)

    monkeypatch.setattr("pocketgan.training.opening.refuse_existing", begun_meanwhile)
    assert train(recipe, out=run, quiet=True).facts.nimg == 100


@pytest.mark.catches("litter left")
def test_a_run_without_its_first_event_gets_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("mlp", out=run, nimg=100, quiet=True)
    whole = (run / "events.jsonl").read_bytes()
    for name in ("model", "checkpoints", "samples"):
        shutil.rmtree(run / name, ignore_errors=True)
    (run / "events.jsonl").unlink()
    (run / ".partial-dead").write_text("left by a kill")
    train("mlp", out=run, nimg=100, quiet=True)
    assert (run / "events.jsonl").read_bytes() == whole
    assert not (run / ".partial-dead").exists()


def test_automatic_precision_is_decided_once_and_written(tmp_path: Path) -> None:
    model = train("mlp", out=tmp_path / "run", nimg=100, precision="auto", quiet=True)
    assert model.recipe.optimizer.precision in ("fp32", "bf16")
    train("mlp", out=tmp_path / "run", nimg=100, precision="auto", quiet=True)  # complete, and the same run


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="exists already"):
        train("pocket", out=tmp_path, nimg=128, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_stopped_run_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.training.listeners.CHECKPOINT_SECONDS", 0.0)
    options = {"nimg": 3_000, "quiet": True}
    whole = train("mlp", out=tmp_path / "whole", **options)

    def stop(folder: Path, state: TrainState) -> Path:
        save_checkpoint(folder, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pocketgan.training.listeners.save_checkpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            train("mlp", out=tmp_path / "stopped", **options)
    assert not (tmp_path / "stopped" / "model").exists()
    resumed = train("mlp", out=tmp_path / "stopped", **options)
    for key, value in whole.generator.state_dict().items():
        assert torch.equal(value, resumed.generator.state_dict()[key])
    logs = [(tmp_path / name / "events.jsonl").read_bytes() for name in ("whole", "stopped")]
    assert logs[0] == logs[1]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(digits: ImageSet, tmp_path: Path) -> None:
    recipe = short("mlp")
    state = state_of(recipe)
    for _ in train_steps(state, digits, recipe):
        save_checkpoint(tmp_path, state)
    newest = checkpoints(tmp_path)[-1] / "state.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    fresh = state_of(recipe)
    skipped = load_newest(tmp_path, fresh)
    assert len(skipped) == 1
    assert str(newest) in skipped[0]
    assert 0 < fresh.nimg < state.nimg


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    state = state_of(short("mlp"))
    for nimg in (100, 200, 300):
        state.nimg = nimg
        save_checkpoint(tmp_path, state)
    assert [path.name for path in checkpoints(tmp_path)] == ["nimg-000000000200", "nimg-000000000300"]


def test_minutes_become_images_once_and_the_stored_recipe_repeats_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgan.training.opening.WARM_UP_SECONDS", 0.2)
    first = train("mlp", out=tmp_path / "first", minutes=0.005, quiet=True)
    nimg = first.recipe.schedule.nimg
    assert nimg is not None
    assert nimg > 0
    train("mlp", out=tmp_path / "first", minutes=0.005, quiet=True)  # complete: nothing to do, and no complaint
    again = train(str(tmp_path / "first" / "recipe.toml"), out=tmp_path / "again", quiet=True)
    for key, value in first.generator.state_dict().items():
        assert torch.equal(value, again.generator.state_dict()[key])


@pytest.mark.catches("events not cut")
def test_events_after_a_checkpoint_are_cut_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for nimg in (0, 100, 200):
        run.add_event(EpochEvent(epoch=1, nimg=nimg))
    with run.events_file.open("a") as file:
        file.write('{"nimg": 30')
    assert [event.nimg for event in run.events()] == [0, 100, 200]
    run.cut_logs(100, 200)
    assert [event.nimg for event in run.events()] == [0, 100]


def test_goodness_wants_sureness_and_every_class() -> None:
    real = (torch.arange(3000) % 10).to(torch.uint8).view(-1, 1, 1, 1)

    def guide(images: torch.Tensor) -> torch.Tensor:
        classes = images.flatten(1)[:, 0].long()
        sure = torch.where(classes < 10, 0.99, 0.5)
        rest = ((1 - sure) / 9).unsqueeze(1).repeat(1, 10)
        return rest.scatter(1, (classes % 10).unsqueeze(1), sure.unsqueeze(1))

    good = Goodness(guide, real)
    assert good.reached(real)
    assert not good.reached(real + 10)  # the same classes, read with little confidence
    assert not good.reached(real.clamp(max=8))  # sure, and class 9 is missing


def test_until_good_needs_a_guide_that_knows_the_images(tmp_path: Path, digits: ImageSet) -> None:
    pictures = tmp_path / "small.npz"
    import numpy as np

    np.savez(pictures, images=digits.images[:, :, 4:24, 4:24].numpy(), labels=digits.labels.numpy())  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="until-good"):
        train("mlp", out=tmp_path / "run", source=str(pictures), nimg=100, until_good=True, quiet=True)
    assert not (tmp_path / "run").exists()


def test_val_and_fit_are_apart_and_training_on_fit_says_so(tmp_path: Path) -> None:
    model = train("mlp", out=tmp_path / "run", split="fit", nimg=200, quiet=True)
    assert model.facts.data.split == "fit"
    assert model.facts.data.count == 50_000
    assert model.facts.data.digest == load_images("mnist", "fit").digest
    shutil.rmtree(tmp_path / "run")
