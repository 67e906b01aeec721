"""Networks that the program does not know: as lists of layers, as Python files, as classes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import layer_recipe
from pocketgan.api import train
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.models.model import Model
from pocketgan.networks.architectures import build_pair, settled
from pocketgan.networks.own import OwnDiscriminator
from pocketgan.recipes import Recipe, code, gan_recipe, recipe_toml
from pocketgan.recipes.layers import LAYERS
from pocketgan.recipes.pairs import PAIRS
from pocketgan.runs.facts import PairFacts
from pocketgan.training.checkpoint import load_newest, save_checkpoint
from pocketgan.training.loop import train_steps
from pocketgan.training.state import check_objective, new_state

NETWORKS = Path(__file__).parent / "networks"
LOGIT = {"type": "Linear", "out_features": 1}
CONV = {"type": "Conv2d", "out_channels": 1, "kernel_size": 3}
SHAPES = {"gan": (1, 28, 28), "onehot": (1, 28, 28), "cdcgan": (1, 64, 64)}


@pytest.fixture(autouse=True)
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of trusted files of the test's own."""
    monkeypatch.setenv(code.VARIABLE, str(tmp_path / "config"))
    monkeypatch.setattr(code, "_trusted_here", set())
    monkeypatch.setattr(code, "_sources", {})


def as_layers(name: str) -> Recipe:
    return gan_recipe(str(NETWORKS / f"{name}.toml"))


def as_python(name: str) -> Recipe:
    recipe, _ = settled(gan_recipe(None, {"networks": str(NETWORKS / f"{name}.py")}), SHAPES[name], 10)
    return recipe


def weights(network: nn.Module) -> list[tuple[int, ...]]:
    return sorted(tuple(value.shape) for value in network.state_dict().values() if value.ndim)


@pytest.mark.parametrize("name", SHAPES)
def test_a_list_of_layers_and_a_python_file_are_the_same_networks(name: str) -> None:
    listed, written = (build_pair(recipe, SHAPES[name], 10) for recipe in (as_layers(name), as_python(name)))
    labels = torch.arange(4) if listed[0].conditional else None
    z = torch.randn(4, 100)
    for one, other in zip(listed, written, strict=True):
        assert one.conditional == other.conditional == (name != "gan")
        assert weights(one) == weights(other)
    ordered = [[value for value in network.state_dict().values() if value.ndim] for network in (listed[0], written[0])]
    for mine, theirs in zip(*ordered, strict=True):
        mine.copy_(theirs)
    assert torch.allclose(listed[0].eval()(z, labels), written[0].eval()(z, labels), atol=1e-6)
    assert listed[0].pixels == written[0].pixels == "signed"


@pytest.mark.parametrize("name", SHAPES)
def test_probabilities_become_logits(name: str) -> None:
    _, discriminator = build_pair(as_python(name), SHAPES[name], 10)
    assert isinstance(discriminator, OwnDiscriminator)
    images, labels = torch.rand(8, *SHAPES[name], generator=torch.Generator().manual_seed(0)) * 2 - 1, torch.arange(8)
    critique = discriminator(30 * images, labels)
    assert critique.logits.shape == (8,)
    assert discriminator.gives_probabilities == (name == "onehot")
    if name != "onehot":
        assert bool(((critique.logits < 0) | (critique.logits > 1)).any()), "no probabilities"
    assert critique.features.shape[0] == 8
    critic = as_python(name).changed("objective", loss="hinge")
    if name == "onehot":
        with pytest.raises(UsageError, match="--loss hinge: the discriminator of python gives probabilities"):
            check_objective(critic, SHAPES[name], 10)
    else:
        check_objective(critic, SHAPES[name], 10)


def test_what_was_found_is_said() -> None:
    wanted = gan_recipe(None, {"networks": str(NETWORKS / "onehot.py"), "latent_dim": 32})
    recipe, notes = settled(wanted, (1, 28, 28), 10)
    assert recipe.model.latent_dim == 100
    assert recipe.model.pixels == "signed"
    for word in ("length 100", "one-hot", "[-1, 1]", "probabilities"):
        assert any(word in note for note in notes), word


def test_own_networks_are_built_once_to_settle_a_recipe_and_once_to_train() -> None:
    built = []

    class Generator(nn.Linear):
        def __init__(self) -> None:
            super().__init__(8, 64)
            built.append("generator")

    class Discriminator(nn.Linear):
        def __init__(self) -> None:
            super().__init__(64, 1)
            built.append("discriminator")

    wanted = gan_recipe(None, {"networks": code.remember_classes(Generator, Discriminator), "latent_dim": 8})
    recipe, _ = settled(wanted, (1, 8, 8), 0)
    assert built == ["generator", "discriminator"]
    build_pair(recipe, (1, 8, 8), 0)
    assert built == 2 * ["generator", "discriminator"]


