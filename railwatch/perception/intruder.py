"""The person whom the self-test puts into copies of frames: a rendered cut-out, lit as the place where it stands.

The real frame is never touched: the person is put into a copy, which nothing but the self-test sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np

from railwatch.core.types import Picture, Size, UInt8Array
from railwatch.perception.picture import BgrPicture

CUT_OUT: Final = Path(__file__).with_name("intruder.png")
DAYLIGHT: Final = 125.0
"""Mean of luma (0 to 255) of a place in which the cut-out is shown as it was rendered."""

DARKEST: Final = 0.3
BRIGHTEST: Final = 1.15
"""How far the cut-out is dimmed or brightened to fit its place."""


class Spot(NamedTuple):
    """Where the person stands: the point between the feet and the height, in pixels of the frame."""

    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """The person: `bgr` (H, W, 3) uint8 and `alpha` (H, W) uint8."""

    bgr: UInt8Array
    alpha: UInt8Array


@lru_cache(maxsize=1)
def cut_out() -> CutOut:
    """The person as it was rendered. Raises ValueError when the file of the package is damaged."""
    picture = cv2.imdecode(np.frombuffer(CUT_OUT.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
        raise ValueError(f"{CUT_OUT.name} must be a PNG with alpha: install railwatch anew")
    bgr, alpha = np.ascontiguousarray(picture[..., :3], np.uint8), np.ascontiguousarray(picture[..., 3], np.uint8)
    bgr.flags.writeable = alpha.flags.writeable = False
    return CutOut(bgr, alpha)


def box_at(spot: Spot) -> tuple[float, float, float, float]:
    """The box of a person at a spot, left, top, right, bottom in pixels; it may reach out of the frame.

    >>> left, top, right, bottom = box_at(Spot(100.0, 200.0, 80.0))
    >>> round(bottom - top), right - left > 20
    (80, True)
    """
    height, width = cut_out().alpha.shape
    half = 0.5 * spot.height * width / height
    return spot.x - half, spot.y - spot.height, spot.x + half, spot.y


def with_intruder(picture: Picture, spot: Spot) -> BgrPicture:
    """A copy of a picture with the person at a spot. What reaches out of the frame is cut off.

    Raises ValueError when no pixel of the person would lie in the frame.
    """
    copy = np.array(picture.bgr())
    size = picture.size
    left, top, right, bottom = (round(side) for side in box_at(spot))
    shown = (max(0, left), max(0, top), min(size.width, right), min(size.height, bottom))
    if shown[0] >= shown[2] or shown[1] >= shown[3]:
        raise ValueError(f"the person must stand in the frame of {size.width} x {size.height}, but is at {spot}")
    inner = np.s_[shown[1] - top : shown[3] - top, shown[0] - left : shown[2] - left]
    made = Size(right - left, bottom - top)
    person = cv2.resize(cut_out().bgr, made, interpolation=cv2.INTER_AREA)[inner]
    alpha = cv2.resize(cut_out().alpha, made, interpolation=cv2.INTER_AREA)[inner].astype(np.float32)[..., None] / 255.0
    place = copy[shown[1] : shown[3], shown[0] : shown[2]]
    gain = float(np.clip(_luma(place) / DAYLIGHT, DARKEST, BRIGHTEST))
    blended = alpha * (gain * person.astype(np.float32)) + (1.0 - alpha) * place
    copy[shown[1] : shown[3], shown[0] : shown[2]] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    copy.flags.writeable = False
    return BgrPicture(copy)


def _luma(bgr: UInt8Array) -> float:
    blue, green, red = bgr.reshape(-1, 3).mean(axis=0)
    return float(0.114 * blue + 0.587 * green + 0.299 * red)
