from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.geometry import Point, check_polygon, contains, footprint, ground_point, overlap_fraction
from tests.strategies import boxes, fractions

SQUARE = (Point(0.2, 0.2), Point(0.8, 0.2), Point(0.8, 0.8), Point(0.2, 0.8))
NAN = float("nan")


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(0, 0), (1, 1)], "at least 3 points, but has 2"),
        ([(0, 0), (1, NAN), (1, 1)], "finite number, but point 2"),
        ([(0, 0), (1, 0), (1, math.inf)], "finite number, but point 3"),
        ([(0, 0), (1.2, 0), (1, 1)], "must lie in the frame, 0 to 1, but point 2"),
        ([(0, -0.1), (1, 0), (1, 1)], "must lie in the frame, 0 to 1, but point 1"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "must not cross or touch itself"),
        ([(0, 0), (0.5, 0.5), (1, 1)], "must"),
        ([(0, 0), (0, 0), (0, 0)], "must"),
        ([(0, 0), (1e-200, 0), (0, 1e-200)], "must"),
    ],
)
def test_bad_polygons_are_refused(points, words):
    with pytest.raises(ValueError, match=words):
        check_polygon(points)


@given(st.integers(3, 12), st.floats(0.05, 0.4), fractions)
def test_regular_polygons_are_taken(corners, radius, turn):
    points = [
        (
            0.5 + radius * math.cos(math.tau * (n / corners + turn)),
            0.5 + radius * math.sin(math.tau * (n / corners + turn)),
        )
        for n in range(corners)
    ]
    check_polygon(points)
    assert contains(tuple(Point(*p) for p in points), Point(0.5, 0.5))


@given(boxes())
def test_footprint_is_the_lowest_tenth_and_holds_the_ground_point(xyxy):
    left, top, right, bottom = footprint(xyxy)
    assert (left, right, bottom) == (xyxy[0], xyxy[2], xyxy[3])
    assert bottom - top == pytest.approx(0.1 * (xyxy[3] - xyxy[1]), abs=1e-9)
    point = ground_point(xyxy)
    assert left <= point.x <= right
    assert point.y == bottom


@given(fractions, fractions)
def test_contains_agrees_with_plain_comparison_on_a_square(x, y):
    assert contains(SQUARE, Point(x, y)) == (0.2 <= x <= 0.8 and 0.2 <= y <= 0.8)


@given(fractions, fractions, fractions, fractions)
def test_overlap_agrees_with_plain_arithmetic_on_a_square(x1, y1, x2, y2):
    (left, right), (top, bottom) = sorted((x1, x2)), sorted((y1, y2))
    got = overlap_fraction(SQUARE, (left, top, right, bottom))
    area = (right - left) * (bottom - top)
    if area <= 1e-9:
        assert 0.0 <= got <= 1.0
        return
    wide = max(0.0, min(right, 0.8) - max(left, 0.2))
    high = max(0.0, min(bottom, 0.8) - max(top, 0.2))
    assert got == pytest.approx(wide * high / area, abs=1e-6)


def test_a_box_without_area_overlaps_nothing():
    assert overlap_fraction(SQUARE, (0.5, 0.5, 0.5, 0.7)) == 0.0
