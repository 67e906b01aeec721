"""The command line as people meet it: results, lines, exit codes, help, signals."""

from __future__ import annotations

import csv
import gzip
import importlib
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from conftest import ended
from pocketgan import cli
from pocketgan.cli import Command
from pocketgan.core import process as signals
from pocketgan.core.files import write_bytes
from pocketgan.core.pixels import to_png
from pocketgan.data.fakes import read_fakes
from pocketgan.data.idx import read_idx
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.data.pictures import read_picture
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import weights_digest
from pocketgan.recipes import (
    GAN_PRESETS,
    ClassifierRecipe,
    Recipe,
    classifier_recipe,
    field_places,
    gan_recipe,
    read_recipe,
)
from pocketgan.training.classifiers import learning_and_test_sets
from pocketgan.training.speed import seconds_per_image

VERBS = [command.words for command in cli.COMMANDS]


class Ended(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def pocketgan(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command line in this process: words, each a text or a path."""

    def call(*words: object) -> Ended:
        capsys.readouterr()
        return Ended(ended(*words), *capsys.readouterr())

    return call


def is_one_line(ended: Ended) -> bool:
    return re.fullmatch(r"pocketgan: [^\n]+\n", ended.err) is not None and "internal error" not in ended.err


@pytest.fixture(scope="module")
def data(digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Own image sets, good ones and bad ones."""
    folder = tmp_path_factory.mktemp("data")
    few = digits.rows(torch.arange(300))
    assert few.labels is not None
    pixels, labels = few.images[:, 0].numpy(), few.labels.numpy()
    for row in range(120):
        write_bytes(folder / "folder" / str(labels[row]) / f"{row}.png", to_png(few.images[row]))
        write_bytes(folder / "flat" / f"{row:03d}.png", to_png(few.images[row]))
    np.savez(folder / "labelled.npz", images=pixels, labels=labels)
    keras = {"x_train": pixels[:200], "y_train": labels[:200], "x_test": pixels[200:], "y_test": labels[200:]}
    np.savez(folder / "keras.npz", **keras)
    for name, left_out in (("no_test", ("x_test", "y_test")), ("no_test_labels", ("y_test",))):
        np.savez(folder / f"{name}.npz", **{key: keras[key] for key in keras if key not in left_out})
    np.savez(folder / "other_test.npz", **{**keras, "x_test": keras["x_test"][:, 4:24, 4:24]})
    for name, key in (("train", "train"), ("t10k", "test")):
        write_bytes(folder / "idx" / f"{name}-images-idx3-ubyte", idx(keras[f"x_{key}"]))
        write_bytes(folder / "idx" / f"{name}-labels-idx1-ubyte.gz", gzip.compress(idx(keras[f"y_{key}"])))
    np.savez(folder / "small.npz", images=pixels[:, :20, :12], labels=labels)
    np.savez(folder / "tiny.npz", images=pixels[:2], labels=labels[:2])
    np.savez(folder / "huge.npz", images=np.zeros((4, 129, 129), np.uint8))
    np.savez(folder / "mislabelled.npz", images=pixels, labels=labels[1:])
    (folder / "cut.npz").write_bytes((folder / "labelled.npz").read_bytes()[:9000])
    (folder / "wrong_magic.npz").write_bytes(b"GIF89a" + bytes(100))
    (folder / "empty.npz").write_bytes(b"")
    return folder


def idx(array: Any) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    random = torch.Generator().manual_seed(0)
    for channel, name in enumerate(("red", "green", "blue")):
        for number in range(20):
            image = torch.randint(0, 60, (3, 16, 16), dtype=torch.uint8, generator=random)
            image[channel] += 180
            write_bytes(folder / name / f"{number}.png", to_png(image))
    return folder


@pytest.fixture(scope="module")
def mlp_folder(mlp_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unconditional model of digits."""
    folder = tmp_path_factory.mktemp("models") / "mlp"
    mlp_model.save(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of own digits."""
    folder = tmp_path_factory.mktemp("classifiers") / "mlp"
    words = ["classify", "train", "mlp", "--data", str(data / "labelled.npz"), "--epochs", "2"]
    with pytest.raises(SystemExit) as end:
        cli.main([*words, "--out", str(folder), "--quiet"])
    assert end.value.code == 0
    return folder


# ---- wrong requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("bogus", 'Unknown command "bogus"'),
        ("run pocket again", "too many words"),
        ("train label --lrg", "see pocketgan train --help"),
        ("classify label --bogus", "pocketgan classify label --help"),
        ("run --skip trian", "did you mean 'train'"),
        ("run --redo everything", "step 'everything' is unknown"),
        ("run --classifier nobody", "recipe 'nobody' is unknown"),
        ("train", "--out"),
        ("train pocket", "--out"),
        ("train pocket --out OUT --resume", "--resume"),
        ("train pokket --out OUT", "did you mean 'pocket'"),
        ("train nothing.toml --out OUT", "nothing.toml is missing"),
        ("train pocket --out OUT --lrg 1", "--lr-g"),
        ("train pocket --out OUT --optimizer.lr-g 1e-3", "write --lr-g"),
        ("train pocket --out OUT --lr-g fast", "not 'fast'"),
        ("train pocket --out OUT --lr-g -1", "greater than 0"),
        ("train pocket --out OUT --lr-g 1 --lr-g 2", "specified multiple times"),
        ("train pocket --out OUT --epochs 0", "greater than 0"),
        ("train pocket --out OUT --epochs inf", "epochs"),
        ("train pocket --out OUT --epochs 1 --minutes 1", "give one budget"),
        ("train pocket --out OUT --seed -1", "seed"),
        ("train pocket --out OUT --device abacus", "--device abacus"),
        ("train pocket --out OUT --device meta", "--device meta"),
        ("train pocket --out OUT --loss none", "loss 'none'"),
        ("train pocket --out OUT --data missing", "missing is missing"),
        ("train pocket --out OUT --data DATA/flat", "learns from labels"),
        ("train dcgan-rotate --out OUT --data DATA/small.npz", "resize the images"),
        ("train mlp --out OUT --data DATA/flat --until-good --guide nobody", "nobody holds no classifier"),
        ("train mlp --out DATA", "exists already"),
        ("generate nothing --out OUT", "nothing holds no model"),
        ("generate guide --out OUT", "guide holds no model"),
        ("generate POCKET --out DATA", "exists already"),
        ("generate POCKET --out OUT --count 0", "--count 0"),
        ("generate POCKET --out OUT --count 1.5", "'1.5' is no whole number"),
        ("generate POCKET --out OUT --count many", "'many' is no whole number"),
        ("generate POCKET --out OUT --seed -1", "--seed"),
        ("generate POCKET --out OUT --seed 9223372036854775808", "--seed"),
        ("generate POCKET --out OUT --digit 11", "class '11' is unknown"),
        ("generate POCKET --out OUT --digit 5 --balanced", "exclude each other"),
        ("generate POCKET --out OUT --classifier guide", "leave it out"),
        ("generate POCKET --out OUT --format gif", "--format gif"),
        ("generate POCKET --out OUT --format ,", "--format"),
        ("generate POCKET --out OUT --test-share 0.5 --format grid", "--test-share"),
        ("generate POCKET --out OUT --shard 3/2", "--shard 3/2"),
        ("generate POCKET --out OUT --test-share 2 --format npz", "--test-share 2"),
        ("generate POCKET --out OUT --nonsense", "--nonsense"),
        ("generate MLP --out OUT --digit 5", "unconditional"),
        ("generate MLP --out OUT --balanced", "unconditional"),
        ("generate MLP --out OUT --classifier nobody", "nobody holds no classifier"),
        ("classify bogus", 'Unknown command "bogus"'),
        ("classify train cnm --out OUT", "did you mean 'cnn'"),
        ("classify train cnn --out DATA", "exists already"),
        ("classify train cnn --out OUT --data DATA/flat", "has no labels to learn from"),
        ("classify train cnn --out OUT --data DATA/tiny.npz", "too few"),
        ("classify train cnn --out OUT --architecture none", "classifier 'none' is unknown"),
        ("classify train cnn --out OUT --lr-g 1", "--lr"),
        ("classify label missing --out OUT", "missing is missing"),
        ("classify label DATA/flat --out OUT --classifier nobody", "nobody holds no classifier"),
        ("classify label DATA/small.npz --out OUT", "reads images of shape [1, 28, 28]"),
        ("classify label DATA/flat --out OUT --split test", "no test images"),
        ("classify label DATA/flat --out DATA", "exists already"),
        ("classify label POCKET --out OUT --count 0", "--count 0"),
        ("report nothing", "nothing is no finished run"),
        ("recipes nothing", "recipe 'nothing' is unknown"),
        ("info nothing", "nothing holds no model"),
        ("bench keep nothing --out OUT", "nothing"),
        ("bench results --out OUT", "no folders are given"),
        ("doctor --data x", "--data"),
    ],
)
def test_a_wrong_request_gets_one_line_and_leaves_nothing(
    pocketgan: Callable[..., Ended],
    data: Path,
    small_run: Path,
    mlp_folder: Path,
    tmp_path: Path,
    words: str,
    told: str,
) -> None:
    places = {"OUT": tmp_path / "new" / "out", "DATA": data, "POCKET": small_run, "MLP": mlp_folder}
    ended = pocketgan(*(re.sub(r"OUT|DATA|POCKET|MLP", lambda name: str(places[name[0]]), w) for w in words.split()))
    assert ended.code == 2
    assert is_one_line(ended), ended.err
    assert told in ended.err
    assert ended.out == ""
    assert not places["OUT"].exists()


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("cut.npz", "damaged"),
        ("wrong_magic.npz", "cannot be read as PNG, JPEG"),
        ("empty.npz", "is empty"),
        ("mislabelled.npz", "one for each of 300 images"),
        ("huge.npz", "sides from 8 to 128"),
        ("", "keep one or the other kind"),
        ("no_test_labels.npz", "no labels for its test images"),
        ("other_test.npz", "test images of another size"),
    ],
)
def test_bad_images_get_one_line_before_anything_is_trained(
    pocketgan: Callable[..., Ended], data: Path, tmp_path: Path, file: str, told: str
) -> None:
    for verb in (["run", "mlp"], ["classify", "train", "mlp"]):
        ended = pocketgan(*verb, "--data", data / file, "--out", tmp_path / "out")
        assert ended.code == 1
        assert is_one_line(ended), ended.err
        assert str(data / file) in ended.err
        assert told in ended.err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", ["FILE", "/proc"])
