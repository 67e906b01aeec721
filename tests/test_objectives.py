"""Losses and penalties against closed forms, and the champion's step against a plain loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pocketgan.api import train
from pocketgan.core.errors import UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.architectures import ARCHITECTURES, build_pair
from pocketgan.objectives.losses import LOSSES
from pocketgan.objectives.penalties import MOST_R1_GROWTH, R1_NIMG, gradient_penalty, r1_growth
from pocketgan.recipes import GAN_PRESETS, gan_recipe
from pocketgan.runs.facts import EpochEvent
from pocketgan.runs.folder import RunFolder
from pocketgan.training.checkpoint import load_newest, save_checkpoint
from pocketgan.training.loop import Batch, alternating_step, train_steps
from pocketgan.training.shards import Update, make_step
from pocketgan.training.state import check_objective, new_state

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
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    of_d = torch.autograd.grad(sum(part.sum() for part in LOSSES[name].discriminator(real, fake)), (real, fake))
    (of_g,) = torch.autograd.grad(LOSSES[name].generator(real.detach(), fake).sum(), fake)
    assert torch.all(of_d[0] < 0)  # descending, D raises its logit of a real image
    assert torch.all(of_d[1] > 0)  # and lowers that of a fake,
    assert torch.all(of_g < 0)  # which G raises


def test_the_penalty_of_a_plane_is_its_slope_squared() -> None:
    images = random_images(5)
    slope = torch.linspace(-1, 1, images[0].numel()).view(SHAPE)
    penalty = gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), images)
    assert torch.allclose(penalty, slope.square().sum().expand(5))


def test_the_penalty_of_a_bowl_is_four_times_the_images_own_length() -> None:
    images = random_images(5)
    penalty = gradient_penalty(lambda x: x.square().sum((1, 2, 3)), images)
    assert torch.allclose(penalty, 4 * images.square().sum((1, 2, 3)))


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
    ],
)
def test_objectives_that_a_pair_cannot_learn_are_refused(name: str, options: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check_objective(gan_recipe(name, options), SHAPE, 10)
