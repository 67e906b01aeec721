"""The lab's server: who is let in, what is refused, and that what it answers is what the program says."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
import torch

from conftest import ended
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import write_bytes
from pocketgan.core.pixels import to_png
from pocketgan.data.fakes import PERSON, read_fakes, set_aside, set_labels
from pocketgan.data.pictures import FakesWriter
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.recipes import GAN_PRESETS, Recipe, field_places
from pocketgan.runs.folder import RunFolder
from pocketgan.runs.live import Unpacker, live_socket
from pocketgan.steer.directions import Directions
from pocketgan.steer.search import INVERSION_STEPS, LOOKS

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
websockets = pytest.importorskip("websockets.sync.client")

from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402

from pocketgan.lab.breaking import CARDS, FOLDER, PLAIN, prepare, without_batch_norm, words_of  # noqa: E402
from pocketgan.lab.drawing import centred_as_mnist  # noqa: E402
from pocketgan.lab.guarding import Keys, cookie_name  # noqa: E402
from pocketgan.lab.labelling import compared, fakes_of, label  # noqa: E402
from pocketgan.lab.runs import Shelf, state_of  # noqa: E402
from pocketgan.lab.serving import Lab, server_of  # noqa: E402
from pocketgan.lab.training import fields  # noqa: E402
from pocketgan.lab.watching import MOST_KEPT, Page  # noqa: E402

SECONDS = 60.0


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """A lab that runs, and one who asks it things."""

    def __init__(self, folder: Path) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.keys = Keys(reading="only-for-looking")
        self.lab = Lab(folder)
        self.server = server_of(self.lab, self.keys, frozenset({self.host, f"localhost:{self.port}"}))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(SECONDS)
        for launched in self.lab.launched.values():
            launched._process.kill()
            launched._process.wait(SECONDS)
        self.lab.close()
        self.listening.close()

    @property
    def cookie(self) -> str:
        return f"{cookie_name(self.host)}={self.keys.full}"

    def ask(
        self, path: str, method: str = "GET", body: Any = None, raw: bytes | None = None, **headers: str | None
    ) -> Answer:
        """One request, with all that it needs unless a header is given otherwise (or as None, not at all)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        all_of_them = {"Host": self.host, "Origin": f"http://{self.host}", "Cookie": self.cookie, **headers}
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in all_of_them.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        if method != "GET":
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content or None)
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        connection.close()
        return answer

    def get(self, path: str) -> Any:
        answer = self.ask(path)
        assert answer.status == 200, answer.body
        return answer.json

    def done(self, answer: Answer) -> Any:
        """The result of a job, when it is there."""
        assert answer.status == 202, answer.body
        assert answer.json["command"].startswith("pocketgan ")
        until = time.monotonic() + SECONDS
        while (job := self.get(f"/api/jobs/{answer.json['id']}"))["state"] in ("waiting", "working"):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert job["state"] == "done", job["why"]
        return job["result"]

    def socket(self, path: str, **headers: str | None) -> Any:
        wanted = {"Host": self.host, "Cookie": self.cookie, **headers}
        origin = wanted.pop("Origin", f"http://{self.host}")
        sock = socket.create_connection(("127.0.0.1", self.port))
        return websockets.connect(
            f"ws://{wanted.pop('Host')}{path}",
            sock=sock,
            origin=origin,
            additional_headers={name: value for name, value in wanted.items() if value is not None},
            compression=None,
            max_size=None,
            proxy=None,
        )

    def is_alive(self) -> bool:
        return bool(self.get("/api/about")["may_change"])


