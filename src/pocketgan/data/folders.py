"""How a folder of pictures is laid out: splits, classes, or neither; with a table that decides, or without.

What people keep beside pictures is left out and counted. What was decided is a line in `ImageSet.notes`. An archive of
a folder is the same as the folder (`data/trees.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data._checks import check_labels, integer, refuse_split
from pocketgan.data.image_set import PROVENANCE, ImageSet
from pocketgan.data.pictures import CLASSES, natural_order
from pocketgan.data.tables import TABLES, load_listed, table_of
from pocketgan.data.trees import Tree, pictures_in
from pocketgan.recipes.image_options import AS_THEY_ARE, ImageOptions

SILENT = (".*", "latents.npy", CLASSES, PROVENANCE, *TABLES)  # what the system or this program puts among pictures
JUNK = ("__macosx", "__pycache__", "temp", "tmp")  # folders that are no class, in small letters
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "valset"), "val"),
}
WORDS = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")  # of a folder's name: trainingSet has two
MOST_WRAPPERS = 5
MOST_SHOWN = 6
LABEL_IN_NAME = re.compile(r"(?:^|[-_ .])(?:digit|class|label|cls)[-_ =]?([0-9]{1,4})(?=$|[-_ .(])", re.IGNORECASE)
NUMBER_FIRST = re.compile(r"[0-9]{1,2}[-_].*[0-9]")


class Held:
    """What a folder holds: pictures, folders, and what is left out, counted by its kind.

    Kinds are the endings of files, their names where they have none, and the names of folders.
    """

    def __init__(self, tree: Tree, folder: Path) -> None:
        folders, files = tree.listing(folder)
        self.folders: list[Path] = []
        self.pictures: list[Path] = []
        self.skipped: Counter[str] = Counter()
        for path in folders:
            if path.name.casefold() in JUNK:
                self.skip(path)
            elif not path.name.startswith("."):
                self.folders.append(path)
        for path in files:
            if any(fnmatch(path.name, silent) for silent in SILENT):
                continue
            if tree.is_picture(path):
                self.pictures.append(path)
            else:
                self.skipped[path.suffix.lower() or path.name] += 1

    def skip(self, folder: Path) -> None:
        self.skipped[f"the folder {folder.name}"] += 1

    @property
    def is_empty(self) -> bool:
        return not self.pictures and not self.folders


def load_folder(tree: Tree, split: str = "train", options: ImageOptions = AS_THEY_ARE) -> ImageSet:
    """The pictures of a folder, or of an archive of one.

    A lone folder in it is entered. Folders called ``train`` and ``test`` (or ``val``, ``validation``, …) are its
    splits. With a table (`data/tables.py`) the pictures are those that it names, in its order. Else the folder holds
    pictures, which have no labels unless all their names tell them (``digit_7_12.png``), or one folder of pictures for
    each class, in the order of their names and of the numbers in them: 2 before 10. A class may be empty.

    Parameters
    ----------
    tree
        The folder or archive.
    split
        ``train``, or one that `split_folders` finds.
    options
        How the pictures are read.

    Raises
    ------
    UsageError
        There is no such split.
    PocketganError
        A file is missing, is no picture or differs in size; a label is missing or negative; the folder is empty or
        mixed.
    """
    folder, skipped = _entered(tree, tree.path)
    splits = _splits_in(tree, folder)
    notes = [f"its only folder {folder.relative_to(tree.path)} is entered"] if folder != tree.path else []
    if splits:
        if split not in splits:
            raise UsageError(f"{folder} has {_and(splits)}, and no split '{split}'; give the path of one of them")
        names = [path.name for path in splits.values()]
        notes.append(f"{' and '.join(names)} are its splits, and {splits[split].name} is read")
        roots = [_entered(tree, path)[0] for path in splits.values()]
        classes = {path.name for root in roots for path in Held(tree, root).folders}
        folder, more = _entered(tree, splits[split], classes)
        skipped += more
    else:
        refuse_split(tree.path, split)
    table = table_of(tree, folder)
    found = (
        _without_table(tree, folder, skipped, options) if table is None else load_listed(tree, folder, table, options)
    )
    return replace(found, notes=(*notes, *_told(skipped), *found.notes), split=split if splits else "all")


def split_folders(tree: Tree) -> dict[str, Path]:
    """The folders of the splits that a folder has: ``train``, ``test``, ``val``; none of these where it has none.

    The only one beside ``train`` holds the test images, whatever it is called.
    """
    return _splits_in(tree, _entered(tree, tree.path)[0])


def _entered(tree: Tree, folder: Path, classes: Collection[str] = ()) -> tuple[Path, Counter[str]]:
    """This folder, or the lone one in it that holds everything; and what was left out on the way to it.

    What is called like one of `classes`, which another split has, is a class.
    """
    skipped: Counter[str] = Counter()
    for _ in range(MOST_WRAPPERS):
        held = Held(tree, folder)
        if held.pictures or table_of(tree, folder) is not None:
            break
        inside = {path: Held(tree, path) for path in held.folders}
        full = [path for path in held.folders if not inside[path].is_empty]
        if len(full) != 1:
            break
        inner = full[0]
        a_class = inner.name in classes or integer(inner.name) is not None or len(held.folders) > 1
        if a_class and not inside[inner].folders:
            break  # the only class that has pictures
        for path in held.folders:
            if path != inner:
                held.skip(path)
        skipped += held.skipped
        folder = inner
    return folder, skipped


def _splits_in(tree: Tree, folder: Path) -> dict[str, Path]:
    """As `split_folders`, of the folder that holds them."""
    if table_of(tree, folder) is not None:
        return {}
    held = Held(tree, folder)
    groups: dict[tuple[str, ...], dict[str, Path]] = {}
    for path in held.folders:
        words = [word.lower() for word in WORDS.findall(path.name)]
        kinds = [SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS]
        if len(kinds) != 1:
            continue
        rest = tuple(word for word in words if word not in SPLIT_WORDS)
        group = groups.setdefault(rest, {})
        if kinds[0] in group:
            raise PocketganError(
                f"{folder} holds {group[kinds[0]].name} and {path.name}, both for {kinds[0]}; keep one"
            )
        group[kinds[0]] = path
    found = next((group for group in groups.values() if len(group) > 1), {})
    found = {kind: found[kind] for kind in ("train", "test", "val") if kind in found}
    others = [path for path in held.folders if path not in found.values() and not Held(tree, path).is_empty]
    if found and (others or held.pictures):
        raise PocketganError(
            f"{folder} holds {(others or held.pictures)[0].name} beside its splits {_and(found)}; move it out of there"
        )
    if set(found) == {"train", "val"}:
        return {"train": found["train"], "test": found["val"]}
    return found


def _and(splits: dict[str, Path]) -> str:
    return " and ".join(path.name for path in splits.values())


def _without_table(tree: Tree, folder: Path, skipped: Counter[str], options: ImageOptions) -> ImageSet:
    """Pictures by themselves, or in a folder for each class; what is left out is added to `skipped`."""
    held = Held(tree, folder)
    if held.pictures:
        full = [path for path in held.folders if not Held(tree, path).is_empty]
        if full:
            raise PocketganError(
                f"{folder} holds a picture, {held.pictures[0].name}, beside the folder {full[0].name}; keep one or the "
                "other kind"
            )
        for path in held.folders:
            held.skip(path)
        skipped += held.skipped
        return _flat(tree, folder, held.pictures, options)
    inside = {path: _class_folder(tree, path) for path in held.folders}
    classes = []
    for path in held.folders:
        if inside[path].is_empty and inside[path].skipped and integer(path.name) is None:
            held.skip(path)  # it has neither pictures nor the look of a class
        else:
            classes.append(path)
            skipped += inside[path].skipped
    skipped += held.skipped
    classes.sort(key=lambda path: natural_order(path.name))
    labels = [label for label, path in enumerate(classes) for _ in inside[path].pictures]
    pictures = [picture for path in classes for picture in inside[path].pictures]
    names = tuple(path.name for path in classes)
    return pictures_in(tree, _not_empty(folder, pictures, skipped), options, labels, names)


def _class_folder(tree: Tree, folder: Path) -> Held:
    """What a class's folder holds, or the lone folder in it."""
    held = Held(tree, folder)
    if held.is_empty or (held.pictures and not held.folders):
        return held
    inner = Held(tree, held.folders[0])
    if held.pictures or len(held.folders) > 1 or inner.folders:
        raise PocketganError(
            f"{held.folders[0]} is a folder inside a class folder; if it is itself a class, load {folder}"
        )
    inner.skipped += held.skipped
    return inner


