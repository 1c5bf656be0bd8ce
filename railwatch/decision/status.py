"""What the state of the decision looks like from outside."""

from __future__ import annotations

from railwatch.core.alerts import CameraStatus, OpenIncident, Status, TrainStatus
from railwatch.decision.probing import tried_cameras
from railwatch.decision.step import DecisionState, section_state


def status_of(state: DecisionState, nonces: tuple[str, ...] = ()) -> Status:
    """The Status of the site as of the last input, echoing `nonces`. Ages are counted on the hub's clock (seconds)."""
    tried = tried_cameras(state.site)
    return Status(
        site_id=state.site.site_id,
        epoch=state.head.epoch,
        seq_last=state.seq,
        nonces=nonces,
        sections={name: section_state(state, name) for name in state.site.sections},
        cameras={
            name: CameraStatus(
                memory.state,
                memory.reason,
                None if memory.frame_age_s is None else memory.frame_age_s + state.now_s - memory.heard_s,
                state.probing(name).status(state.now_s) if name in tried else None,
            )
            for name, memory in state.cameras.items()
        },
        trains=_trains(state),
        open_incidents=tuple(
            OpenIncident(
                item.incident_id,
                item.section_id,
                item.kind,
                item.severity,
                item.opened_at,
                item.level,
                item.by,
                item.addressed_to,
                item.fault,
            )
            for _, item in sorted(state.incidents.items(), key=lambda entry: (entry[0][0].value, *entry[0][1:]))
        ),
        config_rev=state.head.config_rev,
        lease_s=state.site.messaging.lease_s,
    )


def _trains(state: DecisionState) -> tuple[TrainStatus, ...]:
    """The belief on every rail track that a zone names, where there is anybody to ask."""
    outlook = state.outlook()
    sections = {zone.rail_track_id: zone.section_id for zone in state.site.zones if zone.rail_track_id is not None}
    beliefs = {track: outlook.train(section_id, track) for track, section_id in sorted(sections.items())}
    return tuple(
        TrainStatus(track, said.eta_s, said.source, said.age_s) for track, said in beliefs.items() if said.source
    )
