"""What needs optional packages: ONNX graphs in onnxruntime, and folders on a hub. `make test-extras` runs them."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pocketgan as pg
from conftest import ended
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import sha256
from pocketgan.core.rng import latents
from pocketgan.models.model import Model
from pocketgan.models.saved import weights_digest
from pocketgan.networks.architectures import build_pair, settled
from pocketgan.recipes import gan_recipe
from pocketgan.runs.facts import PairFacts

pytestmark = pytest.mark.extras
ROOT = Path(__file__).parent.parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`digits` in all formats."""
    folder = tmp_path_factory.mktemp("exported") / "digits"
    pg.export_model("digits", to=["onnx", "hub"], out=folder, quiet=True)
    return folder


def run(path: Path, **inputs: Any) -> Any:
    import onnxruntime

    (given,) = onnxruntime.InferenceSession(path).run(None, inputs)
    return given


@pytest.mark.parametrize("count", [1, 7, 300])
def test_a_graph_gives_our_bytes_for_any_batch(exported: Path, count: int) -> None:
    z, label = latents(9, 0, count, 64), torch.arange(count) % 10
    images = run(exported / "onnx/generator.onnx", z=z.numpy(), label=label.numpy())
    assert images.dtype == np.uint8
    ours = pg.load("digits").images(z, label).numpy()
    assert np.abs(images.astype(int) - ours).max() <= 1


def test_a_graph_says_what_it_is(exported: Path) -> None:
    import onnx

    model = onnx.load(exported / "onnx/generator.onnx")
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"z": ["batch", 64], "label": ["batch"], "images": ["batch", 1, 28, 28]}
    about = {one.key: one.value for one in model.metadata_props}
    assert json.loads(about["recipe"])["name"] == "pocket"
    assert about["weights_sha256"] == weights_digest(pg.load("digits", "cpu").generator)
    assert about["licence"].startswith("CC BY-SA 3.0")
    assert json.loads(about["class_names"]) == list("0123456789")
    assert (model.producer_name, model.producer_version) == ("pocketgan", about["pocketgan"])
    assert not any(str(ROOT) in text or str(Path.home()) in text for text in about.values())


def test_the_quantised_graph_is_small_and_read_alike(exported: Path) -> None:
    whole, small = exported / "onnx/generator.onnx", exported / "onnx/generator-int8.onnx"
    assert small.stat().st_size < whole.stat().st_size / 3
    z, label = latents(11, 0, 500, 64), torch.arange(500) % 10
    images = torch.from_numpy(run(small, z=z.numpy(), label=label.numpy()))
    guide = pg.Classifier.load("guide")
    assert int((guide.label(images) != guide.label(pg.load("digits").images(z, label))).sum()) <= 10


def test_a_quantised_graph_that_suffers_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pocketgan.export.MOST_READ_OTHERWISE", -1)
    files = pg.export_model(ROOT / "zoo/mlp-0", to=["onnx"], out=tmp_path / "out", quiet=True)
    assert files[1].bytes == 0
    assert files[1].note.startswith("not kept: the guide reads")
    assert [path.name for path in (tmp_path / "out/onnx").iterdir()] == ["generator.onnx"]


