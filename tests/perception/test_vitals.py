"""Short versions of benchmarks/vitals.py: faults are noticed in time, and nothing is cried where nothing is wrong."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from railwatch.app.sources import open_source
from railwatch.core.alerts import CameraState
from railwatch.core.types import Frame, Size, Track, TrackState
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.picture import UNMARKED, YuvPicture
from railwatch.perception.vital_freeze import Freeze
from railwatch.perception.vital_parts import Finding, Held
from railwatch.perception.vital_timing import FrameTiming
from railwatch.perception.vitals import NOTHING_WRONG, CameraVitals, cells_under, judged
from tests.perception import vital_faults as faults

FPS = 10.0
CALM_S = 15.0


@pytest.fixture(scope="module")
def clip(root):
    """The luma of the frames of a rendered clip, and noise."""
    with open_source(str(root / "scenes" / "clips" / "demo.mp4"), "cam") as source:
        return [frame.picture.luma for frame in source.frames()]


@pytest.fixture(scope="module")
def noises(clip):
    rng = np.random.default_rng(0)
    return [rng.normal(0, 1, clip[0].shape).astype(np.float32) for _ in range(5)]


def frame_of(luma, number, t_s=None, pts_s=None):
    height, width = luma.shape
    grey = np.full((-(-height // 2), -(-width // 2)), 128, np.uint8)
    t_s = number / FPS if t_s is None else t_s
    picture = YuvPicture(luma, (grey, grey), (2, 2), UNMARKED)
    return Frame("cam", number, t_s, t_s if pts_s is None else pts_s, "now", picture)


def watch(clip, noises, change, seconds, *, calm_s=CALM_S, tracks=(), vitals=None):
    """(t_s, state, reason) of every frame; `change` makes the luma after `calm_s`."""
    vitals = vitals or CameraVitals()
    said = []
    for number, index in enumerate(islice(faults.ping_pong(len(clip)), int((calm_s + seconds) * FPS))):
        t_s = number / FPS
        luma = clip[index]
        if change is not None:
            luma = change(luma, noises[number % len(noises)], t_s >= calm_s)
        said.append((t_s, *vitals.observe(frame_of(luma, number), tracks if t_s >= calm_s else ())))
    return said


def after(fault):
    return lambda luma, noise, broken: fault(luma, noise) if broken else luma


def freeze():
    held = []

    def change(luma, noise, broken):
        if broken and not held:
            held.append(luma)
        return held[0] if held else luma

    return change


def moved(luma, noise, broken):
    return faults.view(luma, 0.05 if broken else 0.0)


@pytest.mark.parametrize(
    ("change", "bar_s", "state", "words"),
    [
        (freeze(), 3.0, CameraState.BLIND, "stands still"),
        (after(faults.black), 2.0, CameraState.BLIND, "black"),
        (after(faults.white), 2.0, CameraState.BLIND, "white"),
        (after(faults.colour_bars), 2.0, CameraState.BLIND, "test card"),
        (after(faults.blue), 2.0, CameraState.BLIND, "no signal"),
        (after(faults.hand), 2.0, CameraState.BLIND, "covered"),
        (after(faults.bag), 2.0, CameraState.BLIND, "covered"),
        (after(faults.spray), 2.0, CameraState.BLIND, "covered"),
        (after(faults.defocus(0.005)), 10.0, CameraState.BLIND, "out of focus"),
        (moved, 10.0, CameraState.BLIND, "moved"),
        (after(faults.dim(0.08)), 10.0, CameraState.BLIND, "too dark to see anybody"),
        (after(faults.dim(0.1)), 10.0, CameraState.DEGRADED, "too dark to be sure of animals"),
    ],
    ids=["freeze", "black", "white", "bars", "blue", "hand", "bag", "spray", "defocus", "shift", "dark", "dim"],
)
def test_a_fault_is_noticed_in_time_and_not_before(clip, noises, change, bar_s, state, words):
    said = watch(clip, noises, change, bar_s + 0.5)
    assert {s for t, s, _ in said if t < CALM_S} == {CameraState.NOMINAL}
    found = [(t - CALM_S, s, reason) for t, s, reason in said if s is not CameraState.NOMINAL]
    assert found
    assert found[0][0] <= bar_s
    assert (found[-1][1], words in found[-1][2]) == (state, True), found[-1]


def test_nothing_is_cried_where_nothing_is_wrong(clip, noises):
    assert {reason for _, _, reason in watch(clip, noises, None, 15.0)} == {NOTHING_WRONG}


def test_a_cover_that_goes_leaves_nothing_behind(clip, noises):
    vitals = CameraVitals()
    assert watch(clip, noises, after(faults.hand), 3.0, vitals=vitals)[-1][1] is CameraState.BLIND
    number = int((CALM_S + 3.0) * FPS)
    states = [vitals.observe(frame_of(clip[i], number + i), ())[0] for i in range(90)]
    assert states[-1] is CameraState.NOMINAL


def test_equal_frames_give_equal_states(clip, noises):
    assert watch(clip, noises, after(faults.spray), 4.0) == watch(clip, noises, after(faults.spray), 4.0)


BOX = Track(1, "train", "train", (0.0, 0.0, 640.0, 360.0), 0.9, TrackState.CONFIRMED, 0.0, 0.0, 9)


def test_what_the_detector_sees_explains_a_picture_that_it_fills_for_a_while(clip, noises):
    """A smooth wagon that stands before the camera looks like a cover but for its box."""
    said = watch(clip, noises, after(faults.hand), 8.0, tracks=(BOX,))
    assert not any("covered" in reason or "nothing of the scene" in reason for _, _, reason in said)
    assert "covered" in watch(clip, noises, after(faults.hand), 8.0)[-1][2]


@pytest.mark.parametrize("stops", [False, True])
def test_a_train_that_fills_most_of_the_picture_is_no_cover(clip, noises, stops):
    vitals, said = CameraVitals(), []
    for number, index in enumerate(islice(faults.ping_pong(len(clip)), 400)):
        t_s = number / FPS
        luma = clip[index]
        if 15.0 <= t_s < 35.0:
            luma = faults.wagons(luma, min(t_s - 15.0, 6.0) if stops else t_s - 15.0, noises[number % 5])
        said.append(vitals.observe(frame_of(luma, number), ())[1])
    assert not any("covered" in reason or "moved" in reason for reason in said), set(said)


def test_a_check_that_is_off_is_not_made(clip, noises):
    off = CameraVitals([VitalCheck.FROZEN])
    assert watch(clip, noises, freeze(), 4.0, vitals=off)[-1][1] is CameraState.NOMINAL
    carried = CameraVitals([VitalCheck.MOVED])
    assert watch(clip, noises, moved, 10.0, vitals=carried)[-1][1] is CameraState.NOMINAL


def test_zones_that_are_drawn_anew_are_for_the_view_of_now(clip, noises):
    vitals = CameraVitals()
    assert "moved" in watch(clip, noises, moved, 8.0, vitals=vitals)[-1][2]
    vitals.rearm()
    number = int((CALM_S + 8.0) * FPS)
    said = [vitals.observe(frame_of(faults.view(clip[i % len(clip)], 0.05), number + i), ()) for i in range(100)]
    assert said[-1][0] is CameraState.NOMINAL
    assert vitals.fixed


# Freezes, by picked points alone.

POINTS = np.random.default_rng(3).integers(0, 255, (270, 480), np.uint8)


def runs(frames_same, frames_new, seconds, fps=25.0):
    """Whether a freeze is cried at each frame of a camera that repeats a picture so often and then gives new ones."""
    freeze, rng, picture, cried = Freeze(), np.random.default_rng(1), POINTS, []
    for number in range(int(seconds * fps)):
        if number % (frames_same + frames_new) >= frames_same:
            picture = np.clip(POINTS + rng.normal(0, 2, POINTS.shape), 0, 255).astype(np.uint8)
        cried.append(bool(freeze.update(number / fps, picture)))
    return cried, freeze, picture


def test_a_camera_that_repeats_frames_honestly_is_learned():
    cried, freeze, picture = runs(frames_same=100, frames_new=5, seconds=120.0)
    assert not any(cried)
    assert freeze.allowed_s == 10.0
    later = [bool(freeze.update(120.0 + n / 25.0, picture)) for n in range(25 * 13)]
    assert later[-1], "and a real freeze of it is told after all"


def test_short_repetitions_do_not_make_a_freeze_late():
    cried, freeze, _ = runs(frames_same=2, frames_new=10, seconds=60.0)
    assert not any(cried)
    assert freeze.allowed_s == 2.0


def test_key_frames_that_draw_a_frozen_picture_anew_do_not_hide_it():
    freeze, rng = Freeze(), np.random.default_rng(1)
    for number in range(300):
        freeze.update(number / 25.0, np.clip(POINTS + rng.normal(0, 2, POINTS.shape), 0, 255).astype(np.uint8))
    drawn = [(POINTS ^ (number // 25 % 2)).astype(np.uint8) for number in range(100)]
    assert [bool(freeze.update(12.0 + n / 25.0, picture)) for n, picture in enumerate(drawn)][-1]


def test_a_clock_that_is_written_into_a_frozen_picture_does_not_hide_it():
    freeze, rng = Freeze(), np.random.default_rng(1)
    for number in range(300):
        freeze.update(number / 25.0, np.clip(POINTS + rng.normal(0, 2, POINTS.shape), 0, 255).astype(np.uint8))
    cried = []
    for number in range(100):
        picture = POINTS.copy()
        picture[:20, :100] = number
        cried.append(bool(freeze.update(12.0 + number / 25.0, picture)))
    assert cried[-1]


def test_a_gap_is_no_freeze():
    freeze = Freeze()
    assert not any(freeze.update(60.0 * n, POINTS) for n in range(10))


# Times.


def timing(times):
    timing = FrameTiming()
    return [[finding.reason for finding in timing.update(t_s, pts_s)] for t_s, pts_s in times]


def test_a_steady_camera_has_good_times():
    assert not any(timing((n / 10, 100 + n / 10) for n in range(1200)))


def test_too_few_frames_are_told():
    assert "only 1.0 frames a second" in timing((float(n), None) for n in range(12))[-1][0]


def test_frames_that_come_later_and_later_are_told():
    late = timing((n / 10, n / 10 - max(0.0, n - 300) / 10 * 0.1) for n in range(500))
    assert any("later than the clock" in reasons[0] for reasons in late[300:] if reasons)


def test_a_clock_that_goes_fast_is_told():
    assert "goes 2.0 % fast" in timing((n / 10, n / 10 * 1.02) for n in range(700))[-1][0]


@pytest.mark.parametrize("length_s", [0.5, 2.0, 20.0])
def test_stamps_that_begin_anew_are_no_drift(length_s):
    assert not any(timing((n / 10, n / 10 % length_s) for n in range(1200)))


# Parts.


def test_cells_under_a_box():
    under = cells_under(
        [Track(1, "person", "person", (0, 0, 320, 360), 0.9, TrackState.CONFIRMED, 0, 0, 1)], Size(640, 360)
    )
    assert under[:, :8].all()
    assert not under[:, 9:].any()


def test_the_gravest_reason_comes_first_and_what_follows_from_it_is_not_said():
    weak = Finding(VitalCheck.FRAME_RATE, CameraState.DEGRADED, "slow")
    grave = Finding(VitalCheck.BLACK, CameraState.BLIND, "black")
    follows = Finding(VitalCheck.FROZEN, CameraState.BLIND, "still")
    assert judged([weak, follows, grave]) == (CameraState.BLIND, "black; slow")


def test_what_is_only_degraded_hides_nothing():
    dim = Finding(VitalCheck.DARK, CameraState.DEGRADED, "dim")
    frozen = Finding(VitalCheck.FROZEN, CameraState.BLIND, "still")
    assert judged([dim, frozen]) == (CameraState.BLIND, "still; dim")


def test_a_condition_that_flickers_does_not_count():
    held = Held(1.0, 1.0)
    assert not any(held.update(n / 10, n % 5 != 0) for n in range(100))


def test_a_condition_does_not_last_through_a_gap():
    held = Held(1.0, 1.0)
    assert [held.update(t_s, True) for t_s in (0.0, 60.0, 61.0)] == [False, False, True]
