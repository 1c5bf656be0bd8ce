from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.risk_settings import BrakeSettings
from railwatch.decision.braking import GRAVITY_MPS2, can_stop, stop_from

speeds = st.floats(0.5, 100.0)
brakes = st.builds(
    BrakeSettings,
    reaction_s=st.floats(0, 60),
    build_up_s=st.floats(0, 10),
    deceleration_mps2=st.floats(0.2, 1.5),
    adhesion=st.floats(0.05, 0.3),
    gradient_permille=st.floats(-15, 15),
)


def by_small_steps(speed_mps: float, given: BrakeSettings) -> tuple[float, float]:
    """Distance and time by integrating the motion, with the gradient as it is."""
    pull = -GRAVITY_MPS2 * given.gradient_permille / 1000
    braking = min(given.deceleration_mps2, given.adhesion * GRAVITY_MPS2)
    delay, speed, distance, t, dt = given.reaction_s + given.build_up_s, speed_mps, 0.0, 0.0, 0.001
    while speed > 0:
        change = pull if t < delay else pull - braking
        distance += speed * dt + change * dt * dt / 2
        speed += change * dt
        t += dt
    return distance, t


@pytest.mark.parametrize("gradient", [-10.0, 0.0, 8.0])
@pytest.mark.parametrize("speed_kmh", [40.0, 110.0, 160.0])
def test_the_formula_is_what_small_steps_give(speed_kmh, gradient):
    given_brakes = BrakeSettings(5.0, 3.0, 0.7, 0.12, gradient)
    stop = stop_from(speed_kmh / 3.6, given_brakes)
    distance, time = by_small_steps(speed_kmh / 3.6, given_brakes)
    assert stop.distance_m == pytest.approx(distance, rel=0.002)
    assert stop.time_s == pytest.approx(time, abs=0.02)


def test_a_level_stop_by_hand():
    stop = stop_from(20.0, BrakeSettings(4.0, 1.0, 0.5, 0.2, 0.0))
    assert (stop.distance_m, stop.time_s) == pytest.approx((20 * 5 + 400, 5 + 40))


def test_brakes_give_no_more_than_the_rail_holds():
    slippery = stop_from(20.0, BrakeSettings(0.0, 0.0, 1.2, 0.03, 0.0))
    assert slippery.distance_m == pytest.approx(400 / (2 * 0.03 * GRAVITY_MPS2))


def test_brakes_that_do_not_hold_the_gradient_never_stop():
    stop = stop_from(10.0, BrakeSettings(0.0, 0.0, 0.2, 0.02, -30.0))
    assert stop == (math.inf, math.inf)
    assert not can_stop(10.0, 1e9, BrakeSettings(0.0, 0.0, 0.2, 0.02, -30.0))


def test_a_hill_that_would_stop_the_train_by_itself_is_not_counted_on():
    steep = BrakeSettings(30.0, 0.0, 0.6, 0.1, 40.0)
    assert stop_from(5.0, steep) == pytest.approx(stop_from(5.0, BrakeSettings(30.0, 0.0, 0.6, 0.1, 0.0)))


@given(speeds, speeds, brakes)
def test_a_faster_train_needs_more(one, other, given_brakes):
    slow, fast = sorted((one, other))
    uphill = given_brakes.gradient_permille > 0
    if not uphill:
        assert stop_from(slow, given_brakes).distance_m <= stop_from(fast, given_brakes).distance_m


@given(speeds, brakes, st.floats(0, 5000), st.floats(0, 5000))
def test_more_room_never_makes_a_stop_impossible(speed, given_brakes, one, other):
    near, far = sorted((one, other))
    assert can_stop(speed, far, given_brakes) or not can_stop(speed, near, given_brakes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reaction_s", -1.0),
        ("build_up_s", math.nan),
        ("deceleration_mps2", 0.0),
        ("adhesion", 0.6),
        ("gradient_permille", 200.0),
    ],
)
def test_brakes_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        BrakeSettings(**{name: value})
