"""The ground plane of one camera: from places in the picture to metres, with uncertainty.

Pictures are in fractions of the frame (x to the right, y downwards), the ground in metres: x to the right, y away from
the camera, on the plane of the rails' surroundings. A plane comes from known points, from two rails of known gauge, or
from the camera's height and the horizon; each says how far it may be trusted.

The projection is Hartley and Zisserman, Multiple View Geometry, 2nd edition: normalised DLT (algorithm 4.2), vanishing
points and lines (chapter 8), first-order propagation of error (chapter 5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from railwatch.core.geometry import Point

GAUGES_MM: Final = (1000, 1067, 1435, 1520, 1668, 1676)
"""Common gauges: metre, Cape, standard, Russian, Iberian, Indian broad; distance between the inner faces of the
rails."""

MAX_RESIDUAL_M: Final = 0.5
"""A calibration whose points miss by more than this (root mean square) is refused."""

MAX_RESIDUAL_NORM: Final = 0.02
"""... or by more than this part of the frame."""

LEAST_DROP_NORM: Final = 0.01
"""Places less than this part of the frame's height below the horizon are too far away to be told in metres."""

_Floats = npt.NDArray[np.float64]
Row = tuple[float, float, float]


class CalibrationError(ValueError):
    """A ground plane cannot be had from what was given; the text says what must hold."""


class GroundPoint(NamedTuple):
    """A place on the ground in metres with its uncertainty: the covariance (square metres) of x and y."""

    x_m: float
    y_m: float
    var_x: float
    var_y: float
    cov_xy: float

    @property
    def sigma_m(self) -> float:
        """Standard deviation in the worst direction, metres."""
        middle = (self.var_x + self.var_y) / 2
        return math.sqrt(middle + math.hypot((self.var_x - self.var_y) / 2, self.cov_xy))


@dataclass(frozen=True, slots=True)
class GroundPlane:
    """Maps fractions of the frame to metres on the ground.

    `matrix` is the 3 x 3 homography, rows first, scaled so that the third coordinate is positive below the horizon.
    `residual_m` and `residual_norm` are root mean squares over what it was made from, None where nothing was left to
    compare; `method` is "points", "rails" or "horizon".

    >>> plane = plane_of_points([((0, 1), (0, 0)), ((1, 1), (4, 0)), ((1, 0.5), (4, 8)), ((0, 0.5), (0, 8))])
    >>> place = plane.locate(Point(0.5, 1.0))
    >>> round(place.x_m, 3), round(place.y_m, 3)
    (2.0, 0.0)
    """

    matrix: tuple[Row, Row, Row]
    method: str
    residual_m: float | None = None
    residual_norm: float | None = None

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
            raise CalibrationError("a ground plane must be a finite, invertible 3 x 3 matrix")

    def sees(self, at: Point) -> bool:
        """Whether a place in the picture lies far enough below the horizon to be told in metres."""
        return self._depth(at) > 0.0 and self._drop(at) >= LEAST_DROP_NORM

    def locate(self, at: Point, sigma_norm: float = 0.0) -> GroundPoint:
        """The place on the ground of a place in the picture that is known to `sigma_norm` fractions of the frame.

        Raises CalibrationError at or above the horizon; ask `sees` first.
        """
        if not self.sees(at):
            raise CalibrationError(f"a place must lie below the horizon, but ({at.x:.3f}, {at.y:.3f}) does not")
        (a, b, c), (d, e, f), (g, h, i) = self.matrix
        depth = g * at.x + h * at.y + i
        x, y = (a * at.x + b * at.y + c) / depth, (d * at.x + e * at.y + f) / depth
        slope = ((a - x * g) / depth, (b - x * h) / depth), ((d - y * g) / depth, (e - y * h) / depth)
        own = (self.residual_m or 0.0) ** 2 / 2
        var = sigma_norm**2
        return GroundPoint(
            x,
            y,
            var * (slope[0][0] ** 2 + slope[0][1] ** 2) + own,
            var * (slope[1][0] ** 2 + slope[1][1] ** 2) + own,
            var * (slope[0][0] * slope[1][0] + slope[0][1] * slope[1][1]),
        )

    def picture_of(self, x_m: float, y_m: float) -> Point | None:
        """Where a place on the ground appears, in fractions of the frame, maybe outside it; None behind the camera."""
        column = np.linalg.solve(np.array(self.matrix), np.array([x_m, y_m, 1.0]))
        if column[2] <= 0.0:
            return None
        return Point(float(column[0] / column[2]), float(column[1] / column[2]))

    def _depth(self, at: Point) -> float:
        g, h, i = self.matrix[2]
        return g * at.x + h * at.y + i

    def _drop(self, at: Point) -> float:
        """How far below the horizon a place lies, in fractions of the frame."""
        g, h, _ = self.matrix[2]
        length = math.hypot(g, h)
        return math.inf if length < 1e-12 else self._depth(at) / length


