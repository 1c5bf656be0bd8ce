"""Silhouettes and masks: how much of an actor is in the frame, and how much of that is hidden. Numpy and OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from scenes.camera import NEAR_M, Floats, project
from scenes.cast import Shape

Mask = npt.NDArray[np.bool_]
FINER = 4
MASK_FINER = 2
"""Masks of frames are this many times finer than the frame: a box around ten pixels must not move by one of them."""


def silhouette(shapes: Sequence[Shape], matrix: Floats, size_px: tuple[int, int]) -> Mask:
    """What the shapes alone would cover, (4 h, 4 w): four times finer than the frame, nothing in front of them.

    Faces that reach behind the camera are left out.
    """
    image = np.zeros((size_px[1] * FINER, size_px[0] * FINER), np.uint8)
    for shape in shapes:
        pixels, depth = project(matrix, shape.vertices_m)
        # OpenCV counts from pixel centres and, with shift 4, in sixteenths; it takes no coordinate beyond 32 bits.
        sixteenths = np.clip((pixels * FINER - 0.5) * 16, -(2**26), 2**26).round().astype(np.int32)
        ahead = depth > NEAR_M
        for face in shape.faces:
            corners = list(face)
            if ahead[corners].all():
                cv2.fillConvexPoly(image, sixteenths[corners], 1, cv2.LINE_8, shift=4)
    return image.astype(bool)


def mask_box(mask: Mask, finer: int = 1) -> Floats | None:
    """The box (4,) xyxy in pixels around a mask, None when it is empty.

    >>> mask_box(np.eye(3, dtype=bool)).tolist()
    [0.0, 0.0, 3.0, 3.0]
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float) / finer


class Seen(NamedTuple):
    """What of an actor the frame shows.

    The box of its visible pixels, how many they are, and which share of its silhouette in the frame something hides.
    """

    visible_xyxy: Floats | None
    occluded_fraction: float
    visible_px: int


def seen(mask: Mask, outline: Mask) -> Seen:
    """Compare what is visible of an actor (2 h, 2 w) with its silhouette (4 h, 4 w)."""
    visible = float(mask.sum()) / MASK_FINER**2
    whole = float(outline.sum()) / FINER**2
    hidden = 1.0 if whole <= 0 else 1.0 - visible / whole
    return Seen(mask_box(mask, MASK_FINER), float(np.clip(hidden, 0.0, 1.0)), round(visible))


def box_iou(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Intersection over union of two boxes (4,) xyxy.

    >>> box_iou([0, 0, 2, 2], [1, 0, 3, 2])
    0.3333333333333333
    """
    one, two = np.asarray(first, float), np.asarray(second, float)
    corner, opposite = np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])
    shared = float(np.prod(np.clip(opposite - corner, 0, None)))
    total = float(np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2])) - shared
    return shared / total if total > 0 else 0.0
