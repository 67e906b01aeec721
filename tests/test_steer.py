"""Steering: latents for classes from a generator whose classes are known because it was built by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import drawing_model
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import sha256
from pocketgan.core.rng import BLOCK, derive, latents, slerp
from pocketgan.data.image_set import ImageSet
from pocketgan.metrics.appearance import STROKES, strokes
from pocketgan.models.classifier import Classifier
from pocketgan.models.judge import JUDGE
from pocketgan.models.model import Model
from pocketgan.models.saved import weights_digest
from pocketgan.steer import MOST_WIDTH
from pocketgan.steer.directions import Directions
from pocketgan.steer.energy import Energy, Reader
from pocketgan.steer.fits import METHODS
from pocketgan.steer.flow import Flow
from pocketgan.steer.method import SURE

HITS = {"flow": 0.8, "bank": 1.0, "energy": 0.2, "search": 0.0, "directions": 0.5, "lcp": 0.0}  # at least, by the guide


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search walks shortly: each of its steps passes the guide twice."""
    monkeypatch.setattr("pocketgan.steer.search.STEPS", 5)


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other)


# ---- collecting ----------------------------------------------------------------------------------------------------


def test_acceptance_is_what_a_recount_gives(steered: Model) -> None:
    found = steered.steer.collect(latents=4000)
    guide = steered.steer.guided_by(None).guide
    rows = torch.arange(0, 4000, 7)
    read = guide.probabilities(steered.images(found.z[rows]))
    assert same(read.argmax(1), found.labels[rows])
    assert same(read.amax(1) >= SURE, found.kept[rows])
    assert [rate.errors for rate in found.acceptance()] == found.counts
    assert sum(found.counts) == int(found.kept.sum())


def test_what_is_collected_is_no_sample(steered: Model) -> None:
    found = steered.steer.collect(latents=4000)
    assert not same(found.z[:BLOCK], latents(0, 0, BLOCK, found.dim))


# ---- every method --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_images_are_of_the_class_that_was_asked_for(method: str, steered: Model) -> None:
    samples = steered.sample(200, balanced=True, method=method)
    assert samples.labels is not None
    assert samples.labels.tolist() == [row % 10 for row in range(200)]
    assert (samples.label_source, samples.provenance["steered_by"]) == ("steered", method)
    hits = (steered.steer.guided_by(None).guide.label(samples.images) == samples.labels).float().mean()
    assert hits >= HITS[method]


