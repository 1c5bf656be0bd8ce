"""What is told of a scene by single looks at it: bare ground, passing things, covers, knocks."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import pytest

from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import GRID, look_of
from railwatch.perception.vital_scene import Scene

NOBODY = np.zeros((GRID.height, GRID.width), np.bool_)
GROUND_S = 16.0


MARKS = ((10, 20), (10, 120), (10, 220))


@lru_cache(maxsize=2)
def ground(texture=8.0):
    """Bare ground, wider than the picture, and a few white marks."""
    rng = np.random.default_rng(0)
    picture = 100 + cv2.GaussianBlur(rng.normal(0, texture, (220, 380)).astype(np.float32), (0, 0), 1.5)
    for y, x in MARKS:
        picture[20 + y : 32 + y, 30 + x : 60 + x] += 60 * (np.arange(30) % 10 < 6)
    return picture


def view(picture, x=0.0, y=0.0):
    """What the camera sees of it, shifted by so many pixels."""
    move = np.float32([[1, 0, x - 30], [0, 1, y - 20]])
    return cv2.warpAffine(picture, move, (320, 180))


class Watch:
    """A scene and the noise of a camera; `see` gives what is said of the next look."""

    def __init__(self, noise=0.7):
        self.scene, self.t_s, self.said, self.place = Scene(), 0.0, [], []
        self.noises = np.random.default_rng(5).normal(0, noise, (61, 180, 320)).astype(np.float32)

    def see(self, small):
        look = look_of((small + self.noises[len(self.said) % 61]).astype(np.float32))
        said = self.scene.glance(self.t_s, look, NOBODY, trusted=True)
        if self.t_s == int(self.t_s):
            self.place = self.scene.inspect(self.t_s, look, trusted=not said)
        self.said.append((self.t_s, [*said, *self.place]))
        self.t_s += 0.25

    def run(self, seconds, picture):
        """`picture` gives the small picture, by the time from now on."""
        begun_s = self.t_s
        while self.t_s < begun_s + seconds:
            self.see(picture(self.t_s - begun_s))
        return begun_s

    def first(self, check, since_s):
        times = [t_s for t_s, said in self.said if t_s >= since_s and check in [finding.check for finding in said]]
        return times[0] - since_s if times else None


@pytest.fixture
def watch():
    watch = Watch()
    watch.run(GROUND_S, lambda _: view(ground()))
    return watch


def lorry(t_s, speed=100.0):
    """A lorry with windows and wheels drives through the lower three quarters of the picture."""
    picture, left = view(ground()), round(t_s * speed) - 200
    x = np.arange(max(0, left), min(320, left + 200))
    picture[40:, x] = 60 + 100 * ((x - left) // 12 % 2)[None, :] + 40 * (np.arange(140) // 10 % 2)[:, None]
    return picture


def cover(dark=40.0, bright=70.0):
    """Spray: soft, out of focus, with a remnant of the ground."""
    sprayed = np.linspace(dark, bright, 320, dtype=np.float32)[None, :].repeat(180, 0)
    sprayed[:, 256:] = view(ground())[:, 256:]
    return sprayed


def test_what_passes_while_the_scene_is_learned_is_not_learned():
    watch = Watch()
    watch.run(40.0, lambda t_s: lorry((t_s - 2.0) % 20.0))
    assert {check for _, said in watch.said for check in said} == set()


def test_ground_that_drowns_in_noise_is_known_by_its_marks_alone():
    watch = Watch(noise=3.0)
    watch.run(GROUND_S, lambda _: view(ground(1.0)))
    known = watch.scene.reference.seen(look_of(view(ground(1.0)))).known
    assert known[:2].sum() >= 12
    assert not known[2:].any()


def test_a_cover_over_bare_ground_is_told_at_once(watch):
    since_s = watch.run(4.0, lambda _: cover())
    assert watch.first(VitalCheck.COVERED, 0.0) == pytest.approx(since_s + watch.first(VitalCheck.COVERED, since_s))
    assert watch.first(VitalCheck.COVERED, since_s) <= 1.5


def test_what_comes_into_the_picture_slowly_and_leaves_an_edge_is_no_stroke(watch):
    def drives_in(t_s):
        x = np.arange(320)
        return np.where(x[None, :] >= 320 - 160 * t_s, cover(30.0, 220.0), view(ground()))

    since_s = watch.run(7.0, drives_in)
    told = watch.first(VitalCheck.COVERED, since_s)
    assert told is None or told > 3.0


def test_something_that_stands_before_the_few_marks_is_no_cover():
    watch = Watch(noise=3.0)
    watch.run(GROUND_S, lambda _: view(ground(1.0)))
    parked = view(ground(1.0)).copy()
    parked[:26] = 150.0
    watch.run(12.0, lambda _: parked)
    assert watch.first(VitalCheck.COVERED, 0.0) is None


@pytest.mark.parametrize("shift", [7.0, -16.0])
def test_a_camera_that_is_knocked_is_moved_and_not_covered(shift):
    """Coarse gravel: all of it changes at a stroke, but is found again."""
    watch = Watch()
    watch.run(GROUND_S, lambda _: view(ground(120.0)))
    since_s = watch.run(8.0, lambda _: view(ground(120.0), shift))
    assert watch.first(VitalCheck.COVERED, since_s) is None
    assert watch.first(VitalCheck.MOVED, since_s) <= 5.0


def test_a_knock_is_measured_against_the_picture_of_now(watch):
    """The camera sags by 1.1 % of its width, slowly, and is knocked back by 2 %."""
    watch.run(30.0, lambda t_s: view(ground(), min(3.5, 3.5 * t_s / 12.0)))
    assert watch.first(VitalCheck.MOVED, 0.0) is None
    since_s = watch.run(8.0, lambda _: view(ground(), 3.5 - 6.4))
    assert watch.first(VitalCheck.MOVED, since_s) is not None
