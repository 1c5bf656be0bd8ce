"""From frames to Observations: sample, detect, track, and say whether the picture is to be trusted."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from railwatch.core.geometry import contains, ground_point
from railwatch.core.types import (
    MAX_TRACKS,
    Detections,
    Detector,
    Frame,
    Observation,
    Sample,
    SampleForm,
    Size,
    Track,
    Vitals,
    Zone,
    ZoneKind,
)
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.source import Source
from railwatch.perception.tracker import Tracker
from railwatch.perception.vitals import CameraVitals

READ_AHEAD: Final = 2
"""Frames decoded and sampled ahead while the model runs: one being filled, one ready."""

FPS_FRAMES: Final = 30
"""Frames over which the measured frame rate is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A frame with its sample, and the seconds that reading and sampling took in the reading thread."""

    frame: Frame
    sample: Sample
    read_s: float
    sample_s: float


def read_ahead(source: Source, form: SampleForm, depth: int = READ_AHEAD) -> Iterator[Prepared]:
    """Every frame of a source with its whole-frame sample, decoded in a thread of its own while the model runs.

    No frame is lost: the thread waits when `depth` frames are ready. An error of the source is raised here, after the
    frames before it. The thread ends with the iterator, also when it is closed early.
    """
    ready: queue.Queue[Prepared | BaseException | None] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    thread = threading.Thread(
        target=_fill, args=(source, form, ready, stop), name=f"read-{source.camera_id}", daemon=True
    )
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        while thread.is_alive():
            try:
                ready.get(timeout=0.05)  # makes room, so that the thread sees `stop`
            except queue.Empty:
                continue
        thread.join()


def _fill(
    source: Source, form: SampleForm, ready: queue.Queue[Prepared | BaseException | None], stop: threading.Event
) -> None:
    try:
        frames = iter(source.frames())
        while not stop.is_set():
            begun = perf_counter()
            frame = next(frames, None)
            if frame is None:
                break
            read = perf_counter()
            sample = frame.picture.sample(None, form)
            ready.put(Prepared(frame, sample, read - begun, perf_counter() - read))
    except BaseException as error:  # noqa: BLE001 - whatever ends the reading is raised where the frames are used
        ready.put(error)
    else:
        ready.put(None)


class FrameRate:
    """Frames per second over the last frames of one camera."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=FPS_FRAMES)

    def update(self, t_s: float) -> float:
        """Take in the time of one more frame; returns frames per second, 0 until two frames were seen."""
        self._times.append(t_s)
        span_s = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / span_s if span_s > 0.0 else 0.0


class CameraPipeline:
    """Everything that remembers something of one camera: its tracker, its vitals and its frame rate.

    `zones` are those of the camera; they decide which tracks come first when there are more than fit. `vitals_off`:
    checks of the picture that are not made (values of VitalCheck).
    """

    def __init__(
        self,
        camera_id: str,
        tracker: Tracker,
        zones: tuple[Zone, ...],
        worker_epoch: int = 1,
        vitals_off: tuple[str, ...] = (),
    ) -> None:
        self.camera_id = camera_id
        self._tracker = tracker
        self._rate = FrameRate()
        self._drawn: tuple[Zone, ...] = zones
        self._vitals = CameraVitals()
        self.reassign(zones, worker_epoch, vitals_off)

    def reassign(self, zones: tuple[Zone, ...], worker_epoch: int, vitals_off: tuple[str, ...] = ()) -> None:
        """Other zones, checks that are not made, or another number of the worker; what is remembered stays.

        Zones that are drawn anew are drawn for the view that the camera has now.
        """
        self._vitals.off = frozenset(map(VitalCheck, vitals_off))
        if zones != self._drawn:
            self._vitals.rearm()
        self._drawn = zones
        self._zones = tuple(zone for zone in zones if zone.kind is not ZoneKind.IGNORE)
        self._worker_epoch = worker_epoch

    def observe(self, frame: Frame, found: Detections, frame_age_s: float = 0.0, dropped: int = 0) -> Observation:
        """The Observation of one frame, given what the detector found in it.

        `frame_age_s`: seconds since it was taken; `dropped`: frames of a live source that gave way to newer ones.
        """
        tracks = self._tracker.update(found, frame.t_s)
        state, reason = self._vitals.observe(frame, tracks)
        kept = first_in_zones(tracks, self._zones, frame.picture.size)
        told = Vitals(state, reason, frame_age_s, self._rate.update(frame.t_s), dropped)
        return observation(frame, self._worker_epoch, kept, told, truncated=len(kept) < len(tracks))


def observation(
    frame: Frame, worker_epoch: int, tracks: tuple[Track, ...], vitals: Vitals, *, truncated: bool = False
) -> Observation:
    """What was seen in a frame, with the frame's own times and size."""
    return Observation(
        camera_id=frame.camera_id,
        worker_epoch=worker_epoch,
        index=frame.index,
        t_s=frame.t_s,
        pts_s=frame.pts_s,
        captured_at=frame.captured_at,
        frame_size=frame.picture.size,
        tracks=tracks,
        truncated=truncated,
        vitals=vitals,
    )


def first_in_zones(tracks: tuple[Track, ...], zones: tuple[Zone, ...], size: Size) -> tuple[Track, ...]:
    """At most MAX_TRACKS tracks: those that stand in a zone first, then the surest; in track_id order."""
    if len(tracks) <= MAX_TRACKS:
        return tracks

    def outside(track: Track) -> bool:
        point = ground_point(track.xyxy)
        norm = type(point)(min(1.0, max(0.0, point.x / size.width)), min(1.0, max(0.0, point.y / size.height)))
        return not any(contains(zone.polygon_norm, norm) for zone in zones)

    chosen = sorted(tracks, key=lambda track: (outside(track), -track.confidence, track.track_id))[:MAX_TRACKS]
    return tuple(sorted(chosen, key=lambda track: track.track_id))


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds one frame spent in each stage."""

    read_s: float
    sample_s: float
    detect_s: float
    track_s: float


def run_file(
    source: Source,
    detector: Detector,
    pipeline: CameraPipeline,
    on_times: Callable[[StageTimes], None] | None = None,
) -> Iterator[tuple[Frame, Observation]]:
    """Every frame of a finite source with its Observation, in order; none is lost.

    Raises what source, detector or tracker raise: a failure is never an empty Observation.
    """
    for ready in read_ahead(source, detector.form):
        begun = perf_counter()
        (found,) = detector.detect([ready.sample])
        detected = perf_counter()
        seen = pipeline.observe(ready.frame, found)
        if on_times is not None:
            on_times(StageTimes(ready.read_s, ready.sample_s, detected - begun, perf_counter() - detected))
        yield ready.frame, seen


def class_groups(groups: Mapping[str, tuple[str, ...]], class_names: tuple[str, ...]) -> tuple[str, ...]:
    """The class groups that this model can see, in the order of `groups`.

    >>> class_groups({"person": ("person",), "animal": ("cow",)}, ("person", "car"))
    ('person',)
    """
    return tuple(group for group, members in groups.items() if set(members) & set(class_names))
