"""The coverage map of one camera: in every cell of its zones the smallest person that is found there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np

from railwatch.core.coverage import CELLS, Cell
from railwatch.core.types import UInt8Array, Zone
from railwatch.evidence.chart import INK, Axes, Colour, label, sheet, text
from railwatch.evidence.overlay import ZONE_COLOURS

WIDTH: Final = 960
_LEGEND: Final = 90

STEPS: Final[tuple[tuple[float, str, Colour], ...]] = (
    (0.9, "a small child, 0.9 m", (80, 160, 60)),
    (1.3, "a child, 1.3 m", (90, 200, 160)),
    (1.7, "an adult, 1.7 m", (0, 200, 240)),
    (2.2, "up to 2.2 m: hardly anybody", (0, 120, 230)),
    (math.inf, "nobody", (40, 40, 200)),
)
"""Up to which smallest person a cell has a colour, and what that means; each is also written beside the map."""


class MappedZone(NamedTuple):
    """A zone with its cells; none where it is not known who is found, and then `told` says why."""

    zone: Zone
    cells: Sequence[Cell]
    told: str


def draw_coverage(
    camera_id: str, aspect: float, zones: Sequence[MappedZone], bgr: UInt8Array | None = None
) -> UInt8Array:
    """A sheet 960 pixels wide, BGR: the frame (`bgr`, or grey), cells in colours, zones with their words, a legend."""
    height = round(WIDTH / aspect)
    picture = sheet(WIDTH, height + _LEGEND)
    base = picture[:height]
    base[:] = 225 if bgr is None else cv2.resize(bgr, (WIDTH, height))
    axes = Axes((0, 0, WIDTH, height), 0.0, 1.0, 1.0, 0.0)
    for mapped in zones:
        _draw_cells(base, axes, mapped)
    for mapped in zones:
        outline = np.array([axes.at(*point) for point in mapped.zone.polygon_norm], np.int32).reshape(-1, 1, 2)
        cv2.polylines(base, [outline], isClosed=True, color=ZONE_COLOURS[mapped.zone.kind], thickness=2)
    for number, mapped in enumerate(zones):
        label(base, mapped.told, (8, 20 + 18 * number), (240, 240, 240))
    text(picture, f"{camera_id}: the smallest person that is found", (8, height + 18), 0.5)
    for number, (_, words, colour) in enumerate(STEPS):
        left, top = 8 + 316 * (number % 3), height + 30 + 26 * (number // 3)
        cv2.rectangle(picture, (left, top), (left + 24, top + 18), colour, cv2.FILLED)
        cv2.rectangle(picture, (left, top), (left + 24, top + 18), INK, 1)
        text(picture, words, (left + 32, top + 14))
    return picture


def _draw_cells(base: UInt8Array, axes: Axes, mapped: MappedZone) -> None:
    tint = base.copy()
    half = 0.5 / CELLS
    for cell in mapped.cells:
        colour = next(colour for most, _, colour in STEPS if cell.smallest_m <= most)
        corners = axes.at(cell.at.x - half, cell.at.y - half), axes.at(cell.at.x + half, cell.at.y + half)
        cv2.rectangle(tint, *corners, colour, cv2.FILLED)
    outline = np.array([axes.at(*point) for point in mapped.zone.polygon_norm], np.int32)
    inside = cv2.fillPoly(np.zeros(base.shape[:2], np.uint8), [outline], 1).astype(bool)
    base[inside] = cv2.addWeighted(tint, 0.6, base, 0.4, 0.0)[inside]
