"""One image set made by many processes: each writes shards, whoever comes last writes what is said of the whole.

Nobody waits for anybody and nothing is locked. A shard is a folder of its own, whole or absent, and its
`provenance.json` says what set it is part of; so shards of two sets are never mixed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import read_json, user_path, write_json
from pocketgan.core.rng import BLOCK
from pocketgan.data.image_set import PROVENANCE, Samples
from pocketgan.writers import CARD, FORMATS, LICENCE, check_formats, export_samples, write_card, write_licence
from pocketgan.writers.arrays import MNIST_SHARE, split

NAME = re.compile(r"shard-\d{5,}-of-\d{5,}")
OWN = ("set", "shard", "count")  # of provenance.json: what a shard says of itself, and the whole does not


class Shard(NamedTuple):
    """A part of an image set: the images of indices `start` to `stop` (excluded), whole blocks but for the last.

    Of N images, which are B blocks of 128 (the last may be smaller), shard K of OF has the blocks (K-1)·B/OF to K·B/OF,
    both rounded down. So shards differ by one block at most, and OF alone says where they are cut.
    """

    number: int  # from 1
    of: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"shard-{self.number:05d}-of-{self.of:05d}"


def shards_of(count: int, of: int) -> list[Shard]:
    """All shards of `count` images, in order; `of` is at most the number of blocks."""
    blocks = -(-count // BLOCK)
    cuts = [min(count, number * blocks // of * BLOCK) for number in range(of + 1)]
    return [Shard(number + 1, of, cuts[number], cuts[number + 1]) for number in range(of)]


def shard_named(text: str, count: int) -> Shard:
    """The shard that ``K/OF`` names, of `count` images.

    Raises
    ------
    UsageError
        It is none: K lies outside 1 to OF, or there are fewer blocks than shards.
    """
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
    if found is None:
        raise UsageError(f"--shard {text} is no shard; give its number and how many there are, such as 1/8")
    number, of = int(found[1]), int(found[2])
    if not 1 <= number <= of:
        raise UsageError(
            f"--shard {text} does not exist; the first is 1/{max(1, of)}, the last {max(1, of)}/{max(1, of)}"
        )
    if count < 1:
        raise UsageError(f"--count {count} is too small; ask for at least 1 image")
    blocks = -(-count // BLOCK)
    if of > blocks:
        raise UsageError(
            f"--shard {text} cuts {count:,} images into more shards than they have blocks of {BLOCK}; "
            f"give at most {blocks} shards, or a larger --count"
        )
    return shards_of(count, of)[number - 1]


def export_shard(
    parts: Iterator[Samples],
    shard: Shard,
    count: int,
    out: Path,
    formats: Sequence[str],
    asked: Mapping[str, Any],
    *,
    test_share: float | None = None,
    scores: str = "",
    on_progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write one shard of an image set, unless it stands there; and with the last one what is said of all.

    Parameters
    ----------
    parts
        The images of the shard in order; none is drawn where the shard stands.
    shard
        Which it is.
    count
        Images in all shards.
    out
        The common folder. It gets a folder for each shard, with all that `export_samples` writes; once all shards are
        there, ``provenance.json``, ``LICENSE.txt`` and a data card too.
    formats, test_share, scores, on_progress
        As in `export_samples`. The test share is that of each shard.
    asked
        What made the images, as JSON has it: model, seed and the like. All shards of a folder have it in common.

    Returns
    -------
    list[Path]
        What the shard consists of, as from `export_samples`; and what was written of the whole.

    Raises
    ------
    UsageError
        The folder holds something else, or a shard of another set; or a shard would be too small for the test share.
    PocketganError
        The folder cannot be written, or the disk is full.
    """
    out, names = user_path(out), list(dict.fromkeys(formats))
    check_formats(names, test_share)
    if test_share is not None or "idx" in names:
        split(min(one.stop - one.start for one in shards_of(count, shard.of)), test_share or MNIST_SHARE)
    request = {"images": count, "shards": shard.of, "formats": names, "test_share": test_share, **asked}
    request = json.loads(json.dumps(request))
    _refuse_others(out, request)
    folder = out / shard.name
    if folder.exists():
        written = [folder / path for name in names for path in FORMATS[name].paths]
    else:
        facts = {"set": request, "shard": f"{shard.number}/{shard.of}"}
        written = export_samples(
            parts,
            shard.stop - shard.start,
            folder,
            names,
            test_share=test_share,
            scores=scores,
            facts=facts,
            on_progress=on_progress,
            keep=True,
        )
    return written + _finish(out, shards_of(count, shard.of), request, scores)


def _refuse_others(out: Path, request: Mapping[str, Any]) -> None:
    """Refuse a folder that holds anything but shards of this very set, and what is said of it."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"--out {out} is a file; choose another folder")
    entries = sorted(path for path in out.iterdir() if not path.name.startswith("."))
    shards = [path for path in entries if NAME.fullmatch(path.name)]
    known = {*shards, *(out / name for name in (CARD, PROVENANCE, LICENCE) if shards)}
    for path in entries:
        if path not in known:
            raise UsageError(f"--out {out} holds {path.name}, which is no shard; choose another folder or remove it")
    for path in shards:
        _provenance(path, request)


def _provenance(shard: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What a shard that stands says of itself.

    Raises
    ------
    UsageError
        It is one of another set.
    """
    content = read_json(shard / PROVENANCE)
    held = content.get("set") if isinstance(content, dict) else None
    if not isinstance(held, dict):
        raise PocketganError(f"{shard / PROVENANCE} does not say what set it is part of; remove the shard")
    for name in [*request, *held]:
        if held.get(name) != request.get(name):
            raise UsageError(
                f"--out {shard.parent} holds {shard.name} of another set: {name} is {held.get(name)!r} there and "
                f"{request.get(name)!r} here; choose another folder"
            )
    return dict(content)


def _finish(out: Path, shards: list[Shard], request: Mapping[str, Any], scores: str) -> list[Path]:
    """Write what is said of the whole, where all shards stand. Whoever does it writes the same bytes."""
    if not all((out / shard.name).is_dir() for shard in shards):
        return []
    facts: dict[str, Any] = {}
    for shard in shards:
        told = {name: value for name, value in _provenance(out / shard.name, request).items() if name not in OWN}
        if facts and told != facts:
            raise PocketganError(
                f"{out / shard.name} does not tell what the other shards tell; remove it and make it again"
            )
        facts = told
    formats, count = request["formats"], request["images"]
    facts = {**facts, "count": count, "shards": len(shards)}
    listed = [name for name in ("png", "parquet", "webdataset") if name in formats]
    if listed:
        split = request["test_share"] is not None
        write_card(
            out, facts, listed[0], inside=f"shard-*-of-{len(shards):05d}/{listed[0]}/", split=split, scores=scores
        )
    licence = write_licence(out, facts)
    write_json(out / PROVENANCE, facts)
    return [out / name for name in [*([CARD] if listed else []), PROVENANCE, *licence]]
