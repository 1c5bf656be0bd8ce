"""An explanation as text for people, from its documents alone. Standard library only: it works in the light client."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from railwatch.core.errors import RecordError

Json = dict[str, Any]
MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_VERSION: Final = 1


def is_saved(path: Path) -> bool:
    """Whether a file is an explanation that `railwatch explain --json` printed."""
    try:
        with path.open("rb") as file:
            return file.read(64).startswith(b'{"explain_version"')
    except OSError:
        return False


def read_saved(path: Path) -> Iterator[Json]:
    """The documents of a saved explanation; raises RecordError for a line that is none."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
            try:
                document = json.loads(line)
            except ValueError as error:
                raise RecordError(f"{path}, line {number}: must be a document of an explanation, but {error}") from None
            if not isinstance(document, dict) or (number == 1 and document.get("explain_version") != _VERSION):
                raise RecordError(f"{path}, line {number}: must be an explanation of version {_VERSION}")
            yield document


def lines_of(documents: Iterable[Json]) -> Iterator[str]:
    """The lines for people. Raises KeyError for what is no document of an explanation."""
    for document in documents:
        if "explain_version" in document:
            yield from _header(document)
        elif "nothing_at_s" in document:
            yield from _nothing(document)
        elif "notes" in document:
            yield from (f"note: {note}" for note in document["notes"])
        else:
            yield from _frame(document)


def _header(header: Json) -> Iterator[str]:
    incident, rules = header["incident"], header["rules"]
    if incident:
        where = incident["section_id"] or "the system"
        closed = incident["closed_at"] or "not closed"
        yield f"incident {incident['incident_id']}  {incident['kind']} of {where}, at worst {incident['worst']}"
        yield f"opened {incident['opened_at']}, {closed if closed == 'not closed' else f'closed {closed}'}"
        yield f"at its worst it said: {incident['why']}"
    yield (
        f"site {header['site_id']}, config_rev {header['config_rev']}, model {header['model_sha256'][:12]}, "
        f"recording {header['recording']}"
    )
    yield (
        f"rules: on-delay {rules['on_delay_hits']} of {rules['on_delay_window']} frames, off-delay "
        f"{rules['off_delay_s']:g} s, least margin {rules['least_margin_s']:g} s, alarms on "
        f"{', '.join(rules['alarm_groups'])}, without trains {rules['severity_without_trains']}"
    )
    yield ""


def _frame(frame: Json) -> Iterator[str]:
    section = frame["section"]
    if "camera_id" in frame:
        vitals = frame["vitals"]
        reason = f": {vitals['reason']}" if vitals["reason"] else ""
        what = f"frame {frame['index']} of {frame['camera_id']} ({vitals['state']}{reason})"
    else:
        what = frame["input"] + (f": {frame['says']}" if "says" in frame else "")
    yield f"{frame['t_s']:9.3f} s  {what}  {_section(section)}"
    for item in frame.get("objects", ()):
        yield from _object(item)
    if "camera_id" in frame:
        yield from _trains(frame["trains"])
        yield from _delays(frame["delays"])
    for told in frame["told"]:
        yield f"    TOLD {told['action']} {told['severity']}: {told['why']}"


def _section(section: Json) -> str:
    told = f"{section['section_id']} {section['state']}"
    if section["severity"]:
        told += f", incident {section['severity']}"
    if section["worst_now"]:
        told += f", now {section['worst_now']}"
    if section["margin_s"] is not None:
        told += f", margin {section['margin_s']:.1f} s"
    blind = [f"{name} {at['state']}" for name, at in section["cameras"].items() if at["state"] != "NOMINAL"]
    return told + (f"  [{', '.join(blind)}]" if blind else "")


def _object(item: Json) -> Iterator[str]:
    held = f", not seen for {item['held_s']:.1f} s and held" if item["held_s"] is not None else ""
    seen = f"{item['confidence']:.2f}, seen {item['hits']} times{held}"
    yield f"    {item['class_name']} {item['track_id']} ({seen}){_where(item)}"
    for at in item["in"]:
        away = next((zone for zone in item["zones"] if zone["zone_id"] == at["zone_id"]), None)
        yield (
            f"      in {at['zone_id']} for {at['dwell_s']:.1f} s{_depth(away)}, {_leaves(at)}: "
            f"{at['severity']} by rule {at['rule']}{_why(at)}{_second_look(at)}"
        )
    for doubt in item.get("doubts", ()):
        yield f"      does not count: {doubt}"


