"""What becomes of every incident, and which of it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from railwatch.core.alerts import Action, AlertKind, Severity
from railwatch.decision.escalation import attended, derived_faults, escalated, words_of_escalation
from railwatch.decision.faults import next_fault
from railwatch.decision.incidents import (
    Incident,
    IncidentKey,
    SectionSight,
    cameras_of,
    lifted,
    next_blindness,
    next_intrusion,
    unlifted,
)
from railwatch.decision.state import DecisionState
from railwatch.decision.telling import (
    Account,
    Told,
    Transition,
    account_of_camera,
    account_of_fault,
    account_of_probe,
    account_of_sight,
    account_of_the_unwatched,
)


def transitions(state: DecisionState, sights: Mapping[str, SectionSight]) -> Iterator[Transition]:
    """What becomes of every incident: sections in the order of the site file, then the system's own."""
    expected = set()
    for section_id, sight in sights.items():
        for change in _of_section(state, section_id, sight):
            expected.add(change.key)
            yield change
    for change in (*_of_probes(state), *_of_system(state)):
        expected.add(change.key)
        yield change
    for key, incident in state.incidents.items():
        if key not in expected:
            yield Transition(key, incident, None, Action.CLOSED, account_of_the_unwatched)


def told_of(
    state: DecisionState, change: Transition, answered: IncidentKey | None
) -> tuple[Incident | None, Told | None]:
    """The incident after a change and after what people did or failed to do, and what is to be told of both.

    One input tells one thing of an incident: what is seen comes first, then that a person acknowledged it (`answered`),
    then that nobody did in time.
    """
    settings = state.site.escalation
    after, action, words = change.after, change.action, ""
    if after is not None and after.kind is not AlertKind.TEST:
        after = attended(change.before, after, settings, state.now_s)
        silent = action is None or not change.own
        if silent and change.key == answered:
            action, words = Action.ACKNOWLEDGED, f"acknowledged by {after.by}: "
        elif silent and (further := escalated(after, settings, state.now_s)) is not None:
            after, action, words = further, Action.ESCALATED, f"{words_of_escalation(further, settings)}: "
    if action is None:
        return after, None
    account = change.account(action)
    return after, Told(action, _subject(change.before, after), replace(account, why=words + account.why))


def _of_section(state: DecisionState, section_id: str, sight: SectionSight) -> Iterator[Transition]:
    rules = state.site.incidents
    key: IncidentKey = (AlertKind.INTRUSION, section_id, "")
    before = state.incidents.get(key)
    plain, own = next_intrusion(unlifted(before), sight, state.now_s, rules.update_interval_s)
    after, action = lifted(before, plain, own, sight)
    account = partial(_sight_account, state, section_id, sight)
    yield Transition(key, before, after, action, account, own=own is not None)
    for camera_id in cameras_of(state.site, section_id):
        key = (AlertKind.BLINDNESS, section_id, camera_id)
        before, memory = state.incidents.get(key), state.cameras[camera_id]
        after, action = next_blindness(before, memory, rules.on_delay_window)
        yield Transition(key, before, after, action, partial(account_of_camera, camera_id, memory))


def _of_probes(state: DecisionState) -> Iterator[Transition]:
    """Self-tests: told when the person is seen, and when that has arrived at a subscriber or has not in time."""
    running = {
        (AlertKind.TEST, section_id, name): probing
        for name, probing in state.probes.items()
        if probing.running is not None
        for section_id in probing.running.sections[:1]
    }
    known = [key for key in state.incidents if key[0] is AlertKind.TEST]
    for key in dict.fromkeys((*running, *known)):
        before, probing = state.incidents.get(key), state.probing(key[2])
        after = Incident(AlertKind.TEST, Severity.NOTICE) if before is None else before
        if key in running:
            action = Action.OPENED if before is None else None
            yield Transition(key, before, after, action, partial(account_of_probe, key[2], probing))
        else:
            yield Transition(key, before, None, Action.CLOSED, partial(account_of_probe, key[2], probing))


def _of_system(state: DecisionState) -> Iterator[Transition]:
    """The faults that were reported, and those that follow from acknowledgements that are missing."""
    derived = derived_faults(
        [item for item in state.incidents.values() if item.kind is not AlertKind.TEST],
        state.missing,
        state.site.escalation,
        state.now_s,
    )
    reasons = {**state.faults.reasons, **derived}
    open_names = [key[2] for key in state.incidents if key[0] is AlertKind.SYSTEM and key[1] == ""]
    for name in sorted({*reasons, *open_names}):
        key: IncidentKey = (AlertKind.SYSTEM, "", name)
        before = state.incidents.get(key)
        after, action = next_fault(before, name, reasons.get(name), state.now_s, state.site.incidents.update_interval_s)
        words = after.words if after is not None else ""
        yield Transition(key, before, after, action, partial(account_of_fault, name, words))


def _sight_account(state: DecisionState, section_id: str, sight: SectionSight, action: Action) -> Account:
    return account_of_sight(sight, action, _captured_at(state, section_id, sight))


def _subject(before: Incident | None, after: Incident | None) -> Incident:
    """The incident that is told of: as it is now, or as it was when it closes."""
    subject = after or before
    if subject is None:
        raise AssertionError("an action is told of an incident that is or was open")
    return subject


def _captured_at(state: DecisionState, section_id: str, sight: SectionSight) -> str | None:
    """When the newest frame was taken that bears on the section: of the cameras that see somebody, else of any.

    None if there was no frame yet: an incident of an earlier run of the hub may be told before its cameras are seen.
    """
    names = [hit.zone.camera_id for hit in sight.hits] or list(cameras_of(state.site, section_id))
    heard = [memory for name in names if (memory := state.cameras[name]).captured_at is not None]
    return max(heard, key=lambda memory: memory.heard_s).captured_at if heard else None
