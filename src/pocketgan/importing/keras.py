"""A Keras model's configuration and weights as a list of layers and tensors in PyTorch's layout.

Keras lays images out with the channels last, kernels as [in, out], [h, w, in, out] and, transposed, [h, w, out, in]. It
counts BatchNorm's momentum from the other end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pocketgan.importing.modules import Entry, Listing

CONTAINERS = ("Sequential", "Functional", "Model")
ACTIVATIONS: dict[str, Entry | None] = {
    "linear": None,
    "relu": "ReLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "swish": "SiLU",
    "softplus": "Softplus",
    "leaky_relu": {"type": "LeakyReLU", "negative_slope": 0.2},
}
WEIGHTS = {
    "Dense": ("kernel", "bias"),
    "Conv2D": ("kernel", "bias"),
    "Conv2DTranspose": ("kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}


class UnknownError(Exception):
    """What cannot be a list of layers. The text says what it is."""


class Layer(NamedTuple):
    """One layer of Keras."""

    kind: str
    config: dict[str, Any]
    path: str  # of its weights in a `.keras` archive


def listing_of(config: Any, arrays: dict[str, Tensor]) -> tuple[Listing, dict[str, Tensor]]:
    """The layers of a configuration, and the arrays of a file as their tensors in order.

    Raises
    ------
    UnknownError
        A layer is code, of a kind that no list has, or has not its weights.
    """
    entries: list[Entry] = []
    tensors: dict[str, Tensor] = {}
    inputs = 0
    try:
        for layer in _layers(config, ""):
            own = _own(layer, arrays)
            if layer.kind not in LAYERS:
                code = layer.kind in ("Lambda", "TFOpLambda") or "lambda" in layer.kind.lower()
                raise UnknownError(f"a layer of the kind {layer.kind[:40]}" + (", which is code" if code else ""))
            entries += LAYERS[layer.kind](layer.config)
            name = str(layer.config.get("name", layer.kind))
            tensors |= {f"{name}.{kind}": value for kind, value in _laid_out(layer, own).items()}
            if not inputs and "kernel" in own:
                inputs = own["kernel"].shape[3 if layer.kind == "Conv2DTranspose" else -2]
    except UnknownError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, RuntimeError) as error:
        raise UnknownError("settings that Keras does not write") from error
    return Listing(tuple(entries), inputs), tensors


def _layers(config: Any, path: str) -> Iterator[Layer]:
    """All layers in order, those of models inside it too; inputs are no layers."""
    if config["class_name"] not in CONTAINERS:
        raise UnknownError(f"a model of the kind {str(config['class_name'])[:40]}, which is code")
    inner = config["config"]
    listed = inner if isinstance(inner, list) else inner["layers"]
    if config["class_name"] != "Sequential":
        _check_chain(listed)
    counted: dict[str, int] = {}
    for one in listed:
        kind, own = str(one["class_name"]), one["config"]
        if kind == "InputLayer":
            continue
        short = _snake(kind)
        number = counted[short] = counted.get(short, -1) + 1
        here = f"{path}layers/{short}_{number}/" if number else f"{path}layers/{short}/"
        if kind in CONTAINERS:
            yield from _layers(one, here)
        else:
            yield Layer(kind, own, here)


def _snake(name: str) -> str:
    """As Keras names a class's weights: ``Conv2DTranspose`` is ``conv2d_transpose``."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _check_chain(layers: list[Any]) -> None:
    """Refuse a graph in which a layer takes anything but what the one before makes."""
    before = None
    for layer in layers:
        taken = set(_histories(layer.get("inbound_nodes", [])))
        if taken != ({before} if before is not None else set()):
            raise UnknownError("layers that are no chain (several inputs or branches)")
        before = layer["config"].get("name", layer.get("name"))


def _histories(value: Any) -> Iterator[str]:
    """The layers that a node takes, as Keras 3 (``keras_history``) and Keras 2 (``[name, 0, 0, {}]``) write them."""
    if isinstance(value, dict):
        if "keras_history" in value:
            yield str(value["keras_history"][0])
            return
        for part in value.values():
            yield from _histories(part)
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
            yield value[0]
            return
        for part in value:
            yield from _histories(part)


