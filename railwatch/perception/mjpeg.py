"""Cameras that send JPEG pictures one after the other over HTTP (multipart/x-mixed-replace), as many cheap ones do.

Everything is bounded: the head, a picture, its pixels, and the time for each. Redirects are not followed. A picture has
no time stamp: it was taken when it came.
"""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import cv2
import numpy as np

from railwatch.core.address import Address, bracketed
from railwatch.core.clock import Clock, UtcNow, elapsed_s, utc_now
from railwatch.core.packets import EncodedPacket, PacketSink, StreamHead
from railwatch.core.types import Frame, Size
from railwatch.perception.credentials import NONE
from railwatch.perception.files import checked_size
from railwatch.perception.image_header import image_size
from railwatch.perception.network import resolve
from railwatch.perception.picture import BgrPicture
from railwatch.perception.source import Closing, SourceInfo
from railwatch.perception.stream import StreamOptions
from railwatch.perception.stream_error import StreamError, StreamState
from railwatch.perception.stream_socket import connected, refuse_status, told

WITHIN_S: Final = 2.0
"""Longest time for the head, and for each picture, however slowly they drip."""

MAX_JPEG: Final = 8 * 1024 * 1024
MAX_HEAD: Final = 16 * 1024
_LATE: Final = f"gave no whole picture within {WITHIN_S:g} s"
_TIME_BASE: Final = Fraction(1, 90_000)
_PIECE: Final = 64 * 1024


class MjpegSource(Closing):
    """A camera that sends JPEG over HTTP or HTTPS. The constructor connects and reads the first picture.

    User name and password go out by Basic authentication. Other arguments and errors are those of `StreamSource`.
    """

    def __init__(
        self,
        address: Address,
        camera_id: str,
        options: StreamOptions | None = None,
        *,
        stop: threading.Event | None = None,
        sink: PacketSink | None = None,
        clock: Clock = elapsed_s,
        utc_now: UtcNow = utc_now,
    ) -> None:
        self.camera_id = camera_id
        self._address, self._options = address, options or StreamOptions()
        self._stop, self._sink, self._clock, self._utc_now = stop or threading.Event(), sink, clock, utc_now
        self._buffer = b""
        self._deadline_s = clock() + WITHIN_S
        with told(self._address, _LATE):
            self._socket = self._connected()
        try:
            with told(self._address, _LATE):
                self._boundary = self._answered()
                self._first = self._jpeg()
                size = self._size_of(self._first)
        except BaseException:
            self._socket.close()
            raise
        description = f"{address.shown}: mjpeg {size.width} x {size.height}"
        self.info = SourceInfo(size, None, None, None, live=True, description=description)

    def frames(self) -> Iterator[Frame]:
        """Every picture as it comes until `stop` is set. Raises StreamError when no more come."""
        if self._sink is not None:
            self._sink.begin(StreamHead("mjpeg", b"", self.info.size, _TIME_BASE))
        content, index, begun_s = self._first, 0, self._clock()
        while not self._stop.is_set():
            t_s = self._clock()
            picture = self._decoded(content)
            self._record(content, t_s, begun_s, damaged=picture is None)
            if picture is not None:
                yield Frame(self.camera_id, index, t_s, None, self._utc_now(), picture)
                index += 1
            with told(self._address, _LATE):
                self._deadline_s = self._clock() + WITHIN_S
                content = self._jpeg()
                if self._size_of(content) != self.info.size:
                    raise self._error(StreamState.BROKEN, "its pictures changed their size: it is opened anew")

    def record(self) -> None:
        """Hand every picture to the sink until `stop` is set. Raises what `frames` raises."""
        for _ in self.frames():
            continue

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _record(self, content: bytes, t_s: float, begun_s: float, *, damaged: bool) -> None:
        if self._sink is not None:
            pts = round((t_s - begun_s) / _TIME_BASE)
            self._sink.put(EncodedPacket(content, pts, pts, keyframe=True, damaged=damaged, t_s=t_s))

    def _decoded(self, content: bytes) -> BgrPicture | None:
        array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        return None if array is None else BgrPicture(np.asarray(array, np.uint8))

    def _size_of(self, content: bytes) -> Size:
        """The size by the header: nothing is decoded before that is known."""
        try:
            return checked_size(image_size(content), self._address.shown)
        except ValueError as error:
            raise self._error(StreamState.BROKEN, f"a picture must be a JPEG: {error}") from None

    def _connected(self) -> socket.socket:
        number = resolve(self._address, self._options.allowed_hosts)
        return connected(self._address, number, WITHIN_S, self._options.ca_file)

    def _answered(self) -> bytes:
        """Ask for the stream; the boundary between its pictures."""
        address, who = self._address, self._options.credentials
        lines = [f"GET {address.target} HTTP/1.0", f"Host: {bracketed(address.host)}:{address.port}"]
        lines += ["User-Agent: railwatch", "Accept: multipart/x-mixed-replace"]
        if who is not NONE:
            secret = base64.b64encode(f"{who.user}:{who.password}".encode()).decode()
            lines.append(f"Authorization: Basic {secret}")
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        status, headers = _head(self._until(b"\r\n\r\n", MAX_HEAD))
        if status is None:
            raise self._error(StreamState.NOT_A_STREAM, "must speak HTTP, but does not")
        if status != 200:
            refuse_status(status, address)
        kind = headers.get("content-type", "")
        name, _, given = kind.partition("boundary=")
        if not name.lower().startswith("multipart/") or not given:
            raise self._error(StreamState.NOT_A_STREAM, "must send multipart/x-mixed-replace, but does not")
        return b"--" + given.split(";")[0].strip().strip('"').encode().removeprefix(b"--")

    def _jpeg(self) -> bytes:
        """The next picture: by its announced length, else up to the next boundary."""
        self._until(self._boundary, MAX_JPEG)
        headers = _fields(self._until(b"\r\n\r\n", MAX_HEAD))
        length = headers.get("content-length", "")
        if length.isdigit() and 0 < int(length) <= MAX_JPEG:
            while len(self._buffer) < int(length):
                self._more()
            content, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
            return content
        content = self._until(b"\r\n" + self._boundary, MAX_JPEG)
        self._buffer = self._boundary + self._buffer
        return content

    def _until(self, mark: bytes, most: int) -> bytes:
        """What comes before `mark`, which is taken too."""
        seen = 0
        while (at := self._buffer.find(mark, seen)) < 0:
            if len(self._buffer) > most:
                raise self._error(StreamState.NOT_A_STREAM, f"sends more than {most} bytes in a piece")
            seen = max(0, len(self._buffer) - len(mark) + 1)
            self._more()
        found, self._buffer = self._buffer[:at], self._buffer[at + len(mark) :]
        return found

    def _more(self) -> None:
        left_s = self._deadline_s - self._clock()
        if left_s <= 0.0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise self._error(StreamState.BROKEN, "the camera ended the stream")
        self._buffer += piece

    def _error(self, state: StreamState, text: str) -> StreamError:
        return StreamError(state, f"{self._address.shown}: {text}")


def _head(content: bytes) -> tuple[int | None, dict[str, str]]:
    line, _, rest = content.partition(b"\r\n")
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        return None, {}
    return int(parts[1]), _fields(rest)


def _fields(content: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in content.decode("latin-1").split("\r\n"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
