"""Pictures, one by one, and how folders for classes are called; how they lie in folders is told in `folders.py`.

Formats are told by content, and a picture is measured before it is decoded. Generated images are written here too; they
are read again by `fakes.py`, with what a person has corrected.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.core.pixels import to_png
from pocketgan.data._checks import check_sides, first_line, integer, read_table
from pocketgan.data.grids import cells, looks_like
from pocketgan.data.image_set import Samples
from pocketgan.data.ranges import Range, bits_range, scaled
from pocketgan.data.shaping import from_arrays, how_resized, shaped_picture
from pocketgan.recipes.image_options import AS_THEY_ARE, MAX_SIDE, ImageOptions

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
NAMED = "PNG, JPEG, GIF, BMP, WebP, TIFF or PGM"
ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm")
METADATA = "metadata.csv"
LATENTS = "latents.npy"
COLUMNS = ("file_name", "label", "class_name", "label_source", "seed", "index", "latent_row")  # of generated images
CLASSES = "classes.csv"  # beside generated images: which folder holds which class
CLASSES_COLUMNS = ("label", "class_name", "folder")
UNLABELLED = "unlabelled"  # the folder of images without labels
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # of Windows
_FILES = (".csv", ".db", ".json", ".npy", ".txt")  # endings of what lies among pictures
_FORBIDDEN = frozenset('<>:"/\\|?*')  # by Windows, and by Unix the slash
_MOST_BYTES = 100  # of a folder's name
WIDE = ("I", "F")  # modes of more than 8 bits begin so


class Picture(NamedTuple):
    """One picture as it was decoded and shaped."""

    values: NDArray[Any]  # uint8 or float32, [H, W] if it is grey, else [H, W, 3]
    side: tuple[int, int]  # height and width before it was resized
    highest: float = 0.0  # of float32, and
    lowest: float = 0.0  # before it was resized
    transparent: bool = False
    ink_only: bool = False  # transparent, and of one colour where it is not
    turned: bool = False  # as its EXIF data say
    frames: int = 1


class ReadPictures(NamedTuple):
    """Pictures of one size."""

    images: Tensor  # uint8 [N, C, H, W], C 1 if all of them are grey, else 3
    notes: tuple[str, ...]  # what is to be said of them, without the name of the source
    counts: tuple[int, ...]  # how many come from each file: 1, or as many as a grid holds


def read_pictures(
    paths: Sequence[Path],
    reading: ImageOptions = AS_THEY_ARE,
    content: Callable[[Path], bytes | Image.Image | None] = lambda path: None,
) -> ReadPictures:
    """Pictures of one size, and what is to be said of them.

    Parameters
    ----------
    paths
        At least one.
    reading
        How they are read; with ``resize`` they may differ in size.
    content
        The bytes of a picture that lies in an archive, or the picture itself as Pillow has it; None of one that lies
        at its path.

    Raises
    ------
    PocketganError
        A file is missing or no picture, has a side outside 8 to 128, or two differ in size.
    """
    found: list[Picture] = []
    counts: list[int] = []
    for path in paths:
        pictures = _read(path, reading, content(path))
        if found and pictures[0].values.shape[:2] != found[0].values.shape[:2]:
            (height, width), (other_height, other_width) = found[0].values.shape[:2], pictures[0].values.shape[:2]
            raise PocketganError(
                f"{paths[0]} is {height}x{width} pixels and {path} is {other_height}x{other_width}; "
                "give --resize N for one size"
            )
        found += pictures
        counts.append(len(pictures))
    sources = [path for path, count in zip(paths, counts, strict=True) for _ in range(count)]
    arrays, notes = _as_bytes(sources, found, reading)
    if not all(array.ndim == 2 for array in arrays):
        arrays = [array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2) for array in arrays]
    return ReadPictures(from_arrays(np.stack(arrays)), (*notes, *_remarks(found, reading)), tuple(counts))


def read_picture(path: Path, reading: ImageOptions = AS_THEY_ARE) -> NDArray[np.uint8]:
    """One picture, the first frame if there are several: ``[H, W]`` if it is grey, else RGB ``[H, W, 3]``.

    Grey are the pictures that show nothing but greys, however they are stored.
    What is transparent lies on the background; an orientation in EXIF data is followed. More than 8 bits of grey are
    scaled by the fewest bits, 8 to 16, that hold the brightest pixel.

    Raises
    ------
    PocketganError
        The file is missing, is no picture, is damaged, or has a side outside 8 to 128.
    """
    return _as_bytes([path], _read(path, reading, None), reading)[0][0]


def _read(path: Path, reading: ImageOptions, content: bytes | Image.Image | None) -> list[Picture]:
    """The picture in a file, or those of the grid that it shows."""
    if content is None and not path.is_file():
        raise PocketganError(f"{path} is missing or not a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks about EXIF or palettes concern nobody here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _opened(path, content) as picture:
                if reading.resize is None and reading.grid is None:
                    side = min(picture.size) if reading.crop else 0
                    _check_picture(path, side or picture.height, side or picture.width)
                found = _decoded(path, picture, reading)
                check_sides(path, *found[0].values.shape[:2])
                return found
    except PocketganError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever the bytes lead them to, from SyntaxError to KeyError
        reason = "it is something else" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise PocketganError(f"{path} cannot be read as {NAMED} ({reason}); mend or remove it") from error


def _opened(path: Path, content: bytes | Image.Image | None) -> AbstractContextManager[Image.Image]:
    if isinstance(content, Image.Image):
        return nullcontext(content)
    return Image.open(path if content is None else io.BytesIO(content), formats=FORMATS)


def _check_picture(path: Path, height: int, width: int) -> None:
    """`check_sides`, which says where a picture may be a grid of many."""
    grid = looks_like(height, width)
    if grid and max(height, width) > MAX_SIDE:
        raise PocketganError(
            f"{path} is {height}x{width} pixels, as a grid of {grid} pictures is: --grid {grid} cuts it; if it is one "
            "picture, give --resize N"
        )
    check_sides(path, height, width)


def _decoded(path: Path, picture: Image.Image, reading: ImageOptions) -> list[Picture]:
    frames, turned = getattr(picture, "n_frames", 1), picture.getexif().get(0x0112, 1) not in (0, 1)
    picture = ImageOps.exif_transpose(picture)
    side = picture.height, picture.width
    if picture.mode.startswith(WIDE):
        values = np.asarray(picture).astype(np.float32)
        ends = float(values.max()), float(values.min())
        return [
            Picture(np.asarray(shaped_picture(cell, reading)), side, *ends, turned=turned, frames=frames)
            for cell in _cells(path, Image.fromarray(values), reading)
        ]
    grey = picture.mode in ("1", "L", "LA", "La")
    transparent = ink_only = False
    if picture.has_transparency_data:
        colours = np.asarray(picture.convert("RGBA"))
        opaque = colours[..., 3] == 255
        transparent = not opaque.all()
        drawn = colours[colours[..., 3] > 0][:, :3]
        ink_only = transparent and bool((drawn == drawn[:1]).all())
        behind = Image.new("RGBA", picture.size, (*reading.colour, 255))
        picture = Image.alpha_composite(behind, picture.convert("RGBA"))
        grey = grey and len(set(reading.colour)) == 1
    if grey:
        picture = picture.convert("L")
    else:
        picture = picture.convert("RGB")
        if (np.asarray(picture) == np.asarray(picture)[..., :1]).all():
            picture = picture.getchannel(0)
    return [
        Picture(
            np.array(shaped_picture(cell, reading)),
            (cell.height, cell.width),
            transparent=transparent,
            ink_only=ink_only,
            turned=turned,
            frames=frames,
        )
        for cell in _cells(path, picture, reading)
    ]


def _cells(path: Path, picture: Image.Image, reading: ImageOptions) -> list[Image.Image]:
    """The pictures that one of mode L, RGB or F shows: itself, or those of a grid."""
    return [picture] if reading.cells is None else cells(path, picture, *reading.cells)


def _as_bytes(
    paths: Sequence[Path], found: Sequence[Picture], reading: ImageOptions
) -> tuple[list[NDArray[np.uint8]], tuple[str, ...]]:
    """All 256 values of each picture: more than 8 bits are scaled alike in all of them."""
    wide = [picture for picture in found if picture.values.dtype != np.uint8]
    if not wide and reading.ends is None:
        return [picture.values for picture in found], ()
    known = Range(0.0, 255.0)
    if wide:
        lowest, highest = min(each.lowest for each in wide), max(each.highest for each in wide)
        first = next(path for path, each in zip(paths, found, strict=True) if each.values.dtype != np.uint8)
        known = bits_range(first, lowest, highest, reading)
    eight = Range(*reading.ends) if reading.ends is not None else Range(0.0, 255.0)
    arrays = [scaled(each.values, known if each.values.dtype != np.uint8 else eight) for each in found]
    return arrays, (known.note,) if known.note else ()


def _remarks(found: Sequence[Picture], reading: ImageOptions) -> list[str]:
    """What is to be said of how pictures were read."""
    remarks = list(how_resized({each.side for each in found}, reading))
    transparent = [each for each in found if each.transparent]
    if transparent:
        remarks.append(f"{_pictures(len(transparent))} transparent, laid on {reading.background} (--background)")
        hidden = [each for each in transparent if each.ink_only and (each.values == each.values.flat[0]).all()]
        if hidden:
            other = "white" if reading.background == "black" else "black"
            remarks.append(
                f"{_pictures(len(hidden))} drawn in the background's own colour and cannot be seen: "
                f"give --background {other}"
            )
    if turned := sum(each.turned for each in found):
        remarks.append(f"{_pictures(turned)} turned as the EXIF data say")
    if several := sum(each.frames > 1 for each in found):
        remarks.append(f"{_pictures(several)} of several frames, of which the first is taken")
    return remarks


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count:,} pictures are"


# ---- classes as folders ---------------------------------------------------------------------------------------------


def natural_order(name: str) -> tuple[bool, int, tuple[object, ...], str]:
    """A key that sorts names as people do: ``class_2`` before ``class_10``; whole numbers come first, by their size."""
    number = integer(name)
    parts = re.split(r"([0-9]+)", name)  # every second one is digits: without leading zeros the longer is the larger
    key = (
        part if position % 2 == 0 else (len(part.lstrip("0")), part.lstrip("0")) for position, part in enumerate(parts)
    )
    return number is None, number or 0, tuple(key), name


def folder_names(class_names: tuple[str, ...]) -> tuple[str, ...]:
    """A folder for each class: its name where every file system takes it, else as near to it as they do.

    No two differ only in case, and none is `UNLABELLED`.
    """
    folders: list[str] = []
    taken = {UNLABELLED}
    for name in class_names:
        folder = _safe(name)
        while folder.casefold() in taken:
            folder += "_"
        taken.add(folder.casefold())
        folders.append(folder)
    return tuple(folders)


def _safe(name: str) -> str:
    kept = "".join(
        sign if sign.isprintable() and sign not in _FORBIDDEN else "_" for sign in unicodedata.normalize("NFC", name)
    )
    kept = kept.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore").strip().rstrip(" .")
    if not kept or kept.startswith(".") or _DEVICES.fullmatch(kept) or kept.casefold().endswith(_FILES):
        return f"_{kept}"
    return kept


def write_classes(folder: Path, class_names: tuple[str, ...]) -> None:
    """Write `classes.csv` into a new folder of generated images."""
    rows = zip(range(len(class_names)), class_names, folder_names(class_names), strict=True)
    with (folder / CLASSES).open("x", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([CLASSES_COLUMNS, *rows])


def read_classes(folder: Path, content: bytes | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The class names and the folders of `classes.csv`, in the order of the labels.

    `content` is its bytes, where it is no file on the disk.

    Raises
    ------
    PocketganError
        It is damaged; the line names the row.
    """
    names: list[str] = []
    folders: list[str] = []
    for where, row in read_table(folder / CLASSES, CLASSES_COLUMNS, content):
        if integer(row["label"]) != len(names):
            raise PocketganError(
                f"{where} has the label {row['label']!r}, not {len(names)}; labels run from 0 in order"
            )
        if row["folder"] in folders:
            raise PocketganError(f"{where} names the folder {row['folder']!r} a second time; each class has its own")
        names.append(row["class_name"])
        folders.append(row["folder"])
    return tuple(names), tuple(folders)


