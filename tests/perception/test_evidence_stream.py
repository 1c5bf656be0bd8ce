"""A finer stream that is recorded beside the one that is looked at."""

from __future__ import annotations

import threading

import pytest

from railwatch.app.sources import open_live_source
from railwatch.core.errors import SourceError
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Size
from railwatch.perception.evidence_stream import RecordedBeside
from railwatch.testing import ListSource, solid_picture
from tests.hub_rig import wait_until
from tests.rtsp_rig import RtspCamera, empty_line_clip, needs_camera


class Kept:
    def __init__(self):
        self.heads, self.packets = [], []

    def begin(self, head):
        self.heads.append(head)

    def put(self, packet):
        self.packets.append(packet)


class Recording:
    def __init__(self, stop, error=None):
        self.stop, self.error, self.closed = stop, error, False

    def record(self):
        if self.error is not None:
            raise self.error
        self.stop.wait(30.0)

    def close(self):
        self.closed = True


def looked_at():
    return ListSource([solid_picture(Size(8, 6))] * 3, [0.0, 0.1, 0.2])


def test_both_go_on_together_and_end_together():
    opened = []

    def opener(stop):
        opened.append(Recording(stop))
        return opened[-1]

    with RecordedBeside(looked_at(), opener, pytest.fail, threading.Event()) as source:
        assert [frame.index for frame in source.frames()] == [0, 1, 2]
        assert source.info.size == Size(8, 6)
        wait_until(lambda: opened, what="a recording")
    (recording,) = opened
    wait_until(lambda: recording.closed, what="its end")


def test_a_source_that_is_left_behind_takes_its_recording_along():
    stop, opened = threading.Event(), []

    def opener(end):
        opened.append(Recording(end))
        return opened[-1]

    RecordedBeside(looked_at(), opener, pytest.fail, stop)
    wait_until(lambda: opened, what="a recording")
    stop.set()
    wait_until(lambda: opened[0].closed, what="its end")


@pytest.mark.parametrize("where", ["opening", "recording"])
def test_a_recording_that_fails_blinds_nobody_is_told_once_and_begun_anew(where, monkeypatch):
    monkeypatch.setattr("railwatch.perception.evidence_stream.AGAIN_S", 0.01)
    said, count = [], []

    def opener(stop):
        count.append(1)
        if where == "opening":
            raise SourceError("no\nway")
        return Recording(stop, SourceError("no way"))

    with RecordedBeside(looked_at(), opener, said.append, threading.Event()) as source:
        assert len(list(source.frames())) == 3
        wait_until(lambda: len(count) > 5, what="further attempts")
    assert said == [f"camera {source.camera_id}: no evidence is recorded: no way"]


def test_the_packets_are_those_of_the_finer_stream(tmp_path):
    needs_camera()
    fine, kept = tmp_path / "fine", Kept()
    fine.mkdir()
    small_clip, _ = empty_line_clip(tmp_path)
    fine_clip, _ = empty_line_clip(fine, size=(1280, 720))
    with RtspCamera(small_clip) as small, RtspCamera(fine_clip) as large:
        camera = CameraSettings("east", small.url, evidence_source=large.url)
        with open_live_source(camera, loop=False, stop=threading.Event(), sink=kept) as source:
            assert next(iter(source.frames())).picture.size == Size(640, 360)
            wait_until(lambda: len(kept.packets) > 30, what="packets")
        with open_live_source(camera, loop=False, stop=threading.Event()) as source:
            assert not isinstance(source, RecordedBeside)
    assert {head.size for head in kept.heads} == {Size(1280, 720)}
    assert any(packet.keyframe for packet in kept.packets)
    times = [packet.t_s for packet in kept.packets]
    assert times == sorted(times)
