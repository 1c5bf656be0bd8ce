"""What a journal is given to keep, and what it remembers of incidents. No file and no socket here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from railwatch.core.alerts import AckLevel, Action, Alert, Epoch, Severity
from railwatch.core.errors import WireError
from railwatch.messaging.chain import Kind, Row
from railwatch.messaging.requests import Mark
from railwatch.messaging.wire import encode_alert

_SEVERITIES: Final = {severity.value: severity.rank for severity in Severity}


@dataclass(frozen=True, slots=True)
class Record:
    """One row to be. `mark` is ACTION, SEVERITY and level of an alert, or the level of an acknowledgement."""

    kind: Kind
    body: bytes
    seq: int | None = None
    incident_id: str = ""
    mark: str = ""

    @classmethod
    def alert(cls, alert: Alert) -> Self:
        """An alert as the journal keeps it and a replay gives it back: `journaled` is true. Raises WireError."""
        level = "" if alert.level is None else alert.level.value
        mark = f"{alert.action.value} {alert.severity.value} {level}"
        return cls(Kind.ALERT, encode_alert(replace(alert, journaled=True)), alert.seq, alert.incident_id, mark)

    @classmethod
    def acknowledgement(cls, incident_id: str, level: AckLevel, by: str, key_name: str | None) -> Self:
        """That an incident, open or closed, has come to `level`, by whom, and under which key."""
        body = {"level": level.value, "by": by, "key_name": key_name}
        return cls.note(Kind.ACKNOWLEDGEMENT, body, incident_id, level.value)

    @classmethod
    def note(cls, kind: Kind, body: Mapping[str, Any], incident_id: str = "", level: str = "") -> Self:
        """Anything else worth keeping, such as an override. `body` is JSON; raises WireError if it is not."""
        try:
            text = json.dumps(dict(body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise WireError(f"a note in the journal must be JSON: {error}") from error
        return cls(kind, text.encode(), None, incident_id, level)


@dataclass(slots=True)
class Trace:
    """An incident that is open, or that must be kept because nobody has acknowledged it. Numbers are rows."""

    first: int
    last: int
    notes: list[int] = field(default_factory=list)
    closed: bool = False
    acknowledged: bool = False
    worst: int = 0


@dataclass(slots=True)
class Span:
    """Rows of one epoch."""

    first: int
    last: int


class Ledger:
    """What the rows say together: where each epoch lies, how often the hub was started, which incidents hold rows.

    Args:
        unacknowledged_from: Incidents that never reached this severity need no acknowledgement to be let go.
    """

    def __init__(self, unacknowledged_from: Severity) -> None:
        self._needed = unacknowledged_from.rank
        self.epochs: dict[str, Span] = {}
        self.incidents: dict[str, Trace] = {}
        self.boots: dict[str, int] = {}

    def take(self, row: Row) -> None:
        """Count one more row. Raises ValueError if its epoch is none."""
        span = self.epochs.get(row.epoch)
        if span is None:
            span = self.epochs[row.epoch] = Span(row.row, row.row)
            epoch = Epoch.parse(row.epoch)
            self.boots[epoch.journal_id] = max(self.boots.get(epoch.journal_id, 0), epoch.boot)
        span.last = row.row
        if row.incident and row.kind == Kind.ALERT.value:
            self._take_alert(row)
        elif row.incident and row.incident in self.incidents:
            trace = self.incidents[row.incident]
            trace.notes.append(row.row)
            trace.acknowledged |= row.kind == Kind.ACKNOWLEDGEMENT.value and row.mark == AckLevel.ACKNOWLEDGED.value
            self._let_go(row.incident, trace)

    def before(self, epoch: Epoch) -> int:
        """The last row of the newest boot before this one that is known; 0 if there is none."""
        boots = [(Epoch.parse(name), span.last) for name, span in self.epochs.items()]
        earlier = [last for one, last in boots if one.journal_id == epoch.journal_id and one.boot < epoch.boot]
        return max(earlier, default=0)

    def forget_before(self, row: int) -> None:
        """Rows up to `row` are gone."""
        self.epochs = {name: span for name, span in self.epochs.items() if span.last > row}

    def open_incidents(self) -> list[Trace]:
        """Those that are open, in the order of opening."""
        return sorted((trace for trace in self.incidents.values() if not trace.closed), key=lambda trace: trace.first)

    def _take_alert(self, row: Row) -> None:
        action, severity, level = row.mark.split(" ")
        trace = self.incidents.setdefault(row.incident, Trace(row.row, row.row))
        trace.last = row.row
        trace.closed = action == Action.CLOSED.value
        trace.acknowledged = level == AckLevel.ACKNOWLEDGED.value  # an incident that worsens has none any more
        trace.worst = max(trace.worst, _SEVERITIES.get(severity, 0))
        self._let_go(row.incident, trace)

    def _let_go(self, name: str, trace: Trace) -> None:
        if trace.closed and (trace.acknowledged or trace.worst < self._needed):
            del self.incidents[name]


@dataclass(frozen=True, slots=True)
class Batch:
    """Alerts after a mark, as payloads. `more`: there are further ones. `known`: the journal reaches back to the mark.

    `last` is the mark of the last of them, or None if there is none.
    """

    alerts: tuple[bytes, ...]
    last: Mark | None
    more: bool
    known: bool
