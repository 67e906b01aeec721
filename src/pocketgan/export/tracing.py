"""Networks traced by PyTorch: `torch.export` programs, and ONNX graphs made from them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pocketgan.core.errors import PocketganError
from pocketgan.core.rng import BLOCK
from pocketgan.export.graphs import Equality, Graph, equality

if TYPE_CHECKING:
    import onnx

TRACED = 2  # rows that a network is traced with; the batch of the file is free
OPSET = 20  # of ONNX; onnxruntime reads it since 1.17
FEWEST_QUANTISED = 2048  # numbers in a weight that is worth it
MOST_READ_OTHERWISE = 10  # of 1,000 quantised images that the guide may read otherwise
ABOUT = "pocketgan.json"  # what the metadata are called in a .pt2 file


@contextmanager
def _calm() -> Iterator[None]:
    """Keep PyTorch's exporters from warning of what does not concern a user."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registration.setLevel(level)


def traced(graph: Graph) -> torch.export.ExportedProgram:
    """A network as a `torch.export` program with a free batch.

    Raises
    ------
    PocketganError
        PyTorch cannot trace it, as may be with a user's own code.
    """
    inputs = {name: value[:TRACED] for name, value in graph.inputs.items()}
    batch = torch.export.Dim("batch", min=1)
    try:
        with _calm(), torch.no_grad():
            return torch.export.export(
                graph.module, (), kwargs=inputs, dynamic_shapes={name: {0: batch} for name in inputs}
            )
    except Exception as error:  # whatever a user's code raises under tracing
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise PocketganError(
            f"the {graph.name} cannot be traced by torch.export ({reason}); in its forward write x.shape[0] for "
            "len(x), and leave out branches that depend on values"
        ) from error


def write_program(graph: Graph, program: torch.export.ExportedProgram, path: Path) -> Equality:
    """Write a `.pt2` file, load it, and compare its answers with ours.

    Raises
    ------
    PocketganError
        They differ too much.
    """
    with _calm(), torch.no_grad():
        torch.export.save(program, path, extra_files={ABOUT: json.dumps(graph.metadata, indent=2)})
        module = torch.export.load(path).module()
        return _compared(graph, path, lambda inputs: module(**inputs))


def onnx_model(graph: Graph, program: torch.export.ExportedProgram) -> onnx.ModelProto:
    """An ONNX model with inputs and output by name, a free batch, and the metadata."""
    import onnx

    with _calm():
        made = torch.onnx.export(
            program, dynamo=True, output_names=[graph.output], opset_version=OPSET, external_data=False, verbose=False
        )
    assert made is not None, "the new exporter gives a program"
    model: onnx.ModelProto = made.model_proto
    assert [value.name for value in model.graph.input] == list(graph.inputs), "inputs keep their names"
    del model.graph.value_info[:]  # shapes in between, which every program finds again
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    model.producer_name, model.producer_version = "pocketgan", graph.metadata["pocketgan"]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, graph.metadata)
    onnx.checker.check_model(model)
    return model


def write_onnx(graph: Graph, model: onnx.ModelProto, path: Path) -> Equality:
    """Write an ONNX file, run it by onnxruntime, and compare its answers with ours.

    Raises
    ------
    PocketganError
        They differ too much.
    """
    path.write_bytes(model.SerializeToString())
    return _compared(graph, path, runner(path))


def runner(path: Path) -> Callable[[dict[str, Tensor]], Tensor]:
    """A function that runs an ONNX file on the CPU: inputs by name to its output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, Tensor]) -> Tensor:
        (given,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        return torch.from_numpy(given)

    return run


def _compared(graph: Graph, path: Path, run: Callable[[dict[str, Tensor]], Tensor]) -> Equality:
    found = equality(graph.answers, answers(graph, run))
    if not found.holds:
        raise PocketganError(
            f"{path.name} does not give what pocketgan gives ({found.words}), so nothing was written; "
            "other versions of torch and onnxruntime may do"
        )
    return found


def answers(graph: Graph, run: Callable[[dict[str, Tensor]], Tensor]) -> Tensor:
    """What a file answers to all inputs, in batches."""
    count = len(graph.answers)
    parts = [
        run({name: value[begin : begin + BLOCK] for name, value in graph.inputs.items()})
        for begin in range(0, count, BLOCK)
    ]
    return torch.cat(parts)


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with its large weights in 8 bits, a scale for each output channel; sums stay in float32."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    small = onnx.ModelProto()
    small.CopyFrom(model)
    axes = _channel_axes(small)
    kept, nodes = [], []
    for tensor in small.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if tensor.name not in axes or weights.dtype != np.float32 or weights.size < FEWEST_QUANTISED:
            kept.append(tensor)
            continue
        axis = axes[tensor.name]
        others = tuple(other for other in range(weights.ndim) if other != axis)
        scale = np.maximum(np.abs(weights).max(axis=others), 1e-12) / 127
        shape = [-1 if other == axis else 1 for other in range(weights.ndim)]
        rounded = np.clip(np.round(weights / scale.reshape(shape)), -127, 127).astype(np.int8)
        names = [f"{tensor.name}_int8", f"{tensor.name}_scale"]
        kept += [
            numpy_helper.from_array(rounded, names[0]),
            numpy_helper.from_array(scale.astype(np.float32), names[1]),
        ]
        nodes.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis))
    operations = [*nodes, *small.graph.node]
    del small.graph.initializer[:], small.graph.node[:]
    small.graph.initializer.extend(kept)
    small.graph.node.extend(operations)
    onnx.checker.check_model(small)
    return small


def _channel_axes(model: onnx.ModelProto) -> dict[str, int]:
    """The axis of the output channels of each weight, by its name."""
    axes: dict[str, int] = {}
    for node in model.graph.node:
        attributes: dict[str, Any] = {attribute.name: attribute.i for attribute in node.attribute}
        place = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gemm": 0 if attributes.get("transB") else 1}
        if node.op_type in place and len(node.input) > 1:
            axes[node.input[1]] = place[node.op_type]
        elif node.op_type == "Gather":
            axes[node.input[0]] = 0
    return axes
