"""Boxes of two ways agree or are counted as differing; nothing is matched twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.types import Size
from railwatch.perception.heads import Boxes
from railwatch.perception.parity import clipped, compare, iou_of


def boxes(*rows):
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


ONE = (10, 10, 110, 110, 0.5, 0)


@pytest.mark.parametrize(
    ("other", "agree"),
    [
        (ONE, 1),
        ((10, 10, 110, 110, 0.5009, 0), 1),
        ((10, 10, 110, 110, 0.502, 0), 0),
        ((10, 10, 110, 110, 0.5, 1), 0),
        ((10, 10, 110, 110.9, 0.5, 0), 1),
        ((10, 10, 110, 112, 0.5, 0), 0),
    ],
)
def test_a_pair_agrees_in_class_place_and_score(other, agree):
    assert compare([(boxes(ONE), boxes(other))]).agree == agree


def test_a_box_of_one_side_only_counts_as_differing():
    found = compare([(boxes(ONE, ONE), boxes(ONE)), (boxes(), boxes(ONE))])
    assert (found.reference, found.ours, found.agree, found.share) == (2, 2, 1, 0.5)
    assert not found.passes()
    assert not compare([(boxes(), boxes())]).passes()
    assert compare([(boxes(ONE), boxes(ONE))]).passes()
    assert not compare([(boxes(ONE), boxes(ONE))]).passes(least_boxes=2)


@given(st.lists(st.tuples(*(st.integers(0, 50) for _ in range(4)), st.integers(1, 100)), max_size=12))
def test_boxes_agree_with_themselves_in_any_order(rows):
    table = [(x, y, x + w, y + h, score / 100, 0) for x, y, w, h, score in rows]
    assert compare([(boxes(*table), boxes(*reversed(table)))]).agree == len(table)


def test_overlap_and_clipping_are_those_of_areas():
    np.testing.assert_allclose(
        iou_of(np.array([0, 0, 10, 10]), np.array([[5, 0, 15, 10], [20, 20, 30, 30]])), [1 / 3, 0]
    )
    found = clipped(boxes((-5, -5, 5, 5, 0.5, 0), (200, 0, 300, 10, 0.5, 0)), Size(100, 100))
    np.testing.assert_allclose(found.xyxy, [(0, 0, 5, 5)])
