"""One input and what the decision made of it, as plain JSON values: objects, motion, trains, delays, what was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from railwatch.app.explain_doubts import doubts_about, footing
from railwatch.core.alerts import Alert, AlertKind
from railwatch.core.second_look import Annotation
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation, Track, TrainReport, ZoneKind
from railwatch.decision.assessing import Outlook, Standing
from railwatch.decision.clearing import polygon_m
from railwatch.decision.following import ground_of
from railwatch.decision.incidents import cameras_of, look_at
from railwatch.decision.inputs import Hours, Possession, Stamped, SystemFault, WorkerLost
from railwatch.decision.motion import ground_motion, place_of
from railwatch.decision.presence import SectionView
from railwatch.decision.step import DecisionState, section_state
from railwatch.decision.zones import normalised

Json = dict[str, Any]


class Moment(NamedTuple):
    """One input of a recording, the state after it, and the alerts that it gave; `t_s` from the recording's start."""

    t_s: float
    stamped: Stamped
    state: DecisionState
    alerts: tuple[Alert, ...]


def frame_document(moment: Moment, section_id: str) -> Json:
    """All that bears on a section at a moment. Numbers are rounded to thousandths, for people read them.

    `objects` holds everybody whom the camera of this frame shows, and who is held; `trains` what is believed of the
    rail tracks of the section; `delays` how many of the last frames of each camera saw what.
    """
    state, value = moment.state, moment.stamped.input
    outlook = state.outlook()
    document: Json = {
        "t_s": _round(moment.t_s),
        "received_at": moment.stamped.received_at,
        "input": _name_of(value),
        "section": section_document(state, section_id, outlook),
        "trains": trains_of(state.site, section_id, outlook),
    }
    if isinstance(value, Observation) and value.camera_id in cameras_of(state.site, section_id):
        document |= {
            "camera_id": value.camera_id,
            "index": value.index,
            "camera_t_s": _round(value.t_s),
            "captured_at": value.captured_at,
            "vitals": {"state": value.vitals.state.value, "reason": value.vitals.reason},
            "truncated": value.truncated,
            "objects": objects_of(state, value, section_id, outlook),
            "delays": delays_of(state.cameras[value.camera_id].view(section_id)),
        }
    else:
        document |= _other(value)
    document["told"] = [_told(alert) for alert in moment.alerts if alert.section_id in {section_id, ""}]
    return document


def section_document(state: DecisionState, section_id: str, outlook: Outlook) -> Json:
    """State, open incident, and the margin of whoever is in the greatest danger."""
    sight = look_at(state.site, section_id, state.cameras, frozenset(), outlook)
    incident = state.incidents.get((AlertKind.INTRUSION, section_id, ""))
    worst = None if sight.worst is None else sight.worst[1]
    return {
        "section_id": section_id,
        "state": section_state(state, section_id).value,
        "incident_id": incident.incident_id if incident else None,
        "severity": incident.severity.value if incident else None,
        "worst_now": worst.severity.value if worst else None,
        "margin_s": None if worst is None or worst.margin_s is None else _round(worst.margin_s),
        "cameras": {
            name: {"state": state.cameras[name].state.value, "reason": state.cameras[name].reason}
            for name in cameras_of(state.site, section_id)
        },
    }


def trains_of(site: SiteSettings, section_id: str, outlook: Outlook) -> list[Json]:
    """What is believed of every rail track of a section."""
    here = (section_id, ZoneKind.TRACK)
    names = dict.fromkeys(zone.rail_track_id for zone in site.zones if (zone.section_id, zone.kind) == here)
    found = []
    for name in names:
        said = outlook.train(section_id, name)
        found.append(
            {
                "rail_track_id": name,
                "known": said.known,
                "eta_s": None if said.eta_s is None else _round(said.eta_s),
                "assumed": said.assumed,
                "source": said.source,
                "age_s": None if said.age_s is None else _round(said.age_s),
                "speed_mps": None if said.speed_mps is None else _round(said.speed_mps),
                "distance_m": None if said.distance_m is None else _round(said.distance_m),
                "why": said.why,
            }
        )
    return found


def objects_of(state: DecisionState, seen: Observation, section_id: str, outlook: Outlook) -> list[Json]:
    """Everybody in a frame, and who is held in the section; who stands in a zone first."""
    view = state.cameras[seen.camera_id].view(section_id)
    held = {stayer.hit.track.track_id: stayer.hit.track for stayer in view.stayers}
    shown = {track.track_id: track for track in seen.tracks}
    found = [_object(state, seen, track, view, outlook) for track in {**shown, **held}.values()]
    return sorted(found, key=lambda item: (not item["in"], -item["confidence"], item["track_id"]))


def delays_of(view: SectionView) -> Json:
    """For each channel the number of frames of the window that saw it, and the seconds since."""
    counts = Counter(channel for frame in view.window for channel in frame.channels)
    return {
        "frames": len(view.window),
        "seen": dict(sorted(counts.items())),
        "quiet_s": {name: _round(seconds) for name, seconds in sorted(view.quiet_s.items())},
    }


