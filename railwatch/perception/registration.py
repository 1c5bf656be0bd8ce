"""Whether a picture shows the scene of another one, and how far it is shifted against it.

Both work on edges, so that dusk, clouds and the switch to infrared, which change levels, matter little. Shifts are
found by phase correlation (Kuglin and Hines, 1975) in twelve blocks, each by itself: what passes through the picture
takes some blocks along, a camera that was moved takes all. Lengths are fractions of the picture's width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from railwatch.core.types import Float32Array, Size
from railwatch.perception.look import SMALL, BoolArray, Look, cells_of

BLOCKS: Final = Size(4, 3)

SURE_RESPONSE: Final = 0.2
"""Least height of the correlation's peak at which the shift of a block is believed."""

SURE_WHOLE: Final = 0.12
"""The same for the whole picture, which finds larger shifts."""

LEAST_BLOCKS: Final = 4
"""Blocks that must be sure of their shift."""

SAME_RELIEF: Final = 0.4
"""Correlation of the relief from which on a cell shows what it showed."""


def edges_of(small: Float32Array) -> Float32Array:
    """Strength of edges, (180, 320) float32; the root keeps a few strong ones from outvoting the rest."""
    smooth = cv2.GaussianBlur(small, (0, 0), 1.0)
    slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return np.asarray(cv2.sqrt(slope), np.float32)


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a picture is shifted: `distance` as a fraction of the width; `blocks` that are sure of theirs."""

    distance: float
    blocks: int


def shift_between(reference: Float32Array, edges: Float32Array) -> Shift | None:
    """The shift of `edges` against `reference`, both as `edges_of` gives them; None where they do not match.

    The median over the sure blocks: rotation and zoom shift blocks differently, and something that passes only some.
    """
    found = [_correlate(reference[rows, columns], edges[rows, columns]) for rows, columns in _block_slices()]
    sure = [distance for distance, response in found if response >= SURE_RESPONSE]
    if len(sure) >= LEAST_BLOCKS:
        return Shift(float(np.median(sure)), len(sure))
    distance, response = _correlate(reference, edges)
    return Shift(distance, len(sure)) if response >= SURE_WHOLE else None


def _block_slices() -> list[tuple[slice, slice]]:
    height, width = SMALL.height // BLOCKS.height, SMALL.width // BLOCKS.width
    return [
        (slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width))
        for row in range(BLOCKS.height)
        for column in range(BLOCKS.width)
    ]


def _correlate(first: Float32Array, second: Float32Array) -> tuple[float, float]:
    """Distance (fraction of the whole picture's width) and height of the peak, 0 to 1."""
    window = _window(first.shape[0], first.shape[1])
    (x, y), response = cv2.phaseCorrelate(first - first.mean(), second - second.mean(), window)
    return float(np.hypot(x, y)) / SMALL.width, float(response)


@lru_cache(maxsize=4)
def _window(height: int, width: int) -> Float32Array:
    return np.asarray(cv2.createHanningWindow((width, height), cv2.CV_32F), np.float32)


def recognised(reference: Look, now: Look) -> BoolArray:
    """Cells whose relief is that of the reference, whatever its strength, (9, 16)."""
    both = cells_of(reference.relief * now.relief)
    return np.asarray(both >= SAME_RELIEF * np.sqrt(reference.power * now.power) + 1e-6)
