"""The picture of an explanation: the frame, the ground from above, and severity and margin over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import cv2
import numpy as np

from railwatch.core.alerts import Severity
from railwatch.core.types import UInt8Array, ZoneKind
from railwatch.evidence.chart import (
    FAINT,
    INK,
    Axes,
    Colour,
    area,
    clipped,
    grid,
    inside,
    label,
    line,
    sheet,
    text,
    wrapped,
)
from railwatch.evidence.overlay import ZONE_COLOURS

Json = dict[str, Any]

WIDTH: Final = 1280
HEIGHT: Final = 800
_FRAME: Final = (10, 70, 770, 498)
_PLAN: Final = Axes((840, 90, 1260, 470), 0.0, 1.0, 0.0, 1.0)
_TIMES: Final = (70, 560, 1260, 640)
_MARGINS: Final = (70, 680, 1260, 770)

SEVERITY_COLOURS: Final[Mapping[str | None, Colour]] = MappingProxyType(
    {
        None: (150, 150, 150),
        Severity.NOTICE.value: (190, 150, 40),
        Severity.WARNING.value: (0, 140, 240),
        Severity.EMERGENCY.value: (40, 40, 210),
    }
)
_LEVELS: Final[Mapping[str | None, int]] = MappingProxyType(
    {None: 0, **{severity.value: rank for rank, severity in enumerate(sorted(Severity), start=1)}}
)
_MARGIN_S: Final = 120.0
"""Margins beyond so many seconds are drawn at the edge."""


def draw_explanation(
    bgr: UInt8Array | None,
    shown: Json,
    zones: Sequence[Json],
    history: Sequence[Json],
    title: str,
    least_margin_s: float,
) -> UInt8Array:
    """A sheet of 1280 x 800 pixels, BGR.

    `bgr` is the picture of the frame `shown` (None: its boxes are drawn on grey); `zones` those of its section;
    `history` the frames over which severity and margin are drawn, in order of time. All are documents of
    `railwatch explain --json`.
    """
    picture = sheet(WIDTH, HEIGHT)
    text(picture, title[:150], (10, 24), 0.55)
    for row, words in enumerate(list(wrapped(_summary(shown), 175))[:2]):
        text(picture, words, (10, 44 + 16 * row))
    mine = [zone for zone in zones if zone["camera_id"] == shown.get("camera_id")]
    _draw_frame(picture, bgr, shown, mine)
    _draw_plan(picture, shown, mine)
    _draw_history(picture, shown, history, least_margin_s)
    return picture


def _summary(shown: Json) -> str:
    section = shown["section"]
    worst = next((at for item in shown.get("objects", ()) for at in item["in"]), None)
    told = f"{shown['t_s']:.2f} s, {shown.get('camera_id', shown['input'])}: {section['section_id']} {section['state']}"
    told += f", incident {section['severity']}" if section["severity"] else ", no incident"
    return told + (f"; rule {worst['rule']}: {worst['why'] or 'no source of trains'}" if worst else "")


def _draw_frame(picture: UInt8Array, bgr: UInt8Array | None, shown: Json, zones: Sequence[Json]) -> None:
    left, top, right, bottom = _FRAME
    base = (
        np.full((bottom - top, right - left, 3), 225, np.uint8)
        if bgr is None
        else _fitted(bgr, right - left, bottom - top)
    )
    height, width = base.shape[:2]
    axes = Axes((0, 0, width, height), 0.0, 1.0, 1.0, 0.0)
    for zone in zones:
        area(base, axes, zone["polygon_norm"], ZONE_COLOURS[ZoneKind(zone["kind"])])
    for item in shown.get("objects", ()):
        x0, y0, x1, y1 = item["box_norm"]
        colour = _colour_of(item)
        cv2.rectangle(base, axes.at(x0, y0), axes.at(x1, y1), colour, 2 if item["in"] else 1)
        column, row = axes.at(x0, y0)
        words = f"{item['class_name']} {item['track_id']} {item['confidence']:.2f}"
        label(base, words, (column, max(14, row - 5)), FAINT if colour == SEVERITY_COLOURS[None] else colour)
    picture[top : top + height, left : left + width] = base
    if bgr is None:
        text(picture, "boxes only: give --video for the picture", (left + 8, bottom - 8))


def _fitted(bgr: UInt8Array, width: int, height: int) -> UInt8Array:
    scale = min(width / bgr.shape[1], height / bgr.shape[0])
    size = (max(1, round(bgr.shape[1] * scale)), max(1, round(bgr.shape[0] * scale)))
    return np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)


def _colour_of(item: Json) -> Colour:
    """That of the worst severity it has."""
    return SEVERITY_COLOURS[max((at["severity"] for at in item["in"]), key=lambda name: _LEVELS[name], default=None)]


def _draw_plan(picture: UInt8Array, shown: Json, zones: Sequence[Json]) -> None:
    """The ground from above: zones, and everybody's place with two standard deviations and the way of two seconds."""
    left, top, _, _ = _PLAN.area
    text(picture, "the ground from above, metres", (left - 42, top - 20))
    outlines = [zone for zone in zones if len(zone["polygon_m"]) >= 3]
    people = [item for item in shown.get("objects", ()) if item["place_m"] is not None]
    if not outlines and not people:
        text(picture, "not known: the camera has no ground plane", (left, top + 24))
        return
    axes = _bounds(outlines, people)
    grid(picture, axes, "m", "m")
    ground, axes = clipped(picture, axes), inside(axes)
    for zone in outlines:
        area(ground, axes, zone["polygon_m"], ZONE_COLOURS[ZoneKind(zone["kind"])])
    for item in people:
        _draw_person(ground, axes, item)


