"""Networks that strangers' files tell: their layers, what is assumed of them, and what the guide says."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketgan import evaluate, import_file
from pocketgan.bench.strangers.models import by_label, critic, plain
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.importing import tensors
from pocketgan.importing.variants import Choices, activation_of, chosen
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.recipes import gan_recipe, write_recipe
from soak.children import POSIX
from soak.pickles import Worker

pytestmark = pytest.mark.skipif(not POSIX, reason="children are forked")
TESTS = Path(__file__).parent
NETWORKS = TESTS / "networks"


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open pickles in forked children, which need not import torch anew."""
    monkeypatch.setattr(tensors, "_converted", Worker())


class Holder(nn.Module):
    """As students write them: one Sequential in a class of their own."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Any:
        return self.model(x)


class Loose(nn.Module):
    """Layers whose order only `forward` knows."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(100, 256), nn.Linear(256, 784)


def pickled(network: Any, path: Path) -> Path:
    path.write_bytes(pickle.dumps(network, protocol=4))
    return path


def dense() -> nn.Module:
    return Holder(
        *[nn.Linear(64, 32), nn.BatchNorm1d(32, 0.8), nn.LeakyReLU(0.2, inplace=True), nn.Dropout(0.4)],
        *[nn.Sequential(nn.Linear(32, 48, bias=False), nn.ELU(0.5), nn.LayerNorm(48)), nn.Linear(48, 784), nn.Tanh()],
    )


def transposed() -> nn.Module:
    return nn.Sequential(
        *[nn.ConvTranspose2d(20, 16, 7), nn.BatchNorm2d(16), nn.ReLU()],
        *[nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), nn.GroupNorm(2, 8), nn.PReLU()],
        *[nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 1, 3, padding="same"), nn.Sigmoid()],
    )


def unflattened() -> nn.Module:
    return nn.DataParallel(
        nn.Sequential(
            *[nn.Linear(12, 784), nn.Unflatten(1, (16, 7, 7)), nn.InstanceNorm2d(16, affine=True), nn.SiLU()],
            *[nn.Conv2d(16, 16, 3, padding=1), nn.GELU(), nn.PixelShuffle(4), nn.Hardtanh()],
        )
    )


@pytest.mark.parametrize(
    ("make", "length", "as_map"), [(dense, 64, False), (transposed, 20, True), (unflattened, 12, False)]
)
def test_a_pickled_sequential_tells_its_layers_and_computes_the_same(
    make: Callable[[], nn.Module], length: int, as_map: bool, tmp_path: Path
) -> None:
    network = make().eval()
    with torch.no_grad():
        for _, buffer in network.named_buffers():
            if buffer.is_floating_point():
                buffer.add_(torch.rand_like(buffer))
    found = import_file(pickled(network, tmp_path / "G.pkl"), out=tmp_path / "model")
    assert (found.network, found.what) == ("generator", "a plain pickle of a whole module")
    model, z = Model.load(tmp_path / "model"), torch.randn(5, length)
    its = network.module if isinstance(network, nn.DataParallel) else network
    with torch.no_grad():
        expected = its(z[:, :, None, None] if as_map else z).view(5, 1, 28, 28)
        assert torch.allclose(model.generator(z), expected, atol=1e-6)
    assert model.generator.pixels == ("unit" if make is transposed else "signed")
    assert any("besides its Sequential" in line for line in found.assumed) == (make is dense)


