"""The folder of a saved network: safetensors and `model.json`, enough to rebuild it with no code in it."""

from __future__ import annotations

import hashlib
import io
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import check_version, read_json, sha256, user_path, whole_folder, write_bytes, write_json
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.contracts import Shape
from pocketgan.recipes import ClassifierRecipe, Recipe
from pocketgan.recipes.code import write_code
from pocketgan.runs.facts import ClassifierFacts, ClassifierFile, DataFacts, MadeWith, PairFacts, PairFile, checked
from pocketgan.runs.folder import CLASSIFIER, FORMAT_VERSION, MODEL, MODEL_FILE

SHIPPED = Path(__file__).parent.parent / "weights"
KINDS = {MODEL: "gan", CLASSIFIER: "classifier"}  # what a folder is called in a run, and in its model.json
ADDRESS = re.compile(r"hf:/{1,2}(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
HUB_FILES = ["config.json", "model.safetensors"]  # that are downloaded: no code is
HUB_ABOUT, HUB_NETWORK = "config.json", "model"  # what model.json and the generator are called in a hub's folder


FileT = TypeVar("FileT", PairFile, ClassifierFile)


def save_networks(
    folder: Path,
    networks: dict[str, nn.Module],
    recipe: Recipe | ClassifierRecipe,
    shape: Shape,
    class_names: tuple[str, ...],
    facts: PairFacts | ClassifierFacts,
) -> None:
    """Write a model folder, whole: one safetensors file for each network, and `model.json`."""
    with whole_folder(folder) as beside:
        files = [write_network(beside, name, network) for name, network in networks.items()]
        networks_file = recipe.model.networks if isinstance(recipe, Recipe) else None
        sums = {file.name: sha256(file) for file in files} | write_code(beside, networks_file)
        write_json(beside / MODEL_FILE, model_content(recipe, shape, class_names, facts, sums))


def model_content(
    recipe: Recipe | ClassifierRecipe,
    shape: Shape,
    class_names: tuple[str, ...],
    facts: PairFacts | ClassifierFacts,
    sums: dict[str, str],
) -> dict[str, Any]:
    """What `model.json` holds; `sums` are the files' sha256 by their names."""
    return {
        "format_version": FORMAT_VERSION,
        "kind": recipe.kind,
        "shape": list(shape),
        "class_names": list(class_names),
        "recipe": recipe.model_dump(exclude_none=True, mode="json"),
        **facts.as_json(),
        "sha256": sums,
    }


def add_network(folder: Path, name: str, network: nn.Module, facts: PairFacts, recipe: Recipe) -> None:
    """Put one more network into a model folder; `facts` and `recipe` take the place of those that are there."""
    content = read_json(folder / MODEL_FILE)
    file = write_network(folder, name, network)
    sums = {**content["sha256"], file.name: sha256(file)}
    added = {"recipe": recipe.model_dump(exclude_none=True, mode="json"), **facts.as_json(), "sha256": sums}
    write_json(folder / MODEL_FILE, {**content, **added})


def write_network(folder: Path, name: str, network: nn.Module, metadata: dict[str, str] | None = None) -> Path:
    """Write one safetensors file, with further texts in its header; its path."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    file = folder / f"{name}.safetensors"
    write_bytes(file, save(tensors, metadata={"format_version": str(FORMAT_VERSION)} | (metadata or {})))
    return file


def read_model_file(folder: Path, kind: type[FileT]) -> FileT:
    """Read and check `model.json` of a pair or of a classifier, or what stands for it in a folder made for the hub.

    Raises
    ------
    PocketganError
        It is missing, damaged, changed by hand, or written by a newer version.
    """
    path = _about(folder)
    content = _content(path)
    check_version(path, content, FORMAT_VERSION)
    return checked(kind, content, path)


def _about(folder: Path) -> Path:
    """The path of `model.json`, or of what stands for it."""
    hub = folder / HUB_ABOUT
    return hub if hub.is_file() and not (folder / MODEL_FILE).is_file() else folder / MODEL_FILE


def _content(about: Path) -> Any:
    """What `model.json` says, read from either file; None in a `config.json` of another program."""
    content = read_json(about)
    if about.name != HUB_ABOUT:
        return content
    return content.get("model") if isinstance(content, dict) and content.get("library_name") == "pocketgan" else None


def check_sum(folder: Path, name: str, about: PairFile | ClassifierFile) -> Path:
    """The path of a network's file, which is as it was written.

    Raises
    ------
    PocketganError
        It is missing or damaged.
    """
    file = folder / f"{name}.safetensors"
    if name == "generator" and file.name not in about.sha256:
        file = folder / f"{HUB_NETWORK}.safetensors"
    if file.name not in about.sha256:
        held = ", ".join(sorted(about.sha256)) or "nothing"
        raise PocketganError(f"{folder} has no {name}.safetensors, only {held}; import it into the same folder")
    if not file.is_file() or sha256(file) != about.sha256.get(file.name):
        raise PocketganError(f"{file} is missing or damaged: its sha256 is not that of {MODEL_FILE}")
    return file


def load_weights(folder: Path, name: str, network: nn.Module, about: PairFile | ClassifierFile) -> None:
    """Put a file's weights into a network of the same layers.

    Raises
    ------
    PocketganError
        The file is missing, damaged, or holds other layers.
    """
    file = check_sum(folder, name, about)
    try:
        tensors, wanted = load_file(file), network.state_dict()
        if any(value.is_meta for value in wanted.values()):  # built empty: what is read becomes its own
            tensors = {key: value.to(wanted[key].dtype) if key in wanted else value for key, value in tensors.items()}
            network.load_state_dict(tensors, assign=True)
        else:
            network.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        raise PocketganError(f"{file} does not fit its {MODEL_FILE} ({str(error).splitlines()[0]})") from error


def read_weights(folder: Path, name: str, about: PairFile | ClassifierFile) -> dict[str, torch.Tensor]:
    """The tensors of a network's file, without the network.

    Raises
    ------
    PocketganError
        The file is missing or damaged.
    """
    file = check_sum(folder, name, about)
    try:
        return load_file(file)
    except SafetensorError as error:
        raise PocketganError(f"{file} is no safetensors file ({error}); make the model again") from error


def weights_digest(network: nn.Module) -> str:
    """The sha256 of a network's weights by name, shape and value, whatever file or folder they lie in."""
    return tensors_digest(network.state_dict())


def tensors_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """`weights_digest` of weights that lie in no network."""
    hasher = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        hasher.update(repr((name, str(tensor.dtype), list(tensor.shape))).encode())
        hasher.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return hasher.hexdigest()


def save_state_dict(network: nn.Module, path: Path) -> None:
    """Weights as PyTorch's own file, for other programs: ``torch.load(path, weights_only=True)`` reads it."""
    buffer = io.BytesIO()
    torch.save({key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}, buffer)
    write_bytes(path, buffer.getvalue())


def model_folder(path: str | Path, inside: str) -> Path:
    """The folder that holds `model.json`: `path` itself, its subfolder `inside` (a run), or a shipped model's.

    Raises
    ------
    UsageError
        There is none.
    """
    found = _find_model(path, inside)
    if found is None:
        raise UsageError(
            f"{path} holds no {inside}: give a run folder, a folder with {MODEL_FILE}, or a shipped model's name"
        )
    return found


def holds(path: str | Path, inside: str) -> bool:
    """Whether a path leads to a ``model`` or to a ``classifier``."""
    return _find_model(path, inside) is not None


def _find_model(path: str | Path, inside: str) -> Path | None:
    if inside == "model" and str(path).startswith("hf:/"):
        path = _downloaded(str(path))
    folder = user_path(path)
    shipped = [SHIPPED / folder] if len(folder.parts) == 1 else []  # ./guide is a folder, guide is the shipped one
    for candidate in (*shipped, folder, folder / inside):
        about = _about(candidate)
        if about.is_file():
            content = _content(about)
            if isinstance(content, dict) and content.get("kind") == KINDS[inside]:
                return candidate
    return None


def _downloaded(address: str) -> Path:
    """The folder of a model on the hub, downloaded once for each revision.

    Raises
    ------
    UsageError
        It is no address, names no revision, or `huggingface_hub` is not installed.
    PocketganError
        It cannot be downloaded.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(f"{address} is no address; give hf://OWNER/NAME@REVISION")
    if found["revision"] is None:
        raise UsageError(
            f"{address} names no revision, and what it holds may change; give one of its commits: {address}@COMMIT"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UsageError(
            f"{address} needs huggingface_hub: pip install '.[hub]' in pocketgan's source folder"
        ) from error
    try:
        return Path(snapshot_download(found["repository"], revision=found["revision"], allow_patterns=HUB_FILES))
    except Exception as error:  # of the network, of the hub, of the disk
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PocketganError(f"{address} cannot be downloaded: {reason}") from error


def made_with(device: torch.device) -> MadeWith:
    """Versions and machine, for the record in `model.json`."""
    return MadeWith(
        pocketgan=version("pocketgan"),
        torch=torch.__version__,
        python=platform.python_version(),
        machine=platform.machine(),
        device=device.type,
        threads=torch.get_num_threads(),
    )


def data_facts(data: ImageSet) -> DataFacts:
    """What `model.json` keeps of the images a network was trained on."""
    return DataFacts(name=data.name, split=data.split, count=len(data), digest=data.digest, provenance=data.provenance)
