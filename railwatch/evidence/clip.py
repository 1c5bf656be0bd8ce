"""From packets to a clip: the camera's own video in an MP4 file, not encoded again; or encoded anew, with masks.

Which players take it depends on what the camera sends: H.264 in 4:2:0 plays in browsers, HEVC in few, MJPEG and MPEG-4
part 2 in none; ffmpeg, VLC and mpv play all of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from railwatch.core.errors import SourceError
from railwatch.core.geometry import Point
from railwatch.core.packets import EncodedPacket, StreamHead
from railwatch.core.privacy import blurred
from railwatch.evidence.annexb import to_stream
from railwatch.evidence.recording import Cut

RAW_FORMATS: Final = {"h264": "h264", "hevc": "hevc", "mjpeg": "mjpeg", "mpeg4": "m4v"}
"""Codecs of which clips are made, and libav's name of each as a bare stream."""

_TICKS: Final = Fraction(1, 90_000)
_INDEX_BYTES: Final = 48
"""Bytes of the index that a packet may take: MP4 keeps size, place, time and whether it is a key frame."""


@dataclass(frozen=True, slots=True)
class Clip:
    """An MP4 file in memory. `begin_s`: time of its first packet, on the clock of the ring; `seconds`: its length."""

    content: bytes
    codec: str
    begin_s: float
    seconds: float
    packets: int
    damaged: int
    encoded_again: bool
    notes: tuple[str, ...]


def make_clip(cut: Cut) -> Clip:
    """The packets as an MP4 file, as the camera sent them. Raises SourceError when they cannot be made into one."""
    codec = cut.head.codec
    if codec not in RAW_FORMATS:
        raise SourceError(f"a clip is made of {', '.join(RAW_FORMATS)} only, but the camera sends {codec}")
    stamps = stamps_of(cut.head, cut.packets)
    payloads = [to_stream(codec, cut.head.extradata, p.data, keyframe=p.keyframe) for p in cut.packets]
    try:
        content = _muxed(cut, payloads, stamps)
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise SourceError(f"the packets of the camera cannot be made into a clip: {error}") from error
    return _clip(cut, content, codec, stamps, encoded_again=False)


def make_masked_clip(cut: Cut, private: Sequence[tuple[Point, ...]]) -> Clip:
    """The packets decoded and encoded anew with `private` (polygons in fractions of the frame) as a mosaic.

    Raises SourceError when they cannot be decoded: what cannot be masked is not kept.
    """
    codec = cut.head.codec
    if codec not in RAW_FORMATS:
        raise SourceError(f"a clip is made of {', '.join(RAW_FORMATS)} only, but the camera sends {codec}")
    stamps = stamps_of(cut.head, cut.packets)
    try:
        content = _encoded(cut, stamps, private)
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise SourceError(f"the clip cannot be masked, and is not kept: {error}") from error
    return _clip(cut, content, "h264", stamps, encoded_again=True)


def stamps_of(head: StreamHead, packets: Sequence[EncodedPacket]) -> list[tuple[int, int]]:
    """Presentation and decoding stamps, (pts, dts) in `head.time_base`, from 0 on, dts rising and never after pts.

    Packets without a stamp, and those whose stamps begin anew, are put where they came (`t_s`).

    >>> from railwatch.core.types import Size
    >>> head = StreamHead("h264", b"", Size(64, 48), Fraction(1, 10))
    >>> came = ((50, 0.0), (53, 0.1), (51, 0.2), (52, 0.3))
    >>> packets = [EncodedPacket(b"", pts, None, pts == 50, False, t_s) for pts, t_s in came]
    >>> stamps_of(head, packets)
    [(1, 0), (4, 1), (2, 2), (3, 3)]
    """
    pts = _continuous(head, packets)
    shown = sorted(set(pts))
    while len(shown) < len(pts):  # two with one stamp: stretch, for decoding times must rise
        shown.append(shown[-1] + 1)
    delay = max((a - b for a, b in zip(shown, pts, strict=True)), default=0)
    first = shown[0]
    return [(p - first + delay, d - first) for p, d in zip(pts, shown, strict=True)]


