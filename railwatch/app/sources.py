"""Which source reads what a user names: a row a kind."""

from __future__ import annotations

import threading
from pathlib import Path

from railwatch.core.clock import Clock, elapsed_s
from railwatch.core.errors import SourceError
from railwatch.perception.live import PacedSource
from railwatch.perception.source import FileSource, ImageFolderSource, Source, UsbSource, utc_now


def open_source(text: str, camera_id: str) -> Source:
    """Open a video file, a folder of pictures, or a USB camera by its number.

    Raises SourceError for anything else, and for what cannot be opened.
    """
    if text.isdigit():
        return UsbSource(int(text), camera_id, utc_now=utc_now)
    if "://" in text:
        raise SourceError(
            "a source must be a video file, a folder of pictures or the number of a USB camera, but is "
            f"{_scheme(text)}: streams are not supported yet"
        )
    path = Path(text)
    if path.is_dir():
        return ImageFolderSource(path, camera_id, utc_now=utc_now)
    return FileSource(path, camera_id, utc_now=utc_now)


def open_live_source(
    text: str, camera_id: str, *, loop: bool, stop: threading.Event, clock: Clock = elapsed_s
) -> Source:
    """Open what `open_source` opens as a camera: a recording goes at its own speed, again and again if `loop`.

    `stop` ends its frames; `clock` is that of `t_s`. Raises SourceError.
    """
    if text.isdigit():
        return UsbSource(int(text), camera_id, monotonic=clock, utc_now=utc_now)
    return PacedSource(lambda: open_source(text, camera_id), loop=loop, clock=clock, stop=stop)


def _scheme(text: str) -> str:
    """Only the scheme of a URL: the rest may hold a password."""
    return f"a {text.partition('://')[0][:20]}:// address"
