"""Open incidents of an earlier run of the hub, as its journal remembers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from railwatch.core.alerts import AlertKind, RestoredIncident
from railwatch.decision.faults import CONFIRM_S, Faults
from railwatch.decision.incidents import Incident, IncidentKey


def restored_incidents(found: Iterable[RestoredIncident], now_s: float) -> dict[IncidentKey, Incident]:
    """The incidents under their keys, with identity, time of opening, acknowledgement and the groups told.

    How long the hub was away nobody knows (the wall clock is for people), so the time in which an acknowledgement had
    to come counts as over: what is not acknowledged goes to the next group at once. A second incident of one key, which
    only a damaged journal can hold, gets a key of its own that nothing belongs to, and so is closed.
    """
    incidents: dict[IncidentKey, Incident] = {}
    for item in found:
        key = _key(item)
        if key in incidents:
            key = (key[0], f"also {item.last.incident_id}", key[2])
        incidents[key] = _incident(item, now_s)
    return incidents


def restored_faults(incidents: Mapping[IncidentKey, Incident], now_s: float) -> Faults:
    """The faults behind restored SYSTEM incidents, in doubt until somebody reports them again."""
    reasons = {
        key[2]: incident.words
        for key, incident in incidents.items()
        if key[:2] == (AlertKind.SYSTEM, "") and key[2] != ""
    }
    return Faults(reasons, frozenset(reasons), now_s + CONFIRM_S)


def _key(item: RestoredIncident) -> IncidentKey:
    last = item.last
    third = {AlertKind.BLINDNESS: last.camera_id, AlertKind.SYSTEM: last.fault, AlertKind.TEST: last.camera_id}.get(
        last.kind
    )
    return last.kind, last.section_id, third or ""


def _incident(item: RestoredIncident, now_s: float) -> Incident:
    last = item.last
    return Incident(
        last.kind,
        last.severity,
        incident_id=last.incident_id,
        section_id=last.section_id,
        opened_at=item.opened_at,
        groups=frozenset(seen.group for seen in last.objects),
        count=len(last.objects),
        told_s=now_s,
        cameras=frozenset(last.camera_ids),
        level=item.level,
        by=item.by,
        key_name=item.key_name,
        addressed_to=last.addressed_to,
        since_s=now_s,
        asked_s=-inf,
        fault=last.fault,
        words=last.why.removeprefix(f"{last.fault}: "),
    )
