"""Makes small real clips for tests."""

from __future__ import annotations

import av
import numpy as np


def textured(width=320, height=240, shift=0, seed=1):
    """A picture with edges, (height, width, 3) uint8 BGR, that moves to the right with `shift`."""
    blocks = np.random.default_rng(seed).integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    picture = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    return np.ascontiguousarray(np.roll(picture, 3 * shift, 1))


def write_clip(
    path, codec="mpeg4", *, frames=30, size=(320, 240), fps=10, pts=None, options=None, pix_fmt="yuv420p", title=""
):
    """Write `frames` pictures; `pts` gives their stamps in frame periods, `options` those of the container."""
    with av.open(str(path), "w", options={"fflags": "+bitexact", **(options or {})}) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = 12
        stream.codec_context.thread_count = 1
        if codec == "libx264":  # without its own threads and guesses of rate, or every run makes another file
            stream.options = {"x264-params": "threads=1:lookahead-threads=1:rc-lookahead=0:mbtree=0:qp=20"}
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(textured(*size, shift=index), format="bgr24")
            frame.pts = index if pts is None else pts[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
