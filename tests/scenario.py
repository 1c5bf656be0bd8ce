"""Small sites and observations, and a hub's clock, for tests of the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from railwatch.core.alerts import AckLevel, Alert, CameraState, Epoch, SectionState, Severity
from railwatch.core.escalation import EscalationSettings
from railwatch.core.geometry import Point
from railwatch.core.risk_settings import RiskSettings
from railwatch.core.settings import CameraSettings, IncidentSettings, ModelSettings, SiteSettings
from railwatch.core.types import Observation, Size, Track, TrackState, Vitals, Zone, ZoneKind
from railwatch.decision.inputs import Acknowledge, Input, Stamped, SystemFault, Tick, WorkerLost
from railwatch.decision.step import DecisionState, section_state, start, step

SIZE = Size(1000, 1000)
EPOCH = Epoch("test", 1)
ON_TRACK = 0.5
IN_APPROACH = 0.2
OUTSIDE = 0.95
NOBODY = EscalationSettings()
NOBODY_STAYS = RiskSettings(stay_hold_s=0.0)


def band(zone_id, kind, left, right, camera_id="cam", section_id="main"):
    """A zone from top to bottom between two x, in fractions of the frame."""
    points = (Point(left, 0.0), Point(right, 0.0), Point(right, 1.0), Point(left, 1.0))
    return Zone(zone_id, camera_id, section_id, "t1", kind, points)


def site(
    cameras: Sequence[CameraSettings] | None = None,
    zones=None,
    severity=Severity.WARNING,
    escalation=NOBODY,
    risk=NOBODY_STAYS,
    train_sources=(),
    **incidents,
):
    """A site whose cameras see an approach (0.1 to 0.4) and a track (0.4 to 0.6) of section "main".

    Whoever is not seen any more is gone, unless `risk` says otherwise.
    """
    cameras = tuple(cameras or (CameraSettings("cam", "x.mp4"),))
    if zones is None:
        zones = [
            zone
            for camera in cameras
            for zone in (
                band(f"track-{camera.camera_id}", ZoneKind.TRACK, 0.4, 0.6, camera.camera_id),
                band(f"approach-{camera.camera_id}", ZoneKind.APPROACH, 0.1, 0.4, camera.camera_id),
            )
        ]
    defaults = {"on_delay_hits": 3, "on_delay_window": 5, "off_delay_s": 1.0, "min_overlap": 0.3}
    return SiteSettings(
        site_id="site",
        severity_without_trains=severity,
        cameras=cameras,
        sections=tuple(dict.fromkeys(zone.section_id for zone in zones)),
        zones=tuple(zones),
        model=ModelSettings("model.onnx", sha256="0" * 64),
        incidents=IncidentSettings(**{**defaults, **incidents}),
        escalation=escalation,
        risk=risk,
        train_sources=tuple(train_sources),
    )


def track(x, track_id=1, group="person", class_name=None, state=TrackState.CONFIRMED, confidence=0.9, t_s=0.0):
    """An object whose ground point is at x (fraction of the frame) and 0.8 down, 40 px wide and 200 px high."""
    box = (x * 1000 - 20.0, 600.0, x * 1000 + 20.0, 800.0)
    return Track(track_id, class_name or group, group, box, confidence, state, t_s, t_s, 3)


def observation(t_s, *tracks, camera_id="cam", state=CameraState.NOMINAL, reason="", worker_epoch=1, index=0):
    """What a camera saw at t_s."""
    vitals = Vitals(state, reason, 0.0, 10.0, 0)
    at = f"captured {t_s:.3f}"
    return Observation(camera_id, worker_epoch, index, t_s, t_s, at, SIZE, tuple(tracks), False, vitals)


class Hub:
    """Feeds inputs to `step` on a clock of its own and keeps every alert."""

    def __init__(self, settings: SiteSettings, now_s: float = 0.0, epoch: Epoch = EPOCH, restored=()) -> None:
        self.state: DecisionState = start(settings, epoch, "f" * 64, now_s, restored)
        self.alerts: list[Alert] = []
        self.log: list[Stamped] = []

    def feed(self, value: Input, received_s: float) -> tuple[Alert, ...]:
        stamped = Stamped(received_s, f"received {received_s:.3f}", value)
        self.log.append(stamped)
        self.state, alerts = step(self.state, stamped)
        self.alerts += alerts
        return alerts

    def see(self, t_s: float, *tracks: Track, **kwargs) -> tuple[Alert, ...]:
        return self.feed(observation(t_s, *tracks, **kwargs), t_s)

    def tick(self, now_s: float) -> tuple[Alert, ...]:
        return self.feed(Tick(now_s), now_s)

    def lose(self, now_s: float, *camera_ids: str) -> tuple[Alert, ...]:
        return self.feed(WorkerLost(camera_ids, "worker died"), now_s)

    def acknowledge(
        self, now_s: float, incident_id: str, level=AckLevel.ACKNOWLEDGED, by="Anna", key_name=None
    ) -> tuple[Alert, ...]:
        return self.feed(Acknowledge(incident_id, level, by, key_name), now_s)

    def fault(self, now_s: float, name: str, reason: str | None) -> tuple[Alert, ...]:
        return self.feed(SystemFault(name, reason), now_s)

    def watch(self, begin_s: float, end_s: float, *xs: float, step_s: float = 0.1, **kwargs) -> list[Alert]:
        """Frames from begin_s up to (not at) end_s with one object at each x; returns the alerts of that time."""
        before = len(self.alerts)
        for number in range(round((end_s - begin_s) / step_s)):
            t_s = round(begin_s + number * step_s, 6)
            self.see(t_s, *(track(x, track_id=n + 1, t_s=t_s) for n, x in enumerate(xs)), **kwargs)
        return self.alerts[before:]

    def section(self, name: str = "main") -> SectionState:
        return section_state(self.state, name)


def actions(alerts) -> list[str]:
    """What the alerts say happened, for people who read a failing test."""
    return [f"{alert.kind.value} {alert.action.value} {alert.severity.value}" for alert in alerts]


def moved(value: Track, dx: float) -> Track:
    """The same object dx pixels to the right."""
    left, top, right, bottom = value.xyxy
    return replace(value, xyxy=(left + dx, top, right + dx, bottom))
