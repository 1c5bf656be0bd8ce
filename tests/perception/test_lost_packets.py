"""Whatever packets are lost, every picture that comes through is one that the camera took."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from railwatch.core.address import parse_address
from railwatch.perception.picture import picture_of
from railwatch.perception.stream import StreamOptions, StreamSource
from railwatch.perception.stream_error import StreamError, StreamState

COUNT, GOP = 48, 12
CODECS = {
    "libx264": {"tune": "zerolatency", "preset": "ultrafast"},
    "libx264 with pictures nobody builds on": {"bf": "2", "preset": "veryfast"},
    "libx264 with slices": {"tune": "zerolatency", "preset": "ultrafast", "x264-params": "slices=3"},
    "libx265": {"preset": "ultrafast", "x265-params": "bframes=0:log-level=none:repeat-headers=1"},
}


def moving(number):
    blocks = np.random.default_rng(1).integers(0, 255, (12, 16, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    return av.VideoFrame.from_ndarray(np.roll(blocks, (number, 3 * number), (0, 1)))


def encoded(name):
    """The packets of a camera that pans."""
    codec = av.CodecContext.create(name.partition(" ")[0], "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 128, 96, "yuv420p", Fraction(1, 25)
    codec.gop_size = GOP
    codec.options = {"threads": "1", **CODECS[name]}
    packets = []
    for number in range(COUNT):
        frame = moving(number).reformat(format="yuv420p")
        frame.pts, frame.pict_type = number, 1 if number % GOP == 0 else 0
        packets += codec.encode(frame)
    return codec, packets + codec.encode(None)


@pytest.fixture(scope="module", params=CODECS)
def camera(request, tmp_path_factory):
    codec, packets = encoded(request.param)
    return Sent(codec, packets, tmp_path_factory.mktemp("sent") / "stream.ts")


class Sent:
    """A stream as a camera sends it; `through` reads it as a source does, without some of its packets."""

    def __init__(self, codec, packets, path):
        self.codec, self.path = codec, path
        self.notices = codec.name == "libx264"
        self.packets = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
        with av.open(str(self._written(()))) as reading:
            first = reading.streams.video[0]
            pictures = [
                (round(frame.pts * first.time_base * 25), picture_of(frame).luma) for frame in reading.decode(first)
            ]
        self.whole = {number: luma.copy() for number, luma in pictures}

    def through(self, lost, torn=()):
        with Local(self._written(lost, torn)) as source:
            pictures = []
            with pytest.raises(StreamError) as caught:
                pictures.extend((round(frame.pts_s * 25), frame.picture.luma.copy()) for frame in source.frames())
        assert caught.value.state is StreamState.BROKEN
        return pictures

    def _written(self, lost, torn=()):
        name = "hevc" if self.codec.name == "libx265" else "h264"
        with av.open(str(self.path), "w", format="mpegts") as writing:
            stream = writing.add_mux_stream(name, rate=25, width=128, height=96)
            for place, (content, pts, dts, key) in enumerate(self.packets):
                if place not in lost:
                    packet = av.Packet(without_a_slice(content) if place in torn else content)
                    packet.pts, packet.dts, packet.is_keyframe = pts, dts, key
                    packet.time_base, packet.stream = Fraction(1, 25), stream
                    writing.mux(packet)
        return self.path


def without_a_slice(content):
    """A picture of which the last slice is lost, or of the only one the second half."""
    last = content.rindex(b"\0\0\1")
    return content[:last].rstrip(b"\0") if b"\0\0\1" in content[1:last] else content[: (last + len(content)) // 2]


class Local(StreamSource):
    """A stream that lies in a file, read as one from the network."""

    def __init__(self, path, options=None):
        self._path, ticks = str(path), itertools.count()
        super().__init__(parse_address("rtsp://127.0.0.1/cam"), "cam", options, clock=lambda: next(ticks) / 25)

    def _opened(self):
        return av.open(self._path)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lost=st.sets(st.integers(1, COUNT - 1), max_size=3), torn=st.sets(st.integers(1, COUNT - 1), max_size=3))
def test_no_picture_comes_through_that_builds_on_a_lost_one(camera, lost, torn):
    torn = torn if camera.notices else ()
    for number, picture in camera.through(lost, torn):
        assert np.array_equal(picture, camera.whole[number]), (number, sorted(lost), sorted(torn))


def test_what_is_whole_comes_through_once_the_stream_is_at_its_own_pace(camera):
    assert len(camera.whole) == COUNT
    assert [number for number, _ in camera.through(())][-3 * GOP :] == list(range(GOP, COUNT))
    assert {number for number, _ in camera.through({3})} >= set(range(2 * GOP, COUNT))


def test_a_stream_whose_losses_are_not_noticed_is_not_fetched_where_packets_are_lost(camera):
    """Of an H.265 picture that has lost a part libav shows the rest, and says nothing."""
    with Local(camera.path, StreamOptions()):
        pass
    if camera.notices:
        Local(camera.path, StreamOptions(transport="udp")).close()
    else:
        with pytest.raises(StreamError, match="set transport: tcp") as caught:
            Local(camera.path, StreamOptions(transport="udp"))
        assert caught.value.state is StreamState.REFUSED