def test_a_script_that_trains_is_not_run_but_for_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build_pair(as_python("gan"), SHAPES["gan"], 10)
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_can_be_built(name: str) -> None:
    generator, discriminator = build_pair(layer_recipe(name), (1, 8, 8), 3)
    labels = torch.tensor([0, 1, 2])
    images = generator(torch.randn(3, 8), labels)
    assert images.shape == (3, 1, 8, 8)
    discriminator(images, labels).logits.sum().backward()


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_divides_and_multiplies_the_sides_as_keras_does(kernel: int, stride: int) -> None:
    sides = {"kernel_size": kernel, "stride": stride, "padding": "same"}
    recipe = Recipe.model_validate(
        {
            "model": {"architecture": "layers", "latent_dim": 3 * 8 * 8},
            "generator": {
                "layers": [
                    {"type": "Unflatten", "unflattened_size": [3, 8, 8]},
                    {"type": "ConvTranspose2d", "out_channels": 1, **sides},
                ]
            },
            "discriminator": {
                "layers": [
                    {"type": "Conv2d", "out_channels": 1, **sides},
                    "Flatten",
                    {"type": "Linear", "out_features": 1},
                ]
            },
        }
    )
    generator, discriminator = build_pair(recipe, (1, 8 * stride, 8 * stride), 0)
    images = generator(torch.randn(2, 192))
    assert images.shape == (2, 1, 8 * stride, 8 * stride)
    assert discriminator.get_submodule("head").in_features == 64
    assert discriminator(images).logits.shape == (2,)


@pytest.mark.parametrize(
    ("table", "layers", "words"),
    [
        (
            "generator",
            [{"type": "Conv2d", "out_channels": 1, "kernel_size": 3}],
            ["layer 1 (Conv2d)", "[100]", "Unflatten"],
        ),
        ("generator", [{"type": "Linear", "out_features": 100}], ["layer 1 (Linear)", "[100]", "[1, 28, 28]"]),
        ("discriminator", [LOGIT], ["layer 1 (Linear)", "[1, 28, 28]", "Flatten"]),
        ("discriminator", ["Flatten", {"type": "Linear", "out_features": 2}], ["[2]", "[1]"]),
        ("generator", ["OneHot", {"type": "Linear", "out_features": 784}], ["takes the class"]),
        (
            "generator",
            [{"type": "Linear", "out_features": 20}, {"type": "Unflatten", "unflattened_size": [3, 3, 3]}],
            ["layer 2 (Unflatten)", "[20]", "[3, 3, 3]"],
        ),
    ],
)
def test_a_misfit_names_the_layer_and_both_shapes(table: str, layers: list[object], words: list[str]) -> None:
    values = gan_recipe("mlp").model_dump()
    values["model"]["architecture"] = "layers"
    values |= {role: getattr(PAIRS["mlp"], role).model_dump() for role in ("generator", "discriminator")}
    values[table] = {"layers": layers}
    with pytest.raises(UsageError) as error:
        build_pair(Recipe.model_validate(values), (1, 28, 28), 10)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('[generator]\nlayers = ["Relu"]', ["generator.layers", "did you mean 'ReLU'"]),
        ('[generator]\nlayers = [{ type = "Linear", units = 3 }]', ["Linear", "out_features"]),
        ('[generator]\nlayers = [{ type = "Linear", out_features = "C+H" }]', ["out_features"]),
        ("[generator]\nlayers = []", ["generator.layers"]),
    ],
)
def test_a_layer_that_there_is_not_is_one_line(lines: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'preset = "mlp"\n{lines}\n')
    with pytest.raises(UsageError) as error:
        gan_recipe(str(path))
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_recipe_with_layers_survives_its_file(tmp_path: Path) -> None:
    for name in SHAPES:
        recipe = as_layers(name)
        path = tmp_path / f"{name}.toml"
        path.write_text(recipe_toml(recipe))
        assert gan_recipe(str(path)) == recipe


