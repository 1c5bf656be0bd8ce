"""Is a lost picture of an H.264 stream missed, and never one that is there? On clips of many encoders.

    python benchmarks/lost_pictures.py CLIP...

Each clip is read as a camera's stream (Annex B). Then every 37th picture is taken out, one at a time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext

from railwatch.perception.h264 import PictureNumbers

START = b"\x00\x00\x01"


def packets_of(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Content of every packet, and whether it is a key frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "h264":
            return
        to_stream = BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            if packet.size:
                yield from ((bytes(made), made.is_keyframe) for made in to_stream.filter(packet))


def is_built_on(content: bytes) -> bool:
    """Whether other pictures build on this one (nal_ref_idc of its first slice)."""
    at = content.find(START)
    while content[at + 3] & 31 not in (1, 5):
        at = content.find(START, at + 3)
    return bool(content[at + 3] & 0x60)


def main(paths: list[Path]) -> int:
    """Print a line for each clip; the exit code is 1 when a loss is cried or missed."""
    wrong = 0
    for path in paths:
        packets = list(packets_of(path))
        if not packets:
            print(f"{path.name}: not H.264")
            continue
        numbers, begun = PictureNumbers(), time.process_time()
        cried = sum(numbers.lost(content) for content, _ in packets)
        took_us = 1e6 * (time.process_time() - begun) / len(packets)
        found = missed = 0
        for gone in range(5, len(packets) - 1, 37):
            if is_built_on(packets[gone][0]) and not packets[gone + 1][1]:
                left = PictureNumbers()
                told = any(left.lost(content) for place, (content, _) in enumerate(packets) if place != gone)
                found, missed = found + told, missed + (not told)
        wrong += cried + missed
        print(f"{path.name}: {len(packets)} pictures, {cried} cried, {found} told, {missed} missed, {took_us:.1f} us")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
