"""Saved models: the same bytes for the same seed and index, whole round trips, and one line for each wrong request."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketgan.api import generate
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.rng import BLOCK
from pocketgan.data.fakes import read_fakes
from pocketgan.data.image_set import ImageSet
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import SHIPPED
from pocketgan.recipes import rebuild_command
from pocketgan.runs.facts import DataFacts, PairFacts


@pytest.mark.parametrize("count", [1, 7, BLOCK, 300])
def test_count_and_start_never_change_an_image(count: int, pocket_model: Model) -> None:
    whole = pocket_model.sample(400, seed=3)
    for start in (0, 5, BLOCK - 1):
        part = pocket_model.sample(min(count, 400 - start), seed=3, start=start)
        chosen = whole.rows(torch.arange(start, start + len(part)))
        assert torch.equal(part.images, chosen.images)
        assert torch.equal(part.latents, whole.latents[start : start + len(part)])
        assert torch.equal(part.index, whole.index[start : start + len(part)])


@pytest.mark.parametrize("fixture", ["pocket_model", "mlp_model"])
def test_a_stored_latent_gives_its_image_again(fixture: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(fixture)
    samples = model.sample(300, seed=1)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    labels = None if samples.labels is None else samples.labels[order]
    assert torch.equal(model.images(samples.latents[order], labels), samples.images[order])


def test_rows_of_samples_keep_their_latents(pocket_model: Model) -> None:
    samples = pocket_model.sample(10)
    chosen = samples.rows(torch.tensor([7, 2]))
    assert chosen.index.tolist() == [7, 2]
    assert torch.equal(pocket_model.images(chosen.latents, chosen.labels), chosen.images)


def test_loading_leaves_the_callers_random_numbers_alone(small_run: Path) -> None:
    before = torch.random.get_rng_state()
    Model.load(small_run)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_shipped_generator_draws_the_digits_it_is_asked_for() -> None:
    model = Model.load("digits")
    samples = model.sample(1000)
    assert samples.labels is not None
    errors = (Classifier.load("guide").label(samples.images) != samples.labels).sum()
    assert errors < 20  # the judge reads 3 of 1,000 otherwise, and the guide is weaker
    assert model.facts.command == rebuild_command(model.recipe)
    assert sum(file.stat().st_size for file in (SHIPPED / "digits").iterdir()) < 4 << 20


def test_the_shipped_generator_without_classes_is_steered_as_it_comes() -> None:
    model = Model.load("digits-free")
    assert not model.conditional
    fives = model.sample(64, label=5)
    assert (fives.provenance["steered_by"], fives.class_names) == ("flow", tuple("0123456789"))
    assert (Classifier.load("guide").label(fives.images) == 5).sum() > 56
    bolder = model.sample(64, label=5, moves={"thickness": 2.0})
    assert bolder.images.float().mean() > fives.images.float().mean()
    assert sum(file.stat().st_size for file in (SHIPPED / "digits-free").rglob("*") if file.is_file()) < 2_000_000
    with pytest.raises(UsageError, match="digits-free came with the program"):
        model.steer.fit("bank", latents=100)


def test_a_folder_called_guide_does_not_stand_for_the_shipped_one(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SHIPPED / "guide", tmp_path / "guide")
    (tmp_path / "guide" / "classifier.safetensors").write_bytes(b"another")
    monkeypatch.chdir(tmp_path)
    assert Classifier.load("guide").class_names == tuple("0123456789")
    with pytest.raises(PocketganError, match="damaged"):
        Classifier.load(tmp_path / "guide")


def test_classes_take_turns_or_are_all_the_one_asked_for(pocket_model: Model) -> None:
    assert pocket_model.sample(25).labels.tolist() == [row % 10 for row in range(25)]  # type: ignore[union-attr]
    five = pocket_model.sample(12, label=5)
    assert five.labels.tolist() == [5] * 12  # type: ignore[union-attr]
    assert five.label_source == "asked"
    assert not torch.equal(five.images, pocket_model.sample(12, label=6).images)


@pytest.fixture
def numbered(pocket_model: Model, tmp_path: Path) -> Model:
    """A conditional model of ten classes some of whose names are numbers that are not their indices."""
    names = ("1", "2", "10", "T-shirt/top", *"abcdef")
    model = pocket_model
    named = Model(model.generator, None, model.recipe, model.shape, names, model.facts)
    named.save(tmp_path / "numbered")
    return Model.load(tmp_path / "numbered")


def test_a_class_is_asked_for_by_its_name_and_a_number_as_text_is_a_name(numbered: Model) -> None:
    for wanted, label in (("10", 2), ("2", 1), ("T-shirt/top", 3), (2, 2), (np.int64(9), 9)):
        found = numbered.sample(3, label=wanted)
        assert found.labels is not None
        assert found.labels.tolist() == [label] * 3, wanted
    with pytest.raises(UsageError, match="class 'T-shirt' is unknown; did you mean 'T-shirt/top'"):
        numbered.sample(1, label="T-shirt")
    with pytest.raises(UsageError, match="class '0' is unknown"):
        numbered.sample(1, label="0")


def test_generate_writes_the_class_called_so_into_a_folder_called_so(numbered: Model, tmp_path: Path) -> None:
    for options, label, folder in (
        ({"digit": 10}, 2, "10"),
        ({"digit": 2}, 1, "2"),
        ({"label": 2}, 2, "10"),
        ({"label": "T-shirt/top"}, 3, "T-shirt_top"),
    ):
        out = tmp_path / f"{options}".replace("/", "")
        generate(numbered, out=out, count=3, quiet=True, **options)  # type: ignore[arg-type]
        assert [path.name for path in (out / "png").iterdir() if path.is_dir()] == [folder]
        read = read_fakes(out / "png").images
        assert read.labels is not None
        assert (read.labels.tolist(), read.class_names) == ([label] * 3, numbered.class_names)
    with pytest.raises(UsageError, match="exclude each other"):
        generate(numbered, out=tmp_path / "out", label="a", digit=1, quiet=True)


def test_another_seed_gives_other_images(pocket_model: Model) -> None:
    assert not torch.equal(pocket_model.sample(5, seed=0).images, pocket_model.sample(5, seed=1).images)


def test_a_saved_model_loads_the_same(pocket_model: Model, tmp_path: Path) -> None:
    pocket_model.save(tmp_path / "copy")
    again = Model.load(tmp_path / "copy")
    assert again.recipe == pocket_model.recipe
    assert again.facts.data == pocket_model.facts.data
    assert torch.equal(again.sample(20).images, pocket_model.sample(20).images)


@pytest.mark.parametrize(
    ("ask", "word"),
    [
        (lambda model: model.sample(1, label=10), "0 to 9"),
        (lambda model: model.sample(1, label=-1), "0 to 9"),
        (lambda model: model.sample(0), "at least 1"),
        (lambda model: model.images(torch.zeros(2, 3)), "latents must be"),
        (lambda model: model.images(torch.zeros(2, 64)), "conditional"),
        (lambda model: model.images(torch.zeros(1, 64), torch.tensor([12])), "outside the classes"),
    ],
)
def test_a_wrong_request_gets_one_line(ask: object, word: str, pocket_model: Model) -> None:
    with pytest.raises(UsageError, match=word):
        ask(pocket_model)  # type: ignore[operator]


def test_an_unconditional_model_says_that_it_cannot_be_asked(mlp_model: Model) -> None:
    with pytest.raises(UsageError, match="unconditional"):
        mlp_model.sample(1, label=5)
    assert mlp_model.sample(3).labels is None


def test_what_a_model_learned_from_does_not_hide_who_made_its_images(mlp_model: Model) -> None:
    origin = {"made_by": "another program", "licence": "CC0"}
    kept = (mlp_model.recipe, mlp_model.shape, mlp_model.class_names)
    model = Model(mlp_model.generator, None, *kept, PairFacts(data=DataFacts(provenance=origin)))
    assert model.sample(2).provenance == {"made_by": "pocketgan, recipe mlp", "licence": "CC0"}


def test_damage_is_noticed_and_the_file_named(small_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(small_run / "model", folder)
    weights = folder / "generator.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(PocketganError, match=r"generator\.safetensors"):
        Model.load(folder)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format_version": 99}, "newer"),
        ({"format_version": None}, "format_version"),
        ({"sha256": None}, "sha256"),
        ({"recipe": {"name": "x", "depth": 3}}, "recipe"),
        ({"shape": [1, 28]}, "shape"),
    ],
)
def test_a_changed_model_json_gets_one_line(
    change: dict[str, object], word: str, small_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(small_run / "model", folder)
    about = json.loads((folder / "model.json").read_text())
    about |= change
    about = {name: value for name, value in about.items() if value is not None}
    (folder / "model.json").write_text(json.dumps(about))
    with pytest.raises(PocketganError, match=word) as caught:
        Model.load(folder)
    assert "\n" not in str(caught.value)


def test_no_model_at_a_path_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no model"):
        Model.load(tmp_path)


def test_the_shipped_guide_reads_digits_and_batches_do_not_matter(digits: ImageSet) -> None:
    guide = Classifier.load("guide")
    together = guide.probabilities(digits.images)
    assert (together.argmax(1) == digits.labels).float().mean() > 0.97
    alone = torch.cat([guide.probabilities(digits.images[row : row + 1]) for row in range(20)])
    assert torch.allclose(together[:20], alone, atol=1e-5)
    assert together.sum(1).tolist() == pytest.approx([1.0] * len(digits), abs=1e-5)


def test_a_notebook_shows_models_and_image_sets(pocket_model: Model, digits: ImageSet) -> None:
    assert digits._repr_png_().startswith(b"\x89PNG")
    assert "data:image/png;base64," in pocket_model._repr_html_()


def test_a_look_without_padding_shows_the_same_images(pocket_model: Model, mlp_model: Model) -> None:
    for model in (pocket_model, mlp_model):
        exact, quick = (model.sample(5, seed=3, start=126, exact=exact) for exact in (True, False))
        assert torch.equal(exact.latents, quick.latents)
        assert (exact.images.int() - quick.images.int()).abs().max() <= 1
        assert quick.images.shape == exact.images.shape


def test_a_generator_is_read_without_drawing_weights(small_run: Path) -> None:
    code = (
        "import sys, torch, pocketgan\n"
        "state = torch.random.get_rng_state()\n"
        f"model = pocketgan.load({str(small_run)!r}, device='cpu')\n"
        "assert torch.equal(state, torch.random.get_rng_state())\n"
        "assert not any(value.is_meta for value in model.generator.state_dict().values())\n"
        "assert model._discriminator is not None and not isinstance(model._discriminator, torch.nn.Module)\n"
        "assert model.discriminator is model.discriminator\n"
        "assert 'torch._dynamo' not in sys.modules, 'a compiler was loaded'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
