"""Formats of arrays: NPZ, numpy's own archive, plain or with Keras' keys; and IDX, MNIST's own four files."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from pocketgan.core.errors import UsageError
from pocketgan.data.idx import idx_header
from pocketgan.data.image_set import Samples

if TYPE_CHECKING:
    from pocketgan.writers import Job

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can hold: no clock in the bytes
KERAS = {"images": "x", "labels": "y"}
BLOCK_BYTES = 1 << 20
MNIST_SHARE = 1 / 7  # 10,000 test images of 70,000
SIDES = ("train", "t10k")
REMEDY = "choose png or npz"


class RowFiles:
    """Files of rows behind a header, one for each side of a split, appended to as rows come.

    Plain appends and no memory map: where the disk is full, an append is an error and a map kills the process.

    Parameters
    ----------
    sides
        Path and number of rows of each file, in the order of the rows.
    header
        From a number of rows to the bytes that come before them.
    """

    def __init__(self, sides: Sequence[tuple[Path, int]], header: Callable[[int], bytes]) -> None:
        self.sides, self.done = sides, 0
        for path, count in sides:
            path.write_bytes(header(count))

    def add(self, rows: NDArray[Any]) -> None:
        """Append rows to the files that their positions belong to."""
        counts = [count for _, count in self.sides]
        for (path, _), piece in zip(self.sides, pieces(counts, self.done, len(rows)), strict=True):
            if len(rows[piece]):
                with path.open("ab") as file:
                    file.write(rows[piece].tobytes())
        self.done += len(rows)


def pieces(counts: Iterable[int], done: int, size: int) -> Iterator[slice]:
    """Which of the next `size` rows belong to each side, where the sides have `counts` rows and `done` came before."""
    start = -done  # of a side, counted from the first of these rows
    for count in counts:
        stop = start + count
        yield slice(max(0, start), min(size, max(0, stop)))
        start = stop


def split(count: int, share: float) -> tuple[int, int]:
    """Numbers of training and test images; the last `share` of the positions is for test.

    Raises
    ------
    UsageError
        Rounding leaves one of the sides empty.
    """
    test = round(count * share)
    if not 0 < test < count:
        side = "test" if test == 0 else "training"
        raise UsageError(f"--test-share {share:.3g} of {count} images leaves none for {side}; change it or --count")
    return count - test, test


class NPZWriter:
    """``samples.npz``.

    ====================  ===========================================================================
    key                   array
    ====================  ===========================================================================
    images                uint8 ``[N, H, W]``, or ``[N, H, W, 3]`` in colour
    labels                int64 ``[N]``; absent where there are none
    latents, index        float32 ``[N, latent_dim]`` and int64 ``[N]``: the latent of (seed, index)
    seed                  int64
    class_names, licence  unicode; empty where there are none
    provenance            unicode, JSON
    ====================  ===========================================================================

    With a test share, the first four become ``x_train``, ``x_test``, ``y_train``, … ``index_test``.

    Each column goes to an .npy file beside, and these into the archive at the end, because a zip takes one member after
    another. Members are stored, not deflated, so that the bytes depend on no version of zlib.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        sides = {"": job.count}
        if job.test_share is not None:
            sides = dict(zip(("_train", "_test"), split(job.count, job.test_share), strict=True))
        self.keys: list[str] = []
        self.columns: dict[str, RowFiles] = {}
        for name, array in _columns(job.first).items():
            keys = [name if side == "" else KERAS.get(name, name) + side for side in sides]
            files = list(zip(map(self._beside, keys), sides.values(), strict=True))
            self.columns[name] = RowFiles(files, _header_of(array))
            self.keys += keys

    def add(self, samples: Samples) -> None:
        """Append a part to the columns."""
        for name, array in _columns(samples).items():
            self.columns[name].add(array)

    def close(self) -> None:
        """Move the columns into the archive, block by block, and add the facts."""
        facts = self.job.facts()
        small = {
            "seed": np.array(facts["seed"], dtype=np.int64),
            "class_names": np.array(facts["class_names"], dtype=np.str_),
            "licence": np.array(facts.get("licence", ""), dtype=np.str_),
            "provenance": np.array(json.dumps(facts, ensure_ascii=False), dtype=np.str_),
        }
        with zipfile.ZipFile(self.job.folder / "samples.npz", "x") as archive:
            for key in self.keys:
                with (
                    self._beside(key).open("rb") as source,
                    archive.open(_member(key), "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target, BLOCK_BYTES)
                self._beside(key).unlink()
            for key, array in small.items():
                with archive.open(_member(key), "w") as target:
                    npy.write_array(target, array, allow_pickle=False)

    def _beside(self, key: str) -> Path:
        return self.job.folder / f".{key}.npy"


def _columns(samples: Samples) -> dict[str, NDArray[Any]]:
    """The rows of a part, by key."""
    pixels = samples.images.numpy()
    columns: dict[str, NDArray[Any]] = {"images": pixels[:, 0] if pixels.shape[1] == 1 else np.moveaxis(pixels, 1, -1)}
    if samples.labels is not None:
        columns["labels"] = samples.labels.numpy()
    return columns | {"latents": samples.latents.numpy(), "index": samples.index.numpy()}


def _header_of(array: NDArray[Any]) -> Callable[[int], bytes]:
    """From a number of rows like those of `array` to the head of their .npy file."""

    def header(count: int) -> bytes:
        buffer = io.BytesIO()
        shape = (count, *array.shape[1:])
        content = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(buffer, content)
        return buffer.getvalue()

    return header


def _member(key: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(f"{key}.npy", EARLIEST)
    member.create_system = 3  # Unix, wherever it is written
    return member


class IDXWriter:
    """``MNIST/raw/``: uncompressed images and labels of both sides, for ``torchvision.datasets.MNIST(root=out)``.

    Raises
    ------
    UsageError
        There are no labels, more than 256 classes, or more than one channel; or a side of the split is empty.
    """

    def __init__(self, job: Job) -> None:
        first = job.first
        channels, height, width = first.shape
        if first.labels is None:
            raise UsageError(f"--format idx holds labels and these images have none; {REMEDY}, or a conditional model")
        if channels != 1:
            raise UsageError(f"--format idx holds images of one channel, not {channels}; {REMEDY}")
        if len(first.class_names) > 256:
            raise UsageError(f"--format idx holds labels 0 to 255, not {len(first.class_names)} classes; {REMEDY}")
        raw = job.folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        sides = list(zip(SIDES, split(job.count, job.test_share or MNIST_SHARE), strict=True))
        images = [(raw / f"{side}-images-idx3-ubyte", count) for side, count in sides]
        labels = [(raw / f"{side}-labels-idx1-ubyte", count) for side, count in sides]
        self.images = RowFiles(images, lambda count: idx_header((count, height, width)))
        self.labels = RowFiles(labels, lambda count: idx_header((count,)))

    def add(self, samples: Samples) -> None:
        """Append a part."""
        assert samples.labels is not None
        self.images.add(samples.images.numpy())
        self.labels.add(samples.labels.to(torch.uint8).numpy())

    def close(self) -> None:
        """Headers and rows are written; nothing is left to do."""
