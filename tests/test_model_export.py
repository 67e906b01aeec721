"""Models for other programs: what they make of a file is what pocketgan makes, and a folder is there whole or not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import pocketgan as pg
from conftest import ended, layer_recipe
from pocketgan.bench.results import keep
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.rng import latents
from pocketgan.data.image_set import ImageSet, licence_named
from pocketgan.export import graphs
from pocketgan.export.generator import Generator
from pocketgan.export.layers import generator_layers
from pocketgan.models.model import Model
from pocketgan.networks.architectures import build_pair, settled
from pocketgan.networks.layers import SameConv2d
from pocketgan.recipes import Recipe, gan_recipe
from pocketgan.recipes.layers import LAYERS
from pocketgan.runs.facts import PairFacts

NETWORKS = Path(__file__).parent / "networks"
ZOO = Path(__file__).parent.parent / "zoo"
NAMES = tuple("abc")

# Draws with torch alone: none of our other packages can be imported.
ALONE = """
import sys
for name in ("pocketgan", "numpy", "safetensors", "pydantic"):
    sys.modules[name] = None
sys.path.insert(0, {folder!r})
import torch
from generator import Generator
given = torch.load({given!r}, weights_only=True)
images = Generator({folder!r}).images(given["z"], given["label"])
assert images.dtype == torch.uint8
torch.save(images, {given!r} + ".images")
"""


def untrained(recipe: Recipe, shape: tuple[int, int, int] = (1, 8, 8), names: tuple[str, ...] = NAMES) -> Model:
    """A model as it was born, with BatchNorm's figures moved from where they begin."""
    pair = build_pair(recipe, shape, len(names))
    for module in pair[0].modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return Model(*pair, recipe, shape, names, PairFacts())


def with_generator(layers: list[Any]) -> Recipe:
    judging = ["Flatten", *(["OneHot"] if any("Embedding" in str(layer) for layer in layers) else [])]
    return Recipe.model_validate(
        {
            "model": {"architecture": "layers", "latent_dim": 48},
            "generator": {"layers": layers, "pixels": "unit"},
            "discriminator": {"layers": [*judging, {"type": "Linear", "out_features": 1}]},
        }
    )


def opened_alone(folder: Path, z: torch.Tensor, label: torch.Tensor | None, tmp_path: Path) -> torch.Tensor:
    """The images that `generator.py` of a folder makes in a process that has torch and none of our packages."""
    given = str(tmp_path / "given.pt")
    torch.save({"z": z, "label": label}, given)
    code = ALONE.format(folder=str(folder), given=given)
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd=tmp_path)
    return torch.load(given + ".images", weights_only=True)


def apart(one: torch.Tensor, other: torch.Tensor) -> int:
    assert one.shape == other.shape
    return int((one.int() - other.int()).abs().max())


# ---- the hub's folder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_described(name: str, tmp_path: Path) -> None:
    model = untrained(layer_recipe(name))
    (hub,) = pg.export_model(model, to=["hub"], out=tmp_path / "out", quiet=True)
    assert hub.check.rows == graphs.CHECKED
    assert hub.check.largest <= 1
    named = [stored for entry in generator_layers(model) for stored in entry.get("weights", {}).values()]
    assert sorted(named) == sorted(model.generator.state_dict())


def test_layers_that_pytorch_has_no_module_for_are_described(tmp_path: Path) -> None:
    same = {"type": "Conv2d", "out_channels": 6, "kernel_size": 4, "padding": "same", "spectral_norm": True}
    up = {"type": "ConvTranspose2d", "out_channels": 6, "kernel_size": 5, "stride": 2, "padding": "same"}
    unflatten = {"type": "Unflatten", "unflattened_size": [3, 4, 4], "order": "channels-last"}
    last = {"type": "ConvTranspose2d", "out_channels": "C", "kernel_size": 3, "padding": 1}
    model = untrained(with_generator([unflatten, {"type": "Embedding", "join": "channel"}, same, up, last, "Sigmoid"]))
    assert any(isinstance(module, SameConv2d) for module in model.generator.modules())
    pg.export_model(model, to=["hub"], out=tmp_path / "out", quiet=True)
    vector = {"type": "ConvTranspose2d", "out_channels": "C", "kernel_size": 8}  # a vector is a map of one pixel
    pg.export_model(untrained(with_generator([vector])), to=["hub"], out=tmp_path / "vector", quiet=True)


