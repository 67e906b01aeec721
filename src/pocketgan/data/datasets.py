"""The data sets that are known by name: one literal table.

To add one, add a row here, and a reader where its files have a layout of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketgan.core.cache import cache_folder
from pocketgan.core.errors import PocketganError
from pocketgan.data.download import RemoteFile, fetch, is_whole
from pocketgan.data.idx import load_idx_folder
from pocketgan.data.image_set import ImageSet

EMBEDDED = Path(__file__).parent  # with a folder for each data set that comes with the package


@dataclass(frozen=True)
class Dataset:
    """One row of the table.

    Attributes
    ----------
    name
        As ``--data`` takes it.
    title, licence, citation
        What goes with every image made from it, and whom to name.
    files
        With their checksums, and the sizes that they have at most.
    reader
        ``reader(folder, split)`` gives the images of ``train`` or ``test`` from a folder that holds the files.
    shape, class_names
        Channels, height and width of an image; what the labels stand for.
    counts
        Training and test images.
    mirrors
        Addresses of folders that hold the files, each ending in ``/``; none where they come with the package.
    judge, guide
        The shipped classifiers that know it, by their folders in ``weights/``: one scores, the other labels, selects
        and steers.
    """

    name: str
    title: str
    licence: str
    citation: str
    files: tuple[RemoteFile, ...]
    reader: Callable[[Path, str], ImageSet]
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    counts: tuple[int, int]
    mirrors: tuple[str, ...] = ()
    judge: str | None = None
    guide: str | None = None

    @property
    def provenance(self) -> dict[str, str]:
        """What every image set made from it keeps."""
        return {"data": self.title, "licence": self.licence}

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.most_bytes for file in self.files)

    @property
    def embedded(self) -> bool:
        """Whether the files come with the package."""
        return not self.mirrors

    @property
    def folder(self) -> Path:
        """Where the files lie, or will: in the package or in the user's cache."""
        return EMBEDDED / f"{self.name}_files" if self.embedded else cache_folder() / self.name

    def is_here(self) -> bool:
        """Whether all files are here and whole, so that nothing must be downloaded."""
        return all(is_whole(file, self.folder) for file in self.files)

    def images(self, split: str) -> ImageSet:
        """The images of ``train`` or ``test``, downloaded where they are not here.

        Raises
        ------
        PocketganError
            A file of the package was changed or lost, or one could not be downloaded.
        """
        for file in self.files:
            if not self.embedded:
                fetch(file, self.mirrors, self.folder)
            elif not is_whole(file, self.folder):
                raise PocketganError(f"{self.folder / file.name} is missing or was changed; install pocketgan again")
        return replace(
            self.reader(self.folder, split),
            class_names=self.class_names,
            name=f"{self.name}/{split}",
            split=split,
            provenance=self.provenance,
            dataset=self.name,
        )


def _idx_files(*sums: tuple[str, int]) -> tuple[RemoteFile, ...]:
    """MNIST's four files, each with its sha256 and its size in bytes."""
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(
        RemoteFile(f"{name}-ubyte.gz", f"sha256:{digest}", size)
        for name, (digest, size) in zip(names, sums, strict=True)
    )


_ROWS = (
    Dataset(
        name="mnist",
        title="MNIST (LeCun, Cortes, Burges)",
        licence="CC BY-SA 3.0, https://creativecommons.org/licenses/by-sa/3.0/",
        citation="LeCun, Bottou, Bengio, Haffner 1998: Gradient-based learning applied to document recognition",
        files=_idx_files(
            ("0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971", 9_719_438),
            ("1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203", 28_857),
            ("1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be", 1_616_508),
            ("b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b", 4_517),
        ),
        reader=load_idx_folder,
        shape=(1, 28, 28),
        class_names=tuple("0123456789"),
        counts=(60_000, 10_000),
        judge="judge",
        guide="guide",
    ),
    # The md5 sums of github.com/zalandoresearch/fashion-mnist, README.md, are those of the same files.
    Dataset(
        name="fashion-mnist",
        title="Fashion-MNIST (Zalando SE)",
        licence="MIT",
        citation="Xiao, Rasul, Vollgraf 2017: Fashion-MNIST, a novel image dataset, arXiv:1708.07747",
        files=_idx_files(
            ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
            ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
            ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
            ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
        ),
        reader=load_idx_folder,
        shape=(1, 28, 28),
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        counts=(60_000, 10_000),
        mirrors=(
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
    ),
)

DATASETS = {row.name: row for row in _ROWS}


def dataset_like(shape: tuple[int, int, int], class_names: tuple[str, ...]) -> Dataset | None:
    """The first data set whose images have this shape and these classes; None if there is none."""
    return next((row for row in DATASETS.values() if (row.shape, row.class_names) == (shape, class_names)), None)


def datasets_rows() -> list[dict[str, Any]]:
    """The table as plain values: what `pocketgan datasets` lists.

    ``state`` is ``here``, ``not here`` (downloaded when it is asked for) or ``damaged`` (install pocketgan again).
    """
    return [
        {
            "name": row.name,
            "title": row.title,
            "train": row.counts[0],
            "test": row.counts[1],
            "shape": list(row.shape),
            "class_names": list(row.class_names),
            "megabytes": round(row.size / 1e6, 1),
            "licence": row.licence,
            "citation": row.citation,
            "state": "here" if row.is_here() else "damaged" if row.embedded else "not here",
        }
        for row in DATASETS.values()
    ]
