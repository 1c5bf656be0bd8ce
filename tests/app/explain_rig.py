"""A small recording with everything in it that an explanation tells of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from railwatch.app.record import Recorder, RecordHeader
from railwatch.app.record_site import site_to_mapping
from railwatch.core.alerts import CameraState, Epoch
from railwatch.core.geometry import Point
from railwatch.core.ground import plane_of_points
from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Track, TrackState, TrainReport, ZoneKind
from railwatch.decision.inputs import Input, Possession, Stamped, SystemFault, Tick, WorkerLost
from tests.scenario import band, observation, site, track

EPOCH = Epoch("test", 1)
PLANE = plane_of_points([((0.0, 1.0), (-8, 0)), ((1.0, 1.0), (8, 0)), ((0.75, 0.4), (8, 40)), ((0.25, 0.4), (-8, 40))])
FEED = TrainSourceSettings("feed", ("t1",), authoritative=True, max_age_s=60.0)
ZONES = (
    band("track-cam", ZoneKind.TRACK, 0.4, 0.6),
    band("approach-cam", ZoneKind.APPROACH, 0.1, 0.4),
    band("hidden", ZoneKind.IGNORE, 0.9, 1.0),
)
SITE = replace(
    site([CameraSettings("cam", "x.mp4", ground=PLANE)], zones=ZONES, train_sources=[FEED]),
    groups={"person": ("person",), "vehicle": ("car",), "train": ("train",)},
    alarm_groups=("person",),
)
INCIDENT = f"{EPOCH}-i1"


def at(t_s: float) -> str:
    """The hub's UTC time of a moment of the recording."""
    return f"2026-01-01T10:{int(t_s) // 60:02d}:{t_s % 60:06.3f}+00:00"


def write(path: Path, inputs: list[tuple[float, Input]], the_site=SITE, started_s: float = 100.0) -> Path:
    """A recording that began at `started_s` of the hub's clock, with inputs at so many seconds from then."""
    with Recorder(path, RecordHeader(EPOCH, "f" * 64, started_s, site_to_mapping(the_site))) as recorder:
        for t_s, value in inputs:
            recorder.write(Stamped(started_s + t_s, at(t_s), value))
    return path


def seen(t_s: float, *tracks: Track, index: int = 0, **options) -> tuple[float, Input]:
    """A frame of the camera at its own time, which is not the hub's."""
    return t_s, observation(t_s, *tracks, index=index, **options)


def history() -> list[tuple[float, Input]]:
    """A man beside the track walks onto it; a train is told of; he is gone; and much that raises nothing."""
    report = TrainReport("t1", "east", None, None, None, "feed", 1, 0.0, authoritative=True)
    inputs: list[tuple[float, Input]] = [(0.0, report), (0.0, Possession("t2", "Anna", 60.0))]
    for number in range(60):
        t_s = number / 10
        others = [
            track(0.5, 7, "vehicle", "car", t_s=t_s),
            track(0.75, 8, state=TrackState.TENTATIVE, t_s=t_s, confidence=0.3),
            track(0.97, 9, t_s=t_s),
            track(0.55, 10, state=TrackState.TENTATIVE, t_s=t_s),
            replace(track(0.45, 11, state=TrackState.LOST, t_s=t_s), first_seen_s=t_s - 0.4, last_seen_s=t_s - 0.4),
        ]
        man = [track(0.5 if t_s >= 2.0 else 0.75, 1, t_s=t_s)] if t_s < 4.0 else []
        inputs.append(seen(t_s, *man, *others, index=number))
        if number == 30:
            inputs.append((t_s, replace(report, eta_s=40.0, speed_mps=20.0, seq=2)))
    inputs += [(6.0, WorkerLost(("cam",), "the worker died")), (6.0, SystemFault("journal", "the disk is full"))]
    inputs.append((6.1, Tick(106.1)))
    inputs.append(seen(6.2, state=CameraState.BLIND, reason="the picture is frozen", index=62))
    return inputs


def corners(zone_id: str) -> tuple[Point, ...]:
    """The outline of a zone of the site."""
    return next(zone.polygon_norm for zone in ZONES if zone.zone_id == zone_id)
