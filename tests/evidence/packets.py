"""Packets of small real clips, as a camera would hand them to a recording."""

from __future__ import annotations

import av

from railwatch.core.packets import EncodedPacket, StreamHead
from railwatch.core.types import Size
from railwatch.evidence.recording import PacketRing
from tests.clips import write_clip


def packets_of(path):
    """Head and packets of a video file; `t_s` is the decoding time, which rises as packets come."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        head = StreamHead(
            context.name, bytes(context.extradata or b""), Size(stream.width, stream.height), stream.time_base
        )
        found = []
        for packet in container.demux(stream):
            if packet.size:
                at = packet.dts if packet.dts is not None else packet.pts
                t_s = float(at * stream.time_base)
                key = packet.is_keyframe
                found.append(EncodedPacket(bytes(packet), packet.pts, packet.dts, key, packet.is_corrupt, t_s))
    return head, found


def recorded(path, seconds=1e6, max_bytes=1 << 30):
    """A ring that holds a whole file."""
    head, packets = packets_of(path)
    ring = PacketRing(seconds, max_bytes)
    ring.begin(head)
    for packet in packets:
        ring.put(packet)
    return ring


def h264_clip(path, frames=60, **options):
    """A clip of 6 s with a key frame every 12 frames."""
    return write_clip(path, "libx264", frames=frames, size=(64, 48), **options)
