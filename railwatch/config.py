"""site.yaml, checked and turned into `railwatch.core.settings`; nothing below this module knows pydantic or YAML.

Every fault of a file is told at once, with its line, key, value, and what is allowed.
"""

from __future__ import annotations

import copy
import errno
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from railwatch.core.errors import ConfigError
from railwatch.core.geometry import Point
from railwatch.core.model_names import is_model_name, model_path
from railwatch.core.settings import (
    CameraSettings,
    EscalationGroup,
    EscalationRule,
    EscalationSettings,
    IncidentSettings,
    KeyPath,
    MessagingSettings,
    ModelSettings,
    SiteFaultsError,
    SiteSettings,
    TrackerSettings,
)
from railwatch.core.types import Zone, ZoneKind
from railwatch.site_keys import PATTERNS, EscalationKeys, SiteKeys, ZoneKeys
from railwatch.strict_yaml import MAX_BYTES, Document, Fault, key_name, read_yaml, shown

MAX_FAULTS: Final = 100
"""Most faults told of one file; a file with more is not a site file."""


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
    document = _read(path)
    site = _site_of(document, path.parent)
    if site is None:
        raise SiteFileError(path.name, _in_order(document.faults))
    return site


def site_from_mapping(mapping: Mapping[str, Any], folder: Path) -> SiteSettings:
    """The same for values that are in memory; relative paths start at `folder`. Raises SiteFileError."""
    document = Document(value=copy.deepcopy(dict(mapping)))
    site = _site_of(document, folder)
    if site is None:
        raise SiteFileError("the site", _in_order(document.faults))
    return site


def site_faults_of_file(path: Path) -> list[Fault]:
    """Every fault of a site file, in the order of their lines, a missing or changed model file included."""
    document = _read(path)
    _site_of(document, path.parent)
    document.faults += _model_faults(document, path.parent)
    return _in_order(document.faults)


def site_json_schema() -> dict[str, Any]:
    """The JSON Schema of a site file, with the meaning of every key."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SiteKeys.model_json_schema()}


def site_keys() -> dict[str, dict[str, Any]]:
    """Every key of a site file, ``"zones[].kind"`` and the like, with its JSON Schema.

    >>> "zones[].kind" in site_keys()
    True
    """
    schema = site_json_schema()
    return dict(_walk(schema, "", schema["$defs"]))


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


def _read(path: Path) -> Document:
    try:
        with path.open("rb") as file:
            return read_yaml(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        fault = Fault(0, "", "no such file", "must be a site file")
    except IsADirectoryError:
        fault = Fault(0, "", "a folder", "must be a site file")
    except OSError as error:
        fault = Fault(0, "", f"a file that cannot be read ({error.strerror})", "must be a readable site file")
    return Document(faults=[fault])


def _site_of(document: Document, folder: Path) -> SiteSettings | None:
    """The site, or None with the reasons in `document.faults`."""
    value = document.value
    if value is None and document.faults:
        return None
    if not isinstance(value, dict):
        document.faults.append(Fault(1, "", shown(value), "must be a map of the keys of a site"))
        return None
    keys, errors = _validated(value)
    document.faults += [_fault(document, error) for error in errors if not _follows(document, error)]
    if keys is None:
        # Contradictions between cameras, sections and zones are told in the same breath, so far as they can be seen.
        keys, _ = _validated(_with_stand_ins(value, errors))
    if keys is None:
        return None
    try:
        site = _settings(keys, folder)
    except SiteFaultsError as error:
        document.faults += [Fault(_line(document, p), key_name(p), _written(document, p), t) for p, t in error.faults]
        return None
    return None if document.faults else site


def _follows(document: Document, error: ErrorDetails) -> bool:
    """Whether an error only says again that a value could not be read."""
    return error["type"] != "extra_forbidden" and _path(error) in document.unread


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
    "cameras[].source": "0",
    "cameras[].required": True,
    "zones[].polygon": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
    "zones[].rail_track_id": None,
}
"""Values that no cross-check looks at: they take the place of faulty ones, so that the rest can be checked."""


def _with_stand_ins(value: dict[str, Any], errors: Sequence[ErrorDetails]) -> dict[str, Any]:
    mended = copy.deepcopy(value)
    for error in errors:
        path = _path(error)
        fitting = [n for n in range(1, len(path) + 1) if _pattern(path[:n]) in _STAND_INS]
        depth = fitting[0] if fitting else len(path)
        parent: Any = mended
        for part in path[: depth - 1]:
            parent = parent[part]
        if fitting:
            parent[path[depth - 1]] = copy.deepcopy(_STAND_INS[_pattern(path[:depth])])
        elif error["type"] == "extra_forbidden":
            parent.pop(path[-1], None)
    return mended


def _settings(keys: SiteKeys, folder: Path) -> SiteSettings:
    messaging = keys.messaging.model_dump()
    if keys.messaging.keys is not None:
        messaging["keys"] = str(folder / keys.messaging.keys)

    def zone(z: ZoneKeys) -> Zone:
        points = tuple(Point(x, y) for x, y in z.polygon)
        return Zone(z.zone_id, z.camera_id, z.section_id, z.rail_track_id, z.kind, points)

    return SiteSettings(
        site_id=keys.site_id,
        severity_without_trains=keys.severity_without_trains,
        cameras=tuple(CameraSettings(**{**dict(c), "source": _source(c.source, folder)}) for c in keys.cameras),
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
    )


def _escalation(keys: EscalationKeys) -> EscalationSettings:
    return EscalationSettings(
        groups=tuple(EscalationGroup(g.group_id, tuple(g.keys), g.required) for g in keys.groups),
        rules=tuple(EscalationRule(r.severity, r.level, r.within_s) for r in keys.rules),
    )


def _source(text: str, folder: Path) -> str:
    is_path = "://" not in text and not text.isdecimal()
    return str(folder / text) if is_path else text


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
        return [Fault(_line(document, key), key_name(key), _written(document, key), allowed)]
    told = any(fault.key == "model.sha256" for fault in document.faults)
    if told or model.get("sha256") in (None, digest):
        return []
    key = ("model", "sha256")
    allowed = f"must be the SHA-256 of model.file, which is {digest}"
    return [Fault(_line(document, key), key_name(key), _written(document, key), allowed)]


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no such file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_order(faults: Sequence[Fault]) -> list[Fault]:
    return sorted(faults, key=lambda fault: fault.line)[:MAX_FAULTS]


def _path(error: ErrorDetails) -> KeyPath:
    """Where pydantic found an error; a fault between the keys of a map is put at the key that its text begins with."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == "value_error":
        named = (*path, error["msg"].removeprefix("Value error, ").split()[0])
        return named if _pattern(named) in site_keys() else path
    return path


