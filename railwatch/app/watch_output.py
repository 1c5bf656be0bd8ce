"""What `railwatch watch` and `railwatch replay` write: alerts as lines, and the report of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from railwatch.core.alerts import Alert, AlertKind, SectionState
from railwatch.messaging.wire import alert_document
from railwatch.seam.codec import dumps


def alert_line(alert: Alert, t_s: float) -> str:
    """The alert as on the wire plus `t_s`, the source time in seconds from the start of the clip, as one line."""
    return dumps({**alert_document(alert), "t_s": round(t_s, 6)}) + "\n"


@dataclass(slots=True)
class WatchReport:
    """What came of it: frames, seconds of the clip and of the work, alerts with their source time, section states.

    `seconds_to_alert` has for each incident the time from the first frame in which its object counted in the zone.
    """

    frames: int = 0
    source_s: float = 0.0
    work_s: float = 0.0
    alerts: list[tuple[float, Alert]] = field(default_factory=list)
    seconds_to_alert: dict[str, float] = field(default_factory=dict)
    states_seen: dict[str, list[SectionState]] = field(default_factory=dict)
    interrupted: bool = False

    def incidents(self) -> list[list[tuple[float, Alert]]]:
        """The alerts of each intrusion, incident by incident in the order of their opening."""
        by_id: dict[str, list[tuple[float, Alert]]] = {}
        for t_s, alert in self.alerts:
            if alert.kind is AlertKind.INTRUSION:
                by_id.setdefault(alert.incident_id, []).append((t_s, alert))
        return list(by_id.values())


@dataclass(frozen=True, slots=True)
class Progress:
    """Told after every frame: frames so far, of how many (None: not known), and the states of the sections."""

    frames: int
    of_frames: int | None
    sections: dict[str, SectionState]
