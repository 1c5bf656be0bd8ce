"""Writes annotated pictures as an H.264 video that browsers play."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
import numpy as np
from av.video.stream import VideoStream

from railwatch.core.errors import SourceError
from railwatch.core.types import UInt8Array

TIME_BASE: Final = Fraction(1, 90_000)
"""Ticks of the written time stamps: the clock of MPEG, fine enough for every frame rate."""


class VideoWriter:
    """An MP4 file that takes pictures with their times; use as a context manager.

    Raises SourceError when the file cannot be written (folder missing, disk full, no H.264 encoder).
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._rate = Fraction(fps).limit_denominator(1001) if fps > 0.0 else Fraction(25)
        self._last_pts = -1
        self._stream: VideoStream | None = None
        try:
            # Opened here and not by libav, which would wait for the first frame to find that the folder is missing.
            self._file = path.open("w+b")
        except OSError as error:
            raise SourceError(f"the video {path} cannot be written: {error.strerror}") from error
        self._container = av.open(self._file, "w", format="mp4")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, bgr: UInt8Array, t_s: float) -> None:
        """Append one picture ((H, W, 3) uint8 BGR, always of one size) that was taken at `t_s` seconds of the clip."""
        height, width = bgr.shape[:2]
        even = np.ascontiguousarray(bgr[: height // 2 * 2, : width // 2 * 2])  # H.264 in 4:2:0 has even sides
        try:
            if self._stream is None:
                self._stream = self._open_stream(even.shape[1], even.shape[0])
            frame = av.VideoFrame.from_ndarray(even, format="bgr24")
            self._last_pts = max(self._last_pts + 1, round(t_s / TIME_BASE))
            frame.pts = self._last_pts
            frame.time_base = TIME_BASE
            self._container.mux(self._stream.encode(frame))
        except (OSError, ValueError) as error:
            raise SourceError(f"the video {self._path} cannot be written: {error}") from error

    def close(self) -> None:
        """Write what is left and close the file."""
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except (OSError, ValueError) as error:
            raise SourceError(f"the video {self._path} cannot be finished: {error}") from error
        finally:
            with contextlib.suppress(OSError):  # a disk that is full has been told of
                self._file.close()

    def _open_stream(self, width: int, height: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=self._rate, options={"crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        return stream
