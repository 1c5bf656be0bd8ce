"""`railwatch explain --state`: what a hub, running or not, has kept of an incident or of a time.

The journal holds what was told, in words, who answered it, and which evidence belongs to it. What the decision knew
frame by frame, and why nothing was told, only a recording holds. Needs no numpy; nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from railwatch.app.explain_time import Asked, is_named
from railwatch.core.alerts import Action, Alert
from railwatch.core.errors import ConfigError, EvidenceError, RecordError
from railwatch.evidence.verify import manifest_of
from railwatch.messaging.chain import Kind, Row
from railwatch.messaging.journal import utc_text
from railwatch.messaging.reading import rows, verify
from railwatch.messaging.wire import decode_alert

Json = dict[str, Any]
KEPT_VERSION: Final = 1
JOURNAL_NAME: Final = "journal.db"
EVIDENCE_NAME: Final = "evidence"
NO_FRAMES: Final = "what was known frame by frame, and why nothing was told, only a recording (--record) holds"


class Told(NamedTuple):
    """A row of the journal with what it holds: an alert, or (None) an acknowledgement."""

    row: Row
    alert: Alert | None


def kept_of_incident(state: Path, incident: str) -> list[Json]:
    """All that was told and answered of an incident. Raises RecordError when the journal does not hold it."""
    told = [item for item in _told(state) if is_named(item.row.incident, incident)]
    if not any(item.alert for item in told):
        raise RecordError(f"{state / JOURNAL_NAME} must hold what was told of the incident {incident!r}, but does not")
    return [*_story(state, told), {"notes": _notes(state)}]


def kept_at(state: Path, asked: Asked, around_s: float) -> list[Json]:
    """The incidents that were open at a time, or told of within `around_s` of it. Raises ConfigError, RecordError."""
    told = list(_told(state))
    if not told:
        raise RecordError(f"{state / JOURNAL_NAME} must hold an alert, but holds none")
    at = _moment(asked, _utc(told[-1].row.at))
    stories: dict[str, list[Told]] = {}
    for item in told:
        stories.setdefault(item.row.incident, []).append(item)
    found = [story for story in stories.values() if _bears_on(story, at, around_s)]
    notes = [f"{len(found)} of {len(stories)} incidents were open at {utc_text(at)} or told of then", *_notes(state)]
    return [*(document for story in found for document in _story(state, story)), {"notes": notes}]


def _notes(state: Path) -> list[str]:
    damage = verify(state / JOURNAL_NAME).damage
    lost = [] if damage is None else [f"row {damage.row} is damaged ({damage.reason}): what follows it is left out"]
    return [*lost, NO_FRAMES]


def _told(state: Path) -> Iterator[Told]:
    """Alerts and acknowledgements, in order; alerts whose text retention has let go are left out."""
    for row in rows(state / JOURNAL_NAME):
        if row.kind == Kind.ALERT.value and row.body is not None:
            yield Told(row, decode_alert(row.body))
        elif row.kind == Kind.ACKNOWLEDGEMENT.value and row.body is not None:
            yield Told(row, None)


def _bears_on(story: list[Told], at: datetime, around_s: float) -> bool:
    """Whether an incident was open at a time, or something was told of it near by."""
    alerts = [(_utc(item.row.at), item.alert) for item in story if item.alert is not None]
    before = [alert for told_at, alert in alerts if told_at <= at]
    is_open = bool(before) and before[-1].action is not Action.CLOSED
    return is_open or any(abs(told_at - at) <= timedelta(seconds=around_s) for told_at, _ in alerts)


def _story(state: Path, told: list[Told]) -> Iterator[Json]:
    alerts = [item.alert for item in told if item.alert is not None]
    if not alerts:
        return
    first, last = alerts[0], alerts[-1]
    worst = max(alerts, key=lambda alert: alert.severity)
    yield {
        "kept_version": KEPT_VERSION,
        "journal": str(state / JOURNAL_NAME),
        "site_id": first.site_id,
        "incident_id": first.incident_id,
        "kind": first.kind.value,
        "section_id": first.section_id,
        "worst": worst.severity.value,
        "opened_at": first.published_at if first.action is Action.OPENED else None,
        "closed_at": last.published_at if last.action is Action.CLOSED else None,
    }
    for row, alert in told:
        yield _answer(row) if alert is None else _account(state, row, alert)


def _account(state: Path, row: Row, alert: Alert) -> Json:
    return {
        "row": row.row,
        "at": row.at,
        "action": alert.action.value,
        "severity": alert.severity.value,
        "why": alert.why,
        "margin_s": alert.margin_s,
        "camera_id": alert.camera_id,
        "zone_id": alert.zone_id,
        "captured_at": alert.captured_at,
        "addressed_to": list(alert.addressed_to),
        "config_rev": alert.config_rev,
        "evidence": None if alert.evidence is None else _evidence(state, alert.evidence),
    }


def _answer(row: Row) -> Json:
    return {"row": row.row, "at": row.at, "answer": json.loads(row.body or b"{}")}


def _evidence(state: Path, evidence_id: str) -> Json:
    """The files of a piece of evidence as its manifest names them, or why they are not there."""
    try:
        manifest = manifest_of(state / EVIDENCE_NAME, evidence_id)
    except EvidenceError as error:
        return {"evidence_id": evidence_id, "files": [], "missing": str(error)}
    return {"evidence_id": evidence_id, "files": [entry["name"] for entry in manifest["files"]], "missing": None}


def _moment(asked: Asked, last: datetime) -> datetime:
    """The time that was asked for; a clock time is that of the last day that the journal tells of."""
    if asked.moment is not None:
        return asked.moment
    if asked.clock is None:
        raise ConfigError(f"--at must be UTC where a journal is asked, as 08:11:40, but is {asked.text[:40]!r}")
    found = datetime.combine(last.date(), asked.clock, UTC)
    return found if found <= last else found - timedelta(days=1)


def _utc(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def lines_of_kept(documents: Iterable[Json]) -> Iterator[str]:
    """The lines for people."""
    for document in documents:
        if "kept_version" in document:
            where = document["section_id"] or "the system"
            opened, closed = document["opened_at"] or "before what is kept", document["closed_at"]
            yield f"incident {document['incident_id']}  {document['kind']} of {where}, at worst {document['worst']}"
            yield f"opened {opened}, {'not closed' if closed is None else f'closed {closed}'}"
            yield f"site {document['site_id']}, journal {document['journal']}"
        elif "notes" in document:
            yield from (f"note: {note}" for note in document["notes"])
        elif "answer" in document:
            said = document["answer"]
            key = f" (key {said['key_name']})" if said.get("key_name") else ""
            yield f"  {document['at']}  {said['level']} by {said['by']}{key}"
        else:
            yield from _account_lines(document)


def _account_lines(account: Json) -> Iterator[str]:
    margin = "" if account["margin_s"] is None else f" [margin {account['margin_s']:g} s]"
    yield f"  {account['at']}  {account['action']} {account['severity']}{margin}: {account['why']}"
    if account["addressed_to"]:
        yield f"      told to {', '.join(account['addressed_to'])}"
    evidence = account["evidence"]
    if evidence is not None:
        files = ", ".join(evidence["files"]) or f"none ({evidence['missing']})"
        yield f"      evidence {evidence['evidence_id']}: {files}"
