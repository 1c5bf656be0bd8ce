from __future__ import annotations

import numpy as np
import pytest

from railwatch.core.alerts import SectionState
from railwatch.core.geometry import Point
from railwatch.core.types import TrackState, Zone, ZoneKind
from railwatch.evidence.overlay import STATE_COLOURS, ZONE_COLOURS, draw_overlay
from tests.scenario import ON_TRACK, observation, site, track

PICTURE = np.full((1000, 1000, 3), 60, np.uint8)
ZONES = site().zones


def drawn(*tracks, sections=None, message=""):
    seen = observation(1.0, *tracks)
    return draw_overlay(PICTURE, seen, ZONES, sections or {"main": SectionState.CLEAR}, message)


def test_the_picture_given_is_left_alone():
    before = PICTURE.copy()
    assert not np.array_equal(drawn(track(ON_TRACK)), PICTURE)
    assert np.array_equal(before, PICTURE)


@pytest.mark.parametrize("state", SectionState)
def test_every_state_has_its_colour_in_the_bar(state):
    bar = drawn(sections={"main": state})[:8, :40]
    assert (bar == STATE_COLOURS[state]).all(axis=2).any()


def test_every_kind_of_zone_has_a_colour_and_its_outline_is_drawn():
    picture = drawn()
    assert set(ZONE_COLOURS) == {*type(ZONES[0].kind)}
    left = round(0.4 * 999)
    assert (
        tuple(picture[500, left]) == ZONE_COLOURS[ZONES[0].kind]
        or tuple(picture[500, left]) == ZONE_COLOURS[ZONES[1].kind]
    )


def test_boxes_stand_where_the_objects_are_and_predicted_ones_look_different():
    seen, lost = drawn(track(ON_TRACK)), drawn(track(ON_TRACK, state=TrackState.LOST))
    plain = drawn()
    for picture in (seen, lost):
        changed = np.argwhere((picture != plain).any(axis=2))
        assert changed[:, 0].max() in range(798, 804)  # the lower edge of the box, 800, and half its line
    assert not np.array_equal(seen, lost)


def test_text_that_the_font_lacks_is_no_error():
    assert drawn(message="Bahnübergang 踏切").shape == PICTURE.shape


def test_a_private_area_cannot_be_recognised_in_the_overlay():
    noise = np.random.default_rng(1).integers(0, 256, PICTURE.shape, np.uint8)
    corner = (Point(0.9, 0.9), Point(1.0, 0.9), Point(1.0, 1.0), Point(0.9, 1.0))
    garden = Zone("garden", ZONES[0].camera_id, "main", None, ZoneKind.IGNORE, corner, blur=True)
    seen = observation(1.0)
    shown = draw_overlay(noise, seen, (garden,), {"main": SectionState.CLEAR}, "")[940:950, 940:950]
    assert shown.astype(int).std(axis=(0, 1)).max() < 1.0
