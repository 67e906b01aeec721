"""Downloads from a server on this machine that does everything wrong."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pocketgan.core.cache import VARIABLE
from pocketgan.core.errors import PocketganError
from pocketgan.data import download
from pocketgan.data.datasets import DATASETS
from pocketgan.data.download import RemoteFile, fetch
from pocketgan.data.idx import idx_header
from pocketgan.data.load import load_images

CONTENT = bytes(range(256)) * 400
FILE = RemoteFile("set.gz", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", 200_000)
HTML = b"  <!DOCTYPE html><html><body>Please log in to this network.</body></html>"


class Handler(BaseHTTPRequestHandler):
    """Answers ``/WAY/NAME`` in the way WAY; notes what it was asked."""

    server: Server

    def do_GET(self) -> None:
        way = self.path.split("/")[-2]  # a proxy is asked with the whole address
        part = self.headers.get("Range")
        begun = int(part.removeprefix("bytes=").removesuffix("-")) if part else 0
        self.server.asked.append((way, begun))
        content = self.server.files.get(self.path.rpartition("/")[2], CONTENT)
        if way == "missing":
            self.send_error(404)
        elif way == "broken":
            self.send_error(500)
        elif way == "page":
            self.answer(200, HTML)
        elif way == "wrong":
            self.answer(200, content[:-1] + b"x")
        elif way == "cut":
            self.answer(200, content[begun : begun + 30_000], length=len(content) - begun)
        elif way == "silent-cut":
            self.answer(200, content[:30_000], length=None)
        elif way == "whole":
            self.answer(200, content)
        elif way == "endless":
            self.answer(200, content * 10, length=None)
        elif way == "liar":
            self.answer(206, content[5:], begun=5)
        elif way == "other-part":
            self.answer(206, bytes(len(content) - begun), begun=begun) if begun else self.answer(200, content)
        elif way == "nonsense":
            self.wfile.write(b"SSH-2.0-OpenSSH\r\n")
        elif way == "loop":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        elif way == "reset":
            self.connection.close()
        elif begun >= len(content):
            self.send_error(416)
        elif begun:
            self.answer(206, content[begun:], begun=begun)
        else:
            self.answer(200, content)

    def answer(self, status: int, body: bytes, begun: int = 0, length: int | None = -1) -> None:
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {begun}-{begun + len(body) - 1}/{len(CONTENT)}")
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may have had enough
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, int]] = []
        self.files: dict[str, bytes] = {}

    def __call__(self, *ways: str) -> list[str]:
        """Mirrors that answer in these ways."""
        return [f"http://127.0.0.1:{self.server_port}/{way}/" for way in ways]

    def handle_error(self, request: object, address: object) -> None:
        pass


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running.asked.clear()
    running.files.clear()
    return running


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        assert fetch(FILE, server("good"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("good", 0)]
    assert left(tmp_path) == ["set.gz"]


def test_a_file_that_was_changed_on_disk_is_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(FILE, server("good"), tmp_path).write_bytes(b"changed")
    assert fetch(FILE, server("good"), tmp_path).read_bytes() == CONTENT


@pytest.mark.catches("wrong checksum installed")
@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("missing", "the server answers 404"),
        ("broken", "the server answers 500"),
        ("page", "a page came instead of the file"),
        ("wrong", "its checksum is not sha256:"),
        ("silent-cut", "its checksum is not sha256:"),
        ("cut", "the connection ended after 30,000 of 102,400 bytes"),
        ("endless", "more came than the 200,000 bytes"),
        ("nonsense", ""),
        ("loop", "the server answers 302"),
        ("reset", ""),
    ],
)
def test_what_goes_wrong_is_told_in_one_line_and_never_installed(
    way: str, told: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(PocketganError) as caught:
        fetch(FILE, server(way), tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"set.gz could not be downloaded ({server(way)[0]}set.gz: {told}")
    assert "set.gz" not in left(tmp_path)
    assert fetch(FILE, server(way, "good"), tmp_path).read_bytes() == CONTENT  # the next mirror mends it
    assert left(tmp_path) == ["set.gz"]


@pytest.mark.catches("wrong checksum installed")
def test_a_wrong_file_never_takes_the_place_of_one_that_is_there(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.gz").write_bytes(b"older")
    with pytest.raises(PocketganError):
        fetch(FILE, server("wrong", "page"), tmp_path)
    assert (tmp_path / "set.gz").read_bytes() == b"older"


@pytest.mark.catches("download not resumed")
def test_a_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    with pytest.raises(PocketganError):
        fetch(FILE, server("cut"), tmp_path)
    assert fetch(FILE, server("missing", "good"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("cut", 0), ("missing", 30_000), ("good", 30_000)]


@pytest.mark.parametrize("way", ["whole", "liar", "other-part"])
def test_a_server_that_gives_no_parts_or_wrong_ones_is_asked_for_the_whole(
    way: str, server: Server, tmp_path: Path
) -> None:
    (tmp_path / ".set.gz.part").write_bytes(CONTENT[:30_000])
    mirrors = server(way, "whole") if way == "liar" else server(way)
    assert fetch(FILE, mirrors, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("there", [CONTENT, b"of another file" * 9000])
def test_a_part_that_is_whole_or_of_another_file_is_no_trap(there: bytes, server: Server, tmp_path: Path) -> None:
    (tmp_path / ".set.gz.part").write_bytes(there)
    assert fetch(FILE, server("good"), tmp_path).read_bytes() == CONTENT


def test_proxies_of_the_environment_are_honoured(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    assert fetch(FILE, ["http://nowhere.invalid/good/"], tmp_path).read_bytes() == CONTENT


def test_a_mirror_that_is_dead_is_left_for_the_next(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SECONDS", 0.5)
    assert fetch(FILE, ["http://127.0.0.1:9/", *server("good")], tmp_path).read_bytes() == CONTENT


@pytest.fixture
def small_set(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A published set whose files this server has."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    labels = (np.arange(20) % 10).astype(np.uint8)
    for prefix in ("train", "t10k"):
        server.files[f"{prefix}-images-idx3-ubyte.gz"] = idx_header(pixels.shape) + pixels.tobytes()
        server.files[f"{prefix}-labels-idx1-ubyte.gz"] = idx_header(labels.shape) + labels.tobytes()
    files = tuple(
        RemoteFile(name, f"md5:{hashlib.md5(content).hexdigest()}", 1 << 20) for name, content in server.files.items()
    )
    row = replace(DATASETS["fashion-mnist"], files=files, mirrors=tuple(server("good")), counts=(20, 20))
    monkeypatch.setitem(DATASETS, "fashion-mnist", row)
    monkeypatch.setenv(VARIABLE, str(tmp_path))


@pytest.mark.usefixtures("small_set")
def test_a_published_set_comes_by_its_name(server: Server, tmp_path: Path) -> None:
    found = load_images("fashion-mnist")
    assert (len(found), found.class_names[9], found.split) == (20, "Ankle boot", "train")
    assert load_images("fashion-mnist", "test").provenance["licence"] == "MIT"
    assert len(server.asked) == 4
    val, fit = load_images("fashion-mnist", "val"), load_images("fashion-mnist", "fit")
    assert (len(val), len(fit), val.name, val.split) == (3, 17, "fashion-mnist/val", "val")


def test_every_row_of_the_table_of_data_sets_is_whole() -> None:
    for name, row in DATASETS.items():
        assert row.name == name
        assert row.files
        assert all((row.title, row.licence, row.citation))
        for file in row.files:
            algorithm, digest = file.checksum.split(":")
            assert len(digest) == 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
        assert all(mirror.endswith("/") for mirror in row.mirrors)
        if row.embedded:
            train, test = load_images(name), load_images(name, "test")
            assert (len(train), len(test)) == row.counts
            assert row.shape == train.shape == test.shape
            assert all((row.folder / file.name).stat().st_size == file.most_bytes for file in row.files)
