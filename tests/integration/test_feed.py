"""Feeds of trains and possessions into a running hub: fresh, stale, contradicting, lying, and under whose name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import zmq

from railwatch.core.alerts import AlertKind, Severity
from railwatch.messaging.asking import new_name
from railwatch.messaging.client import Client
from railwatch.messaging.endpoints import next_port
from railwatch.messaging.events import AlertReceived, Answered
from railwatch.messaging.keys import ClientKeys, KeyStore
from railwatch.messaging.requests import (
    ACKED_VERB,
    NOTED_VERB,
    NOW_VERB,
    REFUSED_VERB,
    TRAIN_VERB,
    Noted,
    NowRequest,
    Refused,
    TrainRequest,
    decode_body,
    encode_body,
)
from railwatch.messaging.roles import Role
from tests.hub_rig import ROOT, Follower, RunningHub, stopped, wait_until, write_site

SOMEBODY = (True,) * 20
WARNING, EMERGENCY, NOTICE = Severity.WARNING, Severity.EMERGENCY, Severity.NOTICE


def feeding_site(folder, sources, extra=""):
    """A site on whose track somebody always is, with sources of trains for the track `up`."""
    path = write_site(folder, persons=SOMEBODY)
    text = path.read_text(encoding="utf-8").replace("section_id: s-east,", "section_id: s-east, rail_track_id: up,")
    path.write_text(
        f"{text}train_sources: {json.dumps(sources)}\nself_test: {{interval_s: 0}}\n{extra}", encoding="utf-8"
    )
    return path


def railwatch(*arguments, stdin=None):
    """A command as its user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "railwatch", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


class Feed:
    """A source that reports every 0.2 s what it is told to, until it falls silent."""

    def __init__(self, endpoint, source, keys=None):
        self.says, self.answers = None, []
        self._client = Client(endpoint, keys=keys)
        self._source, self._stop = source, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        with self._client as client:
            while not self._stop.is_set():
                if self.says is not None:
                    seq = time.time_ns() // 1000
                    body = TrainRequest(new_name(), self._source, "up", "east", seq, 0.0, **self.says)
                    client.ask(TRAIN_VERB, body)
                until_s = time.monotonic() + 0.2
                while time.monotonic() < until_s:
                    self.answers += [event for event in client.poll(0.05) if isinstance(event, Answered)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10.0)


def severity(client):
    """The severity of the intrusion now, None without one."""
    alerts = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
    told = [alert for alert in alerts if alert.kind is AlertKind.INTRUSION]
    return told[-1].severity if told else None


def wait_severity(client, wanted, why=""):
    def so():
        alerts = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
        told = [alert for alert in alerts if alert.kind is AlertKind.INTRUSION]
        return bool(told) and told[-1].severity is wanted and why in told[-1].why

    wait_until(so, 30.0, f"{wanted} {why}")


def test_what_a_feed_says_decides_and_its_silence_counts_as_a_train(tmp_path):
    sources = [{"source_id": "interlocking", "rail_track_ids": ["up"], "authoritative": True, "max_age_s": 1.5}]
    with RunningHub(feeding_site(tmp_path, sources)) as hub, Follower(hub.endpoint) as client:
        wait_severity(client, EMERGENCY, "has not reported")
        with Feed(hub.endpoint, "interlocking") as feed:
            feed.says = {"authoritative": True}
            wait_severity(client, WARNING)
            feed.says = {"eta_s": 400.0, "speed_mps": 20.0, "distance_m": 8000.0}
            threading.Event().wait(1.5)
            assert severity(client) is WARNING
            feed.says = {"eta_s": 25.0, "speed_mps": 20.0, "distance_m": 500.0}
            wait_severity(client, EMERGENCY, "stop the train")
            feed.says = {"authoritative": True, "occupied": False, "signal": None}
            wait_severity(client, WARNING)
            feed.says = {"eta_s": 25.0, "speed_mps": 20.0, "distance_m": 50_000.0}
            wait_severity(client, EMERGENCY, "contradicts itself")
            feed.says = {"authoritative": True}
            wait_severity(client, WARNING)
            assert all(answer.accepted for answer in feed.answers)
        wait_severity(client, EMERGENCY, "the last report of interlocking is")


