from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.geometry import Point
from railwatch.core.ground import (
    CalibrationError,
    GroundPlane,
    Lens,
    plane_of_horizon,
    plane_of_points,
    plane_of_rails,
)

CLIPS = Path(__file__).parents[2] / "scenes" / "clips"
SQUARE = [((0.0, 1.0), (0.0, 0.0)), ((1.0, 1.0), (4.0, 0.0)), ((0.7, 0.5), (4.0, 20.0)), ((0.3, 0.5), (0.0, 20.0))]


class Camera:
    """The camera of a rendered scene, in fractions of the frame."""

    def __init__(self, name: str) -> None:
        truth = json.loads((CLIPS / f"{name}.truth.json").read_text(encoding="utf-8"))
        self.width, self.height = truth["size_px"]
        self.matrix = np.array(truth["camera"]["homography_ground_to_px"])
        self.lens = Lens(truth["camera"]["hfov_deg"], self.width / self.height)
        self.place = truth["camera"]["position_m"]
        self.track = truth["rail_tracks"][0]

    def at(self, x_m: float, y_m: float) -> tuple[float, float]:
        u, v, w = self.matrix @ [x_m, y_m, 1.0]
        return float(u / w / self.width), float(v / w / self.height)


@pytest.mark.parametrize("name", ["demo", "stops", "distant", "night"])
def test_rails_and_gauge_give_the_ground_of_a_rendered_camera(name):
    camera = Camera(name)
    centre, half = camera.track["centre_m"], camera.track["gauge_mm"] / 2000
    rails = [(camera.at(centre + side, 20), camera.at(centre + side, 60)) for side in (-half, half)]
    plane = plane_of_rails(*rails, 2 * half, camera.lens)
    for x, y in [(centre, 20.0), (centre + 2, 25.0), (centre - 2, 40.0)]:
        place = plane.locate(Point(*camera.at(x, y)))
        assert (place.x_m, place.y_m) == pytest.approx((x - centre, y), abs=0.01)
    assert 0 < plane.residual_m < 0.1


@pytest.mark.parametrize("name", ["demo", "stops", "distant", "night"])
def test_height_and_horizon_give_the_distance_from_a_rendered_camera(name):
    camera = Camera(name)
    horizon = camera.at(0, 1e9)[1]
    plane = plane_of_horizon(horizon, horizon, camera.place[2], camera.lens)
    for x, y in [(0.0, 20.0), (3.0, 35.0)]:
        place = plane.locate(Point(*camera.at(x, y)))
        assert math.hypot(place.x_m, place.y_m) == pytest.approx(math.hypot(x - camera.place[0], y), abs=0.05)
    assert plane.locate(Point(0.8, 0.9)).x_m > plane.locate(Point(0.2, 0.9)).x_m


@given(st.floats(-3, 3), st.floats(12, 60))
def test_points_give_the_ground_of_a_rendered_camera(x, y):
    camera = Camera("demo")
    marks = [(-3.0, 15.0), (4.0, 16.0), (4.0, 50.0), (-3.0, 48.0), (0.0, 30.0)]
    plane = plane_of_points([(camera.at(*mark), mark) for mark in marks])
    place = plane.locate(Point(*camera.at(x, y)))
    assert (place.x_m, place.y_m) == pytest.approx((x, y), abs=1e-3)
    back = plane.picture_of(x, y)
    assert back == pytest.approx(camera.at(x, y), abs=1e-6)
    assert plane.residual_m < 1e-6


def test_four_points_leave_nothing_to_compare():
    plane = plane_of_points(SQUARE)
    assert (plane.residual_m, plane.residual_norm) == (None, None)


def test_five_points_tell_how_well_they_fit():
    plane = plane_of_points([*SQUARE, ((0.5, 1.0), (2.1, 0.0))])
    assert 0.01 < plane.residual_m < 0.3
    assert 0 < plane.residual_norm < 0.02


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (SQUARE[:3], "4 or more"),
        ([*SQUARE[:3], ((0.5, 1.0), (2.0, 0.0))], "on a line"),
        ([*SQUARE, ((0.5, 0.75), (9.0, 2.0))], "look at point"),
        ([((0.2, 0.2), (0, 0))] * 4, "not all the same"),
        ([((math.nan, 0.2), (0, 0)), *SQUARE[:3]], "finite"),
        ([((0, 1), (0, 0)), ((1, 1), (4, 0)), ((0, 0.5), (4, 20)), ((1, 0.5), (0, 20))], "contradict each other"),
    ],
)
def test_points_that_give_no_ground_are_refused(pairs, words):
    with pytest.raises(CalibrationError, match=words):
        plane_of_points(pairs)


RAILS = (((0.3, 1.0), (0.48, 0.5)), ((0.7, 1.0), (0.52, 0.5)))


