"""How long an object will stay in danger: from position, velocity and behaviour. In doubt it stays.

A person who crosses is taken at the slowest speed that its motion allows (two standard deviations below the mean) and
on the longest way out that its direction allows. Whoever stands, lies, loiters, walks along the track, or belongs to a
herd is taken to stay. The end of a zone that is a piece of track is no way out: the track goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from railwatch.core.geometry import Point, oriented_box
from railwatch.core.ground import GroundPlane
from railwatch.decision.motion import GroundMotion

SLOWEST_MPS: Final = 0.3
"""Whoever may be slower than this is not counted on to leave."""

LONGEST_WAY_S: Final = 30.0
"""A way out that takes longer is no way out: it leads along the track."""

BODY_M: Final = 0.5
"""The danger reaches so far beyond the point between the feet: an arm, a bag, the draught of a train."""

TRACK_RATIO: Final = 3.0
"""A zone that is so many times as long as wide is a piece of track, which goes on at both of its ends ..."""

GOES_ON_M: Final = 1000.0
"""... at least so far: whoever leaves the zone there is still on the track."""

HALVINGS: Final = 40
"""So often an edge is halved to find its last place that the plane sees."""

HERD: Final = 3
"""So many animals at once do as they please."""


class Behaviour(Enum):
    """What an object does, as the operator is told."""

    CROSSING = "crossing"
    ALONG = "walking along the track"
    STANDING = "standing"
    LYING = "lying"
    HERD = "in a herd"
    UNKNOWN = "moving in a way that is not known"


class Clearing(NamedTuple):
    """`seconds` until the object is out of danger, None: it is assumed to stay."""

    seconds: float | None
    behaviour: Behaviour


def clearing_of(motion: GroundMotion | None, danger_m: Sequence[Point], *, lying: bool, herd: bool) -> Clearing:
    """When an object at `motion` leaves the polygon `danger_m` (metres on the ground).

    `motion` None: nothing is known in metres. An object that is outside is out of danger in 0 s.
    """
    if lying:
        return Clearing(None, Behaviour.LYING)
    if herd:
        return Clearing(None, Behaviour.HERD)
    if motion is None or len(danger_m) < 3:
        return Clearing(None, Behaviour.UNKNOWN)
    slow = motion.speed_mps - 2 * motion.sigma_mps
    if slow < SLOWEST_MPS:
        standing = motion.speed_mps < SLOWEST_MPS + motion.sigma_mps
        return Clearing(None, Behaviour.STANDING if standing else Behaviour.UNKNOWN)
    seconds = (longest_way_m(motion, danger_m) + BODY_M) / slow
    if seconds > LONGEST_WAY_S:
        return Clearing(None, Behaviour.ALONG)
    return Clearing(seconds, Behaviour.CROSSING)


def longest_way_m(motion: GroundMotion, danger_m: Sequence[Point]) -> float:
    """The longest way out of the polygon in any direction that the velocity allows, metres.

    It leads to an edge at either end of the cone of directions, or to a corner within it.
    """
    heading = math.atan2(motion.vy_mps, motion.vx_mps)
    doubt = math.atan2(2 * motion.sigma_mps, motion.speed_mps)
    ways = [_way_out(motion, course, danger_m) for course in (heading - doubt, heading, heading + doubt)]
    for corner in danger_m:
        dx, dy = corner.x - motion.place.x_m, corner.y - motion.place.y_m
        if abs(math.remainder(math.atan2(dy, dx) - heading, math.tau)) <= doubt:
            ways.append(math.hypot(dx, dy))
    return max(ways)


def _way_out(motion: GroundMotion, heading: float, danger_m: Sequence[Point]) -> float:
    """Distance to the last edge that the ray crosses: a polygon with a bay is left only for good."""
    x, y = motion.place.x_m, motion.place.y_m
    dx, dy = math.cos(heading), math.sin(heading)
    farthest = 0.0
    for (ax, ay), (bx, by) in pairwise((*danger_m, danger_m[0])):
        ex, ey = bx - ax, by - ay
        across = dx * ey - dy * ex
        if abs(across) < 1e-12:
            continue
        along = ((ax - x) * ey - (ay - y) * ex) / across
        share = ((ax - x) * dy - (ay - y) * dx) / across
        if 0 <= share <= 1:
            farthest = max(farthest, along)
    return farthest


@lru_cache(maxsize=1024)
def danger_m(polygon_norm: tuple[Point, ...], plane: GroundPlane) -> tuple[Point, ...]:
    """Where a zone is dangerous, on the ground: the zone itself, or the track of which it is a piece."""
    return goes_on(polygon_m(polygon_norm, plane))


def goes_on(zone_m: tuple[Point, ...]) -> tuple[Point, ...]:
    """The strip of track of which a long zone is a piece; a zone of another shape as it is.

    >>> [round(at.y) for at in goes_on((Point(0, 0), Point(2, 0), Point(2, 20), Point(0, 20)))]
    [-1000, 1020, 1020, -1000]
    """
    if len(zone_m) < 3:
        return zone_m
    first, second, third, fourth = oriented_box(zone_m)
    length, width = math.dist(first, second), math.dist(second, third)
    if length < TRACK_RATIO * width:
        return zone_m
    dx, dy = GOES_ON_M * (second.x - first.x) / length, GOES_ON_M * (second.y - first.y) / length
    return (
        Point(first.x - dx, first.y - dy),
        Point(second.x + dx, second.y + dy),
        Point(third.x + dx, third.y + dy),
        Point(fourth.x - dx, fourth.y - dy),
    )


@lru_cache(maxsize=1024)
def polygon_m(polygon_norm: tuple[Point, ...], plane: GroundPlane) -> tuple[Point, ...]:
    """A zone on the ground, metres; the part at the horizon is cut off. Empty when nothing of it is told in metres."""
    found: list[Point] = []
    for here, after in pairwise((*polygon_norm, polygon_norm[0])):
        if plane.sees(here):
            place = plane.locate(here)
            found.append(Point(place.x_m, place.y_m))
        if plane.sees(here) != plane.sees(after):
            place = plane.locate(_where_it_ends(here, after, plane))
            found.append(Point(place.x_m, place.y_m))
    return tuple(found) if len(found) >= 3 else ()


def _where_it_ends(one: Point, other: Point, plane: GroundPlane) -> Point:
    """The last place on an edge that the plane sees, by halving."""
    seen, unseen = (one, other) if plane.sees(one) else (other, one)
    for _ in range(HALVINGS):
        middle = Point((seen.x + unseen.x) / 2, (seen.y + unseen.y) / 2)
        seen, unseen = (middle, unseen) if plane.sees(middle) else (seen, middle)
    return seen
