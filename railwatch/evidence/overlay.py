"""Draws what the decision saw onto a picture: zones, boxes, the state of the sections, the last alert."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from railwatch.core.alerts import SectionState
from railwatch.core.privacy import blurred, private_areas
from railwatch.core.types import Observation, Size, Track, TrackState, UInt8Array, Zone, ZoneKind

Colour = tuple[int, int, int]

STATE_COLOURS: Final[Mapping[SectionState, Colour]] = MappingProxyType(
    {
        SectionState.CLEAR: (80, 160, 60),
        SectionState.OCCUPIED: (40, 40, 220),
        SectionState.UNKNOWN: (0, 150, 230),
    }
)
"""BGR colours of the three states; each is also written out, so that nobody depends on colour."""

ZONE_COLOURS: Final[Mapping[ZoneKind, Colour]] = MappingProxyType(
    {
        ZoneKind.TRACK: (40, 40, 220),
        ZoneKind.APPROACH: (0, 190, 255),
        ZoneKind.PLATFORM_EDGE: (220, 160, 0),
        ZoneKind.IGNORE: (128, 128, 128),
    }
)

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_WHITE: Final[Colour] = (255, 255, 255)
_BLACK: Final[Colour] = (20, 20, 20)


def draw_overlay(
    bgr: UInt8Array,
    seen: Observation,
    zones: tuple[Zone, ...],
    sections: Mapping[str, SectionState],
    message: str,
) -> UInt8Array:
    """A copy of `bgr` ((H, W, 3) uint8) with zones, boxes, a bar of section states and one line of text.

    `zones` are those of the camera; what those with `blur` hold is made unrecognisable.
    Objects that were not seen in this frame (LOST) are drawn dashed-thin in grey.
    """
    picture = blurred(bgr, private_areas(zones, seen.camera_id))
    size = Size(picture.shape[1], picture.shape[0])
    scale = max(0.4, size.height / 900.0)
    _draw_zones(picture, zones, size)
    for track in seen.tracks:
        _draw_track(picture, track, scale)
    _draw_bar(picture, seen, sections, message, scale)
    return picture


def _draw_zones(picture: UInt8Array, zones: tuple[Zone, ...], size: Size) -> None:
    tint = picture.copy()
    for zone in zones:
        points = np.array([(p.x * (size.width - 1), p.y * (size.height - 1)) for p in zone.polygon_norm]).round()
        corners = points.astype(np.int32).reshape(-1, 1, 2)
        cv2.fillPoly(tint, [corners], ZONE_COLOURS[zone.kind])
        cv2.polylines(picture, [corners], isClosed=True, color=ZONE_COLOURS[zone.kind], thickness=2)
    cv2.addWeighted(tint, 0.15, picture, 0.85, 0.0, dst=picture)


def _draw_track(picture: UInt8Array, track: Track, scale: float) -> None:
    left, top, right, bottom = (round(value) for value in track.xyxy)
    seen = track.state is not TrackState.LOST
    colour = (60, 220, 60) if track.state is TrackState.CONFIRMED else (170, 170, 170)
    cv2.rectangle(picture, (left, top), (right, bottom), colour, 2 if seen else 1)
    label = f"{track.class_name} {track.track_id}" + (f" {track.confidence:.2f}" if seen else " (predicted)")
    _put_text(picture, label, (left, max(top - 4, round(16 * scale))), scale, colour)


def _draw_bar(
    picture: UInt8Array, seen: Observation, sections: Mapping[str, SectionState], message: str, scale: float
) -> None:
    height = round(34 * scale)
    left = 0
    for name, state in sections.items():
        text = f" {name}: {state.value} "
        width = cv2.getTextSize(text, _FONT, scale, 1)[0][0]
        cv2.rectangle(picture, (left, 0), (left + width, height), STATE_COLOURS[state], cv2.FILLED)
        cv2.putText(picture, text, (left, height - round(10 * scale)), _FONT, scale, _WHITE, 1, cv2.LINE_AA)
        left += width + 2
    _put_text(picture, f" {seen.camera_id} {seen.t_s:.1f} s", (left, height - round(10 * scale)), scale, _WHITE)
    if message:
        _put_text(picture, message, (round(6 * scale), picture.shape[0] - round(10 * scale)), scale, _WHITE)


def _put_text(picture: UInt8Array, text: str, at: tuple[int, int], scale: float, colour: Colour) -> None:
    """One line of text on a dark ground: readable on gravel and on snow."""
    ascii_text = text.encode("ascii", "replace").decode()
    (width, height), below = cv2.getTextSize(ascii_text, _FONT, scale, 1)
    left, base = at
    cv2.rectangle(picture, (left, base - height - 2), (left + width, base + below), _BLACK, cv2.FILLED)
    cv2.putText(picture, ascii_text, at, _FONT, scale, colour, 1, cv2.LINE_AA)