def _pattern(path: KeyPath) -> str:
    return re.sub(r"\[\d+\]", "[]", key_name(path))


def _fault(document: Document, error: ErrorDetails) -> Fault:
    path = _path(error)
    line = _line(document, path)
    if error["type"] == "missing":
        meaning = site_keys()[_pattern(path)]["description"]
        return Fault(line, key_name(path), "nothing", f"must be given: {meaning}")
    if error["type"] == "extra_forbidden":
        return Fault(line, key_name(path), "an unknown key", _nearest(path))
    return Fault(line, key_name(path), _written(document, path), _allowed(error))


def _nearest(path: KeyPath) -> str:
    name, parent = str(path[-1]), _pattern(path[:-1])
    siblings = [key.rpartition(".")[2] for key in site_keys() if key.rpartition(".")[0] in (parent, f"{parent}[]")]
    close = get_close_matches(name, siblings, n=1)
    if close:
        return f"did you mean {close[0]}?"
    elsewhere = [key for key in site_keys() if key.rpartition(".")[2] == name]
    return f"did you mean {elsewhere[0]}?" if elsewhere else f"must be one of {', '.join(siblings)}"


_ALLOWED: Final[Mapping[str, str]] = {
    "string_type": "must be text (in quotes if it reads like a number or truth value)",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a map of names to lists",
    "model_type": "must be a map of keys",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} or fewer entries",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}


def _allowed(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    return _ALLOWED.get(error["type"], error["msg"]).format(**context)


def _line(document: Document, path: KeyPath) -> int:
    """The line of a path, or of what it should stand in; 0 where nothing is known."""
    known = (document.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in document.lines)
    return next(known, 0)


def _written(document: Document, path: KeyPath) -> str:
    if path in document.written:
        return document.written[path]
    value: Any = document.value
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return shown(value)


def _walk(schema: Mapping[str, Any], prefix: str, parts: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, entry in schema.get("properties", {}).items():
        inner, mark = (entry["items"], "[].") if "items" in entry else (entry, ".")
        referred = parts.get(inner.get("$ref", "").rpartition("/")[2], {})
        yield prefix + name, entry if mark == "[]." else {**referred, **entry}
        yield from _walk(referred, prefix + name + mark, parts)
