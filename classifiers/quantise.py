"""A network in int8 (static, QDQ): weights rounded by what they do, activations by their ranges, some layers in float.

    x > QuantizeLinear > DequantizeLinear > Conv (weights int8 > DequantizeLinear, bias int32) > Clip > QuantizeLinear

ONNX Runtime makes integer kernels of it. A range is taken behind the ReLU or clip that follows a layer, never before
it: what goes into a ReLU6 is often ten times as wide as what comes out, and nothing of the rest is ever used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from classifiers.data import Pictures
from classifiers.rounding import Rounded, attributes, columns, moments, rounded
from classifiers.runtime import session
from classifiers.stats import Floats

CALIBRATION: Final = 200
_BATCH: Final = 8
_PLACES: Final = 240
_JUDGED: Final = 48
_MOST_FLOAT: Final = 16
"""Pictures that ranges and moments come from; of each batch so many places of a layer; pictures that tell how much a
tensor's 8 bits disturb; and how many tensors may stay in float before it is given up."""

_CUTS: Final = (1.0, 0.85, 0.7)
_WEIGHTED: Final = frozenset({"Conv", "Gemm", "MatMul"})


@dataclass(frozen=True, slots=True)
class Site:
    """A node to be computed in integers: what it reads and, behind its activation, what it gives."""

    node: NodeProto
    inputs: tuple[str, ...]
    output: str

    @property
    def tensors(self) -> tuple[str, ...]:
        """All activations that must be in 8 bits for it."""
        return (*self.inputs, self.output)


@dataclass(frozen=True, slots=True)
class Measured:
    """What calibration found: the range of every activation, the weights of every layer in 8 bits."""

    ranges: Mapping[str, tuple[float, float]]
    layers: Mapping[str, Rounded]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network in int8, and the layers that stayed in float."""

    model: onnx.ModelProto
    left_float: tuple[str, ...]


def candidates(model: onnx.ModelProto, pictures: Pictures) -> Iterator[Candidate]:
    """The network in int8; then with ranges that are fitted; then, one after the other, with ever more layers in float.

    Those come first whose 8 bits disturb the logits of training pictures most. `pictures` are the training side:
    nothing else decides on ranges, weights or the order.
    """
    rows = np.random.default_rng(0).permutation(len(pictures))
    measured = measure(model, _batches(pictures, rows[:CALIBRATION]))
    found = sites(model)
    yield _candidate(model, measured, found, frozenset())
    judged = rows[CALIBRATION : CALIBRATION + _JUDGED] if len(rows) > CALIBRATION + _BATCH else rows[:_JUDGED]
    shown = [part["pixels"] for part in _batches(pictures, judged)]
    disturbance = Disturbance(model, shown)
    measured, noise = disturbance.fitted(measured)
    yield _candidate(model, measured, found, frozenset())
    left: frozenset[str] = frozenset()
    for tensor in worst_first(disturbance, measured, noise, found)[:_MOST_FLOAT]:
        left |= {tensor}
        yield _candidate(model, measured, found, left)


def _candidate(model: onnx.ModelProto, measured: Measured, found: list[Site], left: frozenset[str]) -> Candidate:
    names = tuple(site.node.name for site in found if left & set(site.tensors))
    activations = [tensor for tensor in measured.ranges if tensor not in left]
    layers = [name for name in measured.layers if name not in names]
    return Candidate(built(model, measured, activations, layers), names)


def ready_on_cpu(model: onnx.ModelProto) -> Any:  # noqa: ANN401 - without types
    """A session of a network, with as many threads as torch has."""
    return session(model.SerializeToString(), threads=torch.get_num_threads())


def sites(model: onnx.ModelProto) -> list[Site]:
    """Convolutions, dense layers and sums of two activations that can be computed in integers."""
    graph = model.graph
    constant = {entry.name: len(entry.dims) for entry in graph.initializer}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        if _weighted(node, constant):
            inputs: tuple[str, ...] = (node.input[0],)
        elif node.op_type == "Add" and not constant.keys() & set(node.input):
            inputs = tuple(node.input)
        else:
            continue
        output, after = node.output[0], readers.get(node.output[0], [])
        if len(after) == 1 and after[0].op_type in {"Relu", "Clip"}:
            output = after[0].output[0]
        found.append(Site(node, inputs, output))
    return found


def _weighted(node: NodeProto, constant: Mapping[str, int]) -> bool:
    """Whether it is a layer of the common kind with constant weights; `constant` are dimensions by name."""
    if node.op_type not in _WEIGHTED or node.input[0] in constant:
        return False
    if constant.get(node.input[1]) != (4 if node.op_type == "Conv" else 2):
        return False
    if len(node.input) > 2 and node.input[2] and node.input[2] not in constant:
        return False
    options = attributes(node)
    plain = options.get("auto_pad", b"NOTSET") == b"NOTSET" and not options.get("transA", 0)
    return plain and options.get("alpha", 1.0) == options.get("beta", 1.0) == 1.0


def _batches(pictures: Pictures, rows: NDArray[np.int64]) -> Iterator[dict[str, NDArray[np.float32]]]:
    for start in range(0, len(rows), _BATCH):
        part = pictures.pixels[np.sort(rows[start : start + _BATCH])]
        yield {"pixels": part.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)}


def measure(model: onnx.ModelProto, batches: Iterator[dict[str, NDArray[np.float32]]]) -> Measured:
    """Show the network pictures, and see what goes through it."""
    found = sites(model)
    outputs = {entry.name for entry in model.graph.output}
    tensors = [t for t in dict.fromkeys(t for site in found for t in site.tensors) if t not in outputs]
    weights = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    layers = [site.node for site in found if site.node.op_type in _WEIGHTED]
    ranges, seen = dict.fromkeys(tensors, (0.0, 0.0)), dict[str, Floats]()
    rng = np.random.default_rng(0)
    for values in _observed(model, tensors, batches):
        for name in tensors:
            low, high = ranges[name]
            ranges[name] = min(low, float(values[name].min())), max(high, float(values[name].max()))
        for node in layers:
            part = moments(columns(node, values[node.input[0]], weights[node.input[1]], _PLACES, rng))
            seen[node.name] = seen[node.name] + part if node.name in seen else part
    small = {}
    for node in layers:
        bias = weights[node.input[2]] if len(node.input) > 2 and node.input[2] else None
        small[node.name] = rounded(node, weights[node.input[1]], bias, seen.pop(node.name))
    return Measured(ranges, small)


def _observed(
    model: onnx.ModelProto, tensors: Sequence[str], batches: Iterator[dict[str, NDArray[np.float32]]]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """The values of tensors for every batch."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    given = {entry.name for entry in model.graph.input}
    asked = [name for name in tensors if name not in given]
    opened.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in asked)
    ready = ready_on_cpu(opened)
    for batch in batches:
        yield {**batch, **dict(zip(asked, ready.run(asked, batch), strict=True))}


