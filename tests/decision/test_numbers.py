"""The numbers of motion, trains and ways out by hand: what a sign or a bound gone wrong would change."""

from __future__ import annotations

import math

import pytest

from railwatch.core.geometry import Point
from railwatch.core.ground import GroundPlane, GroundPoint
from railwatch.core.types import Zone, ZoneKind
from railwatch.decision.clearing import longest_way_m, polygon_m
from railwatch.decision.motion import GroundMotion, Pace, ground_motion, is_lying, line_through, place_of
from railwatch.decision.sightings import Engine, can_be_judged, driven, in_a_train, sightings_of

FLAT = GroundPlane(((10.0, 0.0, 0.0), (0.0, -10.0, 10.0), (0.0, 0.0, 1.0)), "matrix")
"""Looks straight down: the frame is 10 m wide and 10 m deep, y upwards."""
SQUARE = (Point(0, 0), Point(10, 0), Point(10, 10), Point(0, 10))


def moving(x, y, vx, vy, sigma=0.0) -> GroundMotion:
    return GroundMotion(GroundPoint(x, y, 0.01, 0.01, 0.0), vx, vy, sigma)


def pace(t_s, x, y, var=0.01) -> Pace:
    return Pace(t_s, (0.4, 0.4, 0.5, 0.5), GroundPoint(x, y, var, var, 0.0))


# A line through places


def test_the_scatter_about_a_line_is_over_two_less_than_the_places():
    slope, last, scatter = line_through([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 1.0, 2.0, 0.0])
    assert (slope, last) == (0.0, 1.0)
    assert scatter == pytest.approx(math.sqrt(4.0 / 3.0))


def test_three_places_have_one_degree_of_freedom_left():
    assert line_through([0.0, 1.0, 2.0], [0.0, 3.0, 0.0])[2] == pytest.approx(math.sqrt(6.0))


def test_the_motion_is_that_of_the_line_at_the_last_place():
    paces = [pace(0.0, 0.0, 5.0), pace(1.0, 3.0, 4.0), pace(2.0, 0.0, 6.0, 0.04)]
    motion = ground_motion(paces)
    assert (motion.vx_mps, motion.vy_mps) == pytest.approx((0.0, 0.5))
    assert (motion.place.x_m, motion.place.y_m) == pytest.approx((1.0, 5.5))
    assert (motion.place.var_x, motion.place.var_y) == (0.04, 0.04)
    scatter = math.hypot(math.sqrt(6.0), math.sqrt(1.5))
    assert motion.sigma_mps == pytest.approx(scatter / math.sqrt(2.0))


def test_the_expected_doubt_counts_where_the_places_lie_on_a_line():
    motion = ground_motion([pace(t, 1.0, 2.0 * t, 0.09) for t in (0.0, 1.0, 2.0)])
    assert motion.sigma_mps == pytest.approx(0.3 / math.sqrt(2.0))


@pytest.mark.parametrize(
    ("times", "known"),
    [((5.0, 5.15, 5.3125), True), ((5.0, 5.15, 5.29), False), ((5.0, 5.4), False), ((5.0, 5.1, 5.3125), True)],
)
def test_a_motion_needs_three_places_over_three_tenths_of_a_second(times, known):
    assert (ground_motion([pace(t, t, 0.0) for t in times]) is not None) is known


@pytest.mark.parametrize(("bottom", "known"), [(0.9949, True), (0.995, False)])
def test_a_box_at_the_lower_edge_says_nothing_of_the_feet(bottom, known):
    assert (place_of((0.4, 0.5, 0.5, bottom), FLAT) is not None) is known


def test_lying_begins_above_a_tenth_wider_than_tall():
    assert not is_lying((0.0, 0.0, 1.1, 1.0), 1.0)
    assert is_lying((0.0, 0.0, 1.11, 1.0), 1.0)


# Ways out


