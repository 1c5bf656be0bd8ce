"""Trying cameras, with stand-ins for what they give."""

from __future__ import annotations

import threading

import pytest
from typer.testing import CliRunner

from railwatch.app.camera_check import try_cameras
from railwatch.cli.main import build_app
from railwatch.core.errors import SourceError
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Size
from railwatch.testing import ListSource, solid_picture
from tests.hub_rig import write_site

CAMERA = CameraSettings("east", "rtsp://cam/1")


def picture(_, stop):
    assert not stop.is_set()
    return ListSource([solid_picture(Size(8, 6))], [0.0])


class Empty(ListSource):
    """A source that ends at once."""

    def frames(self):
        return iter(())


def empty(*_):
    return Empty([solid_picture(Size(8, 6))], [0.0])


def refused(*_):
    raise SourceError("UNAUTHORIZED:\n no")


def hanging(_, stop):
    stop.wait(30.0)
    raise SourceError("ended")


@pytest.mark.parametrize(
    ("open_camera", "good", "words"),
    [
        (picture, True, "first picture after"),
        (empty, False, "no picture"),
        (refused, False, "UNAUTHORIZED: no"),
        (hanging, False, "NO_ANSWER: it gave no picture within 0.2 s"),
    ],
)
def test_what_a_camera_gives_is_told(open_camera, good, words):
    (tried,) = try_cameras((CAMERA,), 0.2 if open_camera is hanging else 10.0, open_camera)
    assert (tried.camera_id, tried.good) == ("east", good)
    assert words in tried.text


def test_the_evidence_stream_is_tried_too():
    asked = []

    def opened(camera, stop):
        asked.append(camera.source)
        return picture(camera, stop)

    camera = CameraSettings("east", "rtsp://cam/sub", evidence_source="rtsp://cam/main")
    first, second = try_cameras((camera,), 10.0, opened)
    assert asked == ["rtsp://cam/sub", "rtsp://cam/main"]
    assert not first.text.startswith("evidence")
    assert second.text.startswith("evidence: ")


def test_the_threads_end(tmp_path):
    before = threading.active_count()
    list(try_cameras((CAMERA,) * 5, 10.0, picture))
    assert threading.active_count() == before


def test_the_command_tells_each_camera_and_fails_with_one(tmp_path):
    site = write_site(tmp_path, ("east", "west"))
    good = CliRunner().invoke(build_app(), ["cameras", "check", str(site)])
    assert good.exit_code == 0, good.output
    assert good.output.count("first picture after") == 2
    (tmp_path / "west.mp4").write_bytes(b"")
    bad = CliRunner().invoke(build_app(), ["cameras", "check", str(site), "--json"])
    assert isinstance(bad.exception, SourceError)
    assert '"good": false' in bad.output
    named = CliRunner().invoke(build_app(), ["cameras", "check", str(site), "--camera", "south"])
    assert "east, west" in str(named.exception)
