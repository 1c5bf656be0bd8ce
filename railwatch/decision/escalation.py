"""Who must be told of an incident next, and what an acknowledgement changes.

An acknowledgement never closes, hides or lowers an incident. It only stops the incident from being handed on, until it
worsens: then nobody has acknowledged it as it is now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.decision.incidents import Incident, IncidentKey
from railwatch.decision.inputs import Acknowledge, Consumers

UNRECEIVED: Final = "ack:unreceived"
UNANSWERED: Final = "ack:unanswered"
_MISSING: Final = "consumer:"

RECEIVED_WITHIN_S: Final = 5.0
"""An incident under a rule that nobody has even received for so long is an alarm about the system."""

MISSING_AFTER_S: Final = 10.0
"""So is a required group of which nobody has been connected for so long: time for a client to come back."""

_NAMED: Final = 3
"""Incidents that the words of a fault name; there may be hundreds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an acknowledgement.

    `key` is the incident's, None when it is refused for the reason `refusal`. `raises` says whether the incident comes
    to a higher level by it; an acknowledgement that was known already is accepted and changes nothing.
    """

    key: IncidentKey | None
    raises: bool
    refusal: str = ""


def is_derived(fault: str | None) -> bool:
    """Whether a fault (None: no fault) follows from what is missing here; names that the hub gives have no colon."""
    return fault is not None and ":" in fault


def judge(incidents: Mapping[IncidentKey, Incident], settings: EscalationSettings, said: Acknowledge) -> Verdict:
    """Whether an acknowledgement counts. Without groups everybody's does, else only that of a member of one."""
    key = next((key for key, incident in incidents.items() if incident.incident_id == said.incident_id), None)
    if key is None:
        return Verdict(None, raises=False, refusal=f"incident {said.incident_id} must be open, but is not")
    if settings.groups and not any(group.has(said.key_name) for group in settings.groups):
        who = "a client without a key" if said.key_name is None else f"key {said.key_name}"
        return Verdict(
            None, raises=False, refusal=f"{who} must belong to one of the groups of escalation, but does not"
        )
    level = incidents[key].level
    return Verdict(key, raises=level is None or said.level > level)


def acknowledged(incident: Incident, said: Acknowledge) -> Incident:
    """The incident brought to the level of an acknowledgement."""
    return replace(incident, level=said.level, by=said.by, key_name=said.key_name)


def attended(before: Incident | None, after: Incident, settings: EscalationSettings, now_s: float) -> Incident:
    """The incident with what is asked of people since it opened or worsened.

    What is wrong with the telling itself is told to all groups at once: the one that is missing would not hear of it.
    """
    if before is None:
        asked = settings.groups if is_derived(after.fault) else settings.groups[:1]
        return replace(after, addressed_to=tuple(group.group_id for group in asked), since_s=now_s, asked_s=now_s)
    since_s = asked_s = now_s
    if after.own_severity <= before.own_severity:
        if after.severity <= before.severity:
            return after
        # It worsened by the second look alone: whoever is waited for is not given more time.
        since_s = before.since_s if before.level is None else now_s
        asked_s = now_s if _answered(before, settings) else before.asked_s
    return replace(after, level=None, by=None, key_name=None, since_s=since_s, asked_s=asked_s)


def escalated(incident: Incident, settings: EscalationSettings, now_s: float) -> Incident | None:
    """The incident told to the next group, or None while that is not due or there is no further group."""
    further = _next_group(incident, settings)
    if further is None or not _overdue(incident, settings, now_s):
        return None
    return replace(incident, addressed_to=(*incident.addressed_to, further.group_id), asked_s=now_s)


def words_of_escalation(incident: Incident, settings: EscalationSettings) -> str:
    """Why an incident that was just escalated went to the last of its groups."""
    rule = next(iter(_unanswered(incident, settings)), None)
    if rule is None:
        raise AssertionError("an incident escalates under a rule")
    return f"not {rule.level.value} within {rule.within_s:g} s, told to {incident.addressed_to[-1]}"


def missing_since(
    before: Mapping[str, float], present: Consumers, settings: EscalationSettings, now_s: float
) -> dict[str, float]:
    """Since when (seconds of the hub's clock) nobody of each required group has been connected."""
    absent = [
        group.group_id
        for group in settings.groups
        if group.required and not any(group.has(name or None) for name in present.key_names)
    ]
    return {name: before.get(name, now_s) for name in absent}


def derived_faults(
    incidents: Iterable[Incident], missing: Mapping[str, float], settings: EscalationSettings, now_s: float
) -> dict[str, str]:
    """What is wrong with the telling itself: name of the fault to the reason in words."""
    faults = {
        f"{_MISSING}{name}": f"nobody of the group {name} is connected"
        for name, since_s in missing.items()
        if now_s - since_s >= MISSING_AFTER_S
    }
    waiting = [
        incident for incident in incidents if not is_derived(incident.fault) and not _answered(incident, settings)
    ]
    unreceived = [
        incident for incident in waiting if incident.level is None and now_s - incident.since_s >= RECEIVED_WITHIN_S
    ]
    if unreceived:
        faults[UNRECEIVED] = f"nobody has received {_names(unreceived)}"
    unanswered = [
        incident
        for incident in waiting
        if _next_group(incident, settings) is None and _overdue(incident, settings, now_s)
    ]
    if unanswered:
        faults[UNANSWERED] = f"all groups were told and nobody has answered {_names(unanswered)}"
    return faults


def _names(incidents: list[Incident]) -> str:
    named = [f"{incident.severity.value} {incident.incident_id}" for incident in incidents[:_NAMED]]
    more = len(incidents) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _answered(incident: Incident, settings: EscalationSettings) -> bool:
    return not _unanswered(incident, settings)


def _overdue(incident: Incident, settings: EscalationSettings, now_s: float) -> bool:
    return any(now_s - incident.asked_s >= rule.within_s for rule in _unanswered(incident, settings))


def _unanswered(incident: Incident, settings: EscalationSettings) -> list[EscalationRule]:
    """The rules whose level the incident has not come to, the most urgent first.

    What the second look raised stays under the rule of its own severity too.
    """
    rules = dict.fromkeys(settings.rule_for(level) for level in (incident.severity, incident.own_severity))
    below = [rule for rule in rules if rule is not None and (incident.level is None or incident.level < rule.level)]
    return sorted(below, key=lambda rule: rule.within_s)


def _next_group(incident: Incident, settings: EscalationSettings) -> EscalationGroup | None:
    return next((group for group in settings.groups if group.group_id not in incident.addressed_to), None)
