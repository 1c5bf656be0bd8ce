"""The threats of EN 50159, each by a man in the middle who sees every byte between a hub and its client.

He sits on the way of the alerts and meddles with single messages of the encrypted stream.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter

import pytest

from railwatch.core.alerts import SectionState
from railwatch.messaging import link
from railwatch.messaging.client import Client
from railwatch.messaging.events import AlertReceived, StatusReceived
from railwatch.messaging.guard import Guard
from railwatch.messaging.keys import ClientKeys, KeyStore
from railwatch.messaging.roles import Role
from tests.messaging.guard_rig import BODY, Context
from tests.messaging.journal_rig import outlet, publish
from tests.messaging.rig import CLEAR

COUNT = 30
GREETING_BYTES, HANDSHAKE_FRAMES = 64, 2
"""What a hub sends before its messages: the greeting, WELCOME and READY (CurveZMQ, RFC 26)."""


def read_exactly(source, count):
    found = b""
    while len(found) < count:
        piece = source.recv(count - len(found))
        if not piece:
            raise ConnectionError
        found += piece
    return found


def read_frame(source):
    """One frame of ZMTP 3.1, whole."""
    flags = read_exactly(source, 1)
    length = read_exactly(source, 8 if flags[0] & 2 else 1)
    return flags + length + read_exactly(source, int.from_bytes(length, "big"))


class Middleman:
    """Passes on what a client sends; gives each message of the hub to `meddle`, which gives those to pass on."""

    def __init__(self, endpoint):
        self._upstream = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self.meddle = lambda frame: [frame]
        self.connections = 0
        self._sockets, self._threads = [], []
        self._start(self._accept)

    def _start(self, run, *arguments):
        thread = threading.Thread(target=run, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._sockets.append(client)
                hub = socket.create_connection(self._upstream)
                self._sockets.append(hub)
                self.connections += 1
                self._start(self._up, client, hub)
                self._start(self._down, hub, client)

    def _up(self, client, hub):
        with contextlib.suppress(OSError):
            while piece := client.recv(65536):
                hub.sendall(piece)
        self._end(client, hub)

    def _down(self, hub, client):
        with contextlib.suppress(OSError):
            for _ in range(GREETING_BYTES):  # each end waits for the first bytes of the other's
                client.sendall(read_exactly(hub, 1))
            for _ in range(HANDSHAKE_FRAMES):
                client.sendall(read_frame(hub))
            while True:
                for passed in self.meddle(read_frame(hub)):
                    client.sendall(passed)
        self._end(client, hub)

    @staticmethod
    def _end(*sockets):
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._threads[0].join()  # no further connection from here on
        self._end(*self._sockets)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()


class Scene:
    """A guarded hub with a journal, the man in the middle, and a client with a key."""

    def __init__(self, publishing, middleman, client):
        self.publishing, self.middleman, self.client, self.seq = publishing, middleman, client, 0
        self.events = []

    def alert(self):
        self.seq += 1
        publish(self.publishing, self.seq, alert_id=f"a{self.seq}", why=f"alert {self.seq}")

    def turn(self):
        self.publishing.set_status(BODY)
        self.events += self.client.poll(0.02)

    def until(self, true, timeout_s=15.0):
        end_s = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < end_s, self.events[-3:]
            self.turn()

    def alerts(self):
        return [event.alert for event in self.events if isinstance(event, AlertReceived)]

    def send_all(self):
        """Send the alerts; every one must come, unchanged, once and in order."""
        for _ in range(COUNT):
            self.alert()
            self.turn()
        self.until(lambda: len(self.alerts()) >= COUNT)
        for _ in range(5):
            self.turn()
        assert [(alert.seq, alert.why) for alert in self.alerts()] == [(n, f"alert {n}") for n in range(1, COUNT + 1)]


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(link, "DEAF_S", 1.5)  # a Status comes every second
    store = KeyStore(tmp_path / "keys")
    keys = ClientKeys.load(store.new("desk", Role.SUBSCRIBER))
    with (
        Context() as context,
        Guard(context, store) as guard,
        outlet(tmp_path / "j.db", guard=guard) as publishing,
        contextlib.closing(Middleman(publishing.endpoint)) as middleman,
        Client(middleman.endpoint, publishing.request_endpoint, keys=keys) as client,
    ):
        made = Scene(publishing, middleman, client)
        made.until(lambda: any(isinstance(event, StatusReceived) for event in made.events))
        yield made


def once_in(every, meddled):
    """Does something to one message in so many, and passes on the others; counts what it did."""
    seen = Counter()

    def meddle(frame):
        seen["frames"] += 1
        if seen["frames"] % every:
            return [frame]
        seen["meddled"] += 1
        return meddled(frame)

    return meddle, seen


def test_repetition_hands_nothing_over_twice(scene):
    scene.middleman.meddle, seen = once_in(20, lambda frame: [frame, frame])
    scene.send_all()
    assert seen["meddled"] > 0


def test_deletion_is_noticed_and_what_is_missing_is_fetched(scene):
    scene.middleman.meddle, seen = once_in(4, lambda frame: [])
    scene.send_all()
    assert seen["meddled"] > 0


def test_insertion_of_what_was_never_sent_ends_the_connection_and_changes_nothing(scene):
    forged = b"\x00\x20" + b"\x07MESSAGE".ljust(32, b"\x5a")
    scene.middleman.meddle, seen = once_in(20, lambda frame: [forged, frame])
    scene.send_all()
    assert seen["meddled"] > 0
    assert scene.middleman.connections > 1


def test_resequencing_hands_everything_over_in_order(scene):
    kept = []

    def swap(frame):
        kept.append(frame)
        return []

    inner, seen = once_in(20, swap)

    def meddle(frame):
        passed = inner(frame)
        return [*passed, kept.pop()] if passed and kept else passed

    scene.middleman.meddle = meddle
    scene.send_all()
    assert seen["meddled"] > 0


@pytest.mark.parametrize("place", [0.0, 0.5])
def test_corruption_of_any_byte_is_never_handed_over(scene, place):
    def flip(frame):
        at = int(place * (len(frame) - 1))
        return [frame[:at] + bytes([frame[at] ^ 0x10]) + frame[at + 1 :]]

    scene.middleman.meddle, seen = once_in(20, flip)
    scene.send_all()
    assert seen["meddled"] > 0


def test_delay_turns_clear_into_unknown_and_a_late_message_does_not_bring_it_back(scene, monkeypatch):
    monkeypatch.setattr(link, "DEAF_S", 60.0)  # what is late must come on the same connection
    scene.until(lambda: scene.client.state("s1") is CLEAR)
    held, released = [], threading.Event()

    def hold(frame):
        held.append(frame)
        if released.is_set() and held:
            released.clear()
            return [held[0]]
        return []

    scene.middleman.meddle = hold
    begun_s = time.monotonic()
    scene.until(lambda: scene.client.state("s1") is SectionState.UNKNOWN)
    scene.until(lambda: time.monotonic() > begun_s + 2.0)  # the proof in the first that is held is then too old
    assert held, "the hub has said CLEAR all the time"
    before = len(scene.events)
    released.set()
    scene.until(lambda: any(isinstance(event, StatusReceived) for event in scene.events[before:]))
    late = next(event for event in scene.events[before:] if isinstance(event, StatusReceived))
    assert late.status.sections["s1"] is CLEAR
    assert scene.client.state("s1") is SectionState.UNKNOWN
    scene.middleman.meddle = lambda frame: [frame]
    scene.until(lambda: scene.client.state("s1") is CLEAR)


def test_masquerade_as_the_hub_is_heard_by_nobody(scene, tmp_path):
    """Another hub with keys of its own, at the address where the client expects its own."""
    other = KeyStore(tmp_path / "other")
    other.new("desk", Role.SUBSCRIBER)
    with Context() as context, Guard(context, other) as guard, outlet(tmp_path / "o.db", guard=guard) as false:
        scene.middleman._upstream = ("127.0.0.1", int(false.endpoint.rpartition(":")[2]))
        scene.middleman._end(*scene.middleman._sockets)
        scene.events.clear()
        end_s = time.monotonic() + 0.8
        for seq in range(1, 20):
            publish(false, seq, why="false")
            scene.turn()
        while time.monotonic() < end_s:
            scene.turn()
    assert scene.alerts() == []
    assert not any(isinstance(event, StatusReceived) for event in scene.events)