@pytest.mark.parametrize(
    ("motion", "metres"),
    [
        (moving(2.0, 3.0, 1.0, 0.0), 8.0),
        (moving(2.0, 3.0, -1.0, 0.0), 2.0),
        (moving(2.0, 3.0, 0.0, 1.0), 7.0),
        (moving(2.0, 3.0, 0.0, -1.0), 3.0),
        (moving(2.0, 3.0, 1.0, 1.0), math.sqrt(2) * 7.0),
        (moving(2.0, 3.0, -1.0, -1.0), math.sqrt(2) * 2.0),
        (moving(9.5, 3.0, 1.0, 0.0), 0.5),
        (moving(-3.0, 3.0, 1.0, 0.0), 13.0),
        (moving(12.0, 3.0, 1.0, 0.0), 0.0),
    ],
)
def test_the_way_out_in_a_sure_direction(motion, metres):
    assert longest_way_m(motion, SQUARE) == pytest.approx(metres)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_way_out_is_the_longest_within_two_deviations_of_the_direction(sign):
    slanted = (Point(-5, -1), Point(5, -1), Point(5, 1 + sign), Point(-5, 1 - sign))
    motion = moving(0.0, 0.0, 0.0, 1.0, 0.25)
    doubt = math.atan2(0.5, 1.0)
    ways = []
    for turn in (-doubt, 0.0, doubt):
        dx, dy = math.cos(math.pi / 2 + turn), math.sin(math.pi / 2 + turn)
        ways.append(1.0 / (dy - sign * dx / 5.0))
    assert longest_way_m(motion, slanted) == pytest.approx(max(ways))


@pytest.mark.parametrize(("x", "y", "vx", "vy"), [(3.0, 2.0, 1.0, 0.0), (7.0, 8.0, -1.0, 0.0), (3.0, 8.0, 0.0, -1.0)])
def test_a_corner_that_the_doubt_reaches_counts_from_where_one_is(x, y, vx, vy):
    farthest = max(
        math.hypot(cx - x, cy - y)
        for cx, cy in SQUARE
        if abs(math.remainder(math.atan2(cy - y, cx - x) - math.atan2(vy, vx), math.tau)) <= math.atan2(1.192, 1.0)
    )
    assert longest_way_m(moving(x, y, vx, vy, 0.596), SQUARE) == pytest.approx(farthest)


def test_an_edge_that_is_almost_along_the_way_is_left_at_its_end():
    sliver = (Point(0.0, 0.0), Point(10.0, 0.001), Point(0.0, 0.5))
    assert longest_way_m(moving(1.0, 0.1, 1.0, 0.0), sliver) == pytest.approx(7.0, abs=0.1)


def test_a_zone_that_leaves_the_plane_ends_at_its_last_place():
    plane = GroundPlane(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 1.0, -0.4)), "matrix")  # the horizon lies at y 0.4
    found = polygon_m((Point(0.2, 0.2), Point(0.6, 0.2), Point(0.6, 0.8), Point(0.2, 0.8)), plane)
    assert len(found) == 4
    ends = sorted(((at.x, at.y) for at in found), key=lambda at: at[1])[2:]
    assert [at[1] for at in ends] == pytest.approx([41.0, 41.0], rel=1e-3)
    assert sorted(at[0] for at in ends) == pytest.approx([20.0, 60.0], rel=1e-3)
    slanted = polygon_m((Point(0.5, 0.0), Point(0.9, 0.8), Point(0.1, 0.8)), plane)
    ends = sorted(((at.x, at.y) for at in slanted), key=lambda at: at[1])[2:]
    assert sorted(at[0] for at in ends) == pytest.approx([29.5, 70.5], rel=1e-3)


# Trains that a camera sees


def boxes(*values) -> tuple[Pace, ...]:
    return tuple(Pace(2.0 + index / 8, box) for index, box in enumerate(values))


@pytest.mark.parametrize(
    ("times", "judged"),
    [
        ((2.0, 2.1, 2.2, 2.3125), True),
        ((2.0, 2.1, 2.2, 2.29), False),
        ((2.0, 2.2, 2.4), False),
        ((2.0, 2.1, 2.15, 2.3125), True),
    ],
)
def test_a_train_is_judged_from_four_places_over_three_tenths_of_a_second(times, judged):
    assert can_be_judged([Pace(t, (0, 0, 1, 1)) for t in times]) is judged


