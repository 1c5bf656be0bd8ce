"""Fetching: https only, bounded, resumed, checked, placed whole or not at all. The world is a server on loopback."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from railwatch.app import fetch as fetch_module
from railwatch.app.fetch import HTTPS, Wanted, fetch
from railwatch.core.errors import DownloadError

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LENGTH = len(CONTENT)
HTTP = frozenset({"http"})


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT at /file; other paths are what can go wrong. What was asked for is kept in `asked`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        getattr(self, f"serve_{self.path.strip('/').partition('?')[0]}")()

    def serve_file(self):
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(CONTENT):
            self.answer(416, b"")
        elif start:
            self.answer(206, CONTENT[start:], {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"})
        else:
            self.answer(200, CONTENT)

    def serve_whole(self):
        self.answer(200, CONTENT)  # knows no ranges

    def serve_endless(self):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(64):
            self.wfile.write(CONTENT)

    def serve_cut(self):
        self.close_connection = True
        self.answer(200, CONTENT[:1000], {"Content-Length": str(len(CONTENT))})

    def serve_moved(self):
        self.answer(302, b"", {"Location": "/file"})

    def serve_round(self):
        self.answer(302, b"", {"Location": "/round"})

    def serve_elsewhere(self):
        self.answer(302, b"", {"Location": self.path.partition("?")[2]})

    def serve_gone(self):
        self.answer(404, b"")

    def answer(self, code, body, headers=None):
        self.send_response(code)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.asked = []
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path, monkeypatch):
    """Fetch a path of the server to tmp_path/model.onnx."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def run(path, *, max_bytes=LENGTH, sha256=SHA256, schemes=HTTP, told=lambda *_: None):
        wanted = Wanted(f"http://127.0.0.1:{server.server_port}{path}", max_bytes, sha256, "ask a neighbour", schemes)
        return fetch(wanted, tmp_path / "model.onnx", told)

    return run


def test_a_file_is_fetched_checked_and_placed(get, tmp_path):
    told = []
    assert get("/moved", told=lambda *numbers: told.append(numbers)) == SHA256
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_an_interrupted_one_goes_on_from_where_it_stopped(get, server, tmp_path):
    with pytest.raises(
        DownloadError, match=r"1048576 bytes, but the connection ended after 1000.*goes on|IncompleteRead"
    ):
        get("/cut")
    assert not (tmp_path / "model.onnx").exists()
    assert (tmp_path / "model.onnx.part").stat().st_size == 1000
    assert get("/file") == SHA256
    assert server.asked[-1] == ("/file", "bytes=1000-")


@pytest.mark.parametrize("path", ["/whole", "/file"])
@pytest.mark.parametrize("left", [CONTENT[:5000], CONTENT, CONTENT + b"more"])
def test_what_is_left_of_another_try_never_spoils_the_file(get, tmp_path, path, left):
    (tmp_path / "model.onnx.part").write_bytes(left)
    assert get(path) == SHA256
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_a_wrong_file_is_thrown_away(get, tmp_path):
    (tmp_path / "model.onnx.part").write_bytes(b"another file altogether")
    with pytest.raises(DownloadError, match=f"must have the SHA-256 {SHA256}, but what came has"):
        get("/file")
    assert not (tmp_path / "model.onnx").exists()
    assert get("/file") == SHA256


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("/gone", {}, "the server says 404"),
        ("/file", {"max_bytes": 1000}, "at most 1000 bytes, but has 1048576"),
        ("/endless", {"max_bytes": 5_000_000}, "at most 5000000 bytes, but sends more"),
        ("/round", {}, "the server says 302"),
        ("/elsewhere?https://127.0.0.1:1/", {}, "over http, but the address is https://127.0.0.1:1/"),
        ("/elsewhere?file:///etc/hostname", {}, "file:///etc/hostname' is not allowed"),
        ("/elsewhere?ftp://127.0.0.1/x", {}, "over http, but the address is ftp://127.0.0.1/x"),
        ("/file", {"schemes": HTTPS}, "over https, but the address is http://127.0.0.1"),
    ],
)
def test_what_must_not_be_is_refused_and_nothing_is_placed(get, tmp_path, path, options, said):
    with pytest.raises(DownloadError, match=said):
        get(path, **options)
    assert not (tmp_path / "model.onnx").exists()


def test_without_a_network_the_user_is_told_what_to_do(tmp_path):
    for url in ("https://no-such-host.invalid/a.onnx", "https://127.0.0.1:1/a.onnx"):
        with pytest.raises(DownloadError, match=r"must be reached.*is this machine online.*ask a neighbour") as caught:
            fetch(Wanted(url, 100, None, "ask a neighbour"), tmp_path / "a.onnx", lambda *_: None)
        assert caught.value.exit_code == 4


def test_a_server_without_tls_is_refused(server, tmp_path):
    url = f"https://127.0.0.1:{server.server_port}/file"
    with pytest.raises(DownloadError, match="must be reached"):
        fetch(Wanted(url, 100, None, "ask"), tmp_path / "a.onnx", lambda *_: None)


def test_two_at_once_do_not_mix_their_bytes(get, tmp_path):
    part = tmp_path / "model.onnx.part"
    with fetch_module._alone(part), pytest.raises(DownloadError, match="fetched by another process"):
        get("/file")


def test_a_disk_that_cannot_be_written_is_told(get, tmp_path):
    (tmp_path / "model.onnx.part").mkdir()
    with pytest.raises(DownloadError, match="cannot be written"):
        get("/file")
