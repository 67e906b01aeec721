"""Folders of pictures, tables beside them, archives of them: as people have them."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pocketgan.bench.strangers.kinds import EACH, Kind, digits, is_set, names, nearly, unlabelled, whole
from pocketgan.core.pixels import grid, to_floats, to_pillow
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images

Change = Callable[[Image.Image], Image.Image]
JUNK = ("Thumbs.db", "desktop.ini", "README.md", "LICENSE", "losses.csv", "__MACOSX/0/._0.png", "temp/0.png")


def as_it_is(picture: Image.Image) -> Image.Image:
    """The picture."""
    return picture


def classes(
    folder: Path, change: Change = as_it_is, ending: str = "png", called: str = "{}", **options: Any
) -> list[Path]:
    """A folder for each class; `change` makes each picture what it is to be. The files, in order."""
    made = []
    for number, (image, name) in enumerate(zip(digits().images, names(), strict=True)):
        path = folder / called.format(name) / f"{number:02}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        change(to_pillow(image)).save(path, **options)
        made.append(path)
    return made


def flat(folder: Path, called: str = "image{number}.png", change: Change = as_it_is) -> None:
    """All pictures in one folder."""
    folder.mkdir(parents=True)
    for number, (image, label) in enumerate(zip(digits().images, names(), strict=True)):
        change(to_pillow(image)).save(folder / called.format(number=f"{number:02}", label=label))


def in_mode(*modes: str) -> Change:
    """Stored in another mode, by way of others."""

    def change(picture: Image.Image) -> Image.Image:
        for mode in modes:
            picture = picture.convert(mode)
        return picture

    return change


def enlarged(picture: Image.Image) -> Image.Image:
    """Twice as large, without blur."""
    return picture.resize((56, 56), Image.Resampling.NEAREST)


def beside(folder: Path, kind: str) -> None:
    """Something of the same name beside each picture."""
    for path in classes(folder):
        if kind == "npy":
            np.save(path.with_suffix(".npy"), np.zeros(64, np.float32))
        else:
            path.with_suffix(f".{kind}").write_text("[0.1, -0.3]")


def with_junk(folder: Path) -> None:
    """What systems and people leave among pictures."""
    classes(folder)
    for name in JUNK:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def without(folder: Path, label: int) -> None:
    """An empty folder for one class."""
    for path in classes(folder):
        if path.parent.name == str(label):
            path.unlink()


def lacks_the_last(found: ImageSet, path: Path) -> bool:
    """All digits but the nines, which stay a class of given images and are none of learned ones."""
    kept = 9 * EACH
    return is_set(found, digits().images[:kept], names()[:kept])


def zipped(folder: Path) -> None:
    """A ZIP file of class folders in a folder."""
    made = classes(folder / "made")
    with zipfile.ZipFile(folder / "fakes.zip", "w") as archive:
        for path in made:
            archive.write(path, path.relative_to(folder / "made").as_posix())


def packed(folder: Path) -> None:
    """The same as a TAR file, packed by gzip."""
    classes(folder / "made")
    with tarfile.open(folder / "fakes.tgz", "w:gz") as archive:
        archive.add(folder / "made", "Fake_Digits")


def leading_out(folder: Path) -> None:
    """A ZIP file with a path that leads out of it."""
    path = classes(folder / "made")[0]
    with zipfile.ZipFile(folder / "fakes.zip", "w") as archive:
        archive.write(path, "../../0.png")


def sheet(folder: Path) -> None:
    """One picture of the first 36 digits in rows of six, as torchvision's `save_image` lays them out."""
    to_pillow(grid(digits().images[:36], 6)).convert("RGB").save(folder / "grid.png")


def cut_from_the_sheet(found: ImageSet, path: Path) -> bool:
    return is_set(found, digits().images[:36], None)


def splits(folder: Path, apart: str, inside: bool) -> None:
    """Folders for training and for another split, with classes in them or flat."""
    if inside:
        classes(folder / "train")
        classes(folder / apart, change=lambda picture: Image.eval(picture, lambda level: 255 - level))
    else:
        flat(folder / "train")
        flat(folder / apart, change=lambda picture: Image.eval(picture, lambda level: 255 - level))


