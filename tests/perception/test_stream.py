"""Streams from a real RTSP camera, and JPEG over HTTP from a small server."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import cv2
import numpy as np
import pytest

from railwatch.app.sources import open_source, open_stream
from railwatch.core.errors import SourceError
from railwatch.core.types import Size
from railwatch.perception.live import Drained
from railwatch.perception.source import SourceInfo
from railwatch.perception.stream import StreamOptions
from railwatch.perception.stream_error import StreamError, StreamState
from tests.hub_rig import free_port
from tests.rtsp_rig import RtspCamera, empty_line_clip, needs_camera


class Kept:
    """A sink that keeps all that it is given."""

    def __init__(self):
        self.heads, self.packets = [], []

    def begin(self, head):
        self.heads.append(head)

    def put(self, packet):
        self.packets.append(packet)


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    needs_camera()
    clip, _ = empty_line_clip(tmp_path_factory.mktemp("camera"))
    with RtspCamera(clip) as made:
        yield made


def first_frames(source, count):
    found = []
    for frame in source.frames():
        found.append((frame, time.monotonic() - frame.t_s))
        if len(found) == count:
            return found
    raise AssertionError("the stream ended")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_are_fresh_and_their_times_rise(camera, transport):
    kept = Kept()
    with open_stream(camera.url, "cam", StreamOptions(transport), sink=kept) as source:
        found = first_frames(source, 30)
        times = [frame.t_s for frame, _ in found]
        assert times == sorted(times)
        assert [frame.index for frame, _ in found] == list(range(30))
        assert all(-0.001 <= age_s < 1.0 for _, age_s in found)
        assert source.info.live
        assert source.info.description.endswith("/cam: h264 640 x 360")
        assert source.counts.frames == 30
    (head,) = kept.heads
    assert (head.codec, head.size) == ("h264", (640, 360))
    assert len(kept.packets) >= 30
    assert any(packet.keyframe for packet in kept.packets)


def test_a_stop_ends_the_frames(camera):
    stop = threading.Event()
    with open_stream(camera.url, "cam", stop=stop) as source:
        for frame in source.frames():
            assert frame.index < 5
            if frame.index == 4:
                stop.set()


def test_a_camera_that_is_killed_ends_with_an_error(tmp_path):
    needs_camera()
    clip, _ = empty_line_clip(tmp_path)
    with RtspCamera(clip) as camera, open_stream(camera.url, "cam") as source:
        frames = source.frames()
        next(frames)
        camera.kill()
        with pytest.raises(StreamError, match="BROKEN"):
            list(frames)


def test_watch_reads_a_stream_and_gives_the_newest_frame(camera):
    with open_source(camera.url, "cam") as source:
        assert isinstance(source, Drained)
        frames = source.frames()
        next(frames)
        time.sleep(0.5)
        index = next(frames).index
        assert index >= 3, "what came meanwhile was dropped"


class DamagingRelay:
    """A relay before a camera that, when told, changes bytes within the pictures that pass (interleaved RTP)."""

    def __init__(self, port):
        self.damage = threading.Event()
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source, sink, from_camera):
        with contextlib.suppress(OSError), source, sink:
            while data := source.recv(65536):
                if from_camera and self.damage.is_set() and len(data) > 600:
                    data = bytearray(data)
                    data[400] ^= 0x55
                sink.sendall(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listening.close()


def test_what_follows_damage_is_held_back_until_a_key_frame(tmp_path):
    """Every picture that comes through is one of the clip: none is a mixture of damage and guesses."""
    needs_camera()
    clip, _ = empty_line_clip(tmp_path)
    stop = threading.Event()
    with (
        RtspCamera(clip) as camera,
        DamagingRelay(camera.port) as relay,
        open_stream(f"rtsp://127.0.0.1:{relay.port}/cam", "cam", stop=stop) as source,
    ):
        good = first_frames(source, 5)[-1][0].picture.bgr().astype(int)
        relay.damage.set()
        for after_s, then in ((2.0, relay.damage.clear), (6.0, stop.set)):
            threading.Timer(after_s, then).start()
        worst = 0.0
        with contextlib.suppress(StreamError):
            # The line is empty and still: a clean picture differs from another by noise only.
            for frame in source.frames():
                worst = max(worst, float(np.abs(frame.picture.bgr().astype(int) - good).mean()))
        assert source.counts.damaged > 0
    assert worst < 6.0


def jpeg(value, size=(64, 48)):
    made, content = cv2.imencode(".jpg", np.full((size[1], size[0], 3), value, np.uint8))
    assert made
    return content.tobytes()


class HttpCamera:
    """A camera that sends `pieces` as multipart/x-mixed-replace, with lengths or without, then hangs up."""

    def __init__(self, pieces, *, lengths=True, boundary="--frame", kind="multipart/x-mixed-replace"):
        self.port = free_port()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}; boundary={boundary}\r\n\r\n".encode()
        self._pieces, self._lengths, self._mark = pieces, lengths, b"--" + boundary.encode().removeprefix(b"--")
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/video"

    def _run(self):
        with contextlib.suppress(OSError):
            connection, _ = self._listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(self._head)
                for piece in self._pieces:
                    length = f"Content-Length: {len(piece)}\r\n" if self._lengths else ""
                    head = f"Content-Type: image/jpeg\r\n{length}\r\n".encode()
                    connection.sendall(self._mark + b"\r\n" + head + piece + b"\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listening.close()


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("boundary", ["frame", "--frame"])
def test_jpeg_over_http(lengths, boundary):
    kept = Kept()
    with (
        HttpCamera([jpeg(10), jpeg(100), jpeg(200), b"\xff\xd8\xff"], lengths=lengths, boundary=boundary) as camera,
        open_stream(camera.url, "cam", sink=kept) as source,
    ):
        frames = source.frames()
        levels = [round(float(next(frames).picture.bgr().mean())) for _ in range(3)]
        assert levels == [pytest.approx(10, abs=2), pytest.approx(100, abs=2), pytest.approx(200, abs=2)]
        with pytest.raises(StreamError) as caught:
            next(frames)
        assert caught.value.state is StreamState.BROKEN
        assert source.info.size == Size(64, 48)
    assert [head.codec for head in kept.heads] == ["mjpeg"]
    assert len(kept.packets) == 3


def test_pictures_that_change_their_size_open_the_camera_anew():
    with (
        HttpCamera([jpeg(10), jpeg(10, (32, 48))]) as camera,
        open_stream(camera.url, "cam") as source,
        pytest.raises(StreamError, match="changed their size"),
    ):
        list(source.frames())


@pytest.mark.parametrize(
    ("pieces", "kind", "state"),
    [
        ([b"no picture at all"], "multipart/x-mixed-replace", StreamState.BROKEN),
        ([jpeg(1)], "text/html", StreamState.NOT_A_STREAM),
        ([], "multipart/x-mixed-replace", StreamState.BROKEN),
        (
            [b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff" + b"\0" * 20 + b"\xff\xd9"],
            "multipart/x",
            StreamState.BROKEN,
        ),
    ],
)
def test_what_is_no_such_camera_is_named(pieces, kind, state):
    with HttpCamera(pieces, kind=kind) as camera, pytest.raises(SourceError) as caught:
        open_stream(camera.url, "cam")
    assert getattr(caught.value, "state", StreamState.BROKEN) is state


class Hanging:
    camera_id = "cam"
    info = SourceInfo(Size(8, 6), None, None, None, live=True, description="one that hangs")

    def __init__(self, error=None):
        self.error, self.closed = error, 0

    def frames(self):
        if self.error is not None:
            raise self.error
        return iter(())

    def close(self):
        self.closed += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.mark.parametrize(("error", "words"), [(None, "has ended"), (SourceError("unplugged"), "unplugged")])
def test_a_live_source_that_ends_or_fails_is_an_error_where_its_frames_are_used(error, words):
    source = Drained(Hanging(error))
    with source, pytest.raises(SourceError, match=words):
        list(source.frames())


def test_a_live_source_that_was_never_read_is_closed():
    hanging = Hanging()
    Drained(hanging).close()
    assert hanging.closed == 1
