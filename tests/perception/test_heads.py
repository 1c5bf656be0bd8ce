from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from railwatch.core.errors import ModelError
from railwatch.core.types import Size
from railwatch.perception import heads
from railwatch.perception.heads import HEADS, Boxes, decode, nms

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "heads"
SIZE = Size(64, 32)
CELLS = 8 * 4 + 4 * 2 + 2 * 1


def empty_output(head, classes=2):
    rows, columns = HEADS[head].shape(SIZE, classes)
    return np.zeros((10 if rows is None else rows, 10 if columns is None else columns), np.float32)


def read(head, output, confidence=0.25, classes=2, nms_iou=0.5):
    return decode(head, output, SIZE, classes, confidence, nms_iou if HEADS[head].nms_iou else None)


def yolox_row(output, level_start, columns, column, row):
    return output[level_start + row * columns + column]


def test_yolox_decodes_a_cell_of_each_level():
    output = empty_output("yolox")
    for start, columns, column, row in ((0, 8, 7, 3), (32, 4, 2, 1), (40, 2, 1, 0)):
        yolox_row(output, start, columns, column, row)[:] = (0.5, 0.25, np.log(2.0), 0.0, 0.9, 0.1, 0.8)
    found = read("yolox", output)
    order = np.argsort(found.xyxy[:, 2] - found.xyxy[:, 0])
    expected = [(8 * 6.5, 8 * 2.75, 8 * 8.5, 8 * 3.75), (24, 12, 56, 28), (16, -8, 80, 24)]
    np.testing.assert_allclose(found.xyxy[order], expected, rtol=1e-6)
    np.testing.assert_allclose(found.confidence, 0.72, rtol=1e-6)
    assert found.class_id.tolist() == [1, 1, 1]


def test_yolox_decoded_takes_pixels():
    output = empty_output("yolox_decoded")
    output[5] = (20, 10, 8, 4, 0.9, 0.8, 0.1)
    found = read("yolox_decoded", output)
    np.testing.assert_allclose(found.xyxy, [(16, 8, 24, 12)])
    assert found.class_id.tolist() == [0]


def test_ultralytics_takes_the_best_class_of_a_column():
    output = empty_output("ultralytics")
    output[:, 3] = (20, 10, 8, 4, 0.4, 0.6)
    found = read("ultralytics", output)
    np.testing.assert_allclose(found.xyxy, [(16, 8, 24, 12)])
    np.testing.assert_allclose(found.confidence, [0.6])
    assert found.class_id.tolist() == [1]


def test_end_to_end_keeps_overlapping_boxes_and_ignores_padding_rows():
    output = empty_output("end_to_end")
    output[0] = (1, 2, 30, 20, 0.5, 1)
    output[1] = (1, 2, 30, 21, 0.9, 1)
    found = read("end_to_end", output, confidence=0.0)
    np.testing.assert_allclose(found.confidence, [0.9, 0.5])


def test_crossed_edges_are_put_in_order_and_not_lost():
    output = empty_output("end_to_end")
    output[0] = (30, 20, 1, 2, 0.5, 0)
    np.testing.assert_allclose(read("end_to_end", output).xyxy, [(1, 2, 30, 20)])
    columns = empty_output("ultralytics")
    columns[:, 0] = (20, 10, -8, 4, 0.9, 0)
    np.testing.assert_allclose(read("ultralytics", columns).xyxy, [(16, 8, 24, 12)])


@pytest.mark.parametrize("head", HEADS)
def test_nothing_above_the_confidence_is_an_empty_answer(head):
    found = read(head, empty_output(head))
    assert found.xyxy.shape == (0, 4)
    assert found.xyxy.dtype == np.float32
    assert found.confidence.dtype == np.float32
    assert found.class_id.dtype == np.int64


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_anywhere_raises(head, bad):
    for place in ((0, 0), (-1, -1), (0, -1), (-1, 0)):
        output = empty_output(head)
        output[place] = bad
        with pytest.raises(ModelError, match="NaN or infinity"):
            read(head, output)


@pytest.mark.parametrize(
    ("head", "expected"), [("yolox", f"{CELLS} x 7"), ("ultralytics", "6 x any"), ("end_to_end", "any x 6")]
)
def test_another_shape_is_named(head, expected):
    with pytest.raises(ModelError, match=f"{expected} for a sample, but is 5 x 9"):
        read(head, np.zeros((5, 9), np.float32))
    with pytest.raises(ModelError, match="but is 1 x 5 x 9"):
        read(head, np.zeros((1, 5, 9), np.float32))


@pytest.mark.parametrize("score", [7.0, -3.0])
@pytest.mark.parametrize("head", ["yolox", "yolox_decoded"])
def test_scores_before_the_sigmoid_are_refused(head, score):
    output = empty_output(head)
    output[0] = (0, 0, 0, 0, 0.9, score, 0.0)
    with pytest.raises(ModelError, match="scores must be in 0 to 1"):
        read(head, output)


def test_scores_above_one_are_refused_and_rounding_is_clipped():
    output = empty_output("ultralytics")
    output[4, 0] = 1.0005
    assert read("ultralytics", output).confidence.tolist() == [1.0]
    output[4, 0] = 1.5
    with pytest.raises(ModelError, match="scores must be in 0 to 1"):
        read("ultralytics", output)


