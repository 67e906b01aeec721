"""Pictures, single and in folders: one folder for each class, or flat, or with a `metadata.csv` that decides.

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
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.core.pixels import to_png
from pocketgan.data._checks import check_labels, check_sides, first_line, integer, read_table
from pocketgan.data.image_set import PROVENANCE, ImageSet, Samples
from pocketgan.data.ranges import Range, bits_range, scaled
from pocketgan.data.shaping import from_arrays, how_resized, shaped_picture
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
NAMED = "PNG, JPEG, GIF, BMP, WebP, TIFF or PGM"
ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm")
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
LITTER = (".*", "Thumbs.db", "LICENSE*.txt", "README.md", LATENTS, CLASSES, PROVENANCE)  # what may lie among pictures
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


def is_picture(path: Path) -> bool:
    """Whether a path is that of a picture file, by its name."""
    return path.is_file() and path.suffix.lower() in ENDINGS


def read_pictures(
    paths: Sequence[Path],
    reading: ImageOptions = AS_THEY_ARE,
    content: Callable[[Path], bytes | None] = lambda path: None,
) -> tuple[Tensor, tuple[str, ...]]:
    """Pictures of one size, and what is to be said of them.

    Parameters
    ----------
    paths
        At least one.
    reading
        How they are read; with ``resize`` they may differ in size.
    content
        The bytes of a picture that lies in an archive; None of one that lies at its path.

    Returns
    -------
    tuple
        uint8 ``[N, C, H, W]``, C 1 if all of them are grey, else 3; and lines without the name of the source.

    Raises
    ------
    PocketganError
        A file is missing or no picture, has a side outside 8 to 128, or two differ in size.
    """
    found: list[Picture] = []
    for path in paths:
        picture = _read(path, reading, content(path))
        if found and picture.values.shape[:2] != found[0].values.shape[:2]:
            (height, width), (other_height, other_width) = found[0].values.shape[:2], picture.values.shape[:2]
            raise PocketganError(
                f"{paths[0]} is {height}x{width} pixels and {path} is {other_height}x{other_width}; "
                "give --resize N for one size"
            )
        found.append(picture)
    arrays, notes = _as_bytes(paths, found, reading)
    if not all(array.ndim == 2 for array in arrays):
        arrays = [array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2) for array in arrays]
    return from_arrays(np.stack(arrays)), (*notes, *_remarks(found, reading))


def read_picture(path: Path, reading: ImageOptions = AS_THEY_ARE) -> NDArray[np.uint8]:
    """One picture, the first frame if there are several: ``[H, W]`` if it is grey, else RGB ``[H, W, 3]``.

    Grey are the pictures that are stored so, and those of a palette (all GIF files) that show nothing but greys.
    What is transparent lies on the background; an orientation in EXIF data is followed. More than 8 bits of grey are
    scaled by the fewest bits, 8 to 16, that hold the brightest pixel.

    Raises
    ------
    PocketganError
        The file is missing, is no picture, is damaged, or has a side outside 8 to 128.
    """
    return _as_bytes([path], [_read(path, reading, None)], reading)[0][0]


def _read(path: Path, reading: ImageOptions, content: bytes | None) -> Picture:
    if content is None and not path.is_file():
        raise PocketganError(f"{path} is missing or not a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks about EXIF or palettes concern nobody here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path if content is None else io.BytesIO(content), formats=FORMATS) as picture:
                if reading.resize is None:
                    side = min(picture.size) if reading.crop else 0
                    check_sides(path, side or picture.height, side or picture.width)
                return _decoded(picture, reading)
    except PocketganError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever the bytes lead them to, from SyntaxError to KeyError
        reason = "it is something else" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise PocketganError(f"{path} cannot be read as {NAMED} ({reason}); mend or remove it") from error


def _decoded(picture: Image.Image, reading: ImageOptions) -> Picture:
    frames, turned = getattr(picture, "n_frames", 1), picture.getexif().get(0x0112, 1) not in (0, 1)
    picture = ImageOps.exif_transpose(picture)
    side = picture.height, picture.width
    if picture.mode.startswith(WIDE):
        values = np.asarray(picture).astype(np.float32)
        shaped = np.asarray(shaped_picture(Image.fromarray(values), reading))
        return Picture(shaped, side, float(values.max()), float(values.min()), turned=turned, frames=frames)
    grey, palette = picture.mode in ("1", "L", "LA", "La"), picture.mode == "P"
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
        if palette and (np.asarray(picture) == np.asarray(picture)[..., :1]).all():
            picture = picture.getchannel(0)
    return Picture(
        np.array(shaped_picture(picture, reading)),
        side,
        transparent=transparent,
        ink_only=ink_only,
        turned=turned,
        frames=frames,
    )


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
                f"the ink of {_pictures(len(hidden))} of the background's own colour and cannot be seen: "
                f"give --background {other}"
            )
    if turned := sum(each.turned for each in found):
        remarks.append(f"{_pictures(turned)} turned as the EXIF data say")
    if several := sum(each.frames > 1 for each in found):
        remarks.append(f"{_pictures(several)} of several frames, of which the first is taken")
    return remarks


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count:,} pictures are"


def load_folder(folder: Path, reading: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """The pictures of a folder.

    With a `metadata.csv` (columns ``file_name``, relative to the folder, and perhaps ``label``) the pictures are those
    that it names, in its order. Classes are named by its column ``class_name``, or by a `classes.csv` beside it. Else
    the folder holds pictures, which then have no labels, or one folder of pictures for each class, in the order of
    their names and of the numbers in them: 2 before 10.

    Raises
    ------
    PocketganError
        A file is missing, is no picture or differs in size; a label is missing or negative; the folder is empty or
        mixed.
    """
    if (folder / METADATA).exists():
        return _load_listed(folder, reading)
    entries = _entries(folder)
    classes = sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: natural_order(entry.name))
    files = [entry for entry in entries if not entry.is_dir()]
    if classes and files:
        raise PocketganError(
            f"{folder} holds a file, {files[0].name}, beside the folder {classes[0].name}; keep one or the other kind"
        )
    if not classes:
        return _set_of(folder, _not_empty(folder, files), reading)
    members = [_not_empty(entry, _entries(entry)) for entry in classes]
    for path in (path for paths in members for path in paths if path.is_dir()):
        raise PocketganError(f"{path} is a folder inside a class folder; if it is itself a class, load {path.parent}")
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor([len(paths) for paths in members]))
    files = [path for paths in members for path in paths]
    return _set_of(folder, files, reading, labels, tuple(entry.name for entry in classes))


def _load_listed(folder: Path, reading: ImageOptions) -> ImageSet:
    rows = read_table(folder / METADATA, ("file_name",))
    paths: list[Path] = []
    for where, row in rows:
        inside = Path(row["file_name"])
        if inside.is_absolute() or ".." in inside.parts:
            raise PocketganError(f"{where} names {row['file_name']!r}, which is not inside the folder")
        if not (folder / inside).is_file():
            raise PocketganError(f"{where} names {row['file_name']!r}, which is missing")
        paths.append(folder / inside)
    texts = [row.get("label", "") for _, row in rows]
    if not any(texts):
        return _set_of(folder, paths, reading)
    names = read_classes(folder)[0] if (folder / CLASSES).is_file() else ()
    return _set_of(folder, paths, reading, *_labels(folder / METADATA, texts, rows, names))


def _set_of(
    folder: Path,
    paths: list[Path],
    reading: ImageOptions,
    labels: Tensor | None = None,
    class_names: tuple[str, ...] = (),
) -> ImageSet:
    files = tuple(path.relative_to(folder).as_posix() for path in paths)
    images, notes = read_pictures(paths, reading)
    return ImageSet(images, labels, class_names, files=files, notes=notes)


def _labels(
    path: Path, texts: list[str], rows: list[tuple[str, dict[str, str]]], names: tuple[str, ...]
) -> tuple[Tensor, tuple[str, ...]]:
    """Labels of a table: integers as they are if all are, else each text's number among the texts in natural order."""
    if "" in texts:
        where = rows[texts.index("")][0]
        raise PocketganError(f"{where} has no label where others have one; fill it in or remove the row")
    numbers = [integer(text) for text in texts]
    known = [number for number in numbers if number is not None]
    if len(known) == len(texts):
        labels, counted = check_labels(path, np.array(known), len(texts), names)
        return labels, names or _named(known, rows, counted)
    if known:
        odd = numbers.index(None)
        raise PocketganError(f"{rows[odd][0]} has the label {texts[odd]!r} where others are integers; use one kind")
    names = tuple(sorted(set(texts), key=natural_order))
    return check_labels(path, np.array([names.index(text) for text in texts]), len(texts), names)