@pytest.mark.parametrize("first", ["generator", "discriminator"])
def test_the_other_network_takes_the_place_of_its_stand_in(first: str, tmp_path: Path) -> None:
    critic = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(784, 1), nn.Sigmoid())
    files = {
        "generator": pickled(dense(), tmp_path / "G.pkl"),
        "discriminator": pickled(critic, tmp_path / "D.pkl"),
    }
    for role in sorted(files, key=lambda role: role != first):
        assert import_file(files[role], out=tmp_path / "model").network == role
    model = Model.load(tmp_path / "model")
    images = torch.rand(3, 1, 28, 28)
    assert model.discriminator is not None
    with torch.no_grad():
        assert torch.allclose(model.discriminator(images).logits.sigmoid(), critic(images).flatten(), atol=1e-6)
    with pytest.raises(UsageError, match="this network already"):
        import_file(files[first], out=tmp_path / "model")


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Loose(), r'Loose is no single Sequential.*a start for the recipe: layers = \[\{type = "Linear", out_features'),
        (Holder(nn.Linear(100, 784), nn.Softmax(1)), r"it has what is left out here \(Softmax\)"),
        (Holder(nn.Conv2d(4, 4, 3, groups=2)), r"left out here \(Conv2d with groups 2\)"),
        (Holder(nn.Linear(100, 700), nn.Tanh()), r"where images are \[1, 28, 28\]; give --data"),
        (Holder(nn.Flatten(), nn.Linear(784, 10)), r"it names classes; say which classifier it is \(--recipe"),
        (Loose().state_dict(), r"nothing of activations; its shapes are those of mlp: add --recipe mlp"),
        (nn.Linear(3, 2).state_dict(), r"nothing of activations; give its layers in a recipe"),
    ],
)
def test_a_file_that_does_not_tell_its_layers_is_refused_with_a_start(network: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        import_file(pickled(network, tmp_path / "G.pkl"), out=tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_a_classifier_that_reads_its_own_digits_badly_is_told_of(digits: ImageSet, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    found = import_file(pickled(network, tmp_path / "C.pkl"), recipe="mlp", out=tmp_path / "bad")
    assert found.network == "classifier"
    assert found.right is not None
    assert found.right < 0.5
    assert "trained on other or normalised pixels" in found.warnings[0]
    good = Classifier.load("guide")
    good.save(tmp_path / "guide")
    path = tmp_path / "guide" / "classifier.safetensors"
    found = import_file(path, recipe=good.recipe.architecture, out=tmp_path / "good")
    assert found.right is not None
    assert found.right > 0.95
    assert found.warnings == ()


def drawing(digits: ImageSet, first: bool, dim: int = 100) -> nn.Module:
    """A generator that draws one real digit of the class it is asked for by a one-hot label, and little noise."""
    rows = torch.stack([digits.images[int((digits.labels == label).nonzero()[0])] for label in range(10)])
    network = Holder(nn.Linear(dim + 10, 784), nn.Tanh())
    layer = network.model[0]
    assert digits.labels is not None
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.normal_(0, 0.02)
        layer.weight[:, slice(0, 10) if first else slice(dim, dim + 10)] = (rows.flatten(1) / 42.5 - 3).T
        layer.bias.zero_()
    return network


@pytest.mark.catches("labels not moved")
@pytest.mark.parametrize(("first", "coding"), [(False, "one-hot"), (True, "one-hot-first")])
def test_a_first_layer_that_is_wider_by_the_classes_is_noticed(
    first: bool, coding: Any, digits: ImageSet, tmp_path: Path
) -> None:
    path = pickled(drawing(digits, first), tmp_path / "G.pkl")
    found = import_file(path, out=tmp_path / "plain")
    assert len(found.warnings) == 1
    assert f"import it again with --conditional {coding}" in found.warnings[0]
    found = import_file(path, out=tmp_path / "model", conditional=coding)
    assert found.warnings == ()
    assert found.readings[0].right == 1.0
    model = Model.load(tmp_path / "model")
    assert model.conditional
    assert model.generator.latent_dim == 100
    discriminator = Holder(nn.Linear(794, 8), nn.ReLU(), nn.Linear(8, 1))
    assert import_file(pickled(discriminator, tmp_path / "D.pkl"), out=tmp_path / "model").network == "discriminator"
    assert Model.load(tmp_path / "model").discriminator is not None


def test_a_state_dict_that_is_wider_by_the_classes_is_told_how_it_comes_in(digits: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(
        '[generator]\nlayers = [{type = "Linear", out_features = "C*H*W"}, "Tanh"]\n'
        '[discriminator]\nlayers = ["Flatten", {type = "Linear", out_features = 1}]\n[model]\nlatent_dim = 100\n'
    )
    path, recipe = pickled(drawing(digits, False).state_dict(), tmp_path / "G.pkl"), str(tmp_path / "one.toml")
    with pytest.raises(PocketganError, match="if its labels are one-hot, add --conditional one-hot"):
        import_file(path, recipe=recipe, out=tmp_path / "model")
    found = import_file(path, recipe=recipe, out=tmp_path / "model", conditional="one-hot", pixels="unit")
    assert found.readings[0].right == 1.0
    assert "Sigmoid at its end, pixels in [0, 1]" in found.assumed


def test_what_reads_badly_is_said_in_plain_words(tmp_path: Path) -> None:
    found = import_file(pickled(Loose().state_dict(), tmp_path / "G.pkl"), recipe="mlp", out=tmp_path / "model")
    assert found.assumed[:2] == ("ReLU between its layers", "Tanh at its end, pixels in [-1, 1]")
    assert found.real is not None
    assert found.real > 0.9
    assert {reading.options for reading in found.readings} >= {"", "--activation LeakyReLU:0.2", "--pixels unit"}
    assert any(warning.startswith("nothing that was tried reads well") for warning in found.warnings)
    chosen = import_file(
        tmp_path / "G.pkl", recipe="mlp", out=tmp_path / "other", activation="LeakyReLU:0.3", pixels="unit"
    )
    assert chosen.assumed[:2] == ("LeakyReLU:0.3 between its layers", "Sigmoid at its end, pixels in [0, 1]")
    assert len(chosen.readings) == 1


def test_a_wrong_activation_in_the_recipe_shows(tmp_path: Path) -> None:
    """A trained DCGAN of the zoo, whose slope is 0.3; by a recipe with ReLU its images are hardly read."""
    path = Path(__file__).parent.parent / "zoo" / "dcgan-0" / "model" / "generator.safetensors"
    assert import_file(path, recipe="dcgan", out=tmp_path / "right").warnings == ()
    write_recipe(chosen(gan_recipe("dcgan"), Choices(activation="ReLU")), tmp_path / "wrong.toml")
    found = import_file(path, recipe=str(tmp_path / "wrong.toml"), out=tmp_path / "wrong")
    assert any("import it again with --activation LeakyReLU:0.2" in warning for warning in found.warnings)


@pytest.mark.parametrize("words", ["ReLu6", "LeakyReLU:2", "LeakyReLU:x", "ReLU:0.2", ""])
def test_an_unknown_activation_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match=r"--activation"):
        activation_of(words)


@pytest.mark.parametrize("option", ["pixels", "conditional"])
def test_an_unknown_choice_is_refused(option: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"--{option} odd is unknown; give (signed or unit|one-hot or one-hot-first)"):
        import_file(tmp_path / "G.pkl", out=tmp_path / "model", **{option: "odd"})


def test_options_of_lists_are_refused_where_there_is_no_list(tmp_path: Path) -> None:
    path = pickled(Loose().state_dict(), tmp_path / "G.pkl")
    with pytest.raises(UsageError, match="--pixels: pocket says itself what it computes; leave it out"):
        import_file(path, recipe="pocket", out=tmp_path / "model", pixels="unit")


def test_weights_go_into_the_classes_of_a_users_file(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "import torch\nfrom torch import nn\n"
        "class Generator(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.fc1, self.fc2 = nn.Linear(100, 256), nn.Linear(256, 784)\n"
        "    def forward(self, z):\n        return torch.tanh(self.fc2(torch.relu(self.fc1(z))))\n"
        "class Discriminator(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(784, 1)\n"
        "    def forward(self, x):\n        return torch.sigmoid(self.fc(x.view(x.size(0), -1)))\n"
    )
    network, critic = Loose(), nn.Module()
    critic.fc = nn.Linear(784, 1)
    for held, name, role in ((network, "G", "generator"), (critic.state_dict(), "D", "discriminator")):
        path = pickled(held, tmp_path / f"{name}.pkl")
        assert import_file(path, networks=code, out=tmp_path / "model").network == role
    model, z = Model.load(tmp_path / "model"), torch.randn(4, 100)
    with torch.no_grad():
        expected = torch.tanh(network.fc2(torch.relu(network.fc1(z)))).view(4, 1, 28, 28)
        assert torch.allclose(model.generator(z), expected, atol=1e-6)
    assert (tmp_path / "model" / "networks.py").read_bytes() == code.read_bytes()


@pytest.mark.parametrize("kind", ["keras", "sequential", "one-hot"])
def test_a_strangers_pair_reaches_a_scorecard(kind: str, small_mnist: Path) -> None:
    """Files that their own libraries wrote: Keras (`keras_pair.py`), and `pickle.dump` of PyTorch's modules."""
    if kind == "keras":
        with zipfile.ZipFile(TESTS / "keras_pair.zip") as archive:
            archive.extractall(small_mnist)
        names = ("G.keras", "D.keras")
    else:
        labels = 10 if kind == "one-hot" else 0
        pickled(by_label() if labels else plain().main, small_mnist / "G.pkl")
        pickled(critic(labels), small_mnist / "D.pkl")
        names = ("G.pkl", "D.pkl")
    for name in names:
        import_file(small_mnist / name, out="model", conditional="one-hot" if kind == "one-hot" else None)
    card = evaluate("model", count=100, out="card", quiet=True)
    assert (card.subject.count, card.labels) == (100, "asked" if kind == "one-hot" else "none")
    assert card.reference.count == 200
    label_error = card.score("label_error")
    if label_error is not None:
        assert label_error.value < 0.3, "each class draws its digit"
    told = {"keras": "out of proportion", "sequential": "differ", "one-hot": "have a twin in the set"}[kind]
    assert told in card.verdict
    assert Model.load("model").discriminator is not None
    assert (small_mnist / "card/scorecard.json").is_file()
