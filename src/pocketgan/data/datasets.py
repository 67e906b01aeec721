"""The data sets that are known by name: one literal table.

To add one, add a row here, and a reader in `data.layouts` where its files have a layout of their own.
"""

from __future__ import annotations

import os
import shutil
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketgan.core.cache import cache_folder
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import clear_errors, unfinished
from pocketgan.data import layouts
from pocketgan.data.arrays import load_npz
from pocketgan.data.download import RemoteFile, fetch, is_whole
from pocketgan.data.idx import load_idx_folder
from pocketgan.data.image_set import ImageSet

EMBEDDED = Path(__file__).parent  # with a folder for each data set that comes with the package
Reader = Callable[[Path, str], ImageSet]  # the images of ``train`` or ``test`` from a folder that holds the files
DEEP = 4  # folders within a folder that are searched for files
MOST_SEARCHED = 20_000  # files in all of them


@dataclass(frozen=True)
class Form:
    """Another form in which a set's files go round: read where somebody has them, never downloaded."""

    files: tuple[RemoteFile, ...]
    reader: Reader


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
    judge_recipe
        The preset by which `judge train` makes a judge of it.
    kept_in
        The folder of its files, where other sets share them; else it is named after the set.
    forms
        Further forms of the files.
    digests
        Of the training and test images (`ImageSet.digest`), where they are pinned: then an NPZ with Keras' names and
        the same images is as good as the publisher's files.
    ordered
        Whether rows are put in an order of their own (`layouts.ordered`), since copies go round in several.
    note
        What one should know before using it, in one sentence.
    """

    name: str
    title: str
    licence: str
    citation: str
    files: tuple[RemoteFile, ...]
    reader: Reader
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    counts: tuple[int, int]
    mirrors: tuple[str, ...] = ()
    judge: str | None = None
    guide: str | None = None
    judge_recipe: str = "judge"
    kept_in: str = ""
    forms: tuple[Form, ...] = ()
    digests: tuple[str, str] | None = None
    ordered: bool = False
    note: str = ""

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
        name = self.kept_in or self.name
        return EMBEDDED / f"{name}_files" if self.embedded else cache_folder() / name

    @property
    def npz(self) -> str:
        """What an NPZ with the same images is called in `folder`."""
        return f"{self.name}.npz"

    def is_here(self) -> bool:
        """Whether all files of one form are here and whole, so that nothing must be downloaded."""
        return self._form_here() is not None

    def images(self, split: str) -> ImageSet:
        """The images of ``train`` or ``test``, downloaded where they are not here.

        Raises
        ------
        PocketganError
            A file of the package was changed or lost, or one could not be downloaded.
        """
        read = self._form_here()
        if read is None and self.embedded:
            lost = next(file for file in self.files if not is_whole(file, self.folder))
            raise PocketganError(f"{self.folder / lost.name} is missing or was changed; install pocketgan again")
        if read is None:
            for file in self.files:
                fetch(file, self.mirrors, self.folder)
            read = self.reader
        return self._named(read(self.folder, split), split)

    def take_from(self, folder: Path) -> bool:
        """Keep a copy of this set's files from a folder, or from folders within it; whether they are all there.

        Raises
        ------
        PocketganError
            The folder cannot be read, or the copies cannot be written.
        """
        if self.is_here():
            return True
        found = _files_in(folder)
        for form in (Form(self.files, self.reader), *self.forms):
            places = [
                next((place for place in found.get(file.name, ()) if is_whole(file, place.parent)), None)
                for file in form.files
            ]
            whole = [place for place in places if place is not None]
            if len(whole) == len(places):
                for place in whole:
                    _keep(place, self.folder / place.name)
                return True
        if self.digests is not None:
            for name, places_of in found.items():
                for place in places_of if name.endswith(".npz") else ():
                    if all(self._is_same(place, split) for split in ("train", "test")):
                        _keep(place, self.folder / self.npz)
                        return True
        return False

    def _form_here(self) -> Reader | None:
        """The reader of the first form whose files are all here and whole."""
        for form in (Form(self.files, self.reader), *self.forms):
            if all(is_whole(file, self.folder) for file in form.files):
                return form.reader
        if self.digests is not None and (self.folder / self.npz).is_file():
            return self._read_npz
        return None

    def _read_npz(self, folder: Path, split: str) -> ImageSet:
        if not self._is_same(folder / self.npz, split):
            raise PocketganError(f"{folder / self.npz} was changed; remove it, or put the right one there")
        return load_npz(folder / self.npz, split)

    def _is_same(self, path: Path, split: str) -> bool:
        """Whether an NPZ holds this set's images and labels of a split."""
        assert self.digests is not None
        try:
            images = load_npz(path, split)
        except (PocketganError, UsageError):
            return False
        count = self.counts[split == "test"]
        if images.shape != self.shape or images.labels is None or len(images) != count:
            return False
        return self._named(images, split).digest == self.digests[split == "test"]

    def _named(self, images: ImageSet, split: str) -> ImageSet:
        return replace(
            layouts.ordered(images) if self.ordered else images,
            class_names=self.class_names,
            name=f"{self.name}/{split}",
            split=split,
            provenance=self.provenance,
            dataset=self.name,
        )


