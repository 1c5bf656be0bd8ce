"""Cameras, and what claims to be one, that do everything but stream: refused or bounded, and no secret in any text."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from railwatch.app.sources import open_stream
from railwatch.perception.credentials import Credentials
from railwatch.perception.stream import StreamOptions
from railwatch.perception.stream_error import StreamError, StreamState
from tests.hub_rig import free_port
from tests.rtsp_rig import RtspCamera, empty_line_clip, needs_camera

SECRET = Credentials("operator", "s3cr3t:p@ss")
BOUND_S = 4.0


class Server:
    """A server at a port of this machine that treats every connection with `behave(connection)`."""

    def __init__(self, behave):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.visits, self.asked = 0, b""
        self._behave = behave
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.visits += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            self._behave(self, connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listening.close()


def asked(server, connection):
    """What the client asks first."""
    server.asked += connection.recv(4096)
    return server.asked


def answering(text):
    def behave(server, connection):
        while asked(server, connection):
            connection.sendall(text.encode())

    return behave


def tarpit(server, connection):
    asked(server, connection)
    connection.settimeout(30.0)
    connection.recv(1)


def slow_drip(server, connection):
    asked(server, connection)
    for byte in b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n" * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def flood(server, connection):
    asked(server, connection)
    while True:
        connection.sendall(b"RTSP/1.0 200 OK\r\nX: " + b"x" * 65536)


def opened(address, **options):
    """The error of opening a stream, and the seconds that it took."""
    begun_s = time.monotonic()
    with pytest.raises(StreamError) as caught:
        open_stream(address, "cam", StreamOptions(credentials=SECRET, **options)).close()
    text = str(caught.value)
    for secret in ("s3cr3t", SECRET.password, "s3cr3t%3Ap%40ss", "operator:"):
        assert secret not in text
    assert "Traceback" not in text
    took_s = time.monotonic() - begun_s
    assert took_s < BOUND_S
    return caught.value.state


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize(
    ("behave", "states"),
    [
        pytest.param(tarpit, {StreamState.NO_ANSWER}, id="tarpit"),
        pytest.param(slow_drip, {StreamState.NO_ANSWER}, id="slow drip"),
        pytest.param(flood, {StreamState.NOT_A_STREAM, StreamState.NO_ANSWER}, id="flood"),
        pytest.param(answering("SSH-2.0-OpenSSH_9.2\r\n\r\n"), {StreamState.NOT_A_STREAM}, id="another protocol"),
        pytest.param(
            lambda *_: None, {StreamState.NOT_A_STREAM, StreamState.UNREACHABLE, StreamState.BROKEN}, id="hangs up"
        ),
    ],
)
def test_what_is_no_camera_is_bounded_and_named(scheme, behave, states):
    with Server(behave) as server:
        assert opened(f"{scheme}://127.0.0.1:{server.port}/cam") in states


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_redirects_are_not_followed_and_nobody_is_visited(scheme):
    with Server(tarpit) as canary:
        for where in (
            f"{scheme}://127.0.0.1:{canary.port}/x",
            "file:///etc/passwd",
            f"http://127.0.0.1:{canary.port}/",
        ):
            version = "RTSP/1.0" if scheme == "rtsp" else "HTTP/1.0"
            answer = f"{version} 302 Moved\r\nCSeq: 1\r\nLocation: {where}\r\n\r\n"
            with Server(answering(answer)) as server:
                assert opened(f"{scheme}://127.0.0.1:{server.port}/cam") is StreamState.REDIRECTED
                assert server.visits == 1
        assert canary.visits == 0


@pytest.mark.parametrize(
    "address",
    [
        "http:",
        "file:///etc/passwd",
        "file:clip.mp4",
        "concat:a.ts|b.ts",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "rtsp://cam/1\r\nX-Injected: yes",
        "rtsp://cam/1%0d%0a\nHost: other",
        "rtsp://operator:s3cr3t@cam/1",
        "rtsp://",
        "rtsp://cam:99999/1",
        "rtsp://cam:0/1",
        "rtsp://[::1/1",
        "rtsp://-i/1",
        "rtsp://cam example/1",
        "rtsp://cam\\@other/1",
        "RTSP://cam/\x00",
        "gopher://cam/1",
        "tcp://127.0.0.1:22",
        "data:video/mp4;base64,AAAA",
        "rtsp://169.254.169.254/latest",
        "http://0.0.0.0/x",
        "rtsp://224.0.0.1/x",
        "http://[fe80::1]/x",
        "http://[::ffff:169.254.169.254]/x",
    ],
)
def test_addresses_that_are_no_cameras_are_refused_before_anybody_is_asked(address):
    begun_s = time.monotonic()
    with pytest.raises(StreamError) as caught:
        open_stream(address, "cam", StreamOptions(credentials=SECRET))
    assert time.monotonic() - begun_s < BOUND_S
    assert caught.value.state is StreamState.REFUSED
    assert "s3cr3t" not in str(caught.value)
    assert "\r" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "http:",
        "http:127.0.0.1:{port}/x",
        "file://127.0.0.1:{port}/x",
        "concat:http://127.0.0.1:{port}/a|http://127.0.0.1:{port}/b",
        "tcp://127.0.0.1:{port}",
        "udp://127.0.0.1:{port}",
        "ftp://127.0.0.1:{port}/x",
        "crypto:http://127.0.0.1:{port}/x",
        "async:tcp://127.0.0.1:{port}",
        "-i http://127.0.0.1:{port}/x",
        "rtsp://cam -i http://127.0.0.1:{port}/x",
        "rtsp://cam\\@127.0.0.1:{port}/x",
        "rtsp://cam@127.0.0.1:{port}/x",
        "rtsp://127.0.0.1:{port}/x\r\nHost: other",
        "rtsp://127.0.0.1:{port}\t/x",
        "http://127.0.0.1:{port}/x\r\n\r\nGET /y HTTP/1.0",
        "rtsp://127.0.0.1:{port}:80/x",
        "rtsp://[127.0.0.1:{port}/x",
    ],
)
def test_addresses_that_are_refused_reach_nobody(address):
    with Server(tarpit) as canary:
        with pytest.raises(StreamError) as caught:
            open_stream(address.format(port=canary.port), "cam", StreamOptions(credentials=SECRET))
        assert caught.value.state is StreamState.REFUSED
        assert (canary.visits, canary.asked) == (0, b"")


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
def test_a_scan_of_ports_beyond_the_hosts_of_the_site_reaches_nobody(scheme):
    options = StreamOptions(allowed_hosts=("10.0.0.0/8",))
    with contextlib.ExitStack() as stack:
        canaries = [stack.enter_context(Server(tarpit)) for _ in range(4)]
        for canary in canaries:
            for host in ("127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]"):
                with pytest.raises(StreamError) as caught:
                    open_stream(f"{scheme}://{host}:{canary.port}/x", "cam", options)
                assert caught.value.state in (StreamState.REFUSED, StreamState.UNREACHABLE)
        assert [canary.visits for canary in canaries] == [0, 0, 0, 0]


def test_only_the_hosts_that_the_site_names_are_connected_to():
    with Server(tarpit) as server:
        with pytest.raises(StreamError, match="must be among camera_hosts"):
            open_stream(
                f"rtsp://127.0.0.1:{server.port}/cam", "cam", StreamOptions(allowed_hosts=("10.0.0.0/8", "cam"))
            )
        assert server.visits == 0
        assert opened(f"rtsp://127.0.0.1:{server.port}/cam", allowed_hosts=("127.0.0.0/8",)) is StreamState.NO_ANSWER


def test_a_closed_port_is_unreachable():
    assert opened(f"rtsp://127.0.0.1:{free_port()}/cam") is StreamState.UNREACHABLE


@pytest.mark.parametrize("status", [401, 403])
def test_an_http_camera_that_refuses_the_password_says_so(status):
    with Server(answering(f"HTTP/1.0 {status} No\r\n\r\n")) as server:
        assert opened(f"http://127.0.0.1:{server.port}/cam") is StreamState.UNAUTHORIZED
        assert b"Authorization: Basic" in server.asked


def test_a_real_camera_refuses_a_wrong_password_and_none(tmp_path):
    needs_camera()
    clip, _ = empty_line_clip(tmp_path)
    with RtspCamera(clip, user="anna:right") as camera:
        assert opened(camera.url) is StreamState.UNAUTHORIZED
        with pytest.raises(StreamError, match="asks for a user name and a password"):
            open_stream(camera.url, "cam")
        good = StreamOptions(credentials=Credentials("anna", "right"))
        with open_stream(camera.url, "cam", good) as source:
            assert next(iter(source.frames())).picture.size == (640, 360)
        with pytest.raises(StreamError) as caught:
            open_stream(camera.url.replace("/cam", "/none"), "cam", good)
        assert caught.value.state in (StreamState.NOT_FOUND, StreamState.UNAUTHORIZED)
        assert "right" not in Path(f"/proc/{os.getpid()}/cmdline").read_text(encoding="utf-8")
