from __future__ import annotations

import pytest
from hypothesis import assume, given

from railwatch.core.geometry import Point, contains, footprint, ground_point, overlap_fraction
from railwatch.core.types import Size, TrackState, Zone, ZoneKind
from railwatch.decision.zones import find_hits, is_ignored, normalised, stands_in
from tests.scenario import SIZE, band, track
from tests.strategies import boxes

SQUARE = (Point(0.4, 0.4), Point(0.6, 0.4), Point(0.6, 0.6), Point(0.4, 0.6))


@given(boxes())
def test_normalised_boxes_lie_in_the_frame_and_keep_their_order(xyxy):
    left, top, right, bottom = normalised(xyxy, SIZE)
    assert 0.0 <= left <= right <= 1.0
    assert 0.0 <= top <= bottom <= 1.0


def test_normalised_boxes_end_at_the_edges_of_a_frame_that_is_no_square():
    size = Size(200, 100)
    assert normalised((20.0, 30.0, 100.0, 50.0), size) == (0.1, 0.3, 0.5, 0.5)
    assert normalised((-9.0, -9.0, 300.0, 300.0), size) == (0.0, 0.0, 1.0, 1.0)
    assert normalised((300.0, 300.0, 400.0, 400.0), size) == (1.0, 1.0, 1.0, 1.0)
    assert normalised((-40.0, -40.0, -30.0, -30.0), size) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((0.45, 0.1, 0.55, 0.5), True),  # ground point within
        ((0.45, 0.45, 0.55, 0.7), False),  # head within, feet beyond
        ((0.59, 0.1, 0.69, 0.5), False),  # a tenth of the feet within
        ((0.55, 0.1, 0.67, 0.5), True),  # ground point beside, two fifths of the feet within
        ((0.5, 0.2, 0.5, 0.6), True),  # a line whose foot stands on the edge
        ((0.7, 0.2, 0.7, 0.5), False),  # a line beside
    ],
)
def test_feet_decide_not_heads(box, inside):
    assert stands_in(SQUARE, box, 0.3) is inside


@pytest.mark.parametrize(
    "box",
    [
        (0.1, 0.0, 0.1, 0.25),  # foot on the upper edge
        (0.1, 0.0, 0.1, 0.5),  # on the lower edge
        (0.0, 0.0, 0.0, 0.375),  # on the left edge
        (0.25, 0.0, 0.25, 0.375),  # on the right edge
    ],
)
def test_a_foot_on_the_edge_of_a_zone_stands_in_it(box):
    zone = (Point(0.0, 0.25), Point(0.25, 0.25), Point(0.25, 0.5), Point(0.0, 0.5))
    assert stands_in(zone, box, 0.3)


@given(boxes(1.0, 1.0), boxes(1.0, 1.0))
def test_looking_at_the_bounds_first_changes_no_answer(zone, box_norm):
    left, top, right, bottom = normalised(zone, Size(1, 1))
    assume(right - left > 0.01 and bottom - top > 0.01)
    polygon = (Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom))
    box_norm = normalised(box_norm, Size(1, 1))
    exact = contains(polygon, ground_point(box_norm)) or overlap_fraction(polygon, footprint(box_norm)) >= 0.3
    assert stands_in(polygon, box_norm, 0.3) == exact


def test_an_object_in_the_upper_right_corner_is_found():
    zone = (Point(0.8, 0.0), Point(1.0, 0.0), Point(1.0, 0.3), Point(0.8, 0.3))
    assert stands_in(zone, (0.85, 0.05, 0.95, 0.2), 0.3)


def test_without_overlap_only_the_ground_point_counts():
    assert stands_in(SQUARE, (0.55, 0.1, 0.67, 0.5), 0.0) is False


def test_an_ignore_zone_hides_only_what_stands_well_inside_it():
    zone = Zone("z", "cam", "main", None, ZoneKind.IGNORE, SQUARE)
    assert is_ignored([zone], (0.45, 0.1, 0.55, 0.5))
    assert is_ignored([zone], (0.31, 0.1, 0.69, 0.5))  # a little more than half of its feet
    assert not is_ignored([zone], (0.1, 0.1, 0.9, 0.5))  # its middle is inside, most of its feet are not
    assert not is_ignored([band("t", ZoneKind.TRACK, 0.4, 0.6)], (0.45, 0.1, 0.55, 0.5))


def test_find_hits_pairs_each_object_with_each_zone_it_stands_in():
    zones = (band("a", ZoneKind.TRACK, 0.4, 0.6), band("b", ZoneKind.APPROACH, 0.5, 0.9))
    found = find_hits(zones, [track(0.55, 1), track(0.2, 2), track(0.55, 3, state=TrackState.LOST)], SIZE, 0.3)
    assert [(hit.track.track_id, hit.zone.zone_id) for hit in found] == [(1, "a"), (1, "b")]


def test_objects_behind_a_predicted_or_ignored_one_are_still_found():
    zones = (band("a", ZoneKind.TRACK, 0.4, 0.6), band("i", ZoneKind.IGNORE, 0.0, 0.3))
    found = find_hits(zones, [track(0.5, 1, state=TrackState.LOST), track(0.1, 2), track(0.5, 3)], SIZE, 0.3)
    assert [hit.track.track_id for hit in found] == [3]


def test_a_box_cut_by_the_lower_edge_stands_on_it():
    zones = (band("a", ZoneKind.TRACK, 0.4, 0.6),)
    cut = track(0.5)
    cut = type(cut)(
        *(getattr(cut, name) if name != "xyxy" else (480.0, 600.0, 520.0, 1004.0) for name in cut.__slots__)
    )
    assert find_hits(zones, [cut], Size(1000, 1000), 0.3)
