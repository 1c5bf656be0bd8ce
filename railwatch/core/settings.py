"""The configuration of a site as frozen values; `railwatch.config` reads site.yaml into these."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from railwatch.core.alerts import DEFAULT_LEASE_S, Severity
from railwatch.core.coverage import CoverageSettings
from railwatch.core.escalation import EscalationSettings
from railwatch.core.evidence import EvidenceSettings
from railwatch.core.ground import GroundPlane
from railwatch.core.provider import Provider
from railwatch.core.risk_settings import RiskSettings, TrainSourceSettings
from railwatch.core.schedules import ScheduleSettings, schedule_faults
from railwatch.core.second_look import ANIMAL, SecondLookSettings
from railwatch.core.self_test import SelfTestSettings
from railwatch.core.timetables import TimetableSettings
from railwatch.core.types import Zone, ZoneKind

DEFAULT_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "person": ("person",),
        "animal": ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
        "train": ("train",),
        "vehicle": ("bicycle", "car", "motorcycle", "bus", "truck"),
    }
)
"""Class groups when a site names none: the COCO classes that matter on a railway."""


def _fraction(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be 0 to 1, but is {value}")


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{name} must be positive and finite, but is {value}")


KeyPath = tuple[str | int, ...]
"""Where in a site file something stands: ("zones", 2, "camera_id") is the camera of the third zone."""


class SiteFault(NamedTuple):
    """One reason for which a site must not arm: the key at fault, and the sentence that tells what must hold."""

    path: KeyPath
    text: str


class SiteFaultsError(ValueError):
    """A site is incomplete or contradicts itself; `faults` holds every reason."""

    def __init__(self, faults: Sequence[SiteFault]) -> None:
        super().__init__("; ".join(fault.text for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """One camera: where its pictures come from, whether CLEAR needs it (`required`), and its ground plane, if known.

    Cameras of one `worker_group` are served by one perception worker, which runs them through one detector together.
    `credentials` names where user name and password are kept (env:NAME or file:PATH), `transport` is tcp or udp,
    `evidence_source` a second stream of the same camera that is only recorded, `ca_file` whose certificates are good
    for it, `allowed_hosts` those that may be connected to (empty: any camera's), `vitals_off` checks that are not made.
    """

    camera_id: str
    source: str
    required: bool = True
    worker_group: str = "main"
    ground: GroundPlane | None = None
    credentials: str | None = None
    transport: str = "tcp"
    evidence_source: str | None = None
    ca_file: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    vitals_off: tuple[str, ...] = ()

    @property
    def stream(self) -> tuple[object, ...]:
        """All that decides where its pictures come from: a camera in which none of it changes is not opened anew."""
        hosts = tuple(self.allowed_hosts)
        return self.source, self.credentials, self.transport, self.evidence_source, self.ca_file, hosts


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The detector. `confidence` is the lowest score that is looked at at all, 0 to 1; `threads` 0 means all cores."""

    file: str
    sha256: str | None = None
    confidence: float = 0.1
    provider: Provider = Provider.CPU
    threads: int = 0

    def __post_init__(self) -> None:
        _fraction("confidence", self.confidence)
        if self.threads < 0:
            raise ValueError(f"threads must be 0 or more, but is {self.threads}")


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Association of boxes over frames.

    `high_confidence`: boxes at or above it are matched first and may begin a track; weaker ones only continue one.
    `match_iou`: least overlap of prediction and box. `confirm_hits`: frames a track must be seen in before it counts.
    `lost_s`: seconds after which an unseen track is forgotten.
    """

    high_confidence: float = 0.4
    match_iou: float = 0.2
    confirm_hits: int = 2
    lost_s: float = 2.0

    def __post_init__(self) -> None:
        _fraction("high_confidence", self.high_confidence)
        _fraction("match_iou", self.match_iou)
        _positive("lost_s", self.lost_s)
        if self.confirm_hits < 1:
            raise ValueError(f"confirm_hits must be 1 or more, but is {self.confirm_hits}")


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """When an incident opens and closes (the terms on-delay and off-delay are those of OPC UA Part 9).

    An incident opens when an object was in a zone in `on_delay_hits` of the last `on_delay_window` frames of a camera,
    and closes after `off_delay_s` seconds of observed time without one. Blind time is not observed time.
    `min_overlap`: part of the footprint that must lie in a zone when the ground point does not.
    `update_interval_s`: at most one UPDATED for a growing count in so many seconds (a new class group is told at once).
    """

    on_delay_hits: int = 3
    on_delay_window: int = 5
    off_delay_s: float = 2.0
    min_overlap: float = 0.3
    update_interval_s: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= self.on_delay_hits <= self.on_delay_window <= 1000:
            raise ValueError(
                "on_delay_hits must be 1 to on_delay_window, and on_delay_window at most 1000, but they are "
                f"{self.on_delay_hits} and {self.on_delay_window}"
            )
        _positive("off_delay_s", self.off_delay_s)
        _fraction("min_overlap", self.min_overlap)
        if not (math.isfinite(self.update_interval_s) and self.update_interval_s >= 0.0):
            raise ValueError(f"update_interval_s must be 0 or more, but is {self.update_interval_s}")


@dataclass(frozen=True, slots=True)
class MessagingSettings:
    """Where alerts and status go out (`bind`), where nonces come in (`request_bind`; None: next port), the lease.

    `keys`: Folder of the keys that are let in; None lets in everybody on this machine, and nobody else.
    """

    bind: str = "tcp://127.0.0.1:5556"
    request_bind: str | None = None
    lease_s: float = DEFAULT_LEASE_S
    keys: str | None = None

    def __post_init__(self) -> None:
        _positive("lease_s", self.lease_s)


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """A whole site, complete: construction raises SiteFaultsError when something that arming needs is missing.

    `groups` maps a class group to the model's class names; `alarm_groups` are those that raise alarms.
    `camera_timeout_s`: silence of a camera after which it is BLIND. `severity_without_trains`: severity on the track
    where no source of trains is configured.
    """

    site_id: str
    severity_without_trains: Severity
    cameras: tuple[CameraSettings, ...]
    sections: tuple[str, ...]
    zones: tuple[Zone, ...]
    model: ModelSettings
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: DEFAULT_GROUPS)
    alarm_groups: tuple[str, ...] = ("person", "animal")
    camera_timeout_s: float = 2.0
    tracker: TrackerSettings = TrackerSettings()
    incidents: IncidentSettings = IncidentSettings()
    messaging: MessagingSettings = MessagingSettings()
    escalation: EscalationSettings = field(default_factory=EscalationSettings)
    train_sources: tuple[TrainSourceSettings, ...] = ()
    schedules: tuple[ScheduleSettings, ...] = ()
    risk: RiskSettings = field(default_factory=RiskSettings)
    self_test: SelfTestSettings = field(default_factory=SelfTestSettings)
    coverage: CoverageSettings = field(default_factory=CoverageSettings)
    timetables: tuple[TimetableSettings, ...] = ()
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    second_look: SecondLookSettings | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", MappingProxyType({k: tuple(v) for k, v in self.groups.items()}))
        if faults := site_faults(self):
            raise SiteFaultsError(faults)

    @property
    def config_rev(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of everything that decides; where alerts go is left out."""
        return hashlib.sha256(canonical_json(self).encode()).hexdigest()[:12]


def site_faults(site: SiteSettings) -> list[SiteFault]:
    """Every reason for which `site` must not arm, each with the key at fault; empty when it may."""
    return [
        *_name_faults(site),
        *_zone_faults(site),
        *_group_faults(site),
        *(SiteFault(*f) for f in schedule_faults(site.schedules, {zone.zone_id for zone in site.zones})),
        *_escalation_faults(site.escalation),
    ]


def canonical_json(site: SiteSettings) -> str:
    """The decisive part of the settings as JSON with sorted keys and no spaces; equal text means equal decisions.

    Left out are the sockets (`messaging`), what zones must cover, timetables (their reports are inputs), which worker
    serves a camera, what is blurred, what evidence is kept, where pictures and model file lie (the model's hash stays).
    """
    plain = _plain(
        {
            "site_id": site.site_id,
            "severity_without_trains": site.severity_without_trains,
            "cameras": [
                {"camera_id": c.camera_id, "required": c.required, "ground": c.ground and asdict(c.ground)}
                | ({"vitals_off": sorted(c.vitals_off)} if c.vitals_off else {})
                for c in site.cameras
            ],
            "sections": site.sections,
            "zones": [{key: value for key, value in asdict(zone).items() if key != "blur"} for zone in site.zones],
            "model": {"sha256": site.model.sha256, "confidence": site.model.confidence},
            "groups": dict(site.groups),
            "alarm_groups": site.alarm_groups,
            "camera_timeout_s": site.camera_timeout_s,
            "tracker": asdict(site.tracker),
            "incidents": asdict(site.incidents),
            "escalation": asdict(site.escalation),
            "train_sources": [asdict(source) for source in site.train_sources],
            "schedules": [asdict(schedule) for schedule in site.schedules],
            "risk": asdict(site.risk),
            "self_test": asdict(site.self_test),
            **_second_look(site.second_look),
        }
    )
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _second_look(look: SecondLookSettings | None) -> dict[str, object]:
    """What of it decides; nothing without one, so that a site without it has the config_rev that it always had."""
    if look is None:
        return {}
    decides = ("sha256", "least_confidence", "herd_taxa")
    return {"second_look": {name: getattr(look, name) for name in decides}}


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _name_faults(site: SiteSettings) -> list[SiteFault]:
    faults = []
    lists: dict[str, list[tuple[KeyPath, str]]] = {
        "camera_id": [(("cameras", i, "camera_id"), camera.camera_id) for i, camera in enumerate(site.cameras)],
        "section": [(("sections", i), section) for i, section in enumerate(site.sections)],
        "zone_id": [(("zones", i, "zone_id"), zone.zone_id) for i, zone in enumerate(site.zones)],
    }
    for (name, values), key in zip(lists.items(), ("cameras", "sections", "zones"), strict=True):
        if not values:
            faults.append(SiteFault((key,), f"at least one {name} must be given, but there is none"))
        faults += [
            SiteFault(path, f"{name} must be unique, but {value!r} is given twice") for path, value in _repeated(values)
        ]
    if not (math.isfinite(site.camera_timeout_s) and site.camera_timeout_s > 0.0):
        text = f"camera_timeout_s must be positive, but is {site.camera_timeout_s}"
        faults.append(SiteFault(("camera_timeout_s",), text))
    return faults


def _zone_faults(site: SiteSettings) -> list[SiteFault]:
    faults = []
    camera_ids = [camera.camera_id for camera in site.cameras]
    for i, zone in enumerate(site.zones):
        if zone.camera_id not in camera_ids:
            text = f"zone {zone.zone_id!r} names camera {zone.camera_id!r}, which is not among {sorted(camera_ids)}"
            faults.append(SiteFault(("zones", i, "camera_id"), text))
        if zone.section_id not in site.sections:
            text = f"zone {zone.zone_id!r} names section {zone.section_id!r}, which is not among {list(site.sections)}"
            faults.append(SiteFault(("zones", i, "section_id"), text))
    watched = {zone.section_id for zone in site.zones if zone.kind is ZoneKind.TRACK}
    faults += [
        SiteFault(("sections", i), f"section {section!r} must have a zone of kind track, but has none")
        for i, section in enumerate(site.sections)
        if section not in watched
    ]
    used = {zone.camera_id for zone in site.zones if zone.kind is not ZoneKind.IGNORE}
    return faults + [
        SiteFault(("cameras", i, "camera_id"), f"camera {name!r} must have a zone, but has none")
        for i, name in enumerate(camera_ids)
        if name not in used
    ]


def _group_faults(site: SiteSettings) -> list[SiteFault]:
    faults = [
        SiteFault(
            ("alarm_groups", i),
            f"alarm_groups names {group!r}, which is not among the class groups {sorted(site.groups)}",
        )
        for i, group in enumerate(site.alarm_groups)
        if group not in site.groups
    ]
    if not site.alarm_groups:
        text = "alarm_groups must name at least one class group, but is empty: nothing could raise an alarm"
        faults.append(SiteFault(("alarm_groups",), text))
    if site.second_look is not None and ANIMAL not in site.alarm_groups:
        text = f"second_look must be left out where the class group {ANIMAL} raises no alarm: it looks at nothing else"
        faults.append(SiteFault(("second_look",), text))
    names: list[tuple[KeyPath, str]] = [
        (("groups", group, i), name) for group, members in site.groups.items() for i, name in enumerate(members)
    ]
    return faults + [
        SiteFault(path, f"class {name!r} must be in one class group, once, but is given twice")
        for path, name in _repeated(names)
    ]


def _escalation_faults(escalation: EscalationSettings) -> list[SiteFault]:
    groups: list[tuple[KeyPath, str]] = [
        (("escalation", "groups", i, "group_id"), group.group_id) for i, group in enumerate(escalation.groups)
    ]
    rules: list[tuple[KeyPath, str]] = [
        (("escalation", "rules", i, "severity"), rule.severity.value) for i, rule in enumerate(escalation.rules)
    ]
    faults = [
        SiteFault(path, f"group_id must be unique, but {name!r} is given twice") for path, name in _repeated(groups)
    ]
    faults += [SiteFault(path, f"a severity must have one rule, but {name} has two") for path, name in _repeated(rules)]
    if escalation.rules and not escalation.groups:
        text = "escalation.groups must name a group where there are rules, but is empty: nobody could be told"
        faults.append(SiteFault(("escalation", "groups"), text))
    return faults


def _repeated(values: list[tuple[KeyPath, str]]) -> list[tuple[KeyPath, str]]:
    """Those whose value stood in the list before."""
    first = {value: path for path, value in reversed(values)}
    return [(path, value) for path, value in values if first[value] != path]