@pytest.mark.parametrize("class_id", [-1, 2])
def test_a_class_without_a_name_is_refused(class_id):
    output = empty_output("end_to_end")
    output[0] = (1, 2, 3, 4, 0.9, class_id)
    with pytest.raises(ModelError, match="must be 0 to 1"):
        read("end_to_end", output)


def test_a_class_that_is_a_fraction_is_refused():
    output = empty_output("end_to_end")
    output[0] = (1, 2, 3, 4, 0.9, 0.5)
    with pytest.raises(ModelError, match="whole number"):
        read("end_to_end", output)


def test_a_box_of_infinite_size_is_refused():
    output = empty_output("yolox")
    output[0] = (0, 0, 200, 0, 0.9, 0.9, 0.0)
    with pytest.raises(ModelError, match="infinite size"):
        read("yolox", output)


def test_float16_output_is_read():
    output = empty_output("ultralytics").astype(np.float16)
    output[:, 3] = (20, 10, 8, 4, 0.5, 0)
    assert read("ultralytics", output).xyxy.dtype == np.float32


def test_at_most_the_strongest_boxes_are_kept():
    output = np.zeros((500, 6), np.float32)
    output[:, 2:4] = 10
    output[:, 4] = np.linspace(0.3, 0.9, 500)
    found = read("end_to_end", output)
    assert len(found.confidence) == heads.MAX_DETECTIONS
    np.testing.assert_array_equal(found.confidence, output[:-301:-1, 4])


def slow_iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height, union


def slow_nms(boxes, iou, limit=heads.MAX_DETECTIONS):
    """The definition, a pair at a time."""
    kept = []
    for index in sorted(range(len(boxes.confidence)), key=lambda i: (-boxes.confidence[i], i)):
        box = boxes.xyxy[index].astype(float).tolist()
        for other in kept:
            shared, union = slow_iou(boxes.xyxy[other].astype(float).tolist(), box)
            if boxes.class_id[other] == boxes.class_id[index] and shared > iou * union:
                break
        else:
            kept.append(index)
    return kept[:limit]


@st.composite
def boxes_to_thin(draw, most=40):
    """Boxes on a coarse grid with few scores, so that ties, equal boxes and boxes without area are common."""
    count = draw(st.integers(0, most))
    corner = draw(arrays(np.float32, (count, 2), elements=st.integers(0, 6).map(float)))
    extent = draw(arrays(np.float32, (count, 2), elements=st.integers(0, 6).map(float)))
    scores = draw(arrays(np.float32, count, elements=st.sampled_from([0.25, 0.5, 0.75])))
    classes = draw(arrays(np.int64, count, elements=st.integers(0, 2)))
    return Boxes(np.concatenate((corner, corner + extent), axis=1), scores, classes)


@given(boxes_to_thin(), st.sampled_from([0.25, 0.45, 0.5, 0.7]))
def test_nms_is_the_greedy_definition(boxes, iou):
    assert nms(boxes, iou).tolist() == slow_nms(boxes, iou)


def random_boxes(count, seed, spread):
    random = np.random.default_rng(seed)
    corner = random.random((count, 2), np.float32) * spread
    corners = np.concatenate((corner, corner + random.random((count, 2), np.float32) * 100), axis=1)
    return Boxes(corners, random.integers(1, 100, count).astype(np.float32) / 100, random.integers(0, 2, count))


@pytest.mark.parametrize("spread", [30, 800])
def test_nms_is_the_definition_across_blocks(spread):
    boxes = random_boxes(700, seed=3, spread=spread)
    assert nms(boxes, 0.5).tolist() == slow_nms(boxes, 0.5)


def test_nms_looks_at_the_strongest_candidates_only(monkeypatch):
    monkeypatch.setattr(heads, "MAX_CANDIDATES", 50)
    boxes = random_boxes(400, seed=4, spread=800)
    strongest = sorted(range(400), key=lambda i: (-boxes.confidence[i], i))[:50]
    part = Boxes(*(array[np.sort(strongest)] for array in boxes))
    assert nms(boxes, 0.5).tolist() == [int(np.sort(strongest)[i]) for i in slow_nms(part, 0.5)]


@given(boxes_to_thin(), st.integers(1, 5))
def test_nms_limit_cuts_the_weakest(boxes, limit):
    assert nms(boxes, 0.5, limit).tolist() == slow_nms(boxes, 0.5)[:limit]


@pytest.mark.parametrize("name", ["yolox_nano", "yolov8n", "yolo11n", "yolo26n"])
def test_real_outputs_give_the_boxes_of_the_reference(name):
    """Outputs and boxes of YOLOX's and Ultralytics' own code, written by benchmarks/head_parity.py."""
    with np.load(GOLDEN / f"{name}.npz") as golden:
        head, classes = str(golden["head"]), int(golden["classes"])
        compared = 0
        for number in range(3):
            output = np.zeros(golden[f"shape_{number}"], np.float32)
            rows = output.T if head == "ultralytics" else output
            rows[golden[f"index_{number}"]] = golden[f"rows_{number}"]
            found = decode(head, output, Size(*golden["size"].tolist()), classes, 0.05, HEADS[head].nms_iou)
            np.testing.assert_allclose(found.xyxy, golden[f"xyxy_{number}"], rtol=1e-5, atol=1e-3)
            np.testing.assert_allclose(found.confidence, golden[f"confidence_{number}"], atol=1e-6)
            np.testing.assert_array_equal(found.class_id, golden[f"class_id_{number}"])
            compared += len(found.confidence)
    assert compared > 5
