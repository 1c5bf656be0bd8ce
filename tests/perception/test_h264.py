"""A picture that others build on is missed when it is gone, and never when it is there."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.perception.h264 import PictureNumbers

ENCODERS = {
    "as a camera does": {"tune": "zerolatency", "bf": "0"},
    "with pictures nobody builds on": {"bf": "2"},
    "with four slices": {"tune": "zerolatency", "x264-params": "slices=4"},
    "baseline": {"profile": "baseline"},
    "four reference pictures": {"refs": "4", "bf": "0"},
    "scaling lists": {"x264-params": "cqm=jvt", "bf": "0"},
    "all colours": {"pix_fmt": "yuv444p", "bf": "0"},
    "fields": {"flags": "+ildct+ilme", "bf": "0"},
}


def encoded(options, count=40, gop=30):
    """Packets in Annex B, whether each is a key frame and whether others build on it."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.time_base = 64, 48, Fraction(1, 25)
    codec.pix_fmt = options.get("pix_fmt", "yuv420p")
    codec.gop_size = gop
    codec.options = {"preset": "veryfast", "threads": "1"} | {k: v for k, v in options.items() if k != "pix_fmt"}
    blocks = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.roll(blocks, number, 1)).reformat(format=codec.pix_fmt)
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    head = bytes(codec.extradata or b"")
    made = [(bytes(packet), packet.is_keyframe) for packet in packets]
    made[0] = (head + made[0][0], made[0][1])
    return [(content, key, is_built_on(content)) for content, key in made]


def is_built_on(content):
    """nal_ref_idc of the first slice."""
    at = content.find(b"\0\0\1")
    while content[at + 3] & 31 not in (1, 5):
        at = content.find(b"\0\0\1", at + 3)
    return bool(content[at + 3] & 0x60)


def told(packets):
    numbers = PictureNumbers()
    return [place for place, (content, *_) in enumerate(packets) if numbers.lost(content)]


@pytest.mark.parametrize("options", ENCODERS.values(), ids=ENCODERS)
def test_every_lost_reference_is_told_at_the_next_picture_and_nothing_else_is(options):
    packets = encoded(options)
    assert told(packets) == []
    for gone in range(1, len(packets) - 1):
        left = packets[:gone] + packets[gone + 1 :]
        if not packets[gone][2] or left[gone][1]:
            assert told(left) == []
        elif not packets[gone][1]:
            assert told(left)[:1] == [gone]


@pytest.mark.parametrize(("gop", "told_of"), [(30, [30]), (18, [18]), (17, [])])
def test_a_lost_key_frame_is_told_unless_the_numbers_happen_to_go_on(gop, told_of):
    """After 16 numbers they begin anew: that a gap of 17 pictures is not told is the limit that the module names."""
    packets = encoded(ENCODERS["as a camera does"], gop=gop, count=gop + 6)
    assert packets[gop][1]
    assert told(packets[:gop] + packets[gop + 1 :]) == told_of


def test_a_loss_is_told_once():
    packets = encoded(ENCODERS["as a camera does"])
    assert told(packets[:5] + packets[7:]) == [5]


def test_parameter_sets_that_come_later_are_taken_in_and_none_say_nothing():
    packets = encoded(ENCODERS["as a camera does"])
    numbers = PictureNumbers()
    content = packets[0][0]
    slices_only = content[content.rindex(b"\0\0\1") :]
    assert not numbers.lost(slices_only)
    assert not numbers.lost(packets[4][0])
    assert not numbers.lost(packets[30][0])


@given(st.binary(max_size=64), st.integers(0, 39), st.integers(0, 10_000), st.integers(0, 7))
def test_whatever_a_camera_sends_is_survived(noise, place, at, bit):
    packets = [bytearray(content) for content, *_ in CAMERA]
    packets[place][at % len(packets[place])] ^= 1 << bit
    numbers = PictureNumbers()
    for kind in (b"", b"\0\0\1\x67", b"\0\0\1\x68", b"\0\0\1\x41", b"\0\0\1"):
        assert isinstance(numbers.lost(kind + noise), bool)
    for content in packets:
        assert isinstance(numbers.lost(bytes(content)), bool)


CAMERA = encoded(ENCODERS["as a camera does"])
