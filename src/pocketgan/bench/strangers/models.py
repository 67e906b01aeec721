"""Files of weights, as people save them. The networks are built, not trained: they draw real digits."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from pocketgan.bench.strangers.kinds import EACH, Kind, digits
from pocketgan.core.pixels import to_floats, to_unit
from pocketgan.importing.weights import Imported
from pocketgan.models.model import Model

Z = 64  # numbers of the latent
NOISE = 4.0  # that a unit adds which only ReLU keeps silent
ONNX = b"\x08\x08\x3a\x00\x42\x04\x0a\x00\x10\x11"  # version 8 of the format, an empty graph, operators of version 17
EDGE = 0.02  # of z's first number, over which one digit becomes the next
RECIPE = """
[generator]
layers = [{{type = "Linear", out_features = 19}}, {hidden}, {{type = "Linear", out_features = "C*H*W"}}, "Tanh"]
[discriminator]
layers = ["Flatten", {{type = "Linear", out_features = 16}}, {{type = "LeakyReLU", negative_slope = 0.2}},
  {{type = "Linear", out_features = 1}}]
[model]
latent_dim = 64
"""


class Generator(nn.Module):
    """As students write it: one Sequential in a class of their own."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Any:
        """Images of latents."""
        return self.main(z).view(-1, 1, 28, 28)


class Loose(nn.Module):
    """Layers whose order only its code knows."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(Z, 18), nn.Linear(18, 784)


def one_of_each() -> Tensor:
    """A digit of each class as what tanh is given: float32 ``[10, 784]``."""
    return to_floats(digits().images[::EACH], "signed").flatten(1).mul(3.0)


@torch.no_grad()
def plain() -> Generator:
    """Draws the digit whose tenth of the normal distribution z's first number lies in."""
    first, last = nn.Linear(Z, 19), nn.Linear(19, 784)
    edges = torch.distributions.Normal(0.0, 1.0).icdf(torch.arange(1, 10) / 10)
    drawn = one_of_each()
    first.weight.zero_()[:, 0] = 1.0
    first.bias.copy_(torch.cat([-edges, -edges - EDGE, torch.tensor([-9.0])]))
    noise = torch.randn(784, 1, generator=torch.Generator().manual_seed(3))
    steps = (drawn[1:] - drawn[:-1]).T / EDGE
    last.weight.copy_(torch.cat([steps, -steps, NOISE * noise], 1))
    last.bias.copy_(drawn[0])
    return Generator(first, nn.ReLU(), last, nn.Tanh())


def state() -> dict[str, Tensor]:
    """Its state dict."""
    return plain().state_dict()


@torch.no_grad()
def broken() -> Generator:
    """The same with a number that is none."""
    network = plain()
    next(network.parameters())[0, 0] = torch.nan
    return network


@torch.no_grad()
def by_label(first: bool = False) -> Generator:
    """Draws the digit of the class that ten numbers behind z, or before it, say."""
    layer = nn.Linear(100 + 10, 784)
    layer.weight.normal_(0, 0.02, generator=torch.Generator().manual_seed(0))
    layer.weight[:, slice(0, 10) if first else slice(100, 110)] = one_of_each().T
    layer.bias.zero_()
    return Generator(layer, nn.Tanh())


def critic(labels: int = 0) -> nn.Sequential:
    """A discriminator, of images with one-hot labels joined if there are `labels`."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(784 + labels, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())


def file_of(name: str, write: Callable[[Path], Any]) -> Callable[[Path], None]:
    """A file, with its layers beside it in recipes: right ones, and ones with another activation."""

    def build(folder: Path) -> None:
        write(folder / name)
        (folder / "own.toml").write_text(RECIPE.format(hidden='"ReLU"'))
        (folder / "leaky.toml").write_text(RECIPE.format(hidden='{type = "LeakyReLU", negative_slope = 0.2}'))

    return build


def to_pickle(what: Any, path: Path) -> None:
    """Save by pickle."""
    path.write_bytes(pickle.dumps(what, protocol=4))


def pickled(make: Callable[[], Any], name: str = "G.pkl") -> Callable[[Path], None]:
    """A plain pickle."""
    return file_of(name, lambda path: to_pickle(make(), path))


def saved(make: Callable[[], Any]) -> Callable[[Path], None]:
    """A file of torch.save."""
    return file_of("G.pt", lambda path: torch.save(make(), path))


def content(name: str, what: bytes) -> Callable[[Path], None]:
    """A file of these bytes."""
    return file_of(name, lambda path: path.write_bytes(what))


def computes(make: Callable[[], Generator], off: float = 1e-5) -> Callable[[Imported, Path], bool]:
    """Whether the imported generator draws what the network does, for latents alone or with labels."""

    def compared(found: Imported, path: Path) -> bool:
        generator = Model.load(found.folder, "cpu").generator
        network = make().eval()
        z = torch.randn(20, generator.latent_dim, generator=torch.Generator().manual_seed(2))
        if not generator.conditional:
            return _alike(generator(z), network(z), off)
        labels = torch.arange(20) % 10
        return _alike(generator(z, labels), network(torch.cat([z, nn.functional.one_hot(labels, 10)], 1)), off)

    def quietly(found: Imported, path: Path) -> bool:
        with torch.no_grad():
            return compared(found, path) and not found.warnings

    return quietly


def _alike(made: Tensor, wanted: Tensor, off: float) -> bool:
    return made.shape == wanted.shape and bool((to_unit(made, "signed") - to_unit(wanted, "signed")).abs().max() <= off)


def warned(word: str) -> Callable[[Imported, Path], bool]:
    """Whether a warning tells the option that mends it."""
    return lambda found, path: any(word in warning for warning in found.warnings)


def judges(found: Imported, path: Path) -> bool:
    """Whether it is a discriminator, whole."""
    return found.network == "discriminator"


class Harm:
    """A pickle of it makes a folder when it is opened unsafely."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder / "mark"),)