def split_from(found: ImageSet, path: Path, labelled: bool) -> bool:
    """The digits to train on, and their negatives to test on."""
    told = names() if labelled else None
    test = load_images(path, "test")
    return is_set(found, digits().images, told) and is_set(test, 255 - digits().images, told)


def numbered(folder: Path) -> None:
    """Classes whose numbers are no longer of one length."""
    classes(folder, called="class_1{}")
    for path in folder.glob("class_10"):
        path.rename(folder / "class_2")


def in_natural_order(found: ImageSet, path: Path) -> bool:
    return found.class_names == ("class_2", *(f"class_1{digit}" for digit in range(1, 10))) and is_set(
        found, digits().images, [found.class_names[int(name)] for name in names()]
    )


def sixteen_bits(folder: Path) -> None:
    """12 bits kept in PNG files of 16."""
    for number, image in enumerate(digits().images):
        levels = (to_floats(image[0], "unit").numpy() * 4095).round().astype(np.uint16)
        folder.mkdir(exist_ok=True)
        Image.fromarray(levels).save(folder / f"{number:02}.png")


def lying(folder: Path) -> None:
    """Pictures that lie on their side, and EXIF data that say so."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    classes(folder, change=lambda picture: picture.transpose(Image.Transpose.ROTATE_90), exif=exif)


def on_nothing(picture: Image.Image) -> Image.Image:
    """Black ink on transparency."""
    made = Image.new("LA", picture.size)
    made.putalpha(picture)
    return made


def negatives(found: ImageSet, path: Path) -> bool:
    """The digits in black on white."""
    return is_set(found, 255 - digits().images, names(), off=1)


def all_black(found: ImageSet, path: Path) -> bool:
    """What can only be black, as it is said to be."""
    return not found.images.any() and any("--background white" in note for note in found.notes)


def coloured(picture: Image.Image) -> Image.Image:
    """Colours whose grey is the digit's, in CMYK."""
    return picture.convert("RGB").convert("CMYK")


def listed(folder: Path, head: str, encoding: str = "utf-8", slash: str = "/") -> None:
    """Pictures in a folder, and a table of them beside it; `head` is its first line."""
    flat(folder / "images")
    delimiter = next(letter for letter in ";\t," if letter in head)
    files = (f"images{slash}image{number:02}.png" for number in range(len(digits())))
    rows = [f"{file}{delimiter}{label}" for file, label in zip(files, names(), strict=True)]
    (folder / "metadata.csv").write_bytes("\n".join([head, *rows]).encode(encoding))


def listed_by_lines(folder: Path) -> None:
    """A JSON object on each line, as Hugging Face has it."""
    flat(folder)
    rows = [json.dumps({"file_name": f"image{n:02}.png", "label": int(label)}) for n, label in enumerate(names())]
    (folder / "metadata.jsonl").write_text("\n".join(rows))


def missing_one(folder: Path) -> None:
    """A table that names a picture which is not there."""
    listed(folder, "file_name,label")
    (folder / "images" / "image07.png").unlink()


def of_two_sizes(folder: Path) -> None:
    """One picture that is larger than the others."""
    path = classes(folder)[5]
    enlarged(Image.open(path)).save(path)


def damaged(folder: Path) -> None:
    """One picture that ends too soon."""
    path = classes(folder)[5]
    path.write_bytes(path.read_bytes()[:120])


def only_texts(folder: Path) -> None:
    """A folder of losses and logs."""
    folder.mkdir()
    (folder / "log.txt").write_text("epoch 1")


def with_test_images(folder: Path) -> None:
    """Digits of the test images among others."""
    classes(folder)
    to_pillow(load_images("mnist", "test").images[0]).save(folder / "7" / "mixed.png")


def at(name: str, build: Callable[..., Any], *given: Any, **options: Any) -> Callable[[Path], Any]:
    """Build it in a folder of this name."""
    return lambda folder: build(folder / name, *given, **options)


