"""Sharpness, by pairs of frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from railwatch.core.alerts import CameraState
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import GRID, reduced
from railwatch.perception.vital_focus import Focus

EVERYWHERE = np.ones((GRID.height, GRID.width), np.bool_)


def marks():
    """Bare ground with six white marks: all the edges that there are."""
    picture = np.full((360, 640), 90, np.float32)
    for x in range(0, 240, 40):
        picture[10:34, x + 8 : x + 26] = 220
    return picture


def watch(focus, picture, seconds, since_s=0.0, *, scene=EVERYWHERE, noise=1.0):
    """What is said in the end."""
    rng, said = np.random.default_rng(2), []
    noisy = [np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8) for _ in range(3)]
    for t_s in range(seconds):
        said = focus.update(since_s + t_s, noisy[t_s % 3], noisy[(t_s + 1) % 3], scene, trusted=not said)
    return said


@pytest.mark.parametrize("sigma", [2.5, 6.0])
def test_a_picture_with_few_edges_is_told_to_be_out_of_focus(sigma):
    focus = Focus()
    assert not watch(focus, marks(), 15)
    (said,) = watch(focus, cv2.GaussianBlur(marks(), (0, 0), sigma), 9, 15.0)
    assert said.check is VitalCheck.DEFOCUSED


def test_a_picture_that_was_never_in_focus_is_blind_where_it_has_contrast():
    (said,) = watch(Focus(), cv2.GaussianBlur(marks(), (0, 0), 7), 20)
    assert said.state is CameraState.BLIND


def test_a_picture_without_contrast_is_not_judged():
    assert not watch(Focus(), np.full((360, 640), 90, np.float32), 20)


def test_cells_that_something_else_hides_are_not_judged():
    focus = Focus()
    watch(focus, marks(), 15)
    assert not watch(focus, cv2.GaussianBlur(marks(), (0, 0), 6), 9, 15.0, scene=EVERYWHERE & False)


def test_what_is_usual_can_be_learned_anew():
    focus, soft = Focus(), cv2.GaussianBlur(marks(), (0, 0), 1.5)
    watch(focus, marks(), 15)
    assert watch(focus, soft, 9, 15.0)
    focus.forget()
    assert not watch(focus, soft, 20, 24.0)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((720, 1280), (360, 640)), ((1280, 720), (640, 360)), ((576, 768), (360, 640)), ((640, 360), (640, 360))],
)
def test_an_upright_picture_stays_upright(shape, expected):
    assert reduced(np.zeros(shape, np.uint8)).shape == expected
