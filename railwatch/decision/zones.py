"""Which objects stand in which zones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from railwatch.core.geometry import Point, bounds_of, contains, footprint, ground_point, overlap_fraction
from railwatch.core.types import Box, Size, Track, TrackState, Zone, ZoneKind

IGNORED_OVERLAP = 0.5
"""An ignore zone hides an object only if it holds the ground point and at least half of the footprint."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One object in one zone."""

    track: Track
    zone: Zone


def normalised(xyxy: Box, size: Size) -> Box:
    """A box in pixels as fractions of the frame, cut at the frame's edges.

    >>> normalised((-10.0, 0.0, 50.0, 100.0), Size(100, 100))
    (0.0, 0.0, 0.5, 1.0)
    """
    left, top, right, bottom = xyxy
    return (
        min(1.0, max(0.0, left / size.width)),
        min(1.0, max(0.0, top / size.height)),
        min(1.0, max(0.0, right / size.width)),
        min(1.0, max(0.0, bottom / size.height)),
    )


def stands_in(polygon: tuple[Point, ...], box_norm: Box, min_overlap: float) -> bool:
    """Whether the object of a box stands in a polygon; both in fractions of the frame.

    It does if its ground point lies in the polygon, or if at least `min_overlap` of its footprint does: a person whose
    feet are on the rail while the middle of the box is beside it is on the track.
    """
    left, top, right, bottom = bounds_of(polygon)
    if box_norm[3] < top or box_norm[1] > bottom or box_norm[2] < left or box_norm[0] > right:
        return False  # most objects are nowhere near, and the exact questions below cost more than all the rest
    if contains(polygon, ground_point(box_norm)):
        return True
    return min_overlap > 0.0 and overlap_fraction(polygon, footprint(box_norm)) >= min_overlap


def is_ignored(zones: Iterable[Zone], box_norm: Box) -> bool:
    """Whether an object lies in one of the ignore zones among `zones`."""
    return any(
        zone.kind is ZoneKind.IGNORE
        and contains(zone.polygon_norm, ground_point(box_norm))
        and overlap_fraction(zone.polygon_norm, footprint(box_norm)) >= IGNORED_OVERLAP
        for zone in zones
    )


def find_hits(zones: tuple[Zone, ...], tracks: Iterable[Track], size: Size, min_overlap: float) -> tuple[Hit, ...]:
    """Every pair of an object seen in this frame and a zone it stands in.

    `zones` are those of the camera; `size` is its frame in pixels. Objects that were not seen in this frame (LOST) or
    not yet often enough (TENTATIVE) are no hits, nor is what an ignore zone hides.
    """
    hits = []
    for track in tracks:
        if track.state is not TrackState.CONFIRMED:
            continue
        box_norm = normalised(track.xyxy, size)
        if is_ignored(zones, box_norm):
            continue
        hits += [
            Hit(track, zone)
            for zone in zones
            if zone.kind is not ZoneKind.IGNORE and stands_in(zone.polygon_norm, box_norm, min_overlap)
        ]
    return tuple(hits)