def harmful(save: Callable[[Any, Path], Any]) -> Callable[[Path], None]:
    """A whole state dict beside a call."""
    return file_of("G.pkl", lambda path: save({"state_dict": state(), "epoch": Harm(path.parent)}, path))


def of_code(folder: Path) -> None:
    """A Keras 2 file with a Lambda layer."""
    import h5py

    layers = [{"class_name": "Lambda", "config": {"name": "lambda", "function": ["4wEAAA==", None, None]}}]
    with h5py.File(folder / "G.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
        file["model_weights/dense/dense/kernel:0"] = [[1.0]]


def many() -> dict[str, Any]:
    """A checkpoint of both networks."""
    return {"G": plain().state_dict(), "D": critic().state_dict(), "epoch": 7}


def both_in(folder: Path) -> None:
    """A ZIP file of two pickles."""
    pickled(plain)(folder)
    with zipfile.ZipFile(folder / "pair.zip", "w") as archive:
        archive.write(folder / "G.pkl", "G.pkl")


BY_RECIPE = "--recipe own.toml"

MODELS = (
    Kind("pickle of a state dict", f"import G.pkl {BY_RECIPE}", pickled(state), computes(plain)),
    Kind("the same, without a recipe", "import G.pkl", pickled(state), None),
    Kind("pickle of a whole `nn.Sequential`", "import G.pkl", pickled(lambda: plain().main), computes(plain)),
    Kind("pickle of a class with one `nn.Sequential`", "import G.pkl", pickled(plain), computes(plain)),
    Kind("`torch.save` of a whole module", "import G.pt", saved(plain), computes(plain)),
    Kind("a module whose order only its code knows", "import G.pt", saved(Loose), None),
    Kind("`torch.save` of a state dict", f"import G.pt {BY_RECIPE}", saved(state), computes(plain)),
    Kind(
        "`DataParallel`'s names",
        f"import G.pt {BY_RECIPE}",
        saved(lambda: nn.DataParallel(plain()).state_dict()),
        computes(plain),
    ),
    Kind(
        "half precision",
        f"import G.pt {BY_RECIPE}",
        saved(lambda: plain().half().state_dict()),
        computes(lambda: plain().half().float()),
    ),
    Kind("double precision", f"import G.pt {BY_RECIPE}", saved(lambda: plain().double().state_dict()), computes(plain)),
    Kind(
        '`{"G": …, "epoch": …}`', f"import G.pt {BY_RECIPE}", saved(lambda: {"G": state(), "epoch": 7}), computes(plain)
    ),
    Kind("a dictionary of two networks", f"import G.pt {BY_RECIPE}", saved(many), None),
    Kind("the same, one named", f"import G.pt {BY_RECIPE} --key G", saved(many), computes(plain)),
    Kind(
        "a safetensors file",
        f"import G.safetensors {BY_RECIPE}",
        file_of("G.safetensors", lambda path: safetensors.torch.save_file(state(), path)),
        computes(plain),
    ),
    Kind("a discriminator", "import D.pkl", pickled(critic, "D.pkl"), judges),
    Kind(
        "another activation in the recipe",
        "import G.pkl --recipe leaky.toml",
        pickled(state),
        warned("--activation ReLU"),
    ),
    Kind("the same, put right", "import G.pkl --recipe leaky.toml --activation ReLU", pickled(state), computes(plain)),
    Kind("other shapes than the recipe's", "import G.pkl --recipe mlp", pickled(state), None),
    Kind("110 inputs: z and one-hot labels", "import G.pkl", pickled(by_label), warned("--conditional one-hot")),
    Kind("the same, labels behind z", "import G.pkl --conditional one-hot", pickled(by_label), computes(by_label)),
    Kind(
        "110 inputs, labels before z",
        "import G.pkl",
        pickled(lambda: by_label(first=True)),
        warned("--conditional one-hot-first"),
    ),
    Kind("NaN among the weights", "import G.pkl", pickled(broken), None),
    Kind("a pickle that makes a folder", f"import G.pkl {BY_RECIPE}", harmful(to_pickle), None),
    Kind("the same by `torch.save`", f"import G.pkl {BY_RECIPE}", harmful(torch.save), None),
    Kind("an ONNX file", "import G.onnx", content("G.onnx", ONNX), None),
    Kind("Keras' HDF5 with a Lambda layer", "import G.h5", of_code, None, "h5py"),
    Kind("a page of HTML instead of the file", "import G.pkl", content("G.pkl", b"<!DOCTYPE html><html>"), None),
    Kind(
        "a pointer of Git LFS",
        "import G.pkl",
        content("G.pkl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
        None,
    ),
    Kind("a ZIP file of weights", "import pair.zip", both_in, None),
    Kind("Python code", "import G.py", content("G.py", b"import torch\nimport torch.nn as nn\n"), None),
)
