"""Hours of the day raise and lower, and never lower where that is not certain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.alerts import Severity
from railwatch.core.schedules import ScheduleSettings
from railwatch.core.types import ZoneKind
from railwatch.decision.hours import NO_BOUNDS, Bounds, bounds_of
from railwatch.decision.inputs import MAX_HOURS_S, ConfigChange, Hours, Tick
from railwatch.decision.risk import severity_of
from tests.decision.test_risk import NO_TRAIN, situation, train_in
from tests.scenario import ON_TRACK, Hub, site

NOTICE, WARNING, EMERGENCY = Severity


def schedule(name: str, *zone_ids: str, **change: Severity) -> ScheduleSettings:
    return ScheduleSettings(name, "UTC", "08:00", "16:00", zone_ids=zone_ids, **change)


LIFTS, LOWERS = schedule("night", at_least=WARNING), schedule("works", at_most=NOTICE)
severities = st.none() | st.sampled_from(Severity)
schedules = st.lists(
    st.builds(
        lambda name, zones, severity, lifts: schedule(name, *zones, **{"at_least" if lifts else "at_most": severity}),
        st.sampled_from("abc"),
        st.sets(st.sampled_from(["z1", "z2"])),
        st.sampled_from(Severity),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda item: item.schedule_id,
)


@pytest.mark.parametrize(
    ("holding", "bounds"),
    [
        (frozenset(), NO_BOUNDS),
        ({"night"}, Bounds(WARNING, None, "by schedule night")),
        ({"works"}, Bounds(None, NOTICE, "by schedule works")),
        ({"works", "night"}, Bounds(WARNING, NOTICE, "by schedule night, works")),
        (None, Bounds(WARNING, None, "by schedule night, as the time is not sure")),
    ],
)
def test_what_holds_bounds_the_severity(holding, bounds):
    assert bounds_of((LIFTS, LOWERS), "z1", holding) == bounds


def test_the_strictest_of_several_counts_and_only_in_its_zones():
    many = (schedule("a", at_most=NOTICE), schedule("b", "z1", at_most=WARNING), schedule("c", "z2", at_least=NOTICE))
    assert bounds_of(many, "z1", frozenset("abc"))[:2] == (None, WARNING)
    assert bounds_of(many, "z2", frozenset("abc"))[:2] == (NOTICE, NOTICE)
    assert bounds_of(many[2:], "z1", frozenset("abc")) is NO_BOUNDS


@pytest.mark.parametrize(
    ("said", "bounds", "severity"),
    [
        (situation(), Bounds(at_most=NOTICE), NOTICE),
        (situation(train=NO_TRAIN), Bounds(at_most=NOTICE), NOTICE),
        (situation(train=train_in(500.0)), Bounds(at_most=NOTICE), WARNING),
        (situation(train=train_in(0.0)), Bounds(at_most=NOTICE), EMERGENCY),
        (situation(without=EMERGENCY), Bounds(at_most=NOTICE), EMERGENCY),
        (situation(ZoneKind.APPROACH), Bounds(at_least=WARNING), WARNING),
        (situation(ZoneKind.APPROACH), Bounds(at_least=EMERGENCY), EMERGENCY),
        (situation(), Bounds(at_least=NOTICE), WARNING),
        (situation(), Bounds(WARNING, NOTICE), WARNING),
    ],
)
def test_hours_raise_and_lower(said, bounds, severity):
    assert severity_of(said, bounds=bounds)[1] is severity


def test_a_possession_lowers_what_hours_raise_to_a_warning_and_no_emergency():
    assert severity_of(situation(), possession=True, bounds=Bounds(at_least=WARNING))[1] is NOTICE
    assert severity_of(situation(), possession=True, bounds=Bounds(at_least=EMERGENCY))[1] is EMERGENCY


@given(schedules, st.sets(st.sampled_from("abc")), st.sampled_from(Severity), st.booleans())
def test_whoever_is_not_sure_of_the_time_never_tells_less(some, holding, severity, train):
    sure = bounds_of(some, "z1", frozenset(holding)).on(severity, train=train)
    doubtful = bounds_of(some, "z1", None).on(severity, train=train)
    assert doubtful >= sure
    assert doubtful >= severity


@given(severities, severities, st.booleans())
def test_nothing_lowers_an_emergency(least, most, train):
    assert Bounds(least, most).on(EMERGENCY, train=train) is EMERGENCY


@given(severities, severities, st.sampled_from(Severity), st.sampled_from(Severity), st.booleans())
def test_what_is_graver_stays_graver_or_equal(least, most, one, other, train):
    bounds = Bounds(least, most)
    low, high = sorted((one, other))
    assert bounds.on(low, train=train) <= bounds.on(high, train=train)
    assert bounds.on(low, train=True) >= bounds.on(low, train=False)


def lowered() -> Hub:
    """Six seconds of somebody on the track, under hours that lower."""
    hub = Hub(replace(site(), schedules=(LOWERS,)))
    hub.watch(0.0, 0.5, ON_TRACK)
    assert worst(hub) is WARNING
    hub.feed(Hours(("works",), 60.0), 0.5)
    hub.watch(0.6, 6.0, ON_TRACK)
    assert worst(hub) is NOTICE
    assert "by schedule works" in hub.alerts[-1].why
    return hub


def worst(hub: Hub) -> Severity:
    return next(iter(hub.state.incidents.values())).severity


@pytest.mark.parametrize(
    ("value", "at_s", "severity"),
    [
        (Tick(6.1), 6.1, NOTICE),
        (Tick(60.4), 60.4, NOTICE),
        (Tick(60.6), 60.6, WARNING),
        (Hours(None, 60.0), 6.1, WARNING),
        (Hours((), 60.0), 6.1, WARNING),
        (ConfigChange(replace(site(), schedules=(LOWERS,), camera_timeout_s=3.0)), 6.1, NOTICE),
        (ConfigChange(replace(site(), schedules=(replace(LOWERS, ends="17:00"),))), 6.1, WARNING),
    ],
)
def test_hours_lower_while_they_are_known_to_hold_and_no_longer(value, at_s, severity):
    hub = lowered()
    hub.feed(value, at_s)
    assert worst(hub) is severity


@pytest.mark.parametrize("lasts_s", [-1.0, float("nan"), float("inf"), MAX_HOURS_S + 1.0])
def test_what_is_said_of_the_hours_does_not_last_for_long(lasts_s):
    with pytest.raises(ValueError, match="lasts_s must be 0 to 3600"):
        Hours((), lasts_s)