def _named(labels: list[int], rows: list[tuple[str, dict[str, str]]], counted: tuple[str, ...]) -> tuple[str, ...]:
    """The classes by the table's column ``class_name``; by their numbers where it has none."""
    names: dict[int, str] = {}
    for label, (where, row) in zip(labels, rows, strict=True):
        name = row.get("class_name", "")
        if name and names.setdefault(label, name) != name:
            raise PocketganError(
                f"{where} calls class {label} {name!r} where another row says {names[label]!r}; mend it"
            )
    return tuple(names.get(label, number) for label, number in enumerate(counted))


def _entries(folder: Path) -> list[Path]:
    """What a folder holds besides litter, sorted by name."""
    return sorted(entry for entry in folder.iterdir() if not any(fnmatch(entry.name, litter) for litter in LITTER))


def _not_empty(folder: Path, paths: list[Path]) -> list[Path]:
    if not paths:
        raise PocketganError(f"{folder} holds no pictures; fill or remove it")
    return paths


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


def read_classes(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The class names and the folders of `classes.csv`, in the order of the labels.

    Raises
    ------
    PocketganError
        It is damaged; the line names the row.
    """
    names: list[str] = []
    folders: list[str] = []
    for where, row in read_table(folder / CLASSES, CLASSES_COLUMNS):
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
