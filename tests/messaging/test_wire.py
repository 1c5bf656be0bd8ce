"""Bytes on the wire: exact round trip, strict reading, bounded size."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railwatch.core.alerts import Action, Alert, AlertKind, AlertObject, CameraState, CameraStatus, Epoch, Severity
from railwatch.core.errors import WireError
from railwatch.messaging import wire
from railwatch.messaging.plain import fields_of
from tests.strategies import alerts, names, statuses

OBJECT = AlertObject(track_id=7, class_name="cow", group="animal", confidence=0.5)


def make_alert(**changes):
    values = {
        "site_id": "yard",
        "epoch": Epoch("4f1c", 7),
        "seq": 3,
        "alert_id": "4f1c.7-3",
        "kind": AlertKind.INTRUSION,
        "action": Action.OPENED,
        "severity": Severity.WARNING,
        "incident_id": "i1",
        "section_id": "s1",
        "camera_id": "cam",
        "zone_id": None,
        "objects": (OBJECT,),
        "why": "a cow on the track",
        "margin_s": None,
        "captured_at": "2026-01-01T00:00:00Z",
        "published_at": "2026-01-01T00:00:00Z",
        "config_rev": "abc",
        "model_sha256": "def",
    }
    return Alert(**{**values, **changes})


@given(alerts)
def test_alert_round_trip_is_exact(alert):
    payload = wire.encode_alert(alert)
    again = wire.decode_alert(payload)
    assert again == alert
    assert wire.encode_alert(again) == payload


@given(statuses)
def test_status_round_trip_is_exact(status):
    payload = wire.encode_status(status)
    again = wire.decode_status(payload)
    assert again == status
    assert wire.encode_status(again) == payload


def test_keys_stand_in_the_order_of_the_dataclass_without_spaces():
    payload = wire.encode_alert(make_alert())
    assert list(json.loads(payload)) == list(fields_of(Alert))
    assert b": " not in payload
    assert payload.startswith(b'{"site_id":"yard","epoch":"4f1c.7","seq":3,')


@given(statuses, st.randoms(use_true_random=False))
def test_equal_statuses_are_equal_bytes_whatever_the_order_of_sections(status, random):
    sections = list(status.sections.items())
    random.shuffle(sections)
    shuffled = replace(status, sections=dict(sections))
    assert wire.encode_status(shuffled) == wire.encode_status(status)


def test_document_is_what_the_payload_says():
    alert = make_alert()
    assert wire.alert_document(alert) == json.loads(wire.encode_alert(alert))


def changed(**changes):
    document = wire.alert_document(make_alert())
    document.update(changes)
    return json.dumps(document).encode()


def without(key):
    document = wire.alert_document(make_alert())
    del document[key]
    return json.dumps(document).encode()


REFUSED = {
    "unknown key": (changed(colour="red"), "'colour' is unknown"),
    "missing key": (without("margin_s"), "'margin_s' is missing"),
    "missing default": (without("journaled"), "'journaled' is missing"),
    "nested unknown": (changed(objects=[{**wire.alert_document(make_alert())["objects"][0], "x": 1}]), "objects[0]"),
    "text for number": (changed(seq="3"), "seq must be an integer"),
    "bool for number": (changed(seq=True), "seq must be an integer"),
    "float for integer": (changed(seq=3.5), "seq must be an integer"),
    "too many bits": (changed(seq=2**53), "seq must be an integer"),
    "seq of zero": (changed(seq=0), "seq must be 1 or more"),
    "number for text": (changed(why=3), "why must be text"),
    "null for text": (changed(why=None), "why must be text"),
    "number for bool": (changed(journaled=1), "journaled must be true or false"),
    "unknown member": (changed(severity="PANIC"), "severity must be one of NOTICE, WARNING, EMERGENCY"),
    "list for member": (changed(severity=[]), "severity must be one of"),
    "epoch without boot": (changed(epoch="4f1c"), "epoch must be"),
    "epoch of another form": (changed(epoch="4f1c.007"), "epoch must be"),
    "epoch too long": (changed(epoch="a" * 200 + ".1"), "epoch must be"),
    "object for list": (changed(objects={}), "objects must be a list"),
    "list for object": (changed(objects=[[]]), "objects[0] must be an object"),
    "other version": (changed(schema_version=2), "schema_version must be 1, but is 2"),
    "true for version": (changed(schema_version=True), "schema_version must be 1"),
    "confidence above one": (
        changed(objects=[{**wire.alert_document(make_alert())["objects"][0], "confidence": 1.5}]),
        "confidence must be in [0, 1]",
    ),
    "NaN": (changed().replace(b'"margin_s": null', b'"margin_s": NaN'), "must be finite"),
    "infinity": (changed().replace(b'"margin_s": null', b'"margin_s": -Infinity'), "must be finite"),
    "number beyond a double": (
        changed().replace(b'"margin_s": null', b'"margin_s": 1e999'),
        "margin_s must be a finite",
    ),
    "many digits": (changed().replace(b'"margin_s": null', b'"margin_s": ' + b"9" * 5000), "must be JSON"),
    "key twice": (changed().replace(b'"seq": 3', b'"seq": 3, "seq": 4'), "'seq' is given twice"),
    "half a surrogate pair": (changed(why="\ud800"), "why must be text that UTF-8 can hold"),
    "not UTF-8": (changed(why="XYZ").replace(b"XYZ", b"\xff\xfe"), "must be JSON in UTF-8"),
    "not JSON": (b"{", "must be JSON"),
    "empty": (b"", "must be JSON"),
    "not an object": (b"[]", "the message must be an object"),
    "too deep": (b"[" * 9 + b"]" * 9, "nested at most 8"),
    "far too deep": (b'{"a":' * 10_000, "nested at most 8"),
    "too large": (b" " * (wire.MAX_MESSAGE_BYTES + 1), "at most 65536 bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_exactly_an_alert_is_refused_with_the_key(case):
    payload, expected = REFUSED[case]
    with pytest.raises(WireError) as caught:
        wire.decode_alert(payload)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else(payload):
    with pytest.raises(WireError):
        wire.decode_alert(payload)
    with pytest.raises(WireError):
        wire.decode_status(payload)


@given(alerts, st.data())
def test_a_damaged_message_is_refused_or_read(alert, data):
    payload = bytearray(wire.encode_alert(alert))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = wire.decode_alert(bytes(payload))
    except WireError:
        return
    assert isinstance(again, Alert)


def test_brackets_in_text_are_no_nesting():
    alert = make_alert(why='[{"' * 50 + "\\")
    assert wire.decode_alert(wire.encode_alert(alert)) == alert


@pytest.mark.parametrize(
    ("alert", "key"),
    [
        (make_alert(seq=2**53), "seq"),
        (make_alert(why=None), "why"),
        (make_alert(why="\ud800"), "why"),
        (make_alert(kind="INTRUSION"), "kind"),
        (make_alert(epoch=Epoch("a" * 200, 1)), "epoch"),
        (make_alert(objects=[OBJECT]), "objects"),
        (make_alert(journaled=0), "journaled"),
        (make_alert(schema_version=2), "schema_version"),
    ],
)
def test_what_nobody_could_read_is_not_sent(alert, key):
    with pytest.raises(WireError, match=key):
        wire.encode_alert(alert)


@pytest.mark.parametrize("age_s", [math.nan, math.inf])
def test_a_status_with_a_number_that_is_none_is_not_sent(age_s):
    status = replace(STATUS, cameras={"cam": CameraStatus(CameraState.NOMINAL, "", age_s)})
    with pytest.raises(WireError, match=r"cameras\.cam\.frame_age_s"):
        wire.encode_status(status)


STATUS = wire.decode_status(
    b'{"site_id":"yard","epoch":"j.1","seq_last":0,"nonces":[],"sections":{},"cameras":{},"trains":[],'
    b'"open_incidents":[],"config_rev":"","lease_s":2.5,"schema_version":1}'
)


@pytest.mark.parametrize("nonce", ["", "x" * 65, "a b", 'a"', "ä", "a\n"])
def test_nonces_of_other_characters_are_neither_sent_nor_read(nonce):
    with pytest.raises(WireError, match="nonces"):
        wire.encode_status(replace(STATUS, nonces=(nonce,)))
    payload = wire.encode_status(STATUS).replace(b'"nonces":[]', b'"nonces":[' + json.dumps(nonce).encode() + b"]")
    with pytest.raises(WireError, match="nonces"):
        wire.decode_status(payload)


def many_objects(count, text):
    return tuple(replace(OBJECT, track_id=number, taxon=text) for number in range(count))


def test_an_alert_that_fits_is_left_as_it_is():
    alert = make_alert(objects=many_objects(200, "Elephas maximus"))
    assert wire.bound_alert(alert) is alert


@settings(max_examples=25)
@given(st.integers(1, 200), st.integers(300, 2000), st.sampled_from(["x", "ä", "\0", '"']))
def test_an_alert_too_long_loses_objects_from_the_end_and_says_so(count, length, character):
    alert = make_alert(objects=many_objects(count, character * length))
    bounded = wire.bound_alert(alert)
    payload = wire.encode_alert(alert)
    assert len(payload) <= wire.MAX_MESSAGE_BYTES
    assert wire.decode_alert(payload) == bounded
    kept = len(bounded.objects)
    assert bounded.objects == alert.objects[:kept]
    if kept == count:
        assert bounded is alert
    else:
        assert bounded.why == f"{alert.why} [{count - kept} of {count} objects left out: the message would be too long]"
        one_more = replace(bounded, objects=alert.objects[: kept + 1])
        with pytest.raises(WireError, match="at most 65536"):
            wire._encode(one_more, Alert)
    assert wire.bound_alert(bounded) is bounded


@pytest.mark.parametrize("character", ["x", "ä", "\0"])
def test_an_alert_with_far_too_long_a_reason_still_goes_out(character):
    alert = make_alert(why=character * 100_000, evidence="clip.mp4")
    bounded = wire.decode_alert(wire.encode_alert(alert))
    assert bounded.why.startswith(character * 1000)
    assert bounded.why.endswith("[shortened; 1 objects left out: the message would be too long]")
    assert replace(bounded, why=alert.why, objects=alert.objects, evidence=alert.evidence) == alert


def test_identifiers_too_long_for_any_alert_are_refused():
    with pytest.raises(WireError, match="shorten identifiers"):
        wire.encode_alert(make_alert(section_id="s" * 70_000))


def test_a_status_too_long_shortens_the_reasons_of_cameras():
    cameras = {f"cam{n}": CameraStatus(CameraState.BLIND, "x" * 10_000, None) for n in range(16)}
    status = wire.decode_status(wire.encode_status(replace(STATUS, cameras=cameras)))
    assert {len(camera.reason) for camera in status.cameras.values()} == {200}


@given(names, names)
def test_topics_are_taken_apart_as_they_were_made(site_id, section_id):
    assert wire.parse_topic(wire.alert_topic(site_id, section_id)) == wire.Topic(site_id, section_id)
    assert wire.parse_topic(wire.status_topic(site_id)) == wire.Topic(site_id, None)


@given(names, names)
def test_the_prefixes_of_a_site_let_its_topics_through(site_id, section_id):
    alert_prefix, status_prefix = wire.subscriptions(site_id)
    assert wire.alert_topic(site_id, section_id).startswith(alert_prefix)
    assert wire.status_topic(site_id).startswith(status_prefix)
    for topic in (wire.alert_topic(site_id, section_id), wire.status_topic(site_id)):
        assert topic.startswith(wire.subscriptions())


@pytest.mark.parametrize(
    "topic",
    [b"", b"alert", b"alert/yard", b"alert/a/b/c", b"status/a/b", b"news/a", b"\xff", b"status/%FF", b"status/%41"],
)
def test_topics_of_another_form_are_refused(topic):
    with pytest.raises(WireError, match="topic must be"):
        wire.parse_topic(topic)


def test_the_document_of_a_status_is_what_the_payload_says():
    assert wire.status_document(STATUS) == json.loads(wire.encode_status(STATUS))


def test_an_identifier_that_utf8_cannot_hold_makes_no_topic():
    with pytest.raises(WireError, match="text that UTF-8 can hold"):
        wire.alert_topic("yard", "\ud800")
