"""Where frames come from: video files, folders of pictures, USB cameras; and the protocol that live streams meet.

A file may end; a live source never does: when it has no more frames that is a failure and raises SourceError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import cv2

from railwatch.core.clock import UtcNow, utc_now
from railwatch.core.errors import SourceError
from railwatch.core.packets import PacketSink
from railwatch.core.types import Frame, Size, UInt8Array
from railwatch.perception.files import checked_size
from railwatch.perception.picture import BgrPicture, YuvPicture
from railwatch.perception.picture_file import PICTURE_SUFFIXES, pictures_in, read_picture
from railwatch.perception.video_file import ClipClock, VideoFile

__all__ = [
    "PICTURE_SUFFIXES",
    "Capture",
    "FileSource",
    "ImageFolderSource",
    "Source",
    "SourceInfo",
    "UsbSource",
    "UtcNow",
    "pictures_in",
    "read_picture",
    "utc_now",
]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its frames are read.

    `fps`, `frame_count` and `duration_s` are what the file says of itself, None when it does not; `description` is one
    line for people, without secrets.
    """

    size: Size
    fps: float | None
    frame_count: int | None
    duration_s: float | None
    live: bool
    description: str


class Source(Protocol):
    """Frames of one camera. The constructor opens it and raises SourceError when it cannot be read."""

    @property
    def camera_id(self) -> str:
        """The camera whose frames these are."""

    @property
    def info(self) -> SourceInfo:
        """What is known before reading."""

    def frames(self) -> Iterator[Frame]:
        """Every frame in order, once; `index` counts from 0 and `t_s` never goes backwards.

        Ends only where a file ends. Raises SourceError when the source breaks, and when a live one stops.
        """

    def close(self) -> None:
        """Let go of the file or device; may be called twice, not while another thread reads frames."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


class Closing:
    """The context manager that every source is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to let go of."""


class FileSource(Closing):
    """A video file. The constructor opens it and decodes its first frame.

    `threads` decode in parallel (1 costs the least CPU a frame: the model needs the cores more). `t_s` is the
    presentation time from the first frame, see `ClipClock`; `captured_at` is when the frame was read, by `utc_now`.
    Raises SourceError for what is not a readable video file.
    """

    def __init__(self, path: Path | str, camera_id: str, *, threads: int = 1, utc_now: UtcNow = utc_now) -> None:
        self.camera_id = camera_id
        self._video = video = VideoFile(path, threads)
        self._utc_now = utc_now
        description = f"{video.path.name}: {video.codec} {_times(video.size)}"
        self.info = SourceInfo(
            video.size, video.fps, video.frame_count, video.duration_s, live=False, description=description
        )

    def frames(self) -> Iterator[Frame]:
        """Every frame of the file in order, once; ValueError when asked for a second time.

        Raises SourceError where the file breaks or its frames have no usable times, after the good frames before that.
        """
        return self._frames(self._video.pictures(), ClipClock(self._video.time_base, self._video.fps))

    def record(self, sink: PacketSink, begun_s: float) -> None:
        """Hand every packet to `sink`, its `t_s` counted from `begun_s`; ask for it before the frames."""
        self._video.record(sink, begun_s)

    def close(self) -> None:
        """Let go of the file. Pictures that were read stay valid."""
        self._video.close()

    def _frames(self, pictures: Iterator[tuple[YuvPicture, int | None]], clock: ClipClock) -> Iterator[Frame]:
        for index, (picture, pts) in enumerate(pictures):
            yield Frame(self.camera_id, index, clock.t_s(pts), clock.pts_s(pts), self._utc_now(), picture)


class ImageFolderSource(Closing):
    """The pictures of a folder as a clip: `fps` a second, in the order of `pictures_in`, all of one size."""

    def __init__(self, path: Path | str, camera_id: str, fps: float = 1.0, *, utc_now: UtcNow = utc_now) -> None:
        if not 0.0 < fps < float("inf"):
            raise ValueError(f"fps must be positive and finite, but is {fps}")
        self.camera_id = camera_id
        self._paths = pictures_in(path)
        self._fps = fps
        self._utc_now = utc_now
        count = len(self._paths)
        size = read_picture(self._paths[0]).size
        self.info = SourceInfo(size, fps, count, count / fps, live=False, description=f"{count} pictures of {path}")

    def frames(self) -> Iterator[Frame]:
        """Every picture. Raises SourceError, with its name, at one that cannot be read or has another size."""
        for index, path in enumerate(self._paths):
            picture = read_picture(path)
            if picture.size != self.info.size:
                raise SourceError(
                    f"the pictures of a folder must have one size, {_times(self.info.size)} as the first, but {path} "
                    f"has {_times(picture.size)}: look at unrelated pictures with `railwatch detect`"
                )
            yield Frame(self.camera_id, index, index / self._fps, None, self._utc_now(), picture)


class Capture(Protocol):
    """What is used of cv2.VideoCapture."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether the device was opened."""

    def read(self) -> tuple[bool, Any]:
        """Whether there was a frame, and the frame, (H, W, 3) uint8 BGR."""

    def get(self, propId: int) -> float:  # noqa: N803 - OpenCV's name
        """A property, 0 when it is not known."""

    def release(self) -> None:
        """Let go of the device."""


class UsbSource(Closing):
    """A camera at this machine by its number, read with OpenCV. Live: a camera that gives no frame has failed.

    `open_capture` opens the device and `monotonic` is the clock of `t_s`; both are given by tests.
    """

    def __init__(
        self,
        index: int,
        camera_id: str,
        *,
        open_capture: Callable[[int], Capture] = cv2.VideoCapture,
        monotonic: Callable[[], float] = time.monotonic,
        utc_now: UtcNow = utc_now,
    ) -> None:
        self.camera_id = camera_id
        self._name = f"USB camera {index}"
        self._monotonic = monotonic
        self._utc_now = utc_now
        self._capture = open_capture(index)
        try:
            size = _capture_size(self._capture, self._name)
        except SourceError:
            self._capture.release()
            raise
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.info = SourceInfo(size, fps if fps > 0.0 else None, None, None, live=True, description=self._name)

    def frames(self) -> Iterator[Frame]:
        """Frames until the camera fails, which raises SourceError: it never just ends."""
        index = 0
        while True:
            try:
                ok, array = self._capture.read()
            except cv2.error as error:
                raise SourceError(f"{self._name} failed after {index} frames: {error}") from error
            t_s = self._monotonic()
            if not ok or array is None:
                raise SourceError(f"{self._name} must go on giving frames, but stopped after {index}: is it unplugged?")
            yield Frame(self.camera_id, index, t_s, None, self._utc_now(), BgrPicture(_owned(array)))
            index += 1

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()


def _capture_size(capture: Capture, name: str) -> Size:
    if not capture.isOpened():
        raise SourceError(f"{name} must be connected and free, but cannot be opened")
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    return checked_size(Size(int(width), int(height)), name)


def _owned(array: UInt8Array) -> UInt8Array:
    """The array itself when its memory is its own; a copy when a driver may write into it again."""
    return array if array.flags.owndata else array.copy()


def _times(size: Size) -> str:
    return f"{size.width} x {size.height}"
