"""The one function that decides: `step(state, input) -> (state, events)`.

Pure: the same state and input give the same result, for ever and everywhere. Clocks arrive inside the input, and
identifiers derive from (epoch, seq), so that a recording of the inputs replays to the same alerts, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from railwatch.core.alerts import Alert, AlertKind, CameraState, Epoch, SectionState
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation
from railwatch.decision.incidents import (
    Incident,
    SectionSight,
    cameras_of,
    look_at,
    next_blindness,
    next_intrusion,
    next_occupied,
    required_cameras,
)
from railwatch.decision.inputs import Stamped, WorkerLost
from railwatch.decision.presence import CameraMemory, blinded, observe
from railwatch.decision.telling import (
    IncidentKey,
    Letterhead,
    Told,
    Transition,
    account_of_camera,
    account_of_sight,
    alert_of,
)


@dataclass(frozen=True, slots=True)
class DecisionState:
    """All that the decision remembers. Build the first one with `start`. `now_s` is the hub's clock."""

    site: SiteSettings
    head: Letterhead
    seq: int
    now_s: float
    cameras: Mapping[str, CameraMemory]
    incidents: Mapping[IncidentKey, Incident] = field(default_factory=lambda: MappingProxyType({}))
    occupied: frozenset[str] = frozenset()


def start(site: SiteSettings, epoch: Epoch, model_sha256: str, now_s: float) -> DecisionState:
    """The state before the first input: every section UNKNOWN, every camera waited for since `now_s`."""
    cameras = {camera.camera_id: CameraMemory(heard_s=now_s) for camera in site.cameras}
    head = Letterhead(site.site_id, epoch, site.config_rev, model_sha256)
    return DecisionState(site, head, 0, now_s, MappingProxyType(cameras))


def step(state: DecisionState, stamped: Stamped) -> tuple[DecisionState, tuple[Alert, ...]]:
    """Take in one input. Returns the next state and the alerts to send, numbered without a hole, in order.

    Raises ValueError for a camera that the site does not have: the hub must not route such an input here.
    """
    now_s = max(state.now_s, stamped.received_s)
    state = replace(state, now_s=now_s, cameras=MappingProxyType(_absorb(state, stamped, now_s)))
    sights = {
        section_id: look_at(state.site, section_id, state.cameras, _witnesses(state, section_id))
        for section_id in state.site.sections
    }
    occupied = frozenset(name for name, sight in sights.items() if next_occupied(name in state.occupied, sight))
    incidents, seq = dict(state.incidents), state.seq
    alerts = []
    for change in _transitions(state, sights):
        after, told = change.after, change.told
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
    return replace(state, seq=seq, incidents=MappingProxyType(incidents), occupied=occupied), tuple(alerts)


def section_state(state: DecisionState, section_id: str) -> SectionState:
    """OCCUPIED if somebody is on the track; else UNKNOWN unless all required cameras have settled; else CLEAR."""
    if section_id in state.occupied:
        return SectionState.OCCUPIED
    needed = [state.cameras[name] for name in required_cameras(state.site, section_id)]
    settled = state.site.incidents.on_delay_window
    if all(memory.state is CameraState.NOMINAL and memory.good_frames >= settled for memory in needed):
        return SectionState.CLEAR
    return SectionState.UNKNOWN


def _absorb(state: DecisionState, stamped: Stamped, now_s: float) -> dict[str, CameraMemory]:
    cameras = dict(state.cameras)
    if isinstance(stamped.input, Observation):
        name = stamped.input.camera_id
        if name not in cameras:
            raise ValueError(f"camera_id must be one of {sorted(cameras)}, but is {name!r}")
        cameras[name] = observe(cameras[name], stamped.input, state.site, now_s)
    elif isinstance(stamped.input, WorkerLost):
        for name in cameras.keys() & set(stamped.input.camera_ids):
            cameras[name] = blinded(cameras[name], stamped.input.reason)
    timeout_s = state.site.camera_timeout_s
    for name, memory in cameras.items():
        if now_s - memory.heard_s > timeout_s and (memory.waiting or memory.state is not CameraState.BLIND):
            cameras[name] = blinded(memory, f"nothing was heard of the camera for {timeout_s:g} s")
    return cameras


def _witnesses(state: DecisionState, section_id: str) -> frozenset[str]:
    incident = state.incidents.get((AlertKind.INTRUSION, section_id, ""))
    return incident.cameras if incident else frozenset()


def _transitions(state: DecisionState, sights: Mapping[str, SectionSight]) -> Iterator[Transition]:
    """What becomes of every incident, section by section in the order of the site file."""
    rules = state.site.incidents
    for section_id, sight in sights.items():
        key: IncidentKey = (AlertKind.INTRUSION, section_id, "")
        before = state.incidents.get(key)
        after, action = next_intrusion(before, sight, state.now_s, rules.update_interval_s)
        told = None
        if action is not None:
            account = account_of_sight(sight, action, _captured_at(state, section_id, sight))
            told = Told(action, _subject(before, after), account)
        yield Transition(key, before, after, told)
        for camera_id in cameras_of(state.site, section_id):
            key = (AlertKind.BLINDNESS, section_id, camera_id)
            before = state.incidents.get(key)
            memory = state.cameras[camera_id]
            after, action = next_blindness(before, memory, rules.on_delay_window)
            told = None
            if action is not None:
                told = Told(action, _subject(before, after), account_of_camera(camera_id, memory, action))
            yield Transition(key, before, after, told)


def _subject(before: Incident | None, after: Incident | None) -> Incident:
    """The incident that is told of: as it is now, or as it was when it closes."""
    subject = after or before
    if subject is None:
        raise AssertionError("an action is told of an incident that is or was open")
    return subject


def _captured_at(state: DecisionState, section_id: str, sight: SectionSight) -> str | None:
    """When the newest frame was taken that bears on the section: of the cameras that see somebody, else of any.

    It is asked only when an intrusion is told, which a frame of one of these cameras began.
    """
    names = [hit.zone.camera_id for hit in sight.hits] or list(cameras_of(state.site, section_id))
    heard = [memory for name in names if (memory := state.cameras[name]).captured_at is not None]
    return max(heard, key=lambda memory: memory.heard_s).captured_at
