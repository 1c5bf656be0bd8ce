"""JSON Schema (draft 2020-12) of the messages, made from the dataclasses themselves.

``python -m railwatch.messaging.schema docs/schema`` writes the published files anew.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin

from railwatch.core.alerts import SCHEMA_VERSION, Alert, AlertObject, Epoch, Status
from railwatch.messaging.plain import MAX_EPOCH_LENGTH, MAX_INTEGER, fields_of, optional_of
from railwatch.messaging.requests import (
    MAX_BATCH_ALERTS,
    MAX_NUMBER,
    MAX_POSSESSION_S,
    MAX_TEXT,
    MAX_TRACK_NAME,
    Acked,
    AckRequest,
    Body,
    Mark,
    Noted,
    NowRequest,
    PossessionRequest,
    ProbeRequest,
    Refused,
    ReplayHeader,
    ReplayRequest,
    TrainRequest,
)
from railwatch.messaging.wire import MAX_NONCE_LENGTH

_REQUEST: Final[Mapping[str, Any]] = MappingProxyType(
    {"pattern": "^[A-Za-z0-9_-]+$", "minLength": 1, "maxLength": MAX_NONCE_LENGTH}
)

_NAME: Final = MappingProxyType({"minLength": 1, "maxLength": MAX_TRACK_NAME})
_NUMBER: Final = MappingProxyType({"minimum": 0, "exclusiveMaximum": MAX_NUMBER})

_LIMITS: Final[Mapping[tuple[type, str], Mapping[str, Any]]] = MappingProxyType(
    {
        (Alert, "schema_version"): {"const": SCHEMA_VERSION},
        (Alert, "seq"): {"minimum": 1},
        (AlertObject, "confidence"): {"minimum": 0, "maximum": 1},
        (Status, "schema_version"): {"const": SCHEMA_VERSION},
        (Status, "seq_last"): {"minimum": 0},
        (Status, "nonces"): {
            "items": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "minLength": 1, "maxLength": MAX_NONCE_LENGTH}
        },
        (Status, "lease_s"): {"exclusiveMinimum": 0},
        (Mark, "seq"): {"minimum": 0},
        **{(body, "request"): _REQUEST for body in get_args(Body) if body is not Refused},
        (Refused, "request"): {"anyOf": [{**_REQUEST, "type": "string"}, {"type": "null"}]},
        (ReplayHeader, "open"): {"minimum": 0, "maximum": MAX_BATCH_ALERTS},
        (ReplayHeader, "alerts"): {"minimum": 0, "maximum": MAX_BATCH_ALERTS},
        (AckRequest, "incident_id"): {"minLength": 1, "maxLength": MAX_TEXT},
        (AckRequest, "by"): {"minLength": 1, "maxLength": MAX_TEXT},
        **{(TrainRequest, key): dict(_NAME) for key in ("source", "rail_track_id", "direction")},
        **{(TrainRequest, key): dict(_NUMBER) for key in ("age_s", "eta_s", "distance_m", "speed_mps")},
        (TrainRequest, "seq"): {"minimum": 0},
        (TrainRequest, "after"): {"anyOf": [{**_REQUEST, "type": "string"}, {"type": "null"}]},
        (Noted, "moment"): _REQUEST,
        (PossessionRequest, "rail_track_id"): {"minLength": 1, "maxLength": MAX_TEXT},
        (PossessionRequest, "holder"): {"minLength": 1, "maxLength": MAX_TEXT},
        (PossessionRequest, "lasts_s"): {"minimum": 0, "maximum": MAX_POSSESSION_S},
        (ProbeRequest, "camera_id"): {"minLength": 1, "maxLength": MAX_TEXT},
    }
)
"""What the dataclasses check when they are made, and annotations cannot say."""


def alert_schema() -> dict[str, Any]:
    """The schema of an alert's payload."""
    return _document(Alert, "One numbered message about one incident, as sent on alert/<site_id>/<section_id>.")


def status_schema() -> dict[str, Any]:
    """The schema of a Status' payload."""
    return _document(Status, "The state of a site, as sent every second on status/<site_id>.")


def request_schemas() -> dict[str, dict[str, Any]]:
    """File name to schema of the payloads on the request socket."""
    return {
        "replay.schema.json": _document(ReplayRequest, "Payload of REPLAY: asks for the alerts after a mark."),
        "replayed.schema.json": _document(ReplayHeader, "First payload of REPLAYED; the alerts follow, a frame each."),
        "ack.schema.json": _document(AckRequest, "Payload of ACK: says how far an incident has come."),
        "probe.schema.json": _document(ProbeRequest, "Payload of PROBE: asks for a self-test."),
        "now.schema.json": _document(NowRequest, "Payload of NOW: asks for a moment of the hub."),
        "noted.schema.json": _document(Noted, "Payload of NOTED: a moment of the hub, for a report of trains."),
        "train.schema.json": _document(TrainRequest, "Payload of TRAIN: what a feed knows of trains."),
        "possession.schema.json": _document(PossessionRequest, "Payload of POSSESSION: workers hold a rail track."),
        "acked.schema.json": _document(Acked, "Payload of ACKED: the request is granted."),
        "refused.schema.json": _document(Refused, "Payload of REFUSED: a request is not granted."),
    }


def schema_files() -> dict[str, str]:
    """File name to text of every published schema."""
    schemas = {"alert.schema.json": alert_schema(), "status.schema.json": status_schema(), **request_schemas()}
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def _document(cls: type, description: str) -> dict[str, Any]:
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": cls.__name__}
    return {**head, "description": description, **_schema(cls)}


def _schema(hint: Any) -> dict[str, Any]:  # noqa: ANN401 - an annotation
    if (inner := optional_of(hint)) is not None:
        return {"anyOf": [_schema(inner), {"type": "null"}]}
    if hint is Epoch:
        return {"type": "string", "pattern": r"^[^.]+\.[1-9][0-9]*$", "maxLength": MAX_EPOCH_LENGTH}
    if dataclasses.is_dataclass(hint):
        return _object(hint)
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    return _mapping_or_scalar(hint)


def _mapping_or_scalar(hint: Any) -> dict[str, Any]:  # noqa: ANN401 - an annotation
    if get_origin(hint) is Mapping:
        return {"type": "object", "additionalProperties": _schema(get_args(hint)[1])}
    if issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    return dict(_SCALARS[hint])


_SCALARS: Final[Mapping[type, Mapping[str, Any]]] = MappingProxyType(
    {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        int: {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        float: {"type": "number"},
    }
)


def _object(cls: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    properties = {key: {**_schema(hint), **_LIMITS.get((cls, key), {})} for key, hint in fields_of(cls).items()}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _write(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in schema_files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schema"))