def test_what_cannot_be_written_is_told_before_the_work(
    pocketgan: Callable[..., Ended], data: Path, small_run: Path, tmp_path: Path, inside: str
) -> None:
    if inside == "FILE":
        (tmp_path / "file").write_text("in the way")
    out = (tmp_path / "file" if inside == "FILE" else Path(inside)) / "out"
    if not out.parent.exists():
        pytest.skip("no folder here that nobody can write")
    for words in (
        ["train", "mlp", "--nimg", 100, "--data", data / "flat"],
        ["generate", small_run, "--count", 3],
        ["classify", "train", "mlp", "--data", data / "labelled.npz"],
        ["classify", "label", data / "flat"],
    ):
        ended = pocketgan(*words, "--out", out)
        assert (ended.code, ended.out) == (1, "")
        assert is_one_line(ended), ended.err
        assert str(out) in ended.err


def test_a_full_disk_gives_one_line_and_no_half_files(
    pocketgan: Callable[..., Ended], small_run: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # a larger file is an error, as on a full disk
    try:
        ended = pocketgan("generate", small_run, "--count", 300, "--format", "npz", "--out", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ended.code == 1
    assert is_one_line(ended), ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("operands could not\nbe broadcast"), "internal error: ValueError: operands could not be broadcast"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (MemoryError(), "out of memory"),
        (PermissionError(13, "Permission denied", "/a/file"), "/a/file: Permission denied"),
        (AssertionError(), "internal error: AssertionError"),
    ],
)
def test_no_error_of_a_library_reaches_people_as_a_traceback(
    pocketgan: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(importlib.import_module("pocketgan.api"), "_model", fail)
    ended = pocketgan("steer", "fit", "model")
    assert ended.code == 1
    assert re.fullmatch(r"pocketgan: [^\n]+\n", ended.err)
    assert told in ended.err
    ended = pocketgan("steer", "fit", "model", "--debug")
    assert "Traceback" in ended.err
    assert ended.err.splitlines()[-1].startswith("pocketgan: ")


# ---- signals and streams -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_says_so_and_the_same_command_goes_on(
    pocketgan: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
    data: Path,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    module = importlib.import_module("pocketgan.training.listeners")
    save = module.save_checkpoint

    def save_and_stop(*arguments: Any) -> None:
        save(*arguments)
        signal.raise_signal(number)

    words = ["train", "mlp", "--data", data / "labelled.npz", "--epochs", 4, "--quiet", "--out"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(module, "save_checkpoint", save_and_stop)
        ended = pocketgan(*words, tmp_path / "stopped")
    assert ended == (code, "", "pocketgan: stopped; the same command goes on from the last checkpoint\n")
    assert list((tmp_path / "stopped" / "checkpoints").glob("nimg-*"))
    assert not (tmp_path / "stopped" / "model").exists()
    for folder in ("stopped", "whole"):
        assert pocketgan(*words, tmp_path / folder).code == 0
    assert (tmp_path / "stopped" / "G.pkl").read_bytes() == (tmp_path / "whole" / "G.pkl").read_bytes()


def test_a_stopped_export_leaves_nothing(
    pocketgan: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, small_run: Path, tmp_path: Path
) -> None:
    def stop(self: object, samples: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(importlib.import_module("pocketgan.writers").GridWriter, "add", stop)
    ended = pocketgan("generate", small_run, "--out", tmp_path / "out")
    assert (ended.code, ended.err) == (130, "pocketgan: stopped; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_during_the_import_of_torch_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = []

    def slow_import(name: str) -> None:
        signal.raise_signal(signal.SIGINT)
        imported.append(name)

    monkeypatch.setattr(signals, "importlib", type("stand_in", (), {"import_module": staticmethod(slow_import)}))
    with pytest.raises(KeyboardInterrupt):
        signals.load_torch()
    assert imported == ["torch"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("name", "read"), [(name, gan_recipe) for name in GAN_PRESETS] + [("linear-224", classifier_recipe)]
)
def test_a_printed_recipe_can_be_saved_and_explains_every_field(
    name: str, read: Callable[[str], Recipe | ClassifierRecipe], pocketgan: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(pocketgan("recipes", name).out)
    assert read(str(tmp_path / "mine.toml")).name == name
    for line in (tmp_path / "mine.toml").read_text().splitlines():
        if " = " in line and not line.startswith(("#", "format_version", "kind")):
            assert "  # " in line


@pytest.mark.parametrize("words", [["recipes", "dcgan"], ["recipes", "--quick"], ["--help"]])
def test_a_closed_pipe_and_a_poor_terminal_are_no_drama(words: list[str]) -> None:
    command = [sys.executable, "-m", "pocketgan", *words]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "40"}  # too narrow: an ellipsis is printed
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in (0, 1)


# ---- results -------------------------------------------------------------------------------------------------------


def test_generated_images_do_not_depend_on_the_count(
    pocketgan: Callable[..., Ended], small_run: Path, tmp_path: Path
) -> None:
    for count in (7, 300):
        assert pocketgan("generate", small_run, "--count", count, "--seed", 3, "--out", tmp_path / str(count)).code == 0
    few, many = (tmp_path / str(count) / "png" for count in (7, 300))
    pictures = sorted(path.relative_to(few) for path in few.rglob("*.png"))
    assert len(pictures) == 7
    assert all((few / path).read_bytes() == (many / path).read_bytes() for path in pictures)
    fakes = read_fakes(many)
    assert set(fakes.label_source) == {"asked"}
    again = Model.load(small_run).images(torch.from_numpy(np.load(many / "latents.npy")), fakes.images.labels)
    assert torch.equal(again, fakes.images.images)


def test_every_format_comes_from_one_command(pocketgan: Callable[..., Ended], mlp_folder: Path, tmp_path: Path) -> None:
    words = ["--count", 40, "--format", "png,npz,idx,grid", "--test-share", 0.25, "--json"]
    ended = pocketgan("generate", mlp_folder, *words, "--out", tmp_path / "set")
    assert ended.code == 0
    assert all(Path(path).exists() for path in json.loads(ended.out))
    for split, count in (("train", 30), ("test", 10)):
        fakes = read_fakes(tmp_path / "set" / "png" / split)
        assert set(fakes.label_source) == {"guide"}, "the shipped guide reads what cannot be asked for"
        assert torch.equal(Classifier.load("guide").label(fakes.images.images), fakes.images.labels)
        assert len(fakes.images) == count
        prefix = {"train": "train", "test": "t10k"}[split]
        raw = tmp_path / "set" / "MNIST" / "raw"
        with np.load(tmp_path / "set" / "samples.npz", allow_pickle=False) as arrays:
            expected = fakes.images.images[:, 0].numpy()
            assert (arrays[f"x_{split}"] == expected).all()
            assert (read_idx(raw / f"{prefix}-images-idx3-ubyte") == expected).all()
            assert (read_idx(raw / f"{prefix}-labels-idx1-ubyte") == arrays[f"y_{split}"]).all()


def test_one_digit_can_be_asked_for(pocketgan: Callable[..., Ended], small_run: Path, tmp_path: Path) -> None:
    assert pocketgan("generate", small_run, "--digit", 7, "--count", 5, "--out", tmp_path / "sevens").code == 0
    assert read_fakes(tmp_path / "sevens" / "png").images.labels.tolist() == [7] * 5  # type: ignore[union-attr]


def test_the_images_of_an_own_classifiers_model_get_its_labels(
    pocketgan: Callable[..., Ended], mlp_folder: Path, classifier: Path, tmp_path: Path
) -> None:
    words = ["generate", mlp_folder, "--count", 30, "--classifier", classifier, "--format", "npz"]
    assert pocketgan(*words, "--out", tmp_path / "set").code == 0
    made = load_images(tmp_path / "set" / "samples.npz")
    assert made.labels is not None
    assert torch.equal(Classifier.load(classifier).label(made.images), made.labels)


@pytest.mark.parametrize(
    ("source", "architecture", "tested"),
    [
        ("folder", "linear-224", "20 real"),
        ("labelled.npz", "cnn", "50"),
        ("no_test.npz", "mlp", "33"),
        ("keras.npz", "cnn-dense", "100"),
        ("idx", "mlp", "100"),
    ],
)
def test_classifiers_learn_from_every_kind_of_source(
    pocketgan: Callable[..., Ended], data: Path, tmp_path: Path, source: str, architecture: str, tested: str
) -> None:
    words = ["classify", "train", architecture, "--data", data / source, "--epochs", 1, "--json"]
    ended = pocketgan(*words, "--out", tmp_path / "c")
    assert ended.code == 0
    told = json.loads(ended.out)
    assert told["test"]["count"] == int(tested.split()[0])
    assert len(told["epochs"]) == 1
    assert "epoch 1/1" in ended.err
    _, test = learning_and_test_sets(str(data / source), "train")
    assert told["test"]["errors"] == int((Classifier.load(tmp_path / "c").label(test.images) != test.labels).sum())


def test_a_classifier_of_colours_learns_and_names_them(
    pocketgan: Callable[..., Ended], colours: Path, tmp_path: Path
) -> None:
    words = ["classify", "train", "mlp", "--data", colours, "--epochs", 20, "--batch-size", 10, "--quiet"]
    ended = pocketgan(*words, "--out", tmp_path / "c")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{tmp_path / 'c'}: 0 of 10 read wrongly on a sixth of {colours}, held out")
    assert (
        pocketgan("classify", "label", colours, "--classifier", tmp_path / "c", "--out", tmp_path / "l.csv").code == 0
    )
    with (tmp_path / "l.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class_name"] for row in rows] == ["blue"] * 20 + ["green"] * 20 + ["red"] * 20
    assert [int(row["row"]) for row in rows] == list(range(60))


def test_labels_name_the_pictures_they_belong_to(pocketgan: Callable[..., Ended], data: Path, tmp_path: Path) -> None:
    guide = Classifier.load("guide")
    for source in ("flat", "folder"):
        folder = tmp_path / source
        shutil.copytree(data / source, folder)
        ended = pocketgan("classify", "label", folder, "--out", tmp_path / f"{source}.csv", "--json")
        told = json.loads(ended.out)
        assert sorted(row["file_name"] for row in told) == sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*.png")
        )
        for row in told[::17]:
            picture = torch.from_numpy(read_picture(folder / row["file_name"]))[None, None]
            assert row["label"] == guide.label(picture).item()
        (tmp_path / f"{source}.csv").rename(folder / "metadata.csv")  # the pictures' labels from now on
        labelled = load_images(folder)
        assert labelled.labels is not None
        assert labelled.labels.tolist() == [row["label"] for row in told]
        assert labelled.files == tuple(row["file_name"] for row in told)
        some = labelled.rows(torch.arange(len(labelled)) % 3 == 1)
        assert some.files == labelled.files[1::3]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")
def test_a_picture_whose_name_is_no_text_is_labelled(
    pocketgan: Callable[..., Ended], digits: ImageSet, tmp_path: Path
) -> None:
    write_bytes(tmp_path / "set" / os.fsdecode(b"seven\xff.png"), to_png(digits.images[0]))
    assert pocketgan("classify", "label", tmp_path / "set", "--out", tmp_path / "l.csv").code == 0
    assert (tmp_path / "l.csv").read_text(encoding="utf-8").splitlines()[1].startswith("0,seven?.png,")


@pytest.mark.parametrize(
    ("images", "words"),
    [("flat", []), ("labelled.npz", []), ("idx", ["--split", "test"]), ("MODEL", ["--count", 20, "--seed", 4])],
)
def test_labels_are_what_the_classifier_reads(
    pocketgan: Callable[..., Ended], data: Path, small_run: Path, tmp_path: Path, images: str, words: list[object]
) -> None:
    source = small_run if images == "MODEL" else data / images
    ended = pocketgan("classify", "label", source, *words, "--out", tmp_path / "labels.csv", "--json")
    assert ended.code == 0
    if images == "MODEL":
        pixels = Model.load(small_run).sample(20, seed=4).images
    else:
        pixels = load_images(source, "test" if words else "train").images
    sure, labels = Classifier.load("guide").probabilities(pixels).max(1)
    told = json.loads(ended.out)
    assert [row["label"] for row in told] == labels.tolist()
    assert all(("file_name" in row) == (images == "flat") for row in told)
    assert [row["confidence"] for row in told] == pytest.approx(sure.tolist())
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["label"]) for row in rows] == labels.tolist()
    assert all(row["class_name"] == row["label"] for row in rows)


