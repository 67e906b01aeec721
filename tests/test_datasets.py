"""Data sets by name: every layout from a server on this machine, by hand, and the table in the documents."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import types
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

import pocketgan as pg
from conftest import REAL
from pocketgan.cli import main
from pocketgan.core.cache import VARIABLE
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data.datasets import DATASETS, Form, datasets_page, take_files
from pocketgan.data.download import RemoteFile
from pocketgan.data.idx import idx_header
from pocketgan.data.image_set import ImageSet
from pocketgan.data.layouts import ordered, read_batch
from pocketgan.data.load import learning_images, load_images
from pocketgan.data.parquet import is_hub_address

COUNTS = {"train": 24, "test": 12}
RANDOM = np.random.default_rng(0)
GREY = {split: RANDOM.integers(0, 256, (count, 28, 28), dtype=np.uint8) for split, count in COUNTS.items()}
COLOUR = {split: RANDOM.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8) for split, count in COUNTS.items()}
LABELS = {split: (np.arange(count) % 10).astype(np.uint8) for split, count in COUNTS.items()}


def gzipped(array: np.ndarray) -> bytes:
    return gzip.compress(idx_header(array.shape) + array.tobytes())


def in_tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def mnist_files() -> dict[str, bytes]:
    return {
        f"{prefix}-{rest}.gz": gzipped(array[split])
        for split, prefix in (("train", "train"), ("test", "t10k"))
        for rest, array in (("images-idx3-ubyte", GREY), ("labels-idx1-ubyte", LABELS))
    }


def emnist_files(first: int) -> dict[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part in ("balanced", "letters", "digits"):
            for split in COUNTS:
                begin = f"gzip/emnist-{part}-{split}"
                archive.writestr(f"{begin}-images-idx3-ubyte.gz", gzipped(GREY[split].transpose(0, 2, 1).copy()))
                archive.writestr(f"{begin}-labels-idx1-ubyte.gz", gzipped(LABELS[split] + np.uint8(first)))
    return {"gzip.zip": buffer.getvalue()}


def qmnist_files() -> dict[str, bytes]:
    files = {}
    for split in COUNTS:
        told = np.full((COUNTS[split], 8), 77, ">i4")
        told[:, 0] = LABELS[split]
        header = bytes([0, 0, 0x0C, 2]) + struct.pack(">2I", *told.shape)
        files[f"qmnist-{split}-images-idx3-ubyte.gz"] = gzipped(GREY[split])
        files[f"qmnist-{split}-labels-idx2-int.gz"] = gzip.compress(header + told.tobytes())
    return files


def cifar_records(coarse: bool) -> dict[str, list[bytes]]:
    """The records of each split."""
    return {
        split: [
            (bytes([99]) if coarse else b"") + bytes([label]) + image.tobytes()
            for label, image in zip(LABELS[split], COLOUR[split], strict=True)
        ]
        for split in COUNTS
    }


def cifar10_files() -> dict[str, bytes]:
    records = cifar_records(coarse=False)
    members = {
        f"cifar-10-batches-bin/data_batch_{n}.bin": b"".join(records["train"][5 * (n - 1) : 5 * n])
        for n in (1, 2, 3, 4)
    }
    members["cifar-10-batches-bin/data_batch_5.bin"] = b"".join(records["train"][20:])
    members["cifar-10-batches-bin/test_batch.bin"] = b"".join(records["test"])
    return {"cifar-10-binary.tar.gz": in_tar({"cifar-10-batches-bin/readme.html": b"<html>", **members})}


def cifar100_files() -> dict[str, bytes]:
    records = cifar_records(coarse=True)
    members = {f"cifar-100-binary/{split}.bin": b"".join(records[split]) for split in COUNTS}
    return {"cifar-100-binary.tar.gz": in_tar(members)}


def svhn_files() -> dict[str, bytes]:
    from scipy.io import savemat

    files = {}
    for split in COUNTS:
        buffer = io.BytesIO()
        labels = np.where(LABELS[split] == 0, 10, LABELS[split])[:, None]
        savemat(buffer, {"X": COLOUR[split].transpose(2, 3, 1, 0), "y": labels}, do_compression=True)
        files[f"{split}_32x32.mat"] = buffer.getvalue()
    return files


FILES: dict[str, tuple[Callable[[], dict[str, bytes]], dict[str, np.ndarray]]] = {
    "fashion-mnist": (mnist_files, GREY),
    "kmnist": (mnist_files, GREY),
    "emnist-balanced": (partial(emnist_files, 0), GREY),
    "emnist-letters": (partial(emnist_files, 1), GREY),
    "emnist-digits": (partial(emnist_files, 0), GREY),
    "qmnist": (qmnist_files, GREY),
    "cifar10": (cifar10_files, COLOUR),
    "cifar100": (cifar100_files, COLOUR),
    "svhn": (svhn_files, COLOUR),
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def remote(name: str, content: bytes) -> RemoteFile:
    return RemoteFile(name, f"md5:{hashlib.md5(content).hexdigest()}", len(content))


def small_row(monkeypatch: pytest.MonkeyPatch, name: str, mirror: str = "http://127.0.0.1:9/") -> dict[str, bytes]:
    """Let the table's row stand for small files, which are returned."""
    files = FILES[name][0]()
    pinned = tuple(remote(file, content) for file, content in files.items())
    counts = (COUNTS["train"], COUNTS["test"])
    changed = {"files": pinned, "mirrors": (mirror,), "counts": counts, "forms": (), "digests": None}
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], **changed))
    return files


