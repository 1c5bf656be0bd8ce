"""The ring of a camera's own packets: the last seconds of it, from which a clip is cut without encoding anything.

Bounded in seconds and in bytes, and dropped by whole groups of pictures, so that what is left begins with a key frame.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from railwatch.core.packets import EncodedPacket, StreamHead

OVERHEAD: Final = 200
"""Bytes of memory that a packet costs beside its data."""


@dataclass(slots=True)
class _Group:
    """A key frame and what follows it up to the next."""

    head: StreamHead
    packets: list[EncodedPacket] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Packets from a key frame on, all of one head. `notes` say in words what is not as it was asked for."""

    head: StreamHead
    packets: tuple[EncodedPacket, ...]
    notes: tuple[str, ...] = ()


class PacketRing:
    """Keeps the last `seconds` of packets, at most `max_bytes` of memory; a `PacketSink`. For several threads.

    With `seconds` 0 it keeps nothing. `seconds` is kept in front of the newest packet in whole groups of pictures, so
    that there is always a key frame at or before that point, unless `max_bytes` does not suffice.

    >>> from fractions import Fraction
    >>> from railwatch.core.types import Size
    >>> ring = PacketRing(2.0, 1 << 20)
    >>> ring.begin(StreamHead("h264", b"", Size(64, 48), Fraction(1, 10)))
    >>> for number in range(60):
    ...     ring.put(EncodedPacket(b"x", number, number, number % 10 == 0, False, number / 10))
    >>> cut = ring.cut(4.2, 5.0)
    >>> cut.packets[0].t_s, cut.packets[-1].t_s, ring.newest_s
    (4.0, 5.0, 5.9)
    """

    def __init__(self, seconds: float = 0.0, max_bytes: int = 0) -> None:
        self._lock = threading.Lock()
        self._head: StreamHead | None = None
        self._groups: deque[_Group] = deque()
        self._fresh = True
        self._seconds, self._max_bytes = seconds, max_bytes
        self._size = 0
        self._newest_s: float | None = None

    @property
    def size(self) -> int:
        """Bytes of memory that the packets take."""
        return self._size

    @property
    def newest_s(self) -> float | None:
        """`t_s` of the newest packet; None where none has come."""
        return self._newest_s

    def limit(self, seconds: float, max_bytes: int) -> None:
        """Keep so much from now on."""
        with self._lock:
            self._seconds, self._max_bytes = seconds, max_bytes
            self._trim()

    def begin(self, head: StreamHead) -> None:
        """A stream begins, or begins again."""
        with self._lock:
            self._head, self._fresh = head, True

    def put(self, packet: EncodedPacket) -> None:
        """Keep one more packet; those before the first key frame are of no use and are left out."""
        with self._lock:
            self._newest_s = packet.t_s
            if self._head is None or self._seconds <= 0.0:
                return
            if packet.keyframe:
                self._groups.append(_Group(self._head))
                self._fresh = False
            elif self._fresh or not self._groups:
                return
            group = self._groups[-1]
            group.packets.append(packet)
            group.size += len(packet.data) + OVERHEAD
            self._size += len(packet.data) + OVERHEAD
            self._trim()

    def cut(self, begin_s: float, end_s: float) -> Cut | None:
        """The packets from the last key frame at or before `begin_s` up to `end_s`; None where there are none.

        Where the stream began anew with other properties in between, only what is after that.
        """
        with self._lock:
            groups = [(group.head, tuple(group.packets)) for group in self._groups]
        groups = [item for item in groups if item[1][0].t_s <= end_s]
        earlier = [number for number, item in enumerate(groups) if item[1][0].t_s <= begin_s]
        groups = groups[earlier[-1] if earlier else 0 :]
        if not groups:
            return None
        notes = [] if earlier else [f"the recording reaches back only to {groups[0][1][0].t_s - begin_s:.1f} s later"]
        head = groups[-1][0]
        first = max((number + 1 for number, item in enumerate(groups) if item[0] != head), default=0)
        if first:
            notes.append("the stream began anew with other properties: what was before is left out")
        packets = tuple(packet for _, found in groups[first:] for packet in found if packet.t_s <= end_s)
        damaged = sum(packet.damaged for packet in packets)
        if damaged:
            notes.append(f"{damaged} of {len(packets)} packets came damaged")
        if packets[-1].t_s < end_s - 1.0:
            notes.append(f"the last packet came {end_s - packets[-1].t_s:.1f} s before the end that was asked for")
        return Cut(head, packets, tuple(notes))

    def _trim(self) -> None:
        """Let go of whole groups that are too old or too much; a single one that is too much goes as well."""
        newest_s = self._newest_s if self._newest_s is not None else 0.0
        while self._groups:
            old = len(self._groups) > 1 and self._groups[1].packets[0].t_s <= newest_s - self._seconds
            if not (old or self._size > self._max_bytes or self._seconds <= 0.0):
                return
            self._size -= self._groups.popleft().size