def test_a_training_is_made_completed_and_refused(pocketgan: Callable[..., Ended], data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", "mlp", "--data", data / "flat", "--nimg", 500, "--out", out]
    first = pocketgan(*words)
    assert (first.code, first.out) == (0, f"{out}\n")
    assert "epoch 1/" in first.err
    weights = (out / "G.pkl").read_bytes()
    again = pocketgan(*words)
    assert (again.code, again.out) == (0, f"{out}\n")
    assert "is complete" in again.err
    other = pocketgan(*words, "--seed", 1)
    assert (other.code, other.out) == (2, "")
    assert "seed is 0 there, 1 here" in other.err
    assert (out / "G.pkl").read_bytes() == weights


def test_until_good_ends_a_training_by_the_guide(
    pocketgan: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path
) -> None:
    goodness = importlib.import_module("pocketgan.training.health")
    words = ["train", "mlp", "--data", data / "folder", "--epochs", 3, "--until-good", "--quiet", "--out"]
    for share, reason, epochs in ((0.0, "until good", 1), (2.0, "budget", 3)):
        monkeypatch.setattr(goodness, "SURENESS", share)
        monkeypatch.setattr(goodness, "CLASS_SHARE", 0.0)
        out = tmp_path / reason
        assert pocketgan(*words, out).code == 0
        events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
        assert events[-1]["reason"] == reason
        assert sum(event["event"] == "epoch" for event in events) == epochs
        assert (out / "model" / "model.json").is_file()


def test_tensorboard_gets_losses_and_pictures(pocketgan: Callable[..., Ended], data: Path, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    words = ["train", "mlp", "--data", data / "flat", "--nimg", 500, "--tensorboard", "--quiet"]
    assert pocketgan(*words, "--out", tmp_path / "run").code == 0
    events = reader.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    losses = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    logged = [event["loss_g"] for event in losses if event["event"] == "epoch"]
    assert [point.value for point in events.Scalars("loss_g")] == pytest.approx(logged)
    assert events.Images("samples")


def test_without_tensorboard_its_option_gets_one_line(
    pocketgan: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    ended = pocketgan("train", "mlp", "--data", data / "flat", "--tensorboard", "--out", tmp_path / "run")
    assert ended.code == 2
    assert is_one_line(ended)
    assert "pip install '.[tensorboard]'" in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("few_fakes")
def test_a_run_tells_its_result_in_a_few_rows_or_as_json(
    pocketgan: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, colours: Path, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", "mlp", "--data", colours, "--nimg", 500, "--seed", 3, "--classifier", "mlp"]
    for_people = pocketgan(*words)
    assert for_people.code == 0
    assert (tmp_path / "runs" / "mlp-3" / "report.html").is_file()
    assert (tmp_path / "runs" / "mlp-3" / "play.html").is_file()
    assert 'href="play.html"' in (tmp_path / "runs" / "mlp-3" / "report.html").read_text()
    told = " ".join(for_people.out.split())
    assert re.search(r"S0 \d+\.\d\d% of 10 real images", told)
    assert re.search(r"S1 \d+\.\d\d% of the 100 fakes", told)
    assert re.search(r"fakes read as blue: \d+, green: \d+, red: \d+", told)
    assert str(Path("runs", "mlp-3", "report.html")) in told
    assert len(for_people.out.splitlines()) < 15
    assert "[5/5]" in for_people.err
    for_programs = pocketgan(*words, "--json")
    summary = json.loads(for_programs.out)
    assert summary == json.loads((tmp_path / "runs" / "mlp-3" / "summary.json").read_text())
    assert f"{summary['s1_error']:.2%}" in told
    unlabelled = pocketgan("run", "mlp", "--data", colours / "red", "--nimg", 500, "--quiet")
    assert (unlabelled.code, unlabelled.err) == (0, "")
    assert "not counted: the images have no labels" in " ".join(unlabelled.out.split())


# ---- help ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.words)
def test_help_explains_every_option_and_fits_100_columns(
    pocketgan: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    ended = pocketgan(*command.words.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"Usage: pocketgan {command.words}" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    only_python = ("generator", "discriminator")
    parameters = [one for one in inspect.signature(command.function).parameters.values() if one.name not in only_python]
    listed = [one.name.upper() for one in parameters if one.kind is one.VAR_POSITIONAL]
    options = ["json", *(one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD))]
    for shown in (*listed, *(f"--{'class' if name == 'label' else name.replace('_', '-')}" for name in options)):
        assert re.search(rf"{shown}( \S+)?\s{{2,}}\w", ended.out), f"{shown} has no sentence"
    assert "False" not in ended.out
    assert "None" not in ended.out


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        *((verb, Recipe) for verb in ("train", "run", "bench speedrun")),
        *((verb, ClassifierRecipe) for verb in ("classify train", "judge train")),
    ],
)
def test_help_tells_every_field_of_a_recipe_with_its_default(
    pocketgan: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, verb: str, kind: type[Recipe | ClassifierRecipe]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    told = " ".join(pocketgan(*verb.split(), "--help").out.replace("│", " ").split())
    told = re.sub(r"--no-\S+ ", "", told)  # which may stand on a line of its own, beside the second one of the sentence
    for field, (section, _) in field_places(kind).items():
        holder: Any = kind.model_fields[section].annotation if section else kind
        about = holder.model_fields[field]
        option = {"source": "data"}.get(field, field.replace("_", "-"))
        assert f"--{option} " in told
        if field not in ("source", "seeds", "split"):
            assert about.description in told, field
            assert "recipe decides" in told.partition(about.description)[2][:27], field


@pytest.mark.parametrize(("words", "value"), [(["--fresh-latents"], True), (["--no-fresh-latents"], False)])
def test_a_field_that_is_true_or_false_is_a_flag(
    pocketgan: Callable[..., Ended], data: Path, tmp_path: Path, words: list[str], value: bool
) -> None:
    assert (
        pocketgan("train", "mlp", "--data", data / "flat", "--nimg", 200, "--out", tmp_path / "run", *words).code == 0
    )
    assert read_recipe(Recipe, tmp_path / "run" / "recipe.toml").objective.fresh_latents is value


def test_a_training_tells_what_it_trained_as_json(pocketgan: Callable[..., Ended], data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    told = json.loads(pocketgan("train", "mlp", "--data", data / "flat", "--nimg", 500, "--out", out, "--json").out)
    assert told["folder"] == str(out)
    assert told["nimg"] == 500
    assert told["epochs"] == pytest.approx(500 / 120, abs=1e-3)
    assert told["seconds"] > 0
    assert told["weights"] == weights_digest(Model.load(out).generator)


def test_the_program_lists_its_verbs_and_its_version(pocketgan: Callable[..., Ended]) -> None:
    told = pocketgan("--help").out
    assert all(re.search(rf"^. {verb.split()[0]} ", told, re.MULTILINE) for verb in VERBS)
    assert "--debug" in told
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", pocketgan("--version").out)
    assert pocketgan().code == 0


def test_generate_names_its_folder_after_the_model_and_the_digit(
    pocketgan: Callable[..., Ended], small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (("--digit", "3"), ()):
        assert pocketgan("generate", small_run, "--count", "2", *words).code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"small-3", "small-fakes"}
    assert "small-3 exists already" in pocketgan("generate", small_run, "--digit", "3").err


def test_json_of_what_there_is_is_json(pocketgan: Callable[..., Ended], small_run: Path) -> None:
    info = json.loads(pocketgan("info", small_run, "--json").out)
    assert info["recipe"]["name"] == "pocket"
    assert info["command"].startswith("pocketgan train pocket --")
    assert sum(layer["parameters"] for layer in info["layers"]["generator"]) > 0
    listed = json.loads(pocketgan("recipes", "--quick", "--json").out)
    assert {row["name"] for row in listed["recipes"]} >= {"pocket", "mlp"}
    assert {row["minutes_here"] for row in listed["recipes"]} == {None}
    (mine,) = json.loads(pocketgan("recipes", "dcgan", "--json").out)["recipes"]
    assert Recipe.model_validate(mine["fields"]) == gan_recipe("dcgan")
    assert json.loads(pocketgan("doctor", "--json").out)["torch"] == torch.__version__


def test_the_minutes_of_recipes_are_measured_on_their_own_steps(
    pocketgan: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(recipe: Recipe, *_: object) -> float:
        return recipe.schedule.batch_size * 1e-6

    monkeypatch.setattr("pocketgan.training.speed.seconds_per_image", measured)
    ended = pocketgan("recipes", "--json")
    told = {row["name"]: row["minutes_here"] for row in json.loads(ended.out)["recipes"]}
    assert told["mlp"] == pytest.approx(100 * 60_000 * 100e-6 / 60)
    assert told["dcgan"] == pytest.approx(50 * 60_032 * 128e-6 / 60, rel=1e-3)
    assert "measuring" in ended.err
    assert pocketgan("recipes", "--quiet").err == ""


def test_a_step_of_training_takes_time(digits: ImageSet) -> None:
    each = seconds_per_image(gan_recipe("mlp"), digits, torch.device("cpu"), 0.05)
    assert 0 < each < 0.05