def rows_of(images: ImageSet) -> set[tuple[bytes, str]]:
    """Each image with its class, in no order."""
    assert images.labels is not None
    pairs = zip(images.images.numpy(), images.labels.tolist(), strict=True)
    return {(image.tobytes(), images.class_names[label]) for image, label in pairs}


def expected(name: str, split: str) -> set[tuple[bytes, str]]:
    names, images = DATASETS[name].class_names, FILES[name][1][split]
    return {(image.tobytes(), names[label]) for image, label in zip(images, LABELS[split], strict=True)}


@pytest.mark.parametrize("name", FILES)
def test_every_published_layout_is_downloaded_and_read(
    name: str, served: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    for file, content in small_row(monkeypatch, name, address).items():
        (folder / file).write_bytes(content)
    assert not DATASETS[name].is_here()
    for split in ("train", "test"):
        found = load_images(name, split)
        assert rows_of(found) == expected(name, split)
        assert found.shape == DATASETS[name].shape
        assert (found.name, found.dataset, found.split) == (f"{name}/{split}", name, split)
        assert found.provenance == {"data": DATASETS[name].title, "licence": DATASETS[name].licence}
    val, fit = load_images(name, "val"), load_images(name, "fit")
    assert (len(val), len(fit)) == (4, 20)
    assert rows_of(val) | rows_of(fit) == expected(name, "train")
    assert DATASETS[name].is_here()
    for file in folder.iterdir():  # what is here needs no server
        file.unlink()
    assert len(DATASETS[name].images("test")) == 12


@pytest.mark.parametrize("name", FILES)
def test_what_is_cut_short_is_one_line_and_no_images(
    name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small_row(monkeypatch, name)
    row = DATASETS[name]
    pinned = []
    for file, content in files.items():  # pinned as they are, so that the reader meets the damage
        (tmp_path / file).write_bytes(content[: len(content) // 2])
        pinned.append(remote(file, content[: len(content) // 2]))
    monkeypatch.setitem(DATASETS, name, replace(row, files=tuple(pinned)))
    take_files(tmp_path, [name])
    with pytest.raises(PocketganError) as caught:
        DATASETS[name].images("test")
    assert "\n" not in str(caught.value)
    assert str(row.folder) in str(caught.value)


def test_emnist_comes_upright(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gzip.zip").write_bytes(small_row(monkeypatch, "emnist-letters")["gzip.zip"])
    take_files(tmp_path, ["emnist-letters"])
    np.testing.assert_array_equal(load_images("emnist-letters").images[:, 0].numpy(), GREY["train"])
    assert load_images("emnist-letters").class_names[0] == "a"


# ---- CIFAR's other forms ------------------------------------------------------------------------------------------


def python2_batch(images: np.ndarray, labels: list[int], key: str) -> bytes:
    """A batch as Python 2 pickled it: protocol 2, texts as bytes, an array of NumPy by its names."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        + text(b"b")
        + b"\x87R(K\x01K"
        + bytes([len(images)])
        + b"M\x00\x0c\x86cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + text(images.tobytes())
        + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    names = b"](" + text(b"one.png") + text(b"data of a file name") + b"e"
    pairs = text(b"batch_label") + text(b"batch 1 of 5") + text(key.encode()) + numbers + text(b"data") + array
    return b"\x80\x02}(" + pairs + text(b"filenames") + names + b"u."


@pytest.mark.parametrize("key", ["labels", "fine_labels"])
def test_a_pickled_batch_is_read_as_python_2_wrote_it(key: str) -> None:
    content = python2_batch(COLOUR["test"], LABELS["test"].tolist(), key)
    told = pickle.loads(content, encoding="latin1")  # the bytes above are a pickle, by Python's own judgement
    np.testing.assert_array_equal(told["data"].reshape(-1, 3, 32, 32), COLOUR["test"])
    images, labels = read_batch(content, key)
    np.testing.assert_array_equal(images, COLOUR["test"])
    assert labels.tolist() == LABELS["test"].tolist() == told[key]


def test_a_pickle_that_would_run_something_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    content = pickle.dumps({"data": Trap(), "labels": [1]}, protocol=2)
    with pytest.raises(ValueError, match="it holds"):
        read_batch(content, "labels")
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)
    assert (tmp_path / "ran").exists()  # so the trap is one


def test_all_forms_of_cifar10_are_one_set(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers = [form.reader for form in DATASETS["cifar10"].forms]
    files = small_row(monkeypatch, "cifar10")
    row = DATASETS["cifar10"]
    batches = {
        f"data_batch_{n}": python2_batch(
            COLOUR["train"][5 * (n - 1) : 5 * n if n < 5 else 24],
            LABELS["train"][5 * (n - 1) : 5 * n if n < 5 else 24].tolist(),
            "labels",
        )
        for n in (1, 2, 3, 4, 5)
    } | {"test_batch": python2_batch(COLOUR["test"], LABELS["test"].tolist(), "labels")}
    archive = {"cifar-10-python.tar.gz": in_tar({f"cifar-10-batches-py/{k}": v for k, v in batches.items()})}
    forms = tuple(
        Form(tuple(remote(name, content) for name, content in form.items()), reader)
        for form, reader in zip((archive, batches), readers, strict=True)
    )
    mixed = {split: np.random.default_rng(1).permutation(count) for split, count in COUNTS.items()}
    arrays = {}
    for split in COUNTS:
        arrays[f"x_{split}"] = COLOUR[split].transpose(0, 2, 3, 1)[mixed[split]]
        arrays[f"y_{split}"] = LABELS[split][mixed[split]]
    np.savez(tmp_path / "mine.npz", **arrays)
    labels = {split: torch.from_numpy(LABELS[split].astype(np.int64)) for split in COUNTS}
    whole = {s: ordered(ImageSet(torch.from_numpy(COLOUR[s]), labels[s], row.class_names)) for s in COUNTS}
    digests = (whole["train"].digest, whole["test"].digest)
    seen = set()
    for number, form in enumerate((files, archive, batches, {"mine.npz": (tmp_path / "mine.npz").read_bytes()})):
        place = tmp_path / f"by hand {number}" / "deeper"
        place.mkdir(parents=True)
        for name, content in form.items():
            (place / name).write_bytes(content)
        monkeypatch.setenv(VARIABLE, str(tmp_path / f"cache {number}"))
        monkeypatch.setitem(DATASETS, "cifar10", replace(row, forms=forms, digests=digests, note=str(number)))
        assert take_files(place.parent, ["cifar10"]) == ("cifar10",)
        seen.add((load_images("cifar10", "test").digest, load_images("cifar10", "val").digest))
    assert len(seen) == 1
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache 4"))
    np.savez(tmp_path / "mine.npz", **arrays | {"y_test": 9 - arrays["y_test"]})
    (tmp_path / "wrong").mkdir()
    (tmp_path / "mine.npz").rename(tmp_path / "wrong/mine.npz")
    with pytest.raises(UsageError, match="has not all files of cifar10"):
        take_files(tmp_path / "wrong", ["cifar10"])


# ---- by hand ------------------------------------------------------------------------------------------------------


def test_files_by_hand_are_kept_for_every_later_command(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "downloads"
    place.mkdir()
    for file, content in small_row(monkeypatch, "kmnist").items():
        (place / file).write_bytes(content)
    with pytest.raises(SystemExit) as end:
        main(["datasets", "--data-folder", str(place), "--json"])
    assert end.value.code == 0
    states = {row["name"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert states["kmnist"] == states["mnist"] == states["stacked-mnist"] == "here"
    assert states["cifar10"] == "not here"
    assert len(load_images("kmnist")) == 24
    assert [path.name for path in place.iterdir()]  # copied, not moved


def test_training_takes_files_by_hand(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "downloads"
    place.mkdir()
    for file, content in small_row(monkeypatch, "kmnist").items():
        (place / file).write_bytes(content)
    trained = pg.train_classifier(
        "cnn", out=tmp_path / "c", data="kmnist", data_folder=place, epochs=1, batch_size=8, quiet=True, device="cpu"
    )
    assert trained.facts.data.name == "kmnist/train"


@pytest.mark.parametrize(
    ("names", "told"), [([], "holds the files of no data set"), (["svhn"], "has not all files of svhn")]
)
def test_a_folder_without_the_files_is_refused(names: list[str], told: str, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "train_32x32.mat").write_bytes(b"something else")
    with pytest.raises(UsageError, match=told):
        take_files(tmp_path, names)
    with pytest.raises(UsageError, match="is no folder"):
        take_files(tmp_path / "absent", names)
    assert not cache.exists() or not any(cache.iterdir())


def test_a_data_folder_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name it with --data"):
        pg.train("mlp", out=tmp_path / "run", data_folder=tmp_path)


# ---- Stacked-MNIST ------------------------------------------------------------------------------------------------


def test_stacked_mnist_has_every_mode_equally_often_and_its_digits_are_mnists() -> None:
    digits, stacked = load_images("mnist", "test"), load_images("stacked-mnist", "test")
    assert digits.labels is not None
    assert stacked.labels is not None
    assert torch.equal(stacked.labels.bincount(minlength=1000), torch.full((1000,), 10))
    known = {row.tobytes(): label for row, label in zip(digits.images.numpy(), digits.labels.tolist(), strict=True)}
    for image, label in zip(stacked.images[:500].numpy(), stacked.labels[:500].tolist(), strict=True):
        assert stacked.class_names[label] == "".join(str(known[plane.tobytes()]) for plane in image)
    assert stacked.digest == DATASETS["stacked-mnist"].images("test").digest  # drawn the same way every time
    planes = {plane.tobytes() for plane in stacked.images[:, 0].numpy()}
    assert len(planes) > 8500  # all images of most digits are used before one comes again


# ---- the hub ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "is_one"), [("hf:a/b", True), ("hf://a/b@main", True), ("hf", False), ("x/hf:a", False)]
)
def test_addresses_on_the_hub_are_told_from_paths(source: str, is_one: bool) -> None:
    assert is_hub_address(source) == is_one


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match="hf:OWNER/NAME"):
        load_images("hf:nothing")


@pytest.mark.extras
def test_a_set_of_the_hub_is_read_from_its_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def snapshot_download(repository: str, **options: Any) -> str:
        asked.append({"repository": repository, **options})
        return str(tmp_path / "out/parquet")

    pg.generate("digits", out=tmp_path / "out", count=40, format=["parquet"], test_share=0.25, quiet=True)
    module = types.ModuleType("huggingface_hub")
    module.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    train, test = load_images("hf:someone/digits@abc", "train"), load_images("hf:someone/digits@abc", "test")
    assert (len(train), len(test), train.class_names) == (30, 10, tuple("0123456789"))
    assert train.name == "hf:someone/digits@abc, train"
    ours = {row.tobytes() for row in pg.load("digits").sample(40).images.numpy()}
    assert {row.tobytes() for row in [*train.images.numpy(), *test.images.numpy()]} == ours
    assert asked[0] == {
        "repository": "someone/digits",
        "repo_type": "dataset",
        "revision": "abc",
        "allow_patterns": ["*.parquet"],
    }


# ---- the table ----------------------------------------------------------------------------------------------------


def test_the_document_is_the_table() -> None:
    text = (Path(__file__).parent.parent / "docs/datasets.md").read_text()
    assert text == datasets_page(), "write it anew: pocketgan datasets --markdown docs/datasets.md"
    for row in DATASETS.values():
        assert f"| `{row.name}` |" in text
        assert all(file.checksum.replace(":", " ") in text for file in row.files)


def test_named_sets_are_taken_as_their_publishers_divided_them() -> None:
    assert learning_images("mnist", "fit").name == "mnist/fit"


@pytest.mark.publishers
@pytest.mark.parametrize("name", [name for name, row in DATASETS.items() if not row.embedded])
def test_the_publishers_own_files_are_what_the_table_says(name: str, cache: Path) -> None:
    try:
        take_files(Path(os.environ[REAL]), [name])
    except UsageError:
        pytest.skip(f"{name} is not there")
    row = DATASETS[name]
    for split, count, place in zip(("train", "test"), row.counts, (0, 1), strict=True):
        found = load_images(name, split)
        assert (len(found), found.shape) == (count, row.shape)
        assert found.labels is not None
        assert (found.labels.bincount(minlength=len(row.class_names)) > 0).all()
        assert row.digests is None or found.digest == row.digests[place]