class Bare:
    """A feed that speaks the wire itself, so that it can hold back and send again what a client would not."""

    def __init__(self, endpoint):
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.connect(next_port("connect", endpoint))

    def send(self, verb, body):
        self._socket.send_multipart([verb, encode_body(body)])

    def answer(self):
        """The next answer: verb and payload."""
        assert self._socket.poll(20_000), "no answer came"
        return self._socket.recv_multipart()

    def moment(self):
        self.send(NOW_VERB, NowRequest("now"))
        verb, payload = self.answer()
        assert verb == NOTED_VERB
        return decode_body(payload, Noted).moment

    def vouch(self, seq, after, **says):
        """Say that no train comes."""
        self.send(TRAIN_VERB, TrainRequest(f"r{seq}", "feed", "up", "east", seq, 0.0, after=after, **says))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._context.destroy(linger=0)


def ages(client, after=0):
    """How old what the feed said is in every Status from the one numbered `after` on."""
    return [train.age_s for status in client.statuses()[after:] for train in status.trains if train.age_s is not None]


def test_what_waited_in_a_hub_that_was_stopped_is_as_old_as_it_is(tmp_path):
    sources = [{"source_id": "feed", "authoritative": True, "max_age_s": 1.5}]
    with (
        RunningHub(feeding_site(tmp_path, sources)) as hub,
        Follower(hub.endpoint) as client,
        Bare(hub.endpoint) as feed,
    ):
        wait_severity(client, EMERGENCY, "has not reported")
        after = feed.moment()
        with stopped(hub.process.pid):
            feed.vouch(1, after, authoritative=True)
            threading.Event().wait(2.5)
        assert feed.answer()[0] == ACKED_VERB
        wait_until(lambda: len(ages(client)) >= 2, 20.0, "a Status with the report")
        assert min(ages(client)) >= 2.5
        told = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
        assert {alert.severity for alert in told if alert.kind is AlertKind.INTRUSION} == {EMERGENCY}
        feed.vouch(2, feed.moment(), authoritative=True)
        assert feed.answer()[0] == ACKED_VERB
        wait_until(lambda: min(ages(client)) < 1.5, 20.0, "a fresh report")
        with Client(hub.endpoint) as asking:  # it is stopped before it gives a moment: then the client counts
            with stopped(hub.process.pid):
                asking.ask(TRAIN_VERB, TrainRequest(new_name(), "feed", "up", "east", 3, 0.0, authoritative=True))
                assert not [event for event in asking.events(2.5) if isinstance(event, Answered)]
                before = len(client.statuses())
            assert next(event for event in asking.events(20.0) if isinstance(event, Answered)).accepted
        wait_until(lambda: len(ages(client, before)) >= 3, 20.0, "a Status with the report")
        assert min(ages(client, before)) >= 2.5


def test_a_moment_that_this_hub_never_gave_is_refused(running):
    with Bare(running.endpoint) as feed:
        moment = feed.moment()
        later = f"{int(moment.split('-')[0]) + 60_000}-{moment.split('-')[1]}"
        for number, after in enumerate((None, later, "12-ab")):
            feed.vouch(2**50 + number, after)
            verb, payload = feed.answer()
            assert verb == REFUSED_VERB
            assert "a moment that this run of the hub noted" in decode_body(payload, Refused).reason


def test_two_feeds_that_contradict_each_other_count_as_a_train_now(tmp_path):
    sources = [{"source_id": name, "authoritative": True, "max_age_s": 2.0} for name in ("one", "two")]
    with (
        RunningHub(feeding_site(tmp_path, sources)) as hub,
        Follower(hub.endpoint) as client,
        Feed(hub.endpoint, "one") as one,
        Feed(hub.endpoint, "two") as two,
    ):
        one.says = two.says = {"authoritative": True}
        wait_severity(client, WARNING)
        two.says = {"eta_s": 600.0}
        wait_severity(client, EMERGENCY, "they contradict each other")


