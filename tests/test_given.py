"""Images given as Python objects: read as a file of the same would be, known by a digest, and given again to go on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import pocketgan as pg
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data import given
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.recipes import ImageOptions

GREY = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
GREY[0, 0, :2] = 0, 255  # the whole range
LABELS = np.arange(12) % 3
NAMES = ["ant", "bee", "cat"]
QUICK: dict[str, Any] = {"quiet": True, "threads": 1, "nimg": 16, "batch_size": 8}


class Bunch(dict[str, Any]):
    """scikit-learn's, whose keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)


class Items(Dataset[Any]):
    """A map-style data set as people write it."""

    classes = NAMES

    def __init__(self, images: list[Any], labels: Any = LABELS) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Any:
        return self.images[row], int(self.labels[row])


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class Table:
    """As much of Hugging Face's Dataset as is used of it."""

    class Image:
        def __init__(self, decode: bool = True) -> None:
            self.decode = decode

    def __init__(self, cells: list[Any], labels: list[Any], picture: bool = True) -> None:
        self.rows: dict[str, list[Any]] = {"id": list(range(len(cells))), "image": cells, "label": labels}
        self.features: dict[str, Any] = {"image": self.Image() if picture else object(), "label": ClassLabel(NAMES)}
        self.features["id"] = object()
        self.column_names = list(self.rows)

    def __len__(self) -> int:
        return len(self.rows["image"])

    def __getitem__(self, rows: slice) -> dict[str, list[Any]]:
        assert not getattr(self.features["image"], "decode", False), "pictures are decoded by pocketgan"
        return {name: cells[rows] for name, cells in self.rows.items()}

    def with_format(self, kind: None) -> Table:
        return self

    def cast_column(self, name: str, feature: Any) -> Table:
        other = Table(self.rows["image"], self.rows["label"])
        other.features[name] = feature
        return other


def png(picture: np.ndarray) -> bytes:
    kept = io.BytesIO()
    Image.fromarray(picture).save(kept, "PNG")
    return kept.getvalue()


def floats() -> list[torch.Tensor]:
    return [torch.from_numpy(row)[None].float() / 255 for row in GREY]


def pictures(rows: np.ndarray = GREY) -> list[Image.Image]:
    return [Image.fromarray(row) for row in rows]


def table() -> Table:
    return Table([{"bytes": png(row), "path": None} for row in GREY], LABELS.tolist())


@pytest.mark.parametrize(
    "images",
    [
        GREY,
        GREY[:, None],
        torch.from_numpy(GREY),
        GREY / np.float64(255),
        torch.from_numpy(GREY).bfloat16(),
        (GREY, LABELS),
        (torch.from_numpy(GREY / 127.5 - 1), torch.from_numpy(LABELS)),
        (pictures(), LABELS.tolist()),
        (GREY, np.array(NAMES)[LABELS]),
        {"images": GREY, "labels": LABELS},
        Bunch(data=GREY.reshape(12, 64), images=GREY, target=LABELS, target_names=np.array(NAMES), DESCR="ants"),
        Bunch(data=GREY.reshape(12, 64) / 1.0, target=np.array([*"012012012012"], object), target_names=["class"]),
        Items(floats()),
        Items(list(GREY)),
        Items(pictures()),
        Subset(Items(pictures()), range(12)),
        TensorDataset(torch.from_numpy(GREY)[:, None], torch.from_numpy(LABELS)),
        list(zip(GREY, LABELS, strict=True)),
        pictures(),
        table(),
        Table(GREY.tolist(), LABELS.tolist(), picture=False),
        ImageSet(torch.from_numpy(GREY)[:, None], torch.from_numpy(LABELS), ("x", "y", "z")),
    ],
    ids=lambda images: type(images).__name__,
)
@pytest.mark.catches("labels shifted by one")
def test_what_people_have_in_python_is_read(images: Any) -> None:
    """Each holds the same twelve images; labels are there or not, by number or by name."""
    found = load_images(images)
    if str(getattr(images, "dtype", "")) != "torch.bfloat16":  # which has not 256 values
        np.testing.assert_array_equal(found.images[:, 0].numpy(), GREY)
    if found.labels is not None:
        assert found.labels.tolist() == LABELS.tolist()
        assert found.class_names in (("0", "1", "2"), tuple(NAMES), ("x", "y", "z"))
    elif not isinstance(images, np.ndarray | torch.Tensor | list):
        pytest.fail("the labels are lost")
    assert not any("\n" in note for note in found.notes)
    assert found.split == "all"


