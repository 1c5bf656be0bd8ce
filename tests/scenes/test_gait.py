from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenes.body import Body, body_of, figures, joints_m, skinned
from scenes.gait import DOUBLE_SUPPORT, feet_at, planned, pose_at, way_through
from scenes.people import FALL_S, check_acts_join, person_of
from scenes.poses import aiming, ankles_of
from scenes.scenario import parse


@pytest.fixture(scope="module")
def body() -> Body:
    return body_of("man", 1.75)


def _walk(body: Body, speed_mps: float = 1.3):
    return planned(body, way_through(np.array([[0.0, 0.0], [4.0, 0.0], [6.0, 2.0]])), speed_mps)


def test_the_standing_foot_does_not_slide(body):
    walk = _walk(body)
    for swing in range(1, len(walk.marks_m) - 1):
        side = "R" if swing % 2 == 0 else "L"
        # Between heel strike and heel rise the foot lies flat.
        times = (swing + np.linspace(0.2, 0.7, 6)) * walk.step_s
        places = np.array([feet_at(body, walk, float(t))[side].ankle_m for t in times])
        assert np.ptp(places, axis=0).max() < 1e-9


def test_feet_never_jump(body):
    walk = _walk(body)
    times = np.arange(0, walk.duration_s, 0.005)
    for side in ("L", "R"):
        places = np.array([feet_at(body, walk, float(t))[side].ankle_m for t in times])
        assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 0.05


def test_the_skeleton_reaches_the_feet_that_were_planned(body):
    walk = _walk(body)
    for t_s in np.linspace(0, walk.duration_s, 40):
        ankles = ankles_of(body, pose_at(body, walk, float(t_s)))
        for side, foot in feet_at(body, walk, float(t_s)).items():
            np.testing.assert_allclose(ankles[side], foot.ankle_m, atol=1e-6)


def test_a_walk_keeps_its_speed_and_ends_where_the_way_ends(body):
    walk = _walk(body)
    assert walk.arc_m(0.0) == 0.0
    assert walk.arc_m(walk.duration_s) == pytest.approx(walk.way.length_m)
    middle = walk.duration_s / 2
    assert (walk.arc_m(middle + 0.5) - walk.arc_m(middle - 0.5)) == pytest.approx(1.3, abs=0.02)


def test_hips_bob_less_than_a_tenth_of_a_metre(body):
    walk = _walk(body)
    heights = [pose_at(body, walk, float(t)).root_m[2] for t in np.linspace(2, 4, 60)]
    assert np.ptp(heights) < 0.1


@pytest.mark.parametrize("figure", figures())
def test_every_figure_stands_and_walks_on_the_ground(figure):
    body = body_of(figure, 1.4)
    walk = _walk(body, 1.0)
    for t_s in (0.0, 1.0, 1.3, 1.7, 2.0):
        pose = pose_at(body, walk, t_s)
        lowest = min(skinned(body, pose, part)[:, 2].min() for part in ("shoes", "trousers"))
        assert -0.06 < lowest < 0.03
        assert np.isfinite(joints_m(body, pose)).all()


def test_rest_pose_gives_back_the_baked_body(body):
    from scenes.body import Pose

    still = Pose(body.head_m("root"), np.tile(np.eye(3), (len(body.joints), 1, 1)))
    np.testing.assert_allclose(skinned(body, still, "shirt"), body.parts["shirt"].vertices_m, atol=1e-9)


FALLING = """
name: falling
title: A woman walks, stands, falls, lies
negative: false
people:
  - id: her
    at_m: [-2, 25]
    figure: woman
    actions:
      - {do: walk, through_m: [[0, 25], [0, 27]]}
      - {do: stand, for_s: 1, facing_deg: 90}
      - {do: fall}
      - {do: lie, for_s: 3}
"""


def test_a_fall_joins_what_comes_before_and_after():
    scene = parse(FALLING)
    person = person_of(scene, scene.people[0], 0)
    check_acts_join(person)
    fall = next(act for act in person.acts if act.doing == "falling")
    heights = [person.at(fall.start_s + FALL_S * share).pose.root_m[2] for share in (0.0, 0.6, 0.8, 1.0)]
    assert heights[0] > 0.8
    assert heights[1] > heights[2] > heights[3]
    lying = person.at(fall.start_s + FALL_S + 1)
    vertices = np.concatenate([skinned(person.body, lying.pose, part) for part in person.look.parts])
    assert lying.doing == "lying"
    assert vertices[:, 2].min() == pytest.approx(0.0, abs=1e-6)
    assert vertices[:, 2].max() < 0.6


def test_the_look_depends_on_the_seed_only():
    one, other = parse(FALLING), parse(FALLING.replace("negative", "seed: 5\nnegative"))
    assert person_of(one, one.people[0], 0).look == person_of(one, one.people[0], 0).look
    assert person_of(one, one.people[0], 0).look != person_of(other, other.people[0], 0).look


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_aiming_turns_one_direction_into_the_other(numbers):
    source, target = np.add(numbers[:3], [2, 0, 0]), np.add(numbers[3:], [0, 2, 0])
    turn = aiming(source, target)
    np.testing.assert_allclose(turn @ source / np.linalg.norm(source), target / np.linalg.norm(target), atol=1e-9)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)


def test_swing_leaves_time_for_both_feet():
    assert 0 < DOUBLE_SUPPORT < 0.5
