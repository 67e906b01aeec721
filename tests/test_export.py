"""The export: what other people's loaders read is what was generated, whatever the parts, and it is there whole."""

from __future__ import annotations

import csv
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.pixels import grid
from pocketgan.core.rng import BLOCK, latents
from pocketgan.data.datasets import DATASETS
from pocketgan.data.idx import read_idx
from pocketgan.data.image_set import Samples
from pocketgan.data.load import load_images
from pocketgan.models.model import Model
from pocketgan.networks.architectures import build_pair
from pocketgan.recipes import gan_recipe
from pocketgan.runs.facts import PairFacts
from pocketgan.writers import FORMATS, export_samples

ALL = tuple(name for name in FORMATS if name not in ("parquet", "tfrecord"))  # what needs no optional package
DIGITS = tuple("0123456789")
START = 500  # of the index: not 0, so that a row's place and its index differ


def made(count: int, *, labelled: bool = True, channels: int = 1, classes: Sequence[str] = DIGITS) -> Samples:
    """Synthetic samples whose every row is another."""
    random = np.random.default_rng(0)
    return Samples(
        images=torch.from_numpy(random.integers(0, 256, (count, channels, 12, 8), dtype=np.uint8)),
        labels=torch.from_numpy(random.integers(0, len(classes), count)) if labelled else None,
        class_names=tuple(classes) if labelled else (),
        provenance={"made_by": "pocketgan, recipe pocket", **DATASETS["mnist"].provenance},
        latents=torch.from_numpy(random.standard_normal((count, 3), dtype=np.float32)),
        seed=7,
        index=torch.arange(START, START + count),
        label_source="asked" if labelled else "none",
    )


def cut(whole: Samples, size: int) -> Iterator[Samples]:
    """The same rows in parts of `size`."""
    for start in range(0, len(whole), size):
        rows = slice(start, start + size)
        yield Samples(
            images=whole.images[rows],
            labels=None if whole.labels is None else whole.labels[rows],
            class_names=whole.class_names,
            provenance=whole.provenance,
            latents=whole.latents[rows],
            seed=whole.seed,
            index=whole.index[rows],
            label_source=whole.label_source,
        )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def archive_of(out: Path) -> dict[str, NDArray[np.generic]]:
    with np.load(out / "samples.npz", allow_pickle=False) as archive:
        return dict(archive)


def read_as_torchvision(path: Path) -> NDArray[np.uint8]:
    """torchvision's rule, by struct: magic 256 * type + dimensions, then big-endian sizes, then bytes."""
    content = path.read_bytes()
    (magic,) = struct.unpack(">i", content[:4])
    assert magic == (2051 if "images" in path.name else 2049)
    sizes = struct.unpack(f">{magic % 256}i", content[4 : 4 + 4 * (magic % 256)])
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)


def test_npz_gives_every_row_and_fact_back_without_pickles(tmp_path: Path) -> None:
    whole = made(300)
    assert whole.labels is not None
    export_samples(cut(whole, 128), 300, tmp_path / "out", ["npz"])
    read = archive_of(tmp_path / "out")
    assert set(read) == {"images", "labels", "latents", "index", "seed", "class_names", "licence", "provenance"}
    for name, expected in {
        "images": whole.images[:, 0].numpy(),
        "labels": whole.labels.numpy(),
        "latents": whole.latents.numpy(),
        "index": whole.index.numpy(),
    }.items():
        np.testing.assert_array_equal(read[name], expected, strict=True)
    assert read["seed"].dtype == np.int64
    assert read["seed"].shape == ()
    assert read["seed"] == 7
    assert read["class_names"].tolist() == list(DIGITS)
    assert read["licence"].item() == DATASETS["mnist"].provenance["licence"]
    assert json.loads(read["provenance"].item())["data"] == DATASETS["mnist"].provenance["data"]
    assert zipfile.ZipFile(tmp_path / "out" / "samples.npz").testzip() is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "LICENSE.txt",
        "provenance.json",
        "samples.npz",
    ]


