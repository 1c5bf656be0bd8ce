"""site.yaml, checked and turned into `railwatch.core.settings`; nothing below this module knows pydantic or YAML.

Every fault of a file is told at once, with its line, key, value, and what is allowed.
"""

from __future__ import annotations

import copy
import errno
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from railwatch.core.address import is_address
from railwatch.core.errors import ConfigError
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.evidence import EvidenceSettings
from railwatch.core.geometry import Point
from railwatch.core.model_names import is_model_name, model_path
from railwatch.core.schedules import zone_fault
from railwatch.core.self_test import SelfTestSettings
from railwatch.core.settings import (
    CameraSettings,
    IncidentSettings,
    KeyPath,
    MessagingSettings,
    ModelSettings,
    SiteFault,
    SiteFaultsError,
    SiteSettings,
    TrackerSettings,
)
from railwatch.core.types import Zone, ZoneKind
from railwatch.coverage_keys import coverage_of
from railwatch.escalation_keys import EscalationKeys
from railwatch.key_faults import (
    fault_of,
    follows,
    in_order,
    keys_of,
    line_of,
    path_of,
    pattern_of,
    read_document,
    written_of,
)
from railwatch.risk_keys import ground_of, risk_of, train_sources_of
from railwatch.schedule_keys import schedules_of
from railwatch.second_look_keys import second_look_of
from railwatch.site_keys import CameraKeys, SiteKeys, ZoneKeys
from railwatch.strict_yaml import Document, Fault, key_name, shown
from railwatch.timetable_keys import timetable_of


class SiteFileError(ConfigError):
    """A site file is faulty; `faults` holds every reason, in the order of their lines."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{name} must be a site file without faults, but has {count}: {'; '.join(map(str, faults))}")
        self.faults = tuple(faults)


def load_site(path: Path) -> SiteSettings:
    """Read a site file; raises SiteFileError (a ConfigError) with every fault.

    The model file itself need not be there: whoever loads it checks it.
    """
    document = read_document(path, "a site file")
    site = _site_of(document, path.parent)
    if site is None:
        raise SiteFileError(path.name, in_order(document.faults))
    return site


def site_from_mapping(mapping: Mapping[str, Any], folder: Path) -> SiteSettings:
    """The same for values that are in memory; relative paths start at `folder`. Raises SiteFileError."""
    document = Document(value=copy.deepcopy(dict(mapping)))
    site = _site_of(document, folder)
    if site is None:
        raise SiteFileError("the site", in_order(document.faults))
    return site


def site_faults_of_file(path: Path) -> list[Fault]:
    """Every fault of a site file, in the order of their lines.

    Those of this machine are among them: a missing or changed model file, a time zone that it does not know.
    """
    document = read_document(path, "a site file")
    site = _site_of(document, path.parent)
    document.faults += _model_faults(document, path.parent)
    for number, schedule in enumerate(site.schedules if site else ()):
        key: KeyPath = ("schedules", number, "time_zone")
        if allowed := zone_fault(schedule.time_zone):
            document.faults.append(Fault(line_of(document, key), key_name(key), written_of(document, key), allowed))
    return in_order(document.faults)


def with_lines(path: Path, faults: Sequence[SiteFault]) -> list[Fault]:
    """Faults that were found later, as those of the site file at `path`: with line and what is written there."""
    document = read_document(path, "a site file")
    return [Fault(line_of(document, f.path), key_name(f.path), written_of(document, f.path), f.text) for f in faults]


def site_json_schema() -> dict[str, Any]:
    """The JSON Schema of a site file, with the meaning of every key."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SiteKeys.model_json_schema()}


def site_keys() -> dict[str, dict[str, Any]]:
    """Every key of a site file, ``"zones[].kind"`` and the like, with its JSON Schema.

    >>> "zones[].kind" in site_keys()
    True
    """
    schema = site_json_schema()
    return keys_of(schema)