class Disturbance:
    """How much the logits of some pictures [N, 3, S, S] change where a part of the network is in 8 bits."""

    def __init__(self, model: onnx.ModelProto, shown: Sequence[NDArray[np.float32]]) -> None:
        self._model, self._shown = model, shown
        self._whole = self._logits(model)

    def _logits(self, model: onnx.ModelProto) -> Floats:
        ready = ready_on_cpu(model)
        logits = np.concatenate([ready.run(None, {"pixels": part})[0] for part in self._shown]).astype(np.float64)
        centred: Floats = logits - logits.mean(1, keepdims=True)
        return centred

    def of(self, measured: Measured, activations: Sequence[str] = (), layers: Sequence[str] = ()) -> float:
        """Mean square of the change with these activations and layers in 8 bits."""
        changed = self._logits(built(self._model, measured, activations, layers))
        return float(((changed - self._whole) ** 2).mean())

    def fitted(self, measured: Measured) -> tuple[Measured, dict[str, float]]:
        """Ranges that disturb least, and by how much each does alone.

        Outliers make the steps of signed activations wide; it may cost less to cut them off.
        """
        ranges, noise = dict(measured.ranges), dict[str, float]()
        for name, (low, high) in measured.ranges.items():
            for shrink in _CUTS if low < 0 else _CUTS[:1]:
                tried = {name: (low * shrink, high * shrink)}
                found = self.of(Measured(tried, {}), [name])
                if found < noise.get(name, np.inf):
                    noise[name], ranges[name] = found, tried[name]
        return Measured(ranges, measured.layers), noise


