"""Privacy masks: parts of a picture that nobody who looks at evidence or at the live view may see.

The mask is a mosaic and not a blur: the mean over a cell is all that is left of it, so that nothing can be sharpened
back. A cell that the polygon so much as touches is taken whole: no pixel of the polygon is ever shown. The detector
sees the picture as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from railwatch.core.geometry import Point
from railwatch.core.types import Size, UInt8Array, Zone

CELLS_ACROSS: Final = 32
"""Cells of the mosaic along the longer side of the picture: a face is then at most a few of them."""


def private_areas(zones: Iterable[Zone], camera_id: str) -> tuple[tuple[Point, ...], ...]:
    """The polygons (fractions of the frame) of the zones of one camera that are to be blurred."""
    return tuple(zone.polygon_norm for zone in zones if zone.blur and zone.camera_id == camera_id)


def blurred(bgr: UInt8Array, areas: Sequence[tuple[Point, ...]]) -> UInt8Array:
    """A copy of `bgr` ((H, W, 3) uint8) in which `areas` (polygons in fractions of the frame) are a mosaic.

    Cells are squares of 1/32 of the longer side; those at the right and lower edge may be smaller.

    >>> picture = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    >>> corner = (Point(0.0, 0.0), Point(0.01, 0.0), Point(0.0, 0.01))
    >>> masked = blurred(picture, [corner])
    >>> bool((masked[:2, :2] == masked[0, 0]).all()), bool((masked[2:] == picture[2:]).all())
    (True, True)
    """
    picture = bgr.copy()
    size = Size(picture.shape[1], picture.shape[0])
    side = cell_side(size)
    for area in areas:
        for row, column in _touched(area, size):
            cell = picture[row * side : (row + 1) * side, column * side : (column + 1) * side]
            cell[:] = bgr[row * side : (row + 1) * side, column * side : (column + 1) * side].mean(axis=(0, 1))
    return picture


def cell_side(size: Size) -> int:
    """Side of a cell of the mosaic in pixels, for a picture of `size`.

    >>> cell_side(Size(1920, 1080))
    60
    """
    return -(-max(size) // CELLS_ACROSS)


@lru_cache(maxsize=64)
def _touched(area: tuple[Point, ...], size: Size) -> npt.NDArray[np.int64]:
    """Row and column, (N, 2), of every cell that the polygon touches."""
    side = cell_side(size)
    rows, columns = np.mgrid[0 : -(-size.height // side), 0 : -(-size.width // side)]
    cells = shapely.box(columns * side, rows * side, (columns + 1) * side, (rows + 1) * side)
    polygon = shapely.Polygon([(point.x * size.width, point.y * size.height) for point in area])
    return np.argwhere(shapely.intersects(cells, polygon))
