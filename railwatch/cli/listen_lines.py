"""What `railwatch listen --json` prints: a JSON document an event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from railwatch.messaging import events as kinds
from railwatch.messaging.wire import alert_document, status_document


def line_of(event: kinds.Event) -> bytes:
    """An alert of the moment as it was on the wire, byte for byte; all else as ``{"event": ..., ...}``."""
    if isinstance(event, kinds.AlertReceived) and not event.replayed:
        return event.payload
    document = _DOCUMENTS[type(event)](event)
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _replayed(event: kinds.AlertReceived) -> dict[str, Any]:
    return {"event": "replayed", "alert": alert_document(event.alert)}


def _ahead(event: kinds.AlertAhead) -> dict[str, Any]:
    return {"event": "ahead", "alert": alert_document(event.alert)}


def _open(event: kinds.OpenIncidents) -> dict[str, Any]:
    return {"event": "open", "alerts": [alert_document(alert) for alert in event.alerts]}


def _section(event: kinds.SectionChanged) -> dict[str, Any]:
    previous = None if event.previous is None else event.previous.value
    return {"event": "section", "section_id": event.section_id, "state": event.state.value, "previous": previous}


def _status(event: kinds.StatusReceived) -> dict[str, Any]:
    return {"event": "status", "age_s": event.age_s, "status": status_document(event.status)}


def _gap(event: kinds.Gap) -> dict[str, Any]:
    missing = {"first_missing": event.first_missing, "last_missing": event.last_missing}
    return {"event": "gap", "epoch": str(event.epoch), **missing}


def _lost(event: kinds.HistoryLost) -> dict[str, Any]:
    return {"event": "lost", "site_id": event.site_id, "epoch": str(event.after.epoch), "seq": event.after.seq}


def _restart(event: kinds.Restarted) -> dict[str, Any]:
    return {"event": "restart", "previous": str(event.previous), "epoch": str(event.epoch)}


def _answer(event: kinds.Answered) -> dict[str, Any]:
    return {"event": "answer", "request": event.request, "accepted": event.accepted, "reason": event.reason}


def _fault(event: kinds.ProtocolFault) -> dict[str, Any]:
    return {"event": "fault", "reason": event.reason, "suppressed": event.suppressed}


_DOCUMENTS: Final[Mapping[type, Callable[[Any], dict[str, Any]]]] = MappingProxyType(
    {
        kinds.AlertReceived: _replayed,
        kinds.AlertAhead: _ahead,
        kinds.OpenIncidents: _open,
        kinds.SectionChanged: _section,
        kinds.StatusReceived: _status,
        kinds.Gap: _gap,
        kinds.HistoryLost: _lost,
        kinds.Restarted: _restart,
        kinds.Answered: _answer,
        kinds.ProtocolFault: _fault,
    }
)
