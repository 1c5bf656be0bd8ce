"""Only who has a key of the site gets in: everybody else hears nothing and is not heard."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

import pytest
import zmq

from railwatch.messaging.client import Client
from railwatch.messaging.events import AlertReceived
from railwatch.messaging.guard import Guard
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.keys import ClientKeys, KeyStore
from railwatch.messaging.roles import Role
from tests.messaging.rig import CLEAR, make_alert, publisher, until

LISTEN_S = 0.7
"""How long a client that must hear nothing is listened to; a good one is served within a few milliseconds."""

BODY = StatusBody({"s1": CLEAR})


class Site:
    """A guarded publisher with its folder of keys."""

    def __init__(self, folder):
        self.store = KeyStore(folder)
        self.context = zmq.Context()
        self.guard = Guard(self.context, self.store)
        self.publisher = publisher(guard=self.guard)
        self.seq = 0

    def keys(self, name, role=Role.SUBSCRIBER):
        keys = ClientKeys.load(self.store.new(name, role))
        wait(lambda: self.guard.may(name, b"NONCE"))
        return keys

    def client(self, keys):
        return Client(self.publisher.endpoint, self.publisher.request_endpoint, keys=keys)

    def alert(self):
        self.seq += 1
        self.publisher.publish(make_alert(self.seq))
        self.publisher.set_status(BODY)

    def close(self):
        self.publisher.close()
        self.guard.close()
        self.context.term()


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path / "keys")
    with contextlib.closing(made):
        yield made


def wait(true, timeout_s=20.0):
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def heard(site, keys):
    """How much a client with these keys hears, and how many nonces it gets across, while alerts go out."""
    nonces = []
    taken = site.publisher._desk._on_nonce
    site.publisher._desk._on_nonce = lambda *frames: nonces.append(frames) or taken(*frames)
    with site.client(keys) as client:
        end_s = time.monotonic() + LISTEN_S
        events = []
        while time.monotonic() < end_s:
            site.alert()
            events += client.poll(0.05)
    return len(events), len(nonces)


def test_a_key_of_the_site_is_served(site):
    with site.client(site.keys("control-room")) as client:
        assert site.publisher.wait_subscribers(1, 20.0)
        site.alert()
        until(client, lambda event: isinstance(event, AlertReceived))
        until(client, lambda _: client.state("s1") is CLEAR, site.publisher, BODY)


def test_strangers_hear_nothing_and_are_not_heard(site, tmp_path):
    good = site.keys("good")
    other = KeyStore(tmp_path / "other")
    stranger = ClientKeys.load(other.new("good", Role.SUBSCRIBER))
    unknown = replace(stranger, server=good.server)
    wrong_server = replace(good, server=stranger.server)
    for keys in (None, unknown, wrong_server):
        assert heard(site, keys) == (0, 0)
    events, nonces = heard(site, good)
    assert events > 0
    assert nonces > 0
