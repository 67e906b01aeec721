"""The networks are those of the originals, and all of them keep the two contracts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pocketgan.core.errors import UsageError
from pocketgan.models.summary import layer_table
from pocketgan.networks.architectures import ARCHITECTURES, build_pair, settled
from pocketgan.networks.classifiers import CLASSIFIERS, build_classifier
from pocketgan.networks.contracts import Dropout, parameter_count
from pocketgan.recipes import GAN_PRESETS, ModelConfig, Recipe
from pocketgan.recipes.costs import CLASSIFIER_PARAMETERS, MFLOP, PARAMETERS
from pocketgan.training.speed import training_flops

MNIST = (1, 28, 28)
TOLD = {  # trainable parameters, as the originals print them or as their layers add up to
    "mlp": (227_344, 226_761),
    "dcgan": (2_318_209, 212_865),
}


def images_of(shape: tuple[int, int, int], count: int) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_pair_keeps_its_contract(name: str, channels: int) -> None:
    recipe, shape = GAN_PRESETS[name].recipe, (channels, 28, 28)
    generator, discriminator = build_pair(recipe, shape, 10)
    labels = torch.arange(4) % 10 if generator.conditional or recipe.model.clusters else None
    made = generator(torch.randn(4, recipe.model.latent_dim), labels)
    critique = discriminator(made, labels)
    assert made.shape == (4, *shape)
    assert critique.logits.shape == (4,)
    assert critique.features.shape[0] == 4
    assert critique.features.ndim == 2
    critique.logits.sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_generators_stay_in_their_pixel_range(name: str) -> None:
    recipe = GAN_PRESETS[name].recipe
    generator, _ = build_pair(recipe, MNIST, 10)
    labels = torch.zeros(8, dtype=torch.int64) if generator.conditional else None
    made = generator(10 * torch.randn(8, recipe.model.latent_dim), labels)
    assert made.min() >= (0 if generator.pixels == "unit" else -1)
    assert generator.pixels == "unit" or made.max() <= 1


@pytest.mark.parametrize("name", TOLD)
def test_pairs_have_the_parameters_of_their_originals(name: str) -> None:
    pair = build_pair(GAN_PRESETS[name].recipe, MNIST, 10)
    assert tuple(map(parameter_count, pair)) == TOLD[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_listed_costs_are_those_of_the_networks(name: str) -> None:
    recipe = GAN_PRESETS[name].recipe
    pair = build_pair(recipe, MNIST, 10)
    assert tuple(map(parameter_count, pair)) == PARAMETERS[name]
    classes = 10 if pair[0].conditional else 0
    assert training_flops(recipe, MNIST, classes) / 1e6 == pytest.approx(MFLOP[name], rel=0.01)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_listed_classifiers_have_the_parameters_of_their_networks(name: str) -> None:
    assert parameter_count(build_classifier(name, MNIST, 10, seed=0)) == CLASSIFIER_PARAMETERS[name]


def test_classifiers_have_the_parameters_that_their_authors_print() -> None:
    assert (CLASSIFIER_PARAMETERS["cnn"], CLASSIFIER_PARAMETERS["linear-224"]) == (45_458, 1_505_290)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_gives_a_logit_for_each_class(name: str) -> None:
    network = build_classifier(name, (3, 32, 24), 7, seed=0)
    assert network(images_of((3, 32, 24), 2)).shape == (2, 7)


def test_the_seed_gives_the_weights_and_leaves_torch_alone() -> None:
    recipe = GAN_PRESETS["pocket"].recipe
    before = torch.random.get_rng_state()
    first, again, other = (
        build_pair(recipe.model_copy(update={"seed": seed}), MNIST, 10)[0].state_dict() for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["dense.weight"], other["dense.weight"])


def test_the_original_with_normal_weights_has_them_in_batchnorm_too() -> None:
    generator, discriminator = build_pair(GAN_PRESETS["dcgan-rotate"].recipe, MNIST, 0)
    for network in (generator, discriminator):
        scales = torch.cat([layer.weight.flatten() for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)])
        assert abs(scales.mean()) < 0.01
        assert scales.std().item() == pytest.approx(0.02, rel=0.2)


def test_kerass_dcgan_has_glorot_weights_and_kerass_constants() -> None:
    generator, _ = build_pair(GAN_PRESETS["dcgan"].recipe, MNIST, 0)
    bound = math.sqrt(6 / (100 + 12_544))
    weight = generator.get_parameter("dense.weight")
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    norm = generator.get_submodule("norm1")
    assert (norm.momentum, norm.eps) == (pytest.approx(0.01), 1e-3)


def test_a_transposed_convolution_with_same_padding_is_the_adjoint_of_the_convolution() -> None:
    # Keras defines Conv2DTranspose(same) as the gradient of Conv2D(same): <conv(x), y> = <x, conv_transposed(y)>
    generator, _ = build_pair(GAN_PRESETS["dcgan"].recipe, MNIST, 0)
    up = generator.get_submodule("up3").double()
    y, x = torch.randn(2, 64, 14, 14).double(), torch.randn(2, 1, 28, 28).double()
    padded = nn.functional.pad(x, (1, 2, 1, 2))
    down = nn.functional.conv2d(padded, up.weight, stride=2)
    raised = up(y) - up.bias.view(1, -1, 1, 1)
    assert (down * y).sum().item() == pytest.approx((raised * x).sum().item(), rel=1e-9)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    layer = Dropout(0.3)
    ones = torch.ones(64, 32, 16, 16).contiguous(memory_format=torch.channels_last)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = layer(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.002)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.005)
    assert torch.equal(layer.eval()(ones), ones)


@pytest.mark.parametrize(
    ("architecture", "options", "shape", "classes", "word"),
    [
        ("dcgan-rotate", {}, (1, 32, 32), 0, r"\[1, 28, 28\] where images are \[1, 32, 32\]"),
        ("pocket", {}, (1, 30, 30), 10, "multiples of 4"),
        ("pocket", {}, (1, 28, 28), 0, "labels"),
        ("mlp", {}, (1, 6, 6), 0, "8 to 128"),
        ("dcgna", {}, (1, 28, 28), 0, "did you mean 'dcgan'"),
        ("dcgan", {"clusters": 3}, (1, 28, 28), 10, r"--clusters: .*\(pocket-free\)"),
        ("mlp", {"channels_g": 96}, (1, 28, 28), 10, r"--channels-g: .*\(pocket, pocket-free\)"),
    ],
)
def test_what_a_pair_cannot_be_or_make_is_refused(
    architecture: str, options: dict[str, int], shape: tuple[int, int, int], classes: int, word: str
) -> None:
    with pytest.raises(UsageError, match=word):
        settled(Recipe(model=ModelConfig(architecture=architecture, **options)), shape, classes)


@pytest.mark.parametrize("architecture", ["pocket", "pocket-free"])
def test_more_channels_are_the_generators_alone(architecture: str) -> None:
    usual, wide = (
        build_pair(
            Recipe(model=ModelConfig(architecture=architecture, latent_dim=8, channels_g=channels)), (3, 12, 20), 5
        )
        for channels in (0, 96)
    )
    labels = torch.tensor([0, 1])
    images = wide[0](torch.randn(2, 8), labels)
    assert images.shape == (2, 3, 12, 20)
    assert parameter_count(wide[0]) > 1.5 * parameter_count(usual[0])
    assert parameter_count(wide[1]) == parameter_count(usual[1])
    assert wide[1](images, labels).logits.shape == (2,)


def test_the_layer_table_adds_up() -> None:
    network = build_classifier("cnn", MNIST, 10, seed=0).eval()
    rows = layer_table(network, torch.zeros(1, *MNIST))
    assert [row.output for row in rows if row.kind == "Conv2d"] == [(36, 28, 28), (32, 14, 14)]
    assert sum(row.parameters for row in rows) == 45_458


def test_no_seed_leaves_the_last_relu_of_dcgan_rotate_dead() -> None:
    recipe = GAN_PRESETS["dcgan-rotate"].recipe
    for seed in range(6):
        generator, _ = build_pair(recipe.model_copy(update={"seed": seed}), MNIST, 10)
        images = generator(torch.randn(16, recipe.model.latent_dim, generator=torch.Generator().manual_seed(seed)))
        assert 0.2 < (images > 0).float().mean() < 0.8, f"seed {seed}"