def _own(layer: Layer, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """A layer's weights by Keras' names."""
    kinds = [kind for kind in WEIGHTS.get(layer.kind, ()) if _has(layer.config, kind)]
    name = str(layer.config.get("name", ""))
    found = {}
    for number, kind in enumerate(kinds):
        older = layer.path.replace("layers/", "_layer_checkpoint_dependencies/")
        places = [f"{path}vars/{number}" for path in (layer.path, older)]
        ends = (f"/{name}/{kind}", f"/{name}/{kind}:0")
        named = [array for path, array in arrays.items() if path in places or path.endswith(ends)]
        if len(named) != 1:
            raise UnknownError(f"a layer {name[:40]!r} without its {kind}")
        found[kind] = named[0].to(torch.float32)
    return found


def _has(config: dict[str, Any], kind: str) -> bool:
    option = {"bias": "use_bias", "gamma": "scale", "beta": "center"}.get(kind)
    return option is None or bool(config.get(option, True))


def _laid_out(layer: Layer, own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in PyTorch's layout and order."""
    if layer.kind == "BatchNormalization":
        mean = own["moving_mean"]
        given = {"gamma": torch.ones_like(mean), "beta": torch.zeros_like(mean), **own}
        return {kind: given[kind] for kind in WEIGHTS[layer.kind]}
    made = {kind: value for kind, value in own.items() if kind != "kernel"}
    if "kernel" in own:
        kernel = own["kernel"]
        made = {"kernel": kernel.T if kernel.ndim == 2 else kernel.permute(3, 2, 0, 1), **made}
    return {kind: value.contiguous() for kind, value in made.items()}


# ---- one function for each kind of layer: its configuration to entries of a list ------------------------------------


def _only(config: dict[str, Any], what: str, **usual: Any) -> None:
    """Refuse settings with other than the usual value, or than one of a list of them."""
    for setting, value in usual.items():
        if setting not in config:
            continue
        given = tuple(config[setting]) if isinstance(config[setting], list) else config[setting]
        if given != value and not (isinstance(value, list) and given in value):
            raise UnknownError(f"{what} with {setting} {str(given)[:40]}")


def _square(config: dict[str, Any], setting: str) -> int:
    value = config[setting]
    sides = set(value) if isinstance(value, list) else {value}
    if len(sides) != 1 or not all(isinstance(side, int) for side in sides):
        raise UnknownError(f"{setting} {value}")
    return int(sides.pop())


def _activation(config: dict[str, Any]) -> list[Entry]:
    """The activation inside a layer."""
    given = config.get("activation") or "linear"
    name = given["config"] if isinstance(given, dict) and given.get("module") == "keras.activations" else given
    if isinstance(name, dict):
        name = name.get("name")
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise UnknownError(f"an activation {str(name)[:40]!r} that no list has")
    entry = ACTIVATIONS[name]
    return [] if entry is None else [entry]


def _dense(config: dict[str, Any]) -> list[Entry]:
    layer = {"type": "Linear", "out_features": config["units"], "bias": bool(config.get("use_bias", True))}
    return [layer, *_activation(config)]


def _conv(config: dict[str, Any]) -> list[Entry]:
    kind = "ConvTranspose2d" if "output_padding" in config else "Conv2d"
    _only(config, kind, data_format="channels_last", groups=1, dilation_rate=[(1, 1), 1], output_padding=None)
    sides = {"kernel_size": _square(config, "kernel_size"), "stride": _square(config, "strides")}
    if config["padding"] not in ("same", "valid"):
        raise UnknownError(f"padding {config['padding']}")
    if kind == "ConvTranspose2d" and sides["kernel_size"] < sides["stride"]:
        raise UnknownError("a transposed convolution whose kernel is smaller than its stride")
    padding = "same" if config["padding"] == "same" else 0
    bias = bool(config.get("use_bias", True))
    layer = {"type": kind, "out_channels": config["filters"], **sides, "padding": padding, "bias": bias}
    return [layer, *_activation(config)]


def _transposed(config: dict[str, Any]) -> list[Entry]:
    return _conv({"output_padding": None, **config})


def _batch_norm(config: dict[str, Any]) -> list[Entry]:
    _only(config, "BatchNormalization", axis=[-1, 1, 3, (1,), (3,)], synchronized=False)
    return [{"type": "BatchNorm", "eps": config["epsilon"], "momentum": round(1 - config["momentum"], 9)}]


def _leaky(config: dict[str, Any]) -> list[Entry]:
    slope = config.get("negative_slope", config.get("alpha", 0.3))
    return [{"type": "LeakyReLU", "negative_slope": round(float(slope), 7)}]  # Keras 2 keeps it as a float32


def _relu(config: dict[str, Any]) -> list[Entry]:
    _only(config, "ReLU", max_value=None, negative_slope=[0, 0.0], threshold=[0, 0.0])
    return ["ReLU"]


def _reshape(config: dict[str, Any]) -> list[Entry]:
    shape = list(config["target_shape"])
    if len(shape) == 1:
        return [{"type": "Flatten", "order": "channels-last"}]
    height, width, channels = (*shape, 1) if len(shape) == 2 else shape
    return [{"type": "Unflatten", "unflattened_size": [channels, height, width], "order": "channels-last"}]


def _flatten(config: dict[str, Any]) -> list[Entry]:
    _only(config, "Flatten", data_format="channels_last")
    return [{"type": "Flatten", "order": "channels-last"}]


def _dropout(config: dict[str, Any]) -> list[Entry]:
    _only(config, "Dropout", noise_shape=None)
    return [{"type": "Dropout", "p": config["rate"]}]


def _upsample(config: dict[str, Any]) -> list[Entry]:
    _only(config, "UpSampling2D", data_format="channels_last", interpolation=["nearest", "bilinear"])
    mode = config.get("interpolation", "nearest")
    return [{"type": "Upsample", "scale_factor": _square(config, "size"), "mode": mode}]


def _pool(kind: str) -> Callable[[dict[str, Any]], list[Entry]]:
    def made(config: dict[str, Any]) -> list[Entry]:
        _only(config, kind, data_format="channels_last", padding="valid")
        return [{"type": kind, "kernel_size": _square(config, "pool_size"), "stride": _square(config, "strides")}]

    return made


LAYERS: dict[str, Callable[[dict[str, Any]], list[Entry]]] = {
    "Dense": _dense,
    "Conv2D": _conv,
    "Conv2DTranspose": _transposed,
    "BatchNormalization": _batch_norm,
    "LeakyReLU": _leaky,
    "ReLU": _relu,
    "ELU": lambda config: [{"type": "ELU", "alpha": float(config.get("alpha", 1.0))}],
    "Activation": _activation,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Dropout": _dropout,
    "SpatialDropout2D": lambda config: [{"type": "Dropout2d", "p": config["rate"]}],
    "UpSampling2D": _upsample,
    "MaxPooling2D": _pool("MaxPool2d"),
    "AveragePooling2D": _pool("AvgPool2d"),
}