def worst_first(
    disturbance: Disturbance, measured: Measured, noise: Mapping[str, float], found: Sequence[Site]
) -> list[str]:
    """Activations in the order in which they had best stay in float.

    What counts is what their 8 bits disturb alone, and those of the weights beside them, which stay in float with them.
    """
    of_layer = {name: disturbance.of(measured, layers=[name]) for name in measured.layers}
    order: list[str] = []
    while len(order) < len(noise):
        gains = {
            tensor: alone + sum(of_layer.get(site.node.name, 0.0) for site in found if tensor in site.tensors)
            for tensor, alone in noise.items()
            if tensor not in order
        }
        order.append(max(gains, key=lambda tensor: gains[tensor]))
        for site in found:
            if order[-1] in site.tensors:
                of_layer.pop(site.node.name, None)
    return order


def built(
    model: onnx.ModelProto, measured: Measured, activations: Collection[str], layers: Collection[str]
) -> onnx.ModelProto:
    """The network with these activations and the weights of these layers in 8 bits, all else as it was."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph, constants, nodes = made.graph, list[TensorProto](), list[NodeProto]()
    scales: dict[str, np.float32] = {}
    pairs = {name: _pair(name, measured.ranges[name], constants, scales) for name in activations}
    for entry in graph.input:
        nodes += pairs.get(entry.name, [])
    for node in graph.node:
        read = node.input[0]
        node.input[:] = [f"{name}_dequantised" if name in pairs else name for name in node.input]
        if node.name in layers:
            nodes += _in_integers(node, measured.layers[node.name], scales.get(read), constants)
        nodes.append(node)
        for name in node.output:
            nodes += pairs.get(name, [])
    kept = _copies(nodes)
    used = {name for node in kept for name in node.input}
    tensors = [entry for entry in (*_copies(graph.initializer), *constants) if entry.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensors)
    return made


def _copies(messages: Any) -> list[Any]:  # noqa: ANN401 - protobuf has no common base
    """Copies that outlive the list they were in."""
    found = []
    for message in messages:
        copied = type(message)()
        copied.CopyFrom(message)
        found.append(copied)
    return found


def _pair(
    name: str, limits: tuple[float, float], constants: list[TensorProto], scales: dict[str, np.float32]
) -> list[NodeProto]:
    """An activation to uint8 and back."""
    low, high = limits
    scales[name] = scale = np.float32(max((high - low) / 255, 1e-12))
    zero = np.array(int(np.clip(round(-low / float(scale)), 0, 255)), dtype=np.uint8)
    constants += [
        numpy_helper.from_array(np.array(scale), f"{name}_scale"), numpy_helper.from_array(zero, f"{name}_zero"),
    ]  # fmt: skip
    by = [f"{name}_scale", f"{name}_zero"]
    return [
        helper.make_node("QuantizeLinear", [name, *by], [f"{name}_small"], name=f"{name}_quantise"),
        helper.make_node("DequantizeLinear", [f"{name}_small", *by], [f"{name}_dequantised"], name=f"{name}_back"),
    ]


def _in_integers(
    node: NodeProto, small: Rounded, input_scale: np.float32 | None, constants: list[TensorProto]
) -> list[NodeProto]:
    """Give a layer its weights in int8 and its bias: in int32 where its input is in 8 bits, else as a float."""
    before = []

    def constant(name: str, numbers: NDArray[Any], by: NDArray[np.float32], axis: int) -> str:
        names = [f"{node.name}_{name}{part}" for part in ("", "_scale", "_zero")]
        values = (numbers, by, np.zeros(len(by), dtype=numbers.dtype))
        constants.extend(numpy_helper.from_array(value, entry) for value, entry in zip(values, names, strict=True))
        output = f"{names[0]}_back"
        before.append(helper.make_node("DequantizeLinear", names, [output], name=f"{output}_node", axis=axis))
        return output

    node.input[1] = constant("weight", small.numbers, small.scales, small.axis)
    if small.bias is None:
        return before
    if input_scale is None:
        bias = f"{node.name}_bias"
        constants.append(numpy_helper.from_array(small.bias.astype(np.float32), bias))
    else:
        by = (input_scale * small.scales).astype(np.float32)
        whole = np.clip(np.round(small.bias / by), -(2**31) + 1, 2**31 - 1).astype(np.int32)
        bias = constant("bias", whole, by, 0)
    node.input[:] = [*node.input[:2], bias]
    return before