def test_npz_of_colour_images_has_channels_last_and_no_labels_where_there_are_none(tmp_path: Path) -> None:
    whole = made(40, labelled=False, channels=3)
    export_samples(cut(whole, 16), 40, tmp_path / "out", ["npz", "grid"])
    read = archive_of(tmp_path / "out")
    np.testing.assert_array_equal(read["images"], whole.images.permute(0, 2, 3, 1).numpy(), strict=True)
    assert "labels" not in read
    assert read["class_names"].tolist() == []


@pytest.mark.parametrize(("share", "train"), [(0.25, 225), (0.001, None), (1 / 300, 299), (0.5, 150)])
def test_npz_with_a_test_share_has_the_keys_of_keras_split_by_position(
    tmp_path: Path, share: float, train: int | None
) -> None:
    whole, out = made(300), tmp_path / "out"
    if train is None:
        with pytest.raises(UsageError, match="--test-share"):
            export_samples(cut(whole, 128), 300, out, ["npz"], test_share=share)
        return
    assert whole.labels is not None
    export_samples(cut(whole, 128), 300, out, ["npz"], test_share=share)
    read = archive_of(out)
    for name, expected in {
        "x": whole.images[:, 0].numpy(),
        "y": whole.labels.numpy(),
        "latents": whole.latents.numpy(),
        "index": whole.index.numpy(),
    }.items():
        np.testing.assert_array_equal(read[f"{name}_train"], expected[:train], strict=True)
        np.testing.assert_array_equal(read[f"{name}_test"], expected[train:], strict=True)
    assert "images" not in read
    assert "labels" not in read


@pytest.mark.parametrize(("share", "train"), [(None, 240), (0.5, 140)])
def test_idx_is_read_as_torchvision_reads_mnist(tmp_path: Path, share: float | None, train: int) -> None:
    whole, out = made(280), tmp_path / "out"
    assert whole.labels is not None
    written = export_samples(cut(whole, 100), 280, out, ["idx"], test_share=share)
    raw = out / "MNIST" / "raw"
    assert set(raw.iterdir()) <= set(written)
    for side, rows in {"train": slice(train), "t10k": slice(train, None)}.items():
        for reader in (read_as_torchvision, read_idx):
            images = reader(raw / f"{side}-images-idx3-ubyte")
            labels = reader(raw / f"{side}-labels-idx1-ubyte")
            np.testing.assert_array_equal(images, whole.images[rows, 0].numpy())
            np.testing.assert_array_equal(labels, whole.labels[rows].numpy())
    assert len(list(raw.iterdir())) == 4


def test_idx_keeps_all_256_labels(tmp_path: Path) -> None:
    whole = made(2000, classes=[f"class {number}" for number in range(256)])
    assert whole.labels is not None
    assert whole.labels.max() == 255
    export_samples(cut(whole, 128), 2000, tmp_path / "out", ["idx"], test_share=0.5)
    raw = tmp_path / "out" / "MNIST" / "raw"
    halves = [read_as_torchvision(raw / f"{side}-labels-idx1-ubyte") for side in ("train", "t10k")]
    assert np.concatenate(halves).tolist() == whole.labels.tolist()


