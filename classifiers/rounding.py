"""Weights rounded to 8 bits so that what a layer answers stays, which is more than to round each one to the nearest.

Weight after weight is rounded, and what that changes in the layer's outputs is taken up by those that are still free,
the bias last (Frantar et al. 2022, GPTQ; by the second moments of the layer's inputs). So the outputs keep their means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from classifiers.stats import Floats

TOP: Final = 127
_SHRINKS: Final = np.linspace(1.0, 0.6, 21)
_DAMPING: Final = 0.01
"""Added to the moments as a share of their mean: what few pictures show of rare inputs is believed only so far."""


@dataclass(frozen=True, slots=True)
class Rounded:
    """A layer's weights in 8 bits.

    Attributes:
        numbers: -127 to 127, shaped as the weights.
        scales: one for each output, along `axis` of the weights.
        bias: that fits them, or None where the layer has no place for one.
    """

    numbers: NDArray[np.int8]
    scales: NDArray[np.float32]
    axis: int
    bias: Floats | None


def attributes(node: NodeProto) -> dict[str, Any]:
    """The attributes of a node by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def columns(
    node: NodeProto, shown: NDArray[np.float32], weights: NDArray[np.float32], most: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """What the weights of a layer see of its input, at up to `most` places: float32 [groups, P, K]."""
    if node.op_type != "Conv":
        rows = shown.reshape(1, -1, shown.shape[-1])
        return rows[:, rng.permutation(rows.shape[1])[:most]]
    options = attributes(node)
    groups, (high, wide) = options.get("group", 1), weights.shape[2:]
    top, left, bottom, right = options.get("pads", (0, 0, 0, 0))
    steps, gaps = options.get("strides", (1, 1)), options.get("dilations", (1, 1))
    padded = np.pad(shown, ((0, 0), (0, 0), (top, bottom), (left, right)))
    count, channels = padded.shape[:2]
    sides = [
        (padded.shape[2 + i] - (side - 1) * gaps[i] - 1) // steps[i] + 1 for i, side in enumerate((high, wide))
    ]  # fmt: skip
    chosen = rng.permutation(count * sides[0] * sides[1])[:most]
    picture, y, x = np.unravel_index(chosen, (count, *sides))
    down = (y * steps[0])[:, None] + np.arange(high) * gaps[0]
    along = (x * steps[1])[:, None] + np.arange(wide) * gaps[1]
    seen = padded[picture[:, None, None], :, down[:, :, None], along[:, None, :]]  # [P, high, wide, channels]
    seen = seen.transpose(3, 0, 1, 2).reshape(groups, channels // groups, len(chosen), high * wide)
    return seen.transpose(0, 2, 1, 3).reshape(groups, len(chosen), -1)


def moments(seen: NDArray[np.float32]) -> Floats:
    """Sums of products of what the weights see, and of a one for the bias: float64 [groups, K + 1, K + 1]."""
    full = np.concatenate((seen, np.ones((*seen.shape[:2], 1), dtype=np.float32)), axis=2)
    found: Floats = (np.ascontiguousarray(full.transpose(0, 2, 1)) @ full).astype(np.float64)
    return found


def rounded(node: NodeProto, weights: NDArray[np.float32], bias: NDArray[np.float32] | None, seen: Floats) -> Rounded:
    """The layer in 8 bits, one scale an output; `seen` are the moments of its inputs, in any unit."""
    turned = node.op_type == "MatMul" or (node.op_type == "Gemm" and not attributes(node).get("transB", 0))
    flat = (weights.T if turned else weights).reshape(len(seen), -1, seen.shape[1] - 1).astype(np.float64)
    first = np.zeros(flat.shape[:2]) if bias is None else bias.astype(np.float64).reshape(flat.shape[:2])
    if node.op_type == "MatMul":
        seen = seen[:, :-1, :-1]
        numbers, scales, _ = compensated(flat, None, seen)
        last = None
    else:
        numbers, scales, last = compensated(flat, first, seen)
    shaped = numbers.reshape(weights.T.shape).T if turned else numbers.reshape(weights.shape)
    return Rounded(
        np.ascontiguousarray(shaped.astype(np.int8)), scales.ravel().astype(np.float32), int(turned),
        None if last is None else last.ravel(),
    )  # fmt: skip


def compensated(weights: Floats, bias: Floats | None, seen: Floats) -> tuple[Floats, Floats, Floats | None]:
    """Whole numbers [G, O, K], scales [G, O] and bias [G, O] for weights [G, O, K] and moments [G, K (+ 1), K (+ 1)].

    >>> numbers, scales, _ = compensated(np.array([[[1.0, -0.5]]]), None, np.eye(2)[None])
    >>> numbers.tolist(), round(float(scales[0, 0]) * 127, 3)
    ([[[127.0, -64.0]]], 1.0)
    """
    width = weights.shape[2]
    diagonal = np.diagonal(seen, axis1=1, axis2=2)
    weight_mean = np.maximum(diagonal[:, :width].mean(1), 1e-12)
    damped = seen + np.eye(seen.shape[1]) * (_DAMPING * weight_mean)[:, None, None]
    scales = _scales(weights, np.diagonal(damped, axis1=1, axis2=2)[:, None, :width])
    # The inputs that matter most come first, while all others are free; the bias, if there is one, comes last.
    order = np.argsort(-diagonal[:, :width], axis=1, kind="stable")
    if bias is not None:
        order = np.concatenate((order, np.full((len(order), 1), width)), axis=1)
        weights = np.concatenate((weights, bias[:, :, None]), axis=2)
    sorted_moments = np.take_along_axis(np.take_along_axis(damped, order[:, :, None], 1), order[:, None, :], 2)
    upper = np.linalg.cholesky(np.linalg.inv(sorted_moments)).transpose(0, 2, 1)
    free = np.take_along_axis(weights, order[:, None, :], axis=2)
    numbers = np.empty((*free.shape[:2], width))
    for i in range(width):
        numbers[:, :, i] = np.clip(np.round(free[:, :, i] / scales), -TOP, TOP)
        missed = (free[:, :, i] - numbers[:, :, i] * scales) / upper[:, None, i, i]
        free[:, :, i + 1 :] -= missed[:, :, None] * upper[:, None, i, i + 1 :]
    back = np.argsort(order[:, :width], axis=1)
    unsorted: Floats = np.take_along_axis(numbers, back[:, None, :], axis=2)
    return unsorted, scales, None if bias is None else free[:, :, width]


def _scales(weights: Floats, importance: Floats) -> Floats:
    """For each output the scale whose nearest numbers miss its weights least, weighted: [G, O]."""
    largest = np.maximum(np.abs(weights).max(axis=2), 1e-12)
    best, found = np.full(largest.shape, np.inf), np.array(largest / TOP)
    for shrink in _SHRINKS:
        tried = largest * shrink / TOP
        near = np.clip(np.round(weights / tried[:, :, None]), -TOP, TOP) * tried[:, :, None]
        missed = ((weights - near) ** 2 * importance).sum(axis=2)
        better = missed < best
        best[better], found[better] = missed[better], tried[better]
    return found