def test_a_graph_that_gives_other_bytes_is_refused(
    exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pocketgan.export import tracing

    real = tracing.runner
    monkeypatch.setattr(tracing, "runner", lambda path: lambda inputs: real(path)(inputs) // 2)
    with pytest.raises(PocketganError, match=r"generator\.onnx does not give what pocketgan gives .* nothing was"):
        pg.export_model("digits", to=["onnx"], out=tmp_path / "out", quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_discriminator_and_classifier_are_graphs_too(pocket_model: Model, tmp_path: Path) -> None:
    files = pg.export_model(pocket_model, to=["onnx"], out=tmp_path / "pair", quiet=True)
    assert [one.path.stem for one in files] == ["generator", "generator-int8", "discriminator"]
    images, label = pocket_model.sample(20).images, torch.arange(20) % 10
    logits = run(tmp_path / "pair/onnx/discriminator.onnx", images=images.numpy(), label=label.numpy())
    assert pocket_model.discriminator is not None
    ours = pocket_model.discriminator(images.float() / 127.5 - 1, label).logits.detach()
    assert torch.allclose(torch.from_numpy(logits), ours, atol=1e-4)

    assert ended("export", "guide", "--to", "onnx", "--out", tmp_path / "guide", "--quiet") == 0
    probabilities = torch.from_numpy(run(tmp_path / "guide/onnx/classifier.onnx", images=images.numpy()))
    assert torch.allclose(probabilities, pg.Classifier.load("guide").probabilities(images), atol=1e-5)


@pytest.mark.parametrize("name", ["gan", "onehot"])
def test_a_users_own_code_is_traced(name: str, tmp_path: Path) -> None:
    recipe, _ = settled(gan_recipe(None, {"networks": str(ROOT / f"tests/networks/{name}.py")}), (1, 28, 28), 10)
    model = Model(*build_pair(recipe, (1, 28, 28), 10), recipe, (1, 28, 28), tuple("0123456789"), PairFacts())
    files = pg.export_model(model, to=["onnx", "torch"], out=tmp_path / "out", quiet=True)
    assert {one.path.name for one in files} >= {"generator.onnx", "discriminator.onnx", "generator.pt2"}
    assert all(one.check.rows == 1000 for one in files)


def test_the_python_that_is_shown_runs_without_pocketgan(exported: Path, tmp_path: Path) -> None:
    (code,) = re.findall(
        r"<!-- tested with onnxruntime -->\n```python\n(.*?)```", (ROOT / "docs/take-away.md").read_text(), re.S
    )
    assert len([line for line in code.splitlines() if line]) == 5
    (tmp_path / "digits-export").symlink_to(exported)
    forbid = "import sys; sys.modules['pocketgan'] = sys.modules['torch'] = None\n"
    subprocess.run(
        [sys.executable, "-c", forbid + code + "assert images.shape == (16, 1, 28, 28)"], check=True, cwd=tmp_path
    )


def test_the_javascript_that_is_shown_runs(exported: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs/take-away.md").read_text(), re.S)
    assert len([line for line in code.splitlines() if line]) <= 6
    version = "1.30.0"
    assert f"tried with {version[:4]} in Node" in code
    npm = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), f"onnxruntime-web@{version}"]
    subprocess.run(npm, check=True, capture_output=True)
    (tmp_path / "digits-export").symlink_to(exported)
    tell = "console.log(images.type, images.dims.join(), Math.max(...images.data));\n"
    (tmp_path / "page.mjs").write_text(code + tell)
    done = subprocess.run(["node", "page.mjs"], check=True, cwd=tmp_path, capture_output=True, text=True)
    kind, shape, brightest = done.stdout.split()
    assert (kind, shape) == ("uint8", "1,1,28,28")
    assert int(brightest) > 200


def test_the_hub_reads_the_card(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    pg.export_model(ROOT / "zoo/mlp-0", to=["hub"], out=tmp_path / "out", quiet=True)
    card = ModelCard.load(tmp_path / "out/hub/README.md")
    assert (card.data.license, card.data.library_name) == ("cc-by-sa-3.0", "pocketgan")
    assert {"gan", "pocketgan"} <= set(card.data.tags)
    found = {result.metric_type: result for result in card.data.eval_results}
    assert found["fd_judge_10k"].metric_args["floor"]["value"] == pytest.approx(1.4288, abs=1e-3)


@contextmanager
def a_hub(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A server that answers as the hub does for one repository; its address, and what was asked of it."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path.startswith(f"/api/models/someone/digits/revision/{COMMIT}"):
                files = [{"rfilename": path.name} for path in folder.iterdir()]
                self._send(json.dumps({"id": "someone/digits", "sha": COMMIT, "siblings": files}).encode())
            elif self.path.startswith(f"/api/models/someone/digits/tree/{COMMIT}"):
                sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
                rows = [{"type": "file", "path": name, "size": size, "oid": COMMIT} for name, size in sizes.items()]
                self._send(json.dumps(rows).encode())
            elif self.path.startswith(f"/someone/digits/resolve/{COMMIT}/"):
                file = folder / self.path.rpartition("/")[2]
                self._send(file.read_bytes(), ETag=f'"{sha256(file)}"', **{"X-Repo-Commit": COMMIT})
            else:
                self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def _send(self, content: bytes, **headers: str) -> None:
            self.send_response(200)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *words: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_model_comes_from_the_hub_by_its_commit_and_brings_no_code(exported: Path, tmp_path: Path) -> None:
    served = shutil.copytree(exported / "hub", tmp_path / "served")
    with a_hub(served) as (address, asked):
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home")}
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            environment.pop(name, None)
        words = ["generate", f"hf://someone/digits@{COMMIT}", "--count", "20", "--format", "npz", "--quiet"]
        generate = [sys.executable, "-m", "pocketgan", *words]
        subprocess.run([*generate, "--out", str(tmp_path / "fakes")], check=True, env=environment)
        missing = [*generate[:4], "hf://someone/digits@other", "--out", str(tmp_path / "none")]
        refused = subprocess.run(missing, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "hf://someone/digits@other cannot be downloaded" in refused.stderr
    assert refused.stderr.count("\n") == 1
    got = {path.rpartition("/")[2] for path in asked if "/resolve/" in path}
    assert got == {"config.json", "model.safetensors"}
    images = np.load(tmp_path / "fakes/samples.npz")["images"].reshape(20, 1, 28, 28)
    assert np.array_equal(images, pg.load("digits").sample(20).images.numpy())


# ---- image sets ----------------------------------------------------------------------------------------------------


def loaded(folder: Path, cache: Path, *, builder: str | None = None) -> Any:
    """A folder as `datasets` opens it, offline, in a process of its own: split, features and labels as text."""
    code = f"""
import json
from datasets import load_dataset
found = load_dataset({f"{builder!r}, data_dir={str(folder)!r}" if builder else repr(str(folder))})
print(json.dumps({{name: [len(rows), getattr(rows.features["label"], "names", None), rows["label"][:20],
    rows["index"][:20], rows[0]["image"].size] for name, rows in found.items()}}))
"""
    environment = {**os.environ, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("format", ["png", "parquet"])
def test_labels_have_names_where_datasets_opens_them(format: str, pocket_model: Model, tmp_path: Path) -> None:
    names = tuple(f"the {number}" for number in range(10))
    model = Model(pocket_model.generator, None, pocket_model.recipe, (1, 28, 28), names, pocket_model.facts)
    pg.generate(model, out=tmp_path / "out", count=40, format=[format], quiet=True)
    count, classes, labels, index, size = loaded(tmp_path / "out" / format, tmp_path / "cache")["train"]
    assert (count, classes, size) == (40, list(names), [28, 28])
    assert labels == [number % 10 for number in index]


@pytest.mark.parametrize("format", ["png", "parquet"])
def test_splits_are_there_where_datasets_opens_them(format: str, tmp_path: Path) -> None:
    pg.generate("digits", out=tmp_path / "out", count=40, format=[format], test_share=0.25, quiet=True)
    found = loaded(tmp_path / "out" / format, tmp_path / "cache")
    assert {side: rows[:2] for side, rows in found.items()} == {
        "train": [30, list("0123456789")],
        "test": [10, list("0123456789")],
    }
    assert sorted(found["test"][3]) == list(range(30, 40))


def test_the_builder_of_image_folders_gives_splits_and_numbers(tmp_path: Path) -> None:
    pg.generate("digits", out=tmp_path / "out", count=40, format=["png"], test_share=0.25, quiet=True)
    found = loaded(tmp_path / "out/png", tmp_path / "cache", builder="imagefolder")
    assert {side: rows[:2] for side, rows in found.items()} == {"train": [30, None], "test": [10, None]}
    for _, _, labels, index, _ in found.values():
        assert labels == [number % 10 for number in index]


@pytest.mark.parametrize("share", [None, 0.25])
@pytest.mark.parametrize("format", ["png", "parquet"])
def test_shards_are_one_set_where_datasets_opens_them(format: str, share: float | None, tmp_path: Path) -> None:
    for shard in ("2/2", "1/2"):
        pg.generate(
            "digits", out=tmp_path / "out", count=300, shard=shard, format=[format], test_share=share, quiet=True
        )
    found = loaded(tmp_path / "out", tmp_path / "cache")
    assert {side: rows[0] for side, rows in found.items()} == (
        {"train": 300} if share is None else {"train": 225, "test": 75}
    )
    for _, names, labels, index, _ in found.values():
        assert names == list("0123456789")
        assert labels == [number % 10 for number in index]


def test_tar_files_in_shards_are_one_set_where_datasets_opens_them(tmp_path: Path) -> None:
    for shard in ("2/2", "1/2"):
        pg.generate("digits", out=tmp_path / "out", count=300, shard=shard, format=["webdataset"], quiet=True)
    code = f"""
from datasets import load_dataset
found = load_dataset({str(tmp_path / "out")!r}, split="train")
print(sorted(int(row["__key__"]) for row in found) == list(range(300)), found[0]["png"].size)
"""
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "True (28, 28)\n", done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tfrecord_is_read_and_framed_as_by_another_program(tmp_path: Path) -> None:
    from tfrecord import example_pb2, tfrecord_loader, writer

    pg.generate("digits", out=tmp_path / "out", count=30, format=["tfrecord"], seed=2**62, quiet=True)
    path = tmp_path / "out/tfrecord/train-00000-of-00001.tfrecord"
    kinds = {"image": "byte", "label": "int", "class_name": "byte", "seed": "int", "index": "int", "latent": "float"}
    rows, ours = list(tfrecord_loader(str(path), None, kinds)), pg.load("digits").sample(30, seed=2**62)
    assert len(rows) == 30
    for number, row in enumerate(rows):
        with Image.open(io.BytesIO(row["image"])) as picture:
            assert np.array_equal(np.asarray(picture), ours.images[number, 0].numpy())
        assert (int(row["label"][0]), int(row["seed"][0]), int(row["index"][0])) == (number % 10, 2**62, number)
        assert bytes(row["class_name"]).decode() == str(number % 10)
        assert np.array_equal(row["latent"], ours.latents[number].numpy())
    content, place = path.read_bytes(), 0
    while place < len(content):  # lengths and sums as the other program writes them
        length = int.from_bytes(content[place : place + 8], "little")
        record = content[place + 12 : place + 12 + length]
        assert content[place + 8 : place + 12] == writer.TFRecordWriter.masked_crc(content[place : place + 8])
        assert content[place + 12 + length : place + 16 + length] == writer.TFRecordWriter.masked_crc(record)
        example = example_pb2.Example.FromString(record)
        assert set(example.features.feature) == set(kinds)
        assert len(example.SerializeToString()) == length
        place += 16 + length
    assert place == len(content)


def test_parquet_has_splits_row_groups_and_where_it_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pyarrow.parquet

    monkeypatch.setattr("pocketgan.writers.shards.SHARD", 100)
    monkeypatch.setattr("pocketgan.writers.shards.ROW_GROUP", 30)
    pg.generate("digits", out=tmp_path / "out", count=300, format=["parquet"], test_share=0.25, quiet=True)
    folder = tmp_path / "out/parquet"
    sizes = {"train-00000-of-00003": 100, "train-00001-of-00003": 100, "train-00002-of-00003": 25}
    sizes["test-00000-of-00001"] = 75
    files = {path.stem: pyarrow.parquet.ParquetFile(path) for path in folder.iterdir()}
    assert {name: file.metadata.num_rows for name, file in files.items()} == sizes
    first = files["train-00000-of-00003"]
    assert first.metadata.num_row_groups == 4
    assert first.metadata.row_group(0).column(0).compression == "ZSTD"
    assert json.loads(first.schema_arrow.metadata[b"pocketgan"])["licence"].startswith("CC BY-SA 3.0")
    rows = first.read().to_pylist()
    ours = pg.load("digits").sample(100)
    assert np.allclose([row["latent"] for row in rows], ours.latents.numpy())
    assert {name: one[0] for name, one in loaded(folder, tmp_path / "cache").items()} == {"train": 225, "test": 75}


def test_the_same_rows_give_the_same_parquet_whatever_the_parts(tmp_path: Path) -> None:
    from pocketgan.writers import export_samples

    model = pg.load("digits", "cpu")
    whole = model.sample(200)
    for name, parts in (("whole", iter([whole])), ("parts", model.stream(200))):
        export_samples(parts, 200, tmp_path / name, ["parquet"])
    one, other = (tmp_path / name / "parquet/train-00000-of-00001.parquet" for name in ("whole", "parts"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its file open
def test_webdataset_reads_the_tar_files(tmp_path: Path) -> None:
    import webdataset

    pg.generate("digits", out=tmp_path / "out", count=30, format=["webdataset"], quiet=True)
    path = tmp_path / "out/webdataset/train-00000-of-00001.tar"
    rows = list(webdataset.WebDataset(str(path), shardshuffle=False).decode("l8"))
    ours = pg.load("digits").sample(30)
    assert [row["cls"] for row in rows] == [number % 10 for number in range(30)]
    for row, image, latent in zip(rows, ours.images, ours.latents, strict=True):
        assert np.array_equal(row["png"], image[0].numpy())
        assert np.array_equal(row["latent.npy"], latent.numpy())
        assert row["json"]["class_name"] == str(row["cls"])
