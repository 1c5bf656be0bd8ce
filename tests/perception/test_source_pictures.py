from __future__ import annotations

import contextlib
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.errors import SourceError
from railwatch.core.types import Size
from railwatch.perception import picture_file
from railwatch.perception.image_header import image_size
from railwatch.perception.source import ImageFolderSource, UsbSource, pictures_in, read_picture, utc_now
from tests.clips import textured, write_clip


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.avi")


class TestImageFolderSource:
    @pytest.fixture
    def folder(self, tmp_path):
        for name, seed in (("10.png", 10), ("2.png", 2), ("1.jpg", 1)):
            cv2.imwrite(str(tmp_path / name), textured(seed=seed))
        (tmp_path / "notes.txt").write_text("no picture")
        (tmp_path / "old.png").mkdir()
        return tmp_path

    def test_pictures_come_in_the_order_of_their_numbers(self, folder):
        with ImageFolderSource(folder, "cam", fps=2.0, utc_now=lambda: "now") as source:
            frames = list(source.frames())
        assert [path.name for path in pictures_in(folder)] == ["1.jpg", "2.png", "10.png"]
        assert [(f.index, f.t_s, f.pts_s, f.captured_at) for f in frames] == [
            (0, 0.0, None, "now"),
            (1, 0.5, None, "now"),
            (2, 1.0, None, "now"),
        ]
        assert np.array_equal(frames[2].picture.bgr(), textured(seed=10))
        assert (source.info.frame_count, source.info.duration_s, source.info.live) == (3, 1.5, False)

    def test_a_damaged_picture_raises_with_its_name_after_the_good_ones(self, folder):
        (folder / "10.png").write_bytes((folder / "10.png").read_bytes()[:200])
        frames = []
        with ImageFolderSource(folder, "cam") as source, pytest.raises(SourceError, match=r"10\.png"):
            frames.extend(source.frames())
        assert len(frames) == 2

    def test_pictures_of_two_sizes_are_no_clip(self, folder):
        cv2.imwrite(str(folder / "3.png"), textured(64, 64))
        with ImageFolderSource(folder, "cam") as source, pytest.raises(SourceError, match=r"3\.png has 64 x 64"):
            list(source.frames())

    @pytest.mark.parametrize("fps", [0.0, -1.0, float("inf"), float("nan")])
    def test_a_frame_rate_that_is_none_is_refused(self, folder, fps):
        with pytest.raises(ValueError, match="fps must be positive"):
            ImageFolderSource(folder, "cam", fps=fps)

    def test_a_folder_without_pictures_is_refused(self, tmp_path):
        with pytest.raises(SourceError, match="must hold pictures"):
            ImageFolderSource(tmp_path, "cam")
        with pytest.raises(SourceError, match="is not a folder"):
            ImageFolderSource(tmp_path / "missing", "cam")


