from __future__ import annotations

import pytest

from railwatch.core.geometry import Point
from railwatch.core.ground import plane_of_points
from railwatch.core.types import Zone, ZoneKind
from railwatch.decision.motion import Pace, followed
from railwatch.decision.sightings import Engine, driven, in_a_train, sightings_of

PLANE = plane_of_points(
    [((0.0, 1.0), (-4, 0)), ((1.0, 1.0), (4, 0)), ((0.55, 0.5), (4, 120)), ((0.45, 0.5), (-4, 120))]
)
STRIP = (Point(0.45, 0.5), Point(0.55, 0.5), Point(0.8, 0.99), Point(0.2, 0.99))
UP = Zone("up-track", "east", "main", "up", ZoneKind.TRACK, STRIP)
DOWN = Zone("down-track", "east", "main", "down", ZoneKind.TRACK, (Point(0, 0.6), Point(0.2, 0.6), Point(0.1, 0.99)))
NEAR_BY = Zone("beside", "east", "main", None, ZoneKind.APPROACH, STRIP)


def train_at(y_m: float, x_m: float = 0.0) -> tuple[float, float, float, float]:
    foot, side = PLANE.picture_of(x_m, y_m), PLANE.picture_of(x_m + 1.5, y_m)
    half = side.x - foot.x
    return (foot.x - half, foot.y - 2.6 * half, foot.x + half, foot.y)


def run(boxes, fps: float = 10.0) -> Engine:
    engine: Engine | None = None
    for index, box in enumerate(boxes):
        paces = followed(engine.paces if engine else (), index / fps, box, PLANE)
        engine = driven(engine, paces)
    assert engine is not None
    return engine


def coming(speed: float = 15.0, frames: int = 12, start: float = 100.0) -> Engine:
    return run([train_at(start - speed * index / 10) for index in range(frames)])


def jitter(index: int) -> float:
    return 0.004 * (-1) ** index * (1 + index % 3)


def test_a_train_that_comes_nearer_is_seen():
    engine = coming()
    assert (engine.moving, engine.ever_moved, engine.nearing) == (True, True, True)
    (seen,) = sightings_of("east", {1: engine}, [UP, DOWN], PLANE)
    assert (seen.camera_id, seen.rail_track_id) == ("east", "up")
    assert seen.speed_mps == pytest.approx(15.0, rel=0.05)
    true_y = 100 - 15 * 1.1
    assert seen.distance_m == pytest.approx(true_y - min(_ys()), rel=0.2)
    assert seen.distance_m < true_y
    assert 0.6 < seen.eta_s / (seen.distance_m / seen.speed_mps) < 1.0  # two deviations faster than it seems


def _ys() -> list[float]:
    return [PLANE.locate(corner).y_m for corner in STRIP]


def test_a_train_that_leaves_is_moving_but_no_sighting():
    engine = run([train_at(40 + 1.5 * index) for index in range(12)])
    assert (engine.moving, engine.nearing) == (True, False)
    assert sightings_of("east", {1: engine}, [UP], PLANE) == ()


@pytest.mark.parametrize("box", [train_at(30), (0.1, 0.4, 0.9, 0.9)])
def test_what_stands_does_not_count_however_the_box_jitters(box):
    boxes = [
        (box[0] + jitter(i), box[1] - jitter(i + 1), box[2] + jitter(i + 2), box[3] - jitter(i)) for i in range(40)
    ]
    engine = run(boxes)
    assert (engine.moving, engine.ever_moved) == (False, False)
    assert sightings_of("east", {1: engine}, [UP], PLANE) == ()


def test_a_train_that_has_stopped_was_in_motion_once():
    boxes = [train_at(60 - 1.5 * index) for index in range(12)]
    engine = run(boxes + [boxes[-1]] * 25)
    assert (engine.moving, engine.ever_moved) == (False, True)


def test_two_frames_tell_nothing():
    assert not run([train_at(100), train_at(90), train_at(80)]).moving
    assert not run([train_at(100 - i) for i in range(5)], fps=100.0).moving


def test_a_box_without_size_does_not_move():
    assert not run([(0.1, 0.1 + i / 100, 0.1, 0.1 + i / 100) for i in range(12)]).moving


def test_without_a_plane_a_train_in_motion_is_here_now():
    (seen,) = sightings_of("east", {1: coming()}, [UP], None)
    assert (seen.eta_s, seen.speed_mps, seen.distance_m) == (0.0, None, None)


def test_where_the_plane_does_not_tell_a_train_is_here_now():
    cut = run([(0.5 - i / 50, 0.3 - i / 50, 0.6 + i / 50, 1.0) for i in range(12)])
    assert cut.nearing
    assert sightings_of("east", {1: cut}, [UP], PLANE)[0].eta_s == 0.0
    assert sightings_of("east", {1: coming()}, [], PLANE)[0].distance_m is None


def test_a_train_that_only_grows_across_the_view_is_here_now():
    wide = run([(0.4, 0.3, 0.5 + i / 40, 0.8 + i * 1e-5) for i in range(12)])
    assert wide.nearing
    (seen,) = sightings_of("east", {1: wide}, [UP], PLANE)
    assert seen.eta_s <= 10.0 or seen.speed_mps is None


def test_the_track_is_that_under_the_foot_or_the_one_most_covered_or_none():
    def on(box, zones):
        engine = Engine((Pace(0.0, box),), moving=True, ever_moved=True, nearing=True)
        return sightings_of("east", {1: engine}, zones, None)[0].rail_track_id

    assert on((0.4, 0.3, 0.6, 0.7), [DOWN, UP]) == "up"
    assert on((0.02, 0.3, 0.3, 0.7), [UP, DOWN]) == "down"
    assert on((0.9, 0.1, 1.0, 0.2), [UP, DOWN]) is None
    assert on((0.4, 0.3, 0.6, 0.7), [NEAR_BY]) is None


PERSON = (0.45, 0.40, 0.48, 0.50)
TRAIN = (0.3, 0.2, 0.7, 0.7)


def test_who_sits_in_a_train_is_in_its_box_with_the_feet_above_its_foot():
    assert in_a_train(PERSON, [TRAIN])
    assert in_a_train(PERSON, [(0.8, 0.8, 0.9, 0.9), TRAIN])


@pytest.mark.parametrize(
    "box",
    [
        (0.45, 0.58, 0.48, 0.72),  # stands before it, nearer to the camera
        (0.45, 0.60, 0.48, 0.695),  # feet at its foot
        (0.25, 0.40, 0.35, 0.60),  # half beside it
        (0.80, 0.40, 0.83, 0.60),
        (0.45, 0.75, 0.48, 0.90),
        (0.45, 0.50, 0.45, 0.50),
    ],
)
def test_who_stands_before_or_beside_a_train_is_not_in_it(box):
    assert not in_a_train(box, [TRAIN])


def test_without_a_train_nobody_sits_in_one():
    assert not in_a_train(PERSON, [])
