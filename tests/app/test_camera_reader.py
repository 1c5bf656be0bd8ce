"""The watch over the threads that read a camera."""

from __future__ import annotations

import threading

import pytest

from railwatch.app.camera_reader import FIRST_S, MOST_LEFT_BEHIND, REOPEN_LONGEST_S, CameraReader, ReadersHangError
from railwatch.core.errors import SourceError
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Frame, Size
from railwatch.perception.picture import BgrPicture
from railwatch.perception.source import SourceInfo
from railwatch.testing import solid_picture
from tests.hub_rig import wait_until

CAMERA = CameraSettings("east", "rtsp://cam/1")
INFO = SourceInfo(Size(8, 6), None, None, None, live=True, description="a stand-in")


class Script:
    """A live source that gives a frame for each thing that it is told; None ends it, an exception breaks it."""

    camera_id, info = "east", INFO

    def __init__(self):
        self.waiting, self.news = [], threading.Semaphore(0)
        self.closed = False

    def tell(self, *things):
        for thing in things:
            self.waiting.append(thing)
            self.news.release()

    def frames(self):
        index = 0
        while True:
            self.news.acquire()
            thing = self.waiting.pop(0)
            if thing is None:
                return
            if isinstance(thing, Exception):
                raise thing
            yield Frame("east", index, thing, None, "now", BgrPicture(solid_picture(Size(8, 6))))
            index += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True


class Rig:
    def __init__(self):
        self.now_s, self.scripts = 0.0, []
        self.reader = CameraReader(
            CAMERA,
            self._open,
            loop=False,
            mark=lambda: 7,
            wake=lambda: None,
            clock=lambda: self.now_s,
            chance=lambda: 0.5,
        )
        self.wait_open(1)

    def _open(self, *_):
        self.scripts.append(Script())
        return self.scripts[-1]

    def wait_open(self, count):
        wait_until(lambda: len(self.scripts) >= count, 10.0, "an opened camera")
        return self.scripts[count - 1]

    def frame(self, script, t_s):
        script.tell(t_s)
        wait_until(lambda: self.reader.newest is not None and self.reader.newest.t_s == t_s, 10.0, "a frame")

    def turn_until(self, reason):
        found = []
        wait_until(lambda: found.append(self.reader.turn()) or found[-1] is not None, 10.0, reason)
        assert reason in found[-1]

    def go_on(self, seconds=0.25, turns=1):
        for _ in range(turns):
            self.now_s += seconds
            assert self.reader.turn() is None


@pytest.fixture
def rig():
    made = Rig()
    yield made
    for script in made.scripts:
        script.tell(None, None)
    made.reader.close()


def test_frames_are_handed_over_with_their_mark(rig):
    rig.frame(rig.scripts[0], 0.1)
    taken = rig.reader.latest.take()
    assert (taken.frame.t_s, taken.mark) == (0.1, 7)
    assert rig.reader.description == "a stand-in"
    assert rig.reader.turn() is None


@pytest.mark.parametrize("end", [None, SourceError("unplugged"), RuntimeError()])
def test_a_camera_that_fails_is_told_once_and_opened_again(rig, end):
    rig.frame(rig.scripts[0], 0.1)
    rig.scripts[0].tell(end)
    rig.turn_until(
        {"SourceError": "unplugged", "RuntimeError": "RuntimeError"}.get(type(end).__name__, "no more frames")
    )
    assert rig.scripts[0].closed
    rig.go_on(0.1)
    assert len(rig.scripts) == 1
    rig.go_on(REOPEN_LONGEST_S)
    rig.frame(rig.wait_open(2), 1.3)


def test_a_camera_that_hangs_is_left_behind_and_nothing_that_it_still_gives_counts(rig):
    hung = rig.scripts[0]
    rig.frame(hung, 0.1)
    rig.now_s = 1.4
    assert rig.reader.turn() is None
    rig.now_s = 1.7
    rig.turn_until("no fresh picture came for 1.7 s")
    rig.reader.latest.take()
    rig.go_on(REOPEN_LONGEST_S)
    fresh = rig.wait_open(2)
    hung.tell(0.2)
    wait_until(lambda: hung.closed, 10.0, "the end of the late thread")
    assert rig.reader.latest.take() is None
    rig.frame(fresh, 2.8)


def test_a_slow_camera_has_not_stalled(rig):
    for second in range(1, 60):
        rig.now_s = float(second)
        rig.frame(rig.scripts[0], float(second))
    rig.now_s += 2.5
    assert rig.reader.turn() is None
    rig.now_s += 1.0
    rig.turn_until("no fresh picture came")


def test_a_first_frame_is_waited_for_longer(rig):
    rig.now_s = FIRST_S - 0.1
    assert rig.reader.turn() is None
    rig.now_s = FIRST_S + 0.1
    rig.turn_until("no fresh picture came for 12.1 s")


def test_when_too_many_threads_hang_the_process_must_be_replaced(rig):
    for count in range(1, MOST_LEFT_BEHIND + 1):
        rig.wait_open(count)
        rig.now_s += FIRST_S + 0.1
        rig.turn_until("no fresh picture came")
        rig.go_on(REOPEN_LONGEST_S * 1.3)
    rig.wait_open(MOST_LEFT_BEHIND + 1)
    rig.now_s += FIRST_S + 0.1
    with pytest.raises(ReadersHangError, match="5 threads hang while they read it"):
        rig.reader.turn()


def test_attempts_are_bounded_in_number_and_in_time(rig):
    """A dead camera is tried about once a second, and no less often however long it is dead."""
    for count in range(1, 40):
        rig.wait_open(count).tell(SourceError("dead"))
        rig.turn_until("dead")
        begun_s = rig.now_s
        while len(rig.scripts) == count and rig.now_s < begun_s + 2.0:
            rig.now_s += 0.05
            rig.reader.turn()
            threading.Event().wait(0.001)
        assert rig.now_s - begun_s <= 1.2 * REOPEN_LONGEST_S + 0.3
