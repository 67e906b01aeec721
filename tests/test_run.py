"""The main job: its results, what it keeps, what it makes again, what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pocketgan.api import run
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import write_bytes
from pocketgan.core.pixels import to_png
from pocketgan.data.fakes import read_fakes
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.models.classifier import Classifier
from pocketgan.recipes import gan_recipe
from pocketgan.runs.folder import RunFolder
from pocketgan.training.run_steps import OUTDATES, _learner

pytestmark = pytest.mark.usefixtures("few_fakes")
COLOURS = ("blue", "green", "red")
PROMISED = (
    *("s0_error", "s1_error", "s1_error_10k", "s1_label_source"),
    *("label_counts", "train_seconds", "images_per_second"),
)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three class folders of 30 colour pictures, 16x16."""
    folder = tmp_path_factory.mktemp("data") / "colours"
    random = torch.Generator().manual_seed(0)
    for name in COLOURS:
        for number in range(30):
            image = torch.randint(0, 60, (3, 16, 16), dtype=torch.uint8, generator=random)
            image[2 - COLOURS.index(name)] += 180
            write_bytes(folder / name / f"{number}.png", to_png(image))
    return folder


@pytest.fixture(scope="module")
def request_of(colours: Path) -> dict[str, Any]:
    return {"recipe": "mlp", "source": str(colours), "nimg": 1000, "quiet": True}


DECODED: Counter[Path] = Counter()  # how often `finished` opened each picture


