"""Moments of a hub: how long something may have been on its way, by nobody's clock but the hub's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.messaging.moments import Moments
from railwatch.messaging.wire import valid_nonce

times = st.floats(0.0, 1e9)


@given(times, times)
def test_the_time_since_a_moment_is_never_told_too_short(at_s, later_s):
    moments = Moments(clock=lambda: at_s)
    since_s = moments.since_s(moments.now(), at_s + later_s)
    assert later_s - 1e-6 <= since_s <= later_s + 0.001 + 1e-6


def test_a_moment_after_the_turn_that_takes_it_in_is_no_younger_than_now():
    moments = Moments(clock=lambda: 20.0)
    assert moments.since_s(moments.now(), 19.0) == 0.0


@given(st.text())
def test_what_is_no_moment_is_none_whatever_it_is(text):
    assert Moments().since_s(text, 1.0) is None


@pytest.mark.parametrize("change", [lambda m: m.replace("20000", "90000"), lambda m: m[:-1], lambda m: "0" + m])
def test_a_moment_that_was_tampered_with_is_none(change):
    moments = Moments(clock=lambda: 20.0)
    assert moments.since_s(change(moments.now()), 100.0) is None


def test_a_moment_of_another_run_is_none():
    assert Moments(clock=lambda: 20.0).since_s(Moments(clock=lambda: 20.0).now(), 20.0) is None


@given(times)
def test_a_moment_fits_the_wire(at_s):
    assert valid_nonce(Moments(clock=lambda: at_s).now())