@pytest.mark.parametrize("method", METHODS)
def test_count_and_start_never_change_a_steered_image(method: str, steered: Model) -> None:
    whole = steered.sample(150, label=4, method=method, seed=3)
    part = steered.sample(9, label=4, method=method, seed=3, start=BLOCK - 4)
    assert same(part.latents, whole.latents[BLOCK - 4 : BLOCK + 5])
    assert same(part.images, whole.images[BLOCK - 4 : BLOCK + 5])
    assert same(steered.images(whole.latents), whole.images)
    assert same(steered.steer.latents(9, 4, method=method, seed=3), whole.latents[:9])


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_depends_on_its_seed_alone(method: str, digits: ImageSet) -> None:
    first, second = (drawing_model(digits) for _ in range(2))
    for model in (first, second):
        model.steer.fit(method, latents=1000, steps=5)
    assert same(first.steer.latents(20, 1, method=method), second.steer.latents(20, 1, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_steerer_has_no_code_and_loads_the_same(method: str, steered_folder: Path, tmp_path: Path) -> None:
    model = Model.load(steered_folder)
    model.save(tmp_path / "copy")
    files = sorted(path.name for path in (tmp_path / "copy" / "steer" / method).iterdir())
    assert files == ["steer.json", "steer.safetensors"]
    again = Model.load(tmp_path / "copy")
    assert same(again.steer.latents(30, 7, method=method), model.steer.latents(30, 7, method=method))


@pytest.mark.parametrize("method", ["flow", "energy"])
def test_a_narrow_reader_is_kept_and_loaded(method: str, digits: ImageSet, tmp_path: Path) -> None:
    model = drawing_model(digits)
    model.steer.fit(method, latents=1000, steps=5, width=24)
    model.save(tmp_path / "model")
    again = Model.load(tmp_path / "model")
    assert again.steer.fitted(method).facts.width == 24
    assert same(again.steer.latents(20, 1, method=method), model.steer.latents(20, 1, method=method))
    file = tmp_path / "model" / "steer" / method / "steer.safetensors"
    tensors = load_file(file)
    entry = next(name for name in tensors if name.endswith("layers.0.weight"))
    save_file({**tensors, entry: tensors[entry].new_zeros(MOST_WIDTH + 1, 1)}, file)
    about = file.with_name("steer.json")
    about.write_text(json.dumps({**json.loads(about.read_text()), "sha256": sha256(file)}))
    with pytest.raises(PocketganError, match=r"does not fit its steer\.json"):
        Model.load(tmp_path / "model").steer.fitted(method)


def test_the_best_method_is_taken_and_named(steered: Model) -> None:
    assert steered.steer.methods() == list(METHODS)
    assert steered.sample(3, label=2).provenance["steered_by"] == next(iter(METHODS))


def test_other_seeds_and_blocks_give_other_latents(steered: Model) -> None:
    for method in ("flow", "energy", "search", "directions", "bank"):
        one, other = (steered.steer.latents(20, 6, method=method, seed=seed) for seed in (0, 1))
        assert not same(one, other)
        assert len(one.unique(dim=0)) == 20


# ---- what each method promises -------------------------------------------------------------------------------------


def test_the_bank_gives_each_latent_once_and_then_no_more(steered: Model) -> None:
    held = steered.steer.fitted("bank").facts.kept[3]
    z = steered.steer.latents(held, 3, method="bank")
    assert len(z.unique(dim=0)) == held
    with pytest.raises(UsageError, match="gives none twice"):
        steered.sample(held + 1, label=3, method="bank")
    with pytest.raises(UsageError, match="gives none twice"):
        steered.sample(10 * max(steered.steer.fitted("bank").facts.kept) + 10, balanced=True, method="bank")


def test_lcp_learns_the_mean_of_a_class_which_lies_near_the_origin(digits: ImageSet) -> None:
    model = drawing_model(digits)
    z, labels = model.steer.collect(latents=4000).pairs()
    model.steer.fit("lcp", latents=4000, steps=600)
    found = model.steer.latents(5, 8, method="lcp")
    assert len(found.unique(dim=0)) == 1
    mean = z[labels == 8].mean(0)
    assert float((found[0] - mean).norm()) < 0.35 * float(mean.norm())
    assert float(found[0].norm()) < 0.8 * z.norm(dim=1).mean()


def test_search_climbs_and_keeps_every_norm(steered: Model) -> None:
    begin = latents(derive(0, "search"), 0, BLOCK, 16)
    found = steered.steer.latents(BLOCK, 2, method="search")
    assert torch.allclose(found.norm(dim=1), begin.norm(dim=1), rtol=1e-4)
    before, after = (steered.steer.guided_by(None).read(z)[:, 2] for z in (begin, found))
    assert float(after.mean()) > float(before.mean()) + 0.02
    assert torch.equal(found[before > 0.999], begin[before > 0.999]), "what is sure already stays"


def test_the_energy_of_a_reader_that_says_nothing_is_the_prior() -> None:
    reader = Reader(6, 3, 24)
    for parameter in reader.parameters():
        torch.nn.init.zeros_(parameter)
    walker = Energy(reader, 6)
    z = torch.cat([walker.latents(torch.zeros(BLOCK, dtype=torch.int64), n * BLOCK, 0) for n in range(8)])
    assert z.mean(0).abs().max() < 0.15
    assert (z.T.cov() - torch.eye(6)).abs().max() < 0.25


def test_a_flow_tells_its_own_log_determinant() -> None:
    flow = Flow(6, 3, 0)
    for coupling in flow.couplings:
        torch.nn.init.normal_(coupling.exit.weight, 0.0, 0.3, generator=torch.Generator().manual_seed(1))
    noise, label = torch.randn(1, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([2])
    jacobian = torch.autograd.functional.jacobian(lambda u: flow(u, label)[0][0], noise)[:, 0]
    assert float(flow(noise, label)[1].detach()) == pytest.approx(
        float(torch.linalg.slogdet(jacobian).logabsdet), abs=1e-4
    )


def test_directions_keep_the_norm_and_the_part_that_makes_the_class(steered: Model) -> None:
    found = steered.steer.fitted("directions").steerer
    assert isinstance(found, Directions)
    z, labels = latents(5, 0, 40, 16), torch.arange(40) % 10
    moved = found.moved(z, labels, {"slant": 1.5, "width": -1.0})
    assert torch.allclose(moved.norm(dim=1), z.norm(dim=1), rtol=1e-4)
    assert float((found.moves[3] @ found.means.T).abs().max()) < 1e-3 * float(found.moves[3].norm())
    with pytest.raises(UsageError, match="did you mean 'slant'"):
        found.moved(z, labels, {"slnt": 1.0})


def test_what_the_guide_reads_rightly_is_not_drawn_again(steered: Model) -> None:
    guide = steered.steer.guided_by(None).guide
    plain = steered.sample(100, balanced=True, method="energy")
    checked = steered.sample(100, balanced=True, method="energy", checked=True)
    right = guide.label(plain.images) == plain.labels
    assert same(checked.latents[right], plain.latents[right])
    assert (guide.label(checked.images) == checked.labels).sum() > right.sum()


# ---- pictures to latents, and between them -------------------------------------------------------------------------


def test_a_picture_that_the_generator_made_is_found_again(steered: Model) -> None:
    made = steered.sample(3, label=1, method="bank").images
    found = steered.invert(made)
    assert float(found.errors.median()) < 0.02
    assert float(found.errors.max()) < 0.15
    assert same(found.images, steered.images(found.latents))
    assert float(found.latents.norm(dim=1).max()) <= 16**0.5 + 2.0 + 1e-3
    with pytest.raises(UsageError, match="makes pictures"):
        steered.invert(made[:, :, 2:, 2:])


def test_a_conditional_model_finds_the_class_of_a_picture_too() -> None:
    model = Model.load("digits", "cpu")
    made = model.sample(2, label=3, seed=9)
    found = model.invert(made.images)
    assert found.labels is not None
    assert found.labels.tolist() == [3, 3]
    assert float(found.errors.max()) < 0.15
    assert same(found.images, model.images(found.latents, found.labels))
    asked = model.invert(made.images[:1], label=8)
    assert asked.labels is not None
    assert asked.labels.tolist() == [8]
    assert float(asked.errors[0]) > float(found.errors[0])


def test_slerp_turns_evenly_from_end_to_end() -> None:
    one, other = latents(0, 0, 2, 20)
    walk = slerp(one, other, 5)
    assert torch.allclose(walk[0], one, atol=1e-5)
    assert torch.allclose(walk[-1], other, atol=1e-5)
    turns = torch.cosine_similarity(walk[:-1], walk[1:], dim=1)
    assert torch.allclose(turns, turns[:1].expand(4), atol=1e-5)
    lengths = walk.norm(dim=1).diff()
    assert torch.allclose(lengths, lengths[:1].expand(4), atol=1e-5)
    assert torch.allclose(slerp(one, one, 3), one.expand(3, 20), atol=1e-5)


def test_strokes_measure_what_they_say() -> None:
    images = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    images[0, 0, 4:24, 10:14] = 255
    for row in range(4, 24):  # the same bar, leaning half a pixel to the right for each pixel upward
        left = 10 + (24 - row) // 2 - 5
        images[1, 0, row, left : left + 4] = 255
    images[2, 0, 4:24, 6:18] = 255
    slant, thickness, width = (strokes(images)[:, column] for column in range(3))
    assert STROKES == ("slant", "thickness", "width")
    assert slant[0] == pytest.approx(0.0, abs=1e-9)
    assert slant[1] == pytest.approx(0.5, abs=0.02)
    assert width[2] == pytest.approx((143 / 12) ** 0.5, abs=1e-6)  # twelve columns: (n^2 - 1) / 12
    assert width[1] == pytest.approx(float(width[0]), abs=0.05)
    assert thickness[2] > 2 * thickness[0] > 0
    assert strokes(images * 0).abs().sum() == 0


# ---- wrong requests ------------------------------------------------------------------------------------------------


def test_a_conditional_model_is_not_steered(pocket_model: Model) -> None:
    with pytest.raises(UsageError, match="conditional"):
        _ = pocket_model.steer
    with pytest.raises(UsageError, match="leave them out"):
        pocket_model.sample(1, method="flow")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"label": 10}, "0 to 9"),
        ({"label": -1}, "0 to 9"),
        ({"label": 1, "method": "flaw"}, "did you mean 'flow'"),
        ({"checked": True}, "add --digit"),
        ({"label": 1, "moves": {"size": 1.0}}, "direction 'size'"),
    ],
)
def test_a_wrong_wish_gets_one_line(options: dict[str, object], word: str, steered: Model) -> None:
    with pytest.raises(UsageError, match=word):
        steered.sample(1, **options)  # type: ignore[arg-type]


