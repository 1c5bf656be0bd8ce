"""What sources say, brakes, words and bounds by hand: what a sign or a bound gone wrong would change."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from railwatch.core.alerts import SectionState
from railwatch.core.risk_settings import BrakeSettings, RiskSettings, TrainSourceSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Track, TrackState, TrainReport, ZoneKind
from railwatch.decision.braking import GRAVITY_MPS2, can_stop, stop_from
from railwatch.decision.clearing import Behaviour, Clearing
from railwatch.decision.inputs import MAX_POSSESSION_S, Possession, SystemFault
from railwatch.decision.status import status_of
from railwatch.decision.trains import NO_REPORTS, TrainBelief, belief_of, fault_in, hear
from tests.scenario import Hub, band, site, track

# What sources say


FEED = TrainSourceSettings("feed", ("t1",), authoritative=True, max_age_s=5.0)
ASKED = site(train_sources=[FEED])


def report(eta_s, seq=1, **change) -> TrainReport:
    return replace(TrainReport("t1", "up", eta_s, None, None, "feed", seq, 1.0, authoritative=True), **change)


def belief(*reports, now_s=2.0, the_site=ASKED) -> TrainBelief:
    heard = NO_REPORTS
    for said in reports:
        heard = hear(heard, said, 0.0)
    return belief_of(the_site, heard, [], "t1", now_s)


def test_a_belief_tells_who_said_it_and_how_old_it_is():
    coming = belief(report(60.0, speed_mps=20.0, distance_m=1000.0))
    assert coming == TrainBelief(True, 57.0, False, "feed", 3.0, 20.0, 940.0, "feed tells of a train")
    assert belief(report(60.0, distance_m=1000.0)).distance_m == 1000.0
    none = belief(report(None))
    assert none == TrainBelief(True, None, False, "feed", 3.0, None, None, "feed vouches that no train comes")
    meek = belief(report(None, authoritative=False))
    assert meek[:7] == (False, None, False, "feed", 3.0, None, None)
    assert meek.why == "feed knows of no train, but does not vouch for it"


def test_a_belief_that_is_assumed_tells_who_failed_and_since_when():
    silent = belief()
    assert silent[:7] == (True, 0.0, True, "feed", None, None, None)
    assert silent.why == "feed has not reported for t1: a train is taken to be there"
    stale = belief(report(60.0), now_s=5.0)
    assert stale[:5] == (True, 0.0, True, "feed", 6.0)
    faulty = belief(report(60.0, distance_m=10.0, speed_mps=30.0))
    assert faulty[:5] == (True, 0.0, True, "feed", 3.0)
    assert belief(report(None, distance_m=5.0)).why.startswith(
        "feed contradicts itself: it tells of a distance but of no train:"
    )
    everywhere = replace(ASKED, train_sources=(replace(FEED, rail_track_ids=()),))
    assert belief_of(everywhere, NO_REPORTS, [], None, 0.0).why.startswith("feed has not reported for t1:")
    unnamed = replace(everywhere, zones=tuple(replace(zone, rail_track_id=None) for zone in ASKED.zones))
    assert belief_of(unnamed, NO_REPORTS, [], None, 0.0).why == "feed has not reported: a train is taken to be there"
    two = replace(ASKED, train_sources=(replace(FEED, rail_track_ids=("t2", "t1")),))
    assert belief_of(two, NO_REPORTS, [], None, 0.0).why.startswith("feed has not reported for t1, t2:")


@pytest.mark.parametrize(
    ("eta_s", "metres", "faulty"),
    [
        (30.0, 600.0, False),
        (30.0, 1200.0, False),  # 60 s against 30 s: half of the longer
        (30.0, 1201.0, True),
        (10.0, 400.0, False),  # 20 s against 10 s: the slack
        (4.0, 281.0, True),
        (4.0, 280.0, False),
        (60.0, 600.0, False),
        (61.0, 600.0, True),
    ],
)
def test_a_report_contradicts_itself_beyond_ten_seconds_and_half(eta_s, metres, faulty):
    assert bool(fault_in(report(eta_s, distance_m=metres, speed_mps=20.0))) is faulty


def test_of_a_train_that_is_here_and_one_that_comes_the_one_that_is_here_counts():
    assert belief(report(0.0, direction="up"), report(2.5, direction="down"), now_s=0.0).eta_s == 0.0
    assert belief(report(1.0), report(1.5, direction="down"), now_s=0.0).why == "feed tells of a train"


# Brakes


def test_a_gradient_is_per_thousand():
    brakes = BrakeSettings(reaction_s=2.0, build_up_s=3.0, deceleration_mps2=0.5, gradient_permille=-20.0)
    pull = GRAVITY_MPS2 * 0.02
    onset = 10.0 + pull * 5.0
    assert stop_from(10.0, brakes).time_s == pytest.approx(5.0 + onset / (0.5 - pull))
    assert stop_from(10.0, brakes).distance_m == pytest.approx(50.0 + pull * 12.5 + onset**2 / (2 * (0.5 - pull)))


def test_a_train_that_just_stands_before_it_can_stop_is_not_counted_on():
    brakes = BrakeSettings()
    exactly = stop_from(20.0, brakes).distance_m
    assert not can_stop(20.0, exactly, brakes)
    assert can_stop(20.0, exactly + 1e-6, brakes)


def test_a_hill_counts_until_it_would_stop_the_train_by_itself():
    brakes = BrakeSettings(reaction_s=10.0, build_up_s=0.0, deceleration_mps2=0.5, gradient_permille=20.0)
    pull = -GRAVITY_MPS2 * 0.02
    assert stop_from(2.5, brakes).time_s == pytest.approx(10.0 + (2.5 + pull * 10) / (0.5 - pull))
    assert stop_from(1.9, brakes).time_s == pytest.approx(10.0 + 1.9 / 0.5)


def test_brakes_that_just_hold_the_gradient_never_stop():
    brakes = BrakeSettings(deceleration_mps2=GRAVITY_MPS2 * 0.05, gradient_permille=-50.0)
    assert stop_from(1.0, brakes) == (math.inf, math.inf)


# Words, bounds, and who stays


def test_what_is_told_of_a_train():
    from railwatch.decision.assessing import Standing, assess
    from railwatch.decision.zones import Hit

    def words(eta_s, speed_mps, **brakes):
        the_site = site(risk=RiskSettings(brakes=BrakeSettings(**brakes)))
        standing = Standing(Hit(track(0.5), the_site.zones[0]), Clearing(None, Behaviour.STANDING), 0.0)
        train = TrainBelief(True, eta_s, False, "feed", 0.0, speed_mps, None, "feed tells of a train")
        return assess(the_site, standing, train, possession=False).why.split(",")[:2]

    assert words(0.6, None)[0] == "train in 1 s (feed)"
    assert words(0.0, None)[0] == "train now (feed)"
    assert words(30.0, 10.0)[1].startswith(" needs 31 s to stop")
    assert (
        words(30.0, 10.0, deceleration_mps2=0.05, gradient_permille=-10.0)[1]
        == " cannot be stopped by its brakes (feed)"
    )
    slow = BrakeSettings(reaction_s=0.0, build_up_s=0.0, deceleration_mps2=0.05)
    for seconds, told in (
        (3599.6, " needs 3600 s to stop"),
        (3600.0, " cannot be stopped"),
        (3600.5, " cannot be stopped"),
    ):
        assert stop_from(seconds * 0.05, slow).time_s == pytest.approx(seconds)
        assert words(30.0, seconds * 0.05, reaction_s=0.0, build_up_s=0.0, deceleration_mps2=0.05)[1].startswith(told)


@pytest.mark.parametrize("length", [1, 200])
def test_names_of_a_possession_may_be_so_long(length):
    assert Possession("t" * length, "A" * length, MAX_POSSESSION_S).lasts_s == MAX_POSSESSION_S


def test_the_refusal_of_a_possession_names_what_is_wrong():
    with pytest.raises(ValueError, match=r"^rail_track_id must be 1 to 200"):
        Possession("", "Anna", 1.0)
    with pytest.raises(ValueError, match=r"^holder must be 1 to 200"):
        Possession("t1", "", 1.0)


def test_a_reason_of_the_longest_kind_stays_whole():
    assert SystemFault("a_b-c", "x" * 500).reason == "x" * 500
    assert len(SystemFault("a", "x" * 501).reason) == 500


def test_a_person_who_lies_is_told_to_lie_without_a_plane_and_a_cow_is_not():
    for group, behaviour in (("person", "lying"), ("animal", "moving in a way that is not known")):
        hub = Hub(site(train_sources=[FEED]))
        hub.feed(report(300.0, speed_mps=10.0, age_s=0.0), 0.0)
        box = (450.0, 700.0, 550.0, 750.0)
        for index in range(4):
            hub.see(index / 10, Track(1, group, group, box, 0.9, TrackState.CONFIRMED, 0.0, index / 10, 9))
        assert f"{behaviour}, taken to stay" in hub.alerts[0].why


def test_three_animals_are_a_herd_without_a_plane_and_a_person_among_them_is_not():
    hub = Hub(site(train_sources=[FEED]))
    hub.feed(report(300.0, speed_mps=10.0, age_s=0.0), 0.0)
    for index in range(4):
        cows = [track(0.45 + number / 50, number + 2, "animal", "cow") for number in range(3)]
        hub.see(index / 10, replace(track(0.5), confidence=0.95), *cows)
    standings = hub.state.cameras["cam"].view("main").standings
    told = {standing.hit.track.class_name: standing.clearing.behaviour for standing in standings}
    assert told == {"cow": Behaviour.HERD, "person": Behaviour.UNKNOWN}


def test_status_tells_each_track_by_its_section():
    zones = [
        band("a", ZoneKind.TRACK, 0.4, 0.6),
        replace(band("b", ZoneKind.TRACK, 0.4, 0.6, "far", "other"), rail_track_id="t2"),
    ]
    feeds = [replace(FEED, rail_track_ids=("t1", "t2"))]
    hub = Hub(site([CameraSettings("cam", "x"), CameraSettings("far", "y")], zones=zones, train_sources=feeds))
    hub.feed(report(50.0, age_s=0.0), 0.0)
    hub.feed(report(20.0, age_s=0.0, rail_track_id="t2"), 0.0)
    assert [(said.rail_track_id, said.eta_s) for said in status_of(hub.state).trains] == [("t1", 50.0), ("t2", 20.0)]


WIDE = [band("wide", ZoneKind.TRACK, 0.0, 1.0)]
STAYS = RiskSettings(stay_hold_s=5.0)


def lost_at(x, y=0.8, dx=0.0, dy=0.0, frames=8):
    """Whether somebody who is lost at a place of the picture, going so far a second, is held."""
    hub = Hub(site(zones=WIDE, risk=STAYS))
    for index in range(frames):
        t_s = index / 10
        away = t_s - (frames - 1) / 10
        foot_x, foot_y = (x + dx * away) * 1000, (y + dy * away) * 1000
        box = (foot_x - 20, foot_y - 200, foot_x + 20, foot_y)
        hub.see(t_s, Track(1, "person", "person", box, 0.9, TrackState.CONFIRMED, 0.0, t_s, 9))
    for index in range(frames, frames + 25):
        hub.see(index / 10)
    return hub.section() is SectionState.OCCUPIED


@pytest.mark.parametrize(
    ("place", "held"),
    [
        ({"x": 0.5}, True),
        ({"x": 0.031}, True),
        ({"x": 0.029}, False),
        ({"x": 0.969}, True),
        ({"x": 0.971}, False),
        ({"x": 0.5, "y": 0.969}, True),
        ({"x": 0.5, "y": 0.971}, False),
        ({"x": 0.9, "dx": 0.13}, True),  # half a second on, at 0.965
        ({"x": 0.9, "dx": 0.15}, False),
        ({"x": 0.1, "dx": -0.13}, True),
        ({"x": 0.1, "dx": -0.15}, False),
        ({"x": 0.5, "y": 0.9, "dy": 0.13}, True),
        ({"x": 0.5, "y": 0.9, "dy": 0.15}, False),
        ({"x": 0.5, "y": 0.3, "dy": -0.53}, True),  # half a second on, at 0.035
        ({"x": 0.5, "y": 0.3, "dy": -0.55}, False),
    ],
)
def test_who_is_lost_is_held_unless_half_a_second_on_he_had_left_the_picture(place, held):
    assert lost_at(**place) is held
