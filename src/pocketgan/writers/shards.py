"""Formats in shards: files of so many images each, written whole, for loaders that read many files at once."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pocketgan.core.errors import UsageError
from pocketgan.core.files import write_bytes
from pocketgan.core.pixels import to_png
from pocketgan.core.rng import BLOCK
from pocketgan.data.image_set import Samples

if TYPE_CHECKING:
    from pocketgan.writers import Job

SHARD = 40 * BLOCK  # images in a file: 5,120
ROW_GROUP = 1000  # images that a reader of Parquet takes at once


class Row(NamedTuple):
    """One image with what made it."""

    png: bytes
    label: int | None
    number: int  # the latent's index
    latent: NDArray[np.float32]  # [D]


class _ShardWriter:
    """Gathers rows and writes each shard when it is full. The rows of one shard are held in memory."""

    NAME: str  # of the format, and of its folder

    def __init__(self, job: Job) -> None:
        self.job, self.folder = job, job.folder / self.NAME
        self.sides = {side or "train": size for side, size in job.sides().items()}
        self.rows: list[Row] = []
        self._plan = self._shards()
        self.side, self.number, self.size = next(self._plan)
        self.folder.mkdir()

    def _shards(self) -> Iterator[tuple[str, int, int]]:
        """Side, number and size of each shard, in order."""
        for side, count in self.sides.items():
            for number, begin in enumerate(range(0, count, SHARD)):
                yield side, number, min(SHARD, count - begin)

    def add(self, samples: Samples) -> None:
        """Take the next part."""
        labels = [None] * len(samples) if samples.labels is None else samples.labels.tolist()
        columns = samples.images, labels, samples.index.tolist(), samples.latents.numpy()
        for image, label, index, latent in zip(*columns, strict=True):
            self.rows.append(Row(to_png(image), label, index, latent))
            if len(self.rows) == self.size:
                total = -(-self.sides[self.side] // SHARD)
                name = f"{self.side}-{self.number:05d}-of-{total:05d}"
                write_bytes(self.folder / f"{name}.{self.suffix}", self.shard())
                self.rows = []
                self.side, self.number, self.size = next(self._plan, (self.side, self.number, 0))

    suffix: str

    def shard(self) -> bytes:
        """The file of the rows that were gathered."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is left: the last shard was full."""


class WebDatasetWriter(_ShardWriter):
    """Tar files as the library `webdataset` reads them: ``INDEX.png``, ``.cls``, ``.json`` and ``.latent.npy``."""

    NAME, suffix = "webdataset", "tar"

    def shard(self) -> bytes:
        """A tar file that holds no time and no owner."""
        first, buffer = self.job.first, io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for row in self.rows:
                about: dict[str, Any] = {"index": row.number, "seed": first.seed, "label_source": first.label_source}
                members = {"png": row.png}
                if row.label is not None:
                    about |= {"label": row.label, "class_name": first.class_names[row.label]}
                    members["cls"] = str(row.label).encode()
                latent = io.BytesIO()
                np.save(latent, row.latent)
                members |= {"json": json.dumps(about, ensure_ascii=False).encode(), "latent.npy": latent.getvalue()}
                for suffix, content in members.items():
                    member = tarfile.TarInfo(f"{row.number:09d}.{suffix}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        return buffer.getvalue()


class ParquetWriter(_ShardWriter):
    """Parquet files as Hugging Face's `datasets` and pandas read them: zstd, a row group for each 1,000 images."""

    NAME, suffix = "parquet", "parquet"

    def __init__(self, job: Job) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise UsageError(
                "--format parquet needs pyarrow: pip install '.[parquet]' in pocketgan's source folder"
            ) from error
        super().__init__(job)

    def shard(self) -> bytes:
        """A Parquet file."""
        import pyarrow
        import pyarrow.parquet

        first, names = self.job.first, self.job.first.class_names
        columns: dict[str, Any] = {
            "image": pyarrow.array(
                [{"bytes": row.png, "path": f"{row.number:09d}.png"} for row in self.rows],
                pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()}),
            ),
            "label": pyarrow.array([row.label for row in self.rows], pyarrow.int64()),
            "seed": pyarrow.array([first.seed] * len(self.rows), pyarrow.int64()),
            "index": pyarrow.array([row.number for row in self.rows], pyarrow.int64()),
            "latent": pyarrow.array([row.latent for row in self.rows], pyarrow.list_(pyarrow.float32())),
        }
        value = {"_type": "Value"}
        label = {"names": list(names), "_type": "ClassLabel"} if names else value | {"dtype": "int64"}
        features = {
            "image": {"_type": "Image"},
            "label": label,
            "seed": value | {"dtype": "int64"},
            "index": value | {"dtype": "int64"},
            "latent": {"feature": value | {"dtype": "float32"}, "_type": "List"},
        }
        metadata = {
            "huggingface": json.dumps({"info": {"features": features}}),
            "pocketgan": json.dumps(self.job.facts(), ensure_ascii=False),
        }
        buffer = io.BytesIO()
        table = pyarrow.table(columns).replace_schema_metadata(metadata)
        pyarrow.parquet.write_table(table, buffer, row_group_size=ROW_GROUP, compression="zstd")
        return buffer.getvalue()


class TFRecordWriter(_ShardWriter):
    """Files of ``tf.train.Example``, as TensorFlow reads them: ``image`` (PNG), ``label``, ``class_name``, ``seed``, …

    The bytes of an Example are put together here: protobuf's own encoder promises no order of the features, and the
    same images are to be the same file. The layout is that of TensorFlow's `tf_record` and `example.proto`.
    """

    NAME, suffix = "tfrecord", "tfrecord"

    def __init__(self, job: Job) -> None:
        try:
            import crc32c  # noqa: F401
        except ImportError as error:
            raise UsageError(
                "--format tfrecord needs crc32c: pip install '.[tfrecord]' in pocketgan's source folder"
            ) from error
        super().__init__(job)

    def shard(self) -> bytes:
        """A file of records, each behind its length, with sums of both."""
        first, records = self.job.first, []
        for row in self.rows:
            features: dict[str, bytes | int | NDArray[np.float32]] = {
                "image": row.png,
                "index": row.number,
                "latent": row.latent,
                "seed": first.seed,
            }
            if row.label is not None:
                features |= {"label": row.label, "class_name": first.class_names[row.label].encode("utf-8", "replace")}
            record = _example(features)
            length = struct.pack("<Q", len(record))
            records += [length, _masked_sum(length), record, _masked_sum(record)]
        return b"".join(records)


def _masked_sum(content: bytes) -> bytes:
    """The CRC-32C of a record, turned and shifted as TFRecord wants it."""
    import crc32c

    value = crc32c.crc32c(content)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _example(features: dict[str, bytes | int | NDArray[np.float32]]) -> bytes:
    """A ``tf.train.Example`` as protobuf writes it, its features in alphabetical order."""
    entries = []
    for name, value in sorted(features.items()):
        if isinstance(value, bytes):
            kind = _field(1, _field(1, value))
        elif isinstance(value, int):
            kind = _field(3, _field(1, _varint(value)))
        else:
            kind = _field(2, _field(1, value.astype("<f4").tobytes()))
        entries.append(_field(1, _field(1, name.encode()) + _field(2, kind)))
    return _field(1, b"".join(entries))


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes, or of what is packed into them."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """An integer from 0, seven bits to a byte, the lowest first."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
