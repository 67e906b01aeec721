"""Clusters of images, and the generator that chooses among them by the first numbers of z."""

from __future__ import annotations

import pytest
import torch
from scipy.cluster.vq import kmeans2

from pocketgan.data.clusters import _pixels, clusters
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.networks.architectures import build_pair
from pocketgan.networks.pocket import PocketFreeGenerator
from pocketgan.recipes import ModelConfig, Recipe, gan_recipe
from pocketgan.training.groups import groups_of, share_out_clusters
from pocketgan.training.loop import train_steps
from pocketgan.training.state import new_state
from pocketgan.training.trouble import after_rollbacks


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load_images("mnist", "fit").rows(torch.arange(3000))


def inertia(images: torch.Tensor, labels: torch.Tensor) -> float:
    """The mean squared distance of pictures to the mean of their cluster."""
    pixels = images.flatten(1).double()
    return sum(float((pixels[labels == k] - pixels[labels == k].mean(0)).square().sum()) for k in labels.unique())


def test_clusters_are_as_tight_as_scipys(digits: ImageSet) -> None:
    own = clusters(digits.images, 20, seed=0).members
    _, theirs = kmeans2(digits.images.flatten(1).double().numpy(), 20, iter=30, minit="++", seed=0)
    assert inertia(digits.images, own) < 1.03 * inertia(digits.images, torch.from_numpy(theirs).long())


def test_clusters_are_found_again_with_their_widest_coordinates_first(digits: ImageSet) -> None:
    members, centres = clusters(digits.images, 30, seed=1)
    assert torch.equal(members, clusters(digits.images, 30, seed=1).members)
    assert not torch.equal(members, clusters(digits.images, 30, seed=2).members)
    spread = centres.std(0)
    assert spread[:5].mean() > 2 * spread[20:].mean()


def test_few_images_leave_clusters_empty() -> None:
    images = torch.zeros(5, 1, 12, 12, dtype=torch.uint8)
    images[3:] = 200
    found, _ = clusters(images, 8, seed=0)
    assert len(found[:3].unique()) == len(found[3:].unique()) == 1
    assert found[0] != found[3]


def test_large_pictures_are_looked_at_small() -> None:
    """64x64 in colour are 12,288 pixels, whose components would take minutes."""
    halves = torch.zeros(40, 3, 64, 64, dtype=torch.uint8)
    halves[:20, :, :, :32] = 200
    halves[20:, :, :, 32:] = 200
    halves += torch.randint(20, halves.shape, dtype=torch.uint8)
    assert _pixels(halves).shape == (40, 3 * 16 * 16)
    members = clusters(halves, 2, seed=0).members
    assert members[:20].unique().tolist() != members[20:].unique().tolist()
    assert len(members[:20].unique()) == len(members[20:].unique()) == 1
    assert _pixels(halves[:, :1, :28, :28]).shape == (40, 784)


def test_latents_choose_clusters_as_often_as_they_come() -> None:
    generator = PocketFreeGenerator(20, (1, 12, 12), 4)
    centres = torch.randn(4, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    generator.apportion(centres, torch.tensor([100, 0, 300, 600]))
    z = torch.randn(40_000, 20, generator=torch.Generator().manual_seed(1))
    chosen = generator.cluster(z)
    shares = torch.bincount(chosen, minlength=4) / len(z)
    assert shares.tolist() == pytest.approx([0.1, 0, 0.3, 0.6], abs=0.01)
    assert all(
        z[chosen == k].mean(0)[:16] @ generator.anchors[k] > 0 for k in (0, 2, 3)
    )  # each lies where its centre is


def test_what_chooses_the_cluster_does_nothing_else() -> None:
    generator = PocketFreeGenerator(20, (1, 12, 12), 4).eval()
    generator.apportion(torch.eye(4, dtype=torch.float64), torch.tensor([1, 1, 1, 1]))
    z = torch.randn(50, 20, generator=torch.Generator().manual_seed(1))
    assert torch.equal(generator(z), generator(z, generator.cluster(z)))
    other = torch.cat([torch.randn(50, 16, generator=torch.Generator().manual_seed(2)), z[:, 16:]], 1)
    zeros = torch.zeros(50, dtype=torch.int64)
    assert torch.equal(generator(z, zeros), generator(other, zeros))
    assert not torch.equal(generator(z), generator(other))


def test_a_pair_without_labels_is_told_clusters(digits: ImageSet) -> None:
    found = groups_of(gan_recipe("pocket-free", {"clusters": 6}), digits, conditional=False)
    assert found is not None
    assert found.unique().tolist() == list(range(6))
    assert groups_of(gan_recipe("pocket-free", {"clusters": 0, "class_weight": 0}), digits, conditional=False) is None
    assert groups_of(gan_recipe("pocket"), digits, conditional=True) is digits.labels


def test_without_clusters_there_is_nothing_to_choose_them() -> None:
    generator, _ = build_pair(Recipe(model=ModelConfig(architecture="pocket-free")), (1, 28, 28), 0)
    names = [name for name, _ in generator.named_buffers()]
    assert not {"anchors", "offsets"} & set(names)


def test_a_rollbacks_seed_finds_no_other_clusters(digits: ImageSet) -> None:
    """The embedding and the head that a rollback restores know the clusters of the first seed."""
    recipe = gan_recipe("pocket-free", {"nimg": 256, "clusters": 6, "precision": "fp32"})
    after = after_rollbacks(recipe, 1)
    told = []
    for clusters_of in (recipe, after):
        state = new_state(recipe, digits.shape, 10, torch.device("cpu"))
        list(train_steps(state, digits, after, clusters_of=clusters_of))
        assert isinstance(state.generator, PocketFreeGenerator)
        assert isinstance(state.ema, PocketFreeGenerator)
        assert torch.equal(state.generator.anchors, state.ema.anchors)
        assert torch.equal(state.generator.offsets, state.ema.offsets)
        told.append(state.generator.anchors)
    expected = PocketFreeGenerator(64, digits.shape, 6)
    share_out_clusters(recipe, digits, expected, expected)
    assert torch.equal(told[0], expected.anchors)
    assert not torch.equal(told[1], expected.anchors)
