"""Connections that have no business here: none reaches the application, and those that have are served."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter

import pytest

from benchmarks.flood_attacker import CURVE, garbage
from railwatch.messaging import desk, doors, publisher
from railwatch.messaging.frames import receive_signed
from tests.messaging.guard_rig import guarded, wait


@pytest.fixture
def senders(monkeypatch):
    """Who sent the messages that reached the application."""
    found = Counter()

    def counted(source, most):
        received = receive_signed(source, most)
        if received is not None and received[0][0][:1] != b"\0":  # that somebody went is told by libzmq itself
            found[received[1]] += 1
        return received

    def unsigned(source, most):
        received = counted(source, most)
        return None if received is None else received[0]

    monkeypatch.setattr(publisher, "receive", unsigned)
    monkeypatch.setattr(desk, "receive_signed", counted)
    return found


def port(endpoint):
    return int(endpoint.rpartition(":")[2])


def connections(site):
    return sum(len(each._doors) for each in site.guard._doors)


def closed(made):
    """Whether the other end has ended a connection."""
    made.setblocking(False)
    try:
        while made.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def test_garbage_and_half_open_connections_reach_nobody_and_a_good_client_is_served(tmp_path, senders):
    with guarded(tmp_path / "keys") as site, contextlib.ExitStack() as stack:
        for end in (site.publisher.endpoint, site.publisher.request_endpoint):
            for number in range(20):
                held = stack.enter_context(socket.create_connection(("127.0.0.1", port(end))))
                held.send(CURVE[: 20 * (number % 3)])
            for number in range(150):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port(end))) as made:
                    made.send(garbage(number))
        site.served(site.good)
        assert site.guard.trouble is None
    assert set(senders) == {"good"}


def test_a_half_open_connection_is_ended(tmp_path):
    with guarded(tmp_path / "keys") as site:
        with socket.create_connection(("127.0.0.1", port(site.publisher.endpoint))) as made:
            wait(lambda: connections(site) == 1)
            begun_s = time.monotonic()
            wait(lambda: closed(made))
        assert time.monotonic() - begun_s < 10.0
        wait(lambda: connections(site) == 0)


def test_too_many_at_the_door_are_put_out_the_oldest_first_and_who_was_let_in_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(doors, "MAX_HANDSHAKES", 8)
    with guarded(tmp_path / "keys") as site, contextlib.ExitStack() as stack, site.client(site.good) as client:
        wait(lambda: all(site.traffic(client, 0.05)))
        made = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port(site.publisher.endpoint))))
            for _ in range(20)
        ]
        wait(lambda: site.guard.put_out >= 11)
        wait(lambda: closed(made[0]))
        assert not closed(made[-1])
        assert all(site.traffic(client))
        site.served(site.good)


def test_a_number_that_is_another_connection_by_now_is_not_touched(tmp_path):
    with guarded(tmp_path / "keys") as site, socket.create_connection(("127.0.0.1", port(site.publisher.endpoint))):
        wait(lambda: connections(site) == 1)
        watched = next(each for each in site.guard._doors if each._doors)
        left, right = socket.socketpair()
        with left, right:
            door = next(iter(watched._doors.values()))
            watched._doors[left.fileno()] = door
            watched._put_out(left.fileno())
            left.send(b"x")
            assert right.recv(1) == b"x"


def test_who_is_gone_before_it_is_looked_at_is_nobody(tmp_path):
    with guarded(tmp_path / "keys") as site, socket.socket() as unconnected:
        wait(lambda: site.guard._doors)
        watched = site.guard._doors[0]
        before = dict(watched._doors)
        watched._accepted(unconnected.fileno())
        watched._accepted(10_000)
        assert watched._doors == before
        site.served(site.good)
