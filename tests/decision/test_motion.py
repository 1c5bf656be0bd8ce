from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.ground import Lens, plane_of_horizon, plane_of_points
from railwatch.decision.motion import (
    MEMORY_S,
    MOST_STEPS,
    Pace,
    followed,
    ground_motion,
    is_lying,
    place_of,
    sigma_norm,
)

PLANE = plane_of_points([((0.0, 1.0), (0, 0)), ((1.0, 1.0), (8, 0)), ((0.7, 0.5), (8, 40)), ((0.3, 0.5), (0, 40))])


def box_at(x_m: float, y_m: float, height: float = 0.1) -> tuple[float, float, float, float]:
    foot = PLANE.picture_of(x_m, y_m)
    return (foot.x - 0.01, foot.y - height, foot.x + 0.01, foot.y)


def walk(vx: float, vy: float, *, seconds: float = 2.0, fps: float = 10.0) -> tuple[Pace, ...]:
    paces: tuple[Pace, ...] = ()
    for index in range(int(seconds * fps) + 1):
        t = index / fps
        paces = followed(paces, t, box_at(4 + vx * t, 10 + vy * t), PLANE)
    return paces


@given(st.floats(-2, 2), st.floats(-2, 2), st.sampled_from([3.0, 5.0, 10.0, 25.0]))
def test_an_even_walk_is_told_as_it_is(vx, vy, fps):
    motion = ground_motion(walk(vx, vy, fps=fps))
    assert (motion.vx_mps, motion.vy_mps) == pytest.approx((vx, vy), abs=1e-6)
    assert motion.speed_mps == pytest.approx(math.hypot(vx, vy), abs=1e-6)
    assert motion.place[:2] == pytest.approx((4 + 2 * vx, 10 + 2 * vy), abs=0.5)
    assert motion.sigma_mps > 0


def test_scatter_about_the_line_makes_the_velocity_less_sure():
    steady = walk(1.0, 0.0)
    restless: tuple[Pace, ...] = ()
    for i, pace in enumerate(steady):
        restless = followed(restless, pace.t_s, box_at(4 + pace.t_s + (0.8 if i % 2 else -0.8), 10), PLANE)
    assert ground_motion(restless).sigma_mps > 1.5 * ground_motion(steady).sigma_mps


@pytest.mark.parametrize("paces", [walk(1, 0)[:2], walk(1, 0, seconds=0.2), ()])
def test_too_few_places_tell_no_velocity(paces):
    assert ground_motion(paces) is None


def test_places_beyond_the_plane_tell_no_velocity():
    plane = plane_of_horizon(0.95, 0.95, 5.0, Lens(60, 1.8))
    paces: tuple[Pace, ...] = ()
    for index in range(21):
        paces = followed(paces, index / 10, box_at(4 + index / 10, 10), plane)
    assert [pace.place for pace in paces] == [None] * len(paces)
    assert ground_motion(paces) is None


def test_a_box_cut_by_the_frame_says_nothing_of_the_feet():
    assert place_of((0.4, 0.5, 0.5, 1.0), PLANE) is None
    assert place_of((0.4, 0.5, 0.5, 0.9), PLANE) is not None


def test_old_places_are_forgotten_and_fast_cameras_thinned_out():
    paces: tuple[Pace, ...] = ()
    for index in range(300):
        paces = followed(paces, index / 60, (0.1, 0.1, 0.2, 0.2))
    assert len(paces) <= MOST_STEPS
    assert paces[-1].t_s == 299 / 60
    assert paces[0].t_s >= 299 / 60 - MEMORY_S
    assert paces[-1].t_s - paces[0].t_s > 0.7 * MEMORY_S


def test_a_time_that_comes_again_replaces_its_place():
    paces = followed(followed((), 1.0, (0, 0, 0.1, 0.1)), 1.0, (0.5, 0, 0.6, 0.1))
    assert paces == (Pace(1.0, (0.5, 0, 0.6, 0.1)),)


def test_near_people_have_less_sure_feet_in_the_picture():
    assert sigma_norm((0, 0, 0.1, 0.5)) > sigma_norm((0, 0, 0.1, 0.2)) > 0
    assert sigma_norm((0, 0, 0.01, 0.01)) == sigma_norm((0, 0, 0.01, 0.02))


def test_lying_is_wider_than_tall_in_pixels():
    assert is_lying((0.1, 0.5, 0.2, 0.6), 16 / 9)
    assert not is_lying((0.1, 0.5, 0.15, 0.6), 16 / 9)
