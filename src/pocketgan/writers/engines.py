"""Who makes the shards of a set: this process, one after another, or Ray's tasks, one thread each.

Whoever it is writes the same bytes. What stands whole is left, so that the same command again fills what a killed one
lacks; what stands at the end is looked at before anything is said of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

from pocketgan.core.cluster import RETRIES, ray_cluster
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.process import load_torch
from pocketgan.core.rng import BLOCK
from pocketgan.core.terminal import Display
from pocketgan.writers import FORMATS
from pocketgan.writers.order import Opened, Order
from pocketgan.writers.places import OF_ONE_PROCESS, place_of
from pocketgan.writers.sharded import Shard, ShardSet
from pocketgan.writers.shards import SHARD

MOST = 10 * SHARD  # images of a shard, where nobody says how many shards there are
AHEAD = 2  # tasks for each processor that are handed to Ray at a time
Done: TypeAlias = Callable[[Shard], None]
Progress: TypeAlias = Callable[[Shard, int], None]  # images of it that are written
Engine: TypeAlias = Callable[[Opened, ShardSet, str | Path, Sequence[Shard], Done, Progress], None]


def make_set(
    opened: Opened,
    out: str | Path,
    shards: int | None,
    display: Display,
    engine: Engine | None = None,
) -> list[Path | str]:
    """Make all shards of a set that do not stand yet, and what is said of the whole.

    Parameters
    ----------
    opened
        What is ordered.
    out
        A folder, or the address of one in a store.
    shards
        How many; by default as few as hold at most 51,200 images each.
    display
        For progress.
    engine
        Who makes them; this process by default.

    Returns
    -------
    list[Path | str]
        What is said of the whole: its files, or their addresses.

    Raises
    ------
    UsageError
        The place holds something else, or a shard of another set; a format has no files of that kind.
    PocketganError
        A shard could not be made, or was made and is not there. The others stay.
    """
    order = opened.order
    for name in order.formats:
        if name in FORMATS and not FORMATS[name].many:
            able = ", ".join(name for name, row in FORMATS.items() if row.many)
            raise UsageError(
                f"--format {name} is no format of sets in shards, which are {able}; give one of these, or --shard K/OF"
            )
    blocks = -(-order.count // BLOCK)
    of = -(-order.count // MOST) if shards is None else shards
    if not 1 <= of <= blocks:
        raise UsageError(
            f"--shards {of} does not fit {order.count:,} images, which are {blocks} blocks of {BLOCK}; "
            f"give 1 to {blocks}"
        )
    wanted = opened.shard_set(place_of(out), of)
    lacking = lacking_of(wanted, display)
    done, partly = sum(one.stop - one.start for one in wanted.shards if one not in lacking), {}
    if done:
        display.line(f"{of - len(lacking)} of {of} shards stand and are left as they are")
    with display.bar(f"generating {order.count:,} images in {of} shards", order.count) as bar:

        def progress(shard: Shard, images: int) -> None:
            partly[shard.number] = images
            bar.update(done + sum(partly.values()))

        def ended(shard: Shard) -> None:
            nonlocal done
            partly.pop(shard.number, None)
            done += shard.stop - shard.start
            bar.update(done, shard.name)

        if lacking:
            (engine or run_here)(opened, wanted, out, lacking, ended, progress)
    if written := wanted.finish():
        return written
    lost = next(one for one in wanted.shards if one.name not in wanted.standing())
    raise PocketganError(f"{wanted.place.shown(lost.name)} was made and is not there; run the same command again")


def lacking_of(wanted: ShardSet, display: Display, only: Shard | None = None) -> list[Shard]:
    """The shards that do not stand whole, in order, of all or of one. What is there in part is removed first."""
    standing = wanted.standing()
    lacking = [shard for shard in (wanted.shards if only is None else [only]) if shard.name not in standing]
    there = set(wanted.place.entries())
    for shard in lacking:
        if shard.name in there:
            display.line(f"{shard.name} is not whole, and is made again")
            wanted.place.remove(shard.name)
    return lacking


def run_here(
    opened: Opened, wanted: ShardSet, out: str | Path, shards: Sequence[Shard], done: Done, progress: Progress
) -> None:
    """Make shards in this process, one after another."""
    for shard in shards:
        wanted.make(shard, opened.parts(shard.start, shard.stop), partial(progress, shard))
        done(shard)


def by_ray(address: str | None) -> Engine:
    """Make shards as tasks of a Ray cluster, or of this machine where there is no address.

    A task computes by one thread. Only a bounded number is handed to Ray at a time. One whose worker was lost is tried
    again, three times at most. All machines must find the model, and `out` if it is a folder, by the same path.
    """

    def run(
        opened: Opened, wanted: ShardSet, out: str | Path, shards: Sequence[Shard], done: Done, progress: Progress
    ) -> None:
        if wanted.place.name.startswith(OF_ONE_PROCESS):
            raise UsageError(
                f"--out {wanted.place.name}: other processes do not see it; give a folder or such as s3://…"
            )
        order = opened.order.for_others()
        there = out if wanted.place.name == out else str(Path(wanted.place.name).absolute())
        with ray_cluster(address, "Ray lost a shard; the same command goes on") as ray:
            task = ray.remote(num_cpus=1, max_retries=RETRIES)(make_one)
            told = ray.put(wanted.request)
            waiting = list(reversed(shards))
            running: dict[Any, Shard] = {}
            while waiting or running:
                most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
                while waiting and len(running) < most:
                    shard = waiting.pop()
                    running[task.remote(order, there, len(wanted.shards), shard.number, told)] = shard
                ready, _ = ray.wait(list(running))
                for reference in ready:
                    shard = running.pop(reference)
                    code, said = ray.get(reference)
                    if code:
                        kind = UsageError if code == UsageError.exit_code else PocketganError
                        raise kind(f"{shard.name}: {said}")
                    done(shard)

    return run


def make_one(order: Order, out: str, of: int, number: int, request: dict[str, Any]) -> tuple[int, str]:
    """What a task does: make a shard. The exit code and the line of what it met; 0 and nothing where all is well."""
    try:
        opened, wanted = _at_hand(order, out, of)
        if wanted.request != request:
            return 1, "this machine finds another model by the name that was given; copy it here, or share its folder"
        shard = wanted.shards[number - 1]
        wanted.make(shard, opened.parts(shard.start, shard.stop))
    except PocketganError as error:
        return error.exit_code, str(error)
    return 0, ""


@lru_cache(maxsize=1)
def _at_hand(order: Order, out: str, of: int) -> tuple[Opened, ShardSet]:
    """What a worker keeps from one task to the next."""
    load_torch(threads=1)
    opened = Opened(order)
    return opened, opened.shard_set(place_of(out), of)
