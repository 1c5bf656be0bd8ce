"""From boxes frame by frame to objects that keep their number: association in two stages, after ByteTrack.

Strong boxes are matched first; weak ones may only continue a track that is left over (Zhang et al., "ByteTrack",
2022). Three things differ, because they measured better (docs/tracking.md): overlap is taken with boxes grown by what
the prediction does not know, so that few frames a second and one to two seconds behind an obstacle are bridged; among
overlapping candidates nearness to the prediction counts, too; and time is real time, so that dropped frames and
changing rates do no harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from railwatch.core.settings import TrackerSettings
from railwatch.core.types import Detections, Int64Array, Track, TrackState
from railwatch.perception.assignment import assign
from railwatch.perception.kalman import BoolArray, BoxMotion, Float64Array, IndexArray, sizes, to_centre

SEPARATE_GROUPS: Final = frozenset({"train", "vehicle"})
"""Groups that never take over a track of another group. All others are living beings, whose class a detector
confuses (one elephant is called elephant, horse and person from frame to frame), and share their tracks."""

MARGIN_STD: Final = 1.5
"""Both boxes grow by this many standard deviations of the predicted centre before their overlap is taken. The growing
itself is that of C-BIoU (Yang et al., 2023), there by a fixed factor."""

MAX_MARGIN: Final = 0.5
"""Most that a box grows to each side, in sizes of the box."""

NEARNESS: Final = 0.1
"""Weight of nearness: similarity = overlap * exp(-NEARNESS * d^2), d the Mahalanobis distance of the centres."""

WEAK_IOU: Final = 0.4
"""Least overlap, without growing, by which a weak box continues a track: ByteTrack asks 0.5 there."""

SAME_OBJECT_IOU: Final = 0.7
"""Boxes of one frame with more overlap and different classes of one family are one object with two names."""

TENTATIVE_S: Final = 1.0
"""Seconds after which an unseen tentative track is forgotten, if `lost_s` is not shorter. Not one frame as usual:
people far away are found in about every second frame."""

VOTE_MEMORY_S: Final = 2.0
"""Seconds in which the weight of what a track was called falls to 1/e."""

VOTE_LEAD: Final = 1.5
"""A track changes its class when another one has this many times the weight of the present."""

MAX_UNSEEN: Final = 1000
"""Most tracks remembered that this frame does not show; beyond it those unseen longest are forgotten."""


_LEAST: Final = 1e-6
"""Similarity of a pair that may be matched though it is far from the prediction: never the 0 that forbids."""


class _Boxes(NamedTuple):
    """Boxes of one frame, strongest first: xyxy (M, 4), confidence (M,), family (M,), votes (M, classes)."""

    xyxy: Float64Array
    confidence: Float64Array
    family: Int64Array
    votes: Float64Array

    def take(self, rows: IndexArray | BoolArray) -> _Boxes:
        return _Boxes(self.xyxy[rows], self.confidence[rows], self.family[rows], self.votes[rows])


class Tracker:
    """Follows the objects of one camera. Equal input gives equal output; instances share nothing.

    `class_names` names each class_id; `groups` maps a group to its classes, and boxes of a class in no group are left
    out. `separate_groups` are the groups that never share a track with another (see `SEPARATE_GROUPS`).

    >>> tracker = Tracker(TrackerSettings(confirm_hits=1), ("person",), {"person": ("person",)})
    >>> box = np.array([[10, 10, 30, 60]], np.float32)
    >>> seen = Detections(box, np.array([0.9], np.float32), np.array([0]))
    >>> [(track.track_id, track.state.name) for track in tracker.update(seen, 0.0)]
    [(1, 'CONFIRMED')]
    >>> [(track.track_id, track.state.name) for track in tracker.update(Detections.empty(), 0.2)]
    [(1, 'LOST')]
    """

    def __init__(
        self,
        settings: TrackerSettings,
        class_names: tuple[str, ...],
        groups: Mapping[str, tuple[str, ...]],
        separate_groups: frozenset[str] = SEPARATE_GROUPS,
    ) -> None:
        self._settings = settings
        group_of = {name: group for group, names in groups.items() for name in names}
        families = [group if group in separate_groups else "" for group in groups]
        order = {family: number for number, family in enumerate(dict.fromkeys(families))}
        self._names = [name for name in class_names if name in group_of]
        self._groups = [group_of[name] for name in self._names]
        self._class_of = np.array([self._names.index(n) if n in group_of else -1 for n in class_names], np.int64)
        self._family_of = np.array([order[g if g in separate_groups else ""] for g in self._groups], np.int64)
        self._t_s = -math.inf
        self._next_id = 1
        self._motion = BoxMotion()
        self._rows = _Rows(len(self._names))

    def update(self, detections: Detections, t_s: float) -> tuple[Track, ...]:
        """Take the boxes of one frame, pixels, taken at `t_s` (seconds), and give all tracks in order of track_id.

        CONFIRMED: seen in this frame and in at least `confirm_hits` frames; `xyxy` is the box seen. LOST: confirmed,
        but not seen in this frame; `xyxy` is predicted, at most `lost_s` seconds on. TENTATIVE: too few hits, whether
        seen (`last_seen_s` is `t_s`) or not. `confidence` is that of the last box seen, track_id counts from 1 and is
        never used twice. Raises ValueError when `t_s` goes backwards or is not finite, or a class_id has no name.
        """
        if not math.isfinite(t_s) or t_s < self._t_s:
            raise ValueError(f"t_s must be finite and not before the last frame's {self._t_s}, but is {t_s}")
        boxes = self._boxes(detections)
        dt_s = t_s - self._t_s if math.isfinite(self._t_s) else 0.0
        rows = self._rows
        self._t_s = t_s
        self._motion.predict(dt_s, coasting=~rows.seen)
        rows.seen[:] = False
        rows.votes *= math.exp(-dt_s / VOTE_MEMORY_S)
        self._forget(t_s)
        row_of = self._associate(boxes)
        matched = row_of >= 0
        self._continue(row_of[matched], boxes.take(matched), t_s)
        strong = boxes.confidence >= np.float32(self._settings.high_confidence)
        self._begin(boxes.take(~matched & strong), t_s)
        return self._report()

    def _boxes(self, detections: Detections) -> _Boxes:
        """The boxes of followed classes in an order that does not depend on that of the detections."""
        if len(detections) and not 0 <= detections.class_id.min() <= detections.class_id.max() < len(self._class_of):
            raise ValueError(
                f"every class_id must be 0 to {len(self._class_of) - 1}, but one is not: wrong class_names?"
            )
        class_index = self._class_of[detections.class_id]
        order = np.lexsort((*detections.xyxy.T, class_index, -detections.confidence))
        order = order[class_index[order] >= 0]
        class_index = class_index[order]
        confidence = detections.confidence[order].astype(np.float64)
        votes = np.zeros((len(order), len(self._names)))
        votes[np.arange(len(order)), class_index] = confidence
        family = self._family_of[class_index]
        return _one_name_each(_Boxes(detections.xyxy[order].astype(np.float64), confidence, family, votes), class_index)

    def _forget(self, t_s: float) -> None:
        rows = self._rows
        tentative_s = min(TENTATIVE_S, self._settings.lost_s)
        kept = t_s - rows.last_seen_s <= np.where(rows.confirmed, self._settings.lost_s, tentative_s)
        if kept.sum() > MAX_UNSEEN:
            newest = np.lexsort((rows.track_id, -np.where(kept, rows.last_seen_s, -np.inf)))
            kept[newest[MAX_UNSEEN:]] = False
        if not kept.all():
            rows.keep(kept)
            self._motion.keep(kept)

    def _associate(self, boxes: _Boxes) -> IndexArray:
        """Row of the track that each box continues, (M,), or -1."""
        row_of = np.full(len(boxes.confidence), -1, np.intp)
        strong = boxes.confidence >= np.float32(self._settings.high_confidence)
        free = np.arange(len(self._motion))
        stages = ((np.flatnonzero(strong), True), (np.flatnonzero(~strong), False))
        for columns, grown in stages:
            if len(free) and len(columns):
                matched, to = assign(self._similarity(free, boxes.take(columns), grown=grown))
                row_of[columns[to]] = free[matched]
                free = np.delete(free, matched)
        return row_of

    def _similarity(self, rows: IndexArray, boxes: _Boxes, *, grown: bool) -> Float64Array:
        """How well each box fits each of `rows`, (rows, M); 0 where they must not be matched."""
        motion = self._motion
        margin, least = np.zeros((len(rows), 2)), max(WEAK_IOU, self._settings.match_iou)
        if grown:
            most = MAX_MARGIN * sizes(motion.box[rows])
            margin, least = np.minimum(MARGIN_STD * np.sqrt(motion.variance[rows, :2]), most), self._settings.match_iou
        overlap = grown_iou(motion.corners()[rows], boxes.xyxy, margin)
        centre, error = to_centre(boxes.xyxy), motion.expected_error()[rows]
        away_x, away_y = (centre[None, :, axis] - motion.box[rows, axis, None] for axis in (0, 1))
        distance = away_x * away_x / error[:, :1] + away_y * away_y / error[:, 1:]
        allowed = (overlap >= least) & (overlap > 0.0) & (self._rows.family[rows, None] == boxes.family[None, :])
        return np.where(allowed, np.maximum(overlap * np.exp(-NEARNESS * distance), _LEAST), 0.0)

    def _continue(self, rows: IndexArray, boxes: _Boxes, t_s: float) -> None:
        self._motion.update(rows, to_centre(boxes.xyxy), boxes.confidence)
        self._rows.see(rows, boxes, t_s, self._settings.confirm_hits)

    def _begin(self, boxes: _Boxes, t_s: float) -> None:
        count = len(boxes.confidence)
        if count:
            self._motion.append(to_centre(boxes.xyxy))
            self._rows.append(np.arange(self._next_id, self._next_id + count), boxes, t_s, self._settings.confirm_hits)
            self._next_id += count

    def _report(self) -> tuple[Track, ...]:
        rows = self._rows
        seen = rows.seen
        xyxy = np.where(seen[:, None], rows.xyxy, self._motion.corners())
        states = np.where(rows.confirmed, np.where(seen, 1, 2), 0)
        names = (TrackState.TENTATIVE, TrackState.CONFIRMED, TrackState.LOST)
        return tuple(
            Track(
                number, self._names[name], self._groups[name], tuple(box), confidence, names[state], first, last, hits
            )
            for number, name, box, confidence, state, first, last, hits in zip(
                rows.track_id.tolist(),
                rows.class_index.tolist(),
                xyxy.tolist(),
                rows.confidence.tolist(),
                states.tolist(),
                rows.first_seen_s.tolist(),
                rows.last_seen_s.tolist(),
                rows.hits.tolist(),
                strict=True,
            )
        )


class _Rows:
    """What is known of each track besides its motion, one array a fact; rows are in order of track_id."""

    def __init__(self, classes: int) -> None:
        self.track_id = np.zeros(0, np.int64)
        self.family = np.zeros(0, np.int64)
        self.class_index = np.zeros(0, np.int64)
        self.votes = np.zeros((0, classes))
        self.xyxy = np.zeros((0, 4))
        self.confidence = np.zeros(0)
        self.confirmed = np.zeros(0, np.bool_)
        self.seen = np.zeros(0, np.bool_)
        self.hits = np.zeros(0, np.int64)
        self.first_seen_s = np.zeros(0)
        self.last_seen_s = np.zeros(0)

    def keep(self, rows: BoolArray) -> None:
        for name, array in vars(self).items():
            setattr(self, name, array[rows])

    def append(self, track_id: Int64Array, boxes: _Boxes, t_s: float, confirm_hits: int) -> None:
        count = len(track_id)
        new = {
            "track_id": track_id,
            "family": boxes.family,
            "class_index": boxes.votes.argmax(axis=1),
            "votes": boxes.votes,
            "xyxy": boxes.xyxy,
            "confidence": boxes.confidence,
            "confirmed": np.full(count, confirm_hits <= 1),
            "seen": np.ones(count, np.bool_),
            "hits": np.ones(count, np.int64),
            "first_seen_s": np.full(count, t_s),
            "last_seen_s": np.full(count, t_s),
        }
        for name, array in vars(self).items():
            setattr(self, name, np.concatenate([array, new[name]]))

    def see(self, rows: IndexArray, boxes: _Boxes, t_s: float, confirm_hits: int) -> None:
        self.xyxy[rows] = boxes.xyxy
        self.confidence[rows] = boxes.confidence
        self.last_seen_s[rows] = t_s
        self.seen[rows] = True
        self.hits[rows] += 1
        self.confirmed[rows] |= self.hits[rows] >= confirm_hits
        self.votes[rows] += boxes.votes
        votes, present = self.votes[rows], self.class_index[rows]
        best = votes.argmax(axis=1)
        each = np.arange(len(rows))
        leads = votes[each, best] > VOTE_LEAD * votes[each, present]
        self.class_index[rows] = np.where(leads, best, present)


def grown_iou(first: Float64Array, second: Float64Array, margin: Float64Array) -> Float64Array:
    """Intersection over union of boxes (N, 4) and (M, 4), both grown to each side by `margin` (N, 2) pixels: (N, M).

    Boxes without area overlap nothing.

    >>> grown_iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[3.0, 0.0, 5.0, 2.0]]), np.array([[1.0, 0.0]])).tolist()
    [[0.14285714285714285]]
    """
    inner, sides = [], []
    for low, high in ((0, 2), (1, 3)):
        by = margin[:, low, None]
        low_a, high_a = first[:, low, None] - by, first[:, high, None] + by
        low_b, high_b = second[None, :, low] - by, second[None, :, high] + by
        inner.append(np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0.0))
        sides.append((high_a - low_a, high_b - low_b))
    both = inner[0] * inner[1]
    union = sides[0][0] * sides[1][0] + sides[0][1] * sides[1][1] - both
    overlap: Float64Array = np.divide(both, union, out=np.zeros_like(both), where=union > 0.0)
    return overlap


def _one_name_each(boxes: _Boxes, class_index: Int64Array) -> _Boxes:
    """Join boxes that are one object under two names: the strongest stays and takes the votes of the others."""
    if len(class_index) == 0 or (class_index == class_index[0]).all():
        return boxes
    overlap = grown_iou(boxes.xyxy, boxes.xyxy, np.zeros((len(boxes.confidence), 2)))
    same = (overlap >= SAME_OBJECT_IOU) & (boxes.family[:, None] == boxes.family[None, :])
    pairs = np.argwhere(np.triu(same & (class_index[:, None] != class_index[None, :]), k=1))
    gone: set[int] = set()
    for strong, weak in pairs.tolist():
        if strong not in gone and weak not in gone:
            boxes.votes[strong] += boxes.votes[weak]
            gone.add(weak)
    return boxes.take(np.array([row for row in range(len(boxes.confidence)) if row not in gone], np.intp))