@pytest.mark.parametrize(
    ("left", "right", "gauge_m", "lens", "words"),
    [
        (*RAILS, 3.0, Lens(60, 1.8), "gauge_mm"),
        (((0.3, 1), (0.3, 0.5)), ((0.7, 1), (0.7, 0.5)), 1.4, Lens(60, 1.8), "come together in the distance"),
        (((0.48, 1), (0.3, 0.5)), ((0.52, 1), (0.7, 0.5)), 1.4, Lens(60, 1.8), "above all marks"),
        (*RAILS, 1.4, Lens(0.5, 1.8), "hfov_deg"),
        (*RAILS, 1.4, Lens(60, 9), "width over its height"),
        (((0.5, 1), (0.6, 0.99)), ((0.5, 0.9), (0.6, 0.892)), 1.4, Lens(60, 1.8), "look along the track"),
        (((0.3, 1), (0.5, 1)), ((0.7, 1), (0.52, 0.5)), 1.4, Lens(60, 1.8), "above all marks"),
        (((0.3, 1), (0.48, 0.5)), ((0.3, 1), (0.52, 0.5)), 1.4, Lens(60, 1.8), "above all marks"),
    ],
)
def test_rails_that_give_no_ground_are_refused(left, right, gauge_m, lens, words):
    with pytest.raises(CalibrationError, match=words):
        plane_of_rails(left, right, gauge_m, lens)


@pytest.mark.parametrize(
    ("left_y", "right_y", "height_m", "words"),
    [(0.3, 0.3, 0.1, "height_m"), (-60.0, 60.0, 5.0, "stand upright")],
)
def test_a_horizon_that_gives_no_ground_is_refused(left_y, right_y, height_m, words):
    with pytest.raises(CalibrationError, match=words):
        plane_of_horizon(left_y, right_y, height_m, Lens(60, 1.8))


def test_a_rolled_camera_has_a_sloping_horizon():
    level, rolled = (plane_of_horizon(0.3 - tilt, 0.3 + tilt, 5.0, Lens(60, 16 / 9)) for tilt in (0.0, 0.02))
    middle = Point(0.5, 0.8)
    assert rolled.locate(middle).y_m == pytest.approx(level.locate(middle).y_m, rel=0.02)
    assert rolled.locate(Point(0.9, 0.5)).y_m > level.locate(Point(0.9, 0.5)).y_m


def test_nothing_is_told_at_or_above_the_horizon():
    plane = plane_of_horizon(0.4, 0.4, 5.0, Lens(60, 16 / 9))
    for y in (0.1, 0.4, 0.405):
        assert not plane.sees(Point(0.5, y))
        with pytest.raises(CalibrationError, match="below the horizon"):
            plane.locate(Point(0.5, y))
    assert plane.sees(Point(0.5, 0.42))
    assert plane.picture_of(0.0, -50.0) is None


def test_a_plane_seen_from_above_has_no_horizon():
    plane = GroundPlane(((10.0, 0.0, 0.0), (0.0, 10.0, 0.0), (0.0, 0.0, 1.0)), "points")
    assert plane.sees(Point(0.0, 0.0))
    assert plane.locate(Point(0.5, 0.5))[:2] == (5.0, 5.0)


@pytest.mark.parametrize(
    "matrix",
    [
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)),
        ((math.nan, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        ((1.0, 0.0), (0.0, 1.0)),
    ],
)
def test_a_matrix_that_is_no_plane_is_refused(matrix):
    with pytest.raises(CalibrationError, match="invertible"):
        GroundPlane(matrix, "points")


def test_the_uncertainty_is_what_scatter_in_the_picture_makes_of_the_place():
    plane = plane_of_points(SQUARE)
    sigma = 0.002
    rng = np.random.default_rng(5)
    scattered = [plane.locate(Point(*at))[:2] for at in rng.normal((0.5, 0.7), sigma, (4000, 2))]
    told = plane.locate(Point(0.5, 0.7), sigma)
    covariance = np.cov(np.array(scattered).T)
    assert told.var_x == pytest.approx(covariance[0, 0], rel=0.1)
    assert told.var_y == pytest.approx(covariance[1, 1], rel=0.1)
    assert told.cov_xy == pytest.approx(covariance[0, 1], abs=0.1 * covariance[1, 1])
    assert told.sigma_m == pytest.approx(math.sqrt(np.linalg.eigvalsh(covariance)[1]), rel=0.1)


def test_far_places_are_known_less_well():
    plane = plane_of_points(SQUARE)
    sigmas = [plane.locate(Point(0.5, y), 0.002).sigma_m for y in (0.9, 0.7, 0.5)]
    assert sigmas == sorted(sigmas)
