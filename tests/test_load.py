"""The one door: whatever people keep small images in gives the same image set, and what is broken gives one line."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data.idx import idx_header
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.data.pictures import read_picture

GREY = np.random.default_rng(0).integers(0, 256, (6, 9, 12), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 9, 12, 3), dtype=np.uint8)
LABELS = np.array([2, 0, 1, 1, 0, 2])

Loaded = TypeVar("Loaded")

each_example_in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def save(path: Path, array: np.ndarray, kind: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, format=kind)


def write_csv(folder: Path, *lines: str) -> None:
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_idx(path: Path, array: np.ndarray) -> None:
    content = idx_header(array.shape) + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def refusal(source: Path, *parts: str, split: str = "train") -> None:
    """Loading fails with one line that holds all these parts."""
    with pytest.raises(PocketganError) as caught:
        load_images(source, split)
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line, line


def attempt(load: Callable[[Path], Loaded], path: Path) -> Loaded | None:
    """What is loaded from a file that may be damaged; None if it was refused with one line that names it."""
    try:
        return load(path)
    except PocketganError as error:
        line = str(error)
    assert str(path) in line
    assert "\n" not in line
    return None


def same(found: ImageSet, images: np.ndarray, labels: np.ndarray | None, names: tuple[str, ...] = ()) -> None:
    np.testing.assert_array_equal(found.images.numpy(), images, strict=True)
    assert (found.labels is None) == (labels is None)
    if labels is not None and found.labels is not None:
        assert found.labels.tolist() == labels.tolist()
    assert found.class_names == names


@pytest.mark.parametrize(
    "names",
    [
        ("class_1", "class_2", "class_10"),
        ("1", "2", "10"),
        ("0", "7", "a", "b010", "b10"),
        ("v1.2.10", "v1.10.1"),
        ("-1", "0", "3", "x"),
    ],
)
def test_class_folders_come_in_natural_order(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        save(tmp_path / "set" / name / "1.png", GREY[0])
    assert load_images(tmp_path / "set").class_names == names


# MNIST and the door itself


@pytest.mark.parametrize("split", ["train", "fit", "val", "test"])
def test_mnist_comes_by_its_name(split: str) -> None:
    found = load_images("mnist", split)
    assert (found.name, found.split, found.dataset) == (f"mnist/{split}", split, "mnist")
    assert load_images("mnist", split) is found, "decoded once"


def test_an_unknown_split_and_a_missing_path_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'test'"):
        load_images("mnist", "tset")
    with pytest.raises(UsageError, match="nowhere is missing"):
        load_images(tmp_path / "nowhere")


def test_only_what_has_test_images_can_be_asked_for_them(tmp_path: Path) -> None:
    """Else a classifier might be tested on the images it was trained on."""
    save(tmp_path / "flat" / "a.png", GREY[0])
    np.save(tmp_path / "images.npy", GREY)
    np.savez(tmp_path / "images.npz", images=GREY)
    write_idx(tmp_path / "images", GREY)
    for name in ("flat", "images.npy", "images.npz", "images"):
        assert load_images(tmp_path / name).split == "all"
        with pytest.raises(UsageError, match="has no test images"):
            load_images(tmp_path / name, "test")


@pytest.mark.parametrize("labelled", [True, False])
def test_every_source_has_the_same_val_and_fit_whatever_it_is_called(tmp_path: Path, labelled: bool) -> None:
    labels = np.arange(120) % 3 // 2  # 80 and 40
    arrays = {"images": np.arange(120 * 108, dtype=np.uint32).astype(np.uint8).reshape(120, 9, 12)}
    arrays["images"][:, 0, 0] = np.arange(120)
    path = zipped(tmp_path / "set.npz", arrays | ({"labels": labels} if labelled else {}))
    whole, fit, val = load_images(path), load_images(path, "fit"), load_images(path, "val")
    assert (fit.split, val.split, val.name) == ("fit", "val", f"{path}, val")
    rows = {split: set(part.images[:, 0, 0, 0].tolist()) for split, part in (("fit", fit), ("val", val))}
    assert rows["fit"] | rows["val"] == set(range(120))
    assert not rows["fit"] & rows["val"]
    assert len(val) == 20
    if labelled:
        assert val.labels is not None
        assert val.labels.bincount().tolist() in ([13, 7], [14, 6])
    else:
        assert val.labels is None
    zipped(tmp_path / "other.npz", {"images": whole.images.numpy(), "labels": labels} if labelled else arrays)
    assert load_images(tmp_path / "other.npz", "val").digest == val.digest


def test_a_set_too_small_to_set_any_aside_has_no_val(tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", GREY[:2])
    with pytest.raises(UsageError, match="too few"):
        load_images(tmp_path / "two.npy", "val")


def test_pictures_are_decoded_once_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = Image.open

    def counting(path: Path, **options: Any) -> Image.Image:
        opened.append(path.name)
        return original(path, **options)

    monkeypatch.setattr(Image, "open", counting)
    folder = tmp_path / "set"
    for number, name in enumerate(("a/1.png", "a/2.png", "b/3.png", "b/4.png", "b/5.png", "b/6.png")):
        save(folder / name, GREY[number])
    time.sleep(0.1)
    first = load_images(folder)
    load_images(folder, "val"), load_images(folder, "fit")
    assert load_images(folder) is first
    assert sorted(opened) == [f"{number}.png" for number in range(1, 7)]
    changes: list[Callable[[], object]] = [
        lambda: save(folder / "a/1.png", GREY[3]),
        lambda: save(folder / "a/9.png", GREY[1]),
        lambda: (folder / "b/3.png").unlink(),
        lambda: (folder / "b").rename(folder / "c"),
        lambda: (folder / "provenance.json").write_text('{"licence": "CC0"}'),
        lambda: (folder / "metadata.csv").write_text("file_name\na/2.png\n"),
    ]
    seen = [first]
    for change in changes:
        change()
        found = load_images(folder)
        assert (found.digest, found.class_names, found.provenance) != (
            seen[-1].digest,
            seen[-1].class_names,
            seen[-1].provenance,
        )
        seen.append(found)
        time.sleep(0.1)


def test_what_has_just_been_written_is_not_taken_for_settled(tmp_path: Path) -> None:
    """A clock too coarse to tell two writes apart must not hide the second one."""
    for number in range(20):
        np.save(tmp_path / "images.npy", np.full((3, 8, 8), number, np.uint8))
        assert int(load_images(tmp_path / "images.npy").images.max()) == number


def test_name_and_provenance_tell_where_images_come_from(tmp_path: Path) -> None:
    save(tmp_path / "set" / "a.png", GREY[0])
    assert load_images(f"{tmp_path}/set/").name == f"{tmp_path}/set"
    assert load_images(tmp_path / "set").provenance == {"data": "set"}
    about = {"licence": "CC0", "count": 3, "data": "digits"}
    (tmp_path / "set" / "provenance.json").write_text(json.dumps(about))
    assert load_images(tmp_path / "set").provenance == {"licence": "CC0", "data": "digits"}
    for broken in ("[1]", "{", "\xff"):
        (tmp_path / "set" / "provenance.json").write_bytes(broken.encode("latin-1"))
        refusal(tmp_path / "set", "provenance.json")


def test_a_strangers_provenance_is_kept_short_and_plain(tmp_path: Path) -> None:
    about = {"licence": "CC0\n\x1b[31m \u202eby\ud800 nobody", "data": "x" * 5000, "rows": [1], "seed": 3}
    text = json.dumps(about | {f"more {number}": "text" for number in range(100)})
    save(tmp_path / "set" / "a.png", GREY[0])
    (tmp_path / "set" / "provenance.json").write_text(text)
    np.savez(tmp_path / "set.npz", images=GREY, provenance=text)
    for source in ("set", "set.npz"):
        known = load_images(tmp_path / source).provenance
        assert known["licence"] == "CC0 [31m by nobody"
        assert known["data"] == "x" * 1000
        assert len(known) == 20
        assert {"rows", "seed"}.isdisjoint(known)


@pytest.mark.parametrize("broken", ["[1]", "{", "", "[" * 100_000, ["{}"], 3.0, '"' + "x" * (1 << 20) + '"'])
def test_an_archive_whose_provenance_is_no_object_is_refused(tmp_path: Path, broken: object) -> None:
    np.savez(tmp_path / "set.npz", images=GREY, provenance=np.array(broken))
    refusal(tmp_path / "set.npz", "set.npz [provenance]")


@pytest.mark.parametrize("content", [b"", b"P", b"hello", b"\x93NUMP", b"\x1f\x8b", b"PK\x03\x04", b"\0\0\x08\x03"])
def test_a_file_of_no_known_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.npz").write_bytes(content)
    refusal(tmp_path / "file.npz", str(tmp_path / "file.npz"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refusal(tmp_path / "pipe", "pipe is missing")
    refusal(tmp_path, "pipe is missing or not a file")


# Folders of pictures


def test_class_folders_are_classes_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name, image in zip(("10", "9", "2", "2"), GREY[:4], strict=True):
        save(tmp_path / name / f"{len(list(tmp_path.rglob('*')))}.png", image)
    for litter in (
        ".DS_Store",
        "Thumbs.db",
        "LICENSE.txt",
        "LICENSE-CC.txt",
        ".hidden/x",
        "10/.DS_Store",
        "latents.npy",
    ):
        (tmp_path / litter).parent.mkdir(exist_ok=True)
        (tmp_path / litter).write_text("no picture")
    same(load_images(tmp_path), GREY[[2, 3, 1, 0], None], np.array([0, 0, 1, 2]), ("2", "9", "10"))


def test_class_folders_with_words_are_sorted_as_text(tmp_path: Path) -> None:
    for name, image in zip(("dog", "cat"), COLOUR[:2], strict=True):
        save(tmp_path / name / "1.png", image)
    same(load_images(tmp_path), COLOUR[[1, 0]].transpose(0, 3, 1, 2), np.array([0, 1]), ("cat", "dog"))


def test_a_flat_folder_has_no_labels_and_kinds_are_told_by_content(tmp_path: Path) -> None:
    for row, kind in enumerate(("PNG", "BMP", "GIF")):
        save(tmp_path / f"{row}.wrong", GREY[row], kind)
    same(load_images(tmp_path), GREY[:3, None], None)


def test_jpeg_is_read_nearly_as_written(tmp_path: Path) -> None:
    smooth = np.linspace(0, 250, 12 * 16, dtype=np.uint8).reshape(12, 16)
    save(tmp_path / "a.jpg", smooth, "JPEG")
    assert np.abs(load_images(tmp_path).images[0, 0].numpy().astype(int) - smooth).max() < 12


def test_grey_among_colour_becomes_colour(tmp_path: Path) -> None:
    save(tmp_path / "0.png", GREY[0])
    save(tmp_path / "1.png", COLOUR[1])
    found = load_images(tmp_path).images.numpy()
    np.testing.assert_array_equal(found[0], np.stack([GREY[0]] * 3))
    np.testing.assert_array_equal(found[1], COLOUR[1].transpose(2, 0, 1))


def test_every_mode_becomes_grey_or_rgb_on_black(tmp_path: Path) -> None:
    grey, colour = Image.fromarray(GREY[0]), Image.fromarray(COLOUR[0])
    half = Image.fromarray(np.full((9, 12), 128, dtype=np.uint8))
    black = Image.new("L", (12, 9), 0)
    faded = np.array(colour).astype(float) * 128 / 255
    sixteen = Image.fromarray(GREY[0].astype(np.uint16) * 256 + 255)
    pictures: dict[str, tuple[Image.Image, np.ndarray]] = {
        "bits": (grey.convert("1"), np.asarray(grey.convert("1")) * np.uint8(255)),
        "sixteen": (sixteen, GREY[0]),
        "palette": (colour.quantize(8), np.asarray(colour.quantize(8).convert("RGB"))),
        "alpha": (Image.merge("RGBA", (*colour.split(), half)), faded),
        "unseen": (Image.merge("LA", (grey, black)), np.zeros((9, 12))),
    }
    for name, (picture, expected) in pictures.items():
        picture.save(tmp_path / name, format="PNG")
        read = read_picture(tmp_path / name)
        assert (read.shape, read.dtype) == (expected.shape, np.uint8), name
        assert np.abs(read - expected.astype(float)).max() <= 1, name
    grey.save(tmp_path / "key", format="PNG", transparency=int(GREY[0, 0, 0]))
    np.testing.assert_array_equal(read_picture(tmp_path / "key"), np.where(GREY[0] == GREY[0, 0, 0], 0, GREY[0]))


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    first, second = Image.fromarray(GREY[0]), Image.fromarray(GREY[1])
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    same(load_images(tmp_path), GREY[:1, None], None)


def test_pictures_of_two_sizes_are_refused_by_name(tmp_path: Path) -> None:
    for name, side in (("a", 9), ("b", 9), ("c", 10), ("d", 11)):
        save(tmp_path / f"{name}.png", np.zeros((side, 9), dtype=np.uint8))
    refusal(tmp_path, "a.png", "c.png", "resize")


@pytest.mark.parametrize("side", [7, 129, 2000])
def test_sides_outside_8_to_128_are_refused(tmp_path: Path, side: int) -> None:
    for number, size in enumerate([(side, 28), (28, side)]):
        save(tmp_path / str(number) / "a.png", np.zeros(size, dtype=np.uint8))
        refusal(tmp_path / str(number), "a.png", "8 to 128")
        np.save(tmp_path / f"{number}.npy", np.zeros((2, *size), dtype=np.uint8))
        refusal(tmp_path / f"{number}.npy", f"{number}.npy", "8 to 128")
        write_idx(tmp_path / f"{number}.idx", np.zeros((2, *size), dtype=np.uint8))
        refusal(tmp_path / f"{number}.idx", f"{number}.idx", "8 to 128")


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for number, sides in enumerate([(10_000, 10_000), (60_000, 60_000)]):
        header = struct.pack(">2I5B", *sides, 8, 0, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zipfile.crc32(b"IHDR" + header))
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\1IDAT\0\0\0\0\0")
        refusal(tmp_path / str(number), "bomb.png", "decompression bomb")


def test_folders_that_hold_something_else_are_refused_by_name(tmp_path: Path) -> None:
    refusal(tmp_path, str(tmp_path), "no pictures")
    save(tmp_path / "1" / "a.png", GREY[0])
    save(tmp_path / "2" / "a.png", GREY[0])
    save(tmp_path / "2" / "3" / "b.png", GREY[1])
    refusal(tmp_path, str(tmp_path / "2" / "3"), f"load {tmp_path / '2'}")
    (tmp_path / "2" / "3" / "b.png").unlink()
    (tmp_path / "2" / "3").rmdir()
    save(tmp_path / "c.png", GREY[0])
    refusal(tmp_path, "c.png", "beside the folder 1")


@each_example_in_one_folder
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]))
def test_a_damaged_picture_gives_a_picture_or_one_line(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(COLOUR[0]).save(buffer, format=kind)
    content = bytearray(buffer.getvalue())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(0, 255))
    (tmp_path / "p").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    read = attempt(read_picture, tmp_path / "p")
    assert read is None or (read.dtype == np.uint8 and min(read.shape[:2]) >= 8)


# Folders with a metadata.csv


def test_a_table_decides_which_pictures_and_labels_there_are(tmp_path: Path) -> None:
    for row in range(4):
        save(tmp_path / "some" / f"{row}.png", GREY[row])
    (tmp_path / "notes.txt").write_text("not named, so not looked at")
    write_csv(tmp_path, "label,file_name,colour", "5,some/3.png,red", "0,some/1.png,blue")
    same(load_images(tmp_path), GREY[[3, 1], None], np.array([5, 0]), tuple("012345"))
    write_csv(tmp_path, "\ufefffile_name,label", "some/3.png,dog", "some/1.png,cat", '"some/0.png",cat')
    same(load_images(tmp_path), GREY[[3, 1, 0], None], np.array([1, 0, 0]), ("cat", "dog"))
    write_csv(tmp_path, "file_name,label,class_name", "some/3.png,2,dog", "some/1.png,0,10", "some/2.png,2,dog")
    same(load_images(tmp_path), GREY[[3, 1, 2], None], np.array([2, 0, 2]), ("10", "1", "dog"))
    for lines in (("file_name", "some/2.png"), ("file_name,label", "some/2.png,")):
        write_csv(tmp_path, *lines)
        same(load_images(tmp_path), GREY[[2], None], None)


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (("file_name,label", "a.png,0", "gone.png,1"), ("line 3", "gone.png", "missing")),
        (("file_name,label", "../secret.png,0"), ("line 2", "not inside")),
        (("file_name,label", '"go\nne.png",0'), ("line 3", "missing")),
        (("file_name,label", "/etc/hostname,0"), ("line 2", "not inside")),
        (("file_name,label", "a.png,0", "a.png,"), ("line 3", "no label")),
        (("file_name,label", "a.png,-1"), ("label -1",)),
        (("file_name,label", "a.png,10001"), ("label 10001",)),
        (("file_name,label", "a.png,1", "a.png,l"), ("line 3", "'l'")),
        (("file_name,label,class_name", "a.png,1,cat", "a.png,1,dog"), ("line 3", "'dog'", "'cat'")),
        (("file_name,label", "a.png"), ("line 2", "cells")),
        (("file_name,label", "a.png,1,2"), ("line 2", "cells")),
        (("name,label", "a.png,1"), ("no column file_name",)),
        (("file_name,label",), ("no rows",)),
        (("",), ("no column",)),
        (("file_name,label", '"a.png,1'), ("CSV",)),
        (("file_name,label", "a\0.png,1"), ("line 2",)),
        (("file_name,label", f"{'x' * 300}.png,1"), ("xxx",)),
        (("file_name,label", f"{'x' * 200_000},1"), ("CSV",)),
    ],
)
def test_a_wrong_table_is_refused_by_line(tmp_path: Path, lines: tuple[str, ...], named: tuple[str, ...]) -> None:
    save(tmp_path / "set" / "a.png", GREY[0])
    save(tmp_path / "secret.png", GREY[0])
    write_csv(tmp_path / "set", *lines)
    refusal(tmp_path / "set", *named)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_bytes(b"file_name,label\n\xff\xfe,1\n")
    refusal(tmp_path, "cannot be read")


# NumPy's files


def zipped(path: Path, arrays: Mapping[str, np.ndarray], compress: bool = False) -> Path:
    (np.savez_compressed if compress else np.savez)(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_npz_of_images_labels_and_names(tmp_path: Path, compress: bool) -> None:
    names = np.array(["a", "b", "c"])
    path = zipped(
        tmp_path / "x.npz", {"images": GREY, "labels": LABELS, "class_names": names, "seed": LABELS}, compress
    )
    same(load_images(path), GREY[:, None], LABELS, ("a", "b", "c"))
    path = zipped(tmp_path / "y.npz", {"images": GREY, "labels": LABELS.astype(np.uint8)}, compress)
    same(load_images(path), GREY[:, None], LABELS, ("0", "1", "2"))
    same(load_images(zipped(tmp_path / "z.npz", {"images": GREY}, compress)), GREY[:, None], None)


def test_images_may_lie_either_way(tmp_path: Path) -> None:
    wanted = COLOUR.transpose(0, 3, 1, 2)
    for number, array in enumerate([COLOUR, wanted, np.asfortranarray(COLOUR)]):
        np.save(tmp_path / f"{number}.npy", array)
        same(load_images(tmp_path / f"{number}.npy"), wanted, None)
    for array in (GREY, GREY[:, None], GREY[..., None]):
        np.save(tmp_path / "grey.npy", array)
        same(load_images(tmp_path / "grey.npy"), GREY[:, None], None)


def test_keras_arrays_have_two_splits(tmp_path: Path) -> None:
    arrays = {"x_train": GREY[:4], "y_train": LABELS[:4], "x_test": GREY[4:], "y_test": LABELS[4:]}
    path = zipped(tmp_path / "mnist.npz", arrays)
    same(load_images(path), GREY[:4, None], LABELS[:4], ("0", "1", "2"))
    same(load_images(path, "test"), GREY[4:, None], LABELS[4:], ("0", "1", "2"))
    assert [load_images(path, split).split for split in ("train", "test")] == ["train", "test"]
    assert [len(load_images(path, split)) for split in ("fit", "val")] == [3, 1], "of the training images"
    with pytest.raises(UsageError, match="has no test images"):
        load_images(zipped(tmp_path / "half.npz", {"x_train": GREY}), "test")


def test_what_a_file_is_does_not_hang_on_its_name(tmp_path: Path) -> None:
    zipped(tmp_path / "a.npz", {"images": GREY}).rename(tmp_path / "a.idx.gz")
    np.save(tmp_path / "b.npy", GREY)
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    write_idx(tmp_path / "c.gz", GREY)
    (tmp_path / "c.gz").rename(tmp_path / "c.npy")
    for name in ("a.idx.gz", "b.npz", "c.npy"):
        same(load_images(tmp_path / name), GREY[:, None], None)


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"pictures": GREY, "ids": LABELS}, ("pictures", "images")),
        ({"images": GREY.astype(complex)}, ("[images]", "complex128")),
        ({"images": GREY.astype(np.int8)}, ("[images]", "--range")),
        ({"images": GREY[0]}, ("[images]", "[9, 12]")),
        ({"images": GREY[:0]}, ("no images",)),
        ({"images": GREY.reshape(3, 2, 9, 12)}, ("channel",)),
        ({"images": np.array([GREY, None], dtype=object)}, ("[images]", "pickle")),
        ({"images": GREY, "labels": np.array([None] * 6)}, ("[labels]", "pickle")),
        ({"images": GREY, "labels": LABELS[:5]}, ("[labels]", "[5]", "6 images")),
        ({"images": GREY, "labels": LABELS - 1}, ("[labels]", "label -1", "number 1")),
        ({"images": GREY, "labels": LABELS + 9999}, ("[labels]", "10001")),
        ({"images": GREY, "labels": LABELS.astype(np.uint64) + 2**63}, ("[labels]",)),
        ({"images": GREY, "labels": LABELS, "class_names": np.array(["a", "b"])}, ("[labels]", "label 2", "0 to 1")),
        ({"images": GREY, "labels": LABELS, "class_names": np.array([1, 2, 3])}, ("[class_names]", "text")),
        ({"images": GREY, "labels": LABELS, "class_names": np.array(["a", "b", None])}, ("[class_names]", "pickle")),
    ],
)
def test_a_wrong_archive_is_refused_by_name(
    tmp_path: Path, arrays: dict[str, np.ndarray], named: tuple[str, ...]
) -> None:
    refusal(zipped(tmp_path / "x.npz", arrays), str(tmp_path / "x.npz"), *named)


def npy_of(shape: str, body: bytes = b"", dtype: str = "|u1") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ("(5000000, 64, 64)", "claims"),
        ("(9223372036854775807, 9, 9)", "claims"),
        ("(-1, 9, 9)", "claims"),
        ("(2, 9, 9)", "asks for"),
        ("(1, 8, 9)", "asks for"),
        ("('a', 9, 9)", "not a NumPy array"),
    ],
)
def test_a_header_that_lies_is_refused_before_anything_is_allocated(tmp_path: Path, shape: str, complaint: str) -> None:
    (tmp_path / "x.npy").write_bytes(npy_of(shape, bytes(81)))
    refusal(tmp_path / "x.npy", "x.npy", complaint)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", npy_of(shape, bytes(81)))
    refusal(tmp_path / "x.npz", "x.npz [images]", complaint)


@pytest.mark.parametrize("compress", [False, True])
def test_a_wrong_checksum_is_refused(tmp_path: Path, compress: bool) -> None:
    images = np.random.default_rng(2).integers(0, 9, (300, 9, 12), dtype=np.uint8)  # more than one block of the reader
    path = zipped(tmp_path / "x.npz", {"images": images}, compress)
    with zipfile.ZipFile(path) as archive:
        checksum = struct.pack("<I", archive.infolist()[0].CRC)
    assert path.read_bytes().count(checksum) == 2
    path.write_bytes(path.read_bytes().replace(checksum, b"\0\1\2\3"))
    refusal(path, str(path), "CRC")


@pytest.mark.parametrize("shape", ["(((((" * 1000, "(1, 9, 9", "__import__('os')", "(1L, 9L, 9L)"])
def test_a_header_that_is_no_header_is_refused(tmp_path: Path, shape: str) -> None:
    (tmp_path / "x.npy").write_bytes(npy_of(shape, bytes(81)))
    refusal(tmp_path / "x.npy", "x.npy")


@each_example_in_one_folder
@given(data=st.data(), compress=st.booleans())
def test_a_damaged_archive_never_gives_other_images(tmp_path: Path, data: st.DataObject, compress: bool) -> None:
    path = zipped(tmp_path / "x.npz", {"images": GREY[:1], "labels": LABELS[:1]}, compress)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        refusal(path, str(path))
        return
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    read = attempt(load_images, path)
    assert read is None or np.array_equal(read.images.numpy(), GREY[:1, None])


@each_example_in_one_folder
@given(data=st.data())
def test_a_damaged_array_gives_images_of_its_size_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "x.npy"
    np.save(path, GREY)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    refusal(path, str(path))
    content[data.draw(st.integers(0, 128))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    read = attempt(load_images, path)
    assert read is None or read.images.numel() == GREY.size


# IDX


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("inside", ["", "MNIST/raw"])
def test_an_idx_folder_has_two_splits(tmp_path: Path, inside: str, gz: str) -> None:
    for prefix, rows in (("train", slice(0, 4)), ("t10k", slice(4, 6))):
        write_idx(tmp_path / inside / f"{prefix}-images-idx3-ubyte{gz}", GREY[rows])
        write_idx(tmp_path / inside / f"{prefix}-labels-idx1-ubyte{gz}", LABELS[rows])
    same(load_images(tmp_path), GREY[:4, None], LABELS[:4], ("0", "1", "2"))
    same(load_images(tmp_path, "test"), GREY[4:, None], LABELS[4:], ("0", "1", "2"))
    assert load_images(tmp_path, "test").split == "test"
    assert [len(load_images(tmp_path, split)) for split in ("fit", "val")] == [3, 1], "of the training images"
    (tmp_path / inside / f"t10k-labels-idx1-ubyte{gz}").unlink()
    refusal(tmp_path, "t10k-labels-idx1-ubyte", "missing", split="test")


@pytest.mark.parametrize("name", ["my-images-idx3-ubyte", "my-images.idx3-ubyte", "my-images-idx3-ubyte.gz"])
@pytest.mark.parametrize("gz", ["", ".gz"])
def test_labels_beside_an_idx_file_are_found_by_name(tmp_path: Path, name: str, gz: str) -> None:
    write_idx(tmp_path / name, GREY)
    same(load_images(tmp_path / name), GREY[:, None], None)
    labels = tmp_path / (name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1") + gz)
    write_idx(labels, LABELS)
    same(load_images(tmp_path / name), GREY[:, None], LABELS, ("0", "1", "2"))
    write_idx(labels, LABELS[:5])
    refusal(tmp_path / name, str(labels), "6 images")
    refusal(labels, str(labels), "file of the images")


@pytest.mark.parametrize(
    "shape", [(0, 28, 28), (0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 28, 28), (2, 28), (1, 1, 28, 28)]
)
def test_an_idx_file_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    (tmp_path / "x").write_bytes(idx_header(shape) + bytes(784 if shape == (1, 1, 28, 28) else 56 * (len(shape) == 2)))
    refusal(tmp_path / "x", str(tmp_path / "x"))