def test_a_model_without_a_fit_says_how_to_get_one(digits: ImageSet) -> None:
    model = drawing_model(digits)
    with pytest.raises(UsageError, match="pocketgan steer fit MODEL"):
        model.sample(1, label=1)
    model.steer.fit("bank", latents=1000)
    with pytest.raises(UsageError, match="--method flow"):
        model.sample(1, label=1, method="flow")


def test_a_class_that_is_never_made_is_told_and_refused(digits: ImageSet) -> None:
    model = drawing_model(digits, classes=range(9))
    fitted = model.steer.fit("flow", latents=2000, steps=5)
    assert fitted.facts.made == list(range(9))
    (line,) = model.steer.missing(fitted.facts)
    assert line.startswith("class 9 is not made by this generator: the guide is sure of ")
    for options in ({"label": 9}, {"balanced": True}):
        with pytest.raises(UsageError, match="class 9 is not made"):
            model.sample(10, **options)  # type: ignore[arg-type]
    assert len(model.sample(3, label=8)) == 3


def test_a_generator_that_makes_no_class_is_refused(digits: ImageSet) -> None:
    with pytest.raises(UsageError, match="train the generator longer"):
        drawing_model(digits, classes=range(0)).steer.fit("bank", latents=500)


def test_an_own_guide_is_kept_with_the_model(digits: ImageSet, tmp_path: Path) -> None:
    guide = Classifier.load("guide")
    with torch.no_grad():
        next(guide.network.parameters()).mul_(1.001)
    drawing_model(digits).save(tmp_path / "model")
    Model.load(tmp_path / "model").steer.fit("bank", guide=guide, latents=1000)
    model = Model.load(tmp_path / "model")
    model.save(tmp_path / "copy")
    for again in (model, Model.load(tmp_path / "copy")):
        assert weights_digest(again.steer.guided_by(None).guide.network) == weights_digest(guide.network)
        assert len(again.sample(3, label=1, checked=True)) == 3
    model.steer.guided_by("guide")
    with pytest.raises(PocketganError, match="another guide"):
        model.sample(3, label=1, checked=True)


