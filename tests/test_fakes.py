"""Folders of generated images: the round trip, a person's corrections, and corrections that contradict themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import whole_folder
from pocketgan.data.fakes import read_fakes
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.data.pictures import FakesWriter, folder_names

GREY = np.random.default_rng(0).integers(0, 256, (6, 9, 12), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 9, 12, 3), dtype=np.uint8)
LABELS = np.array([2, 0, 1, 1, 0, 2])
TEN = tuple("0123456789")


def same(found: ImageSet, images: np.ndarray, labels: np.ndarray | None, names: tuple[str, ...]) -> None:
    np.testing.assert_array_equal(found.images.numpy(), images, strict=True)
    assert (None if found.labels is None else found.labels.tolist()) == (None if labels is None else labels.tolist())
    assert found.class_names == names


@dataclass(frozen=True)
class Made:
    """Generated images as the writer wants them."""

    images: torch.Tensor
    labels: torch.Tensor | None
    latents: torch.Tensor
    index: torch.Tensor
    class_names: tuple[str, ...] = TEN
    seed: int = 7
    label_source: str = "asked"

    def part(self, rows: slice) -> Made:
        labels = None if self.labels is None else self.labels[rows]
        return replace(
            self, images=self.images[rows], labels=labels, latents=self.latents[rows], index=self.index[rows]
        )


MADE = Made(torch.from_numpy(GREY[:, None]), torch.from_numpy(LABELS), torch.randn(6, 5), torch.arange(10, 16))


def write_fakes(folder: Path, made: Made = MADE, size: int = 4) -> Path:
    with whole_folder(folder) as beside:
        writer = FakesWriter(beside, 5, 6)
        for start in range(0, 6, size):
            writer.add(made.part(slice(start, start + size)))
        writer.close()
    return folder


def edit_classes(folder: Path, old: str, new: str) -> None:
    table = folder / "classes.csv"
    table.write_text(table.read_text().replace(old, new))


def edit(folder: Path, old: str, new: str) -> None:
    table = folder / "metadata.csv"
    text = table.read_text()
    assert text.count(old) == 1
    table.write_text(text.replace(old, new))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_fakes_come_back_as_they_were_written(tmp_path: Path, labelled: bool, colour: bool) -> None:
    made = MADE if labelled else replace(MADE, labels=None, class_names=(), label_source="none")
    made = replace(made, images=torch.from_numpy(COLOUR.transpose(0, 3, 1, 2).copy())) if colour else made
    folder = write_fakes(tmp_path / "fakes", made)
    read = read_fakes(folder)
    same(read.images, made.images.numpy(), LABELS if labelled else None, TEN if labelled else ())
    assert read.label_source == (made.label_source,) * 6
    assert (read.index, read.seed, read.latent_row) == (list(range(10, 16)), [7] * 6, list(range(6)))
    stored = np.load(folder / "latents.npy", allow_pickle=False)
    np.testing.assert_array_equal(stored, made.latents.numpy(), strict=True)
    assert (folder / ("2/000010.png" if labelled else "unlabelled/000010.png")).is_file()
    assert load_images(folder).digest == read.images.digest  # the other door reads the same


def test_the_cut_into_parts_changes_no_byte(tmp_path: Path) -> None:
    contents = []
    for size in (1, 4, 6):
        folder = write_fakes(tmp_path / str(size), size=size)
        contents.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert len(contents[0]) == 9
    assert contents[0] == contents[1] == contents[2]


def test_the_writer_holds_its_caller_to_the_promise(tmp_path: Path) -> None:
    writer = FakesWriter(tmp_path / "a", 5, 5)
    writer.add(MADE.part(slice(0, 4)))
    with pytest.raises(ValueError, match="promised"):
        writer.close()
    with pytest.raises(ValueError, match="after 4 of 5"):
        writer.add(MADE.part(slice(4, 6)))
    with pytest.raises(FileExistsError):
        writer.add(MADE.part(slice(0, 1)))
    with pytest.raises(ValueError, match="latents"):
        FakesWriter(tmp_path / "b", 4, 6).add(MADE)


def corrected(folder: Path, row: int, label: int) -> None:
    """Row number `row` alone was given this label by a person; images and latents are where they were."""
    read = read_fakes(folder)
    expected = LABELS.copy()
    expected[row] = label
    same(read.images, GREY[:, None], expected, TEN)
    assert read.label_source == tuple("person" if number == row else "asked" for number in range(6))
    assert read.latent_row == list(range(6))


@pytest.mark.parametrize("cells", ["9,0", "0,9", "9,9"])
def test_an_edited_label_or_class_name_is_a_persons(tmp_path: Path, cells: str) -> None:
    edit(write_fakes(tmp_path / "f"), "0/000011.png,0,0,", f"0/000011.png,{cells},")
    corrected(tmp_path / "f", 1, 9)


def test_a_moved_picture_is_a_persons(tmp_path: Path) -> None:
    folder = write_fakes(tmp_path / "f")
    (folder / "4").mkdir()
    (folder / "0" / "000011.png").rename(folder / "4" / "000011.png")
    corrected(folder, 1, 4)
    edit(folder, "0/000011.png,0,", "0/000011.png,4,")  # both, and they agree
    corrected(folder, 1, 4)


def test_a_person_may_label_what_had_no_label(tmp_path: Path) -> None:
    folder = write_fakes(tmp_path / "f", replace(MADE, labels=None, class_names=(), label_source="none"))
    for index, label in zip(range(10, 16), LABELS, strict=True):
        if index % 2:
            edit(folder, f"{index:06d}.png,,", f"{index:06d}.png,{label},")
        else:
            (folder / str(label)).mkdir(exist_ok=True)
            (folder / "unlabelled" / f"{index:06d}.png").rename(folder / str(label) / f"{index:06d}.png")
    read = read_fakes(folder)
    same(read.images, GREY[:, None], LABELS, ("0", "1", "2"))
    assert read.label_source == ("person",) * 6


def test_a_removed_row_leaves_its_picture_out(tmp_path: Path) -> None:
    folder = write_fakes(tmp_path / "f")
    edit(folder, "0/000011.png,0,0,asked,7,11,1\n", "")
    assert read_fakes(folder).latent_row == [0, 2, 3, 4, 5]


NAMES = ("cat", "T-shirt/top", "10", "Cat", "..", "", "CON", "unlabelled", "metadata.csv", "ä" * 90, "a\u202eb\n")


def test_folders_are_called_by_class_names_made_safe_and_names_come_back(tmp_path: Path) -> None:
    folders = folder_names(NAMES)
    assert folders[:5] == ("cat", "T-shirt_top", "10", "Cat_", "_")
    assert len({name.casefold() for name in folders}) == len(NAMES)
    assert all(len(name.encode()) <= 110 for name in folders)
    labels = torch.tensor([1, 0, 2, 2, 0, 1])
    folder = write_fakes(tmp_path / "f", replace(MADE, labels=labels, class_names=NAMES[:4]))
    assert (folder / "T-shirt_top/000010.png").is_file()
    assert "T-shirt_top/000010.png,1,T-shirt/top,asked,7,10,0\n" in (folder / "metadata.csv").read_text()
    same(read_fakes(folder).images, GREY[:, None], labels.numpy(), NAMES[:4])
    same(load_images(folder), GREY[:, None], labels.numpy(), NAMES[:4])
    (folder / "Cat_").mkdir()
    (folder / "T-shirt_top" / "000010.png").rename(folder / "Cat_" / "000010.png")
    edit(folder, "cat/000011.png,0,cat", "cat/000011.png,0,10")
    read = read_fakes(folder)
    assert read.images.labels is not None
    assert read.images.labels.tolist() == [3, 2, 2, 2, 0, 1]
    assert read.label_source == ("person", "person", *["asked"] * 4)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_a_folder_and_comes_back(tmp_path: Path, name: str) -> None:
    made = replace(MADE, labels=torch.zeros(6, dtype=torch.int64), class_names=(name,))
    read = read_fakes(write_fakes(tmp_path / "f", made))
    same(read.images, GREY[:, None], np.zeros(6, dtype=np.int64), (name.strip(),))
    assert read.label_source == ("asked",) * 6


def test_a_folder_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It has no classes.csv and no class_name, and its folders are called by the labels."""
    folder = write_fakes(tmp_path / "f")
    (folder / "classes.csv").unlink()
    rows = [line.split(",") for line in (folder / "metadata.csv").read_text().splitlines()]
    (folder / "metadata.csv").write_text("".join(",".join(row[:2] + row[3:]) + "\n" for row in rows))
    read = read_fakes(folder)
    same(read.images, GREY[:, None], LABELS, ("0", "1", "2"))
    assert read.label_source == ("asked",) * 6
    (folder / "7").mkdir()
    (folder / "0" / "000011.png").rename(folder / "7" / "000011.png")
    read = read_fakes(folder)
    assert read.images.labels is not None
    assert (read.images.labels.tolist()[1], read.label_source[1]) == (7, "person")


