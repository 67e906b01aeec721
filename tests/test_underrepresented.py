"""Images that fakes come least near to: who they are, how often they come again, and that a resume knows them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pocketgan.core.randomness import generator
from pocketgan.data.image_set import ImageSet
from pocketgan.models.layers import Generator
from pocketgan.recipes import Recipe, gan_recipe
from pocketgan.training import loop, underrepresented
from pocketgan.training.checkpoint import load_newest, save_checkpoint
from pocketgan.training.loop import train_steps
from pocketgan.training.state import TrainState, new_state

CPU = torch.device("cpu")


class Repeater(Generator):
    """Makes copies of some images of the asked class, and never of another."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        super().__init__(latent_dim=64)
        self.images, self.labels = images.float() / 127.5 - 1, labels

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        assert y is not None
        made = []
        for latent, label in zip(z, y, strict=True):
            of_class = (self.labels == label).nonzero().squeeze(1)
            made.append(self.images[of_class[int(latent[0].abs() * 1e4) % len(of_class)]])
        return torch.stack(made)


def state_of(recipe: Recipe) -> TrainState:
    return new_state(recipe, (1, 28, 28), 10, CPU)


def a_recipe(**options: float) -> Recipe:
    return gan_recipe("pocket", {"batch_size": 32, "underrepresented": 0.25, "precision": "fp32", **options})


def test_images_that_are_never_made_are_found(digits: ImageSet) -> None:
    """A generator that knows the first 900 images only: among the tenth are the others, and hardly any it can make."""
    recipe = a_recipe()
    state = state_of(recipe)
    state.ema = Repeater(digits.images[:900], digits.labels[:900])
    scarce = Repeater(digits.images[:300], digits.labels[:300])
    rows = underrepresented.underrepresented(state, digits, digits.labels, recipe)
    assert rows.dtype == torch.int64
    assert len(rows) == len(set(rows.tolist())) == 100
    state.ema = scarce
    unmade = underrepresented.underrepresented(state, digits, digits.labels, recipe)
    assert (unmade >= 300).float().mean() == 1.0
    assert state.generator.training
    assert state.discriminator.training


def test_the_score_is_the_excess_over_the_nearest_other_image(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(0)
    real, fake = (torch.nn.functional.normalize(torch.randn(50, 8, generator=random), dim=1) for _ in range(2))
    between = torch.cdist(real, real)
    between.fill_diagonal_(torch.inf)
    expected = torch.cdist(real, fake).amin(1) - between.amin(1)
    for rows in (7, 50, 1000):
        monkeypatch.setattr(underrepresented, "ROWS", rows)
        assert torch.allclose(underrepresented._excess(real, fake), expected, atol=1e-3)


@pytest.mark.parametrize("name", ["pocket-free", "mlp", "dcgan-rotate"])
def test_pairs_without_classes_have_their_images_diagnosed_too(name: str, digits: ImageSet) -> None:
    recipe = gan_recipe(name, {"underrepresented": 0.25, "nimg": 100, "precision": "fp32"})
    state = state_of(recipe)
    groups = loop.groups_of(recipe, digits, state.generator, state.sampler)
    assert len(underrepresented.underrepresented(state, digits, groups, recipe)) == 100


def test_a_share_of_each_batch_comes_from_them(digits: ImageSet) -> None:
    recipe = a_recipe()
    state = state_of(recipe)
    stream = loop.BatchStream(len(digits), 32, recipe.seed)
    plain = loop._next_batch(state, digits, digits.labels, recipe, stream)
    state.underrepresented = torch.tensor([5, 6])
    batch = loop._next_batch(state, digits, digits.labels, recipe, stream)
    assert torch.equal(batch.real[:24], plain.real[8:])
    known = {digits.images[row].float().div(127.5).sub(1).numpy().tobytes() for row in (5, 6)}
    assert {image.numpy().tobytes() for image in batch.real[24:].contiguous()} == known
    assert set(batch.labels[24:].tolist()) == set(digits.labels[[5, 6]].tolist())  # type: ignore[index]


def test_a_diagnosis_comes_every_third_epoch(digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    came = []

    def diagnosed(state: TrainState, *_: object) -> Tensor:
        came.append(state.nimg)
        return torch.randint(100, (10,), generator=generator(0, "test", state.nimg))

    monkeypatch.setattr(loop, "underrepresented", diagnosed)
    digits = digits.rows(torch.arange(100))
    for options in ({"nimg": 1000}, {"nimg": 1000, "underrepresented": 0.0}):
        recipe = a_recipe(**options)
        list(train_steps(state_of(recipe), digits, recipe))
    assert came == [320, 608, 928]  # the first steps at or after 300, 600 and 900, of the first recipe alone


@pytest.mark.catches("underrepresented not restored")
def test_a_resume_knows_them(digits: ImageSet, tmp_path: Path) -> None:
    digits = digits.rows(torch.arange(160))
    recipe = a_recipe(nimg=960)
    whole, half, resumed = state_of(recipe), state_of(recipe), state_of(recipe)
    list(train_steps(whole, digits, recipe))
    for milestone in train_steps(half, digits, recipe, lambda state, _: state.nimg == 640):
        if milestone.nimg == 672:
            break
    assert len(half.underrepresented) == 16
    save_checkpoint(tmp_path, half)
    assert load_newest(tmp_path, resumed) == []
    assert torch.equal(resumed.underrepresented, half.underrepresented)
    list(train_steps(resumed, digits, recipe))
    for key, value in whole.generator.state_dict().items():
        assert torch.equal(value, resumed.generator.state_dict()[key])