def _bounds(zones: Sequence[Json], people: Sequence[Json]) -> Axes:
    """Everybody, and what of the zones lies not much farther away than they."""
    xs = [item["place_m"]["x"] for item in people]
    ys = [item["place_m"]["y"] for item in people]
    near = min([*ys, *(y for zone in zones for _, y in zone["polygon_m"])])
    far = max(ys, default=near) + 15.0
    corners = [(x, y) for zone in zones for x, y in zone["polygon_m"]]
    far = max(far, min(near + 60.0, max((y for _, y in corners), default=far)))
    xs += [x for x, y in corners if y <= far] or [x for x, _ in corners]
    return _PLAN._replace(x0=min(xs) - 2.0, x1=max(xs) + 2.0, y0=near - 2.0, y1=far)


def _draw_person(ground: UInt8Array, axes: Axes, item: Json) -> None:
    place, speed, colour = item["place_m"], item["velocity_mps"], _colour_of(item)
    trail = [(x, y) for x, y in item["trail_m"]]
    if len(trail) > 1:
        line(ground, axes, trail, (170, 170, 170))
    line(ground, axes, _ellipse(place), colour)
    at = axes.at(place["x"], place["y"])
    cv2.circle(ground, at, 4, colour, cv2.FILLED, cv2.LINE_AA)
    if speed is not None:
        ahead = axes.at(place["x"] + 2 * speed["x"], place["y"] + 2 * speed["y"])
        cv2.arrowedLine(ground, at, ahead, colour, 1, cv2.LINE_AA, tipLength=0.2)
    text(ground, f"{item['class_name']} {item['track_id']}", (at[0] + 7, at[1] - 5), 0.4, colour)


def _ellipse(place: Json, sigmas: float = 2.0) -> list[tuple[float, float]]:
    """The outline of so many standard deviations around a place."""
    var_x, var_y, cov = place["covariance"]
    values, axes = np.linalg.eigh(np.array([[var_x, cov], [cov, var_y]]))
    reach = sigmas * np.sqrt(np.maximum(values, 0.0))
    turns = (2 * math.pi * number / 36 for number in range(37))
    corners = [axes @ (reach * np.array([math.cos(turn), math.sin(turn)])) for turn in turns]
    return [(place["x"] + float(x), place["y"] + float(y)) for x, y in corners]


def _draw_history(picture: UInt8Array, shown: Json, history: Sequence[Json], least_margin_s: float) -> None:
    """Severity as steps, the margin as a line, and what was told as marks."""
    begin, end = history[0]["t_s"], max(history[-1]["t_s"], history[0]["t_s"] + 0.1)
    levels = Axes(_TIMES, begin, end, -0.3, 3.3)
    margins = Axes(_MARGINS, begin, end, -_MARGIN_S, _MARGIN_S)
    grid(picture, margins, "s", "margin, s")
    cv2.rectangle(picture, _TIMES[:2], _TIMES[2:], INK, 1)
    text(picture, "severity of the incident (thick), of who is there now (thin); | told", (70, _TIMES[1] - 6))
    for name, level in _LEVELS.items():
        text(picture, (name or "none").lower()[:9], (2, levels.at(begin, level)[1] + 4), 0.38, SEVERITY_COLOURS[name])
    for before, after in zip(history, [*history[1:], history[-1]], strict=True):
        now, then = before["section"], after["section"]
        for key, thickness in (("worst_now", 1), ("severity", 3)):
            level = _LEVELS[now[key]]
            line(
                picture, levels, [(before["t_s"], level), (after["t_s"], level)], SEVERITY_COLOURS[now[key]], thickness
            )
        if now["margin_s"] is not None and then["margin_s"] is not None:
            line(
                picture,
                margins,
                [(before["t_s"], _shown(now["margin_s"])), (after["t_s"], _shown(then["margin_s"]))],
                INK,
                2,
            )
        for told in before["told"]:
            x = levels.at(before["t_s"], 0)[0]
            cv2.line(picture, (x, _TIMES[1]), (x, _TIMES[3]), SEVERITY_COLOURS[told["severity"]], 1)
    line(picture, margins, [(begin, least_margin_s), (end, least_margin_s)], SEVERITY_COLOURS["EMERGENCY"])
    x = levels.at(shown["t_s"], 0)[0]
    cv2.line(picture, (x, _TIMES[1]), (x, _MARGINS[3]), (0, 130, 0), 1)


def _shown(margin_s: float) -> float:
    return min(_MARGIN_S, max(-_MARGIN_S, margin_s))
