"""Trains that a camera sees itself: only what moves along counts.

An empty track that a detector calls a train does not move, nor does a parked train.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from railwatch.core.geometry import contains, ground_point, overlap_fraction
from railwatch.core.ground import GroundPlane
from railwatch.core.types import Box, Zone, ZoneKind
from railwatch.decision.clearing import polygon_m
from railwatch.decision.motion import Pace, ground_motion, line_through
from railwatch.decision.trains import Sighting

LEAST_PACES: Final = 4
LEAST_SPAN_S: Final = 0.3
MOVED_SHARE: Final = 0.06
"""A train has moved when an edge of its box has run by this share of the box's size."""

LEAST_SPEED_MPS: Final = 0.5
"""A train whose speed is measured to be less is taken to arrive now: the measure says nothing."""

COVERED_SHARE: Final = 0.2
"""A track of which a train's foot covers no more than this share of itself is not the one that it is on."""

INSIDE_SHARE: Final = 0.8
"""Whose box lies so far within a train's box, with the feet above the train's foot, sits in the train."""

FOOT_MARGIN: Final = 0.02
"""Feet closer than this share of the train's height to its foot may stand before it."""


class Engine(NamedTuple):
    """A train in one camera: its last places, whether it was ever seen in motion, and whether it comes nearer."""

    paces: tuple[Pace, ...]
    moving: bool
    ever_moved: bool
    nearing: bool


def driven(engine: Engine | None, paces: tuple[Pace, ...]) -> Engine:
    """The train after one more frame; `paces` are its last places with the newest."""
    moving = can_be_judged(paces) and _moves(paces)
    ever = moving or (engine is not None and engine.ever_moved)
    return Engine(paces, moving, ever, moving and _nears(paces))


def can_be_judged(paces: Sequence[Pace]) -> bool:
    """Whether a train was seen long enough to say whether it moves."""
    return len(paces) >= LEAST_PACES and paces[-1].t_s - paces[0].t_s >= LEAST_SPAN_S


def _moves(paces: Sequence[Pace]) -> bool:
    """Whether the box moves over the memory.

    Boxes jitter, so an edge must run further than MOVED_SHARE of the box and than three times its scatter about a line.
    """
    times = [pace.t_s for pace in paces]
    edges = [[pace.box_norm[side] for pace in paces] for side in range(4)]
    width, height = _mean(edges[2]) - _mean(edges[0]), _mean(edges[3]) - _mean(edges[1])
    if width <= 0 or height <= 0:
        return False
    for side, edge in enumerate(edges):
        slope, _, scatter = line_through(times, edge)
        size = height if side % 2 else width
        if abs(slope) * (times[-1] - times[0]) >= max(MOVED_SHARE * size, 3 * scatter):
            return True
    return False


def _nears(paces: Sequence[Pace]) -> bool:
    """Whether a train in motion comes nearer: its box grows or its foot comes down."""
    times = [pace.t_s for pace in paces]
    foot = line_through(times, [pace.box_norm[3] for pace in paces])[0]
    taller = line_through(times, [pace.box_norm[3] - pace.box_norm[1] for pace in paces])[0]
    return taller > 0 or foot > 0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def sightings_of(
    camera_id: str, engines: Mapping[int, Engine], zones: Iterable[Zone], plane: GroundPlane | None
) -> tuple[Sighting, ...]:
    """The trains in motion that come nearer, each with the track it is on where that can be told.

    Without a ground plane, or where the train is too far for it, a train in view is taken to arrive now.
    """
    tracks = [zone for zone in zones if zone.kind is ZoneKind.TRACK]
    return tuple(
        _sighting(camera_id, engine, tracks, plane)
        for _, engine in sorted(engines.items())
        if engine.moving and engine.nearing
    )


def _sighting(camera_id: str, engine: Engine, tracks: Sequence[Zone], plane: GroundPlane | None) -> Sighting:
    """The train with its arrival at the nearest watched place of the track; now, where speed or place are not known."""
    on = _track_under(engine.paces[-1].box_norm, tracks)
    motion = ground_motion(engine.paces)
    near = [] if plane is None else [place.y for zone in tracks for place in polygon_m(zone.polygon_norm, plane)]
    if motion is None or motion.speed_mps < LEAST_SPEED_MPS or not near:
        return Sighting(camera_id, on, 0.0, None, None)
    # Two standard deviations nearer and faster: a train is never taken to come later than it may.
    distance = max(0.0, motion.place.y_m - 2 * motion.place.sigma_m - min(near))
    return Sighting(camera_id, on, distance / (motion.speed_mps + 2 * motion.sigma_mps), motion.speed_mps, distance)


def _track_under(box: Box, tracks: Sequence[Zone]) -> str | None:
    """The rail track below the middle of the train's lower edge, else the one that its foot covers most."""
    for zone in tracks:
        if contains(zone.polygon_norm, ground_point(box)):
            return zone.rail_track_id
    left, top, right, bottom = box
    foot = (left, bottom - (bottom - top) * 0.1, right, bottom)
    under = [zone for zone in tracks if overlap_fraction(zone.polygon_norm, foot) > COVERED_SHARE]
    if not under:
        return None
    return max(under, key=lambda zone: overlap_fraction(zone.polygon_norm, foot)).rail_track_id


def in_a_train(box: Box, trains: Iterable[Box]) -> bool:
    """Whether the object of a box sits in one of the trains: within its box, with the feet above the train's foot."""
    left, top, right, bottom = box
    area = (right - left) * (bottom - top)
    for train in trains:
        wide = min(right, train[2]) - max(left, train[0])
        high = min(bottom, train[3]) - max(top, train[1])
        within = wide > 0 and high > 0 and wide * high >= INSIDE_SHARE * area
        if within and bottom < train[3] - FOOT_MARGIN * (train[3] - train[1]):
            return True
    return False