def test_a_feed_speaks_under_the_name_of_its_key_only(tmp_path):
    store = KeyStore(tmp_path / "keys")
    keys = {
        name: ClientKeys.load(store.new(name, role, tmp_path / f"{name}.key"))
        for name, role in (("interlocking", Role.FEED), ("other", Role.FEED), ("anna", Role.OPERATOR))
    }
    sources = [{"source_id": "interlocking", "authoritative": True, "max_age_s": 600}]
    path = feeding_site(tmp_path, sources)
    text = path.read_text(encoding="utf-8").replace('messaging: {bind: "', 'messaging: {keys: keys, bind: "')
    path.write_text(text, encoding="utf-8")
    with RunningHub(path) as hub, Follower(hub.endpoint, keys=keys["anna"]) as client:
        wait_severity(client, EMERGENCY, "has not reported")
        lie = ("train", "--track", "up", "--vouch", "--connect", hub.endpoint)
        for name, words in (("anna", "must have another role"), ("other", "must be the name of the key")):
            said = railwatch(*lie, "--source", "interlocking", "--keys", str(tmp_path / f"{name}.key"))
            assert (said.returncode, words in said.stderr) == (5, True), said
        assert severity(client) is EMERGENCY
        said = railwatch(*lie, "--keys", str(tmp_path / "interlocking.key"))
        assert said.returncode == 0, said.stderr
        wait_severity(client, WARNING)


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ('{"rail_track_id": "up", "authoritative": true}', 0, ""),
        ('{"rail_track_id": "down"}', 5, "rail_track_id must be one of up"),
        ('{"rail_track_id": "up", "age_s": -5}', 2, "age_s must be 0 or more"),
        ('{"rail_track_id": "up", "speed": 5}', 2, "a report must be one that docs/wire.md describes"),
        ("[1]", 2, "line 1 must be one JSON object"),
        ("no json", 2, "line 1 must be one JSON object"),
    ],
)
def test_reports_line_by_line(running, line, code, words):
    said = railwatch("train", "--follow", "--source", "feed", "--connect", running.endpoint, stdin=line + "\n")
    assert said.returncode == code, said
    assert words in said.stderr
    assert "Traceback" not in said.stderr


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A hub with one feed, which nobody sends yet."""
    folder = tmp_path_factory.mktemp("feed")
    with RunningHub(feeding_site(folder, [{"source_id": "feed", "authoritative": True, "max_age_s": 600}])) as hub:
        hub.wait_line("is armed")
        yield hub


def test_a_possession_lowers_what_is_no_emergency_and_ends(tmp_path):
    sources = [{"source_id": "feed", "authoritative": True, "max_age_s": 600}]
    with RunningHub(feeding_site(tmp_path, sources)) as hub, Follower(hub.endpoint) as client:
        connect = ("--connect", hub.endpoint)
        assert railwatch("train", "--track", "up", "--vouch", "--source", "feed", *connect).returncode == 0
        wait_severity(client, WARNING)
        grant = railwatch("possession", "grant", "up", "--holder", "Ann Lee", "--minutes", "5", *connect)
        assert grant.returncode == 0, grant.stderr
        wait_severity(client, NOTICE, "under a possession")
        assert railwatch("train", "--track", "up", "--eta", "20", "--source", "feed", *connect).returncode == 0
        wait_severity(client, EMERGENCY)
        assert railwatch("train", "--track", "up", "--vouch", "--source", "feed", *connect).returncode == 0
        wait_severity(client, NOTICE)
        assert railwatch("possession", "end", "up", "--holder", "Ann Lee", *connect).returncode == 0
        wait_severity(client, WARNING)
        wrong = railwatch("possession", "grant", "nowhere", "--holder", "Ann", "--minutes", "5", *connect)
        assert (wrong.returncode, "must be one that a zone names, up" in wrong.stderr) == (5, True)
        assert railwatch("possession", "grant", "up", "--holder", "Ann Lee", "--minutes", "5", *connect).returncode == 0
        wait_severity(client, NOTICE, "under a possession")
        hub.send(signal.SIGKILL)
        hub.process.wait()
        with RunningHub(hub.site_file):  # nobody knows how long the hub was away: no possession is left
            wait_severity(client, EMERGENCY, "has not reported")
            assert railwatch("train", "--track", "up", "--vouch", "--source", "feed", *connect).returncode == 0
            wait_severity(client, WARNING)