@pytest.mark.parametrize("recipe", ["mlp-bn", "dcgan", "dcgan-rotate", "pocket", "pocket-free"])
def test_a_folder_for_the_hub_opens_with_torch_alone(recipe: str, tmp_path: Path) -> None:
    options = {"clusters": 7} if recipe == "pocket-free" else {}
    model = untrained(gan_recipe(recipe, options), (1, 28, 28))
    if recipe == "pocket-free":
        model.generator.get_buffer("anchors").normal_()
    pg.export_model(model, to=["hub"], out=tmp_path / "out", quiet=True)
    z = latents(3, 0, 40, model.recipe.model.latent_dim)
    label = torch.arange(40) % 3 if model.conditional else None
    assert apart(opened_alone(tmp_path / "out/hub", z, label, tmp_path), model.images(z, label)) <= 1


def test_the_shipped_code_is_short() -> None:
    assert len((Path(graphs.__file__).parent / "generator.py").read_text().splitlines()) < 100


def test_a_folder_for_the_hub_is_a_model(small_run: Path, tmp_path: Path) -> None:
    pg.export_model(small_run, to=["hub"], out=tmp_path / "out", quiet=True)
    folder = tmp_path / "out/hub"
    files = {path.name for path in folder.iterdir()}
    assert files == {"README.md", "config.json", "generator.py", "grid.png", "model.safetensors", "recipe.toml"}
    model, again = pg.load(small_run), pg.load(folder)
    assert torch.equal(again.sample(20, seed=3).images, model.sample(20, seed=3).images)
    assert (again.recipe, again.class_names) == (model.recipe, model.class_names)
    assert ended("generate", folder, "--count", 4, "--out", tmp_path / "fakes") == 0
    assert gan_recipe(str(folder / "recipe.toml")) == model.recipe
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-5, 2)
        file.write(b"\x55")
    with pytest.raises(PocketganError, match=r"model\.safetensors is missing or damaged"):
        pg.load(folder)


def test_a_config_of_another_program_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UsageError, match="holds no model"):
        pg.load(tmp_path)


