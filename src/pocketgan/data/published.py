"""Data sets that are downloaded by their names, with the checksums that their publishers print."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pocketgan.core.cache import cache_folder
from pocketgan.data.download import RemoteFile, fetch


class Published(NamedTuple):
    """One row of the table."""

    mirrors: tuple[str, ...]
    files: tuple[RemoteFile, ...]  # named as MNIST's four
    class_names: tuple[str, ...]
    provenance: dict[str, str]


PUBLISHED = {
    # Xiao, Rasul, Vollgraf 2017; checksums and addresses as in github.com/zalandoresearch/fashion-mnist, README.md
    "fashion-mnist": Published(
        mirrors=(
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        files=(
            RemoteFile("train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d", 30 << 20),
            RemoteFile("train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe", 1 << 20),
            RemoteFile("t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79", 8 << 20),
            RemoteFile("t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310", 1 << 20),
        ),
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        provenance={"data": "Fashion-MNIST (Zalando SE)", "licence": "MIT"},
    ),
}


def fetched(name: str, folder: Path | None = None) -> Path:
    """The folder with a published set's files, downloaded if they are not there.

    Parameters
    ----------
    name
        A key of `PUBLISHED`.
    folder
        Where to keep them; the user's cache without it.

    Raises
    ------
    PocketganError
        A file could not be downloaded.
    """
    published = PUBLISHED[name]
    place = (folder or cache_folder()) / name
    for file in published.files:
        fetch(file, published.mirrors, place)
    return place