def test_an_object_is_read_as_a_file_of_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=GREY / 255, y=LABELS)
    for reading in (ImageOptions(), ImageOptions(range="0:2"), ImageOptions(resize=16), ImageOptions(transpose=True)):
        file = load_images(tmp_path / "a.npz", "train", reading)
        assert load_images((GREY / 255, LABELS), "train", reading).digest == file.digest
        assert load_images({"x": GREY / 255, "y": LABELS}, "fit", reading).digest == (
            load_images(tmp_path / "a.npz", "fit", reading).digest
        )


@pytest.mark.parametrize("kind", ["arrays", "sets", "tables"])
def test_splits_are_kept(kind: str) -> None:
    rows = {"train": slice(0, 6), "validation": slice(6, 8), "test": slice(8, 12)}
    if kind == "arrays":
        images: Any = {f"x_{name}": GREY[part] for name, part in rows.items()}
        images |= {f"y_{name}": LABELS[part] for name, part in rows.items()}
    elif kind == "sets":
        images = {name: Items(pictures(GREY[part]), LABELS[part]) for name, part in rows.items()}
    else:
        whole = table().rows
        images = {name: Table(whole["image"][part], whole["label"][part]) for name, part in rows.items()}
    parts = {split: load_images(images, split) for split in ("train", "fit", "val", "test")}
    for split, name in (("train", "train"), ("fit", "train"), ("val", "validation"), ("test", "test")):
        np.testing.assert_array_equal(parts[split].images[:, 0].numpy(), GREY[rows[name]])
        assert parts[split].labels.tolist() == LABELS[rows[name]].tolist()  # type: ignore[union-attr]
        assert parts[split].split == split
    assert any("is the split val, so that fit is all of" in note for note in parts["train"].notes)


