from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.geometry import Point
from railwatch.core.ground import GroundPoint, Lens, plane_of_horizon
from railwatch.decision.clearing import (
    BODY_M,
    LONGEST_WAY_S,
    Behaviour,
    clearing_of,
    danger_m,
    goes_on,
    longest_way_m,
    polygon_m,
)
from railwatch.decision.motion import GroundMotion

STRIP = (Point(-2.0, 0.0), Point(2.0, 0.0), Point(2.0, 100.0), Point(-2.0, 100.0))


def moving(x: float, y: float, vx: float, vy: float, sigma: float = 0.0) -> GroundMotion:
    return GroundMotion(GroundPoint(x, y, 0.01, 0.01, 0.0), vx, vy, sigma)


def clear(motion: GroundMotion | None, *, lying: bool = False, herd: bool = False, danger=STRIP):
    return clearing_of(motion, danger, lying=lying, herd=herd)


def test_who_crosses_straight_is_out_when_the_way_is_walked():
    said = clear(moving(-1.0, 50.0, 1.5, 0.0))
    assert said.behaviour is Behaviour.CROSSING
    assert said.seconds == pytest.approx((3.0 + BODY_M) / 1.5)


def test_doubt_about_the_speed_makes_it_later():
    sure, doubtful = (clear(moving(-1.0, 50.0, 1.5, 0.0, sigma)) for sigma in (0.0, 0.2))
    assert doubtful.seconds > sure.seconds * 1.3


@pytest.mark.parametrize(
    ("motion", "options", "behaviour"),
    [
        (moving(0, 50, 1.5, 0), {"lying": True}, Behaviour.LYING),
        (moving(0, 50, 1.5, 0), {"herd": True}, Behaviour.HERD),
        (None, {}, Behaviour.UNKNOWN),
        (moving(0, 50, 1.5, 0), {"danger": ()}, Behaviour.UNKNOWN),
        (moving(0, 50, 0.1, 0), {}, Behaviour.STANDING),
        (moving(0, 50, 1.2, 0, 0.5), {}, Behaviour.UNKNOWN),
        (moving(0, 5, 0.0, 1.4), {}, Behaviour.ALONG),
    ],
)
def test_in_doubt_it_stays(motion, options, behaviour):
    assert clear(motion, **options) == (None, behaviour)


def test_the_time_is_the_longest_way_at_the_slowest_speed_of_two_deviations():
    turn = math.atan2(0.4, 1.5)
    assert clear(moving(-1.0, 50.0, 1.5, 0.0, 0.2)).seconds == pytest.approx((3.0 / math.cos(turn) + BODY_M) / 1.1)


def test_who_may_stand_by_one_deviation_is_told_to_stand():
    assert clear(moving(0, 50, 0.45, 0, 0.2)).behaviour is Behaviour.STANDING
    assert clear(moving(0, 50, 0.55, 0, 0.2)).behaviour is Behaviour.UNKNOWN


def test_who_is_outside_and_walks_away_is_out_at_once_but_for_the_body():
    assert clear(moving(5.0, 50.0, 1.0, 0.0)).seconds == pytest.approx(BODY_M)


def test_an_edge_along_the_way_is_no_way_out():
    assert longest_way_m(moving(-1.0, 50.0, 1.0, 0.0), STRIP) == pytest.approx(3.0)


def test_a_corner_within_the_cone_is_the_longest_way():
    square = (Point(-1, -1), Point(1, -1), Point(1, 1), Point(-1, 1))
    assert longest_way_m(moving(0, 0, 1.0, 0.2, 0.9), square) == pytest.approx(2**0.5)


def test_a_bay_is_left_only_for_good():
    bay = (Point(0, 0), Point(10, 0), Point(10, 10), Point(6, 10), Point(6, 2), Point(4, 2), Point(4, 10), Point(0, 10))
    assert longest_way_m(moving(1.0, 5.0, 1.0, 0.0), bay) == pytest.approx(9.0)


@given(st.floats(-1.9, 1.9), st.floats(1, 99), st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 1), st.floats(0, 1))
def test_more_doubt_never_clears_sooner(x, y, vx, vy, one, other):
    less, more = sorted((one, other))
    sure, doubtful = clear(moving(x, y, vx, vy, less)), clear(moving(x, y, vx, vy, more))
    stays = LONGEST_WAY_S + 1
    assert (doubtful.seconds or stays) >= (sure.seconds or stays) - 1e-6


@given(st.floats(-1.9, 1.9), st.floats(1, 99), st.floats(0.4, 3.0))
def test_the_mirror_image_clears_as_soon(x, y, speed):
    assert clear(moving(x, y, speed, 0)).seconds == pytest.approx(clear(moving(-x, y, -speed, 0)).seconds)


def test_a_long_zone_is_a_piece_of_track_that_goes_on():
    assert clear(moving(0, 95.0, 0.0, 1.4)).behaviour is Behaviour.CROSSING
    assert clear(moving(0, 95.0, 0.0, 1.4), danger=goes_on(STRIP)) == (None, Behaviour.ALONG)
    across = clear(moving(-1.0, 95.0, 1.5, 0.0), danger=goes_on(STRIP))
    assert across.seconds == pytest.approx((3.0 + BODY_M) / 1.5)


@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, 2.5])
def test_it_goes_on_at_both_ends_however_it_lies(angle, turned):
    cos, sin = math.cos(angle), math.sin(angle)
    strip = [Point(x * cos - y * sin, x * sin + y * cos) for x, y in STRIP]
    found = goes_on(tuple(strip[turned:] + strip[:turned]))
    back = sorted((round(x * cos + y * sin, 6), round(y * cos - x * sin, 6)) for x, y in found)
    assert back == [(-2.0, -1000.0), (-2.0, 1100.0), (2.0, -1000.0), (2.0, 1100.0)]


@pytest.mark.parametrize("long_m", [4.0, 11.9])
def test_a_zone_that_is_not_long_ends_where_it_ends(long_m):
    zone = (Point(0, 0), Point(long_m, 0), Point(long_m, 4.0), Point(0, 4.0))
    assert goes_on(zone) == zone
    assert goes_on(zone[:2]) == zone[:2]
    assert goes_on(()) == ()
    longer = (Point(0, 0), Point(12.1, 0), Point(12.1, 4.0), Point(0, 4.0))
    assert max(at.x for at in goes_on(longer)) == pytest.approx(1012.1)


def test_a_zone_on_the_ground_is_cut_at_the_horizon():
    plane = plane_of_horizon(0.4, 0.4, 5.0, Lens(60, 16 / 9))
    whole = polygon_m((Point(0.4, 0.5), Point(0.6, 0.5), Point(0.9, 1.0), Point(0.1, 1.0)), plane)
    assert len(whole) == 4
    cut = polygon_m((Point(0.45, 0.3), Point(0.55, 0.3), Point(0.9, 1.0), Point(0.1, 1.0)), plane)
    assert len(cut) == 4
    assert max(place.y for place in cut) > max(place.y for place in whole)
    assert polygon_m((Point(0.1, 0.1), Point(0.9, 0.1), Point(0.5, 0.3)), plane) == ()
    assert danger_m((Point(0.1, 0.1), Point(0.9, 0.1), Point(0.5, 0.3)), plane) == ()
    assert max(place.y for place in danger_m((Point(0.45, 0.5), Point(0.55, 0.5), Point(0.5, 1.0)), plane)) > 1000