def _continuous(head: StreamHead, packets: Sequence[EncodedPacket]) -> list[int]:
    """Presentation stamps on one line of time, also over a stream that began anew."""
    found: list[int] = []
    offset, tick = 0, float(head.time_base)
    begun_s, origin = packets[0].t_s, None
    for packet in packets:
        stamp = packet.pts if packet.pts is not None else packet.dts
        came = round((packet.t_s - begun_s) / tick)
        if stamp is None:
            found.append(max(came, found[-1] + 1 if found else 0))
            continue
        if origin is None:
            origin = stamp
        at = stamp - origin + offset
        if abs(at - came) * tick > 2.0 and found:  # it began anew: go on from when it came
            offset += max(came, max(found) + 1) - at
            at = stamp - origin + offset
        found.append(at)
    return found


def _muxed(cut: Cut, payloads: Sequence[bytes], stamps: Sequence[tuple[int, int]]) -> bytes:
    file = io.BytesIO()
    room = 4096 + _INDEX_BYTES * len(payloads)  # the index in front, so that a browser plays while it loads
    with (
        av.open(io.BytesIO(_first_group(cut, payloads)), format=RAW_FORMATS[cut.head.codec]) as sample,
        av.open(file, "w", format="mp4", options={"moov_size": str(room)}) as container,
    ):
        _add(container, sample.streams.video[0], payloads, stamps, cut)
    return file.getvalue()


def _add(
    container: OutputContainer,
    template: VideoStream,
    payloads: Sequence[bytes],
    stamps: Sequence[tuple[int, int]],
    cut: Cut,
) -> None:
    stream = container.add_stream_from_template(template)
    stream.time_base = cut.head.time_base
    for source, data, (pts, dts) in zip(cut.packets, payloads, stamps, strict=True):
        packet = av.Packet(data)
        packet.pts, packet.dts, packet.time_base = pts, dts, cut.head.time_base
        packet.is_keyframe, packet.stream = source.keyframe, stream
        container.mux(packet)


def _first_group(cut: Cut, payloads: Sequence[bytes]) -> bytes:
    """The first key frame, and a few after it, for libav to learn the properties of the stream from."""
    return b"".join(payloads[: 2 if cut.head.codec == "mjpeg" else 8])


def _encoded(cut: Cut, stamps: Sequence[tuple[int, int]], private: Sequence[tuple[Point, ...]]) -> bytes:
    file = io.BytesIO()
    decoder = VideoCodecContext.create(cut.head.codec, "r")
    if not isinstance(decoder, VideoCodecContext):
        raise ValueError(f"{cut.head.codec} is no video")  # noqa: TRY004 - told like what libav refuses
    decoder.thread_count = 1
    if cut.head.extradata:
        decoder.extradata = cut.head.extradata
    with av.open(file, "w", format="mp4", options={"moov_size": str(4096 + _INDEX_BYTES * len(stamps))}) as container:
        stream = container.add_stream("libx264", options={"crf": "23", "preset": "veryfast", "threads": "1"})
        stream.codec_context.time_base = _TICKS
        stream.pix_fmt = "yuv420p"
        last = -1
        for frame in _decoded(decoder, cut, stamps):
            picture = blurred(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), private)
            picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2].copy()
            if last < 0:
                stream.height, stream.width = picture.shape[:2]
            masked = av.VideoFrame.from_ndarray(picture, format="bgr24")
            last = max(last + 1, round((frame.pts or 0) * cut.head.time_base / _TICKS))
            masked.pts, masked.time_base = last, _TICKS
            container.mux(stream.encode(masked))
        if last < 0:
            raise ValueError("no picture could be decoded")
        container.mux(stream.encode(None))
    return file.getvalue()


def _decoded(decoder: VideoCodecContext, cut: Cut, stamps: Sequence[tuple[int, int]]) -> Iterator[av.VideoFrame]:
    for source, (pts, dts) in zip(cut.packets, stamps, strict=True):
        packet = av.Packet(source.data)
        packet.pts, packet.dts, packet.time_base = pts, dts, cut.head.time_base
        try:
            yield from decoder.decode(packet)
        except av.FFmpegError:
            continue  # a damaged packet: the pictures around it are still evidence
    yield from decoder.decode(None)


def _clip(cut: Cut, content: bytes, codec: str, stamps: Sequence[tuple[int, int]], *, encoded_again: bool) -> Clip:
    shown = [pts for pts, _ in stamps]
    seconds = float((max(shown) - min(shown)) * cut.head.time_base)
    notes = [*cut.notes]
    if codec != "h264":
        notes.append(f"the camera sends {codec}, which browsers do not play everywhere: use ffmpeg, VLC or mpv")
    damaged = sum(packet.damaged for packet in cut.packets)
    return Clip(content, codec, cut.packets[0].t_s, seconds, len(cut.packets), damaged, encoded_again, tuple(notes))
