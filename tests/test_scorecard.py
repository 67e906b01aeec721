"""The scorecard: known answers, refusals, the same digits each time. On a small set with a small judge of its own."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketgan.api import evaluate, train, train_judge
from pocketgan.core.cache import VARIABLE, cache_folder, cached
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.pixels import to_pillow
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.models.classifier import Classifier
from pocketgan.models.judge import Judge, refuse_judge
from pocketgan.models.model import Model
from pocketgan.models.saved import SHIPPED
from pocketgan.scorecard.card import CARD, Scorecard, read_card
from pocketgan.scorecard.figures import METRICS, Figure, poor, possible, protocol_name, saturated, shown
from pocketgan.scorecard.measure import class_spreads, class_variations
from pocketgan.scorecard.transformations import Transformation, find_transformation, thickened, turned
from pocketgan.scorecard.tstr import tstr
from pocketgan.scorecard.verdict import Evidence, find_faults, verdict
from pocketgan.scorecard.yardstick import JudgedImages, Yardstick, in_classes_of

PICTURES = ("closest.png", "best.png", "worst.png", "unreal.png", "map.json")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An NPZ of 2,000 digits to learn from and 500 to test on."""
    rows = load_images("mnist").rows(torch.arange(2500))
    assert rows.labels is not None
    images, labels = rows.images[:, 0].numpy(), rows.labels.numpy()
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x_train=images[:2000], y_train=labels[:2000], x_test=images[2000:], y_test=labels[2000:])
    return str(path)


