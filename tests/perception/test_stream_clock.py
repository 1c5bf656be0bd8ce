from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.perception.stream_clock import MAX_LATE_S, SETTLE_S, StreamClock


def feed(clock, times):
    return [clock.stamp(pts_s, arrived_s) for pts_s, arrived_s in times]


def steady(count, *, pts=0.0, at=100.0, fps=25.0, late=0.0):
    return [(pts + n / fps, at + n / fps + late) for n in range(count)]


def settled():
    clock = StreamClock()
    assert feed(clock, steady(25))[-1].fresh
    return clock


def test_a_stream_is_believed_when_it_is_at_its_own_pace():
    told = feed(StreamClock(), steady(25))
    first = next(index for index, item in enumerate(told) if item.fresh)
    assert first == pytest.approx(SETTLE_S * 25, abs=1)
    assert all(item.fresh for item in told[first:])


def test_what_waited_in_a_buffer_is_as_old_as_it_is():
    clock = settled()
    late = clock.stamp(1.0, 101.3)
    assert (late.t_s, late.fresh) == (pytest.approx(101.0, abs=1e-3), True)


def test_frames_that_are_flushed_after_a_stall_are_stale():
    """Two seconds of pictures come at once; those that are taken after it are fresh at once again."""
    clock = settled()
    flushed = [(1.0 + n / 25, 103.0 + n / 1000) for n in range(50)]
    told = feed(clock, flushed)
    assert not any(item.fresh for item in told if 103.0 - item.t_s > MAX_LATE_S + 0.05)
    assert clock.stamp(3.05, 103.06).fresh


def test_a_camera_that_went_on_with_its_own_count_after_a_stall_is_believed_after_a_while():
    """Its stamps know nothing of the five seconds in which it stood still."""
    clock = settled()
    told = feed(clock, steady(25, pts=1.0, at=106.0))
    assert not told[0].fresh
    assert told[-1].fresh
    assert told[-1].t_s == pytest.approx(106.0 + 24 / 25)


@pytest.mark.parametrize("jump", [-1.0, 5_000.0, -95_000.0])
def test_stamps_may_begin_anew(jump):
    clock = settled()
    told = feed(clock, steady(25, pts=1.0 + jump, at=101.0))
    assert told[-1].fresh
    assert told[-1].t_s == pytest.approx(101.0 + 24 / 25)


def test_a_camera_whose_clock_is_a_little_slow_stays_fresh():
    clock = settled()
    told = feed(clock, [(1.0 + n / 25, 101.0 + n / 25 * 1.0003) for n in range(25 * 3600)])
    assert all(item.fresh for item in told)
    assert told[-1].t_s == pytest.approx(101.0 + 3600 * 1.0003, abs=0.2)


def test_without_stamps_a_frame_was_taken_when_it_came():
    told = feed(StreamClock(), [(None, 5.0), (None, 5.1)])
    assert [(item.t_s, item.fresh) for item in told] == [(5.0, True), (5.1, True)]


@given(
    st.lists(
        st.tuples(st.floats(-10.0, 10.0), st.floats(0.0, 3.0)),
        max_size=60,
    )
)
def test_times_of_fresh_frames_never_go_backwards_nor_ahead_of_their_arrival(steps):
    clock, pts_s, arrived_s, last_s = StreamClock(), 0.0, 0.0, float("-inf")
    for pts_step, arrival_step in steps:
        pts_s, arrived_s = pts_s + pts_step, arrived_s + arrival_step
        stamped = clock.stamp(pts_s, arrived_s)
        assert stamped.t_s <= arrived_s
        if stamped.fresh:
            assert stamped.t_s >= last_s
            last_s = stamped.t_s
