"""What is decided exactly at a bound, and what a place, a box or a name that is one off would change."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from railwatch.core.alerts import AckLevel, AlertKind, Severity
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.geometry import Point
from railwatch.core.ground import GroundPlane, GroundPoint
from railwatch.core.schedules import ScheduleSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Size, TrackState, ZoneKind
from railwatch.decision.assessing import Outlook, Standing
from railwatch.decision.clearing import Behaviour, Clearing, clearing_of, goes_on
from railwatch.decision.escalation import words_of_escalation
from railwatch.decision.faults import CONFIRM_S, Faults
from railwatch.decision.following import Following, follow, riding, standing_of
from railwatch.decision.incidents import Incident
from railwatch.decision.inputs import MAX_HOURS_S, MAX_REASON_LENGTH, Hours, Probe, SystemFault
from railwatch.decision.motion import GroundMotion, Pace
from railwatch.decision.sightings import Engine
from railwatch.decision.trains import NO_REPORTS
from railwatch.decision.zones import Hit
from tests.scenario import ON_TRACK, Hub, band, observation, site, track

FLAT = GroundPlane(((10.0, 0.0, 0.0), (0.0, -10.0, 10.0), (0.0, 0.0, 1.0)), "matrix")
"""Looks straight down: the frame is 10 m wide and 10 m deep."""
GROUNDED = site([CameraSettings("cam", "x.mp4", ground=FLAT)])
SQUARE = (Point(0, 0), Point(10, 0), Point(10, 10), Point(0, 10))


def moving(x, vx, sigma=0.0, y=5.0):
    return GroundMotion(GroundPoint(x, y, 0.01, 0.01, 0.0), vx, 0.0, sigma)


# Leaving


@pytest.mark.parametrize(
    ("motion", "wanted"),
    [
        (moving(9.5, 0.3), Clearing(1.0 / 0.3, Behaviour.CROSSING)),
        (moving(9.5, 0.29), Clearing(None, Behaviour.STANDING)),
        (moving(9.5, 0.4, 0.1), Clearing(None, Behaviour.UNKNOWN)),
        (moving(9.5, 0.39, 0.1), Clearing(None, Behaviour.STANDING)),
    ],
)
def test_how_slow_somebody_may_be_and_still_be_counted_on_to_leave(motion, wanted):
    assert clearing_of(motion, SQUARE, lying=False, herd=False) == pytest.approx(wanted)


@pytest.mark.parametrize(("x", "behaviour"), [(0.5, Behaviour.CROSSING), (0.4, Behaviour.ALONG)])
def test_a_way_out_of_just_half_a_minute_is_one(x, behaviour):
    wide = (Point(0, 0), Point(30, 0), Point(30, 10), Point(0, 10))
    assert clearing_of(moving(x, 1.0), wide, lying=False, herd=False).behaviour is behaviour


def test_a_zone_of_three_corners_is_one():
    triangle = (Point(0, 0), Point(10, 5), Point(0, 10))
    assert clearing_of(moving(2.0, 1.0), triangle, lying=False, herd=False).seconds == pytest.approx(8.5)


def test_a_zone_just_three_times_as_long_as_wide_is_a_piece_of_track():
    assert max(at.y for at in goes_on((Point(0, 0), Point(2, 0), Point(2, 6), Point(0, 6)))) > 900
    assert max(at.y for at in goes_on((Point(0, 0), Point(2, 0), Point(2, 5.9), Point(0, 5.9)))) < 6


# Following


def standing(number, state=TrackState.CONFIRMED, paces=(), settings=GROUNDED, group="person"):
    following = Following(paces=MappingProxyType({number: paces}))
    return standing_of(
        Hit(track(ON_TRACK, number, group, state=state), settings.zones[0]), following, settings, 1.0, herd=False
    )


LYING = (0.4, 0.7, 0.6, 0.8)
CROSSING = tuple(Pace(t, (0.4, 0.4, 0.5, 0.5), GroundPoint(5.0 + 2 * t, 5.0, 0.0001, 0.0001, 0.0)) for t in (0, 1, 2))


def test_who_is_not_seen_now_has_no_motion_and_no_posture():
    unknown = Clearing(None, Behaviour.UNKNOWN)
    for settings in (GROUNDED, site()):
        assert standing(1, TrackState.LOST, (Pace(0.0, LYING),), settings).clearing == unknown
        assert standing(1, paces=(), settings=settings).clearing == unknown
    assert standing(1, TrackState.LOST, CROSSING).clearing == unknown
    assert standing(1, paces=CROSSING).clearing.behaviour is Behaviour.CROSSING


@pytest.mark.parametrize("settings", [GROUNDED, site()])
@pytest.mark.parametrize(("group", "lies"), [("person", True), ("animal", False)])
def test_a_person_wider_than_tall_lies_with_and_without_a_ground_plane(settings, group, lies):
    said = standing(1, paces=(Pace(0.0, LYING),), settings=settings, group=group).clearing
    assert said == Clearing(None, Behaviour.LYING if lies else Behaviour.UNKNOWN)


@pytest.mark.parametrize(("t_s", "kept"), [(-0.01, False), (0.0, True), (1.9, True), (2.0, False), (2.1, False)])
def test_places_are_kept_for_two_seconds_and_not_by_a_clock_that_stands(t_s, kept):
    before = Following(paces=MappingProxyType({7: (Pace(t_s, LYING),)}))
    assert (7 in follow(before, observation(2.0), site()).paces) is kept


def test_only_who_is_seen_and_of_a_group_that_matters_is_followed():
    seen = observation(
        1.0,
        track(0.5, 1, state=TrackState.LOST),
        track(0.5, 2, group="vehicle"),
        track(0.5, 3, state=TrackState.TENTATIVE),
        track(0.5, 4),
        track(0.5, 5, group="animal"),
        track(0.5, 6, group="train"),
    )
    after = follow(Following(), seen, site())
    assert set(after.paces) == {4, 5, 6}
    assert set(after.engines) == {6}
    assert after.aspect == 1.0
    assert follow(Following(), replace(seen, frame_size=Size(1600, 900)), site()).aspect == pytest.approx(16 / 9)


def nearing(t_s, settings=GROUNDED, before=None):
    """A train whose foot comes down by 8 % of the frame a second."""
    box = (300.0, 100.0, 600.0, 400.0 + 80.0 * t_s)
    seen = observation(t_s, replace(track(0.5, 6, group="train"), xyxy=box))
    return follow(before or Following(), seen, settings)


@pytest.mark.parametrize(("settings", "metres"), [(GROUNDED, True), (site(), False)])
def test_a_train_that_comes_is_seen_by_its_camera_and_told_in_metres_where_that_can_be(settings, metres):
    following = None
    for number in range(12):
        following = nearing(number / 8, settings, following)
    (found,) = following.sightings
    assert found.camera_id == "cam"
    assert (found.distance_m is not None) is metres


def test_a_train_that_was_once_in_motion_is_one_for_ever():
    moved = Engine((Pace(0.0, (0.2, 0.2, 0.8, 0.7)),), moving=False, ever_moved=True, nearing=False)
    after = follow(
        Following(engines=MappingProxyType({6: moved})), observation(1.0, track(0.5, 6, group="train")), site()
    )
    assert after.engines[6].ever_moved
    assert not follow(Following(), observation(1.0, track(0.5, 6, group="train")), site()).engines[6].ever_moved


@pytest.mark.parametrize("ever_moved", [True, False])
def test_passengers_are_looked_for_where_their_train_is_now(ever_moved):
    apart, here = (0.0, 0.0, 0.1, 0.1), (0.2, 0.2, 0.8, 0.9)
    engine = Engine(tuple(Pace(t / 10, box) for t, box in enumerate((apart, apart, here))), False, ever_moved, False)
    following = Following(engines=MappingProxyType({6: engine}))
    assert riding(following, observation(0.2, track(0.5, 1)), site()) == {1}
    left = engine._replace(paces=engine.paces[::-1])
    assert riding(Following(engines=MappingProxyType({6: left})), observation(0.2, track(0.5, 1)), site()) == set()


# Inputs


@pytest.mark.parametrize("lasts_s", [0.0, 0.5, MAX_HOURS_S])
def test_hours_may_last_from_nothing_to_an_hour(lasts_s):
    assert Hours(None, lasts_s).lasts_s == lasts_s


def test_a_self_test_may_have_to_be_quick():
    assert Probe("cam", "t1", 0.5).within_s == 0.5


@pytest.mark.parametrize("name", ["_", "-", "_-", ""])
def test_a_name_of_a_fault_has_a_letter_or_digit(name):
    with pytest.raises(ValueError, match="name must be letters"):
        SystemFault(name, "why")


@pytest.mark.parametrize("length", [0, MAX_REASON_LENGTH, MAX_REASON_LENGTH + 1])
def test_a_reason_is_cut_to_its_longest(length):
    assert SystemFault("journal", "x" * length).reason == "x" * min(length, MAX_REASON_LENGTH)
    assert SystemFault("journal", None).reason is None


# Faults, escalation, hours


def test_a_doubt_about_a_fault_ends_just_when_it_must_be_confirmed():
    faults = Faults(MappingProxyType({"journal": "full"}), frozenset({"journal"}), CONFIRM_S)
    assert faults.at(CONFIRM_S - 0.001) is faults
    assert faults.at(CONFIRM_S) == Faults(MappingProxyType({}), frozenset(), CONFIRM_S)


def test_a_fault_may_be_told_anew_again_and_again():
    hub = Hub(site(update_interval_s=1.0))
    told = [alert for n in range(4) for alert in hub.fault(float(n), "journal", f"reason {n}")]
    assert [alert.why for alert in told if alert.fault == "journal"] == [f"journal: reason {n}" for n in range(4)]


def test_the_interval_of_a_fault_counts_from_when_it_was_told_last():
    hub = Hub(replace(site(update_interval_s=1.0), camera_timeout_s=60.0))
    told = [[alert.why for alert in hub.fault(t_s, "journal", f"at {t_s}")] for t_s in (0.0, 1.0, 1.5, 2.0)]
    assert told == [["journal: at 0.0"], ["journal: at 1.0"], [], ["journal: at 2.0"]]


def test_the_words_of_an_escalation_name_the_last_group():
    groups = tuple(EscalationGroup(name) for name in ("a", "b", "c"))
    settings = EscalationSettings(groups, (EscalationRule(Severity.WARNING, AckLevel.ACKNOWLEDGED, 7.5),))
    incident = Incident(AlertKind.INTRUSION, Severity.WARNING, addressed_to=("a", "b", "c"))
    assert words_of_escalation(incident, settings) == "not ACKNOWLEDGED within 7.5 s, told to c"
    with pytest.raises(AssertionError, match=r"^an incident escalates under a rule$"):
        words_of_escalation(replace(incident, severity=Severity.NOTICE), settings)


def test_hours_that_are_laid_down_for_one_zone_change_that_one():
    zones = [band("day", ZoneKind.TRACK, 0.4, 0.6), band("night", ZoneKind.TRACK, 0.4, 0.6)]
    night = ScheduleSettings("n", "UTC", "22:00", "05:00", zone_ids=("night",), at_least=Severity.EMERGENCY)
    outlook = Outlook(replace(site(zones=zones), schedules=(night,)), NO_REPORTS, [], {}, 0.0, frozenset({"n"}))
    said = [
        outlook.assess(Standing(Hit(track(ON_TRACK), zone), Clearing(None, Behaviour.STANDING), 0.0)) for zone in zones
    ]
    assert [item.severity for item in said] == [Severity.WARNING, Severity.EMERGENCY]