def plane_of_points(pairs: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> GroundPlane:
    """A plane from four or more pairs of a place in the picture (fractions) and on the ground (metres).

    With exactly four points there is no residual: nothing is left to compare. Raises CalibrationError when fewer are
    given, when three of four lie on a line, when the residual is above its bound, or when a point would lie on or above
    the horizon.
    """
    if len(pairs) < 4:
        raise CalibrationError(f"points must be 4 or more, but are {len(pairs)}")
    picture, ground = (np.array([pair[side] for pair in pairs], float) for side in (0, 1))
    to_picture, to_ground = _normaliser(picture, "image"), _normaliser(ground, "ground_m")
    p, q = _applied(to_picture, picture), _applied(to_ground, ground)
    zeros = np.zeros((len(p), 3))
    ones = np.column_stack([p, np.ones(len(p))])
    rows = np.concatenate([np.hstack([ones, zeros, -q[:, :1] * ones]), np.hstack([zeros, ones, -q[:, 1:] * ones])])
    _, singular, vectors = np.linalg.svd(rows)
    if singular[7] < 1e-4 * singular[0]:
        raise CalibrationError("points must not lie on a line, and no three of four: spread them over the ground")
    matrix = np.linalg.inv(to_ground) @ vectors[-1].reshape(3, 3) @ to_picture
    plane = _signed(matrix, picture, "points")
    found = _applied(np.array(plane.matrix), picture)
    back = _applied(np.linalg.inv(np.array(plane.matrix)), ground)
    if len(pairs) == 4:
        return plane
    # Each point gives two equations, the plane takes eight of them: the rest tells how well it fits.
    freedom = 2 * len(pairs) - 8
    residual_m = math.sqrt(float(((found - ground) ** 2).sum()) / freedom)
    residual_norm = math.sqrt(float(((back - picture) ** 2).sum()) / freedom)
    if residual_m > MAX_RESIDUAL_M or residual_norm > MAX_RESIDUAL_NORM:
        worst = int(np.argmax(((found - ground) ** 2).sum(axis=1))) + 1
        raise CalibrationError(
            f"points must fit one flat ground within {MAX_RESIDUAL_M:g} m and {MAX_RESIDUAL_NORM:g} of the frame, "
            f"but miss it by {residual_m:.2f} m and {residual_norm:.3f}; look at point {worst} first"
        )
    return GroundPlane(plane.matrix, "points", residual_m, residual_norm)


class Lens(NamedTuple):
    """A pinhole with square pixels and its axis through the middle of the frame: field of view and aspect ratio."""

    hfov_deg: float
    aspect: float

    @property
    def matrix(self) -> _Floats:
        """K (3, 3): a direction (x right, y down, z ahead) to fractions of the frame."""
        if not 1.0 <= self.hfov_deg <= 170.0:
            raise CalibrationError(f"hfov_deg must be 1 to 170, but is {self.hfov_deg}")
        if not 0.2 <= self.aspect <= 5.0:
            raise CalibrationError(f"the frame's width over its height must be 0.2 to 5, but is {self.aspect}")
        focal = 0.5 / math.tan(math.radians(self.hfov_deg) / 2)
        return np.array([[focal, 0.0, 0.5], [0.0, focal * self.aspect, 0.5], [0.0, 0.0, 1.0]])


Line = tuple[tuple[float, float], tuple[float, float]]


def plane_of_rails(left: Line, right: Line, gauge_m: float, lens: Lens, *, sigma_norm: float = 0.002) -> GroundPlane:
    """A plane from the two rails of one straight track in the picture, its gauge, and a camera that is not rolled.

    Each rail is two places on its inner edge. The ground's x is measured from the middle of the track, y along it. The
    rails meet at the vanishing point of the track; with an unrolled camera that fixes the horizon, and the gauge gives
    the camera's height. `residual_m` is what `sigma_norm` of error at the marks makes of the gauge.
    """
    if not 0.5 <= gauge_m <= 2.0:
        raise CalibrationError(f"gauge_mm must be 500 to 2000, but is {gauge_m * 1000:g}")
    lines = [np.cross([*rail[0], 1.0], [*rail[1], 1.0]) for rail in (left, right)]
    meeting = np.cross(lines[0], lines[1])
    if abs(meeting[2]) < 1e-9:
        raise CalibrationError("the two rails must come together in the distance, but are parallel in the picture")
    meeting /= meeting[2]
    lowest = max(left[0][1], left[1][1], right[0][1], right[1][1])
    if meeting[1] >= min(left[0][1], left[1][1], right[0][1], right[1][1]):
        raise CalibrationError("the two rails must come together above all marks on them")
    k = lens.matrix
    along = _unit(np.linalg.solve(k, meeting))
    up = _unrolled_up(along)
    across = np.cross(-up, along)  # to the right when looking along, for y is downwards
    feet = [_on_line(line, lowest) for line in lines]
    rays = [np.linalg.solve(k, [*foot, 1.0]) for foot in feet]
    drops = [-float(ray @ up) for ray in rays]
    sides = [float(ray @ across) / drop for ray, drop in zip(rays, drops, strict=True)]
    height = gauge_m / abs(sides[1] - sides[0])
    middle = height * (sides[0] + sides[1]) / 2
    plane = _of_frame(k, (across, along, up), height, shift_m=-middle, method="rails")
    return GroundPlane(plane.matrix, "rails", gauge_m * 2 * sigma_norm / abs(feet[1][0] - feet[0][0]), None)


def plane_of_horizon(left_y: float, right_y: float, height_m: float, lens: Lens) -> GroundPlane:
    """A plane from the horizon's height at the left and right edge of the frame (fractions) and the camera's height.

    The ground's origin is below the camera, y the direction in which it looks. The horizon may lie above the frame.
    """
    if not 0.3 <= height_m <= 100.0:
        raise CalibrationError(f"height_m must be 0.3 to 100, but is {height_m}")
    k = lens.matrix
    up = _unit(-(k.T @ np.cross([0.0, left_y, 1.0], [1.0, right_y, 1.0])))
    if up[1] > -0.1:
        raise CalibrationError("the horizon must lie above the ground that the camera sees, and not stand upright")
    along = _unit(np.array([0.0, 0.0, 1.0]) - up[2] * up)
    return _of_frame(k, (np.cross(-up, along), along, up), height_m, shift_m=0.0, method="horizon")


def _unit(vector: npt.NDArray[np.floating[Any]]) -> _Floats:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)


