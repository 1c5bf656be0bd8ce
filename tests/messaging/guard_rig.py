"""A guarded publisher with its folder of keys, and how much a client hears of it."""

from __future__ import annotations

import contextlib
import time

import zmq

from railwatch.messaging.client import Client
from railwatch.messaging.guard import Guard
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.keys import ClientKeys, KeyStore
from railwatch.messaging.roles import Role
from tests.messaging.rig import CLEAR, make_alert, publisher

LISTEN_S = 0.6
"""How long one that must hear nothing is listened to; a good client is served within a few milliseconds."""

BODY = StatusBody({"s1": CLEAR})


def wait(true, timeout_s=20.0):
    """Until it is so."""
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s, "never came about"
        time.sleep(0.005)


class Context(zmq.Context):
    """Ends without waiting for what was not sent."""

    def __exit__(self, *_):
        self.destroy(linger=0)


class Site:
    """A publisher that only lets in who has a key; `good` has one, `nonces` are those that came in."""

    def __init__(self, folder, **options):
        self.store = KeyStore(folder)
        self.good = ClientKeys.load(self.store.new("good", Role.SUBSCRIBER))
        self.context = zmq.Context()
        self.troubles = []
        self.guard = Guard(self.context, self.store, on_trouble=lambda *told: self.troubles.append(told))
        self.publisher = publisher(guard=self.guard, **options)
        self.seq, self.nonces = 0, []
        self._put = self.publisher._desk._on_nonce
        self.publisher._desk._on_nonce = self._count

    def _count(self, *frames):
        self.nonces.append(frames)
        self._put(*frames)

    def keys(self, name, role=Role.SUBSCRIBER):
        """A new key that is let in by now."""
        keys = ClientKeys.load(self.store.new(name, role))
        wait(lambda: self.guard.may(name, b"NONCE"))
        return keys

    def client(self, keys):
        return Client(self.publisher.endpoint, self.publisher.request_endpoint, keys=keys)

    def alert(self, **changes):
        self.seq += 1
        self.publisher.publish(make_alert(self.seq, **changes))
        self.publisher.set_status(BODY)

    def traffic(self, client, for_s=LISTEN_S):
        """How much reaches a client, and how many of its nonces reach the site, while alerts go out."""
        before, heard, end_s = len(self.nonces), 0, time.monotonic() + for_s
        while time.monotonic() < end_s:
            self.alert()
            heard += len(client.poll(0.02))
        return heard, len(self.nonces) - before

    def served(self, keys):
        """Wait until somebody with these keys hears the site and is heard by it."""
        with self.client(keys) as client:
            wait(lambda: all(self.traffic(client, 0.05)))
        seen = -1
        while seen != len(self.nonces):  # what it sent before it left is still on its way
            seen = len(self.nonces)
            time.sleep(0.2)

    def close(self):
        self.publisher.close()
        self.guard.close()
        self.context.term()


@contextlib.contextmanager
def guarded(folder, **options):
    """A `Site` that is closed at the end, in the right order."""
    with contextlib.closing(Site(folder, **options)) as made:
        yield made
