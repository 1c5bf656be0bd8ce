"""Old alerts in a few words: what was over before anybody could be told is one line, not a siren. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from railwatch.core.alerts import Action, Alert
from railwatch.messaging.events import AlertReceived

QUIET_S: Final = 1.0
"""A summary is sent when no further old alert came for so long."""

LONGEST_S: Final = 10.0
MAX_LINES: Final = 20
MAX_OPEN: Final = 5
"""Incidents still open that get a message of their own; further ones are in the summary."""

MAX_INCIDENTS: Final = 5000
_WHY: Final = 200


@dataclass(slots=True)
class _Incident:
    first: Alert
    last: Alert
    worst: Alert
    count: int


def message_of(alert: Alert, note: str = "") -> tuple[str, str]:
    """Title and text of one alert."""
    title = f"{alert.severity.value} {alert.action.value}: {alert.site_id} {alert.section_id}".rstrip()
    margin = "" if alert.margin_s is None else f"\nmargin {alert.margin_s:.0f} s"
    return title, f"{note}{alert.why[:_WHY]}{margin}\nincident {alert.incident_id}, {alert.published_at}"


class Digest:
    """Alerts of the past, an entry an incident.

    Example::

        digest.add(event, now_s)
        if digest.ready(now_s): send(digest.messages())
    """

    def __init__(self) -> None:
        self._incidents: dict[str, _Incident] = {}
        self._since_s = self._until_s = 0.0
        self.last: AlertReceived | None = None
        """The last event that is in here, or was left out after those in here."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not self._incidents

    def add(self, event: AlertReceived, now_s: float) -> None:
        """Collect an alert."""
        if self.empty:
            self._since_s = now_s
        self._until_s, self.last = now_s, event
        alert = event.alert
        known = self._incidents.get(alert.incident_id)
        if known is None:
            self._incidents[alert.incident_id] = _Incident(alert, alert, alert, 1)
            return
        known.last, known.count = alert, known.count + 1
        known.worst = max(known.worst, alert, key=lambda each: each.severity)

    def skip(self, event: AlertReceived) -> None:
        """Note that an event needs no words."""
        self.last = event

    def ready(self, now_s: float) -> bool:
        """Whether it is time to tell, or to note that nothing is to be told."""
        if self.empty:
            return self.last is not None
        over = now_s - self._until_s >= QUIET_S or now_s - self._since_s >= LONGEST_S
        return over or len(self._incidents) >= MAX_INCIDENTS

    def messages(self) -> list[tuple[str, str]]:
        """Title and text of each message: those still open one by one, the worst first, then one for all the others."""
        if self.empty:
            return []
        open_ = [each for each in self._incidents.values() if each.last.action is not Action.CLOSED]
        open_.sort(key=lambda each: each.worst.severity, reverse=True)
        told = [message_of(each.last, "(late) ") for each in open_[:MAX_OPEN]]
        others = [each for each in self._incidents.values() if each.last.action is Action.CLOSED] + open_[MAX_OPEN:]
        return told + ([_summary(others)] if others else [])


def _summary(incidents: list[_Incident]) -> tuple[str, str]:
    alerts = sum(each.count for each in incidents)
    worst = max(each.worst.severity for each in incidents)
    title = (
        f"{incidents[0].last.site_id}: {len(incidents)} incidents while nobody could be told, at worst {worst.value}"
    )
    ranked = sorted(incidents, key=lambda each: each.worst.severity, reverse=True)
    lines = [_line(each) for each in ranked[:MAX_LINES]]
    left = len(incidents) - len(lines)
    more = [f"and {left} more"] if left else []
    return title, "\n".join([f"{alerts} alerts in all", *lines, *more])


def _line(incident: _Incident) -> str:
    first, last = incident.first, incident.last
    state = f"closed {last.published_at}" if last.action is Action.CLOSED else f"still open, {last.action.value}"
    section = first.section_id or "the site"
    return f"{incident.worst.severity.value} {section}: {incident.worst.why[:80]} ({first.published_at}, {state})"
