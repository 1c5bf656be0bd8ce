"""`railwatch ack` and `listen --ack`, as programs, against a hub that decides what an acknowledgement is worth."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

from railwatch.core.alerts import AckLevel, AlertKind, OpenIncident, Severity
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.requests import (
    ACK_VERB,
    ACKED_VERB,
    REFUSED_VERB,
    Acked,
    AckRequest,
    Refused,
    decode_body,
    encode_body,
)
from tests.messaging.rig import CLEAR, make_alert, publisher

OPEN = (
    OpenIncident("j.1-i1", "s1", AlertKind.INTRUSION, Severity.EMERGENCY, "then", None, None, ("signaller",)),
    OpenIncident("j.1-i21", "", AlertKind.SYSTEM, Severity.WARNING, "then", AckLevel.DISPLAYED, "desk", (), "journal"),
    OpenIncident("j.1-i31", "s1", AlertKind.BLINDNESS, Severity.NOTICE, "then"),
)


class Hub:
    """A publisher with three open incidents; it refuses acknowledgements of anybody called Mallory."""

    def __init__(self):
        self.asked = []
        self.publisher = publisher(handlers={ACK_VERB: self._take}, body=StatusBody({"s1": CLEAR}, open_incidents=OPEN))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._decide)
        self._thread.start()

    def _decide(self):
        while not self._ended.wait(0.2):
            self.publisher.set_status(StatusBody({"s1": CLEAR}, open_incidents=OPEN))

    def _take(self, peer, payload):
        request = decode_body(payload, AckRequest)
        self.asked.append((request.incident_id, request.level, request.by))
        if request.by == "Mallory":
            self.publisher.reply(peer, REFUSED_VERB, encode_body(Refused(request.request, "Mallory is in no group")))
        else:
            self.publisher.reply(peer, ACKED_VERB, encode_body(Acked(request.request)))

    def end(self):
        self._ended.set()
        self._thread.join()
        self.publisher.close()


@pytest.fixture(scope="module")
def hub():
    made = Hub()
    yield made
    made.end()


@pytest.fixture(autouse=True)
def forgotten(hub):
    hub.asked.clear()


def run(hub, *arguments):
    command = [sys.executable, "-m", "railwatch", *arguments, "--connect", hub.publisher.endpoint]
    command += ["--request-connect", hub.publisher.request_endpoint]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_what_is_open_is_listed(hub):
    done = run(hub, "ack", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "j.1-i1  EMERGENCY  INTRUSION  s1  not received  since then  told to signaller",
        "j.1-i21  WARNING  SYSTEM  whole site  journal  DISPLAYED by desk  since then",
        "j.1-i31  NOTICE  BLINDNESS  s1  not received  since then",
    ]
    assert hub.asked == []


def test_the_list_is_json_for_programs(hub):
    done = run(hub, "ack", "--list", "--json")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [document["incident_id"] for document in documents] == ["j.1-i1", "j.1-i21", "j.1-i31"]
    assert documents[1]["level"] == "DISPLAYED"
    assert documents[1]["fault"] == "journal"


@pytest.mark.parametrize(("text", "name"), [("j.1-i1", "j.1-i1"), ("i21", "j.1-i21"), ("i1", "j.1-i1")])
def test_a_person_acknowledges_by_the_name_or_its_end(hub, text, name):
    done = run(hub, "ack", text, "--by", "Anna Berg")
    assert (done.returncode, done.stderr) == (0, f"{name}: ACKNOWLEDGED by Anna Berg\n")
    assert hub.asked == [(name, AckLevel.ACKNOWLEDGED, "Anna Berg")]


def test_a_program_says_what_level(hub):
    assert run(hub, "ack", "i21", "--by", "desk", "--level", "received").returncode == 0
    assert hub.asked == [("j.1-i21", AckLevel.RECEIVED, "desk")]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("i1", "--by", "Mallory"), 5, "refuses it: Mallory is in no group"),
        (("1", "--by", "Anna"), 5, "j.1-i1, j.1-i21, j.1-i31 all end so"),
        (("i9", "--by", "Anna"), 5, "'i9' is given: open are j.1-i1, j.1-i21, j.1-i31"),
        (("i1",), 2, "--by must name the person"),
        (("i1", "--by", "A" * 300), 2, "--by must be a name"),
    ],
)
def test_what_does_not_count_is_told_in_one_line(hub, arguments, code, words):
    done = run(hub, "ack", *arguments)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_listen_answers_for_what_is_open_and_for_what_comes(hub):
    hub.publisher.publish(make_alert(1, incident_id="j.1-i40"))
    done = run(hub, "listen", "--ack", "displayed", "--by", "console", "--for", "3", "--json")
    assert done.returncode == 0
    deadline_s = time.monotonic() + 20.0
    while len(set(hub.asked)) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert set(hub.asked) == {
        ("j.1-i1", AckLevel.DISPLAYED, "console"),
        ("j.1-i31", AckLevel.DISPLAYED, "console"),
    }
    assert {json.loads(line).get("accepted") for line in done.stdout.splitlines()} == {None, True}