def _unrolled_up(along: _Floats) -> _Floats:
    """The direction (3,) upwards for a level direction and a camera whose rows are level."""
    up = np.cross([1.0, 0.0, 0.0], along)
    length = float(np.linalg.norm(up))
    if length < 0.2:
        raise CalibrationError("the camera must look along the track, not across it, for the rails to give the ground")
    up /= length
    return -up if up[1] > 0 else up


def _of_frame(
    k: _Floats, axes: tuple[_Floats, _Floats, _Floats], height: float, *, shift_m: float, method: str
) -> GroundPlane:
    """The homography of a ground `height` metres below a camera with axes across, along and up."""
    across, along, up = axes
    rows = np.stack([height * across + shift_m * -up, height * along, -up]) @ np.linalg.inv(k)
    (a, b, c), (d, e, f), (g, h, i) = (rows / np.linalg.norm(rows[2])).tolist()
    return GroundPlane(((a, b, c), (d, e, f), (g, h, i)), method)


def _on_line(line: _Floats, y: float) -> tuple[float, float]:
    """The place on a line at a height; a line that meets another above its marks is not level."""
    return float(-(line[1] * y + line[2]) / line[0]), y


def _normaliser(points: _Floats, name: str) -> _Floats:
    """The similarity (3, 3) that brings points to mean 0 and mean distance sqrt 2."""
    centre = points.mean(axis=0)
    distance = float(np.linalg.norm(points - centre, axis=1).mean())
    if not np.isfinite(points).all() or distance < 1e-9:
        raise CalibrationError(f"the {name} places must be finite and not all the same")
    scale = math.sqrt(2) / distance
    return np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])


def _applied(matrix: _Floats, points: _Floats) -> _Floats:
    mapped = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return mapped[:, :2] / mapped[:, 2:]


def _signed(matrix: _Floats, picture: _Floats, method: str) -> GroundPlane:
    """Scaled so that depth is positive where the points are; they must all be on one side of the horizon."""
    matrix = matrix / np.linalg.norm(matrix[2])
    depths = np.column_stack([picture, np.ones(len(picture))]) @ matrix[2]
    if depths.max() < 0:
        matrix, depths = -matrix, -depths
    if depths.min() <= 1e-6:
        raise CalibrationError("all points must lie below the horizon: two of them contradict each other")
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    return GroundPlane(((a, b, c), (d, e, f), (g, h, i)), method)
