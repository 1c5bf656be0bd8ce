"""Clips: the camera's own packets, which play; or encoded anew where something must not be seen."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from railwatch.core.errors import SourceError
from railwatch.core.geometry import Point
from railwatch.core.packets import EncodedPacket, StreamHead
from railwatch.core.privacy import blurred
from railwatch.core.types import Size
from railwatch.evidence.annexb import to_stream
from railwatch.evidence.clip import make_clip, make_masked_clip, stamps_of
from tests.clips import write_clip
from tests.evidence.packets import h264_clip, packets_of, recorded

HALF = (Point(0.0, 0.0), Point(0.49, 0.0), Point(0.49, 1.0), Point(0.0, 1.0))


def pictures(content):
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def probed(content, path):
    """What ffprobe says of a clip; skips where it is not installed."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed: apt-get install ffmpeg")
    path.write_bytes(content)
    command = ["ffprobe", "-v", "error", "-show_streams", "-count_frames", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return json.loads(done.stdout)["streams"][0]


@pytest.mark.parametrize(
    ("codec", "suffix", "pix_fmt"),
    [
        ("libx264", "mp4", "yuv420p"),
        ("libx264", "ts", "yuv420p"),
        ("libx265", "mp4", "yuv420p"),
        ("mpeg4", "mp4", "yuv420p"),
        ("mjpeg", "avi", "yuvj420p"),
    ],
)
def test_the_pictures_are_those_of_the_camera(tmp_path, codec, suffix, pix_fmt):
    if codec == "libx265":
        try:
            av.codec.Codec("libx265", "w")
        except av.codec.codec.UnknownCodecError:
            pytest.skip("this PyAV has no HEVC encoder")
    path = write_clip(tmp_path / f"c.{suffix}", codec, frames=30, size=(64, 48), pix_fmt=pix_fmt)
    clip = make_clip(recorded(path).cut(0.0, 100.0))
    with av.open(str(path)) as container:
        wanted = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    found = pictures(clip.content)
    assert len(found) >= len(wanted) - 1  # PyAV gives the last MJPEG picture of an MP4 no length
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=False))
    assert (clip.packets, clip.damaged, clip.encoded_again) == (30, 0, False)
    assert any("browsers" in note for note in clip.notes) == (codec != "libx264")


def test_ffprobe_plays_it_and_the_index_stands_in_front(tmp_path):
    clip = make_clip(recorded(h264_clip(tmp_path / "c.mp4")).cut(2.0, 5.0))
    assert clip.content.index(b"moov") < clip.content.index(b"mdat")
    stream = probed(clip.content, tmp_path / "clip.mp4")
    assert (stream["codec_name"], stream["pix_fmt"], stream["codec_tag_string"]) == ("h264", "yuv420p", "avc1")
    assert int(stream["nb_read_frames"]) == clip.packets
    assert clip.begin_s <= 2.0
    assert clip.begin_s + clip.seconds >= 4.8


def test_start_codes_without_a_head_make_a_clip(tmp_path):
    """A camera that tells its parameter sets only in the stream."""
    head, packets = packets_of(h264_clip(tmp_path / "c.mp4", frames=24))
    stream = [replace(p, data=to_stream("h264", head.extradata, p.data, keyframe=p.keyframe)) for p in packets]
    cut = recorded(tmp_path / "c.mp4").cut(0.0, 100.0)
    clip = make_clip(replace(cut, head=replace(head, extradata=b""), packets=tuple(stream)))
    assert len(pictures(clip.content)) == 24


def test_stamps_are_mended():
    """Times that are missing or begin anew, as after a reconnect, go on from when the packets came."""
    head = StreamHead("h264", b"", Size(64, 48), Fraction(1, 10))
    given = [(100, 0.0), (101, 0.1), (None, 0.2), (3, 5.0), (4, 5.1)]
    packets = [EncodedPacket(b"", pts, pts, number == 0, False, t_s) for number, (pts, t_s) in enumerate(given)]
    assert stamps_of(head, packets) == [(0, 0), (1, 1), (2, 2), (50, 50), (51, 51)]


def test_damaged_packets_still_give_a_clip(tmp_path):
    cut = recorded(h264_clip(tmp_path / "c.mp4")).cut(0.0, 100.0)
    packets = [
        replace(p, data=p.data[: len(p.data) // 2], damaged=True) if n in (3, 4) else p
        for n, p in enumerate(cut.packets)
    ]
    clip = make_clip(replace(cut, packets=tuple(packets)))
    assert clip.damaged == 2
    assert len(make_masked_clip(replace(cut, packets=tuple(packets)), [HALF]).content) > 0


def test_a_masked_clip_shows_nothing_of_what_is_masked(tmp_path):
    cut = recorded(h264_clip(tmp_path / "c.mp4", frames=24)).cut(0.0, 100.0)
    clip = make_masked_clip(cut, [HALF])
    assert clip.encoded_again
    assert clip.codec == "h264"
    masked, plain = pictures(clip.content), pictures(make_clip(cut).content)
    assert len(masked) == len(plain) == 24
    for found, was in zip(masked, plain, strict=True):
        wanted = blurred(np.ascontiguousarray(was), [HALF])
        left = np.abs(found[:, :30].astype(int) - wanted[:, :30])
        assert left.mean() < 12.0
        assert np.abs(found[:, 34:].astype(int) - was[:, 34:]).mean() < 12.0


def test_what_cannot_be_made_into_a_clip_is_said(tmp_path):
    cut = recorded(h264_clip(tmp_path / "c.mp4", frames=12)).cut(0.0, 100.0)
    strange = replace(cut, head=replace(cut.head, codec="vp6"))
    for make in (make_clip, lambda cut: make_masked_clip(cut, [HALF])):
        with pytest.raises(SourceError, match="the camera sends vp6"):
            make(strange)
    junk = replace(cut, packets=tuple(replace(p, data=b"\x00" * 40) for p in cut.packets))
    with pytest.raises(SourceError, match="cannot be masked, and is not kept"):
        make_masked_clip(junk, [HALF])