@pytest.fixture(scope="module")
def finished(few_fakes: None, request_of: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run on own labelled pictures, unconditional. Tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("runs") / "colours"
    original = Image.open

    def counting(path: Path, **options: Any) -> Image.Image:
        DECODED[Path(path)] += 1
        return original(path, **options)

    time.sleep(0.1)  # so that the pictures are older than a file's time can tell
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "open", counting)
        run(**request_of, out=folder)
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def tree(folder: Path) -> dict[str, str]:
    """Every file of a folder with its digest; the lock aside."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def edit_labels(folder: Path, change: dict[int, int]) -> None:
    """Write other labels into rows of `metadata.csv`, as a person would."""
    path = folder / "fakes" / "metadata.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    for row, label in change.items():
        rows[row + 1][1] = str(label)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


@pytest.mark.usefixtures("finished")
def test_a_run_decodes_each_picture_once(colours: Path) -> None:
    assert [DECODED[path] for path in colours.rglob("*.png")] == [1] * 90


def test_a_run_leaves_all_that_it_promises(finished: Path) -> None:
    folder = RunFolder(finished)
    for step in OUTDATES:
        # no judge knows these images, nothing was steered, and the networks are none of a user's own
        left_out = {folder.tensorboard, folder.scorecard, folder.steering_page, folder.code_file}
        for path in set(folder.made_by(step)) - left_out:
            assert path.exists(), path
    summary = json.loads((finished / "summary.json").read_text())
    assert all(summary[key] is not None for key in PROMISED)
    assert summary["class_names"] == list(COLOURS)
    assert sum(summary["label_counts"]) == 100
    assert summary["s0_counted"].startswith("15 real images (a sixth of ")
    state = torch.load(finished / "C.pkl", weights_only=True)
    assert all(
        torch.equal(value, state[name]) for name, value in Classifier.load(finished).network.state_dict().items()
    )


def test_the_scores_are_a_recount_of_what_lies_in_the_folder(finished: Path) -> None:
    scores = json.loads((finished / "scores.json").read_text())
    c, fakes = Classifier.load(finished), read_fakes(finished / "fakes")
    assert fakes.images.labels is not None
    assert set(fakes.label_source) == {"guide"}
    read = c.label(fakes.images.images)
    assert scores["s1"]["errors"] == int((read != fakes.images.labels).sum())
    assert scores["label_counts"] == read.bincount(minlength=3).tolist()
    guide = Classifier.load(finished / "guide")
    assert torch.equal(guide.label(fakes.images.images), fakes.images.labels)
    assert guide.recipe.architecture != c.recipe.architecture


def test_a_run_again_changes_nothing(copy: Path, request_of: dict[str, Any]) -> None:
    before = tree(copy)
    run(**request_of, out=copy)
    assert tree(copy) == before


def test_a_run_that_was_stopped_goes_on_to_the_same_end(
    finished: Path, request_of: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    steps = (
        "training.run_steps.generate",
        "training.run_steps.classify",
        "scorecard.scores.score_run",
        "api.write_report",
    )
    for step in steps:
        with monkeypatch.context() as patch:
            patch.setattr(f"pocketgan.{step}", stopped)
            with pytest.raises(KeyboardInterrupt):
                run(**request_of, out=out)
    run(**request_of, out=out)
    assert json.loads((out / "scores.json").read_text()) == json.loads((finished / "scores.json").read_text())
    assert tree(out / "fakes") == tree(finished / "fakes")


def test_a_persons_corrections_are_kept_and_counted(copy: Path, request_of: dict[str, Any]) -> None:
    fakes = read_fakes(copy / "fakes")
    assert fakes.images.labels is not None
    edited = (int(fakes.images.labels[3]) + 1) % 3
    edit_labels(copy, {3: edited})
    moved = copy / "fakes" / fakes.images.files[5]
    place = copy / "fakes" / COLOURS[(int(fakes.images.labels[5]) + 1) % 3]
    place.mkdir(exist_ok=True)
    moved.rename(place / moved.name)
    before = tree(copy / "fakes")
    summary = run(**request_of, out=copy).summary
    assert tree(copy / "fakes") == before
    assert summary["s1_label_source"] == "guide (98), person (2)"
    corrected = read_fakes(copy / "fakes").images
    assert corrected.labels is not None
    assert int(corrected.labels[3]) == edited
    wrong = int((Classifier.load(copy).label(corrected.images) != corrected.labels).sum())
    assert summary["s1_error"] == wrong / 100


def test_where_a_person_gave_all_labels_the_source_is_the_person(copy: Path, request_of: dict[str, Any]) -> None:
    labels = read_fakes(copy / "fakes").images.labels
    assert labels is not None
    edit_labels(copy, {row: (label + 1) % 3 for row, label in enumerate(labels.tolist())})
    assert run(**request_of, out=copy).summary["s1_label_source"] == "person"


def test_a_label_that_is_no_class_is_refused(copy: Path, request_of: dict[str, Any]) -> None:
    edit_labels(copy, {0: 7})
    with pytest.raises(PocketganError, match="the label 7; labels run from 0 to 2"):
        run(**request_of, out=copy)


def test_redo_makes_a_step_and_what_hangs_on_it_again(copy: Path, request_of: dict[str, Any]) -> None:
    edit_labels(copy, {3: 0, 4: 0, 5: 1})
    before = tree(copy)
    run(**request_of, out=copy, redo=["generate"], skip=["score"])
    after = tree(copy)
    assert "scores.json" not in after, "the scores of the fakes that are gone are no longer true"
    assert {name for name in before if before[name] != after.get(name)} >= {"fakes/metadata.csv", "summary.json"}
    assert all(after[name] == before[name] for name in before if name.startswith(("model", "classifier")))
    assert set(read_fakes(copy / "fakes").label_source) == {"guide"}


def test_redo_of_the_training_gives_the_same_run_again(copy: Path, request_of: dict[str, Any]) -> None:
    def timeless() -> dict[str, str]:
        with_clock = ("timings.jsonl", "summary.json", "report.html", "model", "classifier", "guide", "checkpoints")
        return {name: digest for name, digest in tree(copy).items() if not name.startswith(with_clock)}

    before = timeless()
    assert {"G.pkl", "C.pkl", "events.jsonl", "scores.json"} <= before.keys()
    run(**request_of, out=copy, redo=["train"])
    assert timeless() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"redo": ["train"], "source": "missing"}, "missing is missing"),
        ({"redo": ["train"], "recipe": "dcgan-rotate"}, "makes .* where images are"),
        ({"redo": ["train"], "device": "abacus"}, "--device abacus"),
        ({"redo": ["train"], "until_good": True, "guide": "nobody"}, "nobody holds no classifier"),
        ({"redo": ["generate"], "nimg": 500}, "has seen 1,000 images already"),
        ({"redo": ["classify"], "classifier": "cnm"}, "recipe 'cnm' is unknown"),
        ({"redo": ["classify"], "classifier": "guide"}, "reads other images"),
        ({"classifier": "mlp"}, "holds another, cnn; add --redo classify"),
        ({"redo": ["clasify"]}, "step 'clasify' is unknown; did you mean 'classify'"),
        ({"redo": ["score"], "skip": ["score"]}, "both in --skip and in --redo"),
        ({"redo": ["generate"], "skip": ["classify"], "lr_g": "fast"}, "lr_g"),
    ],
)
def test_what_cannot_end_well_leaves_a_run_as_it_is(
    finished: Path, request_of: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    before = tree(finished)
    with pytest.raises(UsageError, match=message):
        run(**{**request_of, **change}, out=finished)
    assert tree(finished) == before


def test_redo_of_the_training_empties_no_folder_of_another_kind(
    copy: Path, colours: Path, request_of: dict[str, Any]
) -> None:
    (copy / "notes.txt").write_text("mine")
    for folder, message in ((copy, "also holds notes.txt"), (colours, "exists already")):
        before = tree(folder)
        with pytest.raises(UsageError, match=message):
            run(**request_of, out=folder, redo=["train"])
        assert tree(folder) == before


def test_the_network_that_labels_the_fakes_is_refused_as_c(
    copy: Path, request_of: dict[str, Any], digits: ImageSet, tmp_path: Path
) -> None:
    before = tree(copy)
    with pytest.raises(UsageError, match="the network that labels the fakes"):
        run(**request_of, out=copy, classifier=str(copy / "guide"), redo=["classify"])
    assert tree(copy) == before
    for label in range(10):
        for row in (digits.labels == label).nonzero()[:12, 0].tolist():
            write_bytes(tmp_path / "digits" / str(label) / f"{row}.png", to_png(digits.images[row]))
    Classifier.load("guide").save(tmp_path / "renamed")
    wanted = {**request_of, "source": str(tmp_path / "digits"), "out": tmp_path / "out"}
    for guide in ("guide", str(tmp_path / "renamed")):
        with pytest.raises(UsageError, match="the network that labels the fakes"):
            run(**wanted, classifier=guide)
        assert not (tmp_path / "out").exists(), "nothing is trained before it is refused"
    summary = run(**{**wanted, "recipe": "pocket", "nimg": 256}, classifier="guide").summary
    assert (summary["s1_label_source"], summary["classifier"]) == ("asked", "cnn-dense")


def test_c_is_not_trained_as_the_guide_was() -> None:
    recipe = _learner("cnn-dense", gan_recipe("mlp"), load_images("mnist", "test"))
    assert recipe.architecture == "cnn-dense"
    assert recipe != Classifier.load("guide").recipe


def test_a_trained_classifier_is_taken_as_c(finished: Path, request_of: dict[str, Any], tmp_path: Path) -> None:
    run(**request_of, out=tmp_path / "run", classifier=str(finished))
    assert (tmp_path / "run" / "C.pkl").read_bytes() == (finished / "C.pkl").read_bytes()


@pytest.mark.parametrize("step", ["generate", "classify"])
def test_scores_that_will_lack_something_are_refused_before_the_training(
    request_of: dict[str, Any], tmp_path: Path, step: str
) -> None:
    with pytest.raises(UsageError, match=f"--skip {step}: .* skip score too"):
        run(**request_of, out=tmp_path / "run", skip=[step])
    assert not (tmp_path / "run").exists()


def test_with_the_training_skipped_the_recipe_is_that_of_the_run(copy: Path) -> None:
    summary = run("pocket", out=copy, skip=["train"], quiet=True).summary
    assert (summary["recipe"], summary["class_names"]) == ("mlp", list(COLOURS))


def test_a_conditional_run_on_own_pictures_has_the_asked_labels(colours: Path, tmp_path: Path) -> None:
    summary = run("pocket", source=str(colours), nimg=512, classifier="mlp", out=tmp_path / "run", quiet=True).summary
    assert summary["s1_label_source"] == summary["s1_10k_label_source"] == "asked"
    fakes = read_fakes(tmp_path / "run" / "fakes")
    assert fakes.images.labels is not None
    assert fakes.images.labels.tolist() == [index % 3 for index in fakes.index]
    assert not (tmp_path / "run" / "guide").exists()


def test_images_without_labels_run_through_without_scores(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = run("mlp", source=str(colours / "red"), nimg=500, out=tmp_path / "run").summary
    assert "has no labels: no classifier, no S0 and no S1" in capsys.readouterr().err
    assert summary["train_seconds"] > 0
    assert not any(name.startswith(("s0", "s1")) for name in summary)
    assert set(read_fakes(tmp_path / "run" / "fakes").label_source) == {"none"}
    assert (tmp_path / "run" / "report.html").is_file()
