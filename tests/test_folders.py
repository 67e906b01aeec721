"""Folders of pictures as strangers have them, archives of such folders, and the tables beside the pictures."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.pixels import grid
from pocketgan.data import trees
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import learning_images, load_images, own_test_images
from pocketgan.recipes import image_options

GREY = np.random.default_rng(0).integers(0, 256, (100, 8, 8), dtype=np.uint8)


def save(path: Path, number: int = 0) -> None:
    """A grey picture that is known by its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(GREY[number]).save(path, format="PNG")


def text(path: Path, content: str = "0.1 0.2") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def classes(folder: Path, names: Iterable[str] = "012", count: int = 3, first: int = 0) -> Path:
    """A folder for each class, with so many pictures, numbered on."""
    for place, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            save(folder / name / f"{number}.png", first + place * count + number)
    return folder


def numbers(found: ImageSet) -> list[int]:
    """Which pictures were read."""
    known = {image.tobytes(): number for number, image in enumerate(GREY)}
    return [known[image.numpy().tobytes()] for image in found.images[:, 0]]


def labels(found: ImageSet) -> list[str] | None:
    """The class of each image, by name."""
    return None if found.labels is None else [found.class_names[label] for label in found.labels.tolist()]


def refusal(source: Path, *parts: str, split: str = "train") -> None:
    with pytest.raises(PocketganError) as caught:
        load_images(source, split)
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line, line


def note(found: ImageSet, *parts: str) -> None:
    """One of the notes has all these parts."""
    assert any(all(part in line for part in parts) for line in found.notes), found.notes


# What lies beside pictures

BESIDE = (
    *("0/0.txt", "0/1.npy", "1/2.json", "desktop.ini", "Thumbs.db", "README.md", "README", "LICENSE", "LICENCE.txt"),
    *("temp/0.png", "__MACOSX/0/._0.png", "2/notes.docx", "losses.csv", "G.pkl"),
)


def test_what_lies_beside_pictures_is_skipped_with_a_count(tmp_path: Path) -> None:
    folder = classes(tmp_path / "fakes")
    for name in (*BESIDE, ".DS_Store", "0/.DS_Store", "latents.npy", ".git/config"):
        text(folder / name)
    found = load_images(folder)
    assert (numbers(found), labels(found)) == ([*range(9)], [*"000111222"])
    assert len(found.notes) == 1
    note(found, "fakes: 14 entries that are no pictures are skipped", "the folder temp")
    for name in BESIDE:
        if not name.endswith(".png"):
            text(tmp_path / "flat" / Path(name).name)
    save(tmp_path / "flat" / "a.png", 7)
    found = load_images(tmp_path / "flat")
    assert (numbers(found), found.labels) == ([7], None)
    note(found, "flat: 12 entries that are no pictures are skipped")


def test_a_text_or_a_latent_beside_each_picture_is_one_line(tmp_path: Path) -> None:
    folder = classes(tmp_path / "Fake_Digits", [str(digit) for digit in range(10)], 4)
    for path in list(folder.rglob("*.png")):
        text(path.with_suffix(".txt"))
    found = load_images(folder)
    assert len(found) == 40
    assert found.notes == (f"{folder}: 40 entries that are no pictures are skipped (40 .txt)",)


def test_kinds_are_told_by_content_where_no_ending_tells_them(tmp_path: Path) -> None:
    for number, kind in enumerate(("PNG", "JPEG", "GIF", "BMP")):
        Image.fromarray(GREY[number]).save(tmp_path / f"picture{number}", format=kind)
    for number, content in enumerate((b"BM is a text", b"P5", b"", b"RIFF....WAVE", b"GIF", b"\x89PN")):
        (tmp_path / f"other{number}").write_bytes(content)
    assert load_images(tmp_path).files == tuple(f"picture{number}" for number in range(4))
    (tmp_path / "broken.PNG").write_bytes(b"")
    refusal(tmp_path, "broken.PNG", "mend or remove")


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_lone_folder_is_entered(tmp_path: Path, depth: int) -> None:
    inner = tmp_path / "set" / Path(*[f"wrapper{number}" for number in range(depth)])
    text(tmp_path / "set" / "README.md")
    text(tmp_path / "set" / "__MACOSX" / "x")
    classes(inner)
    found = load_images(tmp_path / "set")
    assert labels(found) == [*"000111222"]
    note(found, "wrapper0", "is entered")
    note(found, "2 entries")
    for name, count in (("wrapper0", 3), ("7", 2)):
        for number in range(count):
            save(tmp_path / f"lone{count}" / name / f"{number}.png", number)
    assert load_images(tmp_path / "lone3").labels is None
    assert labels(load_images(tmp_path / "lone2")) == ["7", "7"]


