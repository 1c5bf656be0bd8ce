from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenes import body, camera, gait, masks, poses, region, rolling_stock
from scenes.camera import frame_matrix, pinhole, project, shake_rad, shaken, visible_ground_polygon
from scenes.scenario import Camera

cameras = st.builds(
    Camera,
    position_m=st.tuples(st.floats(-8, 8), st.floats(-2, 2), st.floats(2, 12)),
    look_at_m=st.tuples(st.floats(-3, 3), st.floats(15, 60), st.floats(0, 2)),
    hfov_deg=st.floats(8, 80),
    shake_deg=st.floats(0, 0.5),
)


@given(cameras, st.floats(-5, 5), st.floats(12, 90))
@settings(deadline=None)
def test_projection_and_homography_agree(given_camera, x, y):
    view = pinhole(given_camera)
    pixel, depth = project(view.matrix, [[x, y, 0.0]])
    place = np.linalg.inv(camera.ground_to_image(view.matrix)) @ [*pixel[0], 1.0]
    np.testing.assert_allclose(place[:2] / place[2], [x, y], rtol=1e-6, atol=1e-6)
    assert depth[0] == pytest.approx(float((view.rotation @ ([x, y, 0.0] - view.position_m))[2]))


@given(cameras)
@settings(deadline=None)
def test_the_camera_is_a_turn_and_sees_upright(given_camera):
    view = pinhole(given_camera)
    np.testing.assert_allclose(view.rotation @ view.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view.rotation) == pytest.approx(1.0)
    pixels, _ = project(view.matrix, [[0, 30, 0], [0, 30, 2]])
    assert pixels[1][1] < pixels[0][1]


@given(cameras, st.floats(0, 10))
@settings(deadline=None)
def test_sway_moves_pixels_as_a_turned_camera_does(given_camera, t_s):
    view = pinhole(given_camera)
    point = [[1.0, 40.0, 1.0]]
    turn = np.linalg.inv(view.k) @ shaken(view, shake_rad(given_camera, 3, t_s)) @ view.k
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    turned = view._replace(rotation=turn @ view.rotation)
    expected, _ = project(turned.matrix, point)
    np.testing.assert_allclose(project(frame_matrix(given_camera, 3, t_s), point)[0], expected, atol=1e-6)


def test_sway_has_the_deviation_that_was_asked_for():
    angles = np.degrees([shake_rad(Camera(shake_deg=0.2), 1, t) for t in np.arange(0, 300, 0.07)])
    np.testing.assert_allclose(angles.std(axis=0), [0.2, 0.2, 0.08], rtol=0.1)


@given(cameras, st.floats(-6, 4), st.floats(0.5, 3))
@settings(deadline=None)
def test_a_ground_polygon_is_cut_to_what_is_seen(given_camera, left, wide):
    view = pinhole(given_camera)
    strip = [[left, -50], [left, 200], [left + wide, 200], [left + wide, -50]]
    polygon = visible_ground_polygon(view, strip)
    assert ((polygon >= -1e-6) & (polygon <= np.array(view.size_px) + 1e-6)).all()
    for pixel in polygon:
        place = np.linalg.inv(camera.ground_to_image(view.matrix)) @ [*pixel, 1.0]
        assert left - 1e-3 <= place[0] / place[2] <= left + wide + 1e-3


@pytest.mark.parametrize("module", [camera, body, gait, masks, poses, region, rolling_stock], ids=lambda m: m.__name__)
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.failed == 0