def moving() -> Items:
    """A set with a random transform."""

    class Moving(Items):
        def __getitem__(self, row: int) -> Any:
            return torch.rand(1, 8, 8), 0

    return Moving(pictures())


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (7, "data must be text or a path or images"),
        (DataLoader(Items(floats())), "data must be .* with a length"),
        (iter(GREY), "data must be"),
        ([], "holds no images"),
        ({}, "holds nothing; an array named images"),
        ({"a": 1}, "holds nothing"),
        ([1, 2], "item 0 is int, not an image"),
        (["a", "b"], "item 0 is str, not an image"),
        ([GREY[0], GREY[1, :4]], r"item 1 is uint8 \[4, 8\] where item 0 is uint8 \[8, 8\]"),
        ([(GREY[0], 1), (GREY[1], None)], "item 1 has no label"),
        ([pictures()[0], GREY[1]], "item 1 is an array where others are pictures"),
        ((GREY, LABELS[:5]), r"\[labels\] has labels int64 \[5\]; one for each of 12"),
        ((GREY, LABELS + 0.5), "no whole number"),
        (GREY / 16.0, "--range LOW:HIGH"),
        (GREY[:, :4], "sides from 8 to 128"),
        (torch.zeros(3, 2, 8, 8, dtype=torch.uint8), "1 channel"),
        (np.array(["a"]), "not numbers"),
        (moving(), "item 0 is another image each time"),
        ({"left": Items(floats())}, "splits left; one called train is needed"),
        ({"train": Items(floats()), "test": Items(pictures())}, "'test' has other classes, or another kind"),
        (Table([None], [0]), "row 0 holds no picture"),
        (Table([{"bytes": b"no", "path": None}], [0]), "item 0 cannot be read as PNG"),
    ],
)
def test_what_does_not_fit_gets_one_line(images: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(PocketganError, match=told) as caught:
        pg.train(data=images, out=tmp_path / "run", quiet=True)
    assert "data" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_object_that_is_changed_is_not_mistaken_for_what_was_given() -> None:
    images = GREY.copy()
    source = given.source_of(images, "data")
    before = load_images(source)
    images[:] = 255 - images
    np.testing.assert_array_equal(before.images[:, 0].numpy(), GREY)
    with pytest.raises(UsageError, match="was changed since it was given"):
        load_images(source, "train", ImageOptions(resize=16))
    assert given.source_of(images, "data") != source


def test_a_run_is_known_by_its_images_and_goes_on_with_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    pg.train("mlp", data=(GREY, LABELS), out=out, **QUICK)
    stored = pg.load(out)
    assert stored.recipe.data.source.startswith(given.PREFIX)
    assert stored.facts.data.name == "data (tuple)"
    assert stored.facts.data.digest == load_images((GREY, LABELS)).digest
    monkeypatch.setattr(given, "_GIVEN", type(given._GIVEN)())  # another process, which has none of it
    with pytest.raises(UsageError, match="given as a Python object, which this process has not; give the same"):
        load_images(stored.recipe.data.source)
    with pytest.raises(UsageError, match="given as a Python object"):
        pg.evaluate(out, quiet=True)
    with pytest.raises(UsageError, match="trained on other images"):
        pg.train("mlp", data=(255 - GREY, LABELS), out=out, **QUICK)
    with pytest.raises(UsageError, match="learned from a Python object; give it again as data="):
        pg.train("mlp", data=saved(tmp_path, 255 - GREY), out=out, **QUICK)
    more = pg.train("mlp", data=(torch.from_numpy(GREY), LABELS.tolist()), out=out, **QUICK | {"nimg": 32})
    assert more.facts.nimg == 32


def saved(folder: Path, images: np.ndarray) -> Path:
    np.savez(folder / "other.npz", x=images, y=LABELS)
    return folder / "other.npz"


def test_a_models_object_can_be_given_to_be_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pg.train("mlp", data=(GREY, LABELS), out=tmp_path / "run", **QUICK)
    monkeypatch.setattr(given, "_GIVEN", type(given._GIVEN)())
    with pytest.raises(UsageError, match="is not what the model learned from"):
        pg.evaluate(tmp_path / "run", trained_on=GREY, quiet=True)
    with pytest.raises(UsageError, match="no shipped judge knows the images"):  # so they were found
        pg.evaluate(tmp_path / "run", trained_on=(GREY, LABELS), quiet=True)


def test_classifiers_and_labels_take_objects(tmp_path: Path) -> None:
    reader = pg.train_classifier("mlp", data=Items(pictures()), out=tmp_path / "c", epochs=1, quiet=True)
    assert reader.class_names == tuple(NAMES)
    rows = pg.label_images(Items(floats()), classifier=reader, out=tmp_path / "labels.csv")
    assert len(rows) == len(GREY)


@pytest.mark.extras
def test_hugging_faces_own_sets_are_read() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    whole = datasets.Dataset.from_dict({"image": pictures(), "label": LABELS.tolist()}, features=features)
    found = load_images(whole)
    np.testing.assert_array_equal(found.images[:, 0].numpy(), GREY)
    assert (found.labels.tolist(), found.class_names) == (LABELS.tolist(), tuple(NAMES))  # type: ignore[union-attr]
    few = load_images(whole.select([5, 3]).with_format("torch"))
    np.testing.assert_array_equal(few.images[:, 0].numpy(), GREY[[5, 3]])
    parts = datasets.DatasetDict(train=whole.select(range(6)), validation=whole.select([6]), test=whole.select([7, 8]))
    for split, rows in (("train", slice(0, 6)), ("fit", slice(0, 6)), ("val", slice(6, 7)), ("test", slice(7, 9))):
        np.testing.assert_array_equal(load_images(parts, split).images[:, 0].numpy(), GREY[rows])
    with pytest.raises(UsageError, match="must be"):
        load_images(whole.to_iterable_dataset())
    numbers = datasets.Features({"image": datasets.Array2D((8, 8), "uint8"), "label": datasets.Value("int64")})
    plain = datasets.Dataset.from_dict({"image": list(GREY), "label": LABELS.tolist()}, features=numbers)
    np.testing.assert_array_equal(load_images(plain).images[:, 0].numpy(), GREY)
