"""The layouts in which published data sets come, each read for one split: ``reader(folder, split)``.

What is read here has a pinned checksum, or pixels with a pinned digest. Even so nothing is unpickled: CIFAR's batches
in Python's form are read token by token, and no name in them is looked up.
"""

from __future__ import annotations

import hashlib
import io
import pickletools
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.rng import derive
from pocketgan.data._checks import check_labels, first_line
from pocketgan.data.idx import load_idx_folder, read_idx, read_idx_stream
from pocketgan.data.image_set import ImageSet

EMNIST_ARCHIVE = "gzip.zip"
INT32 = 0x0C  # IDX's code of 32-bit integers
STACKED_SEED = 20_261_126  # published: whoever has MNIST can rebuild Stacked-MNIST
STACKED_EACH = {"train": 64, "test": 10}  # images of each of the 1,000 modes
CIFAR10_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
CIFAR100_BATCHES = {"train": ("train",), "test": ("test",)}
NAMES = ("GLOBAL", "INST", "PERSID")  # tokens whose text names something; it is never looked up
CIFAR_PIXELS = (3, 32, 32)  # of one image, plane by plane


def _image_set(where: str, images: NDArray[np.uint8], labels: NDArray[Any], split: str, classes: int) -> ImageSet:
    """Images ``[N, C, H, W]`` and labels ``[N]`` of a split, checked."""
    names = tuple(str(label) for label in range(classes))
    checked = check_labels(where, labels, len(images), names)
    return ImageSet(torch.from_numpy(np.ascontiguousarray(images)), *checked, split=split)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn whatever a damaged archive leads its reader to into one line that names it.

    Raises
    ------
    PocketganError
        The block raised anything.
    """
    try:
        yield
    except (PocketganError, UsageError):
        raise
    except Exception as error:  # archives' readers raise from EOFError to NotImplementedError
        raise PocketganError(f"{path} is damaged ({first_line(error)}); remove it, and it is fetched again") from error


class EMNIST:
    """One of EMNIST's sets, from the one zip that holds them all, as gzipped IDX files. Pictures come upright.

    On disk each is mirrored at its diagonal, rows for columns, as the authors' page on the format says.

    Parameters
    ----------
    part
        ``balanced``, ``letters`` or ``digits``.
    classes
        How many.
    first
        The smallest label on disk: 1 of the letters, else 0.
    """

    def __init__(self, part: str, classes: int, first: int = 0) -> None:
        self.part, self.classes, self.first = part, classes, first

    def __call__(self, folder: Path, split: str) -> ImageSet:
        archive = folder / EMNIST_ARCHIVE
        with _damage(archive), zipfile.ZipFile(archive) as opened:
            images, labels = (
                self._member(opened, archive, f"gzip/emnist-{self.part}-{split}-{rest}.gz")
                for rest in ("images-idx3-ubyte", "labels-idx1-ubyte")
            )
            if images.ndim != 3 or images.shape[1] != images.shape[2]:
                raise PocketganError(f"{archive} holds pictures of shape {list(images.shape)} that are not square")
            upright = images.transpose(0, 2, 1)[:, None]
            return _image_set(str(archive), upright, labels.astype(np.int64) - self.first, split, self.classes)

    @staticmethod
    def _member(opened: zipfile.ZipFile, archive: Path, name: str) -> NDArray[Any]:
        with opened.open(name) as stream:
            return read_idx_stream(f"{archive} [{name}]", stream, opened.getinfo(name).file_size)


def read_qmnist(folder: Path, split: str) -> ImageSet:
    """QMNIST: images in IDX, and in another IDX eight 32-bit integers for each, of which the first is the digit."""
    images = read_idx(folder / f"qmnist-{split}-images-idx3-ubyte.gz")
    path = folder / f"qmnist-{split}-labels-idx2-int.gz"
    told = read_idx(path, INT32)
    if images.ndim != 3 or told.ndim != 2:
        raise PocketganError(f"{path} holds {list(told.shape)} beside images {list(images.shape)}; fetch both again")
    return _image_set(str(path), images[:, None], told[:, 0].astype(np.int64), split, 10)


class CIFARBinary:
    """CIFAR in its binary version: records of labels (coarse before fine, where there are two) and 3,072 pixels.

    Parameters
    ----------
    archive, inside
        The tar.gz and the folder in it.
    batches
        Names of the files of each split, without their ending.
    labels
        Bytes of labels in a record; the last is the class.
    classes
        How many.
    """

    def __init__(self, archive: str, inside: str, batches: Mapping[str, tuple[str, ...]], labels: int, classes: int):
        self.archive, self.inside, self.batches = archive, inside, batches
        self.labels, self.classes = labels, classes

    def __call__(self, folder: Path, split: str) -> ImageSet:
        path = folder / self.archive
        size = self.labels + int(np.prod(CIFAR_PIXELS))
        with _damage(path):
            wanted = [f"{self.inside}/{name}.bin" for name in self.batches[split]]
            content = b"".join(_members(path, wanted))
            if not content or len(content) % size:
                raise PocketganError(f"{path} holds {len(content):,} bytes of {split}, not records of {size}")
            records = np.frombuffer(content, np.uint8).reshape(-1, size)
            images = records[:, self.labels :].reshape(-1, *CIFAR_PIXELS)
            return _image_set(str(path), images, records[:, self.labels - 1], split, self.classes)


class CIFARPython:
    """CIFAR in its Python version: pickled dictionaries, from the tar.gz or from the folder that was unpacked of it.

    Parameters
    ----------
    archive, inside
        The tar.gz and the folder in it; `archive` is None where the batches lie in the folder themselves.
    batches
        Names of the files of each split.
    key
        Of the labels in the dictionary: ``labels`` or ``fine_labels``.
    classes
        How many.
    """

    def __init__(
        self, archive: str | None, inside: str, batches: Mapping[str, tuple[str, ...]], key: str, classes: int
    ):
        self.archive, self.inside, self.batches, self.key, self.classes = archive, inside, batches, key, classes

    def __call__(self, folder: Path, split: str) -> ImageSet:
        names = self.batches[split]
        path = folder / (self.archive or names[0])
        with _damage(path):
            if self.archive is None:
                contents: Iterable[bytes] = ((folder / name).read_bytes() for name in names)
            else:
                contents = _members(path, [f"{self.inside}/{name}" for name in names])
            parts = [read_batch(content, self.key) for content in contents]
            images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            return _image_set(str(path), images, labels, split, self.classes)


def _members(archive: Path, names: list[str]) -> list[bytes]:
    """The contents of files in a tar.gz, which is read through once."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive, "r:gz") as opened:
        for member in opened:
            if member.name in names and member.isfile():
                stream = opened.extractfile(member)
                found[member.name] = stream.read() if stream is not None else b""
                if len(found) == len(names):
                    break
    for name in names:
        if name not in found:
            raise PocketganError(f"{archive} has no {name}; remove it, and it is fetched again")
    return [found[name] for name in names]


