"""Downloads: resumed, checked, unpacked as a whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from classifiers.errors import ConfigError, DataError
from classifiers.fetch import fetch


def make_archive(names=("top/train/Aves/1.jpg", "top/val/Aves/2.jpg")):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name in names:
            zipped.writestr(name, name * 500)
    return buffer.getvalue()


EVIL = make_archive(("../../evil",))


@pytest.fixture
def server():
    """A server of one archive; `server.cuts` are the numbers of bytes after which the next answers break off."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            state = self.server
            state.asked.append(self.headers.get("Range"))
            if self.path != "/a.zip":
                self.send_error(404)
                return
            start = int(self.headers["Range"][6:-1]) if "Range" in self.headers else 0
            if start >= len(state.content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(state.content) - start))
            self.send_header("ETag", '"one"')
            if state.md5:
                self.send_header("x-goog-hash", f"crc32c=AAAAAA==,md5={state.md5}")
            self.end_headers()
            end = start + state.cuts.pop(0) if state.cuts else len(state.content)
            self.wfile.write(state.content[start:end])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as http:
        http.content, http.cuts, http.asked = make_archive(), [], []
        http.md5 = base64.b64encode(hashlib.md5(http.content, usedforsecurity=False).digest()).decode()
        http.url = f"http://127.0.0.1:{http.server_port}/a.zip"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_it_is_unpacked_without_the_folder_around_it_and_leaves_nothing_else(server, tmp_path):
    told = []
    found = fetch(server.url, tmp_path / "new", progress=lambda *row: told.append(row))
    assert files(tmp_path) == ["new/train/Aves/1.jpg", "new/val/Aves/2.jpg"]
    assert found.sha256 == hashlib.sha256(server.content).hexdigest()
    assert told[-1] == (len(server.content), len(server.content))


def test_a_broken_download_goes_on_where_it_broke_off(server, tmp_path):
    server.cuts = [100, 50]
    fetch(server.url, tmp_path / "new", sha256=hashlib.sha256(server.content).hexdigest())
    assert server.asked == [None, "bytes=100-", "bytes=150-"]
    assert len(files(tmp_path / "new")) == 2


def test_an_interrupted_process_goes_on_the_next_time(server, tmp_path):
    server.cuts = [100, 0]
    with pytest.raises(DataError, match=r"are you online.*goes on from the 100 bytes"):
        fetch(server.url, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    fetch(server.url, tmp_path / "new")
    assert server.asked[-1] == "bytes=100-"


@pytest.mark.parametrize(("changes", "sha256", "words"), [
    ({}, "0" * 64, "must have the SHA-256 0000"),
    ({"md5": "AAAA"}, None, "must have the MD5 AAAA that the server states"),
    ({"content": b"no zip" * 100, "md5": ""}, None, "must be a sound zip file"),
    ({"content": EVIL, "md5": ""}, None, "must unpack into one folder, but names '../../evil'"),
])  # fmt: skip
def test_a_wrong_archive_is_refused_and_nothing_is_unpacked(server, tmp_path, changes, sha256, words):
    for name, value in changes.items():
        setattr(server, name, value)
    with pytest.raises(DataError, match=words):
        fetch(server.url, tmp_path / "sub" / "new", sha256)
    assert not [name for name in files(tmp_path) if "new/" in name or "evil" in name]


def test_what_is_not_there_or_not_reachable_is_told(server, tmp_path):
    with pytest.raises(DataError, match="the server answers 404"):
        fetch(server.url.replace("a.zip", "b.zip"), tmp_path / "new")
    with pytest.raises(DataError, match="are you online"):
        fetch("http://127.0.0.1:9/a.zip", tmp_path / "new")


@pytest.mark.parametrize("url", ["http://example.org/a.zip", "ftp://example.org/a.zip", "file:///etc/passwd", "a.zip"])
def test_only_https_is_taken(url, tmp_path):
    with pytest.raises(ConfigError, match="https://"):
        fetch(url, tmp_path / "new")