@pytest.fixture(scope="module")
def small_judge(source: str, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return train_judge(out=tmp_path_factory.mktemp("judge") / "own", source=source, epochs=6, quiet=True)


@pytest.fixture(scope="module")
def fresh() -> ImageSet:
    """Digits that neither the judge nor its test images hold."""
    return replace(load_images("mnist").rows(torch.arange(3000, 3400)), name="fresh digits", split="all")


def score(images: ImageSet | Model, source: str, judge: Judge) -> Scorecard:
    where = {} if isinstance(images, Model) else {"trained_on": source}
    return evaluate(images, judge=judge, quiet=True, **where)  # type: ignore[arg-type]


def faults(card: Scorecard) -> set[str]:
    return {fault.fault for fault in card.faults}


def test_fresh_real_images_have_no_fault(source: str, small_judge: Judge, fresh: ImageSet) -> None:
    card = score(fresh, source, small_judge)
    assert not card.faults, card.verdict
    assert card.verdict.startswith("No fault found")
    assert set(card.metrics) == {protocol_name(name, 400) for name in METRICS} - {"tstr"}
    assert card.judge == {"version": small_judge.version, "digest": small_judge.digest}
    assert card.reference.count == 500
    assert sum(one.count for one in card.classes) == 400


def test_each_fault_is_named(source: str, small_judge: Judge, fresh: ImageSet) -> None:
    assert fresh.labels is not None
    learned = load_images("mnist").rows(torch.arange(400))
    found = {
        "copies": score(learned, source, small_judge),
        "duplicates": score(fresh.rows(torch.arange(400) % 40), source, small_judge),
        "labels": score(replace(fresh, labels=(fresh.labels + 1) % 10), source, small_judge),
        "missing class": score(fresh.rows(fresh.labels != 1), source, small_judge),
        "shift": score(replace(fresh, images=fresh.images.roll(3, 3)), source, small_judge),
        "unreal": score(replace(fresh, images=255 - fresh.images), source, small_judge),
    }
    for fault, card in found.items():
        assert fault in faults(card), f"{fault}: {card.verdict}"
    assert "100% are copies of training images" in found["copies"].verdict
    assert "only 40 of 400 images differ" in found["duplicates"].verdict.lower()
    assert "class 1 is missing" in found["missing class"].verdict.lower()
    assert "3.0 pixels right" in found["shift"].verdict
    of_test = score(replace(load_images("mnist").rows(torch.arange(2000, 2400)), name="test"), source, small_judge)
    assert of_test.reference_copies == 1
    assert "copies of the images kept apart" in of_test.verdict


def test_images_without_labels_have_no_label_error(source: str, small_judge: Judge, fresh: ImageSet) -> None:
    card = score(replace(fresh, labels=None, class_names=()), source, small_judge)
    assert card.score("label_error") is None
    assert (card.labels, card.confusion) == ("none", None)
    assert card.score("fd_judge") == score(fresh, source, small_judge).score("fd_judge")


def test_tstr_joins_the_card(source: str, small_judge: Judge, fresh: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.scorecard.tstr.SEEDS", (0, 1))
    card = evaluate(fresh, trained_on=source, judge=small_judge, tstr=True, count=100, quiet=True)
    score = card.score("tstr")
    assert card.tstr is not None
    assert score is not None
    assert (card.tstr.count, card.tstr.real_count, card.tstr.classifier_seeds) == (400, 2000, [0, 1])
    assert score.value == pytest.approx(np.mean(card.tstr.accuracies))
    assert score.floor == card.tstr.real_accuracy
    assert score.saturated == (card.tstr.gap.low <= 0)


def test_two_runs_give_the_same_digits_and_a_card_reads_back(
    source: str, small_judge: Judge, fresh: ImageSet, tmp_path: Path
) -> None:
    cards = [
        evaluate(fresh, trained_on=source, judge=small_judge, count=300, out=tmp_path / name, quiet=True)
        for name in ("one", "two")
    ]
    assert cards[0] == cards[1] == read_card(tmp_path / "one" / CARD)
    assert cards[0].subject.count == 300
    for name in (*PICTURES, CARD):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    with pytest.raises(UsageError, match="exists already"):
        evaluate(fresh, trained_on=source, judge=small_judge, out=tmp_path / "one", quiet=True)
    content = json.loads((tmp_path / "one" / CARD).read_text())
    (tmp_path / "one" / CARD).write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(PocketganError, match="newer than this pocketgan reads"):
        read_card(tmp_path / "one" / CARD)
    (tmp_path / "one" / CARD).write_text(json.dumps({**content, "metrics": 3}))
    with pytest.raises(PocketganError, match="changed by hand"):
        read_card(tmp_path / "one" / CARD)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_batch_size_changes_no_printed_digit(batch_size: int, small_judge: Judge, fresh: ImageSet) -> None:
    usual, other = small_judge.read(fresh.images), small_judge.read(fresh.images, batch_size)
    assert torch.allclose(usual.features, other.features, atol=1e-5)
    assert torch.equal(usual.labels, other.labels)
    from pocketgan.metrics.distances import frechet_distance, moments

    real = moments(small_judge.read(load_images("mnist").images[:300]).features)
    printed = {shown("fd_judge", frechet_distance(real, moments(found.features))) for found in (usual, other)}
    assert len(printed) == 1


def test_a_model_is_scored_on_the_classes_it_was_asked_for(
    source: str, small_judge: Judge, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("model")
    conditional = train("pocket", out=folder / "pocket", source=source, nimg=1280, quiet=True)
    card = score(conditional, source, small_judge)
    assert card.labels == "asked"
    assert card.made_by == {"recipe": "pocket", "seed": 0, "nimg": 1280, "sampling_seed": 0}
    assert [one.share for one in card.classes] == pytest.approx([0.1] * 10)
    assert card.training.count == 2000
    assert card.faults, "ten steps make no digits"
    free = train("mlp", out=folder / "mlp", source=source, nimg=200, quiet=True)
    assert score(free, source, small_judge).labels == "none"
    with pytest.raises(UsageError, match="--trained-on is for given images"):
        evaluate(free, trained_on="fit", judge=small_judge, quiet=True)
    with pytest.raises(UsageError, match="no labels for a classifier"):
        evaluate(free, tstr=True, judge=small_judge, quiet=True)
    free.facts = free.facts.model_copy(update={"took_part": (small_judge.digest,)})
    with pytest.raises(UsageError, match="took part in making mlp"):
        score(free, source, small_judge)


def test_own_images_are_measured_against_their_own_val(source: str, small_judge: Judge, fresh: ImageSet) -> None:
    card = evaluate(fresh, trained_on=source, split="val", judge=small_judge, quiet=True)
    assert (card.reference.name, card.reference.count) == (f"{source}, val", len(load_images(source, "val")))


def test_what_cannot_be_scored_gets_one_line(source: str, small_judge: Judge, fresh: ImageSet, tmp_path: Path) -> None:
    few, wide = fresh.rows(torch.arange(30)), replace(fresh, images=torch.cat([fresh.images] * 2, 3))
    for subject, options, line in (
        (few, {}, "at least 50"),
        (wide, {}, "28x56 grey images, .*give --resize 28 to make them alike"),
        (fresh, {"split": "training"}, "must be test or val"),
    ):
        with pytest.raises(UsageError, match=line):
            evaluate(subject, **{"trained_on": source, "judge": small_judge, "quiet": True, **options})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="learned from `val` too"):
        evaluate(fresh, trained_on="train", split="val", quiet=True)
    with pytest.raises(UsageError, match="architecture 'judge' or 'judge-deep', not 'cnn-dense'"):
        Judge.load("guide")
    pictures = tmp_path / "colours.npz"
    generator = np.random.default_rng(0)
    np.savez(pictures, images=generator.integers(0, 256, (300, 16, 16, 3), dtype=np.uint8), labels=np.arange(300) % 3)
    with pytest.raises(UsageError, match="does not know the images or classes"):
        evaluate(fresh, trained_on=str(pictures), judge=small_judge, quiet=True)


def test_folders_as_people_hand_them_in_get_a_scorecard(
    source: str, small_judge: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder for each class with a latent beside each picture, one of them empty, in a ZIP; and a flat one."""
    digits = load_images("mnist").rows(torch.arange(3000, 3100))
    assert digits.labels is not None
    with zipfile.ZipFile(tmp_path / "fakes.zip", "w") as archive:
        archive.mkdir("Fake_Digits/5/")
        for row, (image, label) in enumerate(zip(digits.images, digits.labels.tolist(), strict=True)):
            picture, jpeg = to_pillow(image), io.BytesIO()
            picture.save(jpeg, format="JPEG", quality=95)
            if label != 5:
                archive.writestr(f"Fake_Digits/{label}/{row}.jpg", jpeg.getvalue())
                archive.writestr(f"Fake_Digits/{label}/{row}.txt", "0.1 0.2")
            flat = tmp_path / "flat" / f"digit_{label}_{row}.png"
            flat.parent.mkdir(exist_ok=True)
            picture.convert("RGB").save(flat)
    for name, count, said in (
        ("fakes.zip", 100 - digits.labels.tolist().count(5), ".txt)"),
        ("flat", 100, "labels are read from the names"),
    ):
        card = evaluate(tmp_path / name, trained_on=source, judge=small_judge)
        error = card.score("label_error")
        assert error is not None
        assert error.value < 0.3
        assert card.subject.count == count
        assert said in capsys.readouterr().err
    for path in (tmp_path / "flat").iterdir():
        to_pillow(digits.images[0]).resize((32, 32)).save(path)
    with pytest.raises(
        UsageError, match=r"has 32x32 grey images, mnist has 28x28 grey ones: --resize 28 makes them so"
    ):
        evaluate(tmp_path / "flat", quiet=True)


def test_the_shipped_judge_is_what_it_says() -> None:
    judge = Judge.load()
    folder = SHIPPED / "judge"
    assert judge.version == "mnist-1"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1_500_000
    assert judge.classifier.recipe.split == "fit", "val must be unknown to it"
    kept = judge.classifier.facts.test
    assert (kept.name, kept.count) == ("mnist/test", 10_000)
    assert kept.error <= 0.005
    test = load_images("mnist", "test")
    assert test.labels is not None
    rows = torch.arange(0, 10_000, 5)
    wrong = int((judge.read(test.images[rows]).labels != test.labels[rows]).sum())
    assert wrong <= kept.errors <= 50


def test_the_judge_neither_guides_nor_classifies(tmp_path: Path) -> None:
    judge = Classifier.load("judge")
    judge.save(tmp_path / "renamed")
    with pytest.raises(UsageError, match="is the shipped judge, which only scores"):
        refuse_judge(Classifier.load(tmp_path / "renamed"), "--classifier")
    with pytest.raises(UsageError, match="is the shipped judge"):
        train("mlp", out=tmp_path / "run", until_good=True, guide="judge", nimg=100, quiet=True)
    refuse_judge(Classifier.load("guide"), "--classifier")


def test_what_is_learned_from_must_not_hold_test_images(tmp_path: Path) -> None:
    images = torch.cat([load_images("mnist").images[:60], load_images("mnist", "test").images[7:9]])[:, 0].numpy()
    np.savez(tmp_path / "mixed.npz", images=images, labels=np.arange(62) % 10)
    for verb, first in ((train, 60), (lambda *a, **k: train_judge(**k), 50)):  # a judge learns from fit: 52 of the 62
        line = rf"2 images that are test images of mnist/test too \(the first is its image {first}\)"
        with pytest.raises(UsageError, match=line):
            verb("mlp", out=tmp_path / "out", source=str(tmp_path / "mixed.npz"), quiet=True)
        assert not (tmp_path / "out").exists()
    own = tmp_path / "own.npz"
    y = np.arange(60) % 10
    np.savez(own, x_train=images[:60], y_train=y, x_test=images[50:60], y_test=y[50:60])
    with pytest.raises(UsageError, match="10 images that are test images"):
        train("mlp", out=tmp_path / "out", source=str(own), quiet=True)


def test_tstr_is_paired_and_knows_bad_labels(fresh: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.scorecard.tstr.SEEDS", (0, 1))
    real, test = load_images("mnist").rows(torch.arange(500)), load_images("mnist").rows(torch.arange(4000, 4300))
    shares: list[float] = []
    same = tstr(real, real, test, torch.device("cpu"), shares.append)
    assert same["gap"] == {"value": 0, "low": 0, "high": 0}
    assert same["accuracies"] == same["real_accuracies"]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1, abs=0.05)
    assert fresh.labels is not None
    wrong = tstr(replace(fresh, labels=(fresh.labels + 1) % 10), real, test, torch.device("cpu"))
    assert wrong["real_accuracies"] == same["real_accuracies"]
    assert wrong["gap"]["low"] > 0.3
    assert wrong["accuracy"]["value"] + wrong["gap"]["value"] == pytest.approx(wrong["real_accuracy"]["value"])


def test_a_damaged_cache_is_made_again_and_an_unwritable_one_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    calls: list[int] = []

    def make() -> dict[str, torch.Tensor]:
        calls.append(1)
        return {"x": torch.arange(5.0)}

    for _ in range(2):
        assert cached("key", make)["x"].tolist() == [0, 1, 2, 3, 4]
    assert len(calls) == 1
    (file,) = cache_folder().iterdir()
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    assert cached("key", make)["x"].tolist() == [0, 1, 2, 3, 4]
    assert len(calls) == 2
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "inside"))
    assert cached("key", make)["x"].tolist() == [0, 1, 2, 3, 4]


def test_the_spread_of_a_class_is_that_of_all_its_pairs() -> None:
    points = torch.randn(80, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(80) % 3
    for label, found in enumerate(class_spreads(points, labels, 4)[:3]):
        members = points[labels == label]
        pairs = torch.pdist(members)
        assert found.item() == pytest.approx(pairs.square().mean().sqrt().item(), rel=1e-5)
    assert class_spreads(points, labels, 4)[3] == 0


def test_the_error_of_a_spread_is_the_one_that_samples_have() -> None:
    rng = torch.Generator().manual_seed(0)
    points, labels = torch.randn(200_000, 8, generator=rng), torch.zeros(200_000, dtype=torch.int64)
    (variation,) = class_variations(points, labels, 1).tolist()
    assert variation == pytest.approx((2 / 8) ** 0.5, rel=0.02), "of a chi-squared sum of eight"
    spreads = torch.stack([class_spreads(part, labels[:40], 1)[0] for part in points.split(40)])
    assert float(spreads.std() / spreads.mean()) == pytest.approx(variation / 2 / 40**0.5, rel=0.05)
    assert class_variations(torch.ones(5, 3), torch.tensor([0, 0, 0, 0, 1]), 3).tolist() == [0, 0, 0]


def test_a_narrow_class_is_told_from_chance() -> None:
    narrow = facts(diversities=[1.0, 0.7, 1.0])
    assert "least in b (70%)" in verdict(find_faults(narrow))
    assert find_faults(replace(narrow, diversity_errors=[0.09] * 3)) == [], "as 40 real images may have it"
    assert find_faults(replace(narrow, diversities=[1.0, 0.5, 1.0], diversity_errors=[0.09] * 3))


def test_a_class_of_few_that_is_mostly_one_image_is_narrow(source: str, small_judge: Judge, fresh: ImageSet) -> None:
    assert fresh.labels is not None
    rows = torch.arange(400)
    threes = (fresh.labels == 3).nonzero().squeeze(1)
    rows[threes[1 : 9 * len(threes) // 10]] = threes[0]
    assert "least in 3 (" in score(fresh.rows(rows), source, small_judge).verdict


def facts(**changes: object) -> Evidence:
    """Healthy ones, with changes."""
    errors = {name for name, row in METRICS.items() if row.per_cent and row.better == "lower"}
    figure = {name: Figure(0.1, 0.09, 0.11) if name in errors else Figure(0.5, 0.49, 0.51) for name in METRICS}
    base = Evidence(
        figure, dict(figure), "abc", [100, 100, 100], [1 / 3] * 3, [1.0] * 3, [1.0] * 3, [0.0] * 3, None, 0.0, 300
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_verdicts_in_words() -> None:
    assert find_faults(facts()) == []
    cases = {
        "class c is missing": facts(counts=[150, 150, 0]),
        "classes a and c are missing": facts(counts=[0, 300, 0]),
        "class c has 20% of its share": facts(counts=[140, 140, 20]),
        "classes a and b are swapped": facts(
            figures={**facts().figures, "label_error": Figure(0.67, 0.6, 0.7)},
            confusion=[[0, 100, 0], [100, 0, 0], [0, 0, 100]],
        ),
        "the labels are shifted: each is 1 too low, so that images of b are labelled a; 90% of the labels": facts(
            figures={**facts().figures, "label_error": Figure(0.9, 0.88, 0.92)},
            confusion=[[10, 90, 0], [0, 10, 90], [90, 0, 10]],
        ),
        "classes a and c are under one label, a: no image is labelled c": facts(
            figures={**facts().figures, "label_error": Figure(0.33, 0.3, 0.36)},
            confusion=[[100, 0, 100], [0, 100, 0], [0, 0, 0]],
        ),
        "67% of the labels disagree": facts(
            figures={**facts().figures, "label_error": Figure(0.67, 0.6, 0.7)},
            confusion=[[34, 33, 33], [33, 34, 33], [33, 33, 34]],
        ),
        "look like nothing real": facts(figures={**facts().figures, "precision": Figure(0.1, 0.09, 0.11)}),
        "1.0 pixels left": facts(figures={**facts().figures, "offset_right": Figure(-0.5, -0.51, -0.49)}),
    }
    for words, found in cases.items():
        assert words in verdict(find_faults(found)).lower()
    assert verdict(find_faults(cases["classes a and c are missing"])).startswith("Classes a and c are missing")


def test_saturation_looks_at_the_better_side() -> None:
    floor, above, below = Figure(1, 0.9, 1.1), Figure(2, 1.9, 2.1), Figure(0.1, 0, 0.2)
    assert [saturated("fd_judge", figure, floor) for figure in (floor, above, below)] == [True, False, True]
    assert [saturated("coverage", figure, floor) for figure in (floor, above, below)] == [True, True, False]
    assert [saturated("sharpness", figure, floor) for figure in (floor, above, below)] == [True, False, False]
    assert protocol_name("coverage", 10_000) == "coverage_k5_10k"
    assert protocol_name("fd_judge", 2500) == "fd_judge_2500"


def test_a_swap_is_told_only_where_it_explains_the_labels() -> None:
    wrong = {**facts().figures, "label_error": Figure(0.8, 0.78, 0.82)}
    table = [[0, 60, 40], [60, 0, 40], [40, 60, 0]]
    assert verdict(find_faults(facts(figures=wrong, confusion=table))) == "80% of the labels disagree with the images."


def test_a_transformation_comes_first_and_its_consequences_after() -> None:
    mirrored = Transformation("mirrored", "mirrored left to right", "mirrored back", 357.0, 3.7, 0.41, 0.99)
    figures = {**facts().figures, "precision": Figure(0.1, 0.09, 0.11)}
    told = verdict(find_faults(facts(figures=figures, transformation=mirrored)))
    assert told.startswith(
        "The images are mirrored left to right: mirrored back, the judge reads 99.0% of the labels instead of 41.0%, "
        "and their Fréchet distance to real ones is 3.7 instead of 357. What follows, or comes with it: "
    )
    assert "look like nothing real" in told
    assert verdict(find_faults(facts(transformation=mirrored._replace(agreement_before=None)))) == (
        "The images are mirrored left to right: mirrored back, their Fréchet distance to real ones is 3.7 instead of "
        "357."
    )


def test_a_bad_judge_says_so_first_and_nothing_of_classes() -> None:
    figures = {**facts().figures, "label_error": Figure(0.67, 0.6, 0.7), "precision": Figure(0.1, 0.09, 0.11)}
    bad = facts(counts=[150, 150, 0], figures=figures, confusion=[[0, 100, 0], [100, 0, 0], [0, 0, 100]])
    assert {"labels", "missing class"} <= {fault.fault for fault in find_faults(bad)}
    told = find_faults(replace(bad, judge_error=0.4))
    assert verdict(told).startswith("The judge itself reads 40% of the real images kept apart wrongly, so nothing")
    assert {fault.fault for fault in told} == {"judge", "unreal"}


def test_what_real_images_do_badly_too_is_not_saturated() -> None:
    floors = {"precision": Figure(0.3, 0.28, 0.32), "copy_share": Figure(0.9, 0.88, 0.92)}
    for metric, floor in floors.items():
        assert poor(metric, floor)
        assert not saturated(metric, floor, floor)
        told = find_faults(facts(floor={**facts().floor, metric: floor}, figures={**facts().figures, metric: floor}))
        assert [fault.fault for fault in told] == ["floor"]
        assert f"{metric} tells little here" in told[0].text
    assert not any(poor(metric, figure) for metric, figure in facts().floor.items())


def test_intervals_end_where_the_metric_does() -> None:
    beyond = Figure(9.5, -1.0, 12.0)
    assert possible("classes_covered", beyond, 10) == Figure(9.5, 0.0, 10.0)
    assert possible("coverage", Figure(0.99, 0.97, 1.01), 10) == Figure(0.99, 0.97, 1.0)
    assert possible("fd_judge", Figure(0.1, -0.2, 0.4), 10) == Figure(0.1, 0.0, 0.4)
    assert possible("kd_judge", Figure(0.1, -0.2, 0.4), 10) == Figure(0.1, -0.2, 0.4)


@pytest.fixture(scope="module")
def shipped_yard() -> Yardstick:
    """The shipped judge's, with what undoings are told by, and nothing else."""
    judge, test = Judge.load(device="cpu"), load_images("mnist", "test").rows(torch.arange(600))
    known = JudgedImages(test, judge.read(test.images))
    return Yardstick(judge, known, known, {}, 0.0, torch.empty(0), 0.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda images: images.mT, "transposed"),
        (lambda images: images.flip(3), "mirrored left to right"),
        (lambda images: 255 - images.rot90(-1, (2, 3)), "turned clockwise by 90 degrees and inverted"),
        (lambda images: turned(images, 15), "turned clockwise by about "),
        (thickened, "drawn with thicker strokes than real ones"),
        (lambda images: torch.randint(256, images.shape, generator=torch.Generator().manual_seed(0)).byte(), None),
        (lambda images: images.roll(3, 3), None),
        (lambda images: images, None),
    ],
)
def test_what_was_done_to_images_is_told_by_undoing_it(
    change: Callable[[torch.Tensor], torch.Tensor],
    told: str | None,
    shipped_yard: Yardstick,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pocketgan.scorecard.transformations.TRIED", 40)
    monkeypatch.setattr("pocketgan.scorecard.transformations.LOOKED_AT", 300)
    val = load_images("mnist", "val").rows(torch.arange(300))
    images = replace(val, images=change(val.images))
    found = find_transformation(shipped_yard, JudgedImages(images, shipped_yard.reference.reading))
    assert (found and found.told.startswith(told or "none")) or (found is None and told is None), found
    if found is not None:
        assert found.agreement_after is not None
        assert found.agreement_after >= 0.95


def test_a_set_without_the_last_class_is_scored(source: str, small_judge: Judge, fresh: ImageSet) -> None:
    assert fresh.labels is not None
    merged = replace(fresh, labels=fresh.labels.where(fresh.labels != 9, 4), class_names=fresh.class_names[:9])
    card = score(merged, source, small_judge)
    assert card.verdict.startswith("Classes 4 and 9 are under one label, 4: no image is labelled 9"), card.verdict
    assert [one.labelled for one in card.classes][9] == 0
    more = load_images("mnist").rows(torch.arange(3000, 5100))
    assert more.labels is not None
    two = more.rows(more.labels < 2)
    assert two.labels is not None
    card = score(replace(two, labels=1 - two.labels, class_names=("1", "0")), source, small_judge)
    assert [one.labelled > 0 for one in card.classes] == [True] * 2 + [False] * 8
    assert "missing class" in faults(card), card.verdict
    assert not {"labels", "merged classes"} & faults(card), card.verdict


def test_classes_are_found_by_their_names(fresh: ImageSet) -> None:
    few = replace(fresh.rows([0, 1, 2]), labels=[2, 0, 2], class_names=("class_7", "unused", "class 03"))
    assert in_classes_of(few, fresh).labels.tolist() == [3, 7, 3]  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="a class 'x', which is none of 0, 1, 2"):
        in_classes_of(replace(few, class_names=("x", "y", "z")), fresh)
    with pytest.raises(UsageError, match="two classes for '3'; put them together"):
        in_classes_of(replace(few, class_names=("3", "4", "03")), fresh)
