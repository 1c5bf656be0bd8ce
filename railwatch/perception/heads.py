"""From the raw output of a detection network to boxes: one function a head, one row in `HEADS`, exact NMS in numpy.

Every function here takes the output of one sample and gives boxes in pixels of that sample. Output that cannot be
believed (another shape, NaN, scores beyond 0 to 1) raises ModelError: it is never read as "nothing found".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from railwatch.core.errors import ModelError
from railwatch.core.types import Float32Array, Int64Array, Size

STRIDES: Final = (8, 16, 32)
"""Pixels of the sample a grid cell covers, level by level, in the order YOLOX writes its rows."""

MAX_DETECTIONS: Final = 300
"""Most boxes of one sample, the strongest: Ultralytics' own limit, above the 200 tracks an Observation carries."""

MAX_CANDIDATES: Final = 4096
"""Most boxes that enter NMS, the strongest: bounds its time at about 10 ms when a network goes wild."""

_BLOCK: Final = 256
"""Boxes compared at once in NMS: 256 x 256 is above any usual frame and still fits the processor's cache."""

_SCORE_SLACK: Final = 1e-3
"""What a score may lie beyond 0 to 1 by rounding (float16 networks); it is clipped then."""


class Boxes(NamedTuple):
    """`xyxy` (N, 4) float32 in pixels of the sample, `confidence` (N,) float32 in 0 to 1, `class_id` (N,) int64."""

    xyxy: Float32Array
    confidence: Float32Array
    class_id: Int64Array


class Head(NamedTuple):
    """How a kind of network writes its boxes.

    `read(output, size, confidence)` gives all boxes with at least that confidence, in any order.
    `shape(size, classes)` is the shape of the output of one sample; None stands for any number.
    `nms_iou` is the overlap above which its reference drops the weaker box of a class; None: it needs no NMS.
    """

    read: Callable[[Float32Array, Size, float], Boxes]
    shape: Callable[[Size, int], tuple[int | None, int | None]]
    nms_iou: float | None


def decode(
    head: str, output: npt.NDArray[np.floating], size: Size, classes: int, confidence: float, nms_iou: float | None
) -> Boxes:
    """Boxes of one sample, strongest first, at most `MAX_DETECTIONS`.

    `output` is (rows, columns) as the network wrote it without its batch axis, `size` the size of the sample in
    pixels, `confidence` the least score (0 to 1; a score of 0 is never a detection). Raises ModelError when the
    output has another shape than the head demands, holds NaN or infinity, or scores or classes out of range.

    >>> output = np.array([[1.0, 2.0, 3.0, 4.0, 0.9, 0.0]], np.float32)
    >>> decode("end_to_end", output, Size(32, 32), 1, 0.5, None).confidence
    array([0.9], dtype=float32)
    """
    row = HEADS[head]
    _check_shape(head, output.shape, row.shape(size, classes))
    numbers = np.asarray(output, np.float32)
    _check_finite(numbers)
    least = max(confidence, float(np.finfo(np.float32).tiny))
    found = _checked(row.read(numbers, size, least), classes)
    order = _strongest(found.confidence)[:MAX_DETECTIONS] if nms_iou is None else nms(found, nms_iou)
    return Boxes(found.xyxy[order], found.confidence[order], found.class_id[order])


def nms(boxes: Boxes, iou: float, limit: int = MAX_DETECTIONS) -> Int64Array:
    """Indices of the boxes that stay, strongest first, at most `limit`: greedy non-maximum suppression within a class.

    A box goes when a stronger one of its class that stays overlaps it by more than `iou`. Of equal scores the lower
    index comes first, so the same input gives the same answer everywhere. Only the strongest `MAX_CANDIDATES` enter.

    >>> same = Boxes(np.zeros((2, 4), np.float32) + [0, 0, 9, 9], np.array([0.5, 0.9]), np.array([0, 0]))
    >>> nms(same, 0.5)
    array([1])
    """
    order = _strongest(boxes.confidence)
    xyxy = boxes.xyxy.astype(np.float64)
    kept = order[:0]
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        if len(kept):
            block = block[~_suppresses(xyxy, boxes.class_id, kept, block, iou).any(axis=0)]
        kept = np.concatenate((kept, block[_survivors(_suppresses(xyxy, boxes.class_id, block, block, iou))]))
        if len(kept) >= limit:
            break
    return kept[:limit]