def test_the_judge_is_no_guide(digits: ImageSet) -> None:
    with pytest.raises(UsageError, match="is the shipped judge"):
        drawing_model(digits).steer.fit("bank", guide=Classifier.load(JUDGE), latents=500)


def test_a_steerer_is_bound_to_its_generator_and_to_its_bytes(steered_folder: Path, tmp_path: Path) -> None:
    def changed(name: str) -> Path:
        shutil.copytree(steered_folder, tmp_path / name)
        return tmp_path / name

    bits = changed("bits") / "steer" / "flow" / "steer.safetensors"
    content = bytearray(bits.read_bytes())
    content[-3] ^= 1
    bits.write_bytes(content)
    with pytest.raises(PocketganError, match=r"steer\.safetensors is missing or damaged"):
        Model.load(tmp_path / "bits").sample(1, label=1)
    for change, word in (({"format_version": 99}, "newer"), ({"facts": {"method": "flow"}}, "fit it again")):
        about = changed(word.split()[0]) / "steer" / "flow" / "steer.json"
        about.write_text(json.dumps({**json.loads(about.read_text()), **change}))
        with pytest.raises(PocketganError, match=word):
            Model.load(about.parent.parent.parent).sample(1, label=1)
    other = Model.load(changed("other"))
    with torch.no_grad():
        next(other.generator.parameters()).add_(0.1)
    with pytest.raises(PocketganError, match="another generator"):
        other.sample(1, label=1)