def test_one_table_may_stand_for_a_presets(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "mlp"\n[generator]\nlayers = [{ type = "Linear", out_features = "C*H*W" }, "Tanh"]\n')
    recipe = gan_recipe(str(path))
    assert recipe.model.architecture == "layers"
    assert recipe.discriminator == PAIRS["mlp"].discriminator


def test_code_runs_for_its_user_alone(tmp_path: Path, digits: ImageSet) -> None:
    recipe = as_python("gan")
    model = Model(*build_pair(recipe, digits.shape, 10), recipe, digits.shape, digits.class_names, PairFacts())
    model.save(tmp_path / "model")
    assert (tmp_path / "model" / code.CODE).read_bytes() == (NETWORKS / "gan.py").read_bytes()
    images = Model.load(tmp_path / "model").sample(2).images
    shutil.rmtree(tmp_path / "config")  # now it is a stranger's
    code._trusted_here.clear()
    with pytest.raises(UsageError, match=r"--trust-code") as error:
        Model.load(tmp_path / "model")
    assert "Generator, Discriminator" in str(error.value)
    assert torch.equal(Model.load(tmp_path / "model", trust_code=True).sample(2).images, images)


def test_changed_code_is_not_run(tmp_path: Path, digits: ImageSet) -> None:
    recipe = as_python("gan")
    Model(*build_pair(recipe, digits.shape, 10), recipe, digits.shape, digits.class_names, PairFacts()).save(
        tmp_path / "model"
    )
    code._sources.clear()
    path = tmp_path / "model" / code.CODE
    path.write_text(path.read_text() + "\n# changed\n")
    with pytest.raises(PocketganError, match=r"networks"):
        Model.load(tmp_path / "model", trust_code=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def broken(:\n", ["not Python", "line 1"]),
        ("x = 1\n", ["no class is the generator"]),
        (
            "from torch import nn\nclass Generator(nn.Module):\n    def __init__(self, secret):\n"
            "        super().__init__()\nclass Discriminator(nn.Module):\n    pass\n",
            ["Generator", "'secret'", "default"],
        ),
        (
            "from torch import nn\nclass Generator(nn.Sequential):\n    def __init__(self):\n"
            "        super().__init__(nn.Linear(100, 99))\nclass Discriminator(nn.Sequential):\n    pass\n",
            ["[99]", "[1, 28, 28]"],
        ),
        (
            "from torch import nn\nclass Generator(nn.Sequential):\n    def __init__(self):\n"
            "        super().__init__(nn.Linear(100, 784))\n"
            "class Discriminator(nn.Sequential):\n    def __init__(self):\n"
            "        super().__init__(nn.Flatten(), nn.Linear(784, 2))\n",
            ["discriminator", "[4, 2]", "[4, 1]"],
        ),
    ],
)
def test_files_that_are_no_pair_give_one_line(text: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(PocketganError) as error:
        build_pair(gan_recipe(None, {"networks": str(path)}), (1, 28, 28), 10)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_weights_of_a_users_networks_load_into_the_users_class() -> None:
    generator, _ = build_pair(as_python("onehot"), (1, 28, 28), 10)
    assert set(generator.state_dict()) == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}


@pytest.mark.parametrize("kind", ["layers", "python"])
@pytest.mark.parametrize("name", SHAPES)
def test_their_training_goes_on_bit_for_bit(name: str, kind: str, digits: ImageSet, tmp_path: Path) -> None:
    images = digits.rows(torch.arange(320))
    if SHAPES[name] != images.shape:
        large = nn.functional.interpolate(images.images.float(), SHAPES[name][1:]).to(torch.uint8)
        images = replace(images, images=large)
    start = as_layers(name) if kind == "layers" else as_python(name)
    recipe = gan_recipe(start, {"nimg": 320, "batch_size": 32, "ema_share": 0.1})
    whole, half, resumed = (new_state(recipe, images.shape, 10, torch.device("cpu")) for _ in range(3))
    for _ in train_steps(whole, images, recipe):
        pass
    next(train_steps(half, images, recipe, lambda state, _: state.nimg == 128))
    save_checkpoint(tmp_path, half)
    assert load_newest(tmp_path, resumed) == []
    assert resumed.nimg == 160
    for _ in train_steps(resumed, images, recipe):
        pass
    for one, other in ((whole.sampler, resumed.sampler), (whole.discriminator, resumed.discriminator)):
        for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
            assert torch.equal(mine, theirs)


def test_a_run_keeps_the_file_of_its_networks(tmp_path: Path) -> None:
    run = train(gan_recipe(None, {"networks": str(NETWORKS / "gan.py"), "nimg": 128}), out=tmp_path / "run", quiet=True)
    assert (tmp_path / "run" / code.CODE).read_bytes() == (NETWORKS / "gan.py").read_bytes()
    code._sources.clear()
    again = train(str(tmp_path / "run" / "recipe.toml"), out=tmp_path / "again", quiet=True)
    for one, other in zip(run.generator.parameters(), again.generator.parameters(), strict=True):
        assert torch.equal(one, other)
