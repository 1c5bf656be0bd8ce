"""Webhooks against a real HTTP server on loopback that fails at first."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json

import pytest

from railwatch.core.alerts import Severity
from railwatch.messaging.bridge import SinkError
from railwatch.messaging.bridge_settings import WebhookSettings
from railwatch.messaging.bridge_webhook import WebhookSink
from railwatch.messaging.events import AlertReceived
from railwatch.messaging.wire import encode_alert
from tests.messaging.bridge_rig import Receiver, feeding, hub
from tests.messaging.rig import make_alert

SECRET = "s3cret"  # noqa: S105 - of the tests


@pytest.fixture
def receiver():
    with contextlib.closing(Receiver()) as made:
        yield made


def sink(receiver, path="hook/t0ken", **changes):
    url = f"http://127.0.0.1:{receiver.port}/{path}"
    return WebhookSink(WebhookSettings(**{"name": "hook", "url": url, "secret": SECRET, **changes}))


def test_every_alert_arrives_in_order_although_the_receiver_fails_at_first(tmp_path, receiver):
    receiver.statuses = [503, 500, 200, 429, 302, 404]
    said = []
    with hub(tmp_path) as site, feeding(site, sink(receiver), tmp_path, said):
        site.alerts(5)
        receiver.wait(lambda: len(receiver.accepted()) >= 5)
    assert receiver.accepted() == [1, 2, 3, 4, 5]
    assert [status for status, *_ in receiver.requests[:7]] == [503, 500, 200, 429, 302, 404, 200]
    assert {path for _, path, *_ in receiver.requests} == {"/hook/t0ken"}, "redirects are not followed"
    assert any("answers 503" in line for line in said)
    assert said[-1] == "hook: takes alerts again"
    assert not any("t0ken" in line or SECRET in line for line in said)


def test_a_request_is_signed_with_its_time_and_names_its_alert(tmp_path, receiver):
    with hub(tmp_path) as site, feeding(site, sink(receiver), tmp_path):
        assert site.publishing.wait_subscribers(1, 30.0)  # what was sent before is fetched, and marked as old
        site.alert(why="Gämse")
        receiver.wait(receiver.accepted)
    _, _, headers, body = receiver.requests[0]
    signed = headers["X-Railwatch-Timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Railwatch-Signature"] == f"sha256={expected}"
    document = json.loads(body)
    assert headers["Idempotency-Key"] == document["alert_id"] == "a1"
    assert (document["why"], document["replayed"]) == ("Gämse", False)


def test_a_bridge_that_was_down_catches_up_and_repeats_nothing_confirmed(tmp_path, receiver):
    with hub(tmp_path) as site:
        with feeding(site, sink(receiver), tmp_path):
            assert site.publishing.wait_subscribers(1, 30.0)
            site.alerts(3)
            receiver.wait(lambda: len(receiver.accepted()) >= 3)
        site.alerts(4)
        site.sent()
        with feeding(site, sink(receiver), tmp_path):
            receiver.wait(lambda: len(receiver.accepted()) >= 7)
            site.alert()
            receiver.wait(lambda: len(receiver.accepted()) >= 8)
    assert receiver.accepted() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [json.loads(body)["replayed"] for *_, body in receiver.requests] == [False] * 3 + [True] * 4 + [False]


def test_a_dead_sink_holds_up_no_other(tmp_path, receiver):
    with contextlib.closing(Receiver([500] * 10_000)) as dead, hub(tmp_path) as site:
        other = WebhookSink(WebhookSettings("dead", f"http://127.0.0.1:{dead.port}/", SECRET))
        with feeding(site, other, tmp_path), feeding(site, sink(receiver), tmp_path):
            site.alerts(20)
            receiver.wait(lambda: len(receiver.accepted()) >= 20)
            dead.statuses.clear()
            dead.wait(lambda: len(dead.accepted()) >= 20)
    assert dead.accepted() == receiver.accepted() == list(range(1, 21))


@pytest.mark.parametrize("port", [1, 9])
def test_an_error_tells_no_address(port):
    made = WebhookSink(WebhookSettings("hook", f"http://127.0.0.1:{port}/t0ken", SECRET))
    made.open()
    alert = make_alert(1, severity=Severity.EMERGENCY)
    with pytest.raises(SinkError) as caught:
        made.take(AlertReceived(alert, encode_alert(alert)))
    assert "t0ken" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    made.close()
