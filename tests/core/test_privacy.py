"""What a mask must hide: nothing of the polygon can be told from what is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.geometry import Point
from railwatch.core.privacy import blurred, cell_side, private_areas
from railwatch.core.types import Size, ZoneKind
from tests.scenario import site

NOISE = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)


def square(left, top, side):
    right, bottom = min(1.0, left + side), min(1.0, top + side)
    return (Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom))


@given(left=st.floats(0, 0.9), top=st.floats(0, 0.9), side=st.floats(0.01, 0.5))
def test_no_pixel_of_the_area_is_shown(left, top, side):
    area = square(left, top, side)
    masked = blurred(NOISE, [area])
    within = np.zeros(NOISE.shape[:2], bool)
    rows = slice(int(area[0].y * 90), int(np.ceil(area[2].y * 90)))
    columns = slice(int(area[0].x * 160), int(np.ceil(area[2].x * 160)))
    within[rows, columns] = True
    cell = cell_side(Size(160, 90))
    for row, column in np.argwhere(within) // cell:
        block = masked[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        assert (block == block[0, 0]).all()


def test_what_lies_in_a_cell_is_only_told_by_its_mean():
    swapped = NOISE.copy()
    swapped[:5, :5] = NOISE[:5, :5][::-1, ::-1]  # the same pixels in another order, all in the first cell
    area = square(0.0, 0.0, 0.02)
    assert not np.array_equal(swapped, NOISE)
    assert np.array_equal(blurred(swapped, [area]), blurred(NOISE, [area]))


def test_the_rest_and_the_picture_given_are_left_alone():
    before = NOISE.copy()
    masked = blurred(NOISE, [square(0.5, 0.5, 0.2)])
    assert np.array_equal(NOISE, before)
    assert np.array_equal(masked[:, :75], NOISE[:, :75])
    assert np.array_equal(blurred(NOISE, []), NOISE)


def test_only_zones_of_the_camera_that_say_so_are_private():
    track = site().zones[0]
    garden = replace(track, zone_id="garden", kind=ZoneKind.IGNORE, blur=True)
    elsewhere = replace(garden, camera_id="other")
    assert private_areas((track, garden, elsewhere), garden.camera_id) == (garden.polygon_norm,)


def test_a_track_cannot_be_hidden():
    with pytest.raises(ValueError, match="blur must be false in a zone of kind track"):
        replace(site().zones[0], blur=True)