def test_an_empty_class_stays_a_class_and_is_not_learned(tmp_path: Path) -> None:
    folder = classes(tmp_path / "set")
    for path in (folder / "1").iterdir():
        path.unlink()
    text(folder / "1" / "0.txt")
    found = load_images(folder)
    assert (labels(found), found.class_names) == ([*"000222"], ("0", "1", "2"))
    learned = learning_images(folder, "train")
    assert (labels(learned), learned.class_names) == ([*"000222"], ("0", "2"))
    note(learned, "no images of class '1'", "neither learned nor drawn")
    save(folder / "1" / "0.png", 50)
    assert load_images(folder).class_names == ("0", "1", "2")
    assert 50 in numbers(load_images(folder)), "the empty folder was looked at"


def test_a_folder_without_pictures_or_with_both_kinds_is_refused(tmp_path: Path) -> None:
    for name in ("0", "1"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    refusal(tmp_path / "empty", "empty holds no pictures;")
    text(tmp_path / "texts" / "a.txt")
    refusal(tmp_path / "texts", "texts holds no pictures, only .txt;")
    save(classes(tmp_path / "both") / "grid.png")
    refusal(tmp_path / "both", "grid.png", "beside the folder 0")
    save(classes(tmp_path / "deep") / "0" / "more" / "a.png")
    refusal(tmp_path / "deep", "more is a folder inside a class folder", "load ")


# Splits


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "TEST"),
        ("training", "testing"),
        ("trainingSet", "testSet"),
        ("mnist_train", "mnist_test"),
        ("train", "val"),
        ("train", "validation"),
        ("train_images", "valid_images"),
    ],
)
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.catches("test read as train")
def test_train_and_test_folders_are_splits_and_no_classes(tmp_path: Path, train: str, test: str, flat: bool) -> None:
    for name, count, first in ((train, 6, 0), (test, 2, 50)):
        if flat:
            for number in range(2 * count):
                save(tmp_path / "set" / name / f"{number:02}.png", first + number)
        else:
            classes(tmp_path / "set" / name, "ab", count, first)
    found, tested = load_images(tmp_path / "set"), load_images(tmp_path / "set", "test")
    assert (numbers(found), found.split) == ([*range(12)], "train")
    assert (numbers(tested), tested.split) == ([*range(50, 54)], "test")
    assert labels(tested) == (None if flat else [*"aabb"])
    note(found, f"{train} and {test} are its splits, and {train} is read")
    fit, val = load_images(tmp_path / "set", "fit"), load_images(tmp_path / "set", "val")
    assert sorted(numbers(fit) + numbers(val)) == [*range(12)]


@pytest.mark.catches("a folder for val is not val")
def test_a_folder_of_its_own_for_val_is_val(tmp_path: Path) -> None:
    for name, first in (("train", 0), ("val", 20), ("test", 40)):
        classes(tmp_path / name, "ab", 3, first)
    found = {split: numbers(load_images(tmp_path, split)) for split in ("train", "fit", "val", "test")}
    assert found == {"train": [*range(6)], "fit": [*range(6)], "val": [*range(20, 26)], "test": [*range(40, 46)]}
    assert load_images(tmp_path, "fit").split == "fit"


def test_a_test_folder_that_lacks_a_class_keeps_its_labels(tmp_path: Path) -> None:
    classes(tmp_path / "train", "ab")
    classes(tmp_path / "test", "b", first=50)
    assert labels(load_images(tmp_path, "test")) == [*"bbb"]


def test_splits_are_told_from_classes(tmp_path: Path) -> None:
    """A class may be called train, as long as no other split stands beside it."""
    found = load_images(classes(tmp_path / "vehicles", ("bus", "car", "train")))
    assert found.class_names == ("bus", "car", "train")
    refusal(classes(tmp_path / "mixed", ("bus", "test", "train")), "bus beside its splits train and test")
    refusal(classes(tmp_path / "two", ("Train", "train", "test")), "both for train")
    refusal(classes(tmp_path / "none", ("test", "val")), "no split 'train'")
    shared = tmp_path / "shared"
    classes(shared / "train", "ab")
    classes(shared / "test", "ab")
    with pytest.raises(UsageError, match="test images of"):
        learning_images(shared, "train")
    assert own_test_images(tmp_path / "vehicles") is None


# Labels in names


