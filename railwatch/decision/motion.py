"""How an object moves: its last places, and from them position and velocity on the ground with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Final, NamedTuple

from railwatch.core.geometry import ground_point
from railwatch.core.ground import GroundPlane, GroundPoint
from railwatch.core.types import Box

MEMORY_S: Final = 2.0
"""Motion is judged over the last so many seconds: long enough for a step, short enough for a change of mind."""

MOST_STEPS: Final = 16
LEAST_STEPS: Final = 3
LEAST_SPAN_S: Final = 0.3
"""Fewer places, or places closer in time, tell no velocity."""

FOOT_SIGMA: Final = 0.03
"""Standard deviation of a box's lower edge as part of its height; measured on the rendered scenes (docs/risk.md)."""

LEAST_SIGMA_NORM: Final = 0.002


class Pace(NamedTuple):
    """Where an object was in one frame: worker time in seconds, its box in fractions of the frame.

    `place` is where it stood on the ground, None where that is not known.
    """

    t_s: float
    box_norm: Box
    place: GroundPoint | None = None


class GroundMotion(NamedTuple):
    """Place and velocity on the ground; `sigma_mps` is the velocity's standard deviation in its worst direction."""

    place: GroundPoint
    vx_mps: float
    vy_mps: float
    sigma_mps: float

    @property
    def speed_mps(self) -> float:
        """Speed in metres per second."""
        return math.hypot(self.vx_mps, self.vy_mps)


def followed(paces: Sequence[Pace], t_s: float, box_norm: Box, plane: GroundPlane | None = None) -> tuple[Pace, ...]:
    """The places with one more; those too old are forgotten. At high frame rates they are thinned out evenly.

    `plane` is the ground of the camera, if it is known.
    """
    kept = [pace for pace in paces if t_s - MEMORY_S <= pace.t_s < t_s]
    if len(kept) >= 2 and t_s - kept[-2].t_s < MEMORY_S / MOST_STEPS:
        kept.pop()  # the newest but one would come too soon after its neighbour
    return (*kept[-(MOST_STEPS - 1) :], Pace(t_s, box_norm, None if plane is None else place_of(box_norm, plane)))


def sigma_norm(box_norm: Box) -> float:
    """How well the lower edge of a box is known, in fractions of the frame."""
    return max(LEAST_SIGMA_NORM, FOOT_SIGMA * (box_norm[3] - box_norm[1]))


def place_of(box_norm: Box, plane: GroundPlane) -> GroundPoint | None:
    """Where the object of a box stands, None where the plane does not reach.

    A box that is cut by the lower edge of the frame says nothing of the feet.
    """
    foot = ground_point(box_norm)
    if box_norm[3] >= 0.995 or not plane.sees(foot):
        return None
    return plane.locate(foot, sigma_norm(box_norm))


def ground_motion(paces: Sequence[Pace]) -> GroundMotion | None:
    """Least squares line through the last places; None where too few are told in metres.

    The velocity's variance is that of a slope, sigma^2 / sum (t - mean t)^2, with the larger of the expected sigma of
    the places and the scatter about the line.
    """
    places = [(pace.t_s, pace.place) for pace in paces if pace.place is not None]
    if len(places) < LEAST_STEPS or places[-1][0] - places[0][0] < LEAST_SPAN_S:
        return None
    times = [t for t, _ in places]
    vx, x, scatter_x = line_through(times, [place.x_m for _, place in places])
    vy, y, scatter_y = line_through(times, [place.y_m for _, place in places])
    last = places[-1][1]
    expected = max(place.sigma_m for _, place in places)
    middle = sum(times) / len(times)
    sigma = max(expected, math.hypot(scatter_x, scatter_y)) / math.sqrt(sum((t - middle) ** 2 for t in times))
    return GroundMotion(last._replace(x_m=x, y_m=y), vx, vy, sigma)


def line_through(times: Sequence[float], values: Sequence[float]) -> tuple[float, float, float]:
    """Least squares: slope, value at the last time, and standard deviation about the line.

    The times must not be all the same.

    >>> line_through([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    (2.0, 5.0, 0.0)
    """
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    apart, off = [t - middle for t in times], [v - mean for v in values]
    # Lists, not generators: half the time, and every object on the track asks twice in every frame.
    slope = sum(map(mul, apart, off)) / sum(map(mul, apart, apart))
    rest = sum([(v - slope * t) ** 2 for t, v in zip(apart, off, strict=True)])
    return slope, mean + slope * (times[-1] - middle), math.sqrt(rest / max(1, len(times) - 2))


def is_lying(box_norm: Box, aspect: float) -> bool:
    """Whether a person's box is wider than tall; `aspect` is the frame's width over its height.

    >>> is_lying((0.4, 0.5, 0.6, 0.6), 16 / 9), is_lying((0.4, 0.4, 0.43, 0.6), 16 / 9)
    (True, False)
    """
    left, top, right, bottom = box_norm
    return (right - left) * aspect > 1.1 * (bottom - top)
