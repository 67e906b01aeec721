"""Arrays, tables and pictures as people have them: taken as they are meant, or refused with one line and a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import ended
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.terminal import Bar
from pocketgan.data.idx import idx_header
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import learning_images, load_images
from pocketgan.data.pixel_table import _told
from pocketgan.recipes import ImageOptions, classifier_recipe, gan_recipe, image_options
from pocketgan.training.classifiers import judge_preset

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (6, 12, 12), dtype=np.uint8)
GREY[0, 0, :2] = 0, 255  # the whole range
COLOUR = RANDOM.integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)
LABELS = np.array([2, 0, 1, 1, 0, 2])
ONE_HOT = np.eye(3)[LABELS]


def same(found: ImageSet, images: np.ndarray, labels: np.ndarray | None = LABELS) -> None:
    np.testing.assert_array_equal(found.images.numpy(), images, strict=True)
    assert (found.labels is None) == (labels is None)
    if labels is not None and found.labels is not None:
        assert found.labels.tolist() == labels.tolist()


def said(found: ImageSet, *parts: str) -> None:
    """One of the notes holds all these parts, and no note has a second line."""
    assert any(all(part in note for part in parts) for note in found.notes), found.notes
    assert not any("\n" in note for note in found.notes)


def refused(source: Path, *parts: str, reading: ImageOptions | None = None) -> None:
    with pytest.raises(PocketganError) as caught:
        load_images(source, "train", reading or ImageOptions())
    line = str(caught.value)
    assert "\n" not in line
    assert all(part in line for part in parts), line


# numbers and labels


@pytest.mark.parametrize(
    "labels",
    [
        LABELS[:, None],
        ONE_HOT,
        ONE_HOT.astype(bool),
        LABELS.astype(float),
        LABELS.astype(str),
        np.array([f"{label}.0" for label in LABELS]),
        np.array([f" {label} ".encode() for label in LABELS]),
    ],
)
@pytest.mark.catches("labels shifted by one")
def test_labels_as_people_have_them(tmp_path: Path, labels: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, labels=labels)
    found = load_images(tmp_path / "a.npz")
    same(found, GREY[:, None])
    assert found.class_names == ("0", "1", "2")


@pytest.mark.catches("classes by their letters")
def test_text_labels_are_classes_in_natural_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=GREY, y=np.array(["class_10", "a", "class_2", "class_2", "a", "class_10"]))
    found = load_images(tmp_path / "a.npz")
    assert found.class_names == ("a", "class_2", "class_10")
    assert found.labels is not None
    assert found.labels.tolist() == [2, 0, 1, 1, 0, 2]


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (LABELS + 0.5, "no whole number"),
        (np.where(LABELS == 1, np.nan, 0.0), "no whole number"),
        (ONE_HOT + np.eye(3)[[0]], "one class for each image"),
        (ONE_HOT * 0, "one class for each image"),
        (LABELS[:5], "6 images"),
        (np.array(["a", "1", "b", "c", "d", "e"]), "others are integers"),
        (np.array(["a", "", "b", "c", "d", "e"]), "no label"),
        (LABELS - 1, "-1"),
    ],
)
def test_wrong_labels_are_refused(tmp_path: Path, labels: np.ndarray, complaint: str) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, labels=labels)
    refused(tmp_path / "a.npz", "a.npz [labels]", complaint)


@pytest.mark.parametrize("side", [8, 28, 128])
def test_rows_of_a_squares_pixels_are_images(tmp_path: Path, side: int) -> None:
    grey, colour = np.tile(GREY, (1, 11, 11))[:, :side, :side], np.tile(COLOUR, (1, 11, 11, 1))[:, :side, :side]
    planes = np.moveaxis(colour, 3, 1)
    for name, rows, images in (("grey", grey, grey[:, None]), ("colour", planes, planes)):
        np.savez(tmp_path / f"{name}.npz", x=rows.reshape(6, -1), y=LABELS)
        same(load_images(tmp_path / f"{name}.npz"), images)
    np.savez(tmp_path / "odd.npz", x=np.zeros((6, 785), np.uint8))
    refused(tmp_path / "odd.npz", "[6, 785]", "square")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (GREY / np.float64(255), "[0, 1]"),
        ((GREY / np.float32(127.5) - 1).astype(np.float32), "[-1, 1]"),
        (GREY.astype(np.float32), "0 to 255"),
        (GREY.astype(np.int64), "8 bits"),
        (GREY.astype(np.uint16) * 257, "16 bits"),
    ],
)
def test_the_range_is_told_by_the_values_and_said(tmp_path: Path, values: np.ndarray, words: str) -> None:
    np.save(tmp_path / "a.npy", values)
    found = load_images(tmp_path / "a.npy")
    same(found, GREY[:, None], None)
    said(found, "a.npy", words)


def test_truth_values_are_black_and_white(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY > 127)
    same(load_images(tmp_path / "a.npy"), np.where(GREY > 127, 255, 0).astype(np.uint8)[:, None], None)


@pytest.mark.parametrize(
    "values", [GREY / 16.0, GREY / 127.5 - 0.4, GREY * -1.0, GREY.astype(np.int64) - 5, GREY * 0.0, GREY * 1000.0]
)
def test_an_unclear_range_is_refused_and_can_be_given(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    refused(tmp_path / "a.npy", "a.npy", "--range LOW:HIGH")
    asked = ImageOptions(range=f"{values.min()}:{values.max() if values.any() else 1}")
    found = load_images(tmp_path / "a.npy", "train", asked)
    assert values.max() == values.min() or (int(found.images.min()), int(found.images.max())) == (0, 255)


def test_values_outside_an_asked_range_are_cut_and_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY / 100.0)
    found = load_images(tmp_path / "a.npy", "train", ImageOptions(range="unit"))
    said(found, "outside", "0:1")
    assert int(found.images.max()) == 255


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.where(GREY == 7, np.nan, 0.5))
    refused(tmp_path / "a.npy", "no finite numbers", reading=ImageOptions(range="unit"))


def test_both_splits_have_one_range(tmp_path: Path) -> None:
    dark = np.minimum(GREY, 100).astype(np.uint16)
    np.savez(tmp_path / "a.npz", x_train=GREY.astype(np.uint16) * 16, x_test=dark, y_train=LABELS, y_test=LABELS)
    test = load_images(tmp_path / "a.npz", "test")
    assert int(test.images.max()) == round(100 / 4095 * 255)


# names


@pytest.mark.parametrize(
    ("images", "labels"),
    [("X", "y"), ("arr_0", "arr_1"), ("data", "target"), ("Images", "Labels"), ("features", "classes")],
)
def test_arrays_go_by_the_names_that_people_give_them(tmp_path: Path, images: str, labels: str) -> None:
    np.savez(tmp_path / "a.npz", **{images: GREY, labels: LABELS})
    same(load_images(tmp_path / "a.npz"), GREY[:, None])
    assert load_images(tmp_path / "a.npz").split == "all"


@pytest.mark.parametrize("form", ["{}_images {}_labels", "x_{} y_{}", "X{} Y{}", "{}X {}Y"])
def test_splits_go_by_the_names_of_their_arrays(tmp_path: Path, form: str) -> None:
    arrays: dict[str, Any] = {}
    for split, rows in (("train", slice(0, 3)), ("val", slice(3, 4)), ("test", slice(4, 6))):
        images, labels = form.format(split, split).split()
        arrays |= {images: GREY[rows], labels: LABELS[rows, None]}
    np.savez(tmp_path / "medmnist.npz", **arrays)
    train = load_images(tmp_path / "medmnist.npz")
    same(train, GREY[:3, None], LABELS[:3])
    said(train, "is the split val, so that fit is all of")
    fit, val = load_images(tmp_path / "medmnist.npz", "fit"), load_images(tmp_path / "medmnist.npz", "val")
    same(val, GREY[3:4, None], LABELS[3:4])
    assert (fit.digest, fit.split, val.split) == (train.digest, "fit", "val")
    same(load_images(tmp_path / "medmnist.npz", "test"), GREY[4:, None], LABELS[4:])


def test_validation_images_are_the_test_images_where_there_are_no_others(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=GREY[:4], y_train=LABELS[:4], x_val=GREY[4:], y_val=LABELS[4:])
    same(load_images(tmp_path / "a.npz", "test"), GREY[4:, None], LABELS[4:])
    said(load_images(tmp_path / "a.npz"), "x_val", "test images")


def test_what_is_not_used_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, ids=LABELS, other=GREY)
    said(load_images(tmp_path / "a.npz"), "not used", "ids", "other")
    said(load_images(tmp_path / "a.npz"), "no labels")
    np.savez(tmp_path / "b.npz", ids=LABELS, weights=GREY)
    refused(tmp_path / "b.npz", "ids", "x_train")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("X.npy", "y.npy"),
        ("train_images.npy", "train_labels.npy"),
        ("kmnist-train-imgs.npz", "kmnist-train-labels.npz"),
        ("X_kannada_MNIST_train.npz", "y_kannada_MNIST_train.npz"),
        ("X_dig_MNIST.npz", "y_dig_MNIST.npz"),
    ],
)
def test_labels_in_a_file_beside_are_taken_and_said(tmp_path: Path, images: str, labels: str) -> None:
    write = np.save if images.endswith("npy") else np.savez
    write(tmp_path / images, GREY)
    assert load_images(tmp_path / images).labels is None
    write(tmp_path / labels, LABELS)
    found = load_images(tmp_path / images)
    same(found, GREY[:, None])
    said(found, labels)
    write(tmp_path / labels, LABELS[:5])
    refused(tmp_path / images, labels, "6 images")


def test_labels_beside_under_another_name_are_not_lost_in_silence(tmp_path: Path) -> None:
    np.save(tmp_path / "pictures.npy", GREY)
    np.save(tmp_path / "my_labels.npy", LABELS)
    said(load_images(tmp_path / "pictures.npy"), "my_labels.npy", "not used")


# classes


def test_classes_without_images_are_named_and_not_learned(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, labels=LABELS * 2 + 1)
    assert load_images(tmp_path / "a.npz").class_names == tuple("012345")
    learned = learning_images(tmp_path / "a.npz", "train")
    assert learned.class_names == ("1", "3", "5")
    assert learned.labels is not None
    assert [learned.class_names[label] for label in learned.labels] == [str(label * 2 + 1) for label in LABELS]
    said(learned, "'0', '2', '4'", "neither learned nor drawn")


# IDX


def idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(idx_header(array.shape) + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("emnist-letters-{}-images-idx3-ubyte", "emnist-letters-{}-labels-idx1-ubyte"),
        ("X_kannada_MNIST_{}-idx3-ubyte", "y_kannada_MNIST_{}-idx1-ubyte"),
    ],
)
def test_idx_files_go_by_the_names_of_mnists_kin(tmp_path: Path, images: str, labels: str) -> None:
    for split, rows in (("train", slice(0, 4)), ("test", slice(4, 6))):
        idx(tmp_path / images.format(split), GREY[rows])
        idx(tmp_path / labels.format(split), LABELS[rows])
    same(load_images(tmp_path), GREY[:4, None], LABELS[:4])
    same(load_images(tmp_path, "test"), GREY[4:, None], LABELS[4:])
    same(load_images(tmp_path / images.format("test")), GREY[4:, None], LABELS[4:])


def test_emnist_is_turned_upright_when_asked(tmp_path: Path) -> None:
    idx(tmp_path / "emnist-digits-train-images-idx3-ubyte", GREY)
    path = tmp_path / "emnist-digits-train-images-idx3-ubyte"
    said(load_images(path), "--transpose")
    found = load_images(path, "train", ImageOptions(transpose=True))
    same(found, GREY.transpose(0, 2, 1)[:, None], None)
    assert not any("--transpose" in note for note in found.notes)


def test_an_idx_folder_may_have_one_split_and_not_two_sets(tmp_path: Path) -> None:
    idx(tmp_path / "t10k-images-idx3-ubyte", GREY)
    idx(tmp_path / "t10k-labels-idx1-ubyte", LABELS)
    same(load_images(tmp_path), GREY[:, None])
    said(load_images(tmp_path), "no train split")
    with pytest.raises(UsageError, match="no test images"):
        load_images(tmp_path, "test")
    idx(tmp_path / "emnist-digits-train-images-idx3-ubyte", GREY)
    refused(tmp_path, "several sets", "emnist-digits")


# tables


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["label pixel", "label 1x", "class p_", ""])
def test_a_table_of_pixels_as_kaggle_has_it(tmp_path: Path, delimiter: str, header: str) -> None:
    rows = [[str(label), *map(str, image.ravel())] for label, image in zip(LABELS, GREY, strict=True)]
    if header:
        label, pixel = header.split()
        rows.insert(0, [label, *(f"{pixel}{place}" for place in range(144))])
    (tmp_path / "train.csv").write_text("\n".join(delimiter.join(row) for row in rows) + "\n")
    found = load_images(tmp_path / "train.csv")
    same(found, GREY[:, None])
    if not header:
        said(found, "no header", "first column")


def test_a_table_names_what_it_does_not_use_and_refuses_what_does_not_fit(tmp_path: Path) -> None:
    names = ["id", *(f"pixel{place}" for place in range(144)), "label", "Usage"]
    rows = [
        ["x7", *map(str, image.ravel() / 255), f"letter {label}", "t"]
        for label, image in zip(LABELS, GREY, strict=True)
    ]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(",".join(row) for row in [names, *rows]))
    found = load_images(path)
    same(found, GREY[:, None])
    assert found.class_names == ("letter 0", "letter 1", "letter 2")
    said(found, "id, Usage")
    path.write_text("\n".join(",".join(row[:100]) for row in [names, *rows]))
    refused(path, "a.csv", "no square")
    path.write_text("\n".join(",".join(row) for row in [names, *rows[:2], rows[2][:50]]))
    refused(path, "a.csv", "not like the first")
    names[3], names[4] = names[4], names[3]
    path.write_text("\n".join(",".join(row) for row in [names, *rows]))
    refused(path, "out of order")


@pytest.mark.extras
def test_hdf5_goes_by_the_names_of_its_arrays(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train/images"], file["train/labels"] = GREY[:4], LABELS[:4]
        file["test/images"], file["test/labels"] = GREY[4:] / 255, LABELS[4:]
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(PocketganError, match="store them alike"):
        load_images(tmp_path / "a.h5")  # bytes beside floats
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["test/images"]
        file["test/images"] = GREY[4:]
    same(load_images(tmp_path / "a.h5"), GREY[:4, None], LABELS[:4])
    same(load_images(tmp_path / "a.h5", "test"), GREY[4:, None], LABELS[4:])
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "b.h5").write_bytes(content[: len(content) // 2])
    refused(tmp_path / "b.h5", "b.h5")


@pytest.mark.extras
def test_parquet_has_a_column_of_pictures(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files = []
    for image in GREY:
        Image.fromarray(image).save(tmp_path / "one.png")
        files.append({"bytes": (tmp_path / "one.png").read_bytes(), "path": None})
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"image": files, "label": LABELS.tolist(), "id": list(range(6))}), path)
    same(load_images(path), GREY[:, None])
    said(load_images(path), "id")
    parquet.write_table(
        pyarrow.table({"pixels": [row.ravel().tolist() for row in GREY], "label": list("cabbac")}), path
    )
    same(load_images(path), GREY[:, None])
    path.write_bytes(path.read_bytes()[:200])
    refused(path, "a.parquet", "damaged")


@pytest.mark.extras
@pytest.mark.parametrize("kind", ["pictures", "numbers"])
def test_parquet_is_read_alike_as_a_file_and_as_a_folder_of_files(tmp_path: Path, kind: str) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cells = []
    for image in GREY:
        Image.fromarray(image).save(tmp_path / "one.png")
        cells.append({"bytes": (tmp_path / "one.png").read_bytes(), "path": None})
    column = cells if kind == "pictures" else [image.ravel().tolist() for image in GREY]
    table = pyarrow.table({"img": column, "label": LABELS.tolist()})
    (tmp_path / "set").mkdir()
    for part in (0, 1):
        parquet.write_table(table.slice(3 * part, 3), tmp_path / f"set/train-{part}.parquet")
    parquet.write_table(table, tmp_path / "whole.parquet")
    np.savez(tmp_path / "a.npz", images=GREY, labels=LABELS)
    turned = ImageOptions(transpose=True, resize=16)
    as_arrays = load_images(tmp_path / "a.npz", "train", turned).images
    for source in (tmp_path / "whole.parquet", tmp_path / "set"):
        same(load_images(source), GREY[:, None])
        assert torch.equal(load_images(source, "train", turned).images, as_arrays)
    parquet.write_table(table.rename_columns(["img", "y"]), tmp_path / "set/train-2.parquet")
    refused(tmp_path / "set", "train-2.parquet", "other columns")


# pictures


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "PPM"])
def test_more_kinds_of_pictures(tmp_path: Path, kind: str) -> None:
    for row, image in enumerate(COLOUR):
        Image.fromarray(image).save(tmp_path / f"{row}", kind, **({"lossless": True} if kind == "WEBP" else {}))
    same(load_images(tmp_path), COLOUR.transpose(0, 3, 1, 2), None)


def test_cmyk_is_read_as_colours(tmp_path: Path) -> None:
    Image.fromarray(COLOUR[0]).convert("CMYK").save(tmp_path / "a.tif")
    same(load_images(tmp_path), COLOUR[:1].transpose(0, 3, 1, 2), None)


def test_sixteen_bits_have_their_real_range(tmp_path: Path) -> None:
    for row, image in enumerate(GREY):
        Image.fromarray((image.astype(np.float64) / 255 * 4095).round().astype(np.uint16)).save(tmp_path / f"{row}.png")
    found = load_images(tmp_path)
    same(found, GREY[:, None], None)
    said(found, "12 bits")


@pytest.mark.catches("orientation not followed")
def test_an_orientation_in_exif_data_is_followed(tmp_path: Path) -> None:
    tall = np.repeat(GREY[0], 2, axis=0)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    Image.fromarray(tall).save(tmp_path / "a.png", exif=exif)
    found = load_images(tmp_path)
    same(found, np.rot90(tall, -1)[None, None], None)
    said(found, "EXIF")


@pytest.mark.catches("transparency not laid on anything")
def test_transparent_pictures_lie_on_the_background(tmp_path: Path) -> None:
    alpha = GREY[0]
    Image.fromarray(np.dstack([np.zeros_like(alpha)] * 3 + [alpha])).save(tmp_path / "a.png")
    black = load_images(tmp_path)
    said(black, "1 picture is transparent", "black")
    said(black, "cannot be seen", "--background white")
    assert not black.images.any()
    white = load_images(tmp_path, "train", ImageOptions(background="white"))
    assert np.abs(white.images[0, 0].numpy().astype(int) - (255 - alpha)).max() <= 1
    orange = load_images(tmp_path, "train", ImageOptions(background="#ff8000"))
    assert orange.images[0, :, alpha.argmin() // 12, alpha.argmin() % 12].tolist() == [255, 128, 0]


@pytest.mark.parametrize("kind", ["folder", "array"])
def test_images_are_resized_alike_wherever_they_come_from(tmp_path: Path, kind: str) -> None:
    big = np.repeat(np.repeat(GREY, 2, axis=1), 2, axis=2)
    if kind == "folder":
        for row, image in enumerate(big):
            Image.fromarray(image).save(tmp_path / f"{row}.png")
    else:
        np.save(tmp_path / "a.npy", big)
    source = tmp_path if kind == "folder" else tmp_path / "a.npy"
    found = load_images(source, "train", ImageOptions(resize=12))
    same(found, GREY[:, None], None)
    said(found, "mean over areas")
    said(load_images(source, "train", ImageOptions(resize=32)), "bicubic")


def test_crop_and_padding_keep_the_proportions(tmp_path: Path) -> None:
    wide = np.concatenate([GREY[0] * 0 + 50, GREY[0], GREY[0] * 0 + 50], axis=1)
    Image.fromarray(wide).save(tmp_path / "a.png")
    same(load_images(tmp_path, "train", ImageOptions(crop=True)), GREY[:1, None], None)
    same(load_images(tmp_path, "train", ImageOptions(crop=True, resize=12)), GREY[:1, None], None)
    found = load_images(tmp_path, "train", ImageOptions(resize=36, background="white"))
    assert (found.images[0, 0, :12] == 255).all()
    np.testing.assert_array_equal(found.images[0, 0, 12:24].numpy(), wide)
    said(found, "not square", "white")


def test_pictures_of_many_sizes_are_resized_to_one(tmp_path: Path) -> None:
    for side in (5, 9, 400):
        Image.fromarray(np.full((side, side), 200, np.uint8)).save(tmp_path / f"{side}.png")
    refused(tmp_path, "--resize")
    assert load_images(tmp_path, "train", ImageOptions(resize=16)).shape == (1, 16, 16)


def test_grey_is_the_luma_of_colours(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", COLOUR)
    found = load_images(tmp_path / "a.npy", "train", ImageOptions(grey=True))
    expected = COLOUR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(found.images[:, 0].numpy() - expected).max() <= 1


def test_a_named_set_is_resized_too() -> None:
    assert load_images("mnist", "test", ImageOptions(resize=14)).shape == (1, 14, 14)
    assert load_images("mnist", "test", ImageOptions(grey=True)) is load_images(
        "mnist", "test", ImageOptions(grey=True)
    )


# what looks wrong


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (GREY * 0, ("every pixel", "0")),
        ((GREY > 127).astype(np.uint8), ("0:1",)),
        (np.minimum(GREY // 15, 16), ("0:16",)),
        (GREY >> 4, ("12 bits", "0:15")),
        (GREY // 5, ("nearly black",)),
        (np.concatenate([GREY, GREY]), ("6 of 12", "twins")),
        (np.concatenate([GREY, GREY * 0]), ("6 of 12", "flat")),
    ],
)
def test_what_looks_wrong_is_told_with_its_cause(tmp_path: Path, images: np.ndarray, words: tuple[str, ...]) -> None:
    np.save(tmp_path / "a.npy", images)
    said(load_images(tmp_path / "a.npy"), *words)


def test_what_looks_right_is_not_talked_of(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, labels=LABELS)
    assert load_images(tmp_path / "a.npz").notes == ()


def test_known_test_images_are_dropped_when_asked(tmp_path: Path) -> None:
    train, test = load_images("mnist").images[:40, 0], load_images("mnist", "test").images[:5, 0]
    np.save(tmp_path / "mix.npy", torch.cat([train[:20], test, train[20:]]).numpy())
    with pytest.raises(UsageError, match="--drop-test-images"):
        learning_images(tmp_path / "mix.npy", "train")
    for side in (None, 14):
        left = learning_images(tmp_path / "mix.npy", "train", ImageOptions(drop_test_images=True, resize=side))
        assert len(left) == 40
        said(left, "5 images", "mnist/test")


# options


def test_options_of_images_are_fields_of_recipes_and_checked() -> None:
    recipe = gan_recipe("mlp", {"resize": "32", "grey": True, "range": "0:16"})
    assert (recipe.data.resize, recipe.data.grey, recipe.data.ends) == (32, True, (0.0, 16.0))
    assert recipe.data.alone == image_options({"resize": 32, "grey": True, "range": "0:16"})
    for wrong in (
        {"resize": 129},
        {"resize": 7},
        {"range": "3"},
        {"range": "1:1"},
        {"background": "pink"},
        {"reszie": 8},
    ):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            image_options(wrong)


def test_a_judge_is_chosen_by_the_images_as_they_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=COLOUR / 16, labels=LABELS)
    wanted = {"source": str(tmp_path / "a.npz"), "range": "0:16"}
    assert judge_preset(classifier_recipe("judge", wanted)) == "judge-deep"
    assert judge_preset(classifier_recipe("judge", {**wanted, "grey": True})) == "judge"


def test_a_training_records_how_its_images_are_read_and_holds_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "a.npz", images=np.tile(GREY, (20, 1, 1)) / 16, labels=np.tile(LABELS * 2, 20))
    words = ("train", "mlp", "--data", tmp_path / "a.npz", "--nimg", 128, "--out", tmp_path / "run")

    def told(code: int, *options: object) -> str:
        assert ended(*words, *options) == code
        return capsys.readouterr().err

    assert "--range" in told(2)
    assert "'1', '3'" in told(0, "--range", "0:16", "--resize", 14)
    assert 'range = "0:16"' in (tmp_path / "run" / "recipe.toml").read_text()
    assert "complete" in told(0, "--range", "0:16", "--resize", 14)
    assert "another run" in told(2, "--range", "0:32", "--resize", 14)


def test_a_long_table_tells_how_far_it_is() -> None:
    bar = Bar("reading", 400 * 5)
    told = [bar.done for _ in _told(["1,23\n"] * 400, bar)]
    assert told[:100] == [0] * 99 + [500]
    assert (told[-1], bar.done) == (2000, 2000)
