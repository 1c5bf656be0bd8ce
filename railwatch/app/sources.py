"""Which source reads what a user names: a row a kind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from railwatch.core.address import is_address, parse_address
from railwatch.core.clock import Clock, elapsed_s
from railwatch.core.errors import SourceError
from railwatch.core.packets import PacketSink
from railwatch.core.settings import CameraSettings
from railwatch.perception.credentials import read_credentials
from railwatch.perception.evidence_stream import RecordedBeside
from railwatch.perception.live import Drained, PacedSource
from railwatch.perception.mjpeg import MjpegSource
from railwatch.perception.source import FileSource, ImageFolderSource, Source, UsbSource, utc_now
from railwatch.perception.stream import StreamOptions, StreamSource
from railwatch.perception.stream_error import StreamError, StreamState


def open_source(text: str, camera_id: str, options: StreamOptions | None = None) -> Source:
    """Open a video file, a folder of pictures, a USB camera by its number, or a stream by its address.

    Of what is live only the newest frame is given: it is drained meanwhile. Raises SourceError for anything else, and
    for what cannot be opened.
    """
    if text.isdigit():
        return Drained(UsbSource(int(text), camera_id, utc_now=utc_now))
    if is_address(text):
        return Drained(open_stream(text, camera_id, options))
    path = Path(text)
    if path.is_dir():
        return ImageFolderSource(path, camera_id, utc_now=utc_now)
    return FileSource(path, camera_id, utc_now=utc_now)


def open_stream(
    text: str,
    camera_id: str,
    options: StreamOptions | None = None,
    *,
    stop: threading.Event | None = None,
    sink: PacketSink | None = None,
    clock: Clock = elapsed_s,
) -> StreamSource | MjpegSource:
    """Open a stream by its address: RTSP or RTSPS, or JPEG pictures over HTTP or HTTPS. Raises StreamError."""
    try:
        address = parse_address(text)
    except ValueError as error:
        raise StreamError(StreamState.REFUSED, str(error)) from None
    kind = StreamSource if address.scheme in ("rtsp", "rtsps") else MjpegSource
    return kind(address, camera_id, options, stop=stop, sink=sink, clock=clock, utc_now=utc_now)


def open_live_source(
    camera: CameraSettings,
    *,
    loop: bool,
    stop: threading.Event,
    sink: PacketSink | None = None,
    clock: Clock = elapsed_s,
    say: Callable[[str], None] = lambda _: None,
) -> Source:
    """Open the source of a camera as live: a recording goes at its own speed, again and again if `loop`.

    `stop` ends its frames; `clock` is that of `t_s`. `sink` is handed every packet of its stream or video file, or of
    its evidence stream if it has one: `say` is told when that gives nothing. Raises SourceError.
    """
    evidence = camera.evidence_source if sink is not None else None
    source = _looked_at(camera, loop=loop, stop=stop, sink=sink if evidence is None else None, clock=clock)
    if evidence is None:
        return source

    def recording(end: threading.Event) -> StreamSource | MjpegSource:
        return open_stream(evidence, camera.camera_id, options_of(camera), stop=end, sink=sink, clock=clock)

    return RecordedBeside(source, recording, say, stop)


def _looked_at(
    camera: CameraSettings, *, loop: bool, stop: threading.Event, sink: PacketSink | None, clock: Clock
) -> Source:
    text, camera_id = camera.source, camera.camera_id
    if text.isdigit():
        return UsbSource(int(text), camera_id, monotonic=clock, utc_now=utc_now)
    if is_address(text):
        return open_stream(text, camera_id, options_of(camera), stop=stop, sink=sink, clock=clock)
    return PacedSource(lambda: open_source(text, camera_id), loop=loop, clock=clock, stop=stop, sink=sink)


def options_of(camera: CameraSettings) -> StreamOptions:
    """How the streams of a camera are fetched. Raises StreamError when its user name and password cannot be had."""
    try:
        credentials = read_credentials(camera.credentials)
    except SourceError as error:
        raise StreamError(StreamState.REFUSED, str(error)) from None
    return StreamOptions(camera.transport, credentials, tuple(camera.allowed_hosts), camera.ca_file)
