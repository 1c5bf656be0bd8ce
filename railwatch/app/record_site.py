"""A site as plain values: what a recording carries of its configuration."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from railwatch.core.ground import GroundPlane
from railwatch.core.schedules import ScheduleSettings
from railwatch.core.second_look import SecondLookSettings
from railwatch.core.settings import SiteSettings

SITE_VERSION: Final = 1
"""schema_version of the site file that a recording carries."""


def site_to_mapping(site: SiteSettings) -> dict[str, Any]:
    """A site in the form of site.yaml, without what must not leave the machine: sources, folders, sockets."""
    return {
        "schema_version": SITE_VERSION,
        "site_id": site.site_id,
        "severity_without_trains": site.severity_without_trains.value,
        "camera_timeout_s": site.camera_timeout_s,
        "cameras": [
            {"camera_id": c.camera_id, "source": "recorded", "required": c.required, "ground": _ground(c.ground)}
            | ({"vitals_off": list(c.vitals_off)} if c.vitals_off else {})
            for c in site.cameras
        ],
        "sections": list(site.sections),
        "zones": [
            {
                "zone_id": zone.zone_id,
                "camera_id": zone.camera_id,
                "section_id": zone.section_id,
                "rail_track_id": zone.rail_track_id,
                "kind": zone.kind.value,
                "polygon": [list(point) for point in zone.polygon_norm],
                **({"blur": True} if zone.blur else {}),
            }
            for zone in site.zones
        ],
        "model": {"file": "recorded", "sha256": site.model.sha256, "confidence": site.model.confidence},
        "groups": {group: list(members) for group, members in site.groups.items()},
        "alarm_groups": list(site.alarm_groups),
        "tracker": asdict(site.tracker),
        "incidents": asdict(site.incidents),
        "train_sources": [
            {**asdict(source), "rail_track_ids": list(source.rail_track_ids)} for source in site.train_sources
        ],
        "schedules": [_schedule(schedule) for schedule in site.schedules],
        "risk": asdict(site.risk),
        "self_test": asdict(site.self_test),
        **({"evidence": {"record": True}} if site.evidence.record else {}),
        **_second_look(site.second_look),
        "escalation": {
            "groups": [{**asdict(group), "keys": list(group.keys)} for group in site.escalation.groups],
            "rules": [
                {"severity": rule.severity.value, "level": rule.level.value, "within_s": rule.within_s}
                for rule in site.escalation.rules
            ],
        },
    }


def _second_look(look: SecondLookSettings | None) -> dict[str, Any]:
    if look is None:
        return {}
    decides = {"least_confidence": look.least_confidence, "herd_taxa": list(look.herd_taxa), "every_s": look.every_s}
    return {"second_look": {"file": "recorded", "sha256": look.sha256, **decides}}


def _schedule(schedule: ScheduleSettings) -> dict[str, Any]:
    return {
        **asdict(schedule),
        "days": [day.value for day in schedule.days],
        "zone_ids": list(schedule.zone_ids),
        "at_least": schedule.at_least and schedule.at_least.value,
        "at_most": schedule.at_most and schedule.at_most.value,
    }


def _ground(plane: GroundPlane | None) -> dict[str, Any] | None:
    return None if plane is None else {"matrix": [list(row) for row in plane.matrix], "residual_m": plane.residual_m}
