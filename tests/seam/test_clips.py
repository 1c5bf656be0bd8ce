"""What goes over the seam about evidence: whole, bounded, and nothing that could become a path."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.errors import WireError
from railwatch.seam.clips import (
    ClipFile,
    ClipOrder,
    ClipState,
    order_from_body,
    order_to_body,
    state_from_body,
    state_to_body,
)

ORDER = ClipOrder("0" * 32, "east", 7, 1.5, 9.25, "a man")


@given(
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.integers(0, 1 << 40),
    st.floats(-1e6, 1e6),
    st.floats(0.0, 290.0),
    st.text(max_size=200),
)
def test_an_order_survives(name, index, begin_s, seconds, message):
    order = ClipOrder(name, "east", index, begin_s, begin_s + seconds, message)
    assert order_from_body(json.loads(json.dumps(order_to_body(order)))) == order


@pytest.mark.parametrize(
    "wrong",
    [
        {"evidence_id": "../../../../etc/passwd"},
        {"evidence_id": "0" * 31 + "\n"},
        {"evidence_id": 7},
        {"camera_id": None},
        {"index": True},
        {"begin_s": 10.0},
        {"end_s": 302.0},
        {"end_s": "9"},
        {"path": "/etc"},
    ],
)
def test_another_order_is_refused(wrong):
    with pytest.raises(WireError):
        order_from_body({**order_to_body(ORDER), **wrong})


def test_a_state_survives():
    state = ClipState(True, (ClipFile("clip", 12, {"codec": "h264"}), ClipFile("raw", 3)), ("a note",))
    assert state_from_body(json.loads(json.dumps(state_to_body(state)))) == state


@pytest.mark.parametrize(
    "wrong",
    [
        {"files": 7},
        {"notes": "x"},
        {"files": [{"kind": "../x", "size": 1, "about": {}}]},
        {"files": [{"kind": "clip", "size": -1, "about": {}}]},
        {"files": [{"kind": "clip", "size": 1, "about": []}]},
        {"files": [{"kind": "clip", "size": 1}]},
        {"files": [{"kind": "raw", "size": 1, "about": {}}] * 5},
        {"more": 1},
    ],
)
def test_another_state_is_refused(wrong):
    with pytest.raises(WireError):
        state_from_body({**state_to_body(ClipState(True)), **wrong})