class TestReadPicture:
    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".jpeg", ".webp"])
    @pytest.mark.parametrize("size", [(65, 33), (1, 1)])
    def test_every_format_is_read(self, tmp_path, suffix, size):
        path = tmp_path / f"picture{suffix}"
        cv2.imwrite(str(path), textured(*size))
        picture = read_picture(path)
        assert picture.size == Size(*size)
        assert np.array_equal(picture.bgr(), cv2.imread(str(path)))

    @pytest.mark.parametrize("array", [textured()[..., 0], np.dstack((textured(), textured()[..., 0]))])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_grey_alpha_and_16_bits_become_bgr(self, tmp_path, array, dtype):
        path = tmp_path / "picture.png"
        cv2.imwrite(str(path), array.astype(dtype) * (257 if dtype is np.uint16 else 1))
        expected = array[..., :3] if array.ndim == 3 else np.dstack([array] * 3)
        assert np.array_equal(read_picture(path).bgr(), expected)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_turns_the_picture(self, tmp_path, orientation):
        path = tmp_path / "picture.jpg"
        cv2.imwrite(str(path), textured(64, 32))
        content = path.read_bytes()
        tiff = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 1, orientation) + b"\0" * 4
        exif = b"Exif\0\0" + tiff
        path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:])
        picture = read_picture(path)
        assert picture.size == (Size(32, 64) if orientation >= 5 else Size(64, 32))
        assert np.array_equal(picture.bgr(), cv2.imread(str(path)))

    def test_a_small_file_that_decodes_to_hundreds_of_megabytes_is_refused_undecoded(self, tmp_path, monkeypatch):
        rows = zlib.compress(b"\0" * (12_001 * 100), 9)  # the rest would follow; the header alone decides
        header = struct.pack(">IIBBBBB", 12_000, 12_000, 8, 2, 0, 0, 0)
        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows))
        monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
        with pytest.raises(SourceError, match=r"bomb\.png must have 1 to 64,000,000 pixels, but has 12000 x 12000"):
            read_picture(path)

    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".webp"])
    @pytest.mark.parametrize("kept", [0.0, 0.002, 0.01, 0.5, 0.95])
    def test_a_picture_cut_off_is_an_error_and_not_half_a_picture(self, tmp_path, suffix, kept):
        path = tmp_path / f"picture{suffix}"
        cv2.imwrite(str(path), textured())
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
        with pytest.raises(SourceError, match="picture"):
            read_picture(path)

    def test_a_jpeg_whose_thumbnail_is_whole_but_which_is_cut_off_is_refused(self, tmp_path):
        path = tmp_path / "picture.jpg"
        cv2.imwrite(str(path), textured())
        content = path.read_bytes()
        application = b"\xff\xe1" + struct.pack(">H", 6) + b"ab\xff\xd9"
        path.write_bytes(content[:2] + application + content[2 : len(content) // 2])
        with pytest.raises(SourceError, match="cut off"):
            read_picture(path)

    @pytest.mark.parametrize("content", [b"GIF89a" + b"\0" * 50, b"hello", b"\xff\xd8\xff", b"\0" * 100])
    def test_what_is_no_picture_is_refused(self, tmp_path, content):
        path = tmp_path / "picture.jpg"
        path.write_bytes(content)
        with pytest.raises(SourceError, match=r"picture\.jpg cannot be read"):
            read_picture(path)

    def test_a_file_that_is_too_large_is_not_read(self, tmp_path, monkeypatch):
        path = tmp_path / "picture.png"
        cv2.imwrite(str(path), textured())
        monkeypatch.setattr(picture_file, "MAX_PICTURE_BYTES", 100)
        with pytest.raises(SourceError, match="at most 100 bytes"):
            read_picture(path)

    @given(content=st.binary(max_size=200), head=st.sampled_from([b"", b"\xff\xd8\xff", b"BM", b"RIFF\0\0\0\0WEBP"]))
    def test_any_bytes_are_a_picture_or_a_value_error(self, content, head):
        with contextlib.suppress(ValueError):
            assert len(image_size(head + content)) == 2


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


class FakeCapture:
    """Stands for a USB camera: no machine of this project has one, so no test has seen a real device."""

    def __init__(self, frames, opened=True, size=(320, 240)):
        self.frames = list(frames)
        self.opened = opened
        self.size = size
        self.released = 0

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return self.opened

    def read(self):
        frame = self.frames.pop(0) if self.frames else None
        if isinstance(frame, Exception):
            raise frame
        return frame is not None, frame

    def get(self, key):
        return {cv2.CAP_PROP_FRAME_WIDTH: self.size[0], cv2.CAP_PROP_FRAME_HEIGHT: self.size[1]}.get(key, 0.0)

    def release(self):
        self.released += 1


class TestUsbSourceWithAFakeCamera:
    def test_frames_come_with_the_monotonic_time_and_the_end_is_a_failure(self):
        capture = FakeCapture([textured(shift=0), textured(shift=1)])
        times = iter([100.0, 100.1, 100.2])
        asked = []

        def open_capture(index):
            asked.append(index)
            return capture

        frames = []
        with (
            UsbSource(
                3, "cam", open_capture=open_capture, monotonic=lambda: next(times), utc_now=lambda: "now"
            ) as source,
            pytest.raises(SourceError, match="USB camera 3 must go on giving frames, but stopped after 2"),
        ):
            frames.extend(source.frames())
        assert asked == [3]
        assert [(f.index, f.t_s, f.pts_s, f.captured_at) for f in frames] == [
            (0, 100.0, None, "now"),
            (1, 100.1, None, "now"),
        ]
        assert source.info.live
        assert (source.info.fps, source.info.frame_count) == (None, None)
        assert capture.released == 1

    @pytest.mark.parametrize(
        ("capture", "expected"),
        [(FakeCapture([], opened=False), "cannot be opened"), (FakeCapture([], size=(0, 0)), "has 0 x 0")],
    )
    def test_a_camera_that_cannot_be_used_is_refused_and_let_go(self, capture, expected):
        with pytest.raises(SourceError, match=expected):
            UsbSource(0, "cam", open_capture=lambda _: capture)
        assert capture.released == 1

    def test_an_error_of_opencv_is_a_source_error(self):
        with (
            UsbSource(0, "cam", open_capture=lambda _: FakeCapture([cv2.error("lost")])) as source,
            pytest.raises(SourceError, match="failed after 0 frames"),
        ):
            next(source.frames())

    def test_a_frame_does_not_change_when_the_driver_writes_the_next_into_its_memory(self):
        buffer = textured()
        with UsbSource(0, "cam", open_capture=lambda _: FakeCapture([buffer[:]])) as source:
            frame = next(source.frames())
        before = frame.picture.bgr().copy()
        buffer[:] = 0
        assert np.array_equal(frame.picture.bgr(), before)


def test_the_time_for_people_is_utc_with_milliseconds():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", utc_now())