@pytest.fixture(scope="module")
def folder(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: one with fakes and a classifier, a damaged one, one behind a link, and a secret outside."""
    folder = tmp_path_factory.mktemp("lab") / "runs"
    shutil.copytree(small_run, folder / "whole")
    shutil.copytree(small_run, folder / "damaged")
    (folder / "damaged" / "events.jsonl").write_text("no JSON\n")
    shutil.copytree(small_run, folder.parent / "outside")
    (folder / "link").symlink_to(folder.parent / "outside")
    shutil.copytree(small_run, folder / "stopped")
    shutil.rmtree(folder / "stopped" / "model")
    assert ended("generate", small_run, "--format", "png", "--count", 20, "--out", folder / "made", "--quiet") == 0
    (folder / "made" / "png").rename(folder / "whole" / "fakes") if (folder / "made" / "png").exists() else (
        folder / "made"
    ).rename(folder / "whole" / "fakes")
    Classifier.load("guide").save(folder / "whole" / "classifier")
    return folder


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Served]:
    threads = torch.get_num_threads()
    served = Served(folder)
    yield served
    served.close()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def ids(lab: Served) -> dict[str, str]:
    return {run["name"]: run["id"] for run in lab.get("/api/runs")["runs"]}


# ---- who is let in --------------------------------------------------------------------------------------------------


def test_the_token_leaves_the_address_and_becomes_a_cookie(lab: Served) -> None:
    answer = lab.ask(f"/?token={lab.keys.full}&view=play", Cookie=None, Origin=None)
    assert (answer.status, answer.headers["location"]) == (303, "/?view=play")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert lab.ask("/api/about", Cookie=cookie.partition(";")[0], Origin=None).status == 200
    assert lab.ask("/?token=wrong", Cookie=None).status == 401
    assert lab.ask(f"//evil.example/?token={lab.keys.full}").headers["location"].startswith("/evil.example")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "", None])
def test_another_host_is_refused(lab: Served, host: str | None) -> None:
    assert lab.ask("/api/about", Host=host).status in (400, 421)
    assert lab.is_alive()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://localhost", None])
def test_a_change_from_another_origin_or_none_is_refused(lab: Served, origin: str | None) -> None:
    body = {"recipe": "mlp", "name": "never"}
    assert lab.ask("/api/runs", "POST", body, Origin=origin).status == 403
    assert not (lab.lab.shelf.folder / "never").exists()


def test_without_token_nothing_is_answered(lab: Served) -> None:
    for path in ("/", "/api/runs", "/api/models/digits", "/nothing"):
        assert lab.ask(path, Cookie=None).status == 401
        assert lab.ask(path, Cookie=f"{cookie_name(lab.host)}=wrong").status == 401


@pytest.mark.parametrize(
    "wrong", [{"Origin": "http://evil.example"}, {"Origin": None}, {"Cookie": None}, {"Host": "evil.example"}]
)
def test_a_socket_from_elsewhere_is_refused(lab: Served, wrong: dict[str, str | None]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        lab.socket("/api/models/digits/draw", **wrong)
    assert refused.value.response.status_code == 403
    assert lab.is_alive()


def test_who_may_look_changes_nothing(lab: Served, ids: dict[str, str]) -> None:
    cookie = f"{cookie_name(lab.host)}={lab.keys.reading}"
    assert lab.ask("/api/runs", Cookie=cookie).status == 200
    assert lab.ask("/api/runs", "POST", {"name": "never"}, Cookie=cookie).status == 403
    with lab.socket(f"/api/runs/{ids['whole']}/live", Cookie=cookie) as live:
        live.send(json.dumps({"do": "stop"}))
        while (head := next(Unpacker().messages(live.recv()))[0])["type"] != "answer":
            pass
        assert "looking" in head["why"]


@pytest.mark.parametrize(
    "way", ["../outside", "..%2Foutside", "%2e%2e%2foutside", "..%252foutside", "..%5coutside", "link"]
)
def test_no_address_is_a_path(lab: Served, way: str) -> None:
    for path in (f"/api/runs/{way}", f"/api/runs/{way}/report", f"/api/models/{way}", f"/assets/{way}"):
        assert lab.ask(path).status in (400, 404, 405), path
    assert b"recipe" not in lab.ask(f"/{way}").body
    assert lab.ask("/api/runs/../../etc/passwd").status in (400, 404)


def test_what_a_link_leads_to_is_no_run(lab: Served, ids: dict[str, str]) -> None:
    assert set(ids) == {"whole", "damaged", "stopped"}


def test_a_frame_too_long_ends_the_socket_and_nothing_else(lab: Served) -> None:
    with lab.socket("/api/models/digits/draw") as draw:
        draw.send(bytes(1 << 20))
        with pytest.raises(ConnectionClosed):
            draw.recv(SECONDS)
    assert lab.is_alive()


def test_a_body_too_long_is_refused(lab: Served) -> None:
    assert lab.ask("/api/runs", "POST", raw=b"x" * (65 << 10)).status == 413
    assert lab.ask("/api/runs", "POST", raw=b"[" * 60_000).status == 400
    assert lab.ask("/api/runs", "POST", raw=b'{"name": "a", "path": "/"}').status == 400


def test_every_answer_forbids_inline_scripts_and_frames(lab: Served) -> None:
    for path in ("/", "/api/about", "/nothing.js"):
        headers = lab.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_a_report_is_shown_in_a_sandbox(lab: Served, ids: dict[str, str], folder: Path) -> None:
    (folder / "whole" / "report.html").write_text("<script>alert(1)</script>")
    answer = lab.ask(f"/api/runs/{ids['whole']}/report")
    assert answer.status == 200
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    (folder / "whole" / "report.html").unlink()
    (folder / "whole" / "report.html").symlink_to("/etc/passwd")
    assert lab.ask(f"/api/runs/{ids['whole']}/report").status == 400
    (folder / "whole" / "report.html").unlink()


# ---- play -----------------------------------------------------------------------------------------------------------


def request(z: np.ndarray[Any, Any], labels: list[int], number: int = 7) -> bytes:
    return struct.pack("<II", number, len(labels)) + np.array(labels, "<i4").tobytes() + z.astype("<f4").tobytes()


def test_latents_are_drawn_as_the_model_draws_them(lab: Served) -> None:
    about = lab.get("/api/models/digits")
    found = lab.get("/api/models/digits/latents?count=5&seed=3&label=4")
    z = np.frombuffer(base64.b64decode(found["z"]), "<f4").reshape(5, about["latent_dim"])
    expected = Model.load("digits", "cpu").sample(5, label=4, seed=3)
    assert np.array_equal(z, expected.latents.numpy())
    assert found["labels"] == [4] * 5
    assert "--class 4 --seed 3" in found["command"]
    with lab.socket("/api/models/digits/draw") as draw:
        draw.send(request(z, found["labels"]))
        answer = draw.recv(SECONDS)
    assert struct.unpack_from("<II", answer) == (7, 5)
    pixels = np.frombuffer(answer, np.uint8, offset=8).reshape(expected.images.shape)
    assert np.abs(pixels.astype(int) - expected.images.numpy()).max() <= 1
    text = base64.urlsafe_b64encode(z[0].tobytes()).decode()
    picture = lab.ask(f"/api/models/digits/picture?z={text}&label=4")
    assert picture.status == 200
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(picture.body)) as image:
        assert np.array_equal(np.array(image), expected.images[0, 0].numpy()), "what is saved is exact"
        assert json.loads(image.info["pocketgan"])["z"] == pytest.approx(z[0].tolist())


def test_a_page_gets_the_directions_of_a_model_without_classes(lab: Served) -> None:
    about, told = lab.get("/api/models/digits-free"), lab.get("/api/models/digits-free/directions")
    assert (about["classes_by"], about["methods"], about["fitting"]) == ("steered", ["flow", "directions"], None)
    fitted = Model.load("digits-free", "cpu").steer.fitted("directions").steerer
    assert isinstance(fitted, Directions)
    for name in ("basis", "means", "moves"):
        given = np.frombuffer(base64.b64decode(told[name]), "<f4")
        assert np.array_equal(given, getattr(fitted, name).numpy().ravel())
    assert told["command"].endswith("directions digits-free --class 0 --out DIRECTIONS.png")
    assert "conditional" in lab.ask("/api/models/digits/directions").json["error"]
    assert "came with the program" in lab.ask("/api/models/digits-free/fit", "POST", {}).json["error"]


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf"), 11.0, -1e30])
def test_latents_that_are_none_are_refused(lab: Served, spoilt: float) -> None:
    dim = lab.get("/api/models/digits")["latent_dim"]
    z = np.zeros((1, dim))
    z[0, dim // 2] = spoilt
    with lab.socket("/api/models/digits/draw") as draw:
        draw.send(request(z, [0]))
        assert "finite" in json.loads(draw.recv(SECONDS))["why"]
        draw.send(request(np.zeros((1, dim)), [99]))
        assert "error" in json.loads(draw.recv(SECONDS))["type"]
        draw.send(b"short")
        assert "error" in json.loads(draw.recv(SECONDS))["type"]
        draw.send(request(np.zeros((1, dim)), [0]))
        assert len(draw.recv(SECONDS)) == 8 + 28 * 28
    text = base64.urlsafe_b64encode(z.astype("<f4").tobytes()).decode()
    assert lab.ask(f"/api/models/digits/picture?z={text}&label=0").status == 400


def test_a_picture_is_brought_back_by_a_conditional_model(lab: Served) -> None:
    made = Model.load("digits", "cpu").sample(1, label=7, seed=5).images
    started = lab.ask("/api/models/digits/invert", "POST", raw=to_png(made[0]))
    result = lab.done(started)
    stages = lab.get(f"/api/jobs/{started.json['id']}")["stages"]
    assert [stage["step"] for stage in stages] == list(range(0, INVERSION_STEPS, INVERSION_STEPS // LOOKS))
    assert result["error"] < stages[0]["error"]
    seen = base64.b64decode(stages[-1]["image"])
    rms = (np.frombuffer(seen, np.uint8).astype(float) / 255 - made.numpy().ravel() / 255) ** 2
    assert np.sqrt(rms.mean()) == pytest.approx(stages[-1]["error"], abs=0.005), "each error is that of its picture"
    target = lab.ask("/api/models/digits/target", "POST", raw=to_png(made[0])).json
    assert base64.b64decode(target["image"]) == made.numpy().tobytes()
    assert lab.ask("/api/models/digits/target", "POST", raw=b"no picture").status in (400, 422)
    assert lab.ask("/api/models/digits/target?test=10000", "POST").status == 400
    assert result["label"] == 7
    assert result["error"] < 0.15
    assert result["guide"][0]["label"] == 7
    assert lab.ask("/api/models/digits/invert", "POST", raw=b"no picture").status in (400, 422)


def test_what_is_drawn_is_scaled_and_centred_as_mnist_is() -> None:
    drawn = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    drawn[0, 0, 2:42, 50:60] = 255
    centred = centred_as_mnist(drawn, (28, 28))
    rows, columns = (centred[0, 0] > 0).any(1).nonzero(), (centred[0, 0] > 0).any(0).nonzero()
    assert len(rows) == 20
    assert abs(float(rows.float().mean()) - 13.5) <= 0.5
    assert abs(float(columns.float().mean()) - 13.5) <= 0.5


# ---- train, runs, break ---------------------------------------------------------------------------------------------


def test_runs_are_told_as_they_stand(lab: Served, ids: dict[str, str]) -> None:
    rows = {run["name"]: run for run in lab.get("/api/runs")["runs"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "whole": "complete",
        "damaged": "damaged",
        "stopped": "stopped",
    }
    assert "events.jsonl" in rows["damaged"]["why"]
    assert all("/" not in row["id"] for row in rows.values())
    shown = lab.get(f"/api/runs/{ids['whole']}")
    assert shown["events"][-1]["event"] == "finish"
    assert lab.ask(f"/api/runs/{ids['whole']}/samples/1").body[:4] == b"\x89PNG"
    assert lab.ask(f"/api/runs/{ids['whole']}/samples/99").status == 400


def test_fields_are_those_of_the_command_line(lab: Served) -> None:
    told = {field["name"]: field for field in lab.get("/api/fields")["fields"]}
    assert set(told) == set(field_places(Recipe))
    assert told["lr_d"]["bounds"] == {"gt": 0, "le": 1}
    assert told["updates"]["choices"] == ["alternating", "simultaneous"]
    assert told["seed"]["kind"] == "whole number"
    assert {field["kind"] for field in fields()} == {"choice", "number", "text", "whole number", "yes or no"}
    assert {row["name"] for row in lab.get("/api/recipes")["recipes"]} == set(GAN_PRESETS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../x"},
        {"name": "whole"},
        {"name": "a", "recipe": "nothing"},
        {"name": "a", "options": {"lr_g": "much"}},
        {"name": "a", "recipe": "--out=/tmp/x.toml"},
        {"name": "a", "options": {"out": "/tmp/x"}},
    ],
)
def test_a_training_that_cannot_be_is_not_started(lab: Served, wrong: dict[str, Any]) -> None:
    answer = lab.ask("/api/runs", "POST", wrong)
    assert answer.status in (400, 422)
    assert answer.json["error"]
    assert not lab.lab.launched


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.id)
def test_a_card_can_be_played(card: Any, tmp_path: Path) -> None:
    prepare(card, tmp_path)
    words = words_of(card, "out", 3, tmp_path)
    assert words[:2] in (["train", "mlp-bn"], ["train", str(tmp_path / FOLDER / PLAIN)])
    assert card.alarms
    assert Shelf(tmp_path).runs() == {}, "what a card needs is no run"


def test_without_batchnorm_there_is_none() -> None:
    text = without_batch_norm().model_dump_json()
    assert "BatchNorm1d" not in text
    assert "Linear" in text


# ---- label ----------------------------------------------------------------------------------------------------------


def test_a_persons_labels_go_through_the_table_and_s1_is_counted_at_once(
    lab: Served, ids: dict[str, str], folder: Path
) -> None:
    where = f"/api/runs/{ids['whole']}"
    fakes, before = lab.get(f"{where}/fakes"), read_fakes(folder / "whole" / "fakes")
    assert fakes["labels"] == [None] * 20, "what the program says stays hidden"
    read = Classifier.load("guide").label(read_fakes(folder / "whole" / "fakes").images.images).tolist()
    labels = dict(zip(fakes["files"], read, strict=True))
    answer = lab.ask(f"{where}/labels", "POST", {"labels": labels})
    assert answer.json["s1"]["errors"] == 0
    assert answer.json["s1"]["labels_from"] == "person (20)"
    assert answer.json["s1"]["high"] > 0
    assert set(read_fakes(folder / "whole" / "fakes").label_source) == {PERSON}
    first, second = fakes["files"][:2]
    answer = lab.ask(f"{where}/labels", "POST", {"labels": {first: None, second: (read[1] + 1) % 10}})
    assert (answer.json["s1"]["errors"], answer.json["s1"]["count"]) == (1, 19)
    assert answer.json["unreadable"] == [first]
    answer = lab.ask(f"{where}/labels", "POST", {"labels": {first: read[0], second: read[1]}})
    assert (answer.json["s1"]["errors"], answer.json["s1"]["count"]) == (0, 20)
    assert answer.json["unreadable"] == []
    compared = lab.get(f"{where}/compared")
    assert compared["labelled"] == 20
    answer = lab.ask(f"{where}/labels", "POST", {"labels": {second: None}, "taken_back": [first]})
    assert (answer.json["by_person"], answer.json["unreadable"]) == (18, [second])
    answer = lab.ask(f"{where}/labels", "POST", {"taken_back": [first, second]})
    assert (answer.json["by_person"], answer.json["s1"]["count"], answer.json["unreadable"]) == (18, 20, [])
    assert lab.ask(f"{where}/labels", "POST", {"taken_back": fakes["files"]}).json["by_person"] == 0
    assert read_fakes(folder / "whole" / "fakes").label_source == before.label_source
    assert torch.equal(read_fakes(folder / "whole" / "fakes").images.labels, before.images.labels)
    assert lab.ask(f"{where}/labels", "POST", {"taken_back": ["../x.png"]}).status == 422
    assert lab.ask(f"{where}/labels", "POST", {"labels": {first: 10}}).status == 422
    assert lab.ask(f"{where}/labels", "POST", {"labels": {"../x.png": 1}}).status == 422


def test_labels_that_cannot_be_leave_the_table_as_it_was(folder: Path, tmp_path: Path) -> None:
    fakes = tmp_path / "fakes"
    shutil.copytree(folder / "whole" / "fakes", fakes)
    before = (fakes / "metadata.csv").read_bytes()
    files = fakes_of(RunFolder(tmp_path))["files"]
    for wrong in ({"nothing.png": 1}, {files[0]: -1}, dict.fromkeys(files)):
        with pytest.raises(PocketganError):
            set_labels(fakes, wrong)
        assert (fakes / "metadata.csv").read_bytes() == before
        assert set_aside(fakes) == []


def test_a_set_without_labels_is_labelled_picture_by_picture(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    made = Model.load("digits", "cpu").sample(20)
    writer = FakesWriter(run.fakes, made.latents.shape[1], 20)
    writer.add(replace(made, labels=None, class_names=(), label_source="none"))
    writer.close()
    Classifier.load("guide").save(tmp_path / "classifier")
    files = fakes_of(run)["files"]
    told = label(run, {files[0]: 3})
    assert (told["by_person"], told["s1"]["count"], told["s1"]["labels_from"]) == (1, 1, "person (1)")
    shown = fakes_of(run)
    assert shown["labels"] == [3] + [None] * 19
    assert shown["class_names"] == [], "a first 3 does not say that there are four classes"
    assert (compared(run)["labelled"], compared(run)["same"]) == (0, 0), "the program said nothing"
    with pytest.raises(PocketganError, match="no label where others have one"):
        read_fakes(run.fakes)
    with pytest.raises(PocketganError, match="no label of"):
        label(run, {files[0]: 1 << 40})
    assert fakes_of(run)["labels"][0] == 3
    told = label(run, dict.fromkeys(files[1:], 2))
    assert (told["by_person"], told["s1"]["count"]) == (20, 20)
    assert read_fakes(run.fakes).images.labels.tolist() == [3] + [2] * 19  # type: ignore[union-attr]
    label(run, {}, files)
    assert fakes_of(run)["s1"] is None
    assert read_fakes(run.fakes).images.labels is None


# ---- live -----------------------------------------------------------------------------------------------------------


def test_a_page_that_does_not_read_costs_no_memory() -> None:
    page = Page()
    for number in range(10_000):
        page.put({"type": "numbers", "number": number})
        page.put({"type": "picture", "number": number}, bytes(1000))
    assert len(page._texts) == MOST_KEPT
    head, _ = next(Unpacker().messages(page._picture or b""))
    assert head["number"] == 9_999


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Windows' Python has no Unix sockets")
def test_a_training_is_started_watched_paused_and_goes_on_without_the_lab(lab: Served, folder: Path) -> None:
    """It is an ordinary command in a session of its own; a second server finds it."""
    body = {"recipe": "mlp", "name": "started", "options": {"nimg": 10_000_000, "seed": 1}}
    started = lab.ask("/api/runs", "POST", body)
    assert started.status == 200, started.body
    assert started.json["command"].startswith("pocketgan train mlp --out")
    process = lab.lab.launched[started.json["id"]]._process
    assert os.getsid(process.pid) == process.pid
    where, other = f"/api/runs/{started.json['id']}/live", Served(folder)
    try:
        until = time.monotonic() + SECONDS
        while started.json["id"] not in {run["id"] for run in other.get("/api/runs")["runs"]}:
            assert time.monotonic() < until
            time.sleep(0.1)
        with other.socket(where) as live:
            told = Reader(live)
            assert told.wait(type="hello")["recipe"] == "mlp"
            assert told.ask("pause")["ok"]
            paused = told.wait(type="numbers", state="paused")
            assert len(told.wait_both(type="picture", nimg=paused["nimg"])[1]) == 100 * 28 * 28
            assert {run["name"]: run["state"] for run in other.get("/api/runs")["runs"]}["started"] == "paused"
            assert told.ask("step", steps=10)["ok"]
            assert told.wait(type="numbers", state="paused", nimg=paused["nimg"] + 1000)
    finally:
        other.close()
    with lab.socket(where) as first, lab.socket(where) as second:
        one, two = Reader(first), Reader(second)
        assert one.wait(type="numbers")["state"] == "paused"
        assert one.ask("go")["ok"]
        assert one.wait(type="numbers", state="running")
        assert two.wait(type="numbers", state="running")
        assert not two.ask("pause")["ok"]
    assert process.poll() is None, "nobody looks, and it goes on"
    with lab.socket(where) as again:
        third = Reader(again)
        third.wait(type="numbers", state="running")
        assert third.ask("stop")["ok"], "who controlled it has gone"
    assert process.wait(SECONDS) == 143
    assert state_of(RunFolder(folder / "started")) == ("stopped", "")
    assert "goes on from the last checkpoint" in lab.get(f"/api/runs/{started.json['id']}")["launched"]["said"]


@pytest.mark.extras
@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Windows' Python has no Unix sockets")
def test_a_server_that_is_killed_stops_nothing_and_a_new_one_finds_the_training(tmp_path: Path) -> None:
    """As a user has them: a server in a process of its own, that dies without a word."""
    words = [sys.executable, "-m", "pocketgan", "lab", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = urlsplit(server.stdout.readline().strip())
        token = dict(parse_qsl(address.query))["token"]
        connection = http.client.HTTPConnection(address.netloc, timeout=SECONDS)
        headers = {"Origin": f"http://{address.netloc}", "Cookie": f"{cookie_name(address.netloc)}={token}"}
        body = json.dumps({"recipe": "mlp", "name": "orphan", "options": {"nimg": 10_000_000}})
        connection.request("POST", "/api/runs", body, headers)
        identity = json.loads(connection.getresponse().read())["id"]
        connection.close()
        run, until = RunFolder(tmp_path / "orphan"), time.monotonic() + SECONDS
        while live_socket(run) is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        server.kill()
    served = Served(tmp_path)
    try:
        with served.socket(f"/api/runs/{identity}/live") as live:
            told = Reader(live, 5.0)
            nimg = told.wait(type="numbers", state="running")["nimg"]
            while told.wait(type="numbers", state="running")["nimg"] <= nimg:
                pass
            assert told.ask("stop")["ok"]
    finally:
        served.close()
    while state_of(run) != ("stopped", ""):
        assert time.monotonic() < until
        time.sleep(0.05)


class Reader:
    """One who reads a live socket of the lab."""

    def __init__(self, live: Any, seconds: float = SECONDS) -> None:
        self.live, self.seconds, self.unpacker, self.number = live, seconds, Unpacker(), 0
        self.last: dict[str, tuple[dict[str, Any], bytes]] = {}

    def wait_both(self, **wanted: Any) -> tuple[dict[str, Any], bytes]:
        while True:
            for head, body in self.unpacker.messages(self.live.recv(self.seconds)):
                self.last[head["type"]] = head, body
                if wanted.items() <= head.items():
                    return head, body

    def wait(self, **wanted: Any) -> dict[str, Any]:
        return self.wait_both(**wanted)[0]

    def ask(self, do: str, **content: Any) -> dict[str, Any]:
        self.number += 1
        self.live.send(json.dumps({"do": do, "number": self.number, **content}))
        return self.wait(type="answer", number=self.number)


def test_the_command_refuses_what_would_open_the_lab_to_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("lab", tmp_path, "--host", "0.0.0.0") == 2
    assert "--allow-host" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert ended("lab", tmp_path, "--port", taken.getsockname()[1]) == 2
    assert "choose another" in capsys.readouterr().err


def test_without_built_pages_one_line_says_so(lab: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pocketgan.lab.serving.STATIC", tmp_path)
    assert b"npm run build" in lab.ask("/").body
    write_bytes(tmp_path / "index.html", b"<!doctype html>")
    write_bytes(tmp_path / "assets" / "a.js", b"1")
    assert lab.ask("/play").body == b"<!doctype html>"
    assert lab.ask("/assets/a.js").headers["content-type"].startswith("text/javascript")
    assert lab.ask("/assets/b.js").status == 404
