"""The one function that decides: `step(state, input) -> (state, events)`.

Pure: the same state and input give the same result, for ever and everywhere. Clocks arrive inside the input, and
identifiers derive from (epoch, seq), so that a recording of the inputs replays to the same alerts, byte for byte.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from railwatch.core.alerts import Alert, AlertKind
from railwatch.decision.escalation import Verdict, judge
from railwatch.decision.incidents import cameras_of, look_at, next_occupied
from railwatch.decision.inputs import Acknowledge, Stamped
from railwatch.decision.presence import ON_TRACK
from railwatch.decision.state import DecisionState, section_state, start
from railwatch.decision.taking import take
from railwatch.decision.telling import alert_of
from railwatch.decision.transitions import told_of, transitions

__all__ = ["DecisionState", "section_state", "start", "step", "verdict_on"]


def step(state: DecisionState, stamped: Stamped) -> tuple[DecisionState, tuple[Alert, ...]]:
    """Take in one input. Returns the next state and the alerts to send, numbered without a hole, in order.

    Raises ValueError for a camera that the site does not have and for a change to another site_id: the hub must not
    route such an input here.
    """
    state, answered = take(replace(state, now_s=max(state.now_s, stamped.received_s)), stamped.input)
    outlook = state.outlook()
    sights = {
        section_id: look_at(state.site, section_id, state.cameras, _witnesses(state, section_id), outlook)
        for section_id in state.site.sections
    }
    occupied = frozenset(name for name, sight in sights.items() if next_occupied(name in state.occupied, sight))
    doubtful = frozenset(name for name in state.doubtful - occupied if ON_TRACK in sights[name].held)
    incidents, seq = dict(state.incidents), state.seq
    alerts = []
    for change in transitions(state, sights):
        after, told = told_of(state, change, answered)
        if told is not None:
            seq += 1
            if change.before is None:
                number = f"{state.head.epoch}-i{seq}"
                after = replace(
                    told.incident, incident_id=number, section_id=change.key[1], opened_at=stamped.received_at
                )
                told = replace(told, incident=after)
            alerts.append(alert_of(state.head, seq, told, stamped.received_at))
        incidents.pop(change.key, None)
        if after is not None:
            incidents[change.key] = after
    return (
        replace(state, seq=seq, incidents=MappingProxyType(incidents), occupied=occupied, doubtful=doubtful),
        tuple(alerts),
    )


def verdict_on(state: DecisionState, said: Acknowledge) -> Verdict:
    """What `step` will make of an acknowledgement: ask it first, to tell the sender why it is refused."""
    return judge(state.incidents, state.site.escalation, said)


def _witnesses(state: DecisionState, section_id: str) -> frozenset[str]:
    incident = state.incidents.get((AlertKind.INTRUSION, section_id, ""))
    return incident.cameras & set(cameras_of(state.site, section_id)) if incident else frozenset()
