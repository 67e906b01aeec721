"""One kind of thing that people bring, the command it is given to, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pocketgan.api import import_file
from pocketgan.core.errors import PocketganError
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import learning_images, load_images
from pocketgan.importing.weights import Imported
from pocketgan.recipes import image_options
from pocketgan.scorecard.evaluate import dataset_of

EACH = 4  # digits of each class
EXTRAS = {"h5py": "hdf5", "pyarrow": "parquet"}


class Kind(NamedTuple):
    """What somebody brings.

    Attributes
    ----------
    name
        In words.
    command
        How it is given, without `pocketgan`; paths are relative to the folder that `build` fills.
    build
        Makes it in an empty folder.
    holds
        Whether what was read, from this path, is what was meant; None where it must be refused.
    needs
        A library without which it cannot be built.
    """

    name: str
    command: str
    build: Callable[[Path], Any]
    holds: Callable[[Any, Path], bool] | None
    needs: str = ""


class Outcome(NamedTuple):
    """What came of it."""

    happened: str
    said: str
    right: bool = True  # whether that was meant


@lru_cache
def digits() -> ImageSet:
    """A few real digits of each class, in the order of the classes."""
    mnist = load_images("mnist")
    assert mnist.labels is not None
    rows = [(mnist.labels == label).nonzero()[:EACH, 0] for label in range(10)]
    return mnist.rows(torch.cat(rows))


def names() -> list[str]:
    """The class of each of `digits`."""
    return [str(number // EACH) for number in range(10 * EACH)]


def is_set(found: ImageSet, images: Tensor, labels: list[str] | None, off: int = 0) -> bool:
    """Whether images were read with these bytes, but for so many levels, and with these classes by name."""
    told = None if found.labels is None else [found.class_names[label] for label in found.labels.tolist()]
    same = found.images.shape == images.shape and int((found.images.int() - images.int()).abs().max()) <= off
    return same and told == labels


def whole(found: ImageSet, path: Path) -> bool:
    """The digits with their labels."""
    return is_set(found, digits().images, names())


def unlabelled(found: ImageSet, path: Path) -> bool:
    """The digits without labels."""
    return is_set(found, digits().images, None)


def nearly(found: ImageSet, path: Path) -> bool:
    """The digits with their labels, a level off at most."""
    return is_set(found, digits().images, names(), off=1)


def outcome(kind: Kind, folder: Path) -> Outcome:
    """Build it in a new folder and give it to the program."""
    missing = kind.needs and find_spec(kind.needs) is None
    if missing:
        return Outcome("not tried", f"needs the extra `{EXTRAS[kind.needs]}`, which is not installed")
    folder.mkdir(parents=True)
    kind.build(folder)
    before = set(folder.rglob("*"))
    door, path, options = _parsed(kind.command, folder)
    try:
        found = DOORS[door](path, options)
    except PocketganError as error:
        made = Outcome("refused", str(error), kind.holds is None)
    except Exception as error:  # what no one foresaw is a row of its own, and wrong
        made = Outcome("crashed", f"{type(error).__name__}: {error}", False)
    else:
        made = _taken(kind, found, path)
    left = {path for path in folder.rglob("*") if folder / "model" not in (path, *path.parents)} - before
    if left:
        made = Outcome("did something", f"left {', '.join(sorted(map(str, left)))}", False)
    return made._replace(said=made.said.replace(f"{folder}/", "").replace(str(folder), "."))


def _parsed(command: str, folder: Path) -> tuple[str, Path, dict[str, Any]]:
    """The door, the path and the options of a command."""
    door, *words = shlex.split(command)
    if words[0] == "--data":
        del words[0]
    options: dict[str, Any] = {}
    for place, word in enumerate(words[1:], start=1):
        if word.startswith("--"):
            following = words[place + 1] if place + 1 < len(words) else "--"
            options[word[2:].replace("-", "_")] = True if following.startswith("--") else following
    return door, folder / words[0], options


def _evaluated(path: Path, options: dict[str, Any]) -> ImageSet:
    """As `evaluate` reads images, up to what they are compared with."""
    found = load_images(path, "train", image_options(options))
    dataset_of(found)
    return found


def _learned(path: Path, options: dict[str, Any]) -> ImageSet:
    """As `train` reads images."""
    return learning_images(str(path), "train", image_options(options))


def _imported(path: Path, options: dict[str, Any]) -> Imported:
    if str(options.get("recipe", "")).endswith(".toml"):
        options = {**options, "recipe": str(path.parent / options["recipe"])}
    return import_file(path, out=path.parent / "model", **options)


DOORS: dict[str, Callable[[Path, dict[str, Any]], Any]] = {
    "evaluate": _evaluated,
    "train": _learned,
    "import": _imported,
}


def _taken(kind: Kind, found: ImageSet | Imported, path: Path) -> Outcome:
    right = kind.holds is not None and kind.holds(found, path)
    wrong = "" if right else "WRONGLY "
    if isinstance(found, Imported):
        lines = [f"{found.network} of {found.what}"]
        lines += [f"assumed: {', '.join(found.assumed)}"] * bool(found.assumed)
        lines += [f"warning: {line}" for line in found.warnings]
        return Outcome(f"{wrong}imported{', with a warning' * bool(found.warnings)}", "; ".join(lines), right)
    channels, height, width = found.shape
    labels = f"{len(found.class_names)} classes" if found.labels is not None else "no labels"
    read = f"{len(found)} images of {height}x{width}{' in colour' * (channels == 3)}, {labels}"
    said = " · ".join(found.notes)
    return Outcome(f"{wrong}taken{', and told' * bool(said)}: {read}", said, right)