def move(old: str, new: str) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        (folder / new).parent.mkdir(exist_ok=True)
        (folder / old).rename(folder / new)

    return apply


def copy(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / new).write_bytes((folder / old).read_bytes())


def change(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: edit(folder, old, new)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            [move("0/000011.png", "4/000011.png"), change("0/000011.png,0,", "0/000011.png,5,")],
            ("line 3", "label 5", "lies in 4"),
        ),
        ([copy("0/000011.png", "2/000011.png")], ("line 3", "lies in 0 and in 2")),
        (
            [copy("0/000011.png", "2/000011.png"), move("0/000011.png", "1/000011.png")],
            ("line 3", "lies in 1 and in 2"),
        ),
        ([move("0/000011.png", "dustbin/000011.png")], ("line 3", "missing")),
        ([move("0/000011.png", "0/renamed.png")], ("line 3", "missing")),
        ([change("0/000011.png,0,", "0/000011.png,,")], ("line 3", "no label")),
        ([move("0/000011.png", "unlabelled/000011.png")], ("line 3", "no label")),
        ([change("0/000011.png,0,", "0/000011.png,-1,")], ("line 3", "'-1'")),
        ([change("0/000011.png,0,", "0/000011.png,cat,")], ("line 3", "'cat'")),
        ([change("0/000011.png,0,", "0/000011.png,10,")], ("metadata.csv", "label 10", "0 to 9")),
        ([change("0/000011.png,0,0", "0/000011.png,3,4")], ("line 3", "label 3", "class_name 4")),
        ([change("0/000011.png,0,0", "0/000011.png,0,o")], ("line 3", "class_name 'o'")),
        ([lambda folder: edit_classes(folder, "1,1,1", "2,1,1")], ("classes.csv line 3", "'2'")),
        ([lambda folder: edit_classes(folder, "1,1,1", "1,1,0")], ("classes.csv line 3", "'0'")),
        ([change("7,11,1\n", "7,11,x\n")], ("line 3", "latent_row", "'x'")),
        ([change("7,11,1\n", "7,,1\n")], ("line 3", "index")),
        ([change("7,11,1\n", "7,11\n")], ("line 3", "cells")),
        ([change("0/000011.png,", "2/000010.png,")], ("line 3", "second time")),
        ([change("0/000011.png,", "../f/0/000011.png,")], ("line 3", "file_name")),
        ([change("0/000011.png,", "cat/000011.png,")], ("line 3", "file_name")),
        ([change("label_source", "source")], ("label_source",)),
        ([lambda folder: (folder / "0/000011.png").write_bytes(b"")], ("000011.png",)),
        ([lambda folder: (folder / "metadata.csv").unlink()], ("metadata.csv",)),
    ],
)
def test_corrections_that_cannot_be_followed_are_refused(
    tmp_path: Path, changes: list[Callable[[Path], object]], named: tuple[str, ...]
) -> None:
    folder = write_fakes(tmp_path / "f")
    for apply in changes:
        apply(folder)
    with pytest.raises(PocketganError) as caught:
        read_fakes(folder)
    assert "\n" not in str(caught.value)
    for part in named:
        assert part in str(caught.value)
