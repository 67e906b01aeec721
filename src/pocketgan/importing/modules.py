"""A whole module's tree as a list of layers, as far as the tree tells it: the order of a Sequential is the module's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Tree = dict[str, Any]
Entry = str | dict[str, Any]  # one layer of a recipe
SEQUENTIAL = "torch.nn.modules.container.Sequential"
DATA_PARALLEL = "torch.nn.parallel.data_parallel.DataParallel"
PLAIN = ("ReLU", "Tanh", "Sigmoid", "SELU", "GELU", "SiLU", "Softplus", "Hardtanh", "Identity")


class Listing(NamedTuple):
    """The layers of a module.

    Attributes
    ----------
    layers
        As a recipe has them, in order.
    inputs
        What the first layer with weights takes: features of vectors or channels of maps; 0 where there is none.
    doubt
        Why this need not be all that the module does, or not in this order; empty where it is known.
    assumed
        What is taken for granted all the same.
    """

    layers: tuple[Entry, ...]
    inputs: int
    doubt: str = ""
    assumed: tuple[str, ...] = ()


class _UnlikeError(Exception):
    """A layer that is not of a recipe's kinds. The text says what."""


def listing_of(tree: Tree) -> Listing:
    """The layers of a module that is or holds one Sequential; those of another one with a doubt."""
    while tree["class"] == DATA_PARALLEL and list(tree["parts"]) == ["module"]:
        tree = tree["parts"]["module"]
    inner = tree
    while inner["class"] != SEQUENTIAL and len(inner["parts"]) == 1 and not inner["owns"] and not inner["hooked"]:
        inner = next(iter(inner["parts"].values()))
    doubt = ""
    if inner["class"] != SEQUENTIAL:
        doubt = f"{_short(tree)} is no single Sequential, so its order and what stands between its layers are not known"
    layers: list[Entry] = []
    unlike: list[str] = []
    inputs = 0
    for layer in _leaves(inner):
        try:
            layers.append(_entry(layer))
        except _UnlikeError as error:
            unlike.append(str(error))
        settings = layer["settings"]
        inputs = inputs or settings.get("in_features", settings.get("in_channels", 0))
    if unlike:
        left_out = f"it has what is left out here ({', '.join(dict.fromkeys(unlike))})"
        doubt = f"{doubt}, and {left_out}" if doubt else f"in {_short(tree)} {left_out}"
    held = () if inner is tree else (f"nothing in the forward of {_short(tree)} besides its Sequential",)
    return Listing(tuple(layers), inputs, doubt, held)


def _short(tree: Tree) -> str:
    return str(tree["class"]).rpartition(".")[2]


def _leaves(tree: Tree) -> Iterator[Tree]:
    """Modules without parts, in order of registration; and others with weights of their own, before their parts."""
    if (not tree["parts"] or tree["owns"]) and tree["class"] != SEQUENTIAL:
        yield tree
    for part in tree["parts"].values():
        yield from _leaves(part)


def _entry(tree: Tree) -> Entry:
    """One layer of a recipe."""
    name, family = _short(tree), str(tree["class"]).startswith("torch.nn.modules.")
    if not family or name not in LAYERS:
        raise _UnlikeError(name)
    if tree["hooked"]:
        raise _UnlikeError(f"{name} with a hook, such as spectral_norm's")
    settings = {**tree["settings"], "bias": "bias" in tree["owns"]}
    try:
        made = LAYERS[name](settings)
    except KeyError as error:
        raise _UnlikeError(f"{name} without its {error.args[0]}") from error
    except (TypeError, ValueError, OverflowError) as error:  # settings of other types than torch's
        raise _UnlikeError(f"{name} with unusual settings") from error
    return {"type": name, **made} if made else name


def _only(settings: dict[str, Any], name: str, **usual: Any) -> None:
    for setting, value in usual.items():
        if setting in settings and settings[setting] != value:
            raise _UnlikeError(f"{name} with {setting} {settings[setting]}")


def _side(settings: dict[str, Any], setting: str) -> int:
    """A number, or a pair of equal ones."""
    value = settings[setting]
    values = set(value) if isinstance(value, tuple | list) else {value}
    if len(values) != 1 or not all(isinstance(one, int) for one in values):
        raise _UnlikeError(f"a layer with {setting} {value}")
    return int(values.pop())