def _strongest(confidence: Float32Array) -> Int64Array:
    """Indices by falling score, equal scores by rising index, at most `MAX_CANDIDATES`."""
    if len(confidence) <= MAX_CANDIDATES:
        return np.argsort(-confidence, kind="stable")
    weakest = np.partition(confidence, -MAX_CANDIDATES)[-MAX_CANDIDATES]
    indices = np.flatnonzero(confidence >= weakest)
    return indices[np.argsort(-confidence[indices], kind="stable")][:MAX_CANDIDATES]


def _suppresses(
    xyxy: npt.NDArray[np.float64], class_id: Int64Array, first: Int64Array, second: Int64Array, iou: float
) -> npt.NDArray[np.bool_]:
    """Whether each of `first` (rows) overlaps each of `second` (columns) of its class by more than `iou`.

    Compares without a division, so that two boxes without area do not overlap instead of being 0 / 0.
    """
    a, b = xyxy[first], xyxy[second]
    shared = np.minimum(a[:, 2, None], b[:, 2])  # everything below works in two matrices: they stay in the cache
    other = np.maximum(a[:, 0, None], b[:, 0])
    shared -= other
    np.maximum(shared, 0.0, out=shared)
    height = np.minimum(a[:, 3, None], b[:, 3])
    height -= np.maximum(a[:, 1, None], b[:, 1], out=other)
    shared *= np.maximum(height, 0.0, out=height)
    union = np.add(_areas(a)[:, None], _areas(b), out=other)
    union -= shared
    union *= iou
    result: npt.NDArray[np.bool_] = shared > union
    result &= class_id[first][:, None] == class_id[second]
    return result


