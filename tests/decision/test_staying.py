"""Who is taken to be there still: when somebody is held, released, and recognised, to the bound."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from railwatch.core.risk_settings import RiskSettings
from railwatch.core.types import TrackState, ZoneKind
from railwatch.decision.following import Following
from railwatch.decision.motion import Pace
from railwatch.decision.staying import Stayer, staying
from railwatch.decision.zones import Hit
from tests.scenario import ON_TRACK, band, observation, site, track

SITE = site(risk=RiskSettings(stay_hold_s=2.0))
WIDE = site(zones=[band("wide", ZoneKind.TRACK, 0.0, 1.0)], risk=RiskSettings(stay_hold_s=2.0))
HIT = Hit(track(ON_TRACK), SITE.zones[0])
"""A person 200 px tall whose feet are at (500, 800) px, last seen at 0 s."""


def lost(hit):
    return replace(hit, track=replace(hit.track, state=TrackState.LOST))


def followed(*feet, settings=SITE, hit=HIT, t_s=1.0):
    """Who is held after a frame that shows nobody, of one whose feet were at these places (x, y) a tenth apart."""
    paces = tuple(Pace(n / 10, (x - 0.02, y - 0.2, x + 0.02, y)) for n, (x, y) in enumerate(feet))
    following = Following(paces=MappingProxyType({1: paces} if feet else {}))
    return staying((), (hit,), observation(t_s), following, settings, 7.0)


def held_through(*tracks, t_s=1.0, observed_s=7.0, since_s=6.0):
    """Whether somebody who is held at (500, 800) px still is after a frame with these tracks."""
    kept = staying((Stayer(lost(HIT), since_s),), (), observation(t_s, *tracks), Following(), SITE, observed_s)
    return bool(kept)


def test_who_is_lost_on_the_track_is_held_as_lost_from_now_on():
    assert followed((0.5, 0.8)) == (Stayer(lost(HIT), 7.0),)
    assert followed() == ()


@pytest.mark.parametrize(("hold_s", "count"), [(0.0, 0), (0.1, 1), (1.0, 1)])
def test_a_hold_may_be_short_or_none(hold_s, count):
    assert len(followed((0.5, 0.8), settings=site(risk=RiskSettings(stay_hold_s=hold_s)))) == count


@pytest.mark.parametrize(("observed_s", "held"), [(7.99, True), (8.0, False)])
def test_a_hold_ends_when_it_has_been_observed(observed_s, held):
    assert held_through(observed_s=observed_s) is held


@pytest.mark.parametrize(
    ("feet", "held"),
    [
        ([(0.5, 0.8)], True),
        ([(0.7, 0.8), (0.5, 0.8)], True),  # two places tell no motion: where he is counts
        ([(0.5, 0.8), (0.7, 0.8)], False),
        ([(0.56, 0.8), (0.55, 0.8), (0.54, 0.8)], True),  # back to the middle
        ([(0.53, 0.8), (0.538, 0.8), (0.546, 0.8)], True),  # to 0.586 within half a second
        ([(0.53, 0.8), (0.55, 0.8), (0.57, 0.8)], False),
        ([(0.5, 0.8), (0.5, 0.8), (0.62, 0.8), (0.62, 0.8)], False),  # off the track already
    ],
)
def test_who_was_about_to_leave_the_track_is_not_held(feet, held):
    assert bool(followed(*feet)) is held


@pytest.mark.parametrize(
    ("at", "held"),
    [
        ((0.03, 0.5), False),
        ((0.031, 0.5), True),
        ((0.97, 0.5), False),
        ((0.969, 0.5), True),
        ((0.5, 0.03), False),
        ((0.5, 0.031), True),
        ((0.5, 0.97), False),
        ((0.5, 0.969), True),
    ],
)
def test_who_was_at_the_border_of_the_picture_is_not_held(at, held):
    assert bool(followed(at, settings=WIDE, hit=replace(HIT, zone=WIDE.zones[0]))) is held


@pytest.mark.parametrize("change", [{"hits": 2}, {"hits": 3}])
def test_who_was_seen_for_less_than_the_on_delay_is_not_held(change):
    hit = replace(HIT, track=replace(HIT.track, **change))
    assert bool(followed((0.5, 0.8), hit=hit)) is (change["hits"] == 3)


def test_nobody_near_the_track_is_held():
    assert followed((0.5, 0.8), hit=replace(HIT, zone=SITE.zones[1])) == ()


def test_nobody_is_held_twice():
    already = (Stayer(lost(HIT), 6.0),)
    paces = Following(paces=MappingProxyType({1: (Pace(0.0, (0.48, 0.6, 0.52, 0.8)),)}))
    assert staying(already, (HIT,), observation(1.0), paces, SITE, 7.0) == already


# Recognised


def seen(x_px, track_id=7, first_seen_s=0.0, group="person", state=TrackState.CONFIRMED):
    made = track(x_px / 1000, track_id, group, state=state)
    return replace(made, first_seen_s=first_seen_s, last_seen_s=max(0.0, first_seen_s))


@pytest.mark.parametrize(
    ("state", "held"), [(TrackState.CONFIRMED, False), (TrackState.LOST, True), (TrackState.TENTATIVE, True)]
)
def test_whoever_is_seen_again_under_the_same_number_is_released_wherever_that_is(state, held):
    assert held_through(seen(950, track_id=1, state=state)) is held


@pytest.mark.parametrize(
    ("x_px", "first_seen_s", "held"),
    [
        (600, -0.5, False),  # stood there before: within half a body's length of 200 px
        (601, -0.5, True),
        (601, -0.49, False),  # came after he was lost
        (400, -0.5, False),
        (399, -0.5, True),
        (750, 0.2, False),  # came since: a body's length, and one more for each of the 0.25 s
        (751, 0.2, True),
        (250, 0.2, False),
        (249, 0.2, True),
    ],
)
def test_one_of_his_group_releases_him_as_far_as_he_can_have_come(x_px, first_seen_s, held):
    assert held_through(seen(x_px, first_seen_s=first_seen_s), t_s=0.25) is held


def test_a_frame_that_is_older_than_his_last_one_gives_no_more_than_a_body():
    assert not held_through(seen(700, first_seen_s=0.2), t_s=-5.0)
    assert held_through(seen(701, first_seen_s=0.2), t_s=-5.0)


@pytest.mark.parametrize("other", [seen(510, 8, group="animal"), seen(510, 8, state=TrackState.LOST)])
def test_others_in_the_frame_neither_release_him_nor_hide_who_does(other):
    assert held_through(other)
    assert not held_through(other, seen(510, 9))


def test_feet_that_are_too_far_down_do_not_release_him():
    down = replace(seen(500), xyxy=(480.0, 701.0, 520.0, 901.0))
    assert held_through(replace(down, first_seen_s=-0.5))
    assert not held_through(replace(down, xyxy=(480.0, 700.0, 520.0, 900.0), first_seen_s=-0.5))


def test_the_longer_side_of_his_box_is_his_body():
    lying = Hit(replace(track(ON_TRACK, state=TrackState.LOST), xyxy=(400.0, 760.0, 600.0, 800.0)), SITE.zones[0])
    for x_px, released in ((600, True), (601, False)):
        frame = observation(0.25, seen(x_px, first_seen_s=-0.5))
        assert (staying((Stayer(lying, 6.0),), (), frame, Following(), SITE, 7.0) == ()) is released