def _files_in(folder: Path) -> dict[str, list[Path]]:
    """The files in a folder and in `DEEP` folders within each other, by name."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give the one that holds the files of a data set")
    found: dict[str, list[Path]] = {}
    count = 0
    for place, inner, names in os.walk(folder):
        if len(Path(place).relative_to(folder).parts) >= DEEP:
            inner.clear()
        for name in names:
            found.setdefault(name, []).append(Path(place) / name)
        count += len(names)
        if count > MOST_SEARCHED:
            raise UsageError(f"{folder} holds more than {MOST_SEARCHED:,} files; give the data set's own folder")
    return found


def _keep(place: Path, target: Path) -> None:
    """Copy a file into the cache, whole."""
    with clear_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(target) as beside:
            shutil.copyfile(place, beside)
            beside.replace(target)


def _idx_files(*sums: tuple[str, int]) -> tuple[RemoteFile, ...]:
    """MNIST's four files, each with its sha256 and its size in bytes."""
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(
        RemoteFile(f"{name}-ubyte.gz", f"sha256:{digest}", size)
        for name, (digest, size) in zip(names, sums, strict=True)
    )


def _emnist(part: str, class_names: tuple[str, ...], counts: tuple[int, int], first: int = 0) -> Dataset:
    """EMNIST's row of one part."""
    return Dataset(
        name=f"emnist-{part}",
        title=f"EMNIST {part} (Cohen, Afshar, Tapson, van Schaik)",
        licence="none stated; made from NIST Special Database 19, a work of the US government",
        citation="Cohen et al. 2017: EMNIST, an extension of MNIST to handwritten letters, arXiv:1702.05373",
        files=(RemoteFile(layouts.EMNIST_ARCHIVE, "md5:58c8d27c78d21e728a6bc7b3cc06412e", 561_753_746),),
        reader=layouts.EMNIST(part, len(class_names), first),
        shape=(1, 28, 28),
        class_names=class_names,
        counts=counts,
        mirrors=(
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
        ),
        kept_in="emnist",
        note="One file holds EMNIST's parts; a picture of one part may be among the test images of another.",
    )


_TORONTO = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
_MOST_SMALL = 11_000_000
_MOST_BATCH = 32_000_000
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
_MNIST = _idx_files(
    ("0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971", 9_719_438),
    ("1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203", 28_857),
    ("1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be", 1_616_508),
    ("b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b", 4_517),
)

