from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from railwatch.core.errors import SourceError
from railwatch.evidence.video import VideoWriter


def test_pictures_come_back_with_their_times(tmp_path):
    path = tmp_path / "out.mp4"
    times = [0.0, 0.1, 0.2, 0.7, 0.7, 0.8]  # a hole, and two frames of one time
    with VideoWriter(path, 10.0) as writer:
        for number, t_s in enumerate(times):
            writer.write(np.full((49, 65, 3), 40 * number, np.uint8), t_s)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
    assert stream.codec_context.name == "h264"
    assert [round(frame.time, 3) for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.7, 0.7, 0.8], abs=0.001)
    assert (frames[0].width, frames[0].height) == (64, 48)  # odd sides lose a line
    means = [frame.to_ndarray(format="gray").mean() for frame in frames]
    assert means == pytest.approx([40 * number for number in range(6)], abs=6)


def test_a_video_without_pictures_is_closed_without_a_fault(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", 0.0):
        pass


@pytest.mark.parametrize("path", ["missing/out.mp4", "."])
def test_a_place_that_cannot_be_written_is_told(tmp_path, path):
    with pytest.raises(SourceError, match="cannot be written"):
        VideoWriter(tmp_path / path, 10.0)


def test_a_full_disk_is_told():
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    writer = VideoWriter(Path("/dev/full"), 10.0)
    writer.write(noise, 0.0)
    with pytest.raises(SourceError, match="No space left"):
        writer.close()
