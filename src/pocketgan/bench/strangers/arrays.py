"""Arrays and tables of images and labels, as people have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.bench.strangers.kinds import Kind, digits, is_set, names, unlabelled, whole
from pocketgan.core.pixels import to_floats, to_png
from pocketgan.data.idx import idx_header
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images

Array = NDArray[Any]


def pixels() -> Array:
    """The digits: uint8 ``[N, 28, 28]``."""
    return digits().images[:, 0].numpy()


def labels() -> Array:
    """Their classes: int64 ``[N]``."""
    known = digits().labels
    assert known is not None
    return known.numpy()


def in_range(kind: Any) -> Array:
    """The digits as floats: unit, [0, 1], or signed, [-1, 1]."""
    floats: Array = to_floats(digits().images[:, 0], kind).numpy()
    return floats


def write_npz(folder: Path, arrays: dict[str, Any]) -> None:
    """An NPZ file of arrays by their names."""
    np.savez(folder / "digits.npz", **arrays)


def npz(**arrays: Callable[[], Array]) -> Callable[[Path], None]:
    """An NPZ file of these arrays."""
    return lambda folder: write_npz(folder, {name: make() for name, make in arrays.items()})


def npy(make: Callable[[], Array]) -> Callable[[Path], None]:
    """An NPY file."""
    return lambda folder: np.save(folder / "digits.npy", make())


def beside(name: str) -> Callable[[Path], None]:
    """An NPY file of images and one of labels."""

    def build(folder: Path) -> None:
        np.save(folder / "X_train.npy", pixels())
        np.save(folder / name, labels())

    return build


def medmnist(folder: Path) -> None:
    """Three splits under MedMNIST's names, of which `test` holds negatives."""
    both = {"train": pixels(), "val": pixels()[:10], "test": 255 - pixels()}
    images = {f"{split}_images": part for split, part in both.items()}
    write_npz(folder, images | {f"{split}_labels": labels()[: len(part), None] for split, part in both.items()})


def with_negatives(found: ImageSet, path: Path) -> bool:
    """The digits, and their negatives to test on."""
    return whole(found, path) and is_set(load_images(path, "test"), 255 - digits().images, names())


def idx(*files: tuple[str, Callable[[], Array]]) -> Callable[[Path], None]:
    """IDX files by their names, in a folder."""

    def build(folder: Path) -> None:
        (folder / "raw").mkdir()
        for name, make in files:
            (folder / "raw" / name).write_bytes(idx_header(make().shape) + make().astype(np.uint8).tobytes())

    return build


def table(head: bool) -> Callable[[Path], None]:
    """A CSV file as Kaggle has it: the label and 784 pixels."""

    def build(folder: Path) -> None:
        rows = [",".join(map(str, [label, *image.ravel()])) for label, image in zip(labels(), pixels(), strict=True)]
        first = ["label," + ",".join(f"pixel{place}" for place in range(784))] * head
        (folder / "train.csv").write_text("\n".join([*first, *rows]) + "\n")

    return build


def hdf5(folder: Path) -> None:
    """Arrays in groups, as Keras users have them."""
    import h5py

    with h5py.File(folder / "digits.h5", "w") as file:
        file["train/images"], file["train/labels"] = pixels(), labels()
        file["test/images"], file["test/labels"] = 255 - pixels(), labels()


def parquet(folder: Path) -> None:
    """A column of PNG files, as Hugging Face has it."""
    import pyarrow
    import pyarrow.parquet

    pictures = [{"bytes": to_png(image), "path": None} for image in digits().images]
    made = pyarrow.table({"image": pictures, "label": labels().tolist()})
    pyarrow.parquet.write_table(made, folder / "digits.parquet")


def words() -> Array:
    """Labels as texts that do not sort as numbers do."""
    return np.array([f"class_{label + 2}" for label in labels()])


def by_words(found: ImageSet, path: Path) -> bool:
    """The classes in natural order, `class_2` first and `class_11` last."""
    order = tuple(f"class_{number}" for number in range(2, 12))
    return found.class_names == order and is_set(found, digits().images, list(words()))


def read_as(change: Callable[[Tensor], Tensor], word: str) -> Callable[[ImageSet, Path], bool]:
    """Changed digits without labels, and this word in what is said."""
    return lambda found, path: is_set(found, change(digits().images), None) and any(word in n for n in found.notes)


def turned(found: ImageSet, path: Path) -> bool:
    """The digits upright again."""
    return whole(found, path) and not any("--transpose" in note for note in found.notes)


def lying(found: ImageSet, path: Path) -> bool:
    """The digits as they lie in EMNIST's files, with a line that says so."""
    told = any("--transpose" in note for note in found.notes)
    return told and is_set(found, digits().images.transpose(2, 3), names())


def across() -> Array:
    return pixels().transpose(0, 2, 1)


EMNIST = (("emnist-digits-train-images-idx3-ubyte", across), ("emnist-digits-train-labels-idx1-ubyte", labels))

