"""The network of the recipe is the published one, and its export says what the network says."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from models.recipes.railwatch_nano import export  # noqa: E402
from models.recipes.railwatch_nano.network import (  # noqa: E402
    Nano,
    boxes,
    convolutions,
    grid,
    load_onnx,
    rows,
    with_classes,
)
from railwatch.core.types import Size  # noqa: E402
from railwatch.perception.detector import open_detector  # noqa: E402
from railwatch.perception.heads import decode  # noqa: E402
from railwatch.perception.picture import BgrPicture  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return Nano(3).eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "tiny.onnx"
    export.write(network, (96, 64), path, "tiny", ("person", "train", "cow"))
    return path


def test_the_network_gives_what_the_published_file_gives(shared):
    path = shared / "models" / "yolox_nano_416.onnx"
    start = Nano()
    load_onnx(start, path)
    picture = np.random.default_rng(1).uniform(0, 255, (1, 3, 416, 416)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(str(path)).run(None, {"images": picture})
    with torch.no_grad():
        raw = rows(start.eval()(torch.from_numpy(picture)))
    mine = torch.cat((raw[..., :4], raw[..., 4:].sigmoid()), dim=-1).numpy()
    np.testing.assert_allclose(mine, expected, atol=2e-4)


def test_another_network_is_refused(exported):
    with pytest.raises(ValueError, match="must be"):
        load_onnx(Nano(80), exported)


def test_fewer_classes_leave_the_others_as_they_were(network):
    few = with_classes(network, (2, 0)).eval()
    picture = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        all_rows, few_rows = rows(network(picture)), rows(few(picture))
    torch.testing.assert_close(few_rows[..., :5], all_rows[..., :5])
    torch.testing.assert_close(few_rows[..., 5:], all_rows[..., [7, 5]])


def test_a_row_of_the_grid_is_where_the_head_reads_it(network):
    raw = torch.zeros(1, sum((96 // s) * (64 // s) for s in (8, 16, 32)), 8)
    raw[..., 4] = 1.0
    raw[..., 5] = torch.linspace(0.5, 1, raw.shape[1])
    cells, strides = grid(96, 64)
    mine = boxes(raw[0], cells, strides)
    read = decode("yolox", raw[0].numpy(), Size(96, 64), 3, 0.4, 0.999)
    middles = (read.xyxy[:, :2] + read.xyxy[:, 2:]) / 2
    assert {tuple(row) for row in middles.tolist()} == {tuple(row[:2]) for row in mine.tolist()}


def test_the_export_describes_itself_and_agrees_with_the_network(network, exported):
    detector = open_detector(exported, confidence=0.0)
    assert detector.description.facts.head == "yolox_decoded"
    assert detector.class_names == ("person", "train", "cow")
    assert detector.form.size == Size(96, 64)
    picture = np.random.default_rng(2).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    (found,) = detector.detect([BgrPicture(picture).sample(None, detector.form)])
    with torch.no_grad():
        raw = rows(network(torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].float()))[0]
    scores = (raw[:, 4].sigmoid() * raw[:, 5:].sigmoid().amax(1)).numpy()
    assert found.confidence[0] == pytest.approx(scores.max(), abs=1e-4)


def test_convolutions_come_in_the_order_of_the_graph(network, exported):
    import onnx

    graph = onnx.load(str(exported)).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    nodes = [shapes[node.input[1]] for node in graph.node if node.op_type == "Conv"]
    mine = [tuple(conv.weight.shape) for conv in convolutions(network)]
    assert nodes == [(16, 3, 6, 6), *mine[1:]]
