"""The ring of packets: bounded, whole groups of pictures, and a key frame at or before what is asked for."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.packets import EncodedPacket, StreamHead
from railwatch.core.types import Size
from railwatch.evidence.recording import OVERHEAD, PacketRing

HEAD = StreamHead("h264", b"", Size(64, 48), Fraction(1, 10))


def packet(number, *, key=False, size=100, damaged=False):
    return EncodedPacket(bytes(size), number, number, key, damaged, number / 10)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=200),
    st.floats(0.5, 8.0),
    st.integers(1000, 100_000),
)
def test_it_is_bounded_and_begins_with_a_key_frame(kinds, seconds, max_bytes):
    ring = PacketRing(seconds, max_bytes)
    ring.begin(HEAD)
    for number, (key, size) in enumerate(kinds):
        ring.put(packet(number, key=key, size=size))
        assert ring.size <= max_bytes
        cut = ring.cut(float("-inf"), float("inf"))
        if cut is not None:
            assert cut.packets[0].keyframe
            assert sum(len(item.data) + OVERHEAD for item in cut.packets) == ring.size


@given(st.integers(1, 30), st.floats(1.0, 10.0), st.integers(0, 150))
def test_what_was_promised_is_there(gap, seconds, last):
    """However far key frames lie apart, a cut of the last seconds begins with one that is not later."""
    ring = PacketRing(seconds, 1 << 30)
    ring.begin(HEAD)
    for number in range(last + 1):
        ring.put(packet(number, key=number % gap == 0))
    begin_s = max(0.0, last / 10 - seconds)
    cut = ring.cut(begin_s, last / 10)
    assert cut.packets[0].t_s <= begin_s
    assert [item.pts for item in cut.packets] == list(range(cut.packets[0].pts, last + 1))
    assert cut.notes == ()
    assert ring.size <= (seconds * 10 + 2 * gap + 1) * (100 + OVERHEAD)


def test_it_keeps_nothing_while_nothing_is_to_be_recorded():
    ring = PacketRing()
    ring.begin(HEAD)
    ring.put(packet(0, key=True))
    assert (ring.size, ring.cut(0.0, 1.0), ring.newest_s) == (0, None, 0.0)
    ring.limit(5.0, 1 << 20)
    ring.put(packet(1))  # its key frame is gone
    ring.put(packet(2, key=True))
    assert [item.pts for item in ring.cut(0.0, 1.0).packets] == [2]
    ring.limit(0.0, 0)
    assert (ring.size, ring.cut(0.0, 1.0)) == (0, None)


def test_what_is_not_as_asked_for_is_said():
    ring = PacketRing(10.0, 1 << 20)
    ring.begin(HEAD)
    for number in range(20, 40):
        ring.put(packet(number, key=number % 10 == 0, damaged=number == 25))
    cut = ring.cut(0.5, 9.0)
    assert len(cut.packets) == 20
    assert cut.notes == (
        "the recording reaches back only to 1.5 s later",
        "1 of 20 packets came damaged",
        "the last packet came 5.1 s before the end that was asked for",
    )


def test_a_stream_that_begins_anew_goes_on_if_it_is_the_same_and_is_cut_there_if_not():
    ring = PacketRing(10.0, 1 << 20)
    for head, first in ((HEAD, 0), (HEAD, 10), (replace(HEAD, size=Size(128, 96)), 20)):
        ring.begin(head)
        ring.put(packet(first))  # no key frame yet: of no use
        ring.put(packet(first + 1, key=True))
    cut = ring.cut(0.0, 1.9)
    assert [item.pts for item in cut.packets] == [1, 11]
    cut = ring.cut(0.0, 5.0)
    assert ([item.pts for item in cut.packets], cut.head.size) == ([21], Size(128, 96))
    assert any("began anew" in note for note in cut.notes)
