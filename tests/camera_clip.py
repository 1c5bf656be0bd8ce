"""A clip encoded as a camera encodes: no pictures out of order, a key frame every second."""

from __future__ import annotations

from fractions import Fraction

import av


def camera_clip(source, path, *, fps=25, size=None, seconds=None, codec="libx264"):
    """`source` again, each of its pictures shown for 1 / `fps`, in the way that a camera sends them."""
    with av.open(str(source)) as reading, av.open(str(path), "w") as writing:
        first = reading.streams.video[0]
        width, height = size or (first.codec_context.width, first.codec_context.height)
        stream = writing.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"tune": "zerolatency", "preset": "veryfast", "bf": "0", "threads": "1"}
        stream.codec_context.gop_size = fps
        for number, frame in enumerate(reading.decode(first)):
            if seconds is not None and number >= seconds * fps:
                break
            shown = frame.reformat(width, height, "yuv420p")
            shown.pts, shown.time_base = number, Fraction(1, fps)
            shown.pict_type = 0
            writing.mux(stream.encode(shown))
        writing.mux(stream.encode())
    return path
