"""NPZ: numpy's own archive, without pickles, plain or under the keys that Keras reads."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pocketgan.data.image_set import Samples
from pocketgan.writers.parts import Job, RowFiles, split

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can hold: no clock in the bytes
KERAS = {"images": "x", "labels": "y"}
BLOCK_BYTES = 1 << 20


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
