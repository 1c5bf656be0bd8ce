"""Why an object that a camera shows raises nothing: every condition that it does not meet, with the number it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from railwatch.core.geometry import Point, edge_distance, footprint, ground_point, overlap_fraction
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation, Track, TrackState, Zone, ZoneKind
from railwatch.decision.clearing import polygon_m
from railwatch.decision.following import ground_of, riding
from railwatch.decision.motion import place_of
from railwatch.decision.step import DecisionState
from railwatch.decision.zones import is_ignored, normalised, stands_in

Json = dict[str, Any]


def doubts_about(state: DecisionState, seen: Observation, track: Track) -> list[str]:
    """Sentences, one for each reason for which `track` does not count in the frame; empty when it does."""
    return [*_doubts(state, seen, track)]


def box_doubts(site: SiteSettings, seen: Observation, box: Track) -> list[str]:
    """The same for a box of the detector that never became a track: what its score and its place lack."""
    found = []
    if box.confidence < site.model.confidence:
        found.append(f"its confidence {box.confidence:.2f} is below model.confidence {site.model.confidence:g}")
    elif box.confidence < site.tracker.high_confidence:
        limit = site.tracker.high_confidence
        found.append(
            f"its confidence {box.confidence:.2f} is below tracker.high_confidence {limit:g}: it begins no track"
        )
    armed = [z for z in site.zones if z.camera_id == seen.camera_id and z.kind is not ZoneKind.IGNORE]
    box_norm = normalised(box.xyxy, seen.frame_size)
    if not any(stands_in(zone.polygon_norm, box_norm, site.incidents.min_overlap) for zone in armed):
        found.append(_outside(site, seen, box))
    return found


def footing(site: SiteSettings, seen: Observation, track: Track) -> list[Json]:
    """How far an object is from every zone of its camera that raises alarms, the nearest first.

    `away_px` in pixels of the frame, below 0 inside; `away_m` on the ground where that is known; `overlap` the share
    of the footprint that lies in the zone.
    """
    box_norm = normalised(track.xyxy, seen.frame_size)
    foot = ground_point(box_norm)
    plane = ground_of(site, seen.camera_id)
    place = None if plane is None else place_of(box_norm, plane)
    found = []
    for zone in site.zones:
        if zone.camera_id != seen.camera_id or zone.kind is ZoneKind.IGNORE:
            continue
        metres = () if plane is None else polygon_m(zone.polygon_norm, plane)
        away_m = edge_distance(metres, Point(place.x_m, place.y_m)) if metres and place else None
        found.append(
            {
                "zone_id": zone.zone_id,
                "kind": zone.kind.value,
                "away_px": round(edge_distance(_in_pixels(zone, seen), _pixel(foot, seen)), 1),
                "away_m": None if away_m is None else round(away_m, 2),
                "overlap": round(overlap_fraction(zone.polygon_norm, footprint(box_norm)), 3),
            }
        )
    return sorted(found, key=lambda item: item["away_px"])


def _doubts(state: DecisionState, seen: Observation, track: Track) -> Iterator[str]:
    site, rules = state.site, state.site.tracker
    if track.group not in site.alarm_groups:
        yield f"its group {track.group or 'none'} raises no alarm (alarm_groups: {', '.join(site.alarm_groups)})"
        return  # where it stands changes nothing then
    if track.state is TrackState.TENTATIVE:
        yield f"seen in {_frames(track.hits)} so far, tracker.confirm_hits asks for {rules.confirm_hits}"
    if track.state is TrackState.LOST:
        yield f"not seen in this frame, only predicted, for {max(0.0, seen.t_s - track.last_seen_s):.1f} s"
    if track.state is not TrackState.CONFIRMED and track.confidence < rules.high_confidence:
        yield (
            f"its confidence {track.confidence:.2f} is below tracker.high_confidence {rules.high_confidence:g}: "
            "such a box continues a track, but begins none"
        )
    if track.track_id in riding(state.cameras[seen.camera_id].following, seen, site):
        yield "sits in a train that was seen in motion"
    box_norm = normalised(track.xyxy, seen.frame_size)
    zones = [zone for zone in site.zones if zone.camera_id == seen.camera_id]
    if is_ignored(zones, box_norm):
        yield "stands in a zone of kind ignore"
    armed = [zone for zone in zones if zone.kind is not ZoneKind.IGNORE]
    if not any(stands_in(zone.polygon_norm, box_norm, site.incidents.min_overlap) for zone in armed):
        yield _outside(site, seen, track)


def _outside(site: SiteSettings, seen: Observation, track: Track) -> str:
    nearest = next(iter(footing(site, seen, track)), None)
    if nearest is None:
        return "its camera has no zone that raises alarms"
    metres = "" if nearest["away_m"] is None else f" ({nearest['away_m']:.1f} m)"
    return (
        f"outside {nearest['zone_id']} by {nearest['away_px']:.0f} px{metres}, with {nearest['overlap']:.0%} of its "
        f"footprint in it (incidents.min_overlap: {site.incidents.min_overlap:.0%})"
    )


def _in_pixels(zone: Zone, seen: Observation) -> tuple[Point, ...]:
    return tuple(_pixel(point, seen) for point in zone.polygon_norm)


def _pixel(at: Point, seen: Observation) -> Point:
    return Point(at.x * seen.frame_size.width, at.y * seen.frame_size.height)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