@pytest.mark.parametrize(
    ("step", "moves", "nearer"),
    [
        ((0.0, 0.0, 0.0, 0.0043), True, True),  # the foot comes down by 0.013 of a height of 0.2: 6 %
        ((0.0, 0.0, 0.0, 0.0039), False, False),
        ((0.0, -0.0043, 0.0, 0.0), True, True),  # it grows upwards
        ((0.0, 0.0043, 0.0, 0.0), True, False),
        ((0.0, 0.0, 0.0, -0.0043), True, False),
        ((-0.0086, 0.0, 0.0, 0.0), True, False),  # wider, but neither taller nor lower
        ((-0.0079, 0.0, 0.0, 0.0), False, False),
        ((0.0, 0.0, 0.0086, 0.0), True, False),
        ((0.0, 0.0, 0.0079, 0.0), False, False),
        ((0.0, 0.0043, 0.0, 0.0043), True, True),  # comes down without growing
        ((0.0, -0.0055, 0.0, -0.0043), True, True),  # farther up and taller: the camera looks up at it
    ],
)
def test_a_train_moves_when_an_edge_runs_by_six_hundredths_of_its_size(step, moves, nearer):
    # In steps of a thousandth more than needed, so that rounding decides nothing.
    base = (0.2, 0.5, 0.6, 0.7)
    paces = boxes(*(tuple(b + s * i * 1.001 for b, s in zip(base, step, strict=True)) for i in range(4)))
    engine = driven(None, paces)
    assert (engine.moving, engine.ever_moved, engine.nearing) == (moves, moves, nearer)


@pytest.mark.parametrize(("noise", "moves"), [(0.0029, True), (0.0115, True), (0.018, False)])
def test_what_runs_no_farther_than_three_times_its_scatter_does_not_move(noise, moves):
    down = [0.7 + 0.006 * i + (noise if i % 2 else -noise) for i in range(8)]
    scatter = line_through([i / 8 for i in range(8)], down)
    run = abs(scatter[0] * 0.875)
    assert (run >= max(0.06 * 0.2, 3 * scatter[2])) is moves
    assert driven(None, boxes(*((0.2, 0.5, 0.6, y) for y in down))).moving is moves


def test_a_flat_or_narrow_box_is_no_train():
    assert not driven(None, boxes(*((0.2, 0.5 + i / 10, 0.6, 0.5 + i / 10) for i in range(5)))).moving
    assert not driven(None, boxes(*((0.2 + i / 10, 0.5, 0.2 + i / 10, 0.9) for i in range(5)))).moving


def test_of_two_edges_the_one_that_runs_farther_for_its_size_is_told():
    """A box four times as wide as tall: the side runs by a tenth of the width, the foot by a third of the height."""
    paces = boxes(*((0.1, 0.5, 0.5 + 0.014 * i, 0.6 + 0.011 * i) for i in range(4)))
    assert driven(None, paces).nearing


STRIP = (Point(0.3, 0.2), Point(0.5, 0.2), Point(0.5, 0.9), Point(0.3, 0.9))


def seen(box, zones=(), plane=None, paces=None):
    engine = Engine(paces or (Pace(0.0, box),), moving=True, ever_moved=True, nearing=True)
    (found,) = sightings_of("cam", {1: engine}, zones, plane)
    return found


@pytest.mark.parametrize(
    ("box", "name"),
    [
        ((0.3, 0.3, 0.5, 0.7), "left"),  # the middle of its foot lies in it
        ((0.4, 0.3, 0.8, 0.7), "left"),  # a quarter of its foot
        ((0.41, 0.3, 0.81, 0.7), "left"),  # a bit more than a fifth
        ((0.43, 0.3, 0.83, 0.7), None),  # a bit less
        ((0.4, 0.1, 0.8, 0.205), None),  # only the lowest hundredth of its foot
        ((0.1, 0.3, 0.2, 0.7), None),
    ],
)
def test_a_train_is_on_the_track_under_its_foot_or_on_the_one_that_it_covers_to_a_fifth(box, name):
    left = Zone("l", "cam", "main", "left", ZoneKind.TRACK, STRIP)
    right = Zone("r", "cam", "main", "right", ZoneKind.TRACK, tuple(Point(p.x + 0.49, p.y) for p in STRIP))
    assert seen(box, [right, left]).rail_track_id == name


