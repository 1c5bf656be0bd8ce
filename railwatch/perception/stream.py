"""RTSP and RTSPS cameras through PyAV: drained, low latency, on this machine's clock, and never a damaged picture.

The options and their values were measured (docs/cameras.md). A read that hangs in libav ends by its own timeout within
a few seconds; long before that, whoever looks from outside has noticed that no picture comes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from railwatch.core.address import Address
from railwatch.core.clock import Clock, UtcNow, elapsed_s, utc_now
from railwatch.core.packets import EncodedPacket, PacketSink, StreamHead
from railwatch.core.types import Frame, Size
from railwatch.perception.credentials import NONE, Credentials
from railwatch.perception.files import MAX_PIXELS, checked_size
from railwatch.perception.network import resolve
from railwatch.perception.picture import picture_of
from railwatch.perception.rtsp_greeting import greet
from railwatch.perception.source import Closing, SourceInfo
from railwatch.perception.stream_clock import Stamped, StreamClock
from railwatch.perception.stream_error import StreamError, StreamState
from railwatch.perception.taint import Taint

OPEN_S: Final = 2.0
READ_S: Final = 2.0
"""Seconds that libav may take for opening, and for a read."""

_TRANSPORTS: Final = ("tcp", "udp")
_TIMES_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a stream is fetched. `transport`: tcp, or udp where the network loses nothing.

    `allowed_hosts` as `network.resolve` takes them; `ca_file`: whose certificates are good for rtsps; None: those that
    this machine trusts.
    """

    transport: str = "tcp"
    credentials: Credentials = NONE
    allowed_hosts: Sequence[str] = ()
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if self.transport not in _TRANSPORTS:
            raise ValueError(f"transport must be one of {', '.join(_TRANSPORTS)}, but is {self.transport!r}")


@dataclass(slots=True)
class StreamCounts:
    """What a stream has given so far: packets, frames handed on, and those held back as damaged or as stale."""

    packets: int = 0
    frames: int = 0
    damaged: int = 0
    stale: int = 0


