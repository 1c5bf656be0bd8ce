"""What `railwatch listen` shows people: a line an event, and the live table."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import RenderableType

    from railwatch.core.alerts import Alert, SectionState, Status
    from railwatch.messaging.events import AlertReceived, Event, Gap

_LAST_ALERTS: Final = 10
_LAST_NOTES: Final = 5
_STYLES: Final = {"CLEAR": "green", "OCCUPIED": "bold white on red", "UNKNOWN": "black on yellow"}


def text_of(event: Event) -> str | None:
    """An event as a line for people; None for a Status, of which there is one every second."""
    from railwatch.messaging import events as kinds

    match event:
        case kinds.AlertReceived():
            line = _alert_text(event)
        case kinds.SectionChanged():
            line = f"section {event.section_id}: {event.state.value}"
        case kinds.Gap():
            line = _gap_text(event)
        case kinds.Restarted():
            line = f"the publisher was started again: epoch {event.epoch}"
        case kinds.AlertAhead():
            line = f"ahead of its turn: {_summary(event.alert)}"
        case kinds.OpenIncidents():
            line = f"open incidents: {len(event.alerts)}" + "".join(f"; {_summary(alert)}" for alert in event.alerts)
        case kinds.HistoryLost():
            line = f"the journal of the hub does not reach back to alert {event.after.seq} of {event.after.epoch}"
        case kinds.ProtocolFault():
            line = f"a message was refused: {event.reason}"
        case kinds.Answered(accepted=False):
            line = f"an acknowledgement was refused: {event.reason}"
        case _:
            return None
    return printable(line)


def _alert_text(event: AlertReceived) -> str:
    return f"{'missed: ' if event.replayed else ''}alert {_summary(event.alert)}"


def _summary(alert: Alert) -> str:
    what = f"{alert.severity.value} {alert.kind.value} {alert.action.value}"
    where = f"section {alert.section_id}" if alert.section_id else "the whole site"
    return f"{alert.seq} {what} {where}: {alert.why}"


def _gap_text(gap: Gap) -> str:
    if gap.first_missing == gap.last_missing:
        return f"alert {gap.first_missing} was missed"
    return f"alerts {gap.first_missing} to {gap.last_missing} were missed"


def printable(text: str) -> str:
    """`text` without control characters: what came over the network must not steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


@dataclass(slots=True)
class Board:
    """What the live table shows; bounded, and true only together with the client's states of the moment."""

    endpoint: str
    status: Status | None = None
    since_s: dict[str, float] = field(default_factory=dict)
    alerts: deque[AlertReceived] = field(default_factory=lambda: deque(maxlen=_LAST_ALERTS))
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_NOTES))

    def take(self, event: Event) -> None:
        """Keep what the table will show of an event."""
        from railwatch.messaging import events as kinds

        match event:
            case kinds.AlertReceived():
                self.alerts.appendleft(event)
            case kinds.StatusReceived():
                self.status = event.status
            case kinds.SectionChanged():
                self.since_s[event.section_id] = time.monotonic()
            case _:
                note = text_of(event)
                if note is not None:
                    self.notes.appendleft(note)

    def table(self, states: dict[str, SectionState]) -> RenderableType:
        """The table; `states` are what the client believes at this moment."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        self.since_s = {name: at_s for name, at_s in self.since_s.items() if name in states}
        sections = Table("section", "state", "since", title=f"railwatch  {self.endpoint}", title_justify="left")
        for name, state in states.items():
            since_s = time.monotonic() - self.since_s.get(name, time.monotonic())
            sections.add_row(Text(printable(name)), Text(state.value, style=_STYLES[state.value]), f"{since_s:.0f} s")
        if not states:
            sections.add_row("-", Text("UNKNOWN", style=_STYLES["UNKNOWN"]), "nothing heard yet")
        lines = [Text(printable(_alert_text(event)), no_wrap=True, overflow="ellipsis") for event in self.alerts]
        notes = [Text(note, style="yellow", no_wrap=True, overflow="ellipsis") for note in self.notes]
        return Group(sections, self._incidents(), *lines, *notes)

    def _incidents(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        incidents = self.status.open_incidents if self.status is not None else ()
        title = f"open incidents at the last status: {len(incidents)}"
        names = ("incident", "section", "severity", "level", "opened at")
        found = Table(*names, title=title, title_justify="left")
        for incident in incidents[:_LAST_ALERTS]:
            level = "-" if incident.level is None else f"{incident.level.value} by {incident.by}"
            row = (incident.incident_id, incident.section_id, incident.severity.value, level, incident.opened_at)
            found.add_row(*(Text(printable(cell)) for cell in row))
        return found
