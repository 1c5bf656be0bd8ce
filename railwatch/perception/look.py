"""What can be measured of a picture's luma in microseconds: how bright, how much detail, how sharp, what stayed.

Everything is measured on a grid of 16 x 9 cells, so that a train, a crowd or a person close by, which fill a part of
the picture, can be told from what takes hold of all of it. Levels are grey levels of 0 (black) to 255 (white).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from railwatch.core.types import Float32Array, Picture, Size, UInt8Array
from railwatch.perception.picture import YuvPicture

GRID: Final = Size(16, 9)
"""Cells across and down."""

POINTS: Final = Size(320, 180)
"""Pixels that are picked from every frame to see whether anything changed: 20 x 20 a cell."""

SMALL: Final = Size(320, 180)
"""The reduced picture in which detail, shift and levels are measured: 20 x 20 pixels a cell."""

FINE: Final = Size(640, 360)
"""The picture in which noise and sharpness are measured, upright for an upright one; a smaller one stays as it is."""

FAR: Final = 8
"""Distance in pixels over which contrast is measured, against that of neighbours: their ratio is sharpness."""

SKIP: Final = 3
"""Every third row and column is measured."""

LEAST_CONTRAST: Final = 6.0
"""Root mean square of the difference at `FAR`, grey levels, from which on the sharpness of a cell can be told."""

_BLACK: Final = 16.0
_SPAN: Final = 219.0
"""Black and the span to white in limited range (ITU-T H.273)."""

BoolArray = npt.NDArray[np.bool_]


def luma_of(picture: Picture) -> UInt8Array:
    """The luma of a picture, (H, W) uint8: its own plane where it has one, else converted."""
    if isinstance(picture, YuvPicture):
        return picture.luma
    return np.asarray(cv2.cvtColor(picture.bgr(), cv2.COLOR_BGR2GRAY), np.uint8)


def full_range(picture: Picture) -> bool:
    """Whether `luma_of` fills 0 to 255; else black is 16 and white 235."""
    return not isinstance(picture, YuvPicture) or picture.colour.full_range


def points_of(luma: UInt8Array) -> UInt8Array:
    """Pixels picked from everywhere in the picture, `POINTS`, none of them mixed with another."""
    return np.asarray(cv2.resize(luma, POINTS, interpolation=cv2.INTER_NEAREST), np.uint8)


def same_cells(points: UInt8Array, before: UInt8Array) -> BoolArray:
    """Which cells are as in the frame before, (9, 16): hardly one of 400 picked pixels differs."""
    changed = cv2.compare(points, before, cv2.CMP_NE)
    return np.asarray(cv2.resize(changed, GRID, interpolation=cv2.INTER_AREA) == 0)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One look at a picture: its levels, its fine structure, and what they are in each cell of the grid.

    `small` (180, 320) float32 levels; `relief` (90, 160) without the slow changes of them; of each cell, (9, 16), the
    `power` of the relief and the mean `level`.
    """

    small: Float32Array
    relief: Float32Array
    power: Float32Array
    level: Float32Array

    @property
    def detail(self) -> Float32Array:
        """Root mean square of the relief of each cell, grey levels, (9, 16)."""
        return np.asarray(np.sqrt(self.power), np.float32)


def reduced(luma: UInt8Array) -> UInt8Array:
    """The picture at about the size at which detectors look, reduced as their samples are; a smaller one as it is."""
    height, width = luma.shape
    fine = FINE if width >= height else Size(FINE.height, FINE.width)
    if width <= fine.width and height <= fine.height:
        return luma
    return np.asarray(cv2.resize(luma, fine, interpolation=cv2.INTER_LINEAR), np.uint8)


def look_at(fine: UInt8Array, *, full_range: bool) -> Look:
    """Measure a picture as `reduced` gives it. `full_range`: as `full_range` says of the picture."""
    area = np.asarray(cv2.resize(fine, SMALL, interpolation=cv2.INTER_AREA), np.float32)
    small = area if full_range else (area - np.float32(_BLACK)) * np.float32(255.0 / _SPAN)
    return look_of(small)


def look_of(small: Float32Array) -> Look:
    """Measure a picture that is reduced to `SMALL`, (180, 320) float32 levels."""
    half = cv2.resize(small, (SMALL.width // 2, SMALL.height // 2), interpolation=cv2.INTER_AREA)
    relief = np.asarray(half - cv2.blur(half, (7, 7)), np.float32)
    return Look(small, relief, cells_of(relief * relief), cells_of(small))


def moving_cells(now: Look, before: Look, least: float) -> BoolArray:
    """Cells whose pixels changed by at least `least` levels on average from one look to the next, (9, 16)."""
    return np.asarray(cells_of(np.asarray(cv2.absdiff(now.small, before.small), np.float32)) >= least)


def noise_of(fine: UInt8Array, before: UInt8Array) -> float:
    """Standard deviation of the noise, grey levels, from two successive frames as `reduced` gives them.

    Where nothing moves, their difference is noise alone. A quarter of the cells is taken to be still: the lower
    quartile of the cells' mean absolute differences, times sqrt(pi) / 2 as for normal noise in both frames.
    """
    difference = cells_of(np.asarray(cv2.absdiff(fine, before), np.float32))
    return float(np.quantile(difference, 0.25)) * 0.8862


def sharpness_of(fine: UInt8Array, noise: float) -> Float32Array:
    """Sharpness of each cell, (9, 16), 0 to about 1; NaN where there is too little contrast to tell.

    Contrast of neighbours over contrast at `FAR` pixels, root mean squares, without what `noise` (grey levels) adds to
    both; across and down, the greater: motion blurs one way, a lens out of focus both.
    """
    rows, columns = fine[::SKIP].astype(np.float32), fine[:, ::SKIP].astype(np.float32)
    across = _ratio(rows[:, 1:] - rows[:, :-1], rows[:, FAR:] - rows[:, :-FAR], noise)
    down = _ratio(columns[1:] - columns[:-1], columns[FAR:] - columns[:-FAR], noise)
    return np.asarray(np.fmax(across, down), np.float32)


def _ratio(near: Float32Array, far: Float32Array, noise: float) -> Float32Array:
    """Ratio of contrasts of each cell, (9, 16); NaN where there is too little to tell."""
    near_power, far_power = (cells_of(part * part) - np.float32(2.0 * noise**2) for part in (near, far))
    clear = far_power >= LEAST_CONTRAST**2
    ratio = np.sqrt(np.maximum(near_power, 0.0) / np.where(clear, far_power, 1.0))
    return np.where(clear, ratio, np.nan).astype(np.float32)


def cells_of(values: Float32Array) -> Float32Array:
    """The mean over each cell of the grid, (9, 16)."""
    return np.asarray(cv2.resize(values, GRID, interpolation=cv2.INTER_AREA), np.float32)