class StreamSource(Closing):
    """A camera that speaks RTSP. The constructor asks it what it is and opens it; `frames` gives its fresh frames.

    `t_s` is when a frame was taken, on `clock` (see `StreamClock`). What follows a damaged packet is held back until
    the next key frame; stale frames are held back too. `sink` is handed every packet as the camera sent it.
    Raises StreamError, without any secret.
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
        self.counts = StreamCounts()
        self._address, self._options = address, options or StreamOptions()
        self._stop, self._sink, self._clock, self._utc_now = stop or threading.Event(), sink, clock, utc_now
        self._container = self._opened()
        try:
            self._stream = _video_of(self._container, address)
            self._require_noticed_loss()
            size = _size_of(self._stream, address)
        except BaseException:
            self._container.close()
            raise
        rate = self._stream.average_rate or self._stream.guessed_rate
        codec = self._stream.codec_context.name
        self.info = SourceInfo(
            size,
            float(rate) if rate else None,
            None,
            None,
            live=True,
            description=f"{address.shown}: {codec} {size.width} x {size.height}",
        )

    def frames(self) -> Iterator[Frame]:
        """Fresh, undamaged frames until `stop` is set. Raises StreamError when the stream ends or breaks."""
        self._begin_recording()
        clock, taint = _PacketClock(), Taint(self._stream.codec_context.name)
        for packet in self._packets():
            if self._stop.is_set():
                return
            arrived_s, content = self._clock(), bytes(packet)
            self.counts.packets += 1
            taint.packet(packet.pts, content, keyframe=packet.is_keyframe, corrupt=packet.is_corrupt)
            clock.packet(packet, arrived_s)
            self._record(packet, content, arrived_s)
            for picture in self._decoded(packet, taint):
                if not taint.clean(picture.pts, corrupt=picture.is_corrupt):
                    self.counts.damaged += 1
                    continue
                stamped = clock.of(picture.pts, arrived_s)
                if not stamped.fresh:
                    self.counts.stale += 1
                    continue
                yield self._frame(picture, stamped.t_s)

    def record(self) -> None:
        """Hand every packet to the sink until `stop` is set, and decode nothing. Raises what `frames` raises."""
        self._begin_recording()
        for packet in self._packets():
            if self._stop.is_set():
                return
            self.counts.packets += 1
            self._record(packet, bytes(packet), self._clock())

    def close(self) -> None:
        """Let go of the connection."""
        self._container.close()

    def _frame(self, picture: av.VideoFrame, t_s: float) -> Frame:
        pts_s = None if picture.pts is None or picture.time_base is None else float(picture.pts * picture.time_base)
        made = picture_of(picture)
        if made.size != self.info.size:
            raise self._error(StreamState.BROKEN, "its pictures changed their size: it is opened anew")
        index, self.counts.frames = self.counts.frames, self.counts.frames + 1
        return Frame(self.camera_id, index, t_s, pts_s, self._utc_now(), made)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        try:
            yield from (packet for packet in self._container.demux(self._stream) if packet.size > 0)
        except (av.FFmpegError, OSError) as error:
            raise self._failed(error) from None
        raise self._error(StreamState.BROKEN, "the camera ended the stream")

    def _decoded(self, packet: Packet[VideoStream], taint: Taint) -> Sequence[av.VideoFrame]:
        try:
            return packet.decode()
        except (av.FFmpegError, ValueError):
            taint.damage()
            return ()

    def _require_noticed_loss(self) -> None:
        """Over UDP packets are lost, and libav shows the rest of an H.265 picture as if it were whole."""
        if self._options.transport == "udp" and self._stream.codec_context.name == "hevc":
            raise self._error(
                StreamState.REFUSED,
                "H.265 must be fetched over TCP, for over UDP a lost packet is not noticed: set transport: tcp, or let "
                "the camera send H.264",
            )

    def _begin_recording(self) -> None:
        stream = self._stream
        if self._sink is not None and stream.time_base is not None:
            context = stream.codec_context
            extradata = bytes(context.extradata or b"")
            self._sink.begin(StreamHead(context.name, extradata, self.info.size, stream.time_base))

    def _record(self, packet: Packet[VideoStream], content: bytes, arrived_s: float) -> None:
        if self._sink is not None:
            self._sink.put(
                EncodedPacket(content, packet.pts, packet.dts, packet.is_keyframe, packet.is_corrupt, arrived_s)
            )

    def _opened(self) -> InputContainer:
        address, options = self._address, self._options
        number = resolve(address, options.allowed_hosts)
        known = options.credentials is not NONE
        greet(address, number, known=known, ca_file=options.ca_file)
        # A certificate is for a name: with TLS the name is looked up again, and the certificate says who answers.
        host = None if address.scheme == "rtsps" else number
        url = address.url(options.credentials.user, options.credentials.password, host)
        try:
            return av.open(url, options=_libav_options(options, address.scheme), timeout=(OPEN_S, READ_S))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> StreamError:
        """What libav says, in our words."""
        shown = self._address.shown
        if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
            return StreamError(StreamState.UNAUTHORIZED, f"{shown} refuses the user name or the password")
        if isinstance(error, av.HTTPNotFoundError):
            return StreamError(
                StreamState.NOT_FOUND, f"{shown} must be a stream of the camera, but it knows no such path"
            )
        if isinstance(error, av.ExitError | av.TimeoutError | TimeoutError):
            return StreamError(StreamState.NO_ANSWER, f"{shown} gave nothing for {READ_S:g} s")
        said = self._options.credentials.hidden(str(getattr(error, "strerror", None) or type(error).__name__))
        return StreamError(StreamState.BROKEN, f"{shown}: {said}")

    def _error(self, state: StreamState, text: str) -> StreamError:
        return StreamError(state, f"{self._address.shown}: {text}")


class _PacketClock:
    """The times of pictures by those of their packets, which come while a first key frame is still waited for."""

    def __init__(self) -> None:
        self._clock = StreamClock()
        self._times: OrderedDict[int, Stamped] = OrderedDict()

    def packet(self, packet: Packet[VideoStream], arrived_s: float) -> None:
        """Take in when a packet came."""
        if packet.pts is None or packet.time_base is None:
            return
        self._times[packet.pts] = self._clock.stamp(float(packet.pts * packet.time_base), arrived_s)
        if len(self._times) > _TIMES_KEPT:
            self._times.popitem(last=False)

    def of(self, pts: int | None, arrived_s: float) -> Stamped:
        """When a picture was taken. One without a stamp was taken when it came; one of no packet is not fresh."""
        if pts is None:
            return self._clock.stamp(None, arrived_s)
        return self._times.pop(pts, Stamped(arrived_s, fresh=False))


def _libav_options(options: StreamOptions, scheme: str) -> dict[str, str]:
    """Low latency, and no protocol but those of the stream itself."""
    protocols = "rtsp,rtp,tcp,udp" + (",tls" if scheme == "rtsps" else "")
    chosen = {
        "rtsp_transport": options.transport,
        "timeout": str(int(READ_S * 1e6)),
        "fflags": "nobuffer",
        "flags": "low_delay",
        "probesize": "32768",
        "analyzeduration": "0",
        "max_delay": "0" if options.transport == "tcp" else "200000",
        "reorder_queue_size": "0" if options.transport == "tcp" else "64",
        "protocol_whitelist": protocols,
    }
    if scheme == "rtsps":
        chosen |= {"tls_verify": "1"} | ({"ca_file": options.ca_file} if options.ca_file else {})
    return chosen


def _video_of(container: InputContainer, address: Address) -> VideoStream:
    if not container.streams.video:
        raise StreamError(StreamState.NO_VIDEO, f"{address.shown} must send video, but sends none")
    stream = container.streams.video[0]
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    context = stream.codec_context
    context.thread_count, context.thread_type = 1, "NONE"
    context.flags |= Flags.low_delay
    context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode"}
    return stream


def _size_of(stream: VideoStream, address: Address) -> Size:
    context = stream.codec_context
    if not (context.width and context.height):
        raise StreamError(StreamState.NO_VIDEO, f"{address.shown} must tell the size of its pictures, but does not")
    return checked_size(Size(context.width, context.height), address.shown)