class FakesWriter:
    """Write generated images part after part, so that more of them than memory holds can be written.

    No file is held open between parts, so that an error needs no tidying, and the latents are appended rather than
    mapped into memory: a full disk is then an error and not the end of the process. The caller gives a folder that
    appears only when it is whole (`core.files.whole_folder`).

    Parameters
    ----------
    folder
        An empty one, or one that is not there yet.
    latent_dim
        Length of a latent.
    count
        Images in all.
    """

    def __init__(self, folder: Path, latent_dim: int, count: int) -> None:
        self.folder, self.latent_dim, self.count, self.written = Path(folder), latent_dim, count, 0
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LATENTS).open("xb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, latent_dim)}
            npy.write_array_header_1_0(file, header)
        self._write_rows([COLUMNS], "x")

    def add(self, samples: Samples) -> None:
        """Write the images, latents and rows of one part.

        Raises
        ------
        ValueError
            Its tensors do not fit one another or what was promised.
        FileExistsError
            An image of the same label and index was written already.
        """
        names, folders = samples.class_names, folder_names(samples.class_names)
        if names and not self.written:
            write_classes(self.folder, names)
        size, latents = len(samples.images), samples.latents.detach().cpu().numpy().astype("<f4")
        labels = [None] * size if samples.labels is None else samples.labels.tolist()
        if latents.shape != (size, self.latent_dim) or self.written + size > self.count:
            raise ValueError(f"{size} images, latents {latents.shape}, after {self.written} of {self.count}")
        rows: list[tuple[object, ...]] = []
        for image, label, index in zip(samples.images.cpu(), labels, samples.index.tolist(), strict=True):
            name = f"{UNLABELLED if label is None else folders[label]}/{index:06d}.png"
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            with path.open("xb") as file:
                file.write(to_png(image))
            called = None if label is None else names[label]
            rows.append((name, label, called, samples.label_source, samples.seed, index, self.written + len(rows)))
        with (self.folder / LATENTS).open("ab") as file:
            file.write(latents.tobytes())
        self._write_rows(rows, "a")
        self.written += size

    def close(self) -> None:
        """Check that as many images were written as promised; a ValueError if not."""
        if self.written != self.count:
            raise ValueError(f"{self.written} images where {self.count} were promised")

    def _write_rows(self, rows: Iterable[Iterable[object]], mode: str) -> None:
        with (self.folder / METADATA).open(mode, encoding="utf-8", errors="replace", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)  # None, of no label, is an empty cell
