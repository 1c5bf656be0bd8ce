"""Whole assessments, word for word: what is told of an object, of the train and of what was assumed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import Severity
from railwatch.core.risk_settings import BrakeSettings, RiskSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import ZoneKind
from railwatch.decision.assessing import Outlook, Standing, assess, gravest
from railwatch.decision.braking import stop_from
from railwatch.decision.clearing import Behaviour, Clearing
from railwatch.decision.hours import Bounds
from railwatch.decision.trains import NO_REPORTS, NOBODY_TO_ASK, Sighting, TrainBelief
from railwatch.decision.zones import Hit
from tests.scenario import band, site, track

NOTICE, WARNING, EMERGENCY = Severity.NOTICE, Severity.WARNING, Severity.EMERGENCY
ZONE = band("z", ZoneKind.TRACK, 0.4, 0.6)
CROSSING, STANDING = Clearing(4.0, Behaviour.CROSSING), Clearing(None, Behaviour.STANDING)
FAST = TrainBelief(True, 38.0, False, "interlocking", 1.0, 20.0, 760.0, "interlocking tells of a train")
FAR = FAST._replace(eta_s=400.0, distance_m=8000.0)
NONE_COMES = TrainBelief(True, None, False, "feed", 1.0, None, None, "feed vouches that no train comes")
FAILED = TrainBelief(True, 0.0, True, "feed", None, None, None, "feed has not reported: a train is taken to be there")
NIGHT, MIDNIGHT = (Bounds(at_least=severity, why="by schedule night") for severity in (WARNING, EMERGENCY))


def told(clearing, train, bounds=None, *, possession=False):
    """The assessment of object 7, for 3.5 s in the zone `z`."""
    extra = {} if bounds is None else {"bounds": bounds}
    standing = Standing(Hit(track(0.5, 7), ZONE), clearing, 3.5)
    return assess(site(), standing, train, possession=possession, **extra)


@pytest.mark.parametrize(
    ("clearing", "train", "wanted"),
    [
        (CROSSING, FAST, (WARNING, "train-and-time", 4.0, 38.0, 34.0)),
        (STANDING, FAST, (EMERGENCY, "train-and-no-time", 180.0, 38.0, -142.0)),
        (CROSSING, FAILED, (EMERGENCY, "train-and-no-time", 4.0, 0.0, -4.0)),
        (CROSSING, NONE_COMES, (WARNING, "track-no-train", None, None, None)),
        (STANDING, NOBODY_TO_ASK, (WARNING, "track", None, None, None)),
    ],
)
def test_the_numbers_of_an_assessment(clearing, train, wanted):
    said = told(clearing, train)
    assert (said.track_id, said.zone_id, said.dwell_s) == (7, "z", 3.5)
    assert (said.severity, said.rule, said.time_to_clear_s, said.train_eta_s, said.margin_s) == wanted


@pytest.mark.parametrize(
    ("clearing", "train", "why"),
    [
        (CROSSING, FAST, "train in 38 s at 72 km/h, needs 47 s to stop (interlocking), out of danger in 4 s"),
        (STANDING, FAILED, f"{FAILED.why}, standing, taken to stay 180 s"),
        (CROSSING, NONE_COMES, "feed vouches that no train comes"),
        (CROSSING, NOBODY_TO_ASK, ""),
    ],
)
def test_the_words_of_an_assessment(clearing, train, why):
    assert told(clearing, train).why == why
    assert told(clearing, train, possession=True).why == ", ".join(filter(None, ("under a possession", why)))


@pytest.mark.parametrize(
    ("train", "bounds", "possession", "why"),
    [
        (NONE_COMES, NIGHT, False, "feed vouches that no train comes"),  # it is a WARNING anyway
        (NONE_COMES, NIGHT, True, "under a possession, feed vouches that no train comes"),
        (NONE_COMES, MIDNIGHT, False, "feed vouches that no train comes, by schedule night"),
        (NOBODY_TO_ASK, Bounds(at_most=NOTICE, why="by schedule day"), False, "by schedule day"),
    ],
)
def test_hours_are_told_where_they_change_something(train, bounds, possession, why):
    assert told(CROSSING, train, bounds, possession=possession).why == why


def test_who_is_out_of_danger_now_is_graver_than_nobody_and_less_than_any_other():
    zone = Hit(track(0.5, 1), ZONE)
    out = Standing(zone, Clearing(0.0, Behaviour.CROSSING), 0.0)
    nearly = Standing(zone, Clearing(0.5, Behaviour.CROSSING), 0.0)
    assert gravest([out, nearly]) == gravest([nearly, out]) == (nearly,)


TRAIN_ON = {"camera_id": "cam", "eta_s": 5.0, "speed_mps": None, "distance_m": None}


@pytest.mark.parametrize(
    ("sighting", "counts"),
    [
        (Sighting(**TRAIN_ON, rail_track_id=None), True),
        (Sighting(**TRAIN_ON, rail_track_id="t1"), True),
        (Sighting(**TRAIN_ON, rail_track_id="t2"), False),
        (Sighting(**{**TRAIN_ON, "camera_id": "far"}, rail_track_id="t1"), True),
        (Sighting(**{**TRAIN_ON, "camera_id": "far"}, rail_track_id=None), False),
    ],
)
def test_a_train_that_a_camera_sees_counts_on_its_track_or_where_the_camera_looks(sighting, counts):
    far = replace(band("y", ZoneKind.TRACK, 0.4, 0.6, "far", "away"), rail_track_id="t2")
    cameras = [CameraSettings(name, "x.mp4") for name in ("cam", "far")]
    outlook = Outlook(site(cameras, [ZONE, far]), NO_REPORTS, [sighting], {}, 1.0)
    said = outlook.assess(Standing(Hit(track(0.5, 1), ZONE), CROSSING, 0.0))
    assert (said.train_eta_s is not None) is counts
    assert said.rule == ("train-and-no-time" if counts else "track")


def test_a_hill_that_just_stops_the_train_by_itself_is_not_counted_on():
    brakes = BrakeSettings(reaction_s=10.0, build_up_s=4.0, gradient_permille=50.0)
    speed = 9.80665 * 50.0 / 1000 * 14.0
    level = replace(brakes, gradient_permille=0.0)
    assert stop_from(speed, brakes) == stop_from(speed, level)
    assert stop_from(speed + 0.1, brakes).time_s < stop_from(speed + 0.1, level).time_s


def test_whoever_stays_is_taken_to_stay_as_long_as_the_site_says():
    standing = Standing(Hit(track(0.5, 1), ZONE), STANDING, 0.0)
    said = assess(site(risk=RiskSettings(assumed_stay_s=60.0)), standing, FAR, possession=False)
    assert (said.time_to_clear_s, said.margin_s) == (60.0, 340.0)