def test_png_files_are_named_by_label_and_index_beside_their_latents(tmp_path: Path) -> None:
    whole, out = made(150), tmp_path / "out"
    assert whole.labels is not None
    export_samples(cut(whole, 64), 150, out, ["png"])
    assert len(list((out / "png").rglob("*.png"))) == 150
    for row, label in enumerate(whole.labels.tolist()):
        with Image.open(out / "png" / DIGITS[label] / f"{START + row:06d}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), whole.images[row, 0].numpy())
    kept = np.load(out / "png" / "latents.npy", allow_pickle=False)
    np.testing.assert_array_equal(kept, whole.latents.numpy(), strict=True)
    with (out / "png" / "metadata.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 150


def test_what_is_written_loads_again_under_its_licence(tmp_path: Path) -> None:
    whole, out = made(150), tmp_path / "out"
    assert whole.labels is not None
    export_samples(cut(whole, 64), 150, out, ["png", "idx"], test_share=0.2)
    for path, split, rows in (
        (out / "png/train", "train", slice(120)),
        (out / "png/test", "train", slice(120, 150)),
        (out, "train", slice(120)),
        (out, "test", slice(120, 150)),
    ):
        read = load_images(path, split)
        assert torch.equal(read.images, whole.images[rows])
        assert read.labels is not None
        assert torch.equal(read.labels, whole.labels[rows])
        assert read.provenance["licence"] == DATASETS["mnist"].provenance["licence"]
        assert read.provenance["data"] == DATASETS["mnist"].provenance["data"]


@pytest.mark.parametrize("share", [None, 0.2])
def test_an_archive_tells_the_same_origin_as_the_pictures(tmp_path: Path, share: float | None) -> None:
    export_samples(cut(made(20), 8), 20, tmp_path / "out", ["png", "npz"], test_share=share)
    known = load_images(tmp_path / "out" / "samples.npz").provenance
    assert known == {"made_by": "pocketgan, recipe pocket", **DATASETS["mnist"].provenance, "label_source": "asked"}
    for folder in ("png",) if share is None else ("png/train", "png/test"):
        assert known == load_images(tmp_path / "out" / folder).provenance


@pytest.mark.parametrize("count", [1, 99, 230])
def test_grid_shows_the_first_hundred_in_ten_columns(tmp_path: Path, count: int) -> None:
    whole = made(count)
    export_samples(cut(whole, 64), count, tmp_path / "out", ["grid"])
    with Image.open(tmp_path / "out" / "grid.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), grid(whole.images[:100], columns=10)[0].numpy())


def test_provenance_and_licence_come_with_every_set(tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = export_samples(cut(made(20), 8), 20, out, ["grid", "npz", "grid"])
    assert written == [out / name for name in ("grid.png", "samples.npz", "provenance.json", "LICENSE.txt")]
    assert json.loads((out / "provenance.json").read_text(encoding="utf-8")) == {
        "format_version": 1,
        "made_by": "pocketgan, recipe pocket",
        **DATASETS["mnist"].provenance,
        "count": 20,
        "seed": 7,
        "label_source": "asked",
        "class_names": list(DIGITS),
        "formats": ["grid", "npz"],
    }
    text = (out / "LICENSE.txt").read_text(encoding="utf-8")
    assert "CC BY-SA 3.0" in text
    assert "trained on MNIST" in text


def test_no_licence_is_claimed_where_none_is_known(tmp_path: Path) -> None:
    whole = made(20)
    whole.provenance.clear()
    export_samples(cut(whole, 8), 20, tmp_path / "out", ["npz"])
    assert set(contents(tmp_path / "out")) == {"samples.npz", "provenance.json"}
    assert archive_of(tmp_path / "out")["licence"].item() == ""


@pytest.mark.parametrize(("formats", "share"), [(ALL, None), (("npz", "idx"), 0.3)])
def test_bytes_depend_neither_on_the_parts_nor_on_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formats: Sequence[str], share: float | None
) -> None:
    whole = made(130)
    export_samples(cut(whole, 128), 130, tmp_path / "first", formats, test_share=share)
    first = contents(tmp_path / "first")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    for size in (1, 37, 130):
        out = tmp_path / str(size)
        export_samples(cut(whole, size), 130, out, formats, test_share=share)
        assert contents(out) == first


def test_zip_members_carry_no_clock(tmp_path: Path) -> None:
    export_samples(cut(made(20), 8), 20, tmp_path / "out", ["npz"])
    with zipfile.ZipFile(tmp_path / "out" / "samples.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UsageError("no"), OSError(28, "No space left on device")])
@pytest.mark.parametrize("empty_folder", [False, True])
def test_an_error_in_the_middle_leaves_nothing(tmp_path: Path, error: BaseException, empty_folder: bool) -> None:
    out = tmp_path / "out"
    if empty_folder:
        out.mkdir()

    def broken() -> Iterator[Samples]:
        yield from cut(made(200), 64)
        raise error

    expected = PocketganError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        export_samples(broken(), 400, out, ALL)
    assert [path.name for path in tmp_path.rglob("*")] == (["out"] if empty_folder else [])


@pytest.mark.parametrize("name", ALL)
def test_a_write_that_fails_is_one_line_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 1000  # bytes in one file: as a full disk, every later write fails
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(PocketganError, match="could not be written") as caught:
            export_samples(cut(made(1000), 128), 1000, tmp_path / "out", [name])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_count(tmp_path: Path) -> None:
    rows, side, dim = 200_000, 8, 8
    bytes_of_all = rows * (side * side + 4 * dim + 8 + 8)

    def stream() -> Iterator[Samples]:
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            yield Samples(  # of numpy's memory, which tracemalloc sees
                images=torch.from_numpy(np.full((count, 1, side, side), start % 251, dtype=np.uint8)),
                labels=torch.from_numpy(np.zeros(count, dtype=np.int64)),
                class_names=("0",),
                latents=torch.from_numpy(np.zeros((count, dim), dtype=np.float32)),
                index=torch.from_numpy(np.arange(start, start + count)),
            )

    tracemalloc.start()
    try:
        export_samples(stream(), rows, tmp_path / "out", ["npz", "idx", "grid"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20 < bytes_of_all / 5
    assert archive_of(tmp_path / "out")["index"][-1] == rows - 1


def test_progress_counts_the_images_written(tmp_path: Path) -> None:
    seen: list[int] = []
    export_samples(cut(made(300), 128), 300, tmp_path / "out", ["grid"], on_progress=seen.append)
    assert seen == [128, 256, 300]


@pytest.mark.parametrize(
    ("formats", "share", "says"),
    [
        (["pmg"], None, "did you mean 'png'"),
        ([], None, "--format"),
        (["npz"], 0.0, "--test-share"),
        (["npz"], 1.0, "--test-share"),
        (["idx"], -0.5, "--test-share"),
        (["npz"], float("nan"), "--test-share"),
        (["npz"], 0.999, "--test-share"),
        (["grid"], 0.5, "--test-share"),
    ],
)
def test_wrong_requests_name_the_option(tmp_path: Path, formats: list[str], share: float | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        export_samples(cut(made(20), 8), 20, tmp_path / "out", formats, test_share=share)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "whole",
    [
        made(20, labelled=False),
        made(20, channels=3),
        made(20, classes=[str(number) for number in range(257)]),
        made(2),
    ],
    ids=["no labels", "colour", "257 classes", "too few for a test share"],
)
def test_idx_refuses_what_it_cannot_hold(tmp_path: Path, whole: Samples) -> None:
    with pytest.raises(UsageError, match=r"--format idx|--test-share"):
        export_samples(cut(whole, 8), len(whole), tmp_path / "out", ALL)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_refused_and_untouched(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="--out"):
        export_samples(cut(made(20), 8), 20, out, ALL)
    assert contents(out) == {"thesis.txt": b"mine"}


@pytest.mark.parametrize("count", [19, 21])
def test_parts_that_do_not_add_up_are_an_error(tmp_path: Path, count: int) -> None:
    with pytest.raises(ValueError, match=f"{count}"):
        export_samples(cut(made(20), 8), count, tmp_path / "out", ["npz"])
    assert list(tmp_path.iterdir()) == []


def test_parts_of_two_kinds_are_an_error(tmp_path: Path) -> None:
    mixed = [*cut(made(8), 8), *cut(made(8, labelled=False), 8)]
    with pytest.raises(ValueError, match="does not fit"):
        export_samples(iter(mixed), 16, tmp_path / "out", ["npz"])


def test_a_model_makes_the_exported_images_again_from_the_exported_latents(tmp_path: Path) -> None:
    recipe = gan_recipe("pocket", {"latent_dim": 5})
    model = Model(*build_pair(recipe, (1, 28, 28), 10), recipe, (1, 28, 28), DIGITS, PairFacts())
    export_samples(model.stream(150, seed=3, start=70), 150, tmp_path / "out", ALL)
    read = archive_of(tmp_path / "out")
    z, y = torch.from_numpy(read["latents"]), torch.from_numpy(read["labels"])
    assert torch.equal(model.images(z, y)[:, 0], torch.from_numpy(read["images"]))
    assert torch.equal(z, latents(int(read["seed"]), 70, 220, 5))
    assert read["index"].tolist() == list(range(70, 220))
