"""The published JSON Schemas: current, valid, and of one mind with the reader."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from railwatch.core.errors import WireError
from railwatch.messaging import wire
from railwatch.messaging.requests import (
    Acked,
    AckRequest,
    Noted,
    NowRequest,
    Refused,
    ReplayHeader,
    ReplayRequest,
    TrainRequest,
    decode_body,
    encode_body,
)
from railwatch.messaging.schema import alert_schema, request_schemas, schema_files, status_schema
from tests.strategies import alerts, statuses

ALERT = Draft202012Validator(alert_schema())
STATUS = Draft202012Validator(status_schema())

ALERT_TEXT = (
    '{"site_id":"yard","epoch":"4f1c.7","seq":3,"alert_id":"a","kind":"INTRUSION","action":"OPENED",'
    '"severity":"WARNING","incident_id":"i","section_id":"s","camera_id":null,"zone_id":null,'
    '"objects":[{"track_id":1,"class_name":"cow","group":"animal","confidence":0.5,"taxon":null}],"why":"","margin_s":null,'
    '"captured_at":"","published_at":"","config_rev":"","model_sha256":"","camera_ids":[],"addressed_to":[],"level":null,"by":null,"key_name":null,"fault":null,"evidence":null,"journaled":false,'
    '"schema_version":1}'
)
STATUS_TEXT = (
    '{"site_id":"yard","epoch":"4f1c.7","seq_last":0,"nonces":["n"],"sections":{"s":"CLEAR"},'
    '"cameras":{"c":{"state":"NOMINAL","reason":"","frame_age_s":null,"self_test":null}},'
    '"trains":[{"rail_track_id":"1","eta_s":null,"source":"","age_s":1}],'
    '"open_incidents":[{"incident_id":"i","section_id":"s","kind":"TEST","severity":"NOTICE","opened_at":"",'
    '"level":null,"by":null,"addressed_to":[],"fault":null}],"config_rev":"","lease_s":2.5,"schema_version":1}'
)


@pytest.mark.parametrize("name", schema_files())
def test_the_published_file_is_current(root, name):
    published = (root / "docs" / "schema" / name).read_text(encoding="utf-8")
    assert published == schema_files()[name], "run: python -m railwatch.messaging.schema docs/schema"


@pytest.mark.parametrize("schema", [alert_schema(), status_schema()])
def test_the_schema_is_one(schema):
    Draft202012Validator.check_schema(schema)


@settings(max_examples=50)
@given(alerts)
def test_every_alert_is_valid(alert):
    ALERT.validate(json.loads(wire.encode_alert(alert)))


@settings(max_examples=50)
@given(statuses)
def test_every_status_is_valid(status):
    STATUS.validate(json.loads(wire.encode_status(status)))


def wrong_values(document, path=()):
    """Every document in which one value is of a wrong type, one key is missing, or one is too many."""
    if isinstance(document, dict):
        if path[-1:] not in (("sections",), ("cameras",)):
            yield {**document, "surplus": 1}
            for key in document:
                yield {k: v for k, v in document.items() if k != key}
        for key, value in document.items():
            for wrong in wrong_values(value, (*path, key)):
                yield {**document, key: wrong}
        yield []
    elif isinstance(document, list):
        for index, value in enumerate(document):
            for wrong in wrong_values(value, (*path, index)):
                yield [*document[:index], wrong, *document[index + 1 :]]
        yield {}
    else:
        yield {"a": 1}
        yield [1]
        if document is not None:  # text or a number may be allowed in its place
            yield 5 if isinstance(document, str | bool) else "text"


ALERT_LIMITS = [("seq", 0), ("schema_version", 2), ("epoch", "a"), ("epoch", "a.0"), ("kind", "OTHER"), ("seq", 2**53)]
STATUS_LIMITS = [
    *[("seq_last", -1), ("lease_s", 0), ("lease_s", -1.0), ("nonces", ["a b"]), ("nonces", [""])],
    *[("nonces", ["x" * 65]), ("sections", {"s": "FREE"}), ("schema_version", 0), ("epoch", "a.b.1")],
]


def limits(text):
    document = json.loads(text)
    changes = ALERT_LIMITS if "seq" in document else STATUS_LIMITS
    yield from ({**document, key: value} for key, value in changes)
    for item in document.get("objects", []):
        for confidence in (-0.1, 1.1):
            yield {**document, "objects": [{**item, "confidence": confidence}]}


@pytest.mark.parametrize(
    ("text", "validator", "decode"),
    [(ALERT_TEXT, ALERT, wire.decode_alert), (STATUS_TEXT, STATUS, wire.decode_status)],
    ids=["alert", "status"],
)
def test_schema_and_reader_refuse_the_same(text, validator, decode):
    validator.validate(json.loads(text))
    decode(text.encode())
    cases = [*wrong_values(json.loads(text)), *limits(text)]
    assert len(cases) > 60
    for case in cases:
        assert not validator.is_valid(case), case
        with pytest.raises(WireError):
            decode(json.dumps(case).encode())


TRAIN = {
    "request": "r",
    "source": "feed",
    "rail_track_id": "up",
    "direction": "east",
    "seq": 0,
    "age_s": 0.5,
    "eta_s": 40.0,
    "distance_m": 800.0,
    "speed_mps": 20.0,
    "occupied": False,
    "barrier": "UP",
    "signal": "STOP",
    "authoritative": False,
}
REQUESTS = [
    ("replay", ReplayRequest, {"request": "r", "after": {"epoch": "j.1", "seq": 0}, "open": True}),
    ("replay", ReplayRequest, {"request": "r", "after": None, "open": False}),
    ("replayed", ReplayHeader, {"request": "r", "known": True, "more": False, "open": 0, "alerts": 2}),
    ("ack", AckRequest, {"request": "r", "incident_id": "i", "level": "ACKNOWLEDGED", "by": "anna"}),
    ("acked", Acked, {"request": "r"}),
    ("now", NowRequest, {"request": "r"}),
    ("noted", Noted, {"request": "r", "moment": "12-ab"}),
    ("train", TrainRequest, {**TRAIN, "after": "12-ab"}),
    ("train", TrainRequest, {**TRAIN, "after": None, "barrier": None, "eta_s": None}),
    ("refused", Refused, {"request": None, "reason": ""}),
]
REQUEST_LIMITS = [
    *[("request", "a b"), ("request", ""), ("request", "x" * 65), ("after", {"epoch": "j", "seq": 1}), ("by", "")],
    *[("after", {"epoch": "j.1", "seq": -1}), ("level", "READ"), ("alerts", 513), ("open", -1), ("incident_id", "")],
    *[("by", "x" * 201), ("moment", ""), ("moment", "a b"), ("after", ""), ("after", "a b"), ("age_s", -1.0)],
    *[("eta_s", 1e7), ("source", ""), ("direction", "x" * 65), ("barrier", "HALF"), ("seq", -1)],
]


@pytest.mark.parametrize(("name", "kind", "document"), REQUESTS)
def test_schema_and_reader_of_requests_refuse_the_same(name, kind, document):
    validator = Draft202012Validator(request_schemas()[f"{name}.schema.json"])
    validator.validate(document)
    assert json.loads(encode_body(decode_body(json.dumps(document).encode(), kind))) == document
    limits = [{**document, key: value} for key, value in REQUEST_LIMITS if document.get(key) is not None]
    for case in [*wrong_values(document), *limits]:
        assert not validator.is_valid(case), case
        with pytest.raises(WireError):
            decode_body(json.dumps(case).encode(), kind)


def test_the_files_are_written_by_the_command_that_the_failing_test_names(tmp_path, root):
    command = [sys.executable, "-m", "railwatch.messaging.schema", str(tmp_path / "schema")]
    subprocess.run(command, check=True, cwd=root, timeout=60)
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "schema").iterdir()} == schema_files()
