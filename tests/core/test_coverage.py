from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.coverage import (
    CameraView,
    CoverageSettings,
    PersonSize,
    Recall,
    cells_of,
    frame_px,
    heights_of,
    heights_on,
    smallest_px,
)
from railwatch.core.geometry import Point
from railwatch.core.ground import GroundPlane, Lens, plane_of_horizon

SQUARE = (Point(0.25, 0.5), Point(0.75, 0.5), Point(0.75, 1.0), Point(0.25, 1.0))


@pytest.mark.parametrize("clip", ["child", "demo", "distant", "group", "night", "stops", "walks_along", "worker"])
def test_the_height_of_a_person_on_a_plane_is_that_of_the_rendered_people(root, clip):
    truth = json.loads((root / "scenes" / "clips" / f"{clip}.truth.json").read_text())
    width, height = truth["size_px"]
    matrix = np.array(truth["camera"]["homography_px_to_ground"]) @ np.diag([width, height, 1.0])
    matrix *= np.sign(matrix[2] @ [0.5, 0.9, 1.0]) / np.linalg.norm(matrix[2])
    height_at = heights_on(GroundPlane(tuple(map(tuple, matrix.tolist())), "matrix"), width / height)
    tall = {actor["id"]: actor.get("height_m") for actor in truth["actors"]}
    people = [o for frame in truth["frames"][::10] for o in frame["objects"] if o["class_name"] == "person"]
    assert people
    for person in people:
        _, top, _, bottom = person["unclipped_xyxy_px"]
        x, y = person["ground_px"]
        expected = height_at(Point(x / width, y / height)) * height * tall[person["id"]] / 1.7
        assert bottom - top == pytest.approx(expected, rel=0.06)  # a stride, a head that nods


def test_a_level_camera_sees_people_as_tall_as_its_height_says():
    height_at = heights_on(plane_of_horizon(0.5, 0.5, 3.4, Lens(60.0, 16 / 9)), 16 / 9)
    assert height_at(Point(0.3, 0.9)) == pytest.approx(0.4 * 1.7 / 3.4, rel=0.01)
    assert height_at(Point(0.3, 0.505)) == 0.0
    assert height_at(Point(0.3, 0.2)) == 0.0


def test_who_is_seen_from_straight_above_has_no_height():
    plane = GroundPlane(((16 / 9, 0, 0), (0, 1, 0), (0, 0, 1)), "matrix")
    assert heights_on(plane, 16 / 9)(Point(0.5, 0.5)) == pytest.approx(0.0, abs=1e-6)


def test_declared_sizes_grow_evenly_with_y():
    height_at = heights_of([PersonSize(Point(0.2, 0.9), 0.5), PersonSize(Point(0.8, 0.5), 0.1)])
    assert height_at(Point(0.0, 0.7)) == pytest.approx(0.3)
    assert height_at(Point(0.0, 0.3)) == 0.0


@pytest.mark.parametrize(
    "people",
    [
        [],
        [PersonSize(Point(0.5, 0.9), 0.5)],
        [PersonSize(Point(0.2, 0.9), 0.5), PersonSize(Point(0.8, 0.9), 0.4)],
        [PersonSize(Point(0.2, 0.9), 0.1), PersonSize(Point(0.8, 0.5), 0.4)],
        [PersonSize(Point(0.2, 0.9), 0.2), PersonSize(Point(0.8, 0.5), 0.2)],
    ],
)
def test_sizes_that_say_nothing_are_refused(people):
    with pytest.raises(ValueError, match="people must be"):
        heights_of(people)


@pytest.mark.parametrize(
    ("shares", "least", "from_px"),
    [
        ([0.1, 0.6, 0.9], 0.5, 2),
        ([0.6, 0.4, 0.9], 0.5, 3),
        ([0.6, 0.6, 0.4], 0.5, None),
        ([0.5, 0.5, 0.5], 0.5, 1),
        ([], 0.5, None),
    ],
)
def test_people_count_as_found_from_the_height_above_which_the_recall_never_falls_below(shares, least, from_px):
    rows = [Recall(n, n + 1, round(share * 10), 10) for n, share in enumerate(shares, start=1)]
    assert smallest_px(rows[::-1], least) == from_px
    assert Recall(1, 2, 0, 0).share == 0.0


def test_the_cells_of_a_zone_are_those_within_it_and_its_corners():
    cells = cells_of(SQUARE, lambda at: at.y, 200.0, 50.0)
    assert len(cells) == 32 * 32 + 4
    assert all(0.25 <= cell.at.x <= 0.75 and 0.5 <= cell.at.y <= 1.0 for cell in cells)
    worst = max(cells, key=lambda cell: cell.smallest_m)
    assert (worst.at.y, worst.person_px, worst.smallest_m) == (0.5, 100.0, 0.85)


def test_a_cell_whose_middle_is_outside_is_none():
    cells = cells_of((Point(0.0, 0.0), Point(0.5, 0.0), Point(0.0, 0.5)), lambda _: 1.0, 200.0, 50.0)
    assert len(cells) == 32 * 33 // 2 + 3


def test_where_nobody_can_stand_nobody_is_found():
    assert math.isinf(cells_of(SQUARE, lambda _: 0.0, 200.0, 50.0)[0].smallest_m)


@given(st.floats(0.2, 5.0))
def test_a_frame_is_fitted_whole_into_the_input(aspect):
    tall = frame_px(480, 416, aspect)
    assert tall <= 416
    assert tall * aspect <= 480 * (1 + 1e-9)
    assert tall == 416 or tall * aspect == pytest.approx(480)


def test_a_camera_of_which_nothing_is_said_has_a_wide_picture():
    assert CoverageSettings(views=(CameraView("a", 2.0),)).view("b") == CameraView("b", 16 / 9)
    assert CoverageSettings(views=(CameraView("a", 2.0),)).view("a").aspect == 2.0
