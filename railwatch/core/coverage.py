"""How small a person may be that a camera's detector still finds, place by place: the coverage of a zone.

A person of 1.7 m at a place is so many pixels tall in the model's input; the model's recall by height, measured, tells
from how many pixels on it finds people. Both together give the smallest person that is found there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from railwatch.core.geometry import Point, bounds_of, contains
from railwatch.core.ground import GroundPlane

PERSON_M: Final = 1.7
"""The person whose size in the picture is told."""

CELLS: Final = 64
"""Cells across and down the whole frame."""


class Recall(NamedTuple):
    """Of `people` true people of at least `from_px` and less than `to_px` in the model's input, `found` were found."""

    from_px: float
    to_px: float
    found: int
    people: int

    @property
    def share(self) -> float:
        """Part of them that was found, 0 to 1; 0 where there were none."""
        return self.found / self.people if self.people else 0.0


class PersonSize(NamedTuple):
    """A person of 1.7 m with the feet at a place of the picture is `height` tall; all in fractions of the frame."""

    foot: Point
    height: float


@dataclass(frozen=True, slots=True)
class CameraView:
    """What a site says of a camera's picture: width over height, and the sizes of people where no ground is known."""

    camera_id: str
    aspect: float = 16 / 9
    people: tuple[PersonSize, ...] = ()


@dataclass(frozen=True, slots=True)
class CoverageSettings:
    """What the zones of a site must cover.

    `least_recall`: part of the people of a size that the model must have found for the size to count as found.
    `smallest_px`: from which height in the model's input on people count as found, instead of the model's own
    measured recall. `wanted`: for zones, the smallest person in metres that must be found in all of it.
    """

    least_recall: float = 0.5
    smallest_px: float | None = None
    views: tuple[CameraView, ...] = ()
    wanted: tuple[tuple[str, float], ...] = ()

    def view(self, camera_id: str) -> CameraView:
        """What is said of a camera, or the defaults."""
        return next((view for view in self.views if view.camera_id == camera_id), CameraView(camera_id))


class Cell(NamedTuple):
    """A place of the picture.

    `person_px`: how tall a person of 1.7 m is there in the model's input, pixels. `smallest_m`: the smallest person
    that is found there, metres; infinite where nobody is.
    """

    at: Point
    person_px: float
    smallest_m: float


HeightAt = Callable[[Point], float]
"""Height of a person of 1.7 m with the feet at a place, in fractions of the frame's height; 0 where nobody can be."""


def smallest_px(recall: Sequence[Recall], least: float) -> float | None:
    """From which height on a model finds at least a part of all people, by its measured recall; None if from none.

    >>> smallest_px([Recall(16, 32, 2, 10), Recall(32, 64, 7, 10), Recall(64, 128, 9, 10)], 0.5)
    32
    """
    found = None
    for row in sorted(recall, reverse=True):
        if row.share < least:
            break
        found = row.from_px
    return found


def heights_on(plane: GroundPlane, aspect: float) -> HeightAt:
    """Heights from a ground plane, for a frame `aspect` times as wide as high.

    A metre on the ground is s1 long across the line of sight and s2 along it (the singular values of the map from the
    ground to the picture); seen from there, an upright metre is sqrt(s1^2 - s2^2), for s2 = s1 sin(angle downwards):
    weak perspective, Hartley and Zisserman, Multiple View Geometry, 2nd edition, 6.3.
    """

    def height(at: Point) -> float:
        if not plane.sees(at):
            return 0.0
        here = plane.locate(at)
        (a, b, _), (d, e, _), (g, h, i) = plane.matrix
        depth = g * at.x + h * at.y + i
        to_ground = np.array([[a - here.x_m * g, b - here.x_m * h], [d - here.y_m * g, e - here.y_m * h]]) / depth
        to_picture = np.diag([aspect, 1.0]) @ np.linalg.inv(to_ground)
        across, along = np.linalg.svd(to_picture, compute_uv=False)
        return PERSON_M * math.sqrt(max(0.0, float(across**2 - along**2)))

    return height


def heights_of(people: Sequence[PersonSize]) -> HeightAt:
    """Heights from sizes that were declared: on flat ground the height grows evenly with y, by least squares.

    Raises ValueError unless two of them stand at different heights of the picture, the lower one being taller.
    """
    ys, heights = [person.foot.y for person in people], [person.height for person in people]
    if len(people) < 2 or max(ys) - min(ys) < 0.01:
        raise ValueError("people must be 2 or more, at different y: nearer and farther away")
    slope, level = np.polyfit(ys, heights, 1)
    if slope <= 0:
        raise ValueError("people must be taller nearer to the camera, at larger y")
    return lambda at: max(0.0, float(level + slope * at.y))


def cells_of(polygon: tuple[Point, ...], height_at: HeightAt, scale_px: float, needed_px: float) -> list[Cell]:
    """The cells of a zone, and its corners, for the farthest place is one of them.

    `scale_px` is the height of the whole frame in the model's input, pixels; people count as found from `needed_px` on.
    """
    return [_cell(at, height_at(at) * scale_px, needed_px) for at in (*_centres(polygon), *polygon)]


def frame_px(width: int, height: int, aspect: float) -> float:
    """How many pixels tall a frame is in a model's input of so many pixels, into which it is fitted whole.

    >>> frame_px(480, 416, 16 / 9)
    270.0
    """
    return min(float(height), width / aspect)


def _cell(at: Point, person_px: float, needed_px: float) -> Cell:
    return Cell(at, person_px, math.inf if person_px <= 0 else PERSON_M * needed_px / person_px)


def _centres(polygon: tuple[Point, ...]) -> Iterator[Point]:
    left, top, right, bottom = bounds_of(polygon)
    for row in range(math.floor(top * CELLS), math.ceil(bottom * CELLS)):
        for column in range(math.floor(left * CELLS), math.ceil(right * CELLS)):
            at = Point((column + 0.5) / CELLS, (row + 0.5) / CELLS)
            if contains(polygon, at):
                yield at