def _without(given: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """What differs from the defaults of a recipe's layer."""
    return {name: value for name, value in given.items() if name not in defaults or defaults[name] != value}


def _linear(settings: dict[str, Any]) -> dict[str, Any]:
    return _without({"out_features": settings["out_features"], "bias": settings["bias"]}, bias=True)


def _conv(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "Conv2d", groups=1, padding_mode="zeros", dilation=[1, 1])
    padding = settings["padding"]
    sides = {name: _side(settings, name) for name in ("kernel_size", "stride")}
    added: Any = _side(settings, "padding") if not isinstance(padding, str) else 0 if padding == "valid" else padding
    given = {"out_channels": settings["out_channels"], **sides, "padding": added, "bias": settings["bias"]}
    return _without(given, stride=1, padding=0, bias=True)


def _transposed(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "ConvTranspose2d", groups=1, dilation=[1, 1])
    sides = {name: _side(settings, name) for name in ("kernel_size", "stride", "padding", "output_padding")}
    given = {"out_channels": settings["out_channels"], **sides, "bias": settings["bias"]}
    return _without(given, stride=1, padding=0, output_padding=0, bias=True)


def _batch_norm(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "BatchNorm", track_running_stats=True)
    if not isinstance(settings["momentum"], float | int):
        raise _UnlikeError("BatchNorm with a mean over all batches")
    given = {name: settings[name] for name in ("eps", "momentum", "affine")}
    return _without(given, eps=1e-5, momentum=0.1, affine=True)


def _instance_norm(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "InstanceNorm2d", track_running_stats=False)
    return _without({"eps": settings["eps"], "affine": settings["affine"]}, eps=1e-5, affine=False)


def _layer_norm(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "LayerNorm", elementwise_affine=True)
    return _without({"eps": settings["eps"]}, eps=1e-5)


def _group_norm(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "GroupNorm", affine=True)
    return _without({"num_groups": settings["num_groups"], "eps": settings["eps"]}, eps=1e-5)


def _upsample(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "Upsample", size=None)
    factor, mode = settings["scale_factor"], settings["mode"]
    if factor != int(factor) or mode not in ("nearest", "bilinear") or settings.get("align_corners"):
        raise _UnlikeError(f"Upsample of {factor} by {mode}")
    return _without({"scale_factor": int(factor), "mode": mode}, scale_factor=2, mode="nearest")


def _pool(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "pooling", padding=0, dilation=1, ceil_mode=False)
    sides = {name: _side(settings, name) for name in ("kernel_size", "stride")}
    return _without(sides, kernel_size=2, stride=sides["kernel_size"])


def _flatten(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "Flatten", start_dim=1, end_dim=-1)
    return {}


def _unflatten(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "Unflatten", dim=1)
    if len(settings["unflattened_size"]) != 3:
        raise _UnlikeError(f"Unflatten to {settings['unflattened_size']}")
    return {"unflattened_size": list(settings["unflattened_size"])}


def _prelu(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "PReLU", num_parameters=1)
    return {}


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    _only(settings, "an activation", beta=1, threshold=20, approximate="none", min_val=-1.0, max_val=1.0)
    return {}


LAYERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Linear": _linear,
    "Conv2d": _conv,
    "ConvTranspose2d": _transposed,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "InstanceNorm2d": _instance_norm,
    "LayerNorm": _layer_norm,
    "GroupNorm": _group_norm,
    "Dropout": lambda settings: _without({"p": settings["p"]}, p=0.5),
    "Dropout2d": lambda settings: _without({"p": settings["p"]}, p=0.5),
    "Upsample": _upsample,
    "PixelShuffle": lambda settings: _without({"upscale_factor": settings["upscale_factor"]}, upscale_factor=2),
    "PixelUnshuffle": lambda settings: _without({"downscale_factor": settings["downscale_factor"]}, downscale_factor=2),
    "MaxPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
    "Unflatten": _unflatten,
    "LeakyReLU": lambda settings: {"negative_slope": settings["negative_slope"]},
    "ELU": lambda settings: _without({"alpha": settings["alpha"]}, alpha=1.0),
    "PReLU": _prelu,
    **dict.fromkeys(PLAIN, _plain),
}


def as_toml(layers: tuple[Entry, ...]) -> str:
    """A list of layers in one line of TOML."""
    return f"layers = [{', '.join(_toml(layer) for layer in layers)}]"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else repr(value)
