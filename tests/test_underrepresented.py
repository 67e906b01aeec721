"""Images that fakes come least near to: who they are, how often they come again, and that a resume knows them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pocketgan.core.rng import rng
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.contracts import Generator
from pocketgan.recipes import Recipe, gan_recipe
from pocketgan.training import loop, underrepresented
from pocketgan.training.checkpoint import load_newest, save_checkpoint
from pocketgan.training.loop import train_steps
from pocketgan.training.state import TrainState, new_state

CPU = torch.device("cpu")


class Repeater(Generator):
    """Makes copies of some images of the asked class in turn, and never of another."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        super().__init__(latent_dim=64)
        self.images, self.labels, self.turn = images.float() / 127.5 - 1, labels, 0

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        assert y is not None
        made = []
        for label in y:
            of_class = (self.labels == label).nonzero().squeeze(1)
            made.append(self.images[of_class[self.turn % len(of_class)]])
            self.turn += 1
        return torch.stack(made)


def state_of(recipe: Recipe) -> TrainState:
    return new_state(recipe, (1, 28, 28), 10, CPU)


def a_recipe(**options: float) -> Recipe:
    return gan_recipe("pocket", {"batch_size": 32, "underrepresented": 0.25, "precision": "fp32", **options})


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_images_that_are_never_made_are_found(precision: str, digits: ImageSet) -> None:
    """A generator that makes the first 850 images only: all of the tenth are among the other 150."""
    recipe = a_recipe(precision=precision)
    state = state_of(recipe)
    state.ema = Repeater(digits.images[:850], digits.labels[:850])
    rows = underrepresented.diagnose(state, digits.images, digits.labels, recipe)
    assert rows.dtype == torch.int64
    assert len(rows) == len(set(rows.tolist())) == 100
    assert (rows >= 850).float().mean() >= 0.95


