"""Whether two ways to the boxes of the same pictures agree: another implementation, an export, another processor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from railwatch.core.types import Float32Array, Size
from railwatch.perception.heads import Boxes

LEAST_IOU: Final = 0.99
"""Boxes of a pair that agrees overlap at least so far ..."""

MOST_DIFFERENCE: Final = 1e-3
"""... and their scores differ by no more than this."""

LEAST_SHARE: Final = 0.99
"""Part of the boxes that must agree."""


class Agreement(NamedTuple):
    """Boxes of the reference and ours, how many agree, and the worst of those that agree."""

    reference: int
    ours: int
    agree: int
    least_iou: float
    largest_difference: float

    @property
    def share(self) -> float:
        """Part of the boxes that agree; boxes that only one side has count as disagreeing."""
        return self.agree / max(self.reference, self.ours, 1)

    def passes(self, least_boxes: int = 1) -> bool:
        """Whether enough of them agree, and there were at least `least_boxes` to compare."""
        return self.reference >= least_boxes and self.share >= LEAST_SHARE


def compare(pairs: Iterable[tuple[Boxes, Boxes]]) -> Agreement:
    """Match the boxes of reference and ours, picture by picture, one to one within a class.

    >>> one = Boxes(np.array([[0, 0, 9, 9]], np.float32), np.array([0.5], np.float32), np.array([0]))
    >>> compare([(one, one)]).share
    1.0
    """
    reference = ours = agree = 0
    least_iou, largest = 1.0, 0.0
    for theirs, mine in pairs:
        reference, ours = reference + len(theirs.confidence), ours + len(mine.confidence)
        free = np.ones(len(mine.confidence), bool)
        for box, score, class_id in zip(*theirs, strict=True):
            difference = np.abs(mine.confidence - score)
            partner = free & (mine.class_id == class_id) & (difference <= MOST_DIFFERENCE)
            iou = np.where(partner, iou_of(box, mine.xyxy), -1.0)
            if len(iou) and iou.max() >= LEAST_IOU:
                best = int(iou.argmax())
                free[best] = False
                agree += 1
                least_iou, largest = min(least_iou, float(iou[best])), max(largest, float(difference[best]))
    return Agreement(reference, ours, agree, least_iou, largest)


def iou_of(box: Float32Array, boxes: Float32Array) -> npt.NDArray[np.floating]:
    """IoU of one box (4,) with each of (N, 4), xyxy; a box clipped to no area equals itself."""
    shared = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - shared
    iou: npt.NDArray[np.floating] = np.where(union > 0, shared / np.maximum(union, 1e-9), (box == boxes).all(axis=1))
    return iou


def clipped(boxes: Boxes, size: Size) -> Boxes:
    """The boxes within a picture of `size`; those without area there are left out, as railwatch does."""
    limit = np.array((size.width, size.height) * 2, np.float32)
    xyxy = np.clip(boxes.xyxy, 0, limit)
    visible = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)
    return Boxes(xyxy[visible], boxes.confidence[visible], boxes.class_id[visible])