def test_of_two_tracks_the_one_that_the_foot_covers_most_counts():
    narrow = Zone(
        "n", "cam", "main", "zz", ZoneKind.TRACK, (Point(0.3, 0.2), Point(0.42, 0.2), Point(0.42, 0.9), Point(0.3, 0.9))
    )
    wide = Zone(
        "w", "cam", "main", "aa", ZoneKind.TRACK, (Point(0.58, 0.2), Point(0.8, 0.2), Point(0.8, 0.9), Point(0.58, 0.9))
    )
    assert seen((0.3, 0.3, 0.7, 0.7), [narrow, wide]).rail_track_id == "zz"
    assert seen((0.34, 0.3, 0.74, 0.7), [narrow, wide]).rail_track_id == "aa"
    assert seen((0.31, 0.3, 0.77, 0.7), [narrow, wide]).rail_track_id == "aa"


def test_a_train_arrives_two_deviations_sooner_than_it_seems_to():
    strip = Zone("l", "cam", "main", "left", ZoneKind.TRACK, STRIP)  # from 1 to 8 m
    paces = tuple(
        Pace(t, (0.3, 0.3, 0.5, 0.7), GroundPoint(4.0, 30.0 - 2.0 * t, 0.25, 0.25, 0.0)) for t in (0.0, 1.0, 2.0, 3.0)
    )
    found = seen((0.3, 0.3, 0.5, 0.7), [strip], FLAT, paces)
    sigma = 0.5 / math.sqrt(5.0)
    assert found.speed_mps == pytest.approx(2.0)
    assert found.distance_m == pytest.approx(24.0 - 1.0 - 1.0)
    assert found.eta_s == pytest.approx(22.0 / (2.0 + 2 * sigma))
    slow = tuple(
        Pace(t, (0.3, 0.3, 0.5, 0.7), GroundPoint(4.0, 30.0 - 0.49 * t, 0.25, 0.25, 0.0)) for t in (0.0, 1.0, 2.0)
    )
    assert seen((0.3, 0.3, 0.5, 0.7), [strip], FLAT, slow)[2:] == (0.0, None, None)
    past = tuple(p._replace(place=p.place._replace(y_m=p.place.y_m - 25.0)) for p in paces)
    assert seen((0.3, 0.3, 0.5, 0.7), [strip], FLAT, past).distance_m == 0.0


@pytest.mark.parametrize(
    ("box", "sits"),
    [
        ((0.4, 0.3, 0.5, 0.5), True),
        ((0.22, 0.3, 0.42, 0.5), True),  # nine tenths of it are in
        ((0.21, 0.3, 0.31, 0.5), True),
        ((0.219, 0.3, 0.319, 0.5), True),
        ((0.17, 0.3, 0.27, 0.5), False),
        ((0.4, 0.05, 0.5, 0.25), False),
        ((0.4, 0.3, 0.5, 0.687), True),  # feet above the lowest fiftieth of the train
        ((0.4, 0.3, 0.5, 0.689), False),
        ((0.4, 0.3, 0.5, 0.69), False),
        ((0.4, 0.3, 0.4, 0.5), False),  # a box without width
        ((0.4, 0.3, 0.5, 0.3), False),  # one without height
        ((0.72, 0.3, 0.78, 0.5), True),
        ((0.9, 0.3, 0.95, 0.5), False),
    ],
)
def test_who_sits_in_a_train(box, sits):
    assert in_a_train(box, [(0.2, 0.1, 0.8, 0.7)]) is sits
    assert in_a_train(box, [(0.0, 0.0, 0.01, 0.01), (0.2, 0.1, 0.8, 0.7)]) is sits
