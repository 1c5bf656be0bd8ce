"""Fetching one file over https: bounded, resumed after an interruption, checked, and placed whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Final, Protocol
from urllib.parse import urlsplit

from railwatch.core.errors import DownloadError

TIMEOUT_S: Final = 20.0
"""Longest silence of the server."""

CHUNK: Final = 1 << 18
HTTPS: Final = frozenset({"https"})
MAX_REDIRECTS: Final = 5

Progress = Callable[[int, int | None], None]
"""Told the bytes that are here and, where the server says it, those of the whole file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: from `url`, at most `max_bytes`, with this `sha256` where one is known beforehand.

    `advice` is what a user without a network can do. `schemes` are the schemes that the address and every redirection
    may have: https, but for tests.
    """

    url: str
    max_bytes: int
    sha256: str | None
    advice: str
    schemes: frozenset[str] = HTTPS


class _Response(Protocol):
    status: int
    headers: Message

    def read(self, amount: int) -> bytes: ...


def fetch(wanted: Wanted, target: Path, progress: Progress) -> str:
    """Fetch a file to `target` and return its SHA-256.

    What has come lies in ``TARGET.part`` until it is whole and checked; a second try goes on from there. Raises
    DownloadError when there is no way to the server, it refuses, sends too much or too little, redirects to another
    scheme, or the file is not the one that is wanted.
    """
    _check_scheme(wanted.url, wanted.schemes)
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part) as stream:
            _receive(wanted, stream, progress)
            digest = _digest(stream)
            if wanted.sha256 not in (None, digest):
                stream.truncate(0)
                raise DownloadError(
                    f"{wanted.url} must have the SHA-256 {wanted.sha256}, but what came has {digest}: it was thrown "
                    "away"
                )
            part.replace(target)
    except OSError as error:
        raise DownloadError(f"{target} cannot be written: {error.strerror or error}") from None
    return digest


@contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """The file of what has come, locked: two at once would mix their bytes."""
    part.touch(0o600)
    with part.open("r+b") as stream:
        try:
            _lock(stream)
        except OSError:
            raise DownloadError(f"{part} is being fetched by another process: wait for it") from None
        yield stream


def _lock(stream: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows refuses to replace an open file, which is lock enough
        return
    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _receive(wanted: Wanted, stream: IO[bytes], progress: Progress) -> None:
    """Append what is missing to `stream`, or begin anew where the server cannot go on."""
    have = stream.seek(0, os.SEEK_END)
    if have > wanted.max_bytes:
        have = 0
    with _reached(wanted), _opened(wanted, have) as response:
        if response.status != http.client.PARTIAL_CONTENT or not _goes_on_at(response, have):
            have = 0
        stream.seek(have)
        stream.truncate()
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() and len(length) < 16 else None
        if total is not None and total > wanted.max_bytes:
            raise DownloadError(f"{wanted.url} must have at most {wanted.max_bytes} bytes, but has {total}")
        while block := response.read(CHUNK):
            have += len(block)
            if have > wanted.max_bytes:
                stream.truncate(0)
                raise DownloadError(f"{wanted.url} must have at most {wanted.max_bytes} bytes, but sends more")
            stream.write(block)
            progress(have, total)
        stream.flush()
        if total is not None and have < total:
            raise DownloadError(
                f"{wanted.url} must have {total} bytes, but the connection ended after {have}: "
                "run the command again, it goes on from there"
            )


def _goes_on_at(response: _Response, have: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


@contextmanager
def _opened(wanted: Wanted, have: int) -> Iterator[_Response]:
    request = urllib.request.Request(wanted.url, headers={"User-Agent": "railwatch", "Accept-Encoding": "identity"})  # noqa: S310 - the scheme is checked
    if have:
        request.add_header("Range", f"bytes={have}-")
    opener = urllib.request.build_opener(_Redirects(wanted.schemes))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            yield response
    except urllib.error.HTTPError as error:
        with error:
            if not (have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE):
                raise
        with _opened(wanted, 0) as response:
            yield response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to an allowed scheme only; a file: or http: one is refused, never followed."""

    max_redirections = MAX_REDIRECTS

    def __init__(self, schemes: frozenset[str]) -> None:
        self._schemes = schemes

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_scheme(newurl, self._schemes)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str, schemes: frozenset[str]) -> None:
    scheme = urlsplit(url).scheme
    if scheme not in schemes:
        allowed = " or ".join(sorted(schemes))
        raise DownloadError(f"a file must be fetched over {allowed}, but the address is {_shown(url)}")


@contextmanager
def _reached(wanted: Wanted) -> Iterator[None]:
    """What goes wrong on the way as one sentence; the errors of the disk are not among it."""
    url, host = wanted.url, urlsplit(wanted.url).hostname
    try:
        yield
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{_shown(url)} must be there, but the server says {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise DownloadError(
            f"{host} must be reached to fetch {_shown(url)}, but cannot be ({error.reason}): is this machine online? "
            f"If it is not to be, {wanted.advice}"
        ) from None
    except (http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError) as error:
        raise DownloadError(
            f"{host} must send {_shown(url)}, but the connection failed ({error!r}): "
            "run the command again, it goes on from there"
        ) from None


def _shown(url: str) -> str:
    return url if len(url) <= 200 else f"{url[:200]}..."


def _digest(stream: IO[bytes]) -> str:
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(CHUNK):
        digest.update(block)
    return digest.hexdigest()
