"""Files from strangers: what `pocketgan import` takes and refuses, and damaged files of every kind."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from pocketgan import import_file
from pocketgan.cli import main
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import MAX_TEXT_BYTES, read_bytes
from pocketgan.data.load import load_images
from pocketgan.importing import child, tensors
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.networks.architectures import build_pair
from pocketgan.networks.classifiers import build_classifier
from pocketgan.recipes import gan_recipe
from soak import gadgets, mutants, pickles
from soak.children import POSIX, Child
from soak.hidden import hidden

pytestmark = pytest.mark.skipif(not POSIX, reason="children are forked")
ENDINGS = (".pkl", ".safetensors", ".png")


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open pickles in forked children, which need not import torch anew."""
    monkeypatch.setattr(tensors, "_converted", pickles.Worker())


@pytest.fixture(scope="module")
def pair() -> tuple[torch.nn.Module, torch.nn.Module]:
    """The networks of `mlp-bn`, which has BatchNorm, with other weights than a recipe's seed gives."""
    return build_pair(gan_recipe("mlp-bn", {"seed": 1234}), (1, 28, 28), 10)


def saved(network: torch.nn.Module, path: Path, way: str) -> Path:
    """A state dict in a file, under names of another program's."""
    state = {f"net.{number}": value for number, value in enumerate(network.state_dict().values())}
    if way == "safetensors":
        safetensors.torch.save_file({f"net.{name}": value for name, value in network.state_dict().items()}, path)
    elif way == "nested":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=way == "zip")
    return path


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("way", ["zip", "legacy", "nested", "safetensors"])
def test_both_networks_of_a_pair_come_into_one_folder(
    way: str, pair: tuple[torch.nn.Module, torch.nn.Module], tmp_path: Path
) -> None:
    """Told by content, whatever the file is called; mapped by order and shape, whatever the names."""
    for network, role, ending in zip(pair, ("generator", "discriminator"), ENDINGS, strict=False):
        path = saved(network, tmp_path / f"stranger{ending}", way)
        found = import_file(path, recipe="mlp-bn", out=tmp_path / "model")
        assert (found.folder, found.network) == (tmp_path / "model", role)
    model = Model.load(tmp_path / "model")
    assert model.discriminator is not None
    for network, found in zip(pair, (model.generator, model.discriminator), strict=True):
        for value, loaded in zip(network.state_dict().values(), found.state_dict().values(), strict=True):
            assert torch.equal(value, loaded)
    with pytest.raises(UsageError, match="this network already"):
        import_file(path, recipe="mlp-bn", out=tmp_path / "model")


@pytest.mark.usefixtures("forked")
def test_a_classifier_is_told_from_the_pair_of_the_same_name(tmp_path: Path) -> None:
    network = build_classifier("mlp", (1, 28, 28), 10, 7)
    path = saved(network, tmp_path / "C.pkl", "zip")
    assert import_file(path, recipe="mlp", out=tmp_path / "c").network == "classifier"
    found = Classifier.load(tmp_path / "c").network
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), found.state_dict().values(), strict=True)
    )


