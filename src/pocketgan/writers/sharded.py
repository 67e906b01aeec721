"""One image set made by many processes: each writes shards, whoever comes last writes what is said of the whole.

Nobody waits for anybody and nothing is locked. A shard is a folder of its own, whole or absent, and its
`provenance.json` says what set it is part of; so shards of two sets are never mixed. `engines.py` makes all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import write_json
from pocketgan.core.rng import BLOCK
from pocketgan.data.image_set import PROVENANCE, Samples
from pocketgan.writers import CARD, FORMATS, LICENCE, check_formats, export_samples, write_card, write_licence
from pocketgan.writers.arrays import MNIST_SHARE, split
from pocketgan.writers.places import Place

NAME = re.compile(r"shard-\d{5,}-of-\d{5,}")
OWN = ("set", "shard", "count", "files")  # of provenance.json: what a shard says of itself, and the whole does not


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


class ShardSet:
    """One image set in shards, at one place.

    Parameters
    ----------
    place
        It gets a folder for each shard, with all that `export_samples` writes; once all shards are there,
        ``provenance.json``, ``LICENSE.txt`` and a data card too.
    count
        Images in all shards.
    of
        How many shards.
    formats, test_share, scores
        As in `export_samples`. The test share is that of each shard.
    asked
        What made the images, as JSON has it: model, seed and the like. All shards of a place have it in common.

    Raises
    ------
    UsageError
        A format is unknown, or a shard would be too small for the test share.
    """

    def __init__(
        self,
        place: Place,
        count: int,
        of: int,
        formats: Sequence[str],
        asked: Mapping[str, Any],
        *,
        test_share: float | None = None,
        scores: str = "",
    ) -> None:
        names = list(dict.fromkeys(formats))
        check_formats(names, test_share)
        self.place, self.count, self.formats = place, count, names
        self.test_share, self.scores = test_share, scores
        self.shards = shards_of(count, of)
        if test_share is not None or "idx" in names:
            split(min(one.stop - one.start for one in self.shards), test_share or MNIST_SHARE)
        request = {"images": count, "shards": of, "formats": names, "test_share": test_share, **asked}
        self.request: dict[str, Any] = json.loads(json.dumps(request))

    def standing(self) -> dict[str, dict[str, Any]]:
        """What each shard that stands whole says of itself, by its name. Those that are not whole are left out.

        Raises
        ------
        UsageError
            The place holds something else, or a shard of another set.
        PocketganError
            It cannot be read, or a shard does not say what it is.
        """
        entries = self.place.entries()
        shards = [name for name in entries if NAME.fullmatch(name)]
        known = {*shards, *((CARD, PROVENANCE, LICENCE) if shards else ())}
        for name in entries:
            if name not in known:
                raise UsageError(
                    f"--out {self.place.name} holds {name}, which is no shard; choose another folder or remove it"
                )
        told = zip(shards, self.place.facts(shards), strict=True)
        held = {name: self._own(name, content) for name, content in told if content is not None}
        return {name: facts for name, facts in held.items() if self._is_whole(name, facts)}

    def _own(self, name: str, content: Any) -> dict[str, Any]:
        """What a shard says of itself, where it is one of this set.

        Raises
        ------
        UsageError
            It is one of another set.
        """
        held = content.get("set") if isinstance(content, dict) else None
        if not isinstance(held, dict):
            raise PocketganError(
                f"{self.place.shown(name)}/{PROVENANCE} does not say what set it is part of; remove the shard"
            )
        for key in [*self.request, *held]:
            if held.get(key) != self.request.get(key):
                raise UsageError(
                    f"--out {self.place.name} holds {name} of another set: {key} is {held.get(key)!r} there and "
                    f"{self.request.get(key)!r} here; choose another folder"
                )
        return dict(content)

    def _is_whole(self, name: str, facts: Mapping[str, Any]) -> bool:
        """Whether the files that a shard lists are there in their sizes."""
        files = facts.get("files", {})
        return all(self.place.size(f"{name}/{path}") == about["bytes"] for path, about in files.items())

    def make(self, shard: Shard, parts: Iterator[Samples], on_progress: Callable[[int], None] | None = None) -> None:
        """Write one shard. What another process has put in its place meanwhile stays: it holds the same.

        Parameters
        ----------
        shard
            Which it is.
        parts
            Its images in order.
        on_progress
            Called after each part with the number of images of the shard that were written so far.

        Raises
        ------
        PocketganError
            The place cannot be written, or the disk is full; or the images are not those of the shard.
        """
        with self.place.filled(shard.name) as folder:
            export_samples(
                _in_order(parts, shard),
                shard.stop - shard.start,
                folder,
                self.formats,
                test_share=self.test_share,
                scores=self.scores,
                facts={"set": self.request, "shard": f"{shard.number}/{shard.of}"},
                on_progress=on_progress,
                keep=True,
            )

    def finish(self) -> list[Path | str]:
        """Write what is said of the whole, where all shards stand; what was written, and else nothing.

        Whoever does it writes the same bytes.

        Raises
        ------
        PocketganError
            The shards do not make one set: two hold the same, or they tell different things of it.
        """
        standing = self.standing()
        if any(shard.name not in standing for shard in self.shards):
            return []
        facts: dict[str, Any] = {}
        seen: dict[str, str] = {}
        for shard in self.shards:
            own = standing[shard.name]
            told = {name: value for name, value in own.items() if name not in OWN}
            where = self.place.shown(shard.name)
            if facts and told != facts:
                raise PocketganError(f"{where} does not tell what the other shards tell; remove it and make it again")
            if (own["shard"], own["count"]) != (f"{shard.number}/{shard.of}", shard.stop - shard.start):
                raise PocketganError(f"{where} holds shard {own['shard']}; remove it and make it again")
            for path, about in own.get("files", {}).items():
                if path != LICENCE and seen.setdefault(about["sha256"], shard.name) != shard.name:
                    raise PocketganError(
                        f"{where} holds images of {seen[about['sha256']]}; remove both and make them again"
                    )
            facts = told
        facts = {**facts, "count": self.count, "shards": len(self.shards)}
        listed = [name for name in ("png", "parquet", "webdataset") if name in self.formats]
        with self.place.about() as folder:
            if listed:
                inside = f"shard-*-of-{len(self.shards):05d}/{listed[0]}/"
                write_card(
                    folder, facts, listed[0], inside=inside, split=self.test_share is not None, scores=self.scores
                )
            licence = write_licence(folder, facts)
            write_json(folder / PROVENANCE, facts)
        return [self.place.shown(name) for name in [*([CARD] if listed else []), PROVENANCE, *licence]]

    def files(self, shard: Shard) -> list[Path | str]:
        """What a shard consists of, by format."""
        return [self.place.shown(f"{shard.name}/{path}") for name in self.formats for path in FORMATS[name].paths]


def _in_order(parts: Iterator[Samples], shard: Shard) -> Iterator[Samples]:
    """The same parts, each looked at: a shard never holds the images of another.

    Raises
    ------
    PocketganError
        They are of other indices.
    """
    place = shard.start
    for part in parts:
        if part.index.tolist() != list(range(place, place + len(part))):
            raise PocketganError(f"{shard.name} was given image {int(part.index[0])} where {place} belongs")
        place += len(part)
        yield part
