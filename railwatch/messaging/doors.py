"""The connections of one guarded socket: who is at the door, how many at a time, and putting them out.

libzmq tells of connections only as file descriptors on a monitor socket, and has no call that ends one. A descriptor of
this process can be shut down, though: libzmq then sees its peer go. Each is duplicated and compared first, so that
never another file is touched that got the number meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import zmq
from zmq.utils.monitor import parse_monitor_message

HANDSHAKE_S: Final = 2.0
"""libzmq ends a handshake that takes longer (HANDSHAKE_IVL): whoever is there longer was let in."""

MAX_HANDSHAKES: Final = 256
"""Handshakes at a time on one socket; beyond it the oldest of the address with most of them is put out."""

BACKLOG: Final = 1024
"""Connections that the kernel keeps until libzmq accepts them; with its 100 a flood makes others wait a second."""

_EVENTS: Final = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED
_BYTES_RECEIVED_AT: Final = 128
"""Where `struct tcp_info` of Linux has tcpi_bytes_received."""

_PROVEN_BYTES: Final = 530
"""Whoever was let in has sent as much: 64 of greeting, 202 of HELLO, 264 or more of INITIATE (CurveZMQ, RFC 26)."""

_Ends = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class _Door:
    """A connection: its two ends as the kernel names them, and when it was accepted."""

    ends: _Ends
    since_s: float

    @property
    def address(self) -> str:
        return str(self.ends[1][0])


class Doors:
    """Watches one socket. Construct it in the thread that owns the socket; all else is done by one other thread."""

    def __init__(self, guarded: zmq.Socket[bytes], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._doors: dict[int, _Door] = {}
        self.put_out = 0
        """Connections ended so far because too many knocked at a time."""
        guarded.setsockopt(zmq.BACKLOG, BACKLOG)
        guarded.setsockopt(zmq.HANDSHAKE_IVL, int(HANDSHAKE_S * 1000))
        address = f"inproc://railwatch.doors.{id(self)}"
        guarded.monitor(address, _EVENTS)
        self.events: zmq.Socket[bytes] = guarded.context.socket(zmq.PAIR)
        # A full queue would hold up the I/O thread of libzmq, and with it every alert: this one is never full.
        self.events.setsockopt(zmq.RCVHWM, 0)
        self.events.setsockopt(zmq.LINGER, 0)
        self.events.connect(address)

    def take(self) -> bool:
        """Take what happened and put out whoever is too many; false when the socket was closed."""
        while True:
            try:
                event = parse_monitor_message(self.events.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                break
            if event["event"] == zmq.EVENT_MONITOR_STOPPED:
                return False
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._accepted(int(event["value"]))
            else:
                self._doors.pop(int(event["value"]), None)
        self._bound()
        return True

    def put_all_out(self) -> None:
        """End every connection; those that may come back do so at once."""
        self.take()
        for number in list(self._doors):
            self._put_out(number)

    def _accepted(self, number: int) -> None:
        with _duplicate(number) as found:
            ends = None if found is None else _ends(found)
        if ends is not None:
            self._doors.pop(number, None)  # so that the oldest stay first
            self._doors[number] = _Door(ends, self._clock())

    def _bound(self) -> None:
        if len(self._doors) <= MAX_HANDSHAKES:
            return
        fresh_s = self._clock() - HANDSHAKE_S
        at_door = [n for n, door in self._doors.items() if door.since_s > fresh_s and not self._proven(n)]
        knocks = Counter(self._doors[number].address for number in at_door)
        for _ in range(len(at_door) - MAX_HANDSHAKES):
            busiest = max(knocks, key=knocks.__getitem__)
            oldest = next(number for number in at_door if self._doors[number].address == busiest)
            at_door.remove(oldest)
            knocks[busiest] -= 1
            self._put_out(oldest)
            self.put_out += 1

    def _proven(self, number: int) -> bool:
        """Whether so much came that its handshake is over; where the system does not count, nobody is until 2 s."""
        if not hasattr(socket, "TCP_INFO"):
            return False
        with _same(number, self._doors[number].ends) as found:
            if found is None:
                return True  # gone already: not one at the door
            told = _tcp_info(found)
        count = _BYTES_RECEIVED_AT + 8
        return len(told) >= count and struct.unpack_from("=Q", told, _BYTES_RECEIVED_AT)[0] >= _PROVEN_BYTES

    def _put_out(self, number: int) -> None:
        with _same(number, self._doors.pop(number).ends) as found:
            if found is not None:
                with contextlib.suppress(OSError):  # its peer was faster
                    found.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _duplicate(number: int) -> Iterator[socket.socket | None]:
    """A socket with this descriptor, of its own, or None when there is none by now."""
    try:
        found = socket.socket(fileno=os.dup(number))
    except OSError:
        yield None
        return
    with found:
        yield found


@contextlib.contextmanager
def _same(number: int, ends: _Ends) -> Iterator[socket.socket | None]:
    """The connection with this descriptor, or None when it has gone or the number is another's by now."""
    with _duplicate(number) as found:
        yield found if found is not None and _ends(found) == ends else None


def _ends(found: socket.socket) -> _Ends | None:
    """Both addresses; None when the peer has gone, which may happen at any moment."""
    try:
        return found.getsockname(), found.getpeername()
    except OSError:
        return None


def _tcp_info(found: socket.socket) -> bytes:
    try:
        return found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return b""