def _where(item: Json) -> str:
    place, speed = item["place_m"], item["velocity_mps"]
    if place is None:
        return ""
    told = f" at {place['x']:.1f}, {place['y']:.1f} m +- {place['sigma']:.1f}"
    if speed is not None:
        told += f", {(speed['x'] ** 2 + speed['y'] ** 2) ** 0.5:.1f} m/s +- {speed['sigma']:.1f}"
    return told


def _depth(zone: Json | None) -> str:
    if zone is None:
        return ""
    side = "inside" if zone["away_px"] <= 0 else "outside"
    metres = "" if zone["away_m"] is None else f" ({abs(zone['away_m']):.1f} m)"
    return f", {abs(zone['away_px']):.0f} px{metres} {side} its edge"


def _leaves(at: Json) -> str:
    if at["leaves_in_s"] is not None:
        return f"{at['behaviour']}, out of danger in {at['leaves_in_s']:.1f} s"
    return f"{at['behaviour']}, taken to stay"


def _why(at: Json) -> str:
    margin = f", margin {at['margin_s']:.1f} s" if at["margin_s"] is not None else ""
    return margin + (f" ({at['why']})" if at["why"] else "")


def _second_look(at: Json) -> str:
    look = at.get("second_look")
    if look is None:
        return ""
    raised = f", raised to {look['raises_to']}" if look["raises_to"] else ""
    return f"; second look {look['taxon']} {look['confidence']:.2f}{raised}"


def _trains(trains: list[Json]) -> Iterator[str]:
    for train in trains:
        if not train["source"]:
            continue
        if train["eta_s"] is None:
            told = train["why"]
        else:
            told = f"in {train['eta_s']:.1f} s"
            told += "" if train["speed_mps"] is None else f" at {train['speed_mps'] * 3.6:.0f} km/h"
            told += "" if train["distance_m"] is None else f", {train['distance_m']:.0f} m away"
            told += f" ({train['why']})"
        yield f"    train on {train['rail_track_id'] or 'any track'}: {told}"


def _delays(delays: Json) -> Iterator[str]:
    if delays["seen"]:
        counted = ", ".join(f"{name} {count}" for name, count in delays["seen"].items())
        yield f"    on-delay: in the last {delays['frames']} frames {counted}"


def _nothing(document: Json) -> Iterator[str]:
    section, at_s = document["section"], document["nothing_at_s"]
    yield ""
    name = section["section_id"]
    if section["incident_id"]:
        yield f"at {at_s:.3f} s an incident was open in {name}: {section['incident_id']}, {section['severity']}"
    else:
        yield f"why nothing was raised in {name} at {at_s:.3f} s ({document['as_of']}): it was {section['state']}"
    for camera, at in section["cameras"].items():
        if at["state"] != "NOMINAL":
            yield f"  camera {camera} was {at['state']}: {at['reason']}"
    yield from (line[2:] for line in _trains(document["trains"]))
    if not document["candidates"] and not document.get("boxes"):
        yield "  no camera of it showed anything that the tracker followed"
    for number, item in enumerate(document["candidates"], start=1):
        yield (
            f"  {number}. {item['camera_id']}: {item['class_name']} {item['track_id']}, confidence "
            f"{item['confidence']:.2f}, seen {item['hits']} times{_where(item)}"
        )
        yield from (f"     {doubt}" for doubt in item["doubts"])
        yield from (f"     in {at['zone_id']}: {at['severity']} by rule {at['rule']}" for at in item["in"])
    if document["left_out"]:
        yield f"  and {document['left_out']} more"
    for box in document.get("boxes", ()):
        yield f"  a box of the detector that no track took: {box['class_name']}, confidence {box['confidence']:.2f}"
        yield from (f"     {doubt}" for doubt in box["doubts"])
