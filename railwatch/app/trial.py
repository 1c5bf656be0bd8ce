"""The worker's part of the self-test: a person is put into copies of a camera's frames, which go through the detector.

The copies are further samples of the same batch, with a tracker of their own; the real frame is never touched, and its
Observation is sent first. Where the person stands is found at the first self-test: the first spot in a track zone at
which the detector is sure of it. So a miss says that something has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from railwatch.core.alerts import CameraState
from railwatch.core.errors import ConfigError
from railwatch.core.geometry import Point, bounds_of, contains
from railwatch.core.types import (
    Detections,
    Detector,
    Frame,
    Observation,
    Sample,
    SampleForm,
    Size,
    Vitals,
    Zone,
    ZoneKind,
)
from railwatch.perception.intruder import Spot, box_at, with_intruder
from railwatch.perception.pipeline import observation
from railwatch.perception.tracker import Tracker

PERSON: Final = "person"
SURE: Final = 0.6
"""Confidence at which no further spot is tried."""

MATCHING_IOU: Final = 0.4
"""Least overlap of a box with the person put in: everybody else in the picture is left out of the self-test."""

HEIGHTS: Final = (0.2, 0.3)
"""Heights of the person that are tried, as parts of the frame's height."""

PLACES: Final = ((0.5, 0.6), (0.5, 0.85), (0.3, 0.75), (0.7, 0.75), (0.5, 0.35))
"""Where in the bounds of a zone a person is tried, across and down; those outside of the polygon are left out."""


@dataclass(slots=True)
class Trial:
    """One self-test of one camera. `left` frames with the person in them are still to come.

    `untried` are spots whose confidence is not known yet, `best` the surest so far.
    """

    probe_id: str
    tracker: Tracker
    left: int
    untried: list[Spot]
    worker_epoch: int
    best: tuple[float, Spot] = field(init=False)
    shown: Spot = field(init=False)

    def __post_init__(self) -> None:
        self.shown = self.untried[0]
        self.best = (0.0, self.shown)

    def sample(self, frame: Frame, form: SampleForm) -> Sample:
        """The further sample of a frame: a copy of it with the person."""
        self.shown = self.untried[0] if self.untried else self.best[1]
        return with_intruder(frame.picture, self.shown).sample(None, form)

    def take(self, frame: Frame, found: Detections, detector: Detector, age_s: float) -> Observation | None:
        """What was found in that sample; None while the spot is still being chosen."""
        kept = matching(found, detector, self.shown)
        if self.untried:
            sure = max((float(value) for value in kept.confidence), default=0.0)
            self.best = max(self.best, (sure, self.untried.pop(0)), key=lambda item: item[0])
            if self.best[0] >= SURE:
                self.untried.clear()
            return None
        self.left -= 1
        vitals = Vitals(CameraState.NOMINAL, "self-test", age_s, 0.0, 0)
        return observation(frame, self.worker_epoch, self.tracker.update(kept, frame.t_s), vitals)


def matching(found: Detections, detector: Detector, spot: Spot) -> Detections:
    """The detections of a person that overlap the one who was put in."""
    left, top, right, bottom = box_at(spot)
    kept = []
    for index, (x1, y1, x2, y2) in enumerate(found.xyxy.tolist()):
        shared = max(0.0, min(x2, right) - max(x1, left)) * max(0.0, min(y2, bottom) - max(y1, top))
        union = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - shared
        is_person = detector.class_names[int(found.class_id[index])] == PERSON
        if is_person and shared >= MATCHING_IOU * union:
            kept.append(index)
    return Detections(found.xyxy[kept], found.confidence[kept], found.class_id[kept])


def spots(zones: Sequence[Zone], size: Size) -> list[Spot]:
    """Where a person may be put in, the likeliest to be seen first. Raises ConfigError without a zone of kind track.

    The heights are such that the detector should have no trouble: the self-test tries the chain, not the reach.
    """
    tracks = [zone for zone in zones if zone.kind is ZoneKind.TRACK]
    if not tracks:
        raise ConfigError("a self-test needs a zone of kind track, but the camera has none")
    polygon = max((zone.polygon_norm for zone in tracks), key=_area)
    left, top, right, bottom = bounds_of(polygon)
    places = [Point(left + x * (right - left), top + y * (bottom - top)) for x, y in PLACES]
    inside = [place for place in places if contains(polygon, place)] or list(polygon[:1])
    return [Spot(x * size.width, y * size.height, part * size.height) for part in HEIGHTS for x, y in inside]


def _area(polygon: tuple[Point, ...]) -> float:
    left, top, right, bottom = bounds_of(polygon)
    return (right - left) * (bottom - top)


class Trials:
    """The self-tests of a worker that are going on, and the spots that they have found: by camera."""

    def __init__(self) -> None:
        self.running: dict[str, Trial] = {}
        self._spots: dict[str, tuple[tuple[Zone, ...], Spot]] = {}

    def begin(self, trial: Trial, camera_id: str, zones: tuple[Zone, ...]) -> None:
        """Begin a self-test of a camera, in place of one that is going on."""
        known = self._spots.get(camera_id)
        if known is not None and known[0] == zones:
            trial.untried, trial.best = [], (SURE, known[1])
        self.running[camera_id] = trial

    def look(self, frames: Mapping[str, Frame], form: SampleForm) -> dict[str, Sample]:
        """The further samples of a batch, by camera."""
        return {name: trial.sample(frames[name], form) for name, trial in self.running.items() if name in frames}

    def end(self, camera_id: str, zones: tuple[Zone, ...], *, seen: bool) -> None:
        """A self-test has had all its frames: its spot is kept if the person was seen there, else looked for anew."""
        trial = self.running.pop(camera_id)
        if seen:
            self._spots[camera_id] = (zones, trial.best[1])
        else:
            self._spots.pop(camera_id, None)

    def forget(self, camera_id: str) -> None:
        """The camera is another one now."""
        self.running.pop(camera_id, None)
        self._spots.pop(camera_id, None)