def _object(state: DecisionState, seen: Observation, track: Track, view: SectionView, outlook: Outlook) -> Json:
    standings = [standing for standing in view.standings if standing.hit.track.track_id == track.track_id]
    held = any(stayer.hit.track.track_id == track.track_id for stayer in view.stayers)
    document: Json = {
        "track_id": track.track_id,
        "class_name": track.class_name,
        "group": track.group,
        "confidence": _round(track.confidence),
        "state": track.state.value,
        "hits": track.hits,
        "held_s": _round(seen.t_s - track.last_seen_s) if held else None,
        "box_norm": [_round(value, 5) for value in normalised(track.xyxy, seen.frame_size)],
        **_motion(state, seen, track),
        "in": [_assessed(standing, outlook) for standing in standings],
        "zones": footing(state.site, seen, track),
    }
    if not standings:
        document["doubts"] = doubts_about(state, seen, track)
    return document


def _motion(state: DecisionState, seen: Observation, track: Track) -> Json:
    """Place and velocity in metres; both None where the ground is not known there."""
    plane = ground_of(state.site, seen.camera_id)
    nothing: Json = {"place_m": None, "velocity_mps": None, "trail_m": []}
    if plane is None:
        return nothing
    box_norm = normalised(track.xyxy, seen.frame_size)
    paces = state.cameras[seen.camera_id].following.paces.get(track.track_id, ())
    motion = ground_motion(paces)
    place = motion.place if motion else place_of(box_norm, plane)
    if place is None:
        return nothing
    return {
        "place_m": {
            "x": _round(place.x_m),
            "y": _round(place.y_m),
            "sigma": _round(place.sigma_m),
            "covariance": [_round(value, 5) for value in (place.var_x, place.var_y, place.cov_xy)],
        },
        "velocity_mps": None
        if motion is None
        else {"x": _round(motion.vx_mps), "y": _round(motion.vy_mps), "sigma": _round(motion.sigma_mps)},
        "trail_m": [[_round(at.x_m), _round(at.y_m)] for pace in paces if (at := pace.place) is not None],
    }


def _assessed(standing: Standing, outlook: Outlook) -> Json:
    said, clearing = outlook.assess(standing), standing.clearing
    return {
        "zone_id": said.zone_id,
        "kind": standing.hit.zone.kind.value,
        "rail_track_id": standing.hit.zone.rail_track_id,
        "dwell_s": _round(said.dwell_s),
        "behaviour": clearing.behaviour.value,
        "leaves_in_s": None if clearing.seconds is None else _round(clearing.seconds),
        "severity": said.severity.value,
        "rule": said.rule,
        "time_to_clear_s": None if said.time_to_clear_s is None else _round(said.time_to_clear_s),
        "train_eta_s": None if said.train_eta_s is None else _round(said.train_eta_s),
        "margin_s": None if said.margin_s is None else _round(said.margin_s),
        "why": said.why,
        **_second_look(standing, outlook),
    }


def _second_look(standing: Standing, outlook: Outlook) -> Json:
    """What the second look said of an animal, and to which severity that raises it; nothing where it said nothing."""
    look, lifted = outlook.look(standing.hit), outlook.lifted(standing)
    if look is None:
        return {}
    raised = None if lifted is None else lifted.value
    return {"second_look": {"taxon": look.taxon, "confidence": _round(look.confidence), "raises_to": raised}}


def _told(alert: Alert) -> Json:
    return {
        "seq": alert.seq,
        "incident_id": alert.incident_id,
        "kind": alert.kind.value,
        "action": alert.action.value,
        "severity": alert.severity.value,
        "why": alert.why,
    }


def _name_of(value: object) -> str:
    return type(value).__name__


def _other(value: object) -> Json:
    """What an input that is no frame of the section says, where it bears on what is decided."""
    says = ""
    match value:
        case TrainReport():
            about = "no train" if value.eta_s is None else f"a train in {value.eta_s:.0f} s"
            says = f"{value.source} tells of {about} on {value.rail_track_id}"
        case Possession():
            says = f"{value.holder} holds {value.rail_track_id} for {value.lasts_s:.0f} s"
        case Hours():
            held = ", ".join(value.schedule_ids or ()) or "none"
            says = f"schedules that hold: {'nobody is sure' if value.schedule_ids is None else held}"
        case WorkerLost():
            says = f"cameras {', '.join(value.camera_ids)} are lost: {value.reason}"
        case SystemFault():
            says = f"{value.name}: {value.reason or 'over'}"
        case Annotation():
            taxon = value.taxon or "abstains"
            says = f"{value.camera_id}, track {value.track_id}: {taxon} {value.confidence:.2f}"
    return {"says": says} if says else {}


def zones_document(site: SiteSettings, section_ids: Iterable[str]) -> list[Json]:
    """The zones of some sections in fractions of the frame and, where the ground is known, in metres."""
    wanted = set(section_ids)
    found = []
    for zone in site.zones:
        if zone.section_id in wanted:
            plane = ground_of(site, zone.camera_id)
            metres = () if plane is None else polygon_m(zone.polygon_norm, plane)
            found.append(
                {
                    "zone_id": zone.zone_id,
                    "camera_id": zone.camera_id,
                    "section_id": zone.section_id,
                    "rail_track_id": zone.rail_track_id,
                    "kind": zone.kind.value,
                    "polygon_norm": [list(point) for point in zone.polygon_norm],
                    "polygon_m": [[_round(point.x), _round(point.y)] for point in metres],
                }
            )
    return found


def _round(value: float, digits: int = 3) -> float:
    return round(value, digits)