def test_labels_are_read_from_names_that_tell_them_and_said(tmp_path: Path) -> None:
    for digit in range(10):
        for number in range(3):
            save(tmp_path / "digits" / f"digit_{digit}_{number}.png", 3 * digit + number)
    found = load_images(tmp_path / "digits")
    assert labels(found) == [digit for digit in "0123456789" for _ in range(3)]
    note(found, "labels are read from the names (digit_0_0.png is 0)")
    for number in range(20):
        save(tmp_path / "numbered" / f"digit_{number}.png", number)
        save(tmp_path / "first" / f"{number % 4}_{number}.png", number)
        save(tmp_path / "plain" / f"image{number}.png", number)
    for name, said in (("numbered", 1), ("first", 1), ("plain", 0)):
        found = load_images(tmp_path / name)
        assert found.labels is None
        assert len([line for line in found.notes if "no labels are read from names" in line]) == said


# Archives


def zip_of(folder: Path, path: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{inside}{file.relative_to(folder)}")
    return path


def tar_of(folder: Path, path: Path, packed: str) -> Path:
    with tarfile.open(path, f"w:{packed}") as archive:  # type: ignore[call-overload]
        archive.add(folder, "set")
    return path


ARCHIVES: dict[str, Callable[[Path, Path], Path]] = {
    "zip": lambda folder, path: zip_of(folder, path),
    "zip with a folder": lambda folder, path: zip_of(folder, path, "set/"),
    "zip of Windows": lambda folder, path: zip_of(folder, path, "set\\"),
    **{
        f"tar {packed}": (lambda folder, path, packed=packed: tar_of(folder, path, packed))
        for packed in ("", "gz", "bz2", "xz")
    },
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_is_read_as_the_folder_it_holds(tmp_path: Path, kind: str) -> None:
    folder = classes(tmp_path / "made")
    for name in BESIDE:
        text(folder / name)
    (folder / "3").mkdir()
    path = ARCHIVES[kind](folder, tmp_path / "archive")
    before = sorted(tmp_path.rglob("*"))
    found, same = load_images(path), load_images(folder)
    assert (found.digest, found.class_names) == (same.digest, same.class_names)
    assert found.class_names == ("0", "1", "2", "3")
    note(found, "archive: 14 entries that are no pictures are skipped")
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


def test_splits_and_tables_are_read_in_archives(tmp_path: Path) -> None:
    classes(tmp_path / "made" / "train", "ab")
    classes(tmp_path / "made" / "test", "ab", first=50)
    path = zip_of(tmp_path / "made", tmp_path / "a.zip")
    assert numbers(load_images(path, "test")) == [*range(50, 56)]
    save(tmp_path / "listed" / "x.png", 4)
    text(tmp_path / "listed" / "metadata.csv", "file_name;label\nx.png;dog\n")
    assert labels(load_images(tar_of(tmp_path / "listed", tmp_path / "b.tgz", "gz"))) == ["dog"]


def test_archives_that_are_damaged_or_play_tricks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = io.BytesIO()
    Image.fromarray(GREY[0]).save(picture, format="PNG")

    def zipped(*names: str) -> Path:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name in names:
                archive.writestr(name, picture.getvalue())
        return tmp_path / "a.zip"

    for name in ("../a.png", "/etc/a.png", "a/../../b.png", "C:\\a.png", "..\\a.png"):
        refusal(zipped(name), "a.zip", "leads out of it")
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped("0/a.png", "0/a.png")
    refusal(twice, "twice")
    refusal(zipped("a", "a/b.png"), "as a file and as a folder")
    refusal(zipped("a/b.png", "a"), "twice")
    locked = bytearray(zipped("0/a.png").read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(locked)
    refusal(tmp_path / "a.zip", "password")
    for name, most in (("MAX_MEMBER_BYTES", 50), ("MAX_ARCHIVE_BYTES", 150), ("MAX_MEMBERS", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(trees, name, most)
            refusal(zipped("0/a.png", "1/b.png", "2/c.png"), "more than is read in place", "unpack it")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("0/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    refusal(tmp_path / "a.tar", "no pictures")
    for kind, said in ((tarfile.REGTYPE, "more than is read in place"), (tarfile.GNUTYPE_LONGNAME, "too long")):
        about = tarfile.TarInfo("0/a.png")
        about.type, about.size = kind, 1 << 33
        (tmp_path / "huge.tar.gz").write_bytes(gzip.compress(about.tobuf(tarfile.GNU_FORMAT)))
        refusal(tmp_path / "huge.tar.gz", "huge.tar.gz", said)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data(), kind=st.sampled_from(["zip", "tar ", "tar gz"]))
def test_a_damaged_archive_gives_images_or_one_line(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    if not (tmp_path / "made").exists():
        classes(tmp_path / "made", "ab", 1)
    content = bytearray(ARCHIVES[kind](tmp_path / "made", tmp_path / "archive").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(0, 255))
    (tmp_path / "archive").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    told = f"{tmp_path / 'archive'} gives images"
    try:
        assert len(load_images(tmp_path / "archive"))
    except PocketganError as error:
        told = str(error)
    assert str(tmp_path / "archive") in told
    assert "\n" not in told


# Tables

ROWS = [("0/a.png", "cat"), ("1/b.png", "dog"), ("1/c.png", "cat")]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    for number, (name, _) in enumerate(ROWS):
        save(folder / name, number)
    return folder


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [*",;\t|"])
def test_a_table_is_read_in_every_form_that_programs_write(listed: Path, encoding: str, delimiter: str) -> None:
    rows = [("file_name", "label"), *ROWS]
    lines = "".join(f"{delimiter.join(row)}\r\n" for row in rows)
    (listed / "metadata.csv").write_bytes(lines.encode(encoding))
    found = load_images(listed)
    assert (numbers(found), labels(found), found.notes) == ([0, 1, 2], ["cat", "dog", "cat"], ())


@pytest.mark.parametrize("column", ["filename", "file", "path", "File Name", "image_path", "Image"])
@pytest.mark.parametrize("label", ["label", "class", "Digit", "class_name"])
def test_columns_have_the_names_that_people_give_them(listed: Path, column: str, label: str) -> None:
    text(listed / "metadata.csv", f"{column},{label}\n" + "".join(f"{name},{kind}\n" for name, kind in ROWS))
    found = load_images(listed)
    assert (numbers(found), labels(found)) == ([0, 1, 2], ["cat", "dog", "cat"])
    if label != "label":
        note(found, "is taken for the labels")


@pytest.mark.parametrize(
    "written", ["1\\b.png", ".\\1\\b.png", "./1/b.png", "set/1/b.png", "C:\\me\\set\\1\\b.png", "/home/me/set/1/b.png"]
)
def test_paths_have_the_slashes_and_the_beginnings_of_other_machines(listed: Path, written: str) -> None:
    text(listed / "metadata.csv", f"file_name,label\n{written},3\n")
    assert numbers(load_images(listed)) == [1]


@pytest.mark.parametrize(
    "written", ["../secret.png", "..\\secret.png", "set/../../secret.png", "/etc/hostname", "C:\\a.png"]
)
def test_no_path_leads_out_of_the_folder(listed: Path, written: str) -> None:
    save(listed.parent / "secret.png")
    text(listed / "metadata.csv", f"file_name,label\n{written},3\n")
    refusal(listed, "line 2", "not inside the folder")


def test_what_of_a_table_is_not_used_is_named(listed: Path) -> None:
    text(listed / "metadata.csv", "file_name,label,colour,width\n0/a.png,1,red,8\n1/b.png,0,blue,8\n")
    found = load_images(listed)
    note(found, "of its columns 'colour', 'width' are not used")
    note(found, "1 pictures that it does not list", "c.png")


def test_labels_of_a_table_are_whole_numbers_also_as_fractions(listed: Path) -> None:
    text(listed / "metadata.csv", "file_name,label\n0/a.png,5.0\n1/b.png,3\n")
    assert labels(load_images(listed)) == ["5", "3"]
    text(listed / "metadata.csv", "file_name,label\n0/a.png,5.5\n1/b.png,3\n")
    refusal(listed, "line 2", "'5.5'")


def test_a_table_may_have_an_object_on_each_line(listed: Path) -> None:
    rows = [{"file_name": name, "label": number, "objects": {"bbox": [1]}} for number, (name, _) in enumerate(ROWS)]
    text(listed / "metadata.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    found = load_images(listed)
    assert (numbers(found), labels(found)) == ([0, 1, 2], ["0", "1", "2"])
    note(found, "'objects' is not used")
    text(listed / "metadata.jsonl", '{"file_name": "0/a.png", "label": true}\n{"file_name": "1/b.png", "label": false}')
    assert labels(load_images(listed)) == ["1", "0"]
    for content, parts in (
        ("[1]", ("line 1", "no JSON object")),
        ('{"file_name": "0/a.png"}\n{"file_name"', ("line 2", "JSON")),
        ("", ("no rows",)),
        ('{"label": 3}', ("no column file_name",)),
        ('{"file_name": null}', ("line 1", "''")),
        ('{"file_name": "0/a.png", "label": [3]}', ("line 1", "label", "neither a text nor a number")),
        ("[" * 100_000, ("line 1",)),
    ):
        text(listed / "metadata.jsonl", content)
        refusal(listed, "metadata.jsonl", *parts)


def test_two_columns_of_one_name_are_refused(listed: Path) -> None:
    text(listed / "metadata.csv", "file_name,label,Label\n0/a.png,1,2\n")
    refusal(listed, "column label twice")


# Pictures


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_is_grey_however_it_is_stored(tmp_path: Path, mode: str) -> None:
    for number in range(3):
        grey = Image.fromarray(GREY[number])
        (grey.convert(mode) if mode == "P" else grey.convert("RGB").convert(mode)).save(tmp_path / f"{number}.png")
    found = load_images(tmp_path)
    assert found.shape == (1, 8, 8)
    assert numbers(found) == [0, 1, 2]
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "colour.png")
    assert load_images(tmp_path).shape == (3, 8, 8)


# Grids


def tiled(rows: int, columns: int, gap: int, margin: int, ground: int = 0, count: int | None = None) -> np.ndarray:
    """Pictures 0 to `count` in rows, `gap` pixels apart, `margin` pixels of the ground around them."""
    height, width = (margin * 2 + size * 8 + (size - 1) * gap for size in (rows, columns))
    sheet = np.full((height, width), ground, np.uint8)
    for place in range(rows * columns if count is None else count):
        top, left = (margin + at * (8 + gap) for at in divmod(place, columns))
        sheet[top : top + 8, left : left + 8] = GREY[place]
    return sheet


@pytest.mark.parametrize(("gap", "margin"), [(0, 0), (2, 2), (2, 0), (1, 1), (5, 5)])
@pytest.mark.parametrize(("rows", "columns"), [(10, 10), (4, 7), (1, 8), (2, 2)])
@pytest.mark.parametrize("ground", [0, 255])
def test_a_grid_is_cut_into_its_pictures(
    tmp_path: Path, rows: int, columns: int, gap: int, margin: int, ground: int
) -> None:
    Image.fromarray(tiled(rows, columns, gap, margin, ground)).convert("RGB").save(tmp_path / "grid.png")
    asked = image_options({"grid": f"{rows}x{columns}"})
    for source in (tmp_path / "grid.png", tmp_path):
        found = load_images(source, reading=asked)
        assert (found.shape, numbers(found)) == ((1, 8, 8), [*range(rows * columns)])


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("side", [2, 3, 10])
def test_dark_borders_of_digits_are_no_gaps(tmp_path: Path, side: int, gap: int) -> None:
    digits = load_images("mnist", "val").images[: side * side]
    Image.fromarray(grid(digits, columns=side, gap=gap)[0].numpy()).save(tmp_path / "grid.png")
    found = load_images(tmp_path / "grid.png", reading=image_options({"grid": f"{side}x{side}"}))
    assert torch.equal(found.images, digits)


def test_our_own_grid_is_cut_and_its_empty_places_are_none(tmp_path: Path) -> None:
    sheet = grid(torch.from_numpy(GREY[:23]).unsqueeze(1), columns=5)
    Image.fromarray(sheet[0].numpy()).save(tmp_path / "grid.png")
    assert numbers(load_images(tmp_path / "grid.png", reading=image_options({"grid": "5x5"}))) == [*range(23)]


def test_the_pictures_of_a_grid_have_the_class_of_the_grid(tmp_path: Path) -> None:
    for name, rows in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        Image.fromarray(tiled(3, 4, 2, 2, count=4 * rows)).save(tmp_path / name / "grid.png")
    found = load_images(tmp_path, reading=image_options({"grid": "3x4"}))
    assert labels(found) == [*("a" * 8), *("b" * 12)]
    assert found.files == ()


def test_a_grid_is_recognised_and_what_is_none_is_refused(tmp_path: Path) -> None:
    for size, gridded in (((302, 302), "10x10"), ((280, 280), "10x10"), ((242, 152), "8x5"), ((300, 301), None)):
        path = tmp_path / f"{size[0]}.png"
        Image.fromarray(np.zeros(size, np.uint8)).save(path)
        if gridded is None:
            refusal(path, "300x301", "--resize")
            with pytest.raises(PocketganError, match="are not 10x10 pictures of one size"):
                load_images(path, reading=image_options({"grid": "10x10"}))
        else:
            refusal(path, f"--grid {gridded}", "--resize N")
    for wrong in ("10", "0x3", "ten", "1x1000", "-1x2"):
        with pytest.raises(UsageError, match="ROWSxCOLUMNS"):
            image_options({"grid": wrong})