def parse_zone_option(text: str, number: int, camera_id: str, section_id: str) -> Zone:
    """The zone of ``--zone "KIND:x,y x,y x,y ..."``, points in fractions of the frame. Raises ConfigError.

    >>> parse_zone_option("track:0,0 1,0 0.5,1", 1, "camera", "section").zone_id
    'track-1'
    """
    kind_text, _, points_text = text.partition(":")
    try:
        kind = _kind(kind_text.strip())
        points = tuple(_point(pair) for pair in points_text.split())
        return Zone(f"{kind.value}-{number}", camera_id, section_id, None, kind, points)
    except ValueError as error:
        raise ConfigError(
            f"--zone must be KIND:x,y x,y x,y ... in fractions of the frame, but {shown(text)} is given: {error}"
        ) from None


def _kind(text: str) -> ZoneKind:
    try:
        return ZoneKind(text)
    except ValueError:
        allowed = ", ".join(kind.value for kind in ZoneKind)
        raise ValueError(f"KIND must be one of {allowed}, but is {shown(text)}") from None


def _point(pair: str) -> Point:
    x, _, y = pair.partition(",")
    try:
        return Point(float(x), float(y))
    except ValueError:
        raise ValueError(f"a point must be two numbers with a comma between, but is {shown(pair)}") from None


def _site_of(document: Document, folder: Path) -> SiteSettings | None:
    """The site, or None with the reasons in `document.faults`."""
    value = document.value
    if value is None and document.faults:
        return None
    if not isinstance(value, dict):
        document.faults.append(Fault(1, "", shown(value), "must be a map of the keys of a site"))
        return None
    keys, errors = _validated(value)
    known = site_keys()
    document.faults += [fault_of(document, error, known) for error in errors if not follows(document, error, known)]
    if keys is None:
        # Contradictions between cameras, sections and zones are told in the same breath, so far as they can be seen.
        keys, _ = _validated(_with_stand_ins(value, errors))
    if keys is None:
        return None
    try:
        site = _settings(keys, folder)
    except SiteFaultsError as error:
        document.faults += [
            Fault(line_of(document, p), key_name(p), written_of(document, p), t) for p, t in error.faults
        ]
        return None
    return None if document.faults else site


def _validated(value: object) -> tuple[SiteKeys | None, list[ErrorDetails]]:
    try:
        return SiteKeys.model_validate(value), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


_STAND_INS: Final[Mapping[str, Any]] = {
    "schema_version": 1,
    "site_id": "site",
    "severity_without_trains": "WARNING",
    "camera_timeout_s": 2.0,
    "model": {"file": "detector.onnx"},
    "tracker": {},
    "incidents": {},
    "messaging": {},
    "escalation": {},
    "train_sources": [],
    "schedules": [],
    "risk": {},
    "camera_hosts": [],
    "cameras[].credentials": None,
    "cameras[].transport": "tcp",
    "cameras[].evidence_source": None,
    "cameras[].ca_file": None,
    "cameras[].vitals_off": [],
    "self_test": {},
    "coverage": {},
    "evidence": {},
    "second_look": None,
    "cameras[].aspect": None,
    "cameras[].people": None,
    "zones[].smallest_person_m": None,
    "cameras[].ground": None,
    "cameras[].source": "0",
    "cameras[].required": True,
    "zones[].polygon": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
    "zones[].rail_track_id": None,
    "zones[].blur": False,
}
"""Values that no cross-check looks at: they take the place of faulty ones, so that the rest can be checked."""


def _with_stand_ins(value: dict[str, Any], errors: Sequence[ErrorDetails]) -> dict[str, Any]:
    mended = copy.deepcopy(value)
    for error in errors:
        path = path_of(error, site_keys())
        fitting = [n for n in range(1, len(path) + 1) if pattern_of(path[:n]) in _STAND_INS]
        depth = fitting[0] if fitting else len(path)
        parent: Any = mended
        for part in path[: depth - 1]:
            parent = parent[part]
        if fitting:
            parent[path[depth - 1]] = copy.deepcopy(_STAND_INS[pattern_of(path[:depth])])
        elif error["type"] == "extra_forbidden":
            parent.pop(path[-1], None)
    return mended


