"""Whole sets in shards: whoever makes them, the same bytes; what is lost or doubled is found; places and errors."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import pocketgan as pg
from conftest import ended
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.terminal import Display
from pocketgan.writers.engines import make_set, run_here
from pocketgan.writers.order import Opened, Order

COUNT = 394  # 4 blocks, the last of 10
ORDER = Order("digits", COUNT, None, False, 0, ("webdataset",), None, None, None, False, (), "cpu")
QUIET = Display(quiet=True)


@pytest.fixture(scope="module")
def opened() -> Opened:
    return Opened(ORDER)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The set as single commands make it."""
    out = tmp_path_factory.mktemp("plain") / "out"
    for number in (1, 2, 3):
        pg.generate("digits", out=out, count=COUNT, format=["webdataset"], shard=f"{number}/3", quiet=True)
    return contents(out)


@pytest.mark.catches("lost shard of images", "doubled shard of images")
def test_a_set_is_that_of_single_commands(opened: Opened, plain: dict[str, bytes], tmp_path: Path) -> None:
    make_set(opened, tmp_path, 3, QUIET)
    assert contents(tmp_path) == plain


def test_a_killed_set_goes_on_with_what_lacks(opened: Opened, plain: dict[str, bytes], tmp_path: Path) -> None:
    made: list[int] = []

    def dies(opened: Opened, wanted: Any, out: Any, shards: Any, done: Any, progress: Any) -> None:
        run_here(opened, wanted, out, [shards[2], shards[0]], done, progress)
        raise KeyboardInterrupt

    def counts(opened: Opened, wanted: Any, out: Any, shards: Any, done: Any, progress: Any) -> None:
        made.extend(shard.number for shard in shards)
        run_here(opened, wanted, out, shards, done, progress)

    with pytest.raises(KeyboardInterrupt):
        make_set(opened, tmp_path, 3, QUIET, dies)
    assert not (tmp_path / "provenance.json").exists()
    tar = next((tmp_path / "shard-00001-of-00003").rglob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:-1])
    make_set(opened, tmp_path, 3, QUIET, counts)
    assert made == [1, 2]
    assert contents(tmp_path) == plain


def test_a_lost_shard_is_found(opened: Opened, tmp_path: Path) -> None:
    def loses(opened: Opened, wanted: Any, out: Any, shards: Any, done: Any, progress: Any) -> None:
        run_here(opened, wanted, out, shards, done, progress)
        shutil.rmtree(Path(out) / shards[1].name)

    with pytest.raises(PocketganError, match="shard-00002-of-00003 was made and is not there"):
        make_set(opened, tmp_path, 3, QUIET, loses)
    assert not (tmp_path / "provenance.json").exists()


def test_a_doubled_shard_is_found(opened: Opened, tmp_path: Path) -> None:
    def doubles(opened: Opened, wanted: Any, out: Any, shards: Any, done: Any, progress: Any) -> None:
        run_here(opened, wanted, out, shards, done, progress)
        shutil.rmtree(Path(out) / shards[1].name)
        shutil.copytree(Path(out) / shards[0].name, Path(out) / shards[1].name)

    with pytest.raises(PocketganError, match="shard-00002-of-00003 holds shard 1/3"):
        make_set(opened, tmp_path, 3, QUIET, doubles)
    assert not (tmp_path / "provenance.json").exists()


def test_images_of_another_shard_are_refused(opened: Opened, tmp_path: Path) -> None:
    def mistakes(opened: Opened, wanted: Any, out: Any, shards: Any, done: Any, progress: Any) -> None:
        wanted.make(shards[1], opened.parts(0, 128))

    with pytest.raises(PocketganError, match="was given image 0 where 128 belongs"):
        make_set(opened, tmp_path, 3, QUIET, mistakes)


