"""What an input changes before anything is decided: memories, faults, acknowledgements, the site itself."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from railwatch.core.alerts import AckLevel, CameraState
from railwatch.core.second_look import Annotation
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation, TrainReport, Zone
from railwatch.decision.escalation import acknowledged, judge, missing_since
from railwatch.decision.following import ground_of
from railwatch.decision.incidents import IncidentKey
from railwatch.decision.inputs import (
    Acknowledge,
    ConfigChange,
    Consumers,
    Hours,
    Input,
    Possession,
    Probe,
    ProbeEnded,
    ProbeHeard,
    ProbeSight,
    SystemFault,
    WorkerLost,
)
from railwatch.decision.looking import with_look
from railwatch.decision.presence import CameraMemory, blinded, observe, tracked
from railwatch.decision.probing import Probing, begun, ended, heard, overdue, sighted
from railwatch.decision.state import DecisionState, Held, Holding
from railwatch.decision.trains import hear, why_not


def take(state: DecisionState, value: Input) -> tuple[DecisionState, IncidentKey | None]:
    """The state with the input in it, and the key of the incident that a person acknowledged by it (None: none).

    Raises ValueError for a camera that the site does not have, and for a change to another site.
    """
    answered = None
    match value:
        case Observation():
            state = _observed(state, value)
        case WorkerLost():
            lost = {
                name: blinded(memory, value.reason)
                for name, memory in state.cameras.items()
                if name in value.camera_ids
            }
            state = replace(state, cameras=MappingProxyType({**state.cameras, **lost}))
        case Acknowledge():
            state, answered = _acknowledged(state, value)
        case SystemFault():
            state = replace(state, faults=state.faults.reported(value))
        case Consumers():
            missing = missing_since(state.missing, value, state.site.escalation, state.now_s)
            state = replace(state, missing=MappingProxyType(missing))
        case ConfigChange():
            state = _reconfigured(state, value.site)
        case TrainReport() | Possession() | Hours():
            state = _told(state, value)
        case Probe() | ProbeSight() | ProbeHeard() | ProbeEnded():
            state = _probed(state, value)
        case Annotation():
            state = _annotated(state, value)
    # A Tick is only time, which `step` has taken in already.
    state = _overdue_probes(_timed_out(state))
    return replace(state, faults=state.faults.at(state.now_s)), answered


def _observed(state: DecisionState, seen: Observation) -> DecisionState:
    name = seen.camera_id
    if name not in state.cameras:
        raise ValueError(f"camera_id must be one of {sorted(state.cameras)}, but is {name!r}")
    probing = state.probing(name)
    if probing.failing:  # its pictures still say "somebody", and never "nobody"
        seen = replace(seen, vitals=replace(seen.vitals, state=CameraState.BLIND, reason=probing.reason))
    moved = tracked(state.cameras[name], seen, state.site)
    state = replace(state, cameras=MappingProxyType({**state.cameras, name: moved}))
    memory = observe(moved, seen, state.site, state.now_s, state.outlook())
    return replace(state, cameras=MappingProxyType({**state.cameras, name: memory}))


def _timed_out(state: DecisionState) -> DecisionState:
    timeout_s = state.site.camera_timeout_s
    silent = {
        name: blinded(memory, f"nothing was heard of the camera for {timeout_s:g} s")
        for name, memory in state.cameras.items()
        if state.now_s - memory.heard_s > timeout_s and (memory.waiting or memory.state is not CameraState.BLIND)
    }
    return replace(state, cameras=MappingProxyType({**state.cameras, **silent}))


def _annotated(state: DecisionState, said: Annotation) -> DecisionState:
    """What nothing is known of is left aside: a late answer may speak of a worker, camera or site that is gone."""
    memory, settings = state.cameras.get(said.camera_id), state.site.second_look
    if memory is None or settings is None or said.worker_epoch != memory.worker_epoch:
        return state
    after = replace(memory, looks=with_look(memory.looks, said, settings))
    return replace(state, cameras=MappingProxyType({**state.cameras, said.camera_id: after}))


def _told(state: DecisionState, value: TrainReport | Possession | Hours) -> DecisionState:
    """What is said of trains, of workers who hold a track, and of the time of day."""
    match value:
        case TrainReport():
            taken = not why_not(state.site, state.reports, value)
            return replace(state, reports=hear(state.reports, value, state.now_s)) if taken else state
        case Possession():
            held = Held(value.holder, state.now_s + value.lasts_s)
            return replace(state, possessions=MappingProxyType({**state.possessions, value.rail_track_id: held}))
    ids = None if value.schedule_ids is None else frozenset(value.schedule_ids)
    return replace(state, hours=Holding(ids, state.now_s + value.lasts_s))


def _probed(state: DecisionState, value: Probe | ProbeSight | ProbeHeard | ProbeEnded) -> DecisionState:
    """Raises ValueError for a camera that the site does not have."""
    name = value.seen.camera_id if isinstance(value, ProbeSight) else value.camera_id
    if name not in state.cameras:
        raise ValueError(f"camera_id must be one of {sorted(state.cameras)}, but is {name!r}")
    before = state.probing(name)
    match value:
        case Probe():
            return _with_probing(state, name, begun(before, value.probe_id, value.within_s, state.now_s))
        case ProbeSight():
            after = sighted(before, value.probe_id, value.seen, state.site, state.outlook(), state.now_s)
            return _with_probing(state, name, after)
        case ProbeHeard():
            return _with_probing(state, name, heard(before, value.probe_id, state.now_s))
    running = before.running
    if running is None or running.probe_id != value.probe_id:
        return state
    return _probe_missed(state, name, value.reason)


def _overdue_probes(state: DecisionState) -> DecisionState:
    for name in [name for name, probing in state.probes.items() if overdue(probing.running, state.now_s)]:
        state = _probe_missed(state, name, None)
    return state


def _probe_missed(state: DecisionState, name: str, reason: str | None) -> DecisionState:
    memory = state.cameras[name]
    after = ended(state.probing(name), reason, trusted=memory.state is not CameraState.BLIND)
    state = _with_probing(state, name, after)
    if not after.failing:
        return state
    return replace(state, cameras=MappingProxyType({**state.cameras, name: blinded(memory, after.reason)}))


def _with_probing(state: DecisionState, name: str, probing: Probing) -> DecisionState:
    return replace(state, probes=MappingProxyType({**state.probes, name: probing}))


def _acknowledged(state: DecisionState, said: Acknowledge) -> tuple[DecisionState, IncidentKey | None]:
    verdict = judge(state.incidents, state.site.escalation, said)
    if verdict.key is None or not verdict.raises:
        return state, None
    incident = acknowledged(state.incidents[verdict.key], said)
    state = replace(state, incidents=MappingProxyType({**state.incidents, verdict.key: incident}))
    return state, verdict.key if said.level is AckLevel.ACKNOWLEDGED else None


def _reconfigured(state: DecisionState, site: SiteSettings) -> DecisionState:
    """The state under another configuration.

    A camera with the same zones and the same ground keeps its memory, others are seen anew.
    """
    if site.site_id != state.site.site_id:
        raise ValueError(f"site_id must stay {state.site.site_id!r} while the hub runs, but is {site.site_id!r}")
    cameras = {
        camera.camera_id: state.cameras[camera.camera_id]
        if camera.camera_id in state.cameras
        and _zones_of(site, camera.camera_id) == _zones_of(state.site, camera.camera_id)
        and camera.ground == ground_of(state.site, camera.camera_id)
        else CameraMemory(heard_s=state.now_s)
        for camera in site.cameras
    }
    head = replace(
        state.head,
        config_rev=site.config_rev,
        model_sha256=site.model.sha256 or state.head.model_sha256,
        evidence=site.evidence.record,
    )
    groups = {group.group_id for group in site.escalation.groups if group.required}
    return replace(
        state,
        site=site,
        head=head,
        cameras=MappingProxyType(cameras),
        hours=state.hours if site.schedules == state.site.schedules else Holding(),  # an ID may mean other hours now
        doubtful=state.doubtful & set(site.sections),
        missing=MappingProxyType({name: since_s for name, since_s in state.missing.items() if name in groups}),
        probes=MappingProxyType({name: item for name, item in state.probes.items() if cameras.get(name) is not None}),
    )


def _zones_of(site: SiteSettings, camera_id: str) -> frozenset[Zone]:
    return frozenset(zone for zone in site.zones if zone.camera_id == camera_id)
