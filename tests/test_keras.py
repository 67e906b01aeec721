"""Keras' files: the same outputs as Keras' own, from its stored models; and what is refused of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from pocketgan import import_file
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.importing import child, keras, tensors
from pocketgan.models.model import Model
from pocketgan.networks.layers import LayerDiscriminator, LayerGenerator
from soak.children import POSIX
from soak.pickles import Worker

pytestmark = pytest.mark.skipif(not POSIX, reason="children are forked")


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open files in forked children, which need not import torch anew."""
    monkeypatch.setattr(tensors, "_converted", Worker())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models that `keras_pair.py` stored, unpacked."""
    folder = tmp_path_factory.mktemp("keras")
    with zipfile.ZipFile(Path(__file__).parent / "keras_pair.zip") as archive:
        archive.extractall(folder)
    return folder


def expected(pair: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model was given and what Keras made of it."""
    with np.load(pair / "expected.npz") as held:
        return torch.from_numpy(held[f"{name}_given"]), torch.from_numpy(held[f"{name}_made"])


@pytest.mark.catches("Keras' kernels as they lie", "Keras' momentum as PyTorch's")
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_pair_computes_what_keras_computes(ending: str, pair: Path, tmp_path: Path) -> None:
    for name, role in (("G", "generator"), ("D", "discriminator")):
        found = import_file(pair / f"{name}.{ending}", out=tmp_path / "model")
        assert found.network == role
        assert "Keras" in found.what
    model = Model.load(tmp_path / "model")
    generator, discriminator = model.generator, model.discriminator
    assert isinstance(generator, LayerGenerator)
    assert isinstance(discriminator, LayerDiscriminator)
    with torch.no_grad():
        given, made = expected(pair, "G")
        assert torch.allclose(generator(given), made, atol=1e-4)
        assert made.std() > 0.05
        given, made = expected(pair, "D")
        assert torch.allclose(discriminator(given).logits.sigmoid(), made.flatten(), atol=1e-4)
    assert model.recipe.generator is not None
    norms = [layer for layer in model.recipe.generator.layers if layer.type == "BatchNorm"]
    assert [(layer.eps, layer.momentum) for layer in norms] == [(1e-3, 0.01), (1e-4, 0.2)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_models_inside_a_functional_chain_are_laid_out_flat(ending: str, pair: Path, tmp_path: Path) -> None:
    found = import_file(pair / f"nested.{ending}", out=tmp_path / "model")
    assert "Sigmoid at its end, pixels in [0, 1]" in found.assumed
    given, made = expected(pair, "nested")
    with torch.no_grad():
        assert torch.allclose(Model.load(tmp_path / "model").generator(given), made, atol=1e-4)


def legacy(path: Path, config: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Path:
    """An HDF5 file as Keras 2 writes it."""
    with h5py.File(path, "w") as held:
        held.attrs["model_config"] = json.dumps(config)
        for name, value in arrays.items():
            held[f"model_weights/{name}"] = value
    return path


def second(*layers: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A Sequential in the words of Keras 2."""
    listed = [{"class_name": kind, "config": {"name": kind.lower(), **own}} for kind, own in layers]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": listed}}


DENSE = ("Dense", {"units": 784, "activation": "tanh", "use_bias": True, "batch_input_shape": [None, 3]})
RESHAPE = ("Reshape", {"target_shape": [28, 28, 1]})
KERNEL, BIAS = np.linspace(-1, 1, 3 * 784, dtype="float32").reshape(3, 784), np.zeros(784, "float32")
WEIGHTS = {"dense/dense/kernel:0": KERNEL, "dense/dense/bias:0": BIAS}


def test_files_of_keras_2_are_read(tmp_path: Path) -> None:
    norm = {"axis": [1], "momentum": 0.8, "epsilon": 1e-3, "center": True, "scale": True}
    arrays = {
        f"batchnormalization/batchnormalization/{name}:0": np.full(784, value, "float32")
        for name, value in (("gamma", 2.0), ("beta", 0.5), ("moving_mean", 0.1), ("moving_variance", 4.0))
    }
    leaky = ("LeakyReLU", {"alpha": 0.20000000298023224})
    config = second((DENSE[0], {**DENSE[1], "activation": "linear"}), ("BatchNormalization", norm), leaky, RESHAPE)
    import_file(legacy(tmp_path / "G.h5", config, {**WEIGHTS, **arrays}), out=tmp_path / "model")
    z = torch.tensor([[1.0, -2.0, 0.5]])
    inner = ((z @ torch.from_numpy(KERNEL)) - 0.1) / (4.0 + 1e-3) ** 0.5 * 2.0 + 0.5
    wanted = torch.nn.functional.leaky_relu(inner, 0.2).view(1, 1, 28, 28)
    with torch.no_grad():
        assert torch.allclose(Model.load(tmp_path / "model").generator(z), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            second(DENSE, ("Lambda", {"function": ["4wEAAA==", None, None]})),
            "a layer of the kind Lambda, which is code",
        ),
        (second(DENSE, ("MinibatchStdDev", {})), "a layer of the kind MinibatchStdDev"),
        ({"class_name": "MyGAN", "config": {"layers": []}}, "a model of the kind MyGAN, which is code"),
        (second((DENSE[0], {**DENSE[1], "activation": "mine"})), "an activation 'mine' that no list has"),
        (
            second((DENSE[0], {**DENSE[1], "activation": {"class_name": "function", "config": "os.system"}})),
            "an activation .* that no list has",
        ),
        (second(("Conv2D", {"filters": 1, "kernel_size": [3, 5], "strides": [1, 1], "padding": "same"})), "its kernel"),
        (second(("Dense", {"name": "dense"})), "settings that Keras does not write"),
        (second((DENSE[0], {**DENSE[1], "name": "other"})), "a layer 'other' without its kernel"),
        (second(("UpSampling2D", {"size": [2, 3]})), r"size \[2, 3\]"),
        (second(("MaxPooling2D", {"pool_size": [2, 2], "strides": [2, 2], "padding": "same"})), "padding same"),
        ({"class_name": "Sequential"}, "settings that Keras does not write"),
        ([], "settings that Keras does not write"),
        (
            {
                "class_name": "Functional",
                "config": {
                    "layers": [
                        {"class_name": "InputLayer", "config": {"name": "a"}, "inbound_nodes": []},
                        {"class_name": "InputLayer", "config": {"name": "b"}, "inbound_nodes": []},
                        {
                            "class_name": "Concatenate",
                            "config": {"name": "c"},
                            "inbound_nodes": [[["a", 0, 0, {}], ["b", 0, 0, {}]]],
                        },
                    ]
                },
            },
            "layers that are no chain",
        ),
    ],
)
def test_what_no_list_can_hold_is_refused_in_one_line(config: Any, told: str, tmp_path: Path) -> None:
    path = legacy(tmp_path / "G.h5", config, WEIGHTS)
    with pytest.raises(PocketganError, match=f"G.h5 is an HDF5 file of Keras, and is not imported: it has .*{told}"):
        import_file(path, out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def _link(held: Any, folder: Path) -> None:
    held["model_weights/dense/dense/more"] = h5py.ExternalLink(str(folder / "victim.h5"), "/a")


def _soft(held: Any, _: Path) -> None:
    held["model_weights/dense/dense/more"] = h5py.SoftLink("/model_weights")


def _circle(held: Any, _: Path) -> None:
    held["model_weights/dense/more"] = held["model_weights"]


def _elsewhere(held: Any, folder: Path) -> None:
    held.create_dataset("more", (100,), "f4", external=[(str(folder / "victim.h5"), 0, 400)])


def _virtual(held: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "victim.h5"), "a", (4,))
    held.create_virtual_dataset("more", layout)


def _packed(held: Any, _: Path) -> None:
    held.create_dataset("more", (1 << 24,), "f4", compression="gzip", data=np.zeros(1 << 24, "f4"))


def _claimed(held: Any, _: Path) -> None:
    held.create_dataset("more", (1 << 40,), "f4", chunks=(1 << 20,))


def _unconfigured(held: Any, _: Path) -> None:
    del held.attrs["model_config"]


def _nested(held: Any, _: Path) -> None:
    held.attrs["model_config"] = "[" * 30_000 + "]" * 30_000


@pytest.mark.catches("links followed")
@pytest.mark.parametrize(
    "harm", [_link, _soft, _circle, _elsewhere, _virtual, _packed, _claimed, _unconfigured, _nested]
)
def test_hostile_hdf5_is_refused(harm: Callable[[Any, Path], None], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "victim.h5", "w") as victim:
        victim["a"] = np.ones(4, "f4")
    path = legacy(tmp_path / "G.h5", second(DENSE, RESHAPE), WEIGHTS)
    assert import_file(path, out=tmp_path / "whole").network == "generator"
    with h5py.File(path, "r+") as held:
        harm(held, tmp_path)
    with pytest.raises(PocketganError, match=r"G.h5, an HDF5 file of Keras, is not imported: its? ") as caught:
        tensors.read_weights(path)
    assert "\n" not in str(caught.value)
    content = path.read_bytes()
    with pytest.raises((child.RefusedError, ValueError, RecursionError)):  # in this process, without limits
        child._of_keras(io.BytesIO(content), len(content))


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_damaged_file_is_told_in_our_own_words(cut: float, ending: str, pair: Path, tmp_path: Path) -> None:
    content = (pair / f"G.{ending}").read_bytes()
    path = tmp_path / "G"
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(PocketganError, match=r"it is damaged|is a damaged zip"):
        import_file(path, out=tmp_path / "model")


def test_a_key_or_a_missing_library_is_told(pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="which holds one network; drop --key"):
        import_file(pair / "G.keras", out=tmp_path / "model", key="G")
    monkeypatch.setattr(tensors, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"G.h5 is an HDF5 file of Keras, which needs h5py: pip install"):
        import_file(pair / "G.h5", out=tmp_path / "model")


def test_every_kind_of_layer_has_weights_that_are_known() -> None:
    assert set(keras.WEIGHTS) <= set(keras.LAYERS)