def test_a_store_gets_the_same_files_and_goes_on(opened: Opened, plain: dict[str, bytes]) -> None:
    import fsspec

    store, out = fsspec.filesystem("memory"), "memory://sets/one"

    def there() -> dict[str, bytes]:
        return {path.removeprefix("/sets/one/"): store.cat(path) for path in store.find("/sets/one")}

    make_set(opened, out, 3, QUIET)
    assert there() == plain
    store.rm_file("/sets/one/shard-00002-of-00003/provenance.json")  # as a killed process leaves it
    store.pipe("/sets/one/shard-00003-of-00003/LICENSE.txt", b"cut")
    make_set(opened, out, 3, QUIET)
    assert there() == plain


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--format", "png", "--shards", "2"], "--format png is no format of sets in shards"),
        (["--format", "webdataset", "--shards", "9"], "--shards 9 does not fit 394 images"),
        (["--format", "webdataset", "--shard", "1/2", "--shards", "2"], "--shard makes one part by itself"),
        (["--format", "webdataset", "--engine", "rayy"], "--engine rayy is unknown"),
        (["--format", "webdataset", "--address", "auto"], "add --engine ray"),
        (["--format", "webdataset", "--engine", "ray", "--device", "cuda"], "--device cuda"),
        (["--format", "webdataset", "--out", "nowhere://x/y"], "--out nowhere://x/y: Protocol not known"),
        (["--format", "webdataset", "--engine", "ray", "--out", "memory://x/y"], "other processes do not see it"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "cuda" in words:
        with pytest.raises(UsageError, match=says):
            Order("digits", 1, None, False, 0, (), None, None, None, False, (), "cuda").for_others()
        return
    out = [] if "--out" in words else ["--out", tmp_path / "out"]
    assert ended("generate", "digits", "--count", COUNT, "--quiet", *words, *out) == 2
    told = capsys.readouterr().err
    assert says in " ".join(told.split())
    assert not (tmp_path / "out").exists()


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    order: dict[str, Any] = {"count": COUNT, "format": ["webdataset"], "quiet": True}
    with patch.dict(sys.modules, {"ray": None}), pytest.raises(UsageError, match=r"pip install '\.\[ray\]'"):
        pg.generate("digits", out=tmp_path, engine="ray", **order)
    with patch.dict(sys.modules, {"s3fs": None}), pytest.raises(UsageError, match=r"pip install '\.\[s3\]'"):
        pg.generate("digits", out="s3://bucket/set", **order)


@pytest.mark.extras
def test_ray_gives_the_same_bytes_though_a_worker_is_killed(tmp_path: Path) -> None:
    words = ["generate", "digits", "--count", "24000", "--format", "parquet", "--shards", "12", "--quiet"]
    line = [sys.executable, "-m", "pocketgan", *words, "--engine", "ray", "--out", str(tmp_path / "ray")]
    driver = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    killed, until = 0, time.monotonic() + 120
    while not killed and time.monotonic() < until and driver.poll() is None:
        found = [path for path in Path("/proc").glob("[0-9]*") if _is_worker_of(path, driver.pid)]
        if found and list((tmp_path / "ray").glob("shard-*")):
            os.kill(int(found[0].name), signal.SIGKILL)
            killed += 1
        time.sleep(0.05)
    _, said = driver.communicate(timeout=300)
    assert (driver.returncode, killed) == (0, 1), said
    pg.generate("digits", out=tmp_path / "plain", count=24000, format=["parquet"], shards=12, quiet=True)
    assert contents(tmp_path / "ray") == contents(tmp_path / "plain")


def _is_worker_of(process: Path, driver: int) -> bool:
    """Whether a process is a worker of Ray's that is at one of our tasks, below the driver."""
    try:
        if not process.joinpath("cmdline").read_bytes().startswith(b"ray::make_one"):
            return False
        while int(process.name) > 1:
            if int(process.name) == driver:
                return True
            process = Path("/proc") / process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
    except (OSError, ValueError):
        pass
    return False


@pytest.mark.extras
def test_a_wrong_address_of_ray_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--address 127\.0\.0\.1:1: no Ray cluster answers"):
        pg.generate(
            "digits", out=tmp_path, count=COUNT, format=["parquet"], engine="ray", address="127.0.0.1:1", quiet=True
        )