@pytest.mark.usefixtures("forked")
@pytest.mark.catches("shapes not compared")
def test_weights_that_do_not_fit_are_refused_with_the_first_misfit(
    pair: tuple[torch.nn.Module, torch.nn.Module], tmp_path: Path
) -> None:
    path = saved(pair[0], tmp_path / "G.pkl", "zip")
    told = r"G.pkl does not fit mlp: as a generator its tensor 3, 'net.2', is \[256\] where 'layers.2.weight' is \[784"
    with pytest.raises(PocketganError, match=told) as caught:
        import_file(path, recipe="mlp", out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    turned = {name: value.T if value.ndim == 2 else value for name, value in pair[1].state_dict().items()}
    safetensors.torch.save_file({name: value.contiguous() for name, value in turned.items()}, path)
    with pytest.raises(PocketganError, match="as a discriminator its tensor"):
        import_file(path, recipe="mlp-bn", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "G.safetensors"
    safetensors.torch.save_file({"a": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(PocketganError, match=r"G.safetensors holds numbers in 'a' that are not finite"):
        tensors.read_weights(path)


def test_a_folder_with_one_network_says_what_is_missing(
    pair: tuple[torch.nn.Module, torch.nn.Module], tmp_path: Path
) -> None:
    path = saved(pair[1], tmp_path / "D", "safetensors")
    import_file(path, recipe="mlp-bn", out=tmp_path / "model")
    with pytest.raises(PocketganError, match=r"has no generator\.safetensors, only discriminator\.safetensors"):
        Model.load(tmp_path / "model")


def test_the_command_line_imports_through_a_real_child(
    pair: tuple[torch.nn.Module, torch.nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(pair[0], tmp_path / "G.pkl", "zip")
    with pytest.raises(SystemExit) as end:
        main(["import", str(path), "--recipe", "mlp-bn", "--out", str(tmp_path / "model"), "--json"])
    assert end.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["folder"], told["network"]) == (str(tmp_path / "model"), "generator")
    assert told["what"] == "a file of torch.save of a state dict"
    torch.save({"net": torch.nn.functional.relu, "call": os.getpid}, path)
    with pytest.raises(SystemExit) as end:
        main(["import", str(path), "--recipe", "mlp-bn", "--out", str(tmp_path / "other")])
    assert end.value.code == 1
    line = capsys.readouterr().err
    assert line.startswith(f"pocketgan: {path}, a file of torch.save, is not imported: it names posix.getpid")
    assert line.count("\n") == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.catches("nothing forbidden in the child")
def test_in_the_child_nothing_can_happen_while_a_file_is_loaded(tmp_path: Path) -> None:
    def load_badly() -> None:
        with child._forbidden():
            os.system(f"touch {tmp_path / 'mark'}")

    ended = Child(load_badly, tmp_path / "err").wait()
    assert ended == (1, "Eit asks for 'os.system', which weights never need")
    assert not (tmp_path / "mark").exists()


@pytest.mark.catches("unsafe loader")
def test_the_loader_alone_refuses_a_call_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call leaves no trace, the state dict beside it is whole, and the hook that would hear it is off."""
    monkeypatch.setattr(child, "_forbidden", nullcontext)
    silent = gadgets.Call("os", "getpid", ())
    for make in (gadgets.zipped, gadgets.legacy):
        content = make(b"\x80\x02" + silent.reduced() + b"0" + gadgets.state_dict()[2:])
        assert pickles._refused(tmp_path, tmp_path / "file.pkl", content, pickles.Worker()) is None
    for content in gadgets.honest():  # and does so because of the call
        (tmp_path / "honest.pkl").write_bytes(content)
        assert pickles._is_read(tmp_path / "honest.pkl", pickles.Worker())


@pytest.mark.catches("any name allowed", "any call allowed", "bounds not compared")
def test_what_hides_behind_allowed_names_is_refused(tmp_path: Path) -> None:
    """In this process, without limits: the reader itself refuses, in its own words or as damaged."""
    for name, content in hidden(tmp_path).items():
        if name.endswith(", plain"):
            with pytest.raises((child.RefusedError, ValueError, TypeError)):
                child._network(child._opened(io.BytesIO(content), len(content)), "", len(content))
    assert not list(tmp_path.iterdir())


class Generator(torch.nn.Module):
    """A user's class, of which a pickle holds only the name."""

    def __init__(self) -> None:
        super().__init__()
        self.main = torch.nn.Sequential(
            torch.nn.Linear(7, 5), torch.nn.BatchNorm1d(5, 0.8), torch.nn.LeakyReLU(0.2), torch.nn.Linear(5, 3)
        )
        self.size, self.scale = torch.Size([1, 3]), np.float32(0.5)


def whole(way: str, network: torch.nn.Module) -> bytes:
    """A file that holds `network`, or its state dict, as people save them."""
    what, _, how = way.partition(", ")
    held = {"module": network, "state dict": network.state_dict(), "DataParallel": torch.nn.DataParallel(network)}[what]
    if how.isdecimal():
        return pickle.dumps(held, protocol=int(how))
    buffer = io.BytesIO()
    torch.save(held, buffer, _use_new_zipfile_serialization=how == "zip")
    return buffer.getvalue()


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("what", ["module", "state dict", "DataParallel"])
@pytest.mark.parametrize("how", ["2", "3", "4", "5", "zip", "legacy"])
def test_pickles_of_modules_and_state_dicts_are_read_whatever_wrote_them(what: str, how: str, tmp_path: Path) -> None:
    network = Generator()
    if what == "module" and how == "5":
        network = network.half()
    path = tmp_path / "G.pkl"
    path.write_bytes(whole(f"{what}, {how}", network))
    found = tensors.read_weights(path)
    for value, its in zip(network.state_dict().values(), found.tensors.values(), strict=True):
        assert torch.equal(value, its)
    assert (found.listing is None) == (what == "state dict")
    assert ("whole module" in found.what) == (what != "state dict")


@pytest.mark.usefixtures("forked")
def test_one_of_several_networks_is_named(tmp_path: Path) -> None:
    path, network = tmp_path / "both.pkl", Generator()
    path.write_bytes(pickle.dumps({"nets": {"G": network, "D": torch.nn.Linear(3, 1)}, "epoch": 7}))
    with pytest.raises(PocketganError, match=r"plain pickle, is not imported: it holds 2 networks \(nets.D, nets.G\)"):
        tensors.read_weights(path)
    with pytest.raises(PocketganError, match=r"no network is called 'H' in it \(nets.D, nets.G\); name one by --key"):
        tensors.read_weights(path, "H")
    assert len(tensors.read_weights(path, "G").tensors) == len(network.state_dict())
    path.write_bytes(pickle.dumps({"accuracy": 0.9}))
    with pytest.raises(PocketganError, match=r"it holds a dictionary \(accuracy\), and no network's weights; save"):
        tensors.read_weights(path)


@pytest.mark.catches("no content gate")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"\x1f\x8b" + bytes(20), "a file packed by gzip"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"\x08\x07\x12\x07pytorch\x1a\x032.1", "an ONNX file"),
        (b'{"cells": [], "nbformat": 4}', "a notebook"),
        (b'{"class_name": "Sequential"}', "a JSON file"),
        (b"import torch\nimport torch.nn as nn\n", "Python code"),
        (b"cos\nsystem\n(S'true'\ntR.", "a pickle of an old protocol"),
        (gadgets.zipped(b"", {"archive/constants.pkl": b"x"}), "a TorchScript archive"),
        (gadgets.zipped(b"")[:60], "a damaged zip"),
        (b"whatever", "no file of weights"),
    ],
)
def test_what_is_not_imported_is_named_with_what_to_do(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "G.pkl"
    path.write_bytes(content)
    with pytest.raises(PocketganError, match=f"G.pkl is {told}.*, which is not imported; .*evaluate") as caught:
        tensors.read_weights(path)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("cut", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("way", ["module, 4", "module, zip", "state dict, legacy", "state dict, zip"])
def test_a_damaged_file_is_told_in_our_own_words(way: str, cut: float, tmp_path: Path) -> None:
    content = whole(way, torch.nn.Linear(40, 20))
    path = tmp_path / "G.pkl"
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(PocketganError, match=r"damaged|claims more numbers than") as caught:
        tensors.read_weights(path)
    assert "enforce" not in str(caught.value)
    assert "PytorchStreamReader" not in str(caught.value)


def test_malicious_pickles_do_nothing_and_honest_ones_import(tmp_path: Path) -> None:
    for count in pickles.of_strangers(tmp_path / "strangers", every=25):
        assert count.tried > 0
        assert count.failed == []


def test_the_gadgets_would_bite() -> None:
    """What the malicious files hold is live: opened unsafely, it runs."""
    call = gadgets.Call("os", "getpid", ())
    for way in gadgets.WAYS[:4]:
        assert pickle.loads(b"\x80\x02" + way(call) + b".") == os.getpid()
    assert len(gadgets.malicious(Path("nowhere"))) >= 60


@pytest.mark.catches("no memory limit")
def test_a_bomb_is_refused_within_its_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pkl"
    files = gadgets.malicious(tmp_path)
    for name in ("zip whose pickle is a bomb", "a tuple of itself, doubled, zipped", "zip whose tensor is a bomb"):
        assert pickles._refused(tmp_path, path, files[name], pickles.Worker()) is None, name


def test_damaged_pickles_load_or_cost_one_line(tmp_path: Path) -> None:
    count = pickles.damaged(tmp_path / "damaged", 60)
    assert (count.tried, count.failed) == (60, [])


@pytest.mark.parametrize("kind", ["IDX and gzip", "NPZ and NPY", "PNG and JPEG", "TOML", "safetensors", "metadata.csv"])
def test_damaged_files_load_or_cost_one_line(kind: str, tmp_path: Path) -> None:
    count = mutants.of_kind(tmp_path, kind, 400)
    assert (count.tried, count.failed) == (400, [])


@pytest.mark.catches("header believed", "zip believed")
def test_a_small_file_that_claims_much_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    import gzip

    claim = struct.pack(">4B3I", 0, 0, 8, 3, 3_000_000, 28, 28)
    (tmp_path / "claims.gz").write_bytes(gzip.compress(claim + bytes(100)))
    with pytest.raises(PocketganError, match=r"claims.gz claims 2,352,000,000 bytes, more than gzip can hold"):
        load_images(tmp_path / "claims.gz")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (3_000_000, 28, 28)})
    content = bytearray(_npz(header.getvalue() + bytes(100)))
    size = struct.pack("<I", len(header.getvalue()) + 2_352_000_000)
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = size
    (tmp_path / "claims.npz").write_bytes(content)
    with pytest.raises(PocketganError, match=r"claims.npz \[images\] claims more than a zip can hold"):
        load_images(tmp_path / "claims.npz")


def _npz(array: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("images.npy", array)
    return buffer.getvalue()


@pytest.mark.catches("recipe of any size")
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_bytes(b"#" * (MAX_TEXT_BYTES + 1)), "more than the .* that are read"),
        (lambda path: path.symlink_to("/dev/zero"), "is no file"),
        (lambda path: os.mkfifo(path), "is no file"),
        (lambda path: path.mkdir(), "is no file"),
    ],
)
def test_text_is_read_from_files_of_a_sensible_size_only(
    make: Callable[[Path], Any], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    make(path)
    with pytest.raises(PocketganError, match=told) as caught:
        gan_recipe(str(path))
    assert str(path) in str(caught.value)
    with pytest.raises(PocketganError, match=told):
        read_bytes(path)
