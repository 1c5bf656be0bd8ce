"""Points, boxes and polygons. Pure functions on numbers; no pixels are touched here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from shapely import Point as ShapelyPoint
from shapely import Polygon, box, intersects_xy, prepare
from shapely.validation import explain_validity

FOOTPRINT_FRACTION: Final = 0.1
"""Height of the footprint as a fraction of the box: about the feet of a standing person."""


class Point(NamedTuple):
    """x to the right, y downwards."""

    x: float
    y: float


def check_polygon(points: Sequence[tuple[float, float]]) -> None:
    """Raise ValueError unless `points` (fractions of the frame) form a simple polygon with area inside the frame.

    >>> check_polygon([(0.0, 0.0), (1.0, 0.0), (0.5, 1.0)])
    """
    if len(points) < 3:
        raise ValueError(f"a polygon needs at least 3 points, but has {len(points)}")
    for number, (x, y) in enumerate(points, start=1):
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ValueError(f"every coordinate must be a finite number, but point {number} is ({x}, {y})")
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            raise ValueError(f"every point must lie in the frame, 0 to 1, but point {number} is ({x}, {y})")
    polygon = Polygon(points)
    if not polygon.is_valid:
        raise ValueError(f"a polygon must not cross or touch itself, but: {explain_validity(polygon)}")


def ground_point(xyxy: tuple[float, float, float, float]) -> Point:
    """Where the object of a box stands: the middle of its lower edge, in the units of the box.

    >>> ground_point((10.0, 20.0, 30.0, 80.0))
    Point(x=20.0, y=80.0)
    """
    left, _, right, bottom = xyxy
    return Point((left + right) / 2.0, bottom)


def footprint(xyxy: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """The lowest tenth of a box, as a box in the same units: what of the object touches the ground.

    >>> footprint((0.0, 0.0, 10.0, 100.0))
    (0.0, 90.0, 10.0, 100.0)
    """
    left, top, right, bottom = xyxy
    return (left, bottom - (bottom - top) * FOOTPRINT_FRACTION, right, bottom)


@lru_cache(maxsize=1024)
def _polygon(points: tuple[Point, ...]) -> Polygon:
    polygon = Polygon(points)
    prepare(polygon)  # the same zone is asked in every frame
    return polygon


@lru_cache(maxsize=1024)
def bounds_of(points: tuple[Point, ...]) -> tuple[float, float, float, float]:
    """The smallest upright rectangle around a polygon: left, top, right, bottom.

    >>> bounds_of((Point(0, 0), Point(2, 1), Point(1, 3)))
    (0, 0, 2, 3)
    """
    xs, ys = [point.x for point in points], [point.y for point in points]
    return min(xs), min(ys), max(xs), max(ys)


def contains(polygon: tuple[Point, ...], point: Point) -> bool:
    """Whether `point` lies in `polygon` or on its edge; both in the same units.

    >>> contains((Point(0, 0), Point(1, 0), Point(1, 1), Point(0, 1)), Point(1.0, 0.5))
    True
    """
    return bool(intersects_xy(_polygon(polygon), point.x, point.y))


def overlap_fraction(polygon: tuple[Point, ...], rectangle: tuple[float, float, float, float]) -> float:
    """Part of the rectangle's area that lies in the polygon, 0 to 1; 0 for a rectangle without area.

    >>> overlap_fraction((Point(0, 0), Point(1, 0), Point(1, 1), Point(0, 1)), (0.5, 0.0, 1.5, 1.0))
    0.5
    """
    left, top, right, bottom = rectangle
    area = (right - left) * (bottom - top)
    if area <= 0.0:
        return 0.0
    return float(min(1.0, _polygon(polygon).intersection(box(left, top, right, bottom)).area / area))


def oriented_box(polygon: tuple[Point, ...]) -> tuple[Point, ...]:
    """The corners of the smallest rectangle around a polygon, turned as it lies; its first side is one of the longer.

    >>> corners = oriented_box((Point(0, 0), Point(8, 0), Point(8, 2), Point(0, 2)))
    >>> math.dist(corners[0], corners[1]), math.dist(corners[1], corners[2])
    (8.0, 2.0)
    """
    around = _polygon(polygon).minimum_rotated_rectangle
    first, second, third, fourth = (Point(x, y) for x, y in around.exterior.coords[:4])
    if math.dist(first, second) < math.dist(second, third):
        first, second, third, fourth = second, third, fourth, first
    return first, second, third, fourth


def edge_distance(polygon: tuple[Point, ...], point: Point) -> float:
    """How far a point is from the outline of a polygon, in their units; below 0 inside.

    >>> square = (Point(0, 0), Point(4, 0), Point(4, 4), Point(0, 4))
    >>> edge_distance(square, Point(6, 2)), edge_distance(square, Point(1, 2))
    (2.0, -1.0)
    """
    shape = _polygon(polygon)
    away = float(shape.exterior.distance(ShapelyPoint(point.x, point.y)))
    return -away if contains(polygon, point) else away