FAKES = (
    Kind("PNG in folders 0 to 9", "evaluate fakes", at("fakes", classes), whole),
    Kind("PNG in one folder", "evaluate fakes", at("fakes", flat), unlabelled),
    Kind("the class in each name", "evaluate fakes", at("fakes", flat, "digit_{label}_{number}.png"), whole),
    Kind("a latent beside each picture, `.txt`", "evaluate fakes", at("fakes", beside, "txt"), whole),
    Kind("a latent beside each picture, `.npy`", "evaluate fakes", at("fakes", beside, "npy"), whole),
    Kind("a latent beside each picture, `.json`", "evaluate fakes", at("fakes", beside, "json"), whole),
    Kind(
        "what systems leave: `Thumbs.db`, `__MACOSX`, `README`, `temp`, …",
        "evaluate fakes",
        at("fakes", with_junk),
        whole,
    ),
    Kind("a lone folder around it", "evaluate fakes", at("fakes/Fake_Digits", classes), whole),
    Kind("an empty class", "evaluate fakes", at("fakes", without, 9), lacks_the_last),
    Kind("an empty class, to learn from", "train --data fakes", at("fakes", without, 9), lacks_the_last),
    Kind("a ZIP file", "evaluate fakes.zip", zipped, whole),
    Kind("a TAR file, packed by gzip", "evaluate fakes.tgz", packed, whole),
    Kind("a ZIP file whose paths lead out of it", "evaluate fakes.zip", leading_out, None),
    Kind("grey stored as RGB", "evaluate fakes", at("fakes", classes, in_mode("RGB")), whole),
    Kind("grey stored as RGBA", "evaluate fakes", at("fakes", classes, in_mode("RGBA")), whole),
    Kind("grey stored as LA", "evaluate fakes", at("fakes", classes, in_mode("LA")), whole),
    Kind("a size that MNIST has not", "evaluate fakes", at("fakes", classes, enlarged), None),
    Kind("the same, resized", "evaluate fakes --resize 28", at("fakes", classes, enlarged), whole),
    Kind("one picture of another size", "evaluate fakes", at("fakes", of_two_sizes), None),
    Kind("a damaged picture", "evaluate fakes", at("fakes", damaged), None),
    Kind("a grid in one picture", "evaluate grid.png", sheet, None),
    Kind("the same, cut", "evaluate grid.png --grid 6x6", sheet, cut_from_the_sheet),
    Kind("the same, with wrong numbers", "evaluate grid.png --grid 5x7", sheet, None),
    Kind("no pictures, only texts", "evaluate fakes", at("fakes", only_texts), None),
)

PICTURES = (
    Kind(
        "`train` and `test`, with classes",
        "train --data set",
        at("set", splits, "test", True),
        partial(split_from, labelled=True),
    ),
    Kind(
        "`train` and `val`, flat",
        "train --data set",
        at("set", splits, "val", False),
        partial(split_from, labelled=False),
    ),
    Kind("classes in natural order", "train --data set", at("set", numbered), in_natural_order),
    Kind("WebP without loss", "train --data set", at("set", classes, ending="webp", lossless=True), whole),
    Kind("TIFF", "train --data set", at("set", classes, ending="tif"), whole),
    Kind("PGM", "train --data set", at("set", classes, ending="pgm"), whole),
    Kind("12 bits in PNG of 16", "train --data set", at("set", sixteen_bits), unlabelled),
    Kind("CMYK", "train --data set --grey", at("set", classes, coloured, "tif"), nearly),
    Kind("turned by EXIF", "train --data set", at("set", lying), whole),
    Kind("black ink on transparency", "train --data set", at("set", classes, on_nothing), all_black),
    Kind("the same on white", "train --data set --background white", at("set", classes, on_nothing), negatives),
    Kind("some of MNIST's test images", "train --data set", at("set", with_test_images), None),
    Kind("the same, left out", "train --data set --drop-test-images", at("set", with_test_images), whole),
    Kind("`metadata.csv`", "train --data set", at("set", listed, "file_name,label"), whole),
    Kind(
        "`metadata.csv` with semicolons, in UTF-16",
        "train --data set",
        at("set", listed, "file_name;label", "utf-16"),
        whole,
    ),
    Kind("`metadata.csv` with tabs, `path` and `digit`", "train --data set", at("set", listed, "path\tdigit"), whole),
    Kind(
        "`metadata.csv` with backslashes, `filename`",
        "train --data set",
        at("set", listed, "filename,class", slash="\\"),
        whole,
    ),
    Kind("`metadata.csv` with a picture that is not there", "train --data set", at("set", missing_one), None),
    Kind("`metadata.jsonl`", "train --data set", at("set", listed_by_lines), whole),
)