def test_weights_carry_what_they_are(small_run: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    pg.export_model(small_run, to=["hub"], out=tmp_path / "out", quiet=True)
    with safe_open(tmp_path / "out/hub/model.safetensors", "pt") as file:
        about = file.metadata()
    config = json.loads((tmp_path / "out/hub/config.json").read_text())
    assert json.loads(about["layers"]) == config["layers"]
    assert json.loads(about["pixel_range"]) == [-1, 1]
    assert about["licence"].startswith("CC BY-SA 3.0")
    assert about["weights_sha256"] == config["weights_sha256"]
    assert json.loads(about["recipe"])["name"] == "pocket"


def test_the_card_tells_figures_of_this_training_and_no_other(tmp_path: Path) -> None:
    pg.export_model(ZOO / "mlp-0", to=["hub"], out=tmp_path / "out", quiet=True)
    card = (tmp_path / "out/hub/README.md").read_text()
    _, front, text = card.split("---\n", 2)
    about = {line.partition(": ")[0]: line.partition(": ")[2] for line in front.splitlines()}
    assert (about["license"], about["library_name"]) == ("cc-by-sa-3.0", "pocketgan")
    (index,) = json.loads(about["model-index"])
    figures = {one["type"]: one for one in index["results"][0]["metrics"]}
    scored = json.loads((ZOO / "mlp-0/scorecard/scorecard.json").read_text())["metrics"]
    assert figures.keys() == scored.keys()
    assert figures["fd_judge_10k"]["value"] == scored["fd_judge_10k"]["value"]
    assert figures["fd_judge_10k"]["args"]["floor"] == scored["fd_judge_10k"]["floor"]
    assert "| `copy_share_10k` |" in text
    assert "- Copies: `copy_share_10k`" in text
    assert "pocketgan train mlp --out run" in text

    other = tmp_path / "other"
    keep(ZOO / "mlp-0", other, generator=True)
    scores = other / "scorecard/scorecard.json"
    scores.write_text(scores.read_text().replace('"nimg": 6000000', '"nimg": 6000128'))
    pg.export_model(other, to=["hub"], out=tmp_path / "again", quiet=True)
    card = (tmp_path / "again/hub/README.md").read_text()
    assert "model-index" not in card
    assert "It was not scored" in card


def test_no_folder_of_this_machine_is_told(digits: ImageSet, tmp_path: Path) -> None:
    from pocketgan.core.pixels import to_png

    folder = tmp_path / "secret" / "pictures"
    folder.mkdir(parents=True)
    for number, image in enumerate(digits.images[:64]):
        (folder / f"{number}.png").write_bytes(to_png(image))
    pg.train("mlp", data=folder, out=tmp_path / "run", nimg=256, quiet=True)
    files = pg.export_model(tmp_path / "run", to=["hub", "torch"], out=tmp_path / "out", quiet=True)
    assert len(files) == 3
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes(), path
    card = (tmp_path / "out/hub/README.md").read_text()
    assert "license: unknown" in card
    assert "pictures" in card


@pytest.mark.parametrize(
    ("text", "identifier"),
    [("CC BY-SA 3.0, https://x.org/l", "cc-by-sa-3.0"), ("MIT", "mit"), ("My own", "other"), ("", "unknown")],
)
def test_licences_have_the_hubs_names(text: str, identifier: str) -> None:
    assert licence_named(text).id == identifier


# ---- torch.export --------------------------------------------------------------------------------------------------


def test_a_pt2_file_takes_any_batch(pocket_model: Model, tmp_path: Path) -> None:
    files = pg.export_model(pocket_model, to=["torch"], out=tmp_path / "out", quiet=True)
    assert [one.path.name for one in files] == ["generator.pt2", "discriminator.pt2"]
    assert [one.check.rows for one in files] == [graphs.CHECKED] * 2
    extra = {"pocketgan.json": ""}
    program = torch.export.load(tmp_path / "out/torch/generator.pt2", extra_files=extra).module()
    for count in (1, 3, 200):
        z, label = latents(5, 0, count, 64), torch.arange(count) % 10
        assert apart(program(z=z, label=label), pocket_model.images(z, label)) <= 1
    about = json.loads(extra["pocketgan.json"])
    assert json.loads(about["class_names"]) == list("0123456789")
    told = json.loads((tmp_path / "out/export.json").read_text())["files"]
    assert [one["path"] for one in told] == ["torch/generator.pt2", "torch/discriminator.pt2"]


def test_a_users_own_code_goes_as_a_graph_and_never_as_code(tmp_path: Path) -> None:
    recipe, _ = settled(gan_recipe(None, {"networks": str(NETWORKS / "onehot.py")}), (1, 28, 28), 10)
    model = untrained(recipe, (1, 28, 28), tuple("0123456789"))
    files = pg.export_model(model, to=["torch"], out=tmp_path / "out", quiet=True)
    assert [one.path.name for one in files] == ["generator.pt2", "discriminator.pt2"]
    with pytest.raises(UsageError, match=r"--to hub: .* never shipped; take --to onnx,torch"):
        pg.export_model(model, to=["torch", "hub"], out=tmp_path / "hub", quiet=True)
    assert not (tmp_path / "hub").exists()


def test_a_classifier_is_exported_too(tmp_path: Path) -> None:
    (one,) = pg.export_model("guide", to=["torch"], out=tmp_path / "out", quiet=True)
    assert one.path.name == "classifier.pt2"
    program = torch.export.load(one.path).module()
    images = pg.load("digits").sample(20).images
    assert torch.allclose(program(images=images), pg.Classifier.load("guide", "cpu").probabilities(images), atol=1e-5)
    assert ended("export", "guide", "--to", "hub", "--out", tmp_path / "hub") == 2


# ---- what is refused -----------------------------------------------------------------------------------------------


def test_a_file_that_gives_something_else_is_not_left(
    mlp_model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Generator, "images", lambda self, z, label: 255 - mlp_model.images(z, label))
    with pytest.raises(PocketganError, match=r"generator\.py does not make the model's images .* nothing was written"):
        pg.export_model(mlp_model, to=["torch", "hub"], out=tmp_path / "out", quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_is_said_in_one_line(
    mlp_model: Model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for to, words in (("onnx", r"--to onnx needs onnx: pip install '.\[onnx\]'"), ("hubb", "did you mean 'hub'")):
        assert ended("export", "digits", "--to", to, "--out", tmp_path / "out") == 2
        line = capsys.readouterr().err
        assert re.search(words, line)
        assert line.count("\n") == 1
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert ended("export", "digits", "--to", "hub", "--out", tmp_path / "full") == 2


def test_an_address_needs_a_revision_and_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="hf://someone/digits@COMMIT"):
        pg.load("hf://someone/digits")
    with pytest.raises(UsageError, match="give hf://OWNER/NAME@REVISION"):
        pg.load("hf://digits")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"needs huggingface_hub: pip install '.\[hub\]'"):
        pg.load("hf://someone/digits@abc")