def _settings(keys: SiteKeys, folder: Path) -> SiteSettings:
    messaging = keys.messaging.model_dump()
    if keys.messaging.keys is not None:
        messaging["keys"] = str(folder / keys.messaging.keys)

    def zone(z: ZoneKeys) -> Zone:
        points = tuple(Point(x, y) for x, y in z.polygon)
        return Zone(z.zone_id, z.camera_id, z.section_id, z.rail_track_id, z.kind, points, z.blur)

    return SiteSettings(
        site_id=keys.site_id,
        severity_without_trains=keys.severity_without_trains,
        cameras=tuple(_camera(c, folder, tuple(keys.camera_hosts)) for c in keys.cameras),
        sections=tuple(keys.sections),
        zones=tuple(map(zone, keys.zones)),
        model=ModelSettings(**{**dict(keys.model), "file": str(model_path(keys.model.file, folder))}),
        groups={name: tuple(classes) for name, classes in keys.groups.items()},
        alarm_groups=tuple(keys.alarm_groups),
        camera_timeout_s=keys.camera_timeout_s,
        tracker=TrackerSettings(**dict(keys.tracker)),
        incidents=IncidentSettings(**dict(keys.incidents)),
        messaging=MessagingSettings(**messaging),
        escalation=_escalation(keys.escalation),
        train_sources=train_sources_of(keys.train_sources),
        schedules=schedules_of(keys.schedules),
        risk=risk_of(keys.risk),
        self_test=SelfTestSettings(**dict(keys.self_test)),
        coverage=coverage_of(keys.coverage, keys.cameras, keys.zones),
        timetables=tuple(
            timetable_of(source.source_id, source.timetable, folder)
            for source in keys.train_sources
            if source.timetable is not None
        ),
        evidence=EvidenceSettings(**dict(keys.evidence)),
        second_look=None if keys.second_look is None else second_look_of(keys.second_look, folder),
    )


def _camera(keys: CameraKeys, folder: Path, hosts: tuple[str, ...]) -> CameraSettings:
    plain = {name: value for name, value in dict(keys).items() if name not in {"aspect", "people"}}
    return CameraSettings(
        **{
            **plain,
            "source": _source(keys.source, folder),
            "credentials": _credentials(keys.credentials, folder),
            "ca_file": None if keys.ca_file is None else str(folder / keys.ca_file),
            "allowed_hosts": hosts,
            "vitals_off": tuple(check.value for check in keys.vitals_off),
            "ground": None if keys.ground is None else ground_of(keys.ground),
        }
    )


def _escalation(keys: EscalationKeys) -> EscalationSettings:
    return EscalationSettings(
        groups=tuple(EscalationGroup(g.group_id, tuple(g.keys), g.required) for g in keys.groups),
        rules=tuple(EscalationRule(r.severity, r.level, r.within_s) for r in keys.rules),
    )


def _source(text: str, folder: Path) -> str:
    is_path = not is_address(text) and not text.isdecimal()
    return str(folder / text) if is_path else text


def _credentials(named: str | None, folder: Path) -> str | None:
    if named is None or not named.startswith("file:"):
        return named
    return f"file:{folder / named.removeprefix('file:')}"


def _model_faults(document: Document, folder: Path) -> list[Fault]:
    model = document.value.get("model") if isinstance(document.value, dict) else None
    name = model.get("file") if isinstance(model, dict) else None
    if not (isinstance(model, dict) and isinstance(name, str)):
        return []
    key: KeyPath = ("model", "file")
    try:
        digest = _sha256(model_path(name, folder))
    except OSError as error:
        wanted = "the name of a model that `railwatch models list` shows, or a file with a dot in its name"
        allowed = f"must be {wanted if is_model_name(name) else 'a model file that can be read'} ({error.strerror})"
        return [Fault(line_of(document, key), key_name(key), written_of(document, key), allowed)]
    told = any(fault.key == "model.sha256" for fault in document.faults)
    if told or model.get("sha256") in (None, digest):
        return []
    key = ("model", "sha256")
    allowed = f"must be the SHA-256 of model.file, which is {digest}"
    return [Fault(line_of(document, key), key_name(key), written_of(document, key), allowed)]


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no such file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
