"""Decoding a video file through PyAV: every good frame, and a plain word where the file breaks.

The only place where what PyAV raises becomes SourceError.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from railwatch.core.errors import SourceError
from railwatch.core.packets import EncodedPacket, PacketSink, StreamHead
from railwatch.core.types import Size
from railwatch.perception.container import missing_bytes
from railwatch.perception.files import MAX_PIXELS, checked_size, existing_file
from railwatch.perception.picture import YuvPicture, picture_of

FORMATS: Final = (
    "mov", "avi", "matroska", "mpegts", "mpeg", "flv", "asf", "ogg", "ivf", "h264", "hevc", "mjpeg", "m4v", "mpegvideo",
)  # fmt: skip
"""Demuxers that may open a file. Playlists (hls, concat), which lead to other files, are not among them."""

SHORT_S: Final = 0.5
"""Seconds by which a Matroska file may end before its announced duration: the length of its last frame is a guess."""

_OPTIONS: Final = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(FORMATS),
    "max_pixels": str(MAX_PIXELS),
}


class VideoFile:
    """An open video file whose first frame is decoded; `threads` decode in parallel.

    `size` is that of the first frame, upright (the file's display matrix, as phones write it, is applied); `fps`,
    `frame_count` and `duration_s` are what the file says of itself, None when it does not. Raises SourceError for what
    is not a readable video file.
    """

    def __init__(self, path: Path | str, threads: int = 1) -> None:
        self.path = existing_file(path)
        with _libav_errors(f"{self.path} must be a video file that can be read, but is not"):
            # "file:" and the whole path, so that no name is taken for a protocol or an option.
            self._container = av.open(f"file:{self.path.resolve()}", options=dict(_OPTIONS), metadata_errors="replace")
        try:
            self._stream = stream = _video_stream(self._container, self.path, threads)
            rate = stream.average_rate or stream.guessed_rate
            self.codec = stream.codec_context.name
            self.time_base = stream.time_base
            self.fps = float(rate) if rate else None
            self.frame_count = stream.frames or None
            self.duration_s = _duration_s(self._container, stream)
            self._tap = _Tap(stream)
            self._frames = self._decode()
            self._first: av.VideoFrame | None = _required(next(self._frames, None), self.path)
            self.size = self._picture(self._first).size
        except BaseException:
            self._container.close()
            raise

    def pictures(self) -> Iterator[tuple[YuvPicture, int | None]]:
        """Every picture with its presentation time stamp in `time_base`, once; ValueError for a second time.

        Raises SourceError where the file breaks, after the good frames before that: a damaged packet or frame, fewer
        bytes or packets than the file announces, a picture of another size than the first. Not every damage can be
        told: a bare or transport stream cut between two frames looks whole, and bytes that decode to a wrong picture
        look right.
        """
        first, self._first = self._first, None
        self._tap.start()
        if first is None:
            raise ValueError("the frames of a file are read once: open the file again to read them again")
        return self._pictures(first)

    def record(self, sink: PacketSink, begun_s: float) -> None:
        """Hand every packet to `sink` while it is read; those of the first frame, which were read, at once.

        Their `t_s` is `begun_s` and the presentation time from the first frame. Ask for it before `pictures`.
        """
        first = self._first
        if first is None:
            raise ValueError("a recording must begin before the frames are read")
        self._tap.record(sink, begun_s, self.size, first.pts)

    def close(self) -> None:
        """Let go of the file; may be called twice. Pictures that were read stay valid."""
        self._frames.close()
        self._container.close()

    def _pictures(self, first: av.VideoFrame) -> Iterator[tuple[YuvPicture, int | None]]:
        yield self._picture(first), first.pts
        for index, frame in enumerate(self._frames, start=1):
            picture = self._picture(frame)
            if picture.size != self.size:
                raise SourceError(
                    f"the pictures of {self.path} must keep one size, but change at frame {index} from "
                    f"{self.size.width} x {self.size.height} to {picture.size.width} x {picture.size.height}: "
                    "cut the file there"
                )
            yield picture, frame.pts

    def _picture(self, frame: av.VideoFrame) -> YuvPicture:
        with _libav_errors(f"a frame of {self.path} has a pixel format that cannot be converted"):
            return picture_of(frame, turn_degrees=round(frame.rotation / 90) * 90)

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        """Every good frame; raises SourceError where the file is damaged or ends early.

        A frame is given when no damaged one follows within the reordering of the decoder: pictures between two others
        are decoded after both, so they may build on a damaged one that is shown later.
        """
        count, waiting = 0, deque[av.VideoFrame]()
        faults: list[str] = []
        for frame in self._decoded_until(faults):
            if frame.is_corrupt:
                raise self._broken(count, "a frame is damaged")
            waiting.append(frame)
            if len(waiting) > self._stream.codec_context.reorder_depth:
                yield waiting.popleft()
                count += 1
        yield from waiting
        if faults:
            raise self._broken(count + len(waiting), faults[0])

    def _decoded_until(self, faults: list[str]) -> Iterator[av.VideoFrame]:
        """Frames as decoded, up to the first fault, which is put into `faults`."""
        packets, last_pts = 0, None
        for packet in self._packets_until(faults):
            packets += packet.size > 0
            if packet.pts is not None:
                last_pts = packet.pts if last_pts is None else max(last_pts, packet.pts)
            try:
                yield from packet.decode()
            except (av.FFmpegError, OSError, ValueError) as error:
                # What the decoder still holds is not asked for: half of the bad picture may be among it.
                faults.append(f"a packet cannot be decoded ({_said(error)})")
                return
        if faults:
            yield from self._held_back()
        elif short := self._shortfall(packets, last_pts):
            faults.append(short)

    def _packets_until(self, faults: list[str]) -> Iterator[Packet[VideoStream]]:
        """Packets up to the first damaged one."""
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt:
                    faults.append("a packet is damaged or cut off")
                    return
                self._tap.take(packet)
                yield packet
        except (av.FFmpegError, OSError) as error:
            faults.append(_said(error))

    def _held_back(self) -> Iterator[av.VideoFrame]:
        """Good frames from before the damage that the decoder still holds."""
        try:
            for frame in self._stream.codec_context.decode(None):
                if frame.is_corrupt:
                    return
                yield frame
        except av.FFmpegError:
            return

    def _shortfall(self, packets: int, last_pts: int | None) -> str:
        """What the file announces beyond the packets read, the last of them shown at `last_pts`; or nothing."""
        try:
            missing = missing_bytes(self.path)
        except OSError as error:
            return f"it cannot be read any more: {error}"
        if missing:
            return f"it is cut off: {missing:,} bytes are missing"
        # An entry of size 0 is a dropped frame in AVI.
        listed = sum(1 for entry in self._stream.index_entries if entry.size > 0 and not entry.is_discard)
        if listed > packets:
            return f"its index lists {listed} packets, but only {packets} could be read"
        announced_s = _announced_s(self._container, self._stream)
        if announced_s is not None and last_pts is not None and self._stream.time_base is not None:
            last_s = float(last_pts * self._stream.time_base)
            if announced_s - last_s - (1.0 / self.fps if self.fps else 0.0) > SHORT_S:
                return f"it announces {announced_s:.2f} s, but its last packet is at {last_s:.2f} s"
        return ""

    def _broken(self, count: int, fault: str) -> SourceError:
        return SourceError(
            f"the video {self.path} must be whole, but breaks after {count} good frames: {fault}. "
            "Copy it again, or cut it there"
        )


class _Tap:
    """Hands packets on to a recording; keeps those that come before it is known whether there is one."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._early: list[Packet[VideoStream]] | None = []
        self._sink: PacketSink | None = None
        self._begun_s, self._first_pts = 0.0, 0

    def record(self, sink: PacketSink, begun_s: float, size: Size, first_pts: int | None) -> None:
        """Begin with what has come already."""
        context, time_base = self._stream.codec_context, self._stream.time_base
        early, self._early = self._early, None
        if time_base is None:
            return  # nobody could tell its times
        self._sink, self._begun_s, self._first_pts = sink, begun_s, first_pts or 0
        sink.begin(StreamHead(context.name, bytes(context.extradata or b""), size, time_base))
        for packet in early or ():
            self.take(packet)

    def start(self) -> None:
        """Frames are read from now on."""
        self._early = None

    def take(self, packet: Packet[VideoStream]) -> None:
        """The next packet."""
        if packet.size == 0:
            return
        if self._early is not None:
            self._early.append(packet)
        elif self._sink is not None and self._stream.time_base is not None:
            stamp = packet.pts if packet.pts is not None else packet.dts
            after_s = 0.0 if stamp is None else float((stamp - self._first_pts) * self._stream.time_base)
            self._sink.put(
                EncodedPacket(
                    bytes(packet),
                    packet.pts,
                    packet.dts,
                    packet.is_keyframe,
                    packet.is_corrupt,
                    self._begun_s + after_s,
                )
            )


class ClipClock:
    """Times of the frames of a clip from their presentation time stamps: 0 at the first, always rising.

    A frame without a stamp, or whose stamp is not after that of the frame before (two recordings joined), comes one
    frame period after it, and the following stamps count from there.

    >>> clock = ClipClock(Fraction(1, 10), 10.0)
    >>> [clock.t_s(pts) for pts in (30, 31, 0, 2)]
    [0.0, 0.1, 0.2, 0.4]
    """

    def __init__(self, time_base: Fraction | None, fps: float | None) -> None:
        self._time_base = time_base
        self._period_s = 1.0 / fps if fps else None
        self._last_s: float | None = None
        self._origin: tuple[int, float] | None = None

    def t_s(self, pts: int | None) -> float:
        """Seconds from the first frame. Raises SourceError when neither stamps nor a frame rate tell them."""
        t_s = self._by_stamp(pts)
        if t_s is None:
            t_s = self._by_rate()
            self._origin = None if pts is None else (pts, t_s)
        self._last_s = t_s
        return t_s

    def pts_s(self, pts: int | None) -> float | None:
        """The stamp itself in seconds."""
        return None if pts is None or self._time_base is None else float(pts * self._time_base)

    def _by_stamp(self, pts: int | None) -> float | None:
        if pts is None or self._time_base is None or self._origin is None or self._last_s is None:
            return None
        t_s = self._origin[1] + float((pts - self._origin[0]) * self._time_base)
        return t_s if t_s > self._last_s else None

    def _by_rate(self) -> float:
        if self._last_s is None:
            return 0.0
        if self._period_s is None:
            raise SourceError("the frames of the video have no rising time stamps, and the file names no frame rate")
        return self._last_s + self._period_s


def _video_stream(container: InputContainer, path: Path, threads: int) -> VideoStream:
    """The video of the file, ready to decode; raises SourceError when there is none, or it is too large."""
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise SourceError(f"{path} must hold a video, but holds only {kinds}")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in pictures else pictures[0]
    context = stream.codec_context
    if context is None:
        raise SourceError(f"the video of {path} must have a codec that can be decoded, but has not")
    if not (context.width and context.height):  # libav also blanks a size that is beyond max_pixels
        raise SourceError(
            f"{path} must give a picture size of at most {MAX_PIXELS:,} pixels, but gives none or a larger"
        )
    checked_size(Size(context.width, context.height), str(path))
    context.thread_count = threads
    context.thread_type = "AUTO" if threads != 1 else "NONE"
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def _required(frame: av.VideoFrame | None, path: Path) -> av.VideoFrame:
    if frame is None:
        raise SourceError(f"{path} must hold a frame that can be decoded, but holds none")
    return frame


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None


def _announced_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Where the video of a Matroska file ends by its own word; None for others, which have an index or say nothing.

    The duration of the whole file holds for the video only when there is nothing else in it.
    """
    if "matroska" not in container.format.name:
        return None
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = map(float, tag.groups())
        return hours * 3600.0 + minutes * 60.0 + seconds
    return container.duration / av.time_base if container.duration and len(container.streams) == 1 else None


@contextmanager
def _libav_errors(message: str) -> Iterator[None]:
    """Turn what PyAV raises into SourceError: the message, and what libav says."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"{message} ({_said(error)})") from error


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
