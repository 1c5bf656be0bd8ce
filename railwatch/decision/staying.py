"""Who was on the track, is not seen any more, and did not leave: is still there.

A man who falls between the rails looks like nothing that a detector knows. An alarm that lets go of him because he is
not seen would be the worst there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from railwatch.core.geometry import Point, contains, ground_point
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation, TrackState, ZoneKind
from railwatch.decision.following import Following
from railwatch.decision.motion import Pace, line_through
from railwatch.decision.zones import Hit

LEAVING_S: Final = 0.5
"""Who would be off the track within this time, going on as before, may have left it."""

BORDER_NORM: Final = 0.03
"""Who was last seen so near the frame's border, or on the way there, may have left the picture."""

LEAST_PACES: Final = 3


class Stayer(NamedTuple):
    """Somebody who is taken to be where they were last seen; `since_s` on the view's clock of observed seconds."""

    hit: Hit
    since_s: float


def staying(
    stayers: Sequence[Stayer],
    gone: Sequence[Hit],
    seen: Observation,
    following: Following,
    site: SiteSettings,
    observed_s: float,
) -> tuple[Stayer, ...]:
    """Who stays after a frame that can be trusted: those before, and those of `gone` that it does not show any more.

    `gone` are the hits of the last frame; `observed_s` are the seconds that the section has been observed.
    """
    shown = {track.track_id for track in seen.tracks if track.state is TrackState.CONFIRMED}
    if site.risk.stay_hold_s <= 0:
        return ()
    kept = [
        stayer
        for stayer in stayers
        if observed_s - stayer.since_s < site.risk.stay_hold_s and not _back(stayer.hit, shown, seen)
    ]
    known = {_key(stayer.hit) for stayer in stayers}
    for hit in gone:
        paces = following.paces.get(hit.track.track_id)
        if _key(hit) not in known and not _back(hit, shown, seen) and _remains(hit, paces, site):
            kept.append(Stayer(replace(hit, track=replace(hit.track, state=TrackState.LOST)), observed_s))
    return tuple(kept)


def _key(hit: Hit) -> tuple[int, str]:
    return hit.track.track_id, hit.zone.zone_id


def _back(hit: Hit, shown: set[int], seen: Observation) -> bool:
    """Whether the object is seen again: as itself, or as one of its group that may be it under another number.

    That one stands within half a body's length, or was not there before and is within a body's length, and one more
    for each second since: so far people walk unseen.
    """
    if hit.track.track_id in shown:
        return True
    left, top, right, bottom = hit.track.xyxy
    body, lost_s, foot = max(bottom - top, right - left), hit.track.last_seen_s, ground_point(hit.track.xyxy)
    for track in seen.tracks:
        if track.group != hit.track.group or track.state is not TrackState.CONFIRMED:
            continue
        there = ground_point(track.xyxy)
        away = max(abs(there.x - foot.x), abs(there.y - foot.y))
        reach = 0.5 if track.first_seen_s <= lost_s - LEAVING_S else 1.0 + max(0.0, seen.t_s - lost_s)
        if away <= reach * body:
            return True
    return False


def _remains(hit: Hit, paces: Sequence[Pace] | None, site: SiteSettings) -> bool:
    """Whether somebody who was on the track was not about to leave it, or the picture."""
    if hit.zone.kind is not ZoneKind.TRACK or hit.track.hits < site.incidents.on_delay_hits or not paces:
        return False
    feet = [ground_point(pace.box_norm) for pace in paces]
    ahead = _ahead([pace.t_s for pace in paces], feet, LEAVING_S)
    return contains(hit.zone.polygon_norm, feet[-1]) and contains(hit.zone.polygon_norm, ahead) and _inside(ahead)


def _ahead(times: Sequence[float], feet: Sequence[Point], seconds: float) -> Point:
    if len(times) < LEAST_PACES:
        return feet[-1]
    vx, x, _ = line_through(times, [foot.x for foot in feet])
    vy, y, _ = line_through(times, [foot.y for foot in feet])
    return Point(x + vx * seconds, y + vy * seconds)


def _inside(at: Point) -> bool:
    return BORDER_NORM < at.x < 1 - BORDER_NORM and BORDER_NORM < at.y < 1 - BORDER_NORM
