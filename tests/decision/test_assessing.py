"""Of everybody in a zone the one who stays longest is in the greatest danger: the others need not be asked."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.alerts import Severity
from railwatch.core.risk_settings import RiskSettings, TrainSourceSettings
from railwatch.core.types import TrainReport, ZoneKind
from railwatch.decision.assessing import Outlook, Standing, gravest
from railwatch.decision.clearing import Behaviour, Clearing
from railwatch.decision.trains import NO_REPORTS, hear
from railwatch.decision.zones import Hit
from tests.scenario import band, site, track

ZONES = [
    replace(band(f"{kind.value}-{name}", kind, 0.4, 0.6), rail_track_id=name)
    for kind in (ZoneKind.TRACK, ZoneKind.APPROACH, ZoneKind.PLATFORM_EDGE)
    for name in ("t1", "t2", None)
]
FEED = TrainSourceSettings("feed", authoritative=True, max_age_s=600.0)
clearings = st.one_of(
    st.builds(Clearing, st.floats(0.0, 30.0), st.just(Behaviour.CROSSING)),
    st.builds(Clearing, st.none(), st.sampled_from([Behaviour.STANDING, Behaviour.LYING, Behaviour.HERD])),
)
standings = st.builds(
    lambda number, zone, clearing: Standing(Hit(track(0.5, number), zone), clearing, 0.0),
    st.integers(1, 9),
    st.sampled_from(ZONES),
    clearings,
)
reports = st.builds(
    lambda name, eta_s, speed, seq: TrainReport(name, "up", eta_s, None, speed, "feed", seq, 0.0, authoritative=True),
    st.sampled_from(["t1", "t2"]),
    st.none() | st.floats(0.0, 300.0),
    st.none() | st.floats(1.0, 60.0),
    st.integers(1, 3),
)


@given(
    st.lists(standings, max_size=12),
    st.lists(reports, max_size=4),
    st.floats(1.0, 200.0),
    st.booleans(),
    st.sets(st.sampled_from(["t1", "t2"])),
    st.sampled_from(Severity),
)
def test_nobody_is_in_greater_danger_than_the_gravest(people, said, stay_s, asked, possessions, without):
    the_site = site(zones=ZONES, risk=RiskSettings(assumed_stay_s=stay_s), severity=without)
    the_site = replace(the_site, train_sources=(FEED,) if asked else ())
    heard = NO_REPORTS
    for report in said:
        heard = hear(heard, report, 0.0)
    outlook = Outlook(the_site, heard, [], dict.fromkeys(possessions, "Anna"), 1.0)
    worst = gravest(people)
    assert set(worst) <= set(people)
    for kind in ZoneKind:
        all_of_them = [outlook.assess(s).severity for s in people if s.hit.zone.kind is kind]
        the_worst = [outlook.assess(s).severity for s in worst if s.hit.zone.kind is kind]
        assert max(all_of_them, default=None) == max(the_worst, default=None)


def test_the_gravest_are_one_a_zone_and_the_first_of_equals():
    first = Standing(Hit(track(0.5, 1), ZONES[0]), Clearing(5.0, Behaviour.CROSSING), 0.0)
    equal = Standing(Hit(track(0.5, 2), ZONES[0]), Clearing(5.0, Behaviour.CROSSING), 0.0)
    sooner = Standing(Hit(track(0.5, 3), ZONES[0]), Clearing(4.0, Behaviour.CROSSING), 0.0)
    other = Standing(Hit(track(0.5, 4), ZONES[1]), Clearing(1.0, Behaviour.CROSSING), 0.0)
    edge = Standing(Hit(track(0.5, 5), ZONES[3]), Clearing(1.0, Behaviour.CROSSING), 0.0)
    assert gravest([sooner, first, equal, other, edge]) == (first, other, edge)
    stays = Standing(Hit(track(0.5, 6), ZONES[0]), Clearing(None, Behaviour.STANDING), 0.0)
    too = Standing(Hit(track(0.5, 7), ZONES[0]), Clearing(None, Behaviour.LYING), 0.0)
    assert gravest([stays, sooner, first, too]) == (stays, first)
    assert gravest([]) == ()