_ROWS = (
    Dataset(
        name="mnist",
        title="MNIST (LeCun, Cortes, Burges)",
        licence="CC BY-SA 3.0, https://creativecommons.org/licenses/by-sa/3.0/",
        citation="LeCun, Bottou, Bengio, Haffner 1998: Gradient-based learning applied to document recognition",
        files=_MNIST,
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
        judge_recipe="judge-clothes",
        digests=(
            "4571d04c0675030ede0e86e288d7dfeb4e88ff91eb2c63448d2e55513c276160",
            "9afe6ddf9f12ef15958657b9e63dad962654cb30bbc25223c898857cf67731c0",
        ),
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
    # Of these the sums are those that their publishers print or that torchvision pins; the files were not at hand.
    Dataset(
        name="kmnist",
        title="Kuzushiji-MNIST (ROIS-DS Center for Open Data in the Humanities)",
        licence="CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/",
        citation="Clanuwat et al. 2018: Deep Learning for Classical Japanese Literature, arXiv:1812.01718",
        files=_idx_files(
            ("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4", 18_165_135),
            ("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", 29_497),
            ("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5", 3_041_136),
            ("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", 5_120),
        ),
        reader=load_idx_folder,
        shape=(1, 28, 28),
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        counts=(60_000, 10_000),
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
    ),
    _emnist("balanced", tuple(string.digits + string.ascii_uppercase + "abdefghnqrt"), (112_800, 18_800)),
    _emnist("letters", tuple(string.ascii_lowercase), (124_800, 20_800), first=1),
    _emnist("digits", tuple(string.digits), (240_000, 40_000)),
    Dataset(
        name="qmnist",
        title="QMNIST (Yadav, Bottou; Facebook)",
        licence="BSD 3-Clause, https://github.com/facebookresearch/qmnist/blob/main/LICENSE",
        citation="Yadav, Bottou 2019: Cold Case: The Lost MNIST Digits, arXiv:1905.10498",
        files=(
            RemoteFile("qmnist-train-images-idx3-ubyte.gz", "md5:ed72d4157d28c017586c42bc6afe6370", _MOST_SMALL),
            RemoteFile("qmnist-train-labels-idx2-int.gz", "md5:0058f8dd561b90ffdd0f734c6a30e5e4", 1_000_000),
            RemoteFile("qmnist-test-images-idx3-ubyte.gz", "md5:1394631089c404de565df7b7aeaf9412", _MOST_SMALL),
            RemoteFile("qmnist-test-labels-idx2-int.gz", "md5:5b5b05890a5e13444e108efe57b788aa", 1_000_000),
        ),
        reader=layouts.read_qmnist,
        shape=(1, 28, 28),
        class_names=tuple(string.digits),
        counts=(60_000, 60_000),
        mirrors=(
            "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
            "https://github.com/facebookresearch/qmnist/raw/master/",
        ),
        note="Its training images are MNIST's, made again; its first 10,000 test images are MNIST's test images.",
    ),
    Dataset(
        name="cifar10",
        title="CIFAR-10 (Krizhevsky, Nair, Hinton)",
        licence="none stated; its publisher asks to be cited (Krizhevsky 2009)",
        citation="Krizhevsky 2009: Learning Multiple Layers of Features from Tiny Images, technical report, Toronto",
        files=(RemoteFile("cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530", 170_052_171),),
        reader=layouts.CIFARBinary(
            "cifar-10-binary.tar.gz", "cifar-10-batches-bin", layouts.CIFAR10_BATCHES, labels=1, classes=10
        ),
        shape=(3, 32, 32),
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        counts=(50_000, 10_000),
        mirrors=_TORONTO,
        judge_recipe="judge-objects",
        forms=(
            Form(
                (RemoteFile("cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a", 171_000_000),),
                layouts.CIFARPython(
                    "cifar-10-python.tar.gz", "cifar-10-batches-py", layouts.CIFAR10_BATCHES, "labels", classes=10
                ),
            ),
            Form(
                (
                    RemoteFile("data_batch_1", "md5:c99cafc152244af753f735de768cd75f", _MOST_BATCH),
                    RemoteFile("data_batch_2", "md5:d4bba439e000b95fd0a9bffe97cbabec", _MOST_BATCH),
                    RemoteFile("data_batch_3", "md5:54ebc095f3ab1f0389bbae665268c751", _MOST_BATCH),
                    RemoteFile("data_batch_4", "md5:634d18415352ddfa80567beed471001a", _MOST_BATCH),
                    RemoteFile("data_batch_5", "md5:482c414d41f54cd18b22e5b47cb7c3cb", _MOST_BATCH),
                    RemoteFile("test_batch", "md5:40351d587109b95175f43aff81a1287e", _MOST_BATCH),
                ),
                layouts.CIFARPython(None, "", layouts.CIFAR10_BATCHES, "labels", classes=10),
            ),
        ),
        digests=(
            "930878cd1fef6e050b903c962ddfcee5bc3a34d7cb0b71c53276b9a47a2e1694",
            "53022ce0bdb502ca16551e9fd9c1544b05bd10711398f8ecd6b59991def00f85",
        ),
        ordered=True,
        note="Rows come in the order of their pixels' sha256, whatever copy they are read from.",
    ),
    Dataset(
        name="cifar100",
        title="CIFAR-100 (Krizhevsky, Nair, Hinton)",
        licence="none stated; its publisher asks to be cited (Krizhevsky 2009)",
        citation="Krizhevsky 2009: Learning Multiple Layers of Features from Tiny Images, technical report, Toronto",
        files=(RemoteFile("cifar-100-binary.tar.gz", "md5:03b5dce01913d631647c71ecec9e9cb8", 168_513_733),),
        reader=layouts.CIFARBinary(
            "cifar-100-binary.tar.gz", "cifar-100-binary", layouts.CIFAR100_BATCHES, labels=2, classes=100
        ),
        shape=(3, 32, 32),
        class_names=tuple(_CIFAR100.split()),
        counts=(50_000, 10_000),
        mirrors=_TORONTO,
        judge_recipe="judge-objects",
        forms=(
            Form(
                (RemoteFile("cifar-100-python.tar.gz", "md5:eb9058c3a382ffc7106e4002c42a8d85", 170_000_000),),
                layouts.CIFARPython(
                    "cifar-100-python.tar.gz", "cifar-100-python", layouts.CIFAR100_BATCHES, "fine_labels", classes=100
                ),
            ),
            Form(
                (
                    RemoteFile("train", "md5:16019d7e3df5f24257cddd939b257f8d", 160_000_000),
                    RemoteFile("test", "md5:f0ef6b0ae62326f3e7ffdfab6717acfc", _MOST_BATCH),
                ),
                layouts.CIFARPython(None, "", layouts.CIFAR100_BATCHES, "fine_labels", classes=100),
            ),
        ),
        note="The classes are the 100 fine ones.",
    ),
    Dataset(
        name="svhn",
        title="SVHN, cropped digits (Netzer et al.)",
        licence="for non-commercial use only, as its publisher says",
        citation="Netzer et al. 2011: Reading Digits in Natural Images with Unsupervised Feature Learning",
        files=(
            RemoteFile("train_32x32.mat", "md5:e26dedcc434d2e4c54c9b2d4a06d8373", 182_100_000),
            RemoteFile("test_32x32.mat", "md5:eb5a983be6a315427106f1b164d9cef3", 64_300_000),
        ),
        reader=layouts.read_svhn,
        shape=(3, 32, 32),
        class_names=tuple(string.digits),
        counts=(73_257, 26_032),
        mirrors=("http://ufldl.stanford.edu/housenumbers/", "https://ufldl.stanford.edu/housenumbers/"),
        judge_recipe="judge-deep",
        note="Reading it needs SciPy, the extra `mat`.",
    ),
    Dataset(
        name="stacked-mnist",
        title="Stacked-MNIST, made of MNIST (LeCun, Cortes, Burges)",
        licence="CC BY-SA 3.0, https://creativecommons.org/licenses/by-sa/3.0/",
        citation="Srivastava et al. 2017: VEEGAN, Reducing Mode Collapse in GANs, arXiv:1705.07761; LeCun et al. 1998",
        files=_MNIST,
        reader=layouts.stack_mnist,
        shape=(3, 28, 28),
        class_names=tuple(f"{number:03d}" for number in range(1000)),
        counts=(64_000, 10_000),
        judge_recipe="judge-deep",
        kept_in="mnist",
        note="Every one of the 1,000 modes has 64 training and 10 test images; the digits in `val` are in `fit` too.",
    ),
)

DATASETS = {row.name: row for row in _ROWS}


def dataset_like(shape: tuple[int, int, int], class_names: tuple[str, ...]) -> Dataset | None:
    """The first data set whose images have this shape and these classes; None if there is none."""
    return next((row for row in DATASETS.values() if (row.shape, row.class_names) == (shape, class_names)), None)


def take_files(folder: Path, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Keep copies of the files of data sets that somebody downloaded by hand, so that their names work from now on.

    Parameters
    ----------
    folder
        Where they lie, or folders within it; published files by their own names, or an NPZ with Keras' names.
    names
        Of the sets to look for; without any, all that are not here.

    Returns
    -------
    tuple of str
        Names of the sets that are here now; of none that come with the package.

    Raises
    ------
    UsageError
        It is no folder, or the files of none of the sets (or of one that was named) are in it, whole.
    PocketganError
        A copy cannot be written.
    """
    rows = [row for row in DATASETS.values() if not row.embedded and (row.name in names or not names)]
    taken = tuple(row.name for row in rows if row.take_from(folder))
    missing = [row for row in rows if row.name not in taken]
    if missing and (names or not taken):
        wanted = ", ".join(file.name for file in missing[0].files)
        raise UsageError(
            f"{folder} has not all files of {missing[0].name}, with their checksums: {wanted}; download them again"
            if names
            else f"{folder} holds the files of no data set that is known by name; docs/datasets.md names them"
        )
    return taken


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
            "files": [{"name": file.name, "checksum": file.checksum} for file in row.files],
            "mirrors": list(row.mirrors),
            "judge": row.judge,
            "guide": row.guide,
            "note": row.note,
            "state": "here" if row.is_here() else "damaged" if row.embedded else "not here",
        }
        for row in DATASETS.values()
    ]


PAGE = """\
# Data sets by name

`pocketgan datasets --markdown docs/datasets.md` writes this page from the table in
`src/pocketgan/data/datasets.py`; `pocketgan datasets` tells which of them are here. `--data NAME` downloads a set
once, into the user's cache, and installs nothing whose checksum is not the one below.

Those who have the files already give their folder: `pocketgan datasets --data-folder FOLDER`, or `--data NAME
--data-folder FOLDER` with `run`, `train`, `classify train` and `judge train`. Folders within it are searched too.
Files are taken by their names and checksums; of sets with a pinned digest an NPZ with Keras' names (`x_train`,
`y_train`, `x_test`, `y_test`) and the same images does as well.

`val` is a sixth of every set's training images, classes in proportion, chosen by a published seed; `fit` is the
rest. `test` is the publisher's.

`--data hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION` reads a set of the Hugging Face hub from its Parquet files
(extras `hub` and `parquet`), and a folder of such files is read by its path. Its pictures have sides of 8 to 128
pixels.

| `--data` | train | test | shape | classes | MB | licence | judge, guide |
|---|---:|---:|---|---:|---:|---|---|"""  # how docs/datasets.md begins


def datasets_page() -> str:
    """The table as a page in Markdown: docs/datasets.md is this."""
    lines = [PAGE]
    for row in DATASETS.values():
        megabytes = "in the package" if row.embedded else f"{row.size / 1e6:.0f}"
        shape = " x ".join(map(str, row.shape))
        classifiers = ", ".join(name for name in (row.judge, row.guide) if name) or "made by one command"
        counts = f"{row.counts[0]:,} | {row.counts[1]:,} | {shape} | {len(row.class_names):,}"
        lines.append(f"| `{row.name}` | {counts} | {megabytes} | {row.licence} | {classifiers} |")
    lines += ["", "`pocketgan judge train --data NAME` makes a judge where none is shipped, and says how good it is."]
    for row in DATASETS.values():
        files = [f"`{file.name}` {file.checksum.replace(':', ' ')}" for file in row.files]
        lines += ["", f"## {row.name}", "", f"{row.title}. {row.citation}.", ""]
        lines += [f"{row.note}", ""] if row.note else []
        if len(row.class_names) < 1000:
            lines += ["Classes: " + ", ".join(row.class_names) + ".", ""]
        lines += [f"- {file}" for file in files]
        lines += [f"- from <{mirror}>" for mirror in row.mirrors]
        lines += [f"- or, by hand: {', '.join(f'`{file.name}`' for file in form.files)}" for form in row.forms]
    return "\n".join(lines) + "\n"
