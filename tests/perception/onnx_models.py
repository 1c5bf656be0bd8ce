"""Tiny ONNX models with known output, built where a test needs a real session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 32


def constant_model(
    output,
    *,
    side=SIDE,
    batch=1,
    input_shape=None,
    input_type=TensorProto.FLOAT,
    metadata=None,
):
    """A network that adds the mean of its picture times zero to a constant: `output` whatever is shown.

    `output` is (rows, columns); with `batch` a name the batch is dynamic.
    """
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Squeeze", ["nothing", "last"], ["thin"]),
        helper.make_node("Add", ["thin", "boxes"], ["output"]),
    ]
    output = np.asarray(output, np.float32)
    constants = {"zero": np.float32(0.0), "boxes": output[None], "last": np.array([3])}
    return _model(nodes, constants, input_shape or [batch, 3, side, side], input_type, [batch, *output.shape], metadata)


def brightness_model(*, side=SIDE, batch="batch", metadata=None):
    """An end-to-end network of one box a picture, whose left edge is the first pixel's first channel of the tensor."""
    nodes = [
        helper.make_node("Slice", ["images", "from", "to", "axes"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "shape"], ["left"]),
        helper.make_node("Mul", ["left", "first"], ["lefts"]),
        helper.make_node("Add", ["lefts", "rest"], ["output"]),
    ]
    constants = {
        "from": np.array([0, 0, 0]),
        "to": np.array([1, 1, 1]),
        "axes": np.array([1, 2, 3]),
        "shape": np.array([-1, 1, 1]),
        "first": np.array([[[1, 0, 0, 0, 0, 0]]], np.float32),
        "rest": np.array([[[0, 1, 30, 31, 0.9, 0]]], np.float32),
    }
    return _model(nodes, constants, [batch, 3, side, side], TensorProto.FLOAT, [batch, 1, 6], metadata)


def _model(nodes, constants, input_shape, input_type, output_shape, metadata):
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", input_type, input_shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, output_shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    return model


def own_metadata(**changes):
    """Our own keys for an end-to-end head; a value of None leaves the key out."""
    keys = {
        "name": "tiny", "head": "end_to_end", "channels": "rgb", "pixel_max": "255", "letterbox": "center",
        "classes": '["person", "dog"]', "licence": "Apache-2.0",
    } | changes  # fmt: skip
    return {f"railwatch.{key}": value for key, value in keys.items() if value is not None}


def ultralytics_metadata(side=SIDE, **changes):
    """What an Ultralytics export writes; a value of None leaves the key out."""
    keys = {
        "task": "detect", "names": "{0: 'person', 1: 'dog'}", "imgsz": f"[{side}, {side}]", "stride": "32",
        "channels": "3", "end2end": "False", "args": "{'batch': 1, 'nms': False}", "license": "AGPL-3.0",
    } | changes  # fmt: skip
    return {key: value for key, value in keys.items() if value is not None}


def save(model, path: Path, **options) -> Path:
    """Write the model and return its path."""
    onnx.save(model, str(path), **options)
    return path


def presence_model(*, side=SIDE, metadata=None):
    """An end-to-end network that sees one upright person in the middle, as surely as the first pixel is bright."""
    nodes = [
        helper.make_node("Slice", ["images", "from", "to", "axes"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "shape"], ["bright"]),
        helper.make_node("Mul", ["bright", "score"], ["scores"]),
        helper.make_node("Add", ["scores", "rest"], ["output"]),
    ]
    middle = [0.4 * side, 0.3 * side, 0.6 * side, 0.8 * side, 0, 0]
    constants = {
        "from": np.array([0, 0, side // 2, side // 2]),
        "to": np.array([1, 1, side // 2 + 1, side // 2 + 1]),
        "axes": np.array([0, 1, 2, 3]),
        "shape": np.array([-1, 1, 1]),
        "score": np.array([[[0, 0, 0, 0, 0.98, 0]]], np.float32),
        "rest": np.array([[middle]], np.float32),
    }
    return _model(nodes, constants, [1, 3, side, side], TensorProto.FLOAT, [1, 1, 6], metadata)