def test_the_score_is_the_excess_over_the_nearest_other_image(
    digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = a_recipe()
    state = state_of(recipe)
    embed = torch.nn.functional.normalize
    monkeypatch.setattr(underrepresented, "ROWS", 7)
    with torch.no_grad():
        scores = underrepresented._scores(state, digits.images, digits.labels, recipe)
    sevens = (digits.labels == 7).nonzero().squeeze(1)
    real = digits.images[sevens].float() / 127.5 - 1
    random, latents = rng(recipe.seed, "diagnosis", 0), {}
    for digit, count in enumerate(torch.bincount(digits.labels).tolist()):
        latents[digit] = torch.cat([torch.randn(min(7, count - at), 64, generator=random) for at in range(0, count, 7)])
    with torch.no_grad():
        assert state.ema is not None
        fake = state.ema(latents[7], digits.labels[sevens])
        features = [
            embed(state.discriminator(images, digits.labels[sevens]).features, dim=1) for images in (real, fake)
        ]
    between = torch.cdist(features[0], features[0])
    between.fill_diagonal_(torch.inf)
    expected = torch.cdist(*features).amin(1) - between.amin(1)
    assert torch.allclose(scores[sevens], expected, atol=2e-3)


def test_a_large_group_is_compared_with_a_part_of_itself(digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = a_recipe()
    state = state_of(recipe)
    state.ema = Repeater(digits.images[:850], digits.labels[:850])
    monkeypatch.setattr(underrepresented, "COMPARED", 60)
    rows = underrepresented.diagnose(state, digits.images, digits.labels, recipe)
    assert len(set(rows.tolist())) == 100
    assert (rows >= 850).float().mean() > 0.15  # their share, if nothing could be seen


def test_an_image_alone_in_its_class_has_no_score(digits: ImageSet) -> None:
    recipe = a_recipe()
    first = torch.tensor([int((digits.labels == label).nonzero()[0]) for label in range(10)])
    few = digits.rows(first)
    assert len(underrepresented.diagnose(state_of(recipe), few.images, few.labels, recipe)) == 0


@pytest.mark.parametrize("name", ["mlp-bn", "dcgan-rotate", "pocket"])
def test_a_diagnosis_changes_nothing_but_the_rows(name: str, digits: ImageSet) -> None:
    recipe = gan_recipe(name, {"underrepresented": 0.25, "precision": "fp32"})
    state = state_of(recipe)
    networks = (state.generator, state.discriminator)
    before = [{key: value.clone() for key, value in network.state_dict().items()} for network in networks]
    underrepresented.diagnose(
        state, digits.images, loop.groups_of(recipe, digits, conditional=state.generator.conditional), recipe
    )
    for network, kept in zip(networks, before, strict=True):
        assert network.training
        assert all(torch.equal(value, kept[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["pocket-free", "mlp", "dcgan-rotate"])
def test_pairs_without_classes_have_their_images_diagnosed_too(name: str, digits: ImageSet) -> None:
    recipe = gan_recipe(name, {"underrepresented": 0.25, "nimg": 100, "precision": "fp32"})
    state = state_of(recipe)
    groups = loop.groups_of(recipe, digits, conditional=state.generator.conditional)
    assert len(underrepresented.diagnose(state, digits.images, groups, recipe)) == 100


def test_a_share_of_each_batch_comes_from_them(digits: ImageSet) -> None:
    recipe = a_recipe()
    state = state_of(recipe)
    stream = loop.BatchStream(len(digits), 32, recipe.seed)
    plain = loop._next_batch(state, digits.images, digits.labels, recipe, stream, 0)
    state.underrepresented = torch.tensor([5, 6])
    batch = loop._next_batch(state, digits.images, digits.labels, recipe, stream, 0)
    assert torch.equal(batch.real[:24], plain.real[8:])
    known = {digits.images[row].float().div(127.5).sub(1).numpy().tobytes() for row in (5, 6)}
    assert {image.numpy().tobytes() for image in batch.real[24:].contiguous()} == known
    assert set(batch.labels[24:].tolist()) == set(digits.labels[[5, 6]].tolist())  # type: ignore[index]


def test_a_diagnosis_comes_every_third_epoch(digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    came = []

    def diagnosed(state: TrainState, *_: object) -> Tensor:
        came.append(state.nimg)
        return torch.randint(100, (10,), generator=rng(0, "test", state.nimg))

    monkeypatch.setattr(loop, "diagnose", diagnosed)
    monkeypatch.setattr(underrepresented, "STEPS_BETWEEN", 1)
    digits = digits.rows(torch.arange(100))
    for options in ({"nimg": 1000}, {"nimg": 1000, "underrepresented": 0.0}):
        recipe = a_recipe(**options)
        list(train_steps(state_of(recipe), digits, recipe))
    assert came == [320, 608, 928]  # the first steps at or after 300, 600 and 900, of the first recipe alone
    monkeypatch.setattr(underrepresented, "STEPS_BETWEEN", 20)
    assert [nimg for nimg in range(0, 2000, 32) if underrepresented.diagnosis_due(nimg, 100, 32)] == [640, 1280, 1920]


@pytest.mark.catches("underrepresented not restored")
@pytest.mark.parametrize("stop", [480, 672])
def test_a_resume_knows_them(stop: int, digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped where a diagnosis is due (480), and between two."""
    monkeypatch.setattr(underrepresented, "STEPS_BETWEEN", 1)
    digits = digits.rows(torch.arange(160))
    recipe = a_recipe(nimg=1120)
    whole, half, resumed = state_of(recipe), state_of(recipe), state_of(recipe)
    list(train_steps(whole, digits, recipe))
    for milestone in train_steps(half, digits, recipe, lambda state, _: state.nimg == stop - 32):
        if milestone.nimg == stop:
            break
    assert len(half.underrepresented) == (0 if stop == 480 else 16)
    save_checkpoint(tmp_path, half)
    assert load_newest(tmp_path, resumed) == []
    assert torch.equal(resumed.underrepresented, half.underrepresented)
    list(train_steps(resumed, digits, recipe))
    for key, value in whole.generator.state_dict().items():
        assert torch.equal(value, resumed.generator.state_dict()[key])