def read_batch(content: bytes, key: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images ``[N, 3, 32, 32]`` and labels ``[N]`` of one pickled batch of CIFAR, without unpickling it.

    The pickle is read as tokens. Of its dictionary, the longest text after the key ``data`` is the pixels, and the
    whole numbers between the key `key` and the next text are the labels. Nothing else in it is looked at.

    Raises
    ------
    ValueError
        It is no such batch.
    """
    pixels, labels, within = b"", list[int](), ""
    for opcode, value, _ in pickletools.genops(io.BytesIO(content)):
        if isinstance(value, str | bytes) and opcode.name not in NAMES:
            text = value.encode("latin-1") if isinstance(value, str) else value
            if text in (b"data", key.encode()):
                within = text.decode()
            elif within == "data" and len(text) > len(pixels):
                pixels = text
            elif within == key:
                within = ""
        elif within == key and opcode.name in ("BININT", "BININT1", "BININT2", "INT", "LONG1") and value is not None:
            labels.append(int(value))
    size = int(np.prod(CIFAR_PIXELS))
    if not labels or len(pixels) != size * len(labels):
        raise ValueError(f"it holds {len(pixels):,} bytes of pixels and {len(labels):,} labels")
    return np.frombuffer(pixels, np.uint8).reshape(-1, *CIFAR_PIXELS), np.array(labels, np.int64)


def read_svhn(folder: Path, split: str) -> ImageSet:
    """SVHN's cropped digits: MATLAB files with X ``[32, 32, 3, N]`` and y ``[N, 1]``, where 10 stands for the digit 0.

    Raises
    ------
    UsageError
        SciPy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UsageError(
            "--data svhn needs SciPy to read MATLAB's files: pip install '.[mat]' in pocketgan's source folder"
        ) from error
    path = folder / f"{split}_32x32.mat"
    with _damage(path):
        held = loadmat(str(path), variable_names=["X", "y"])
        images, labels = np.asarray(held["X"]), np.asarray(held["y"]).ravel().astype(np.int64)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise PocketganError(f"{path} holds X {images.dtype} {list(images.shape)}, not uint8 [32, 32, 3, N]")
        return _image_set(str(path), images.transpose(3, 2, 0, 1), labels % 10, split, 10)


def stack_mnist(folder: Path, split: str) -> ImageSet:
    """Stacked-MNIST: three digits as red, green and blue, 1,000 modes (Srivastava et al. 2017), from MNIST's files.

    Each mode has as many images as any other, `STACKED_EACH`; which digits make them is drawn by `STACKED_SEED`, and
    each plane goes through all images of its digit before it takes one again. The label is the number that the digits
    spell, red first.
    """
    digits = load_idx_folder(folder, split)
    assert digits.labels is not None, "MNIST has labels"
    known, each = digits.labels.numpy(), STACKED_EACH[split]
    labels = np.repeat(np.arange(1000), each)
    random = torch.Generator().manual_seed(derive(STACKED_SEED, "stacked-mnist", split))
    labels = labels[torch.randperm(len(labels), generator=random).numpy()]
    planes = []
    for place in (100, 10, 1):
        wanted, rows = labels // place % 10, np.empty(len(labels), np.int64)
        for digit in range(10):
            mine, chosen = np.flatnonzero(wanted == digit), np.flatnonzero(known == digit)
            turns = -(-len(mine) // len(chosen))
            order = torch.cat([torch.randperm(len(chosen), generator=random) for _ in range(turns)]).numpy()
            rows[mine] = chosen[order[: len(mine)]]
        planes.append(digits.images[torch.from_numpy(rows), 0])
    names = tuple(f"{number:03d}" for number in range(1000))
    return ImageSet(torch.stack(planes, 1), torch.from_numpy(labels), names, split=split)


def ordered(images: ImageSet) -> ImageSet:
    """Rows in the order of their pixels' sha256: copies in any order are so one set, with one `val` and one `fit`."""
    sums = [hashlib.sha256(row.tobytes()).digest() for row in images.images.contiguous().numpy()]
    return images.rows(torch.tensor(sorted(range(len(sums)), key=sums.__getitem__)))
