"""Losses and penalties against closed forms, and the champion's step against a plain loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pocketgan.api import train
from pocketgan.core.errors import UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.architectures import ARCHITECTURES, build_pair
from pocketgan.objectives.losses import LOSSES, chance_loss
from pocketgan.objectives.penalties import (
    MOST_R1_GROWTH,
    R1_NIMG,
    around,
    between,
    gradient_penalty,
    r1_growth,
    slope_penalty,
)
from pocketgan.recipes import GAN_PRESETS, Recipe, gan_recipe, rebuild_command, write_recipe
from pocketgan.recipes.papers import PAPERS
from pocketgan.runs.facts import EpochEvent
from pocketgan.runs.folder import RunFolder
from pocketgan.training.checkpoint import load_newest, save_checkpoint
from pocketgan.training.loop import Batch, alternating_step, train_steps
from pocketgan.training.shards import Update, make_step
from pocketgan.training.speed import training_flops
from pocketgan.training.state import check_objective, generator_push, new_state

CPU = torch.device("cpu")
SHAPE = (1, 28, 28)


def random_images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_relativistic_losses_are_bce_of_the_difference() -> None:
    real, fake = torch.tensor([-3.0, 0.0, 200.0]), torch.tensor([-200.0, 0.5, 3.0])
    loss = LOSSES["relativistic"]
    expected = F.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(3), torch.zeros(3)
    on_real, on_fake = loss.discriminator(real, fake)
    assert torch.allclose(on_real + on_fake, expected(real - fake, ones, reduction="none"))
    assert torch.allclose(loss.generator(real, fake), expected(real - fake, zeros, reduction="none"))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_pulls_the_players_apart(name: str) -> None:
    undecided = LOSSES[name].undecided
    real, fake = (torch.full((4,), undecided, requires_grad=True) for _ in range(2))
    of_d = torch.autograd.grad(sum(part.sum() for part in LOSSES[name].discriminator(real, fake)), (real, fake))
    (of_g,) = torch.autograd.grad(LOSSES[name].generator(real.detach(), fake).sum(), fake)
    assert torch.all(of_d[0] < 0)  # descending, D raises its logit of a real image
    assert torch.all(of_d[1] > 0)  # and lowers that of a fake,
    assert torch.all(of_g < 0)  # which G raises


@pytest.mark.parametrize(
    ("name", "on_real", "on_fake", "of_g"),
    [
        ("bce", math.log(1 + math.exp(-2)), math.log(1 + math.exp(-3)), math.log(1 + math.exp(3))),
        ("saturating", math.log(1 + math.exp(-2)), math.log(1 + math.exp(-3)), -math.log(1 + math.exp(-3))),
        ("lsgan", (2 - 1) ** 2 / 2, (-3) ** 2 / 2, (-3 - 1) ** 2 / 2),
        ("wgan", -2.0, -3.0, 3.0),
        ("wgan-gp", -2.0, -3.0, 3.0),
        ("hinge", 0.0, 0.0, 3.0),
        ("dragan", math.log(1 + math.exp(-2)), math.log(1 + math.exp(-3)), math.log(1 + math.exp(3))),
    ],
)
def test_the_classic_losses_are_their_papers_formulas(name: str, on_real: float, on_fake: float, of_g: float) -> None:
    real, fake = torch.tensor([2.0]), torch.tensor([-3.0])
    both = LOSSES[name].discriminator(real, fake)
    assert [part.item() for part in both] == pytest.approx([on_real, on_fake])
    assert LOSSES[name].generator(real, fake).item() == pytest.approx(of_g)


def test_hinge_is_a_line_inside_its_margin() -> None:
    both = LOSSES["hinge"].discriminator(torch.tensor([0.25, 1.5]), torch.tensor([0.25, -1.5]))
    assert [part.tolist() for part in both] == [[0.75, 0.0], [1.25, 0.0]]


@pytest.mark.parametrize("name", LOSSES)
def test_chance_is_the_least_loss_of_one_logit_for_all_images(name: str) -> None:
    def loss_at(logit: torch.Tensor) -> float:
        return sum(float(part) for part in LOSSES[name].discriminator(logit, logit))

    if (chance := chance_loss(name, "sum")) is None:
        assert name.startswith("wgan")
    else:
        least = min(loss_at(torch.tensor(logit)) for logit in torch.linspace(-4, 4, 161).tolist())
        assert chance == pytest.approx(least, abs=1e-6)


def test_every_loss_has_its_papers_numbers_and_options_win_over_them() -> None:
    assert PAPERS.keys() == LOSSES.keys()
    assert "".join(f"{name}, " for name in LOSSES)[:-2] in Recipe.model_fields["objective"].annotation.model_fields[
        "loss"
    ].description.replace(" or ", ", ")  # type: ignore[union-attr]
    critic = gan_recipe("pocket", {"loss": "wgan", "n_critic": 2, "lr_g": 1e-3})
    assert (critic.objective.clip, critic.objective.n_critic, critic.objective.r1_target) == (0.01, 2, 0.0)
    assert (critic.optimizer.lr_d, critic.optimizer.lr_g, critic.optimizer.beta1) == (5e-5, 1e-3, 0.0)
    assert gan_recipe("dcgan", {"loss": "wgan-gp"}).objective.updates == "alternating"
    assert gan_recipe(critic, {"loss": "bce"}).objective.clip == 0
    for name in LOSSES:  # what a recipe says already is as it is
        recipe = gan_recipe("mlp", {"loss": name})
        assert gan_recipe(recipe, {"seed": 0}) == recipe


def test_a_papers_numbers_lie_over_a_files_preset_and_under_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('preset = "mlp"\n[objective]\nloss = "wgan-gp"\ngp = 5.0\n')
    recipe = gan_recipe(tmp_path / "own.toml")
    assert (recipe.objective.gp, recipe.objective.n_critic, recipe.optimizer.beta2) == (5.0, 5, 0.9)
    write_recipe(recipe, tmp_path / "written.toml")
    assert gan_recipe(tmp_path / "written.toml") == recipe


@pytest.mark.parametrize("options", [{"loss": "wgan"}, {"loss": "hinge", "n_critic": 1, "lr_d": 2e-4}, {"lr_d": 1e-3}])
def test_the_command_that_trains_again_has_the_same_numbers(options: dict[str, Any]) -> None:
    for name in ("mlp", "pocket"):
        recipe = gan_recipe(name, options)
        words = rebuild_command(recipe).split()
        again = dict(zip((word.removeprefix("--") for word in words[3::2]), words[4::2], strict=True))
        assert words[:3] == ["pocketgan", "train", name]
        assert gan_recipe(name, again) == recipe


def test_the_penalty_of_a_plane_is_its_slope_squared() -> None:
    images = random_images(5)
    slope = torch.linspace(-1, 1, images[0].numel()).view(SHAPE)
    penalty = gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), images)
    assert torch.allclose(penalty, slope.square().sum().expand(5))
    penalty = slope_penalty(lambda x: (x * slope).sum((1, 2, 3)), images)
    assert torch.allclose(penalty, (slope.norm() - 1).square().expand(5))


def test_the_penalty_of_a_bowl_is_four_times_the_images_own_length() -> None:
    images = random_images(5)
    penalty = gradient_penalty(lambda x: x.square().sum((1, 2, 3)), images)
    assert torch.allclose(penalty, 4 * images.square().sum((1, 2, 3)))
    penalty = slope_penalty(lambda x: x.square().sum((1, 2, 3)), images)
    assert torch.allclose(penalty, (2 * images.flatten(1).norm(dim=1) - 1).square())


def test_a_critic_without_any_slope_pays_and_gets_a_finite_gradient() -> None:
    weight = torch.zeros(SHAPE, requires_grad=True)
    penalty = slope_penalty(lambda x: (x * weight).sum((1, 2, 3)), random_images(3)).mean()
    (slope,) = torch.autograd.grad(penalty, weight)
    assert penalty.item() == 1.0
    assert bool(slope.isfinite().all())


def test_slopes_are_looked_at_between_pairs_and_around_real_images() -> None:
    real, fake = random_images(64), random_images(64, seed=1)
    points = between(real, fake, torch.Generator().manual_seed(0))
    shares = ((points - real) / (fake - real)).flatten(1).median(1).values
    assert torch.allclose(points, torch.lerp(real, fake, shares.view(-1, 1, 1, 1)), atol=1e-5)
    assert 0 <= shares.min() < 0.1 < 0.9 < shares.max() <= 1
    noise = around(real, torch.Generator().manual_seed(0)) - real
    assert noise.min() >= -1e-6
    assert noise.max() <= 0.5 * real.std()
    most = noise.flatten(1).max(1).values / (0.5 * real.std())  # of an image: its share
    assert most.min() < 0.1 < 0.9 < most.max()
    assert (noise.flatten(1).mean(1) / most / (0.5 * real.std())).sub(0.5).abs().max() < 0.05


def test_the_penalty_of_a_network_has_the_gradient_that_differences_give() -> None:
    _, discriminator = build_pair(GAN_PRESETS["pocket"].recipe, SHAPE, 10)
    discriminator.double()
    images, labels = random_images(4).double(), torch.arange(4)

    def penalty() -> torch.Tensor:
        return gradient_penalty(lambda x: discriminator(x, labels).logits, images).mean()

    weight = discriminator.get_parameter("down.weight")
    (slope,) = torch.autograd.grad(penalty(), weight)
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        start = weight.clone()
        ends = []
        for sign in (1, -1):
            weight.copy_(start + sign * 1e-7 * direction)
            with torch.enable_grad():
                ends.append(penalty())
    difference = (ends[0] - ends[1]) / 2e-7
    assert difference.item() == pytest.approx((slope * direction).sum().item(), rel=1e-3)


def test_the_champions_step_is_the_plain_loops() -> None:
    # Adam's own eps would make a full step of either sign from a gradient that is zero but for rounding
    recipe = gan_recipe("pocket", {"nimg": 8, "batch_size": 8, "precision": "fp32", "eps": 0.1})
    ours, plain = (new_state(recipe, SHAPE, 10, CPU) for _ in range(2))
    objective = recipe.objective
    labels, latents = torch.arange(8), torch.randn(8, 64, generator=torch.Generator().manual_seed(1))
    real = random_images(8)
    make_step(alternating_step(ours, Batch(real, labels, latents, latents, penalised=True), objective))

    fake = plain.generator(latents, labels)
    real.requires_grad_()
    on_real, on_fake = plain.discriminator(real, labels), plain.discriminator(fake.detach(), labels)
    loss = -F.logsigmoid(on_real.logits - on_fake.logits).mean()
    for critique in (on_real, on_fake):
        loss = loss + objective.class_weight * F.nll_loss(critique.class_logits.log_softmax(1), labels)  # type: ignore[union-attr]
    (slopes,) = torch.autograd.grad(on_real.logits.sum(), real, create_graph=True)
    loss = loss + objective.r1_every * objective.r1 / 2 * slopes.flatten(1).norm(dim=1).square().mean()
    loss.backward()
    of_d = [parameter.grad.clone() for parameter in plain.discriminator.parameters()]  # type: ignore[union-attr]
    plain.optimizer_d.step()
    plain.optimizer_g.zero_grad()
    on_fake = plain.discriminator(fake, labels)
    loss = -F.logsigmoid(on_fake.logits - on_real.logits.detach()).mean()
    loss = loss + objective.class_weight * F.cross_entropy(on_fake.class_logits, labels)  # type: ignore[arg-type]
    loss.backward()
    plain.optimizer_g.step()
    of_g = [parameter.grad for parameter in plain.generator.parameters()]
    for network, expected in ((ours.discriminator, of_d), (ours.generator, of_g)):
        for parameter, gradient in zip(network.parameters(), expected, strict=True):
            close = 1e-4 * gradient.abs().max().item()  # type: ignore[union-attr]
            assert torch.allclose(parameter.grad, gradient, rtol=1e-3, atol=close + 1e-6)  # type: ignore[arg-type]


def weights_of(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in network.parameters()])


def test_a_critics_step_is_the_plain_loops() -> None:
    recipe = gan_recipe("mlp", {"loss": "wgan-gp", "nimg": 8, "batch_size": 8, "eps": 0.1})
    ours, plain = (new_state(recipe, SHAPE, 10, CPU) for _ in range(2))
    real, latents = random_images(8), torch.randn(8, 100, generator=torch.Generator().manual_seed(1))
    before = weights_of(ours.generator)
    batch = Batch(real, None, latents, latents, generator_learns=False, random=torch.Generator().manual_seed(2))
    told = make_step(alternating_step(ours, batch, recipe.objective))
    assert torch.equal(weights_of(ours.generator), before)

    fake = plain.generator(latents, None).detach()
    critic = plain.discriminator
    share = torch.rand(8, 1, 1, 1, generator=torch.Generator().manual_seed(2))
    points = (real + share * (fake - real)).requires_grad_()
    (slopes,) = torch.autograd.grad(critic(points, None).logits.sum(), points, create_graph=True)
    distance = critic(real, None).logits.mean() - critic(fake, None).logits.mean()
    loss = -distance + 10 * ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()
    loss.backward()
    assert told.tolist() == pytest.approx([-distance.item(), -critic(fake, None).logits.mean().item()], abs=1e-6)
    plain.optimizer_d.step()
    assert torch.allclose(weights_of(ours.discriminator), weights_of(critic), atol=1e-7)


@pytest.mark.parametrize("shards", [1, 2])
def test_the_generator_learns_from_every_nth_batch_and_all_of_them_count(digits: ImageSet, shards: int) -> None:
    options = {"loss": "wgan", "n_critic": 3, "nimg": 7 * 32, "batch_size": 32, "shards": shards, "lr_d": 0.1}
    recipe = gan_recipe("mlp", options)
    state = new_state(recipe, SHAPE, 10, CPU)
    seen = [weights_of(state.generator)]
    critics = [weights_of(state.discriminator)]

    def after_step(state: object, losses: list[float]) -> bool:
        seen.append(weights_of(own.generator))
        critics.append(weights_of(own.discriminator))
        return False

    own = state
    (*_, last) = train_steps(state, digits, recipe, after_step)
    assert last.nimg == state.nimg == 7 * 32
    assert [not torch.equal(*pair) for pair in pairwise(seen)] == [False, False, True, False, False, True, False]
    assert all(not torch.equal(*pair) for pair in pairwise(critics))
    assert critics[0].abs().max() > 0.01
    assert all(critic.abs().max() == pytest.approx(0.01) for critic in critics[1:])


@pytest.mark.catches("push not restored")
@pytest.mark.parametrize("loss", ["wgan-gp", "dragan"])
def test_a_resume_between_a_critics_steps_is_exact(loss: str, digits: ImageSet, tmp_path: Path) -> None:
    recipe = gan_recipe("mlp", {"loss": loss, "n_critic": 5, "nimg": 640, "batch_size": 32})
    whole, half, resumed = (new_state(recipe, SHAPE, 10, CPU) for _ in range(3))
    list(train_steps(whole, digits, recipe))
    next(train_steps(half, digits, recipe, lambda state, _: state.nimg == 192))  # the first of the second five
    save_checkpoint(tmp_path, half)
    load_newest(tmp_path, resumed)
    assert generator_push(resumed) == generator_push(half) != 1.0  # what the health watch would see now
    list(train_steps(resumed, digits, recipe))
    assert torch.equal(weights_of(whole.generator), weights_of(resumed.generator))
    assert torch.equal(weights_of(whole.discriminator), weights_of(resumed.discriminator))


def test_penalties_meet_other_points_in_each_step_and_shard(digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def note(real: torch.Tensor, fake: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        drawn.append(random.initial_seed())
        return real

    monkeypatch.setattr("pocketgan.training.loop.between", note)
    recipe = gan_recipe("mlp", {"loss": "wgan-gp", "nimg": 96, "batch_size": 32, "shards": 2})
    list(train_steps(new_state(recipe, SHAPE, 10, CPU), digits, recipe))
    assert len(set(drawn)) == len(drawn) == 6


def test_extra_steps_of_a_critic_are_counted_in_what_an_image_costs() -> None:
    one, five = (
        training_flops(gan_recipe("mlp", {"loss": "wgan-gp", "n_critic": count, "batch_size": 8}), SHAPE, 10)
        for count in (1, 5)
    )
    generator, discriminator = 227_344 - 784 - 256, 226_761 - 256 - 100 - 1  # products of one image's pass
    # the generator's backward pass, and the discriminator's forward and backward pass to its input, fall away in 4 of 5
    spared = 2 * (2 * generator - 100 * 256 + 2 * discriminator)
    assert one - five == pytest.approx(0.8 * (spared + 2 * generator), rel=0.02)  # fresh latents: a pass more


def test_the_lazy_penalty_falls_due_by_nimg(digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    due = []

    def note(state: object, batch: Batch, objective: object) -> Iterator[Update]:
        due.append(batch.penalised)
        yield Update((), torch.zeros(2))

    monkeypatch.setitem(__import__("pocketgan.training.loop").training.loop.STEPS, "alternating", note)
    recipe = gan_recipe("pocket", {"nimg": 7 * 32, "batch_size": 32, "r1_every": 3})
    state = new_state(recipe, SHAPE, 10, CPU)
    list(train_steps(state, digits, recipe))
    assert due == [True, False, False, True, False, False, True]


def test_r1_grows_while_the_loss_is_under_its_target_and_shrinks_above_it() -> None:
    growth = 1.0
    for _ in range(R1_NIMG // 100):
        growth = r1_growth(growth, loss_d=0.4, target=0.5, batch=100)
    assert growth == pytest.approx(math.e)
    assert r1_growth(growth, loss_d=0.6, target=0.5, batch=100) == pytest.approx(math.exp(1 - 100 / R1_NIMG))
    assert r1_growth(1.0, loss_d=0.6, target=0.5, batch=100) == 1.0
    assert r1_growth(MOST_R1_GROWTH, loss_d=0.4, target=0.5, batch=100) == MOST_R1_GROWTH


def test_grown_r1_is_what_the_discriminator_pays() -> None:
    recipe = gan_recipe("pocket", {"nimg": 8, "batch_size": 8, "precision": "fp32"})
    stronger = gan_recipe("pocket", {"nimg": 8, "batch_size": 8, "precision": "fp32", "r1": 0.3})
    grown, told = new_state(recipe, SHAPE, 10, CPU), new_state(stronger, SHAPE, 10, CPU)
    grown.r1_growth = 3.0
    batch = Batch(random_images(8), torch.arange(8), torch.ones(8, 64), torch.ones(8, 64), penalised=True)
    for state, each in ((grown, recipe), (told, stronger)):
        make_step(alternating_step(state, batch, each.objective))
    for one, other in zip(grown.discriminator.parameters(), told.discriminator.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-5, atol=1e-8)  # type: ignore[arg-type]


def test_a_target_for_r1_needs_r1() -> None:
    with pytest.raises(UsageError, match="r1_target needs an r1 to begin with"):
        gan_recipe("mlp", {"r1_target": 0.5})


@pytest.mark.parametrize(
    ("options", "chance"), [({}, "0.693"), ({"halves": "mean"}, "0.347"), ({"loss": "bce"}, "1.386")]
)
def test_a_loss_that_guessing_has_cannot_be_held(options: dict[str, Any], chance: str) -> None:
    check_objective(gan_recipe("pocket", {"r1_target": float(chance) - 0.01, **options}), SHAPE, 10)
    with pytest.raises(UsageError, match=f"--r1-target 1.4: give less than {chance}"):
        check_objective(gan_recipe("pocket", {"r1_target": 1.4, **options}), SHAPE, 10)


@pytest.mark.catches("growth of R1 not restored")
def test_a_resume_knows_how_far_r1_has_grown(digits: ImageSet, tmp_path: Path) -> None:
    recipe = gan_recipe("pocket", {"nimg": 640, "batch_size": 32, "precision": "fp32", "r1_target": 0.6})
    whole, half, resumed = (new_state(recipe, SHAPE, 10, CPU) for _ in range(3))
    list(train_steps(whole, digits, recipe))
    next(train_steps(half, digits, recipe, lambda state, _: state.nimg == 288))
    assert half.r1_growth > 1
    save_checkpoint(tmp_path, half)
    assert load_newest(tmp_path, resumed) == []
    assert resumed.r1_growth == half.r1_growth
    list(train_steps(resumed, digits, recipe))
    assert resumed.r1_growth == whole.r1_growth
    for key, value in whole.discriminator.state_dict().items():
        assert torch.equal(value, resumed.discriminator.state_dict()[key])


def test_the_log_of_a_run_tells_r1_where_it_follows_the_loss(
    tmp_path: Path, small_mnist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, target in (("follows", 0.68), ("constant", 0.0)):
        train("pocket", out=tmp_path / name, nimg=256, batch_size=32, r1_target=target, precision="fp32", device="cpu")
    told = [
        [e.r1 for e in RunFolder(tmp_path / name).events() if isinstance(e, EpochEvent) and e.r1 is not None]
        for name in ("follows", "constant")
    ]
    assert told[1] == []
    assert told[0][-1] > 0.1
    assert capsys.readouterr().err.count("  R1 0.1") == len(told[0])


@pytest.mark.parametrize("name", ["pocket", "pocket-free"])
def test_the_default_pair_judges_each_image_alone(name: str) -> None:
    _, discriminator = build_pair(GAN_PRESETS[name].recipe, SHAPE, 10)
    images = random_images(6)
    groups = torch.arange(6)
    together = discriminator(images, groups).logits
    alone = [discriminator(images[i : i + 1], groups[i : i + 1]).logits for i in range(6)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


@pytest.mark.parametrize("name", ["pocket", "pocket-free"])
def test_logits_are_added_up_in_fp32_under_autocast(name: str) -> None:
    _, discriminator = build_pair(GAN_PRESETS[name].recipe, SHAPE, 10)
    with torch.autocast("cpu", torch.bfloat16):
        assert discriminator(random_images(2), torch.zeros(2, dtype=torch.int64)).logits.dtype == torch.float32


def test_a_conditional_discriminator_looks_at_the_class() -> None:
    _, discriminator = build_pair(GAN_PRESETS["pocket"].recipe, SHAPE, 10)
    image = random_images(1).expand(10, *SHAPE)
    assert discriminator(image, torch.arange(10)).logits.unique().numel() == 10


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_discriminator_tells_whether_it_names_classes(name: str) -> None:
    _, discriminator = build_pair(GAN_PRESETS[name].recipe, SHAPE, 10)
    critique = discriminator(random_images(2), torch.zeros(2, dtype=torch.int64))
    assert (critique.class_logits is not None) == discriminator.names_classes == name.startswith("pocket")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_discriminator_tells_whether_it_mixes_images(name: str) -> None:
    _, discriminator = build_pair(GAN_PRESETS[name].recipe, SHAPE, 10)
    images, labels = torch.rand(4, *SHAPE), torch.arange(4)
    alone = torch.cat([discriminator(images[i : i + 2], labels[i : i + 2]).logits[:1] for i in range(3)])
    with torch.random.fork_rng():
        apart = (discriminator.train()(images, labels).logits[:3] - alone).abs().max() if name != "dcgan" else 0.0
    assert (apart > 1e-3) == discriminator.mixes_images == (name == "dcgan-rotate")


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("mlp", {"class_weight": 0.1}, "names no classes"),
        ("pocket-free", {"clusters": 0}, "without --clusters pocket-free has nothing to name; give 0"),
        ("dcgan", {"r1": 0.1}, "alternating"),
        ("dcgan-rotate", {"r1": 0.1}, "--r1: the discriminator of dcgan-rotate has BatchNorm"),
        ("pocket", {"updates": "simultaneous"}, "alternating"),
        ("mlp", {"loss": "relativstic"}, "did you mean 'relativistic'"),
        ("dcgan-rotate", {"loss": "wgan-gp"}, "--gp: the discriminator of dcgan-rotate has BatchNorm"),
        ("dcgan-rotate", {"loss": "dragan"}, "--dragan: the discriminator of dcgan-rotate has BatchNorm"),
        ("mlp", {"loss": "wgan", "r1": 0.1, "r1_target": 0.5}, "--r1-target: the loss of wgan has no level"),
        ("mlp", {"loss": "lsgan", "r1": 0.1, "r1_target": 0.3}, "--r1-target 0.3: give less than 0.250"),
        ("dcgan", {"loss": "wgan", "updates": "simultaneous"}, "n_critic needs alternating"),
    ],
)
def test_objectives_that_a_pair_cannot_learn_are_refused(name: str, options: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check_objective(gan_recipe(name, options), SHAPE, 10)