ARRAYS = (
    Kind("NPZ of `images`, `labels`", "train --data digits.npz", npz(images=pixels, labels=labels), whole),
    Kind("NPZ of `X`, `y`", "train --data digits.npz", npz(X=pixels, y=labels), whole),
    Kind("NPZ of `arr_0`, `arr_1`", "train --data digits.npz", npz(arr_0=pixels, arr_1=labels), whole),
    Kind("NPZ under MedMNIST's names", "train --data digits.npz", medmnist, with_negatives),
    Kind("NPZ with an array besides", "train --data digits.npz", npz(images=pixels, labels=labels, ids=labels), whole),
    Kind("NPZ under no known name", "train --data digits.npz", npz(weights=pixels, ids=labels), None),
    Kind("`[N, 784]`", "train --data digits.npz", npz(x=lambda: pixels().reshape(-1, 784), y=labels), whole),
    Kind("`[N, 785]`", "train --data digits.npz", npz(x=lambda: np.zeros((40, 785), np.uint8), y=labels), None),
    Kind("`[N, 28, 28, 1]`", "train --data digits.npz", npz(x=lambda: pixels()[..., None], y=labels), whole),
    Kind("labels `[N, 1]`", "train --data digits.npz", npz(x=pixels, y=lambda: labels()[:, None]), whole),
    Kind("labels one-hot", "train --data digits.npz", npz(x=pixels, y=lambda: np.eye(10)[labels()]), whole),
    Kind("labels as fractions, 5.0", "train --data digits.npz", npz(x=pixels, y=lambda: labels() * 1.0), whole),
    Kind("labels 5.5", "train --data digits.npz", npz(x=pixels, y=lambda: labels() + 0.5), None),
    Kind("labels as texts", "train --data digits.npz", npz(x=pixels, y=words), by_words),
    Kind("a label too few", "train --data digits.npz", npz(x=pixels, y=lambda: labels()[1:]), None),
    Kind("several classes for one image", "train --data digits.npz", npz(x=pixels, y=lambda: np.ones((40, 10))), None),
    Kind("NPY, labels beside it by name", "train --data X_train.npy", beside("y_train.npy"), whole),
    Kind("NPY, labels beside it by another name", "train --data X_train.npy", beside("my_labels.npy"), unlabelled),
    Kind("floats in [0, 1]", "train --data digits.npy", npy(lambda: in_range("unit")), unlabelled),
    Kind("floats in [-1, 1]", "train --data digits.npy", npy(lambda: in_range("signed")), unlabelled),
    Kind("floats from 0 to 255", "train --data digits.npy", npy(lambda: pixels() * 1.0), unlabelled),
    Kind("floats from 0 to 16", "train --data digits.npy", npy(lambda: in_range("unit") * 16), None),
    Kind(
        "the same with their range",
        "train --data digits.npy --range 0:16",
        npy(lambda: in_range("unit") * 16),
        unlabelled,
    ),
    Kind("normalised floats, below -1 too", "train --data digits.npy", npy(lambda: in_range("signed") * 2), None),
    Kind(
        "truth values",
        "train --data digits.npy",
        npy(lambda: pixels() > 127),
        lambda found, path: is_set(found, torch.where(digits().images > 127, 255, 0).byte(), None),
    ),
    Kind("NaN among floats", "train --data digits.npy", npy(lambda: in_range("unit") + np.nan), None),
    Kind("HDF5 with splits", "train --data digits.h5", hdf5, with_negatives, "h5py"),
    Kind("CSV of pixels, as Kaggle has it", "train --data train.csv", table(head=True), whole),
    Kind("CSV of pixels without a head", "train --data train.csv", table(head=False), whole),
    Kind("Parquet with pictures", "train --data digits.parquet", parquet, whole, "pyarrow"),
    Kind("EMNIST's names", "train --data raw", idx(*EMNIST), lying),
    Kind("the same, upright", "train --data raw --transpose", idx(*EMNIST), turned),
    Kind(
        "IDX with one split",
        "train --data raw",
        idx(("t10k-images-idx3-ubyte", pixels), ("t10k-labels-idx1-ubyte", labels)),
        whole,
    ),
)

LOOKS = (
    Kind(
        "black images",
        "train --data digits.npy",
        npy(lambda: pixels() * 0),
        read_as(lambda images: images * 0, "nothing to learn"),
    ),
    Kind(
        "many of one flat colour",
        "train --data digits.npy",
        npy(lambda: np.concatenate([pixels(), pixels()[:10] * 0 + 90])),
        read_as(lambda images: torch.cat([images, images[:10] * 0 + 90]), "flat"),
    ),
    Kind(
        "twins",
        "train --data digits.npy",
        npy(lambda: np.concatenate([pixels(), pixels()])),
        read_as(lambda images: torch.cat([images, images]), "twins"),
    ),
    Kind(
        "bytes of 0 and 1",
        "train --data digits.npy",
        npy(lambda: pixels() // 128),
        read_as(lambda images: images // 128, "0:1"),
    ),
    Kind(
        "12 bits in 16, cut to bytes",
        "train --data digits.npy",
        npy(lambda: pixels() // 16),
        read_as(lambda images: images // 16, "0:15"),
    ),
    Kind(
        "a class without images",
        "train --data digits.npz",
        npz(images=pixels, labels=lambda: labels() * 2),
        lambda found, path: is_set(found, digits().images, [str(2 * int(name)) for name in names()]),
    ),
)