def _areas(xyxy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    areas: npt.NDArray[np.float64] = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return areas


def _survivors(suppresses: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which boxes of one block stay, given whom each would suppress; the block is in falling order of score."""
    alive = np.ones(len(suppresses), np.bool_)
    for index, row in enumerate(suppresses):
        if alive[index]:
            alive[index + 1 :] &= ~row[index + 1 :]
    return alive


def _read_yolox(output: Float32Array, size: Size, confidence: float) -> Boxes:
    """YOLOX as exported: rows of (x, y, w, h, objectness, class scores), x to h relative to the cell of the grid.

    x = (o + column) * stride, w = exp(o) * stride (Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021");
    score = objectness * best class score. The exponential is taken of the few candidates only.
    """
    rows, score, class_id = _yolox_candidates(output, confidence)
    cells, strides = _grid(size)
    stride = strides[rows]
    with np.errstate(over="ignore"):  # an infinite width is refused by the caller
        extent = np.exp(output[rows, 2:4]) * stride
    return Boxes(_from_centers((output[rows, :2] + cells[rows]) * stride, extent), score, class_id)


def _read_yolox_decoded(output: Float32Array, size: Size, confidence: float) -> Boxes:  # noqa: ARG001 - a row of HEADS
    """YOLOX exported with its decoding in the graph: x, y, w, h are pixels of the sample."""
    rows, score, class_id = _yolox_candidates(output, confidence)
    return Boxes(_from_centers(output[rows, :2], output[rows, 2:4]), score, class_id)


def _yolox_candidates(output: Float32Array, confidence: float) -> tuple[Int64Array, Float32Array, Int64Array]:
    objectness = output[:, 4]
    _check_scores(objectness)
    # A class score is at most 1, so the objectness alone rules out nearly all rows before any other work.
    rows = np.flatnonzero(objectness >= confidence / (1.0 + _SCORE_SLACK))
    class_scores = output[rows, 5:]
    _check_scores(class_scores)
    class_id = class_scores.argmax(axis=1)
    score = objectness[rows] * class_scores[np.arange(len(rows)), class_id]
    enough = score >= confidence
    return rows[enough], score[enough], class_id[enough]


def _read_ultralytics(output: Float32Array, size: Size, confidence: float) -> Boxes:  # noqa: ARG001 - a row of HEADS
    """Ultralytics v5u, v8, v9, 11: columns of (x, y, w, h, class scores) in pixels; the best class of each box."""
    class_scores = output[4:]
    best = class_scores.max(axis=0)
    columns = np.flatnonzero(best >= confidence)
    class_id = class_scores[:, columns].argmax(axis=0)
    boxes = output[:4, columns].T
    return Boxes(_from_centers(boxes[:, :2], boxes[:, 2:]), best[columns], class_id)


def _read_end_to_end(output: Float32Array, size: Size, confidence: float) -> Boxes:  # noqa: ARG001 - a row of HEADS
    """YOLOv10, YOLO26 and exports with NMS in the graph: rows of (left, top, right, bottom, score, class)."""
    rows = output[output[:, 4] >= confidence]
    class_id = rows[:, 5].astype(np.int64)
    if (class_id != rows[:, 5]).any():
        raise ModelError("the class of a box must be a whole number, but the model gave a fraction: re-export it")
    return Boxes(_in_order(rows[:, :4]), rows[:, 4], class_id)


@lru_cache(maxsize=8)
def _grid(size: Size) -> tuple[Float32Array, Float32Array]:
    """Column and row (A, 2) and stride (A, 1) of every cell, levels one after the other, each row by row."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: size.height // stride, : size.width // stride]
        cells.append(np.stack((columns.ravel(), rows.ravel()), axis=1))
        strides.append(np.full((rows.size, 1), stride))
    both = np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
    for array in both:
        array.flags.writeable = False
    return both


def _from_centers(centers: Float32Array, extent: Float32Array) -> Float32Array:
    half = extent / np.float32(2.0)
    return _in_order(np.concatenate((centers - half, centers + half), axis=1))


def _in_order(corners: Float32Array) -> Float32Array:
    """Put left before right and top before bottom.

    A head without a bounded distance (YOLO26) may cross the edges of a tiny box: somebody is there all the same.
    """
    first, second = corners[:, :2], corners[:, 2:]
    return np.concatenate((np.minimum(first, second), np.maximum(first, second)), axis=1)


def _checked(found: Boxes, classes: int) -> Boxes:
    """The boxes with scores clipped to 0 to 1; raises ModelError for what no box can be."""
    if not len(found.confidence):
        return found
    _check_scores(found.confidence)
    if not np.isfinite(found.xyxy).all():
        raise ModelError("the edges of a box must be finite, but the model gave a box of infinite size")
    if found.class_id.min() < 0 or found.class_id.max() >= classes:
        raise ModelError(
            f"the class of a box must be 0 to {classes - 1}, but the model gave {found.class_id.min()} to "
            f"{found.class_id.max()}: its class names do not belong to it"
        )
    return found._replace(confidence=np.clip(found.confidence, 0.0, 1.0))


def _check_scores(scores: Float32Array) -> None:
    if scores.size and (scores.max() > 1.0 + _SCORE_SLACK or scores.min() < -_SCORE_SLACK):
        raise ModelError(
            f"scores must be in 0 to 1, but the model gave {scores.min():.3g} to {scores.max():.3g}: "
            "its output is not what its head says (are the scores before the sigmoid?)"
        )


def _check_shape(head: str, given: tuple[int, ...], expected: tuple[int | None, int | None]) -> None:
    if len(given) != 2 or any(want not in (None, have) for want, have in zip(expected, given, strict=True)):
        wanted = " x ".join("any" if number is None else str(number) for number in expected)
        got = " x ".join(map(str, given)) or "a single number"
        raise ModelError(f"the output of head {head!r} must be {wanted} for a sample, but is {got}")


def _check_finite(output: Float32Array) -> None:
    if not np.isfinite(output).all():
        raise ModelError("the model gave NaN or infinity: the frame cannot be judged")


def _cells(size: Size) -> int:
    return sum((size.width // stride) * (size.height // stride) for stride in STRIDES)


HEADS: Final[Mapping[str, Head]] = MappingProxyType(
    {
        "yolox": Head(_read_yolox, lambda size, classes: (_cells(size), 5 + classes), 0.45),
        "yolox_decoded": Head(_read_yolox_decoded, lambda size, classes: (_cells(size), 5 + classes), 0.45),
        "ultralytics": Head(_read_ultralytics, lambda _size, classes: (4 + classes, None), 0.7),
        "end_to_end": Head(_read_end_to_end, lambda _size, _classes: (None, 6), None),
    }
)
"""Every head that can be read. A new one is one function and one row here."""