def _flat(tree: Tree, folder: Path, pictures: list[Path], options: ImageOptions) -> ImageSet:
    """Pictures with neither folders nor a table: without labels, unless their names tell them."""
    told = [LABEL_IN_NAME.findall(path.stem) for path in pictures]
    numbers = [int(labels[0]) for labels in told if len(labels) == 1]
    if len(numbers) == len(pictures) and 1 < 2 * len(set(numbers)) <= len(numbers):
        labels, names = check_labels(folder, np.array(numbers), len(numbers))
        note = f"labels are read from the names ({pictures[0].name} is {numbers[0]})"
        found = pictures_in(tree, pictures, options, labels.tolist(), names)
        return replace(found, notes=(*found.notes, note))
    found = pictures_in(tree, pictures, options)
    if numbers or all(NUMBER_FIRST.fullmatch(path.stem) for path in pictures):
        note = f"no labels are read from names such as {pictures[0].name}; a folder for each class would tell them"
        return replace(found, notes=(*found.notes, note))
    return found


def _not_empty(folder: Path, pictures: list[Path], skipped: Counter[str]) -> list[Path]:
    if not pictures:
        only = f", only {_kinds(skipped)}" if skipped else ""
        raise PocketganError(f"{folder} holds no pictures{only}; give a folder that does, or a file itself")
    return pictures


def _kinds(skipped: Counter[str]) -> str:
    """What was left out, the most frequent kinds first."""
    shown = [f"{count:,} {kind}" if count > 1 else kind for kind, count in skipped.most_common(MOST_SHOWN)]
    rest = len(skipped) - len(shown)
    more = f" and {rest} other kind{'s' * (rest > 1)}" if rest else ""
    return ", ".join(shown) + more


def _told(skipped: Counter[str]) -> list[str]:
    """What was left out, in one line; no line where nothing was."""
    if not skipped:
        return []
    total = sum(skipped.values())
    one = "entry that is no picture is" if total == 1 else "entries that are no pictures are"
    return [f"{total:,} {one} skipped ({_kinds(skipped)})"]
