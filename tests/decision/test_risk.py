from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.alerts import Severity
from railwatch.core.risk_settings import BrakeSettings, RiskSettings
from railwatch.core.types import ZoneKind
from railwatch.decision.braking import Stop, stop_from
from railwatch.decision.clearing import Behaviour, Clearing
from railwatch.decision.risk import RULES, Situation, severity_of
from railwatch.decision.trains import NOBODY_TO_ASK, TrainBelief

NOTICE, WARNING, EMERGENCY = Severity
STAYS = Clearing(None, Behaviour.STANDING)
NO_TRAIN = TrainBelief(True, None, False, "feed", 0.0, None, None, "feed vouches that no train comes")
FAST = Stop(700.0, 50.0)
SLOW = Stop(100.0, 12.0)


def leaves_in(seconds: float) -> Clearing:
    return Clearing(seconds, Behaviour.CROSSING)


def train_in(eta_s: float, distance_m: float | None = None) -> TrainBelief:
    return TrainBelief(True, eta_s, False, "feed", 0.0, 20.0, distance_m, "feed tells of a train")


def situation(
    kind=ZoneKind.TRACK, clearing=STAYS, train=NOBODY_TO_ASK, stop=SLOW, without=WARNING, **rules
) -> Situation:
    return Situation(kind, clearing, train, stop, without, RiskSettings(**rules))


@pytest.mark.parametrize(
    ("given_situation", "rule", "severity"),
    [
        (situation(), "track", WARNING),
        (situation(without=NOTICE), "track", NOTICE),
        (situation(without=EMERGENCY), "track", EMERGENCY),
        (situation(train=NO_TRAIN), "track-no-train", WARNING),
        (situation(train=NO_TRAIN, without=NOTICE), "track-no-train", NOTICE),
        (situation(train=NO_TRAIN, without=EMERGENCY), "track-no-train", WARNING),
        (situation(train=train_in(0.0)), "train-and-no-time", EMERGENCY),
        (situation(train=train_in(189.9)), "train-and-no-time", EMERGENCY),
        (situation(train=train_in(190.0)), "train-and-time", WARNING),
        (situation(train=train_in(190.0), without=NOTICE), "train-and-time", WARNING),
        (situation(train=train_in(12.9), clearing=leaves_in(3.0)), "train-and-no-time", EMERGENCY),
        (situation(train=train_in(13.0), clearing=leaves_in(3.0)), "train-and-time", WARNING),
        (situation(train=train_in(40.0), clearing=leaves_in(3.0), least_margin_s=38.0), "train-and-no-time", EMERGENCY),
        (situation(train=train_in(199.9), stop=None), "train-and-no-time", EMERGENCY),
        (situation(train=train_in(200.0), stop=None), "train-and-time", WARNING),
        (situation(ZoneKind.PLATFORM_EDGE), "edge", NOTICE),
        (situation(ZoneKind.PLATFORM_EDGE, train=train_in(0.0)), "edge", NOTICE),
        (situation(ZoneKind.PLATFORM_EDGE, train=NO_TRAIN), "edge", NOTICE),
        (situation(ZoneKind.APPROACH, without=EMERGENCY), "approach", NOTICE),
        (situation(ZoneKind.APPROACH, train=train_in(0.0)), "approach", NOTICE),
    ],
)
def test_the_table(given_situation, rule, severity):
    found, said = severity_of(given_situation)
    assert (found.name, said) == (rule, severity)


def test_a_train_that_can_no_longer_stop_needs_twice_the_margin():
    late = situation(train=train_in(18.0), clearing=leaves_in(3.0), stop=Stop(100.0, 17.9))
    assert severity_of(late)[1] is WARNING
    assert severity_of(replace(late, stop=Stop(100.0, 18.0)))[1] is EMERGENCY
    assert not late.too_late_to_stop


def test_the_distance_tells_better_than_the_time_whether_a_train_can_stop():
    near = situation(train=train_in(60.0, distance_m=700.0), stop=FAST)
    assert near.too_late_to_stop
    assert not replace(near, train=train_in(60.0, distance_m=700.1)).too_late_to_stop
    assert not replace(near, train=NO_TRAIN).too_late_to_stop


def test_a_train_whose_speed_is_not_known_may_not_be_able_to_stop():
    unknown = situation(train=train_in(60.0), stop=None)
    assert unknown.too_late_to_stop
    assert not replace(unknown, train=NO_TRAIN).too_late_to_stop
    assert not replace(unknown, train=NO_TRAIN).margin_short


def test_under_a_possession_only_an_emergency_is_more_than_a_notice():
    assert severity_of(situation(), possession=True)[1] is NOTICE
    assert severity_of(situation(without=EMERGENCY), possession=True)[1] is EMERGENCY
    assert severity_of(situation(train=train_in(60.0)), possession=True)[1] is EMERGENCY
    assert severity_of(situation(train=train_in(600.0)), possession=True)[1] is NOTICE


def test_every_kind_but_ignore_has_a_last_row_without_condition():
    for kind in set(ZoneKind) - {ZoneKind.IGNORE}:
        last = [rule for rule in RULES if rule.kind is kind][-1]
        assert last.holds(situation(kind))
    assert len({rule.name for rule in RULES}) == len(RULES)


etas = st.floats(0, 600)
clearings = st.none() | st.floats(0, 60)


@given(etas, etas, clearings, st.sampled_from(Severity), st.sampled_from(list(ZoneKind)[:3]))
def test_severity_never_falls_while_the_train_comes_nearer(one, other, seconds, without, kind):
    sooner, later = sorted((one, other))
    said = [
        severity_of(
            situation(
                kind, Clearing(seconds, Behaviour.CROSSING), train_in(eta), stop_from(20.0, BrakeSettings()), without
            )
        )[1]
        for eta in (sooner, later)
    ]
    assert said[0] >= said[1]


@given(etas, clearings, clearings)
def test_severity_never_falls_while_the_margin_shrinks(eta, one, other):
    situations = [
        situation(clearing=Clearing(seconds, Behaviour.CROSSING), train=train_in(eta)) for seconds in (one, other)
    ]
    small, large = sorted(situations, key=lambda s: s.margin_s)
    assert severity_of(small)[1] >= severity_of(large)[1]


@given(st.none() | etas, st.sampled_from([WARNING, EMERGENCY]))
def test_a_source_that_fails_never_lowers_the_severity(eta, without):
    before = situation(train=NO_TRAIN if eta is None else train_in(eta), without=without)
    failed = replace(before, train=train_in(0.0)._replace(assumed=True))
    assert severity_of(failed)[1] >= severity_of(before)[1]
    assert severity_of(failed)[1] >= severity_of(replace(before, train=NOBODY_TO_ASK))[1]


@pytest.mark.parametrize("change", [{"least_margin_s": -1.0}, {"assumed_stay_s": 0.0}, {"stay_hold_s": -0.1}])
def test_rules_out_of_range_are_refused(change):
    (name,) = change
    with pytest.raises(ValueError, match=name):
        RiskSettings(**change)
