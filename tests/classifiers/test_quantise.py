"""Networks in int8: ranges behind the activation, weights rounded by what they do, layers in float, and the gate."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from classifiers import export as exporting
from classifiers import graph, quantise, rounding
from classifiers.data import Pictures
from classifiers.runtime import session

SIDE = 16


class Mobile(nn.Module):
    """Pointwise and depthwise convolutions behind ReLU6, a sum, a dense layer: the parts of EfficientNet-Lite."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.flat = nn.Conv2d(8, 8, 1)
        self.output = nn.Linear(8, 3)
        with torch.no_grad():
            self.stem.weight.mul_(30)  # far more goes into the ReLU6 than comes out

    def forward(self, x):
        x = functional.relu6(self.stem(x))
        x = x + self.flat(functional.relu6(self.deep(x)))
        return self.output(x.mean((2, 3)))


@pytest.fixture(scope="module")
def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Mobile()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 4, 4, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    pictures = Pictures(pixels, np.arange(60, dtype=np.int64) % 3, tuple(map(str, range(60))))
    return graph.core(network, SIDE), pictures


def shown(pictures):
    return pictures.pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def logits(model, pictures):
    return session(model.SerializeToString()).run(None, {"pixels": shown(pictures)})[0]


def disturbed(model, candidate, pictures):
    return float(np.abs(logits(candidate, pictures) - logits(model, pictures)).max())


def test_int8_answers_nearly_as_float_and_all_its_layers_are_in_integers(small):
    model, pictures = small
    first = next(quantise.candidates(model, pictures))
    assert first.left_float == ()
    whole = logits(model, pictures)
    assert np.abs(logits(first.model, pictures) - whole).max() < 0.03 * np.abs(whole).max()
    constants = {entry.name: numpy_helper.to_array(entry) for entry in first.model.graph.initializer}
    back = {node.output[0]: node.input[0] for node in first.model.graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in first.model.graph.node if node.op_type in {"Conv", "Gemm"}]
    assert len(layers) == 4
    for node in layers:
        assert constants[back[node.input[1]]].dtype == np.int8
        assert constants[back[node.input[2]]].dtype == np.int32
        assert node.input[0] in back


def test_ranges_are_taken_behind_the_activation(small):
    model, pictures = small
    measured = quantise.measure(model, iter([{"pixels": shown(pictures)}]))
    clipped = {node.output[0] for node in model.graph.node if node.op_type == "Clip"}
    assert len(clipped & measured.ranges.keys()) == 2
    assert all(measured.ranges[name][1] <= 6 for name in clipped)
    before = {node.input[0] for node in model.graph.node if node.op_type == "Clip"}
    assert not before & measured.ranges.keys()


def test_more_and_more_is_left_in_float_until_nothing_is_lost(small):
    model, pictures = small
    found = list(quantise.candidates(model, pictures))
    counts = [len(candidate.left_float) for candidate in found]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert set(found[-1].left_float) == {site.node.name for site in quantise.sites(model)}
    assert disturbed(model, found[-1].model, pictures) < 1e-4
    assert disturbed(model, found[0].model, pictures) > 1e-4


def test_an_export_leaves_only_as_much_in_float_as_its_gate_asks(small, monkeypatch):
    model, pictures = small
    # The labels are the network's own answers: whatever flips is lost.
    judged = logits(model, pictures).astype(np.float64)
    labelled = Pictures(pictures.pixels, judged.argmax(1), pictures.paths)

    class Both:
        train = validation = labelled

    parts = [
        quantise.Candidate(broken(model), ()),
        quantise.Candidate(model, ("a",)),
        quantise.Candidate(model, ("a", "b")),
    ]
    monkeypatch.setattr(exporting.quantise, "candidates", lambda *_: iter(parts))
    assert exporting.quantised(model, Both(), judged) is parts[1]
    monkeypatch.setattr(exporting.quantise, "candidates", lambda *_: iter(parts[:1]))
    assert exporting.quantised(model, Both(), judged) is parts[0]  # the gate of the export refuses it


def broken(model):
    """The network with its answers turned round."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    output = changed.graph.node[-1].input[1]
    for entry in changed.graph.initializer:
        if entry.name == output:
            entry.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(entry), output))
    return changed


@pytest.mark.parametrize(
    ("groups", "stride", "padding", "dilation"), [(1, 1, 0, 1), (1, 2, 1, 1), (4, 1, 1, 1), (2, 1, 2, 2)]
)
def test_columns_times_weights_are_the_convolution(groups, stride, padding, dilation):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 7, 9)).astype(np.float32)
    weights = rng.normal(size=(8, 4 // groups, 3, 2)).astype(np.float32)
    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], group=groups, strides=[stride] * 2, pads=[padding] * 4, dilations=[dilation] * 2
    )
    seen = rounding.columns(node, x, weights, 10_000, np.random.default_rng(0))
    expected = functional.conv2d(
        torch.from_numpy(x), torch.from_numpy(weights), None, stride, padding, dilation, groups
    ).numpy()  # fmt: skip
    found = seen @ weights.reshape(groups, 8 // groups, -1).transpose(0, 2, 1)
    assert found.shape[1] == expected.size // 8
    np.testing.assert_allclose(
        np.sort(np.concatenate(list(found), axis=1), axis=0),
        np.sort(expected.transpose(0, 2, 3, 1).reshape(-1, 8), axis=0), rtol=1e-4, atol=1e-4,
    )  # fmt: skip


def test_weights_rounded_together_disturb_less_than_each_to_the_nearest():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(32, 32)) * np.geomspace(3, 0.1, 32)[:, None]
    seen = np.maximum(rng.normal(size=(1, 4000, 32)) @ mixed, 0).astype(np.float32)
    weights, bias = rng.normal(size=(16, 32)).astype(np.float32), np.zeros(16, dtype=np.float32)
    node = onnx.helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    small = rounding.rounded(node, weights, bias, rounding.moments(seen))
    nearest_scale = np.abs(weights).max(1, keepdims=True) / rounding.TOP
    nearest = np.round(weights / nearest_scale) * nearest_scale
    whole = seen[0] @ weights.T
    together = seen[0] @ (small.numbers * small.scales[:, None]).T + small.bias
    alone = seen[0] @ nearest.T
    assert ((together - whole) ** 2).mean() < 0.5 * ((alone - whole) ** 2).mean()
    assert np.abs((together - whole).mean(0)).max() < 0.1 * np.abs((alone - whole).mean(0)).max()
    assert np.abs(small.numbers).max() <= rounding.TOP


def test_a_product_of_matrices_is_rounded_along_its_columns():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 4)).astype(np.float32)
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    seen = rounding.moments(rng.normal(size=(1, 500, 6)).astype(np.float32))
    small = rounding.rounded(node, weights, None, seen)
    assert (small.axis, small.bias, small.numbers.shape) == (1, None, (6, 4))
    assert np.abs(small.numbers * small.scales - weights).max() < 3 * small.scales.max()
