"""Whom a camera follows: the last places of everybody in its frame, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from railwatch.core.ground import GroundPlane
from railwatch.core.second_look import ANIMAL
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation, TrackState
from railwatch.decision.assessing import Standing
from railwatch.decision.clearing import HERD, Clearing, clearing_of, danger_m
from railwatch.decision.motion import MEMORY_S, Pace, followed, ground_motion, is_lying
from railwatch.decision.sightings import Engine, can_be_judged, driven, in_a_train, sightings_of
from railwatch.decision.trains import Sighting
from railwatch.decision.zones import Hit, normalised

TRAIN: Final = "train"
PERSON: Final = "person"
"""Class groups that mean something to the decision, with ANIMAL.

A site may leave them out, but not give them another meaning.
"""

NEW_S: Final = 0.5
"""Who was first seen so short a time ago is not counted yet within a train that is new itself."""


@dataclass(frozen=True, slots=True)
class Following:
    """The last places of each track, the trains among them, and the frame's width over its height.

    `sightings` are the trains in motion of the last frame.
    """

    paces: Mapping[int, tuple[Pace, ...]] = field(default_factory=lambda: MappingProxyType({}))
    engines: Mapping[int, Engine] = field(default_factory=lambda: MappingProxyType({}))
    aspect: float = 1.0
    sightings: tuple[Sighting, ...] = ()


def follow(before: Following, seen: Observation, site: SiteSettings) -> Following:
    """What is known of motion after one more frame.

    Places are kept for a while after a track is gone; a train counts only in frames in which it is seen.
    """
    paces = {
        number: places for number, places in before.paces.items() if seen.t_s - MEMORY_S <= places[-1].t_s < seen.t_s
    }
    engines: dict[int, Engine] = {}
    plane = ground_of(site, seen.camera_id)
    wanted = {*site.alarm_groups, TRAIN}
    for track in seen.tracks:
        if track.state is not TrackState.CONFIRMED or track.group not in wanted:
            continue
        number = track.track_id
        paces[number] = followed(paces.get(number, ()), seen.t_s, normalised(track.xyxy, seen.frame_size), plane)
        if track.group == TRAIN:
            engines[number] = driven(before.engines.get(number), paces[number])
    aspect = seen.frame_size.width / seen.frame_size.height
    zones = [zone for zone in site.zones if zone.camera_id == seen.camera_id]
    sightings = sightings_of(seen.camera_id, engines, zones, plane)
    return Following(MappingProxyType(paces), MappingProxyType(engines), aspect, sightings)


def riding(following: Following, seen: Observation, site: SiteSettings) -> frozenset[int]:
    """Tracks of this frame that sit in a train.

    Only a train that was seen in motion hides anybody: an empty track that is called a train must not. One that is too
    new for that hides, for a moment, who is as new: passengers come with their train.
    """
    moved, new = [], []
    for engine in following.engines.values():
        if engine.ever_moved:
            moved.append(engine.paces[-1].box_norm)
        elif not can_be_judged(engine.paces):
            new.append(engine.paces[-1].box_norm)
    if not moved and not new:
        return frozenset()
    return frozenset(
        track.track_id
        for track in seen.tracks
        if track.group in site.alarm_groups
        and in_a_train(
            normalised(track.xyxy, seen.frame_size),
            [*moved, *new] if seen.t_s - track.first_seen_s < NEW_S else moved,
        )
    )


def ground_of(site: SiteSettings, camera_id: str) -> GroundPlane | None:
    """The ground plane of a camera of the site, None without a calibration."""
    return next(camera.ground for camera in site.cameras if camera.camera_id == camera_id)


def is_herd(hits: Iterable[Hit]) -> bool:
    """Whether the animals among the hits of a section are so many that they are a herd."""
    return len({hit.track.track_id for hit in hits if hit.track.group == ANIMAL}) >= HERD


def standing_of(hit: Hit, following: Following, site: SiteSettings, dwell_s: float, *, herd: bool) -> Standing:
    """A hit with its motion; `herd` says whether the animals of its section are one."""
    return Standing(hit, _clearing(hit, following, site, herd=herd and hit.track.group == ANIMAL), dwell_s)


def _clearing(hit: Hit, following: Following, site: SiteSettings, *, herd: bool) -> Clearing:
    paces = following.paces.get(hit.track.track_id)
    if hit.track.state is not TrackState.CONFIRMED or not paces:
        paces = ()  # who is not seen now has no motion that can be counted on
    lying = bool(paces) and hit.track.group == PERSON and is_lying(paces[-1].box_norm, following.aspect)
    plane = ground_of(site, hit.zone.camera_id)
    if plane is None:
        return clearing_of(None, (), lying=lying, herd=herd)
    return clearing_of(ground_motion(paces), danger_m(hit.zone.polygon_norm, plane), lying=lying, herd=herd)
