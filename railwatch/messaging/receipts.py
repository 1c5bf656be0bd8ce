"""Tells the hub, for a program, how far its alerts have come. Pure: the client's events in, acknowledgements out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from railwatch.core.alerts import AckLevel, Action, Alert
from railwatch.messaging.events import AlertAhead, AlertReceived, Answered, Event, OpenIncidents, StatusReceived

MAX_WAITING: Final = 256
REFUSED_FOR: Final = 30
"""What was refused is said again only after so many Status, half a minute: it is not a key's fault of the moment."""


class Receipts:
    """Says of every open incident that it has come to `level`, and again when it has worsened. Give it every event.

    It goes by the alerts of the moment, and by the Status, which holds what was missed: a client that comes late, or to
    a hub that was started anew, answers for what is open.

    Args:
        acknowledge: `Client.acknowledge`.
        level: RECEIVED or DISPLAYED; ACKNOWLEDGED is for people.
        by: The name of this program or place.

    Raises:
        ValueError: The level is for people, or there is no name.

    >>> said = []
    >>> receipts = Receipts(lambda *what: str(said.append(what)), AckLevel.DISPLAYED, "console 1")
    """

    def __init__(self, acknowledge: Callable[[str, AckLevel, str], str], level: AckLevel, by: str) -> None:
        if level is AckLevel.ACKNOWLEDGED:
            raise ValueError("a program may say RECEIVED or DISPLAYED, but ACKNOWLEDGED only a person")
        if not by:
            raise ValueError("whoever says RECEIVED or DISPLAYED must have a name, but it is empty")
        self._acknowledge, self._level, self._by = acknowledge, level, by
        self._waiting: dict[str, str] = {}
        self._refused: dict[str, int] = {}

    def take(self, event: Event) -> None:
        """Say what follows from one event of the client."""
        match event:
            case AlertReceived() if not event.replayed:
                self._take_alert(event.alert)
            case AlertAhead():
                self._take_alert(event.alert)
            case OpenIncidents():
                for alert in event.alerts:
                    self._say(alert.incident_id, alert.level)
            case StatusReceived():
                self._refused = {name: left - 1 for name, left in self._refused.items() if left > 1}
                for incident in event.status.open_incidents:
                    self._say(incident.incident_id, incident.level)
            case Answered():
                self._take_answer(event)
            case _:
                pass  # it says nothing of an incident

    def _take_alert(self, alert: Alert) -> None:
        if alert.action is not Action.CLOSED:
            self._say(alert.incident_id, alert.level)

    def _take_answer(self, answer: Answered) -> None:
        incident_id = self._waiting.pop(answer.request, None)
        if incident_id is not None and not answer.accepted:
            self._refused[incident_id] = REFUSED_FOR

    def _say(self, incident_id: str, level: AckLevel | None) -> None:
        reached = level is not None and level >= self._level
        busy = len(self._waiting) >= MAX_WAITING or incident_id in self._waiting.values()
        if not (reached or busy or incident_id in self._refused):
            self._waiting[self._acknowledge(incident_id, self._level, self._by)] = incident_id
