from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.types import TrainReport
from railwatch.decision.trains import CAMERA, NO_REPORTS, NOBODY_TO_ASK, Sighting, belief_of, hear, why_not
from tests.scenario import site

FEED = TrainSourceSettings("feed", ("up",), authoritative=True)
TABLE = TrainSourceSettings("table", (), authoritative=False, max_age_s=3600.0)


def report(source: str = "feed", eta_s: float | None = None, seq: int = 1, **change: object) -> TrainReport:
    plain = TrainReport("up", "east", eta_s, None, None, source, seq, 0.0, authoritative=True)
    return replace(plain, **change)


def believe(*reports: TrainReport, sources=(FEED,), sightings=(), track: str | None = "up", heard_s=0.0, now_s=0.0):
    held = NO_REPORTS
    for one in reports:
        held = hear(held, one, heard_s)
    return belief_of(replace(site(), train_sources=tuple(sources)), held, sightings, track, now_s)


def test_without_sources_nobody_can_be_asked():
    assert believe(sources=()) == NOBODY_TO_ASK
    assert not NOBODY_TO_ASK.known


def test_a_source_that_never_reported_is_a_train_now():
    said = believe()
    assert (said.known, said.eta_s, said.assumed) == (True, 0.0, True)
    assert "feed has not reported for up" in said.why


def test_a_source_that_was_silent_too_long_is_a_train_now():
    assert believe(report(), now_s=5.0).eta_s is None
    said = believe(report(), now_s=5.1)
    assert (said.eta_s, said.assumed) == (0.0, True)
    assert "5 s old" in said.why


def test_the_age_on_arrival_counts():
    assert believe(report(age_s=4.0), now_s=1.5).assumed


def test_an_eta_runs_down_by_itself_and_stays_at_nought():
    coming = report(eta_s=3.0, distance_m=60.0, speed_mps=20.0)
    said = believe(coming, now_s=2.0)
    assert (said.eta_s, said.distance_m, said.speed_mps, said.age_s) == (1.0, 20.0, 20.0, 2.0)
    gone = believe(coming, now_s=4.5)
    assert (gone.eta_s, gone.distance_m) == (0.0, 0.0)


def test_no_train_is_believed_only_from_who_vouches_for_it():
    assert believe(report()) == (True, None, False, "feed", 0.0, None, None, "feed vouches that no train comes")
    for said in (
        believe(report(authoritative=False)),
        believe(report(), sources=[replace(FEED, authoritative=False)]),
    ):
        assert (said.known, said.eta_s, said.assumed) == (False, None, False)
        assert "does not vouch" in said.why


def test_the_soonest_of_several_directions_and_sources_counts():
    said = believe(
        report(eta_s=50.0),
        report(eta_s=30.0, direction="west"),
        report("table", eta_s=40.0),
        sources=(FEED, TABLE),
    )
    assert (said.eta_s, said.source) == (30.0, "feed")


def test_one_that_vouches_for_none_against_one_that_tells_of_a_train_is_a_train_now():
    said = believe(report(), report("table", eta_s=40.0), sources=(FEED, TABLE))
    assert (said.eta_s, said.assumed, said.source) == (0.0, True, "table")
    assert "contradict each other" in said.why


def test_a_train_that_a_camera_sees_beats_a_feed_that_denies_it():
    seen = Sighting("east", "up", 12.0, 10.0, 120.0)
    said = believe(report(), sightings=[seen])
    assert (said.eta_s, said.assumed) == (0.0, True)
    alone = believe(sources=(), sightings=[seen, seen._replace(eta_s=20.0)])
    assert (alone.known, alone.eta_s, alone.source, alone.distance_m) == (True, 12.0, CAMERA, 120.0)


def test_a_silent_source_beats_a_denial_without_further_words():
    said = believe(report(), sources=(FEED, TABLE))
    assert said.assumed
    assert "table has not reported" in said.why


def test_a_sighting_on_another_track_does_not_count():
    other = Sighting("east", "down", 12.0, 10.0, 120.0)
    assert believe(report(), sightings=[other]).eta_s is None
    assert believe(report(), sightings=[other._replace(rail_track_id=None)]).assumed
    assert believe(report(), sightings=[other], track=None).assumed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eta_s": None, "distance_m": 100.0}, "distance but of no train"),
        ({"eta_s": 100.0, "distance_m": 200.0, "speed_mps": 20.0}, "tells 100 s, but 200 m at its speed are 10 s"),
    ],
)
def test_a_report_that_contradicts_itself_is_a_train_now(change, words):
    said = believe(report(**change))
    assert (said.eta_s, said.assumed) == (0.0, True)
    assert words in said.why


@pytest.mark.parametrize("change", [{"distance_m": 200.0}, {"distance_m": 200.0, "speed_mps": 0.0}, {"speed_mps": 9.0}])
def test_what_cannot_be_compared_is_no_contradiction(change):
    assert not believe(report(eta_s=60.0, **change)).assumed


def test_a_late_report_is_left_out():
    assert believe(report(eta_s=20.0, seq=5), report(seq=5)).eta_s == 20.0
    assert believe(report(eta_s=20.0, seq=5), report(seq=6)).eta_s is None


def test_a_source_for_another_track_is_not_asked():
    assert believe(report(), track="down") == NOBODY_TO_ASK


def test_a_source_of_several_tracks_must_report_each():
    both = replace(FEED, rail_track_ids=("down", "up"))
    said = believe(report(), sources=[both], track=None)
    assert said.assumed
    assert "for down" in said.why
    assert believe(report(), report(rail_track_id="down"), sources=[both], track=None).eta_s is None


def test_a_source_of_all_tracks_at_a_site_that_names_none_must_report_something():
    nameless = tuple(replace(zone, rail_track_id=None) for zone in site().zones)
    here = replace(site(zones=nameless), train_sources=(TABLE,))
    assert belief_of(here, NO_REPORTS, (), None, 0.0).assumed
    said = belief_of(here, hear(NO_REPORTS, report("table"), 0.0), (), None, 0.0)
    assert (said.known, said.assumed) == (False, False)


reports = st.builds(
    report,
    eta_s=st.none() | st.floats(0, 600),
    direction=st.sampled_from(["east", "west"]),
    seq=st.integers(1, 9),
    age_s=st.floats(0, 4),
)


@given(st.lists(reports, max_size=4), st.floats(0, 600))
def test_one_more_train_never_makes_the_next_one_later(given_reports, eta):
    before = believe(*given_reports)
    after = believe(*given_reports, sightings=[Sighting("east", "up", eta, None, None)])
    assert after.known
    assert after.eta_s <= (eta if before.eta_s is None else before.eta_s)


FEEDS = tuple(TrainSourceSettings(name, ("up",), authoritative=True) for name in ("z", "a", "n"))


def test_of_trains_that_come_at_once_the_source_that_was_configured_first_is_told():
    said = believe(report("z", 30.0), report("a", 30.0), sources=FEEDS[:2])
    assert (said.source, said.eta_s, said.why) == ("z", 30.0, "z tells of a train")
    assert believe(report("z", 31.0), report("a", 30.0), sources=FEEDS[:2]).source == "a"
    assert believe(report("z", 0.5), report("a", 0.0), sources=FEEDS[:2]).source == "a"
    both = believe(report(eta_s=0.5), report(eta_s=0.0, direction="west"))
    assert (both.eta_s, both.source) == (0.0, "feed")


def test_a_source_that_failed_is_told_before_a_train_that_is_here_now():
    said = believe(sightings=[Sighting("cam", "up", 0.0, None, None)])
    assert (said.source, said.assumed) == ("feed", True)


def test_the_contradiction_names_who_denies_and_the_soonest_who_tells():
    words = "n tells of no train, {} of one in {} s: they contradict each other"
    for etas, name, seconds in (((30.0, 30.0), "z", 30), ((40.0, 12.4), "a", 12), ((7.0, 9.0), "z", 7)):
        said = believe(report("z", etas[0]), report("a", etas[1]), report("n"), sources=FEEDS)
        assert (said.source, said.eta_s, said.assumed, said.why) == (name, 0.0, True, words.format(name, seconds))


def test_of_trains_that_cameras_see_the_soonest_counts():
    far, near = Sighting("a", "up", 50.0, 10.0, 500.0), Sighting("b", "up", 10.0, 20.0, 200.0)
    for sightings in ([far, near], [near, far]):
        said = believe(sources=(), sightings=sightings)
        assert said == (True, 10.0, False, CAMERA, 0.0, 20.0, 200.0, "camera b sees a train in motion")


def test_a_direction_without_a_train_has_no_arrival():
    (held,) = hear(NO_REPORTS, report(), 1.0).values()
    assert held.eta_s(2.0) is None
    (held,) = hear(NO_REPORTS, report(eta_s=30.0, age_s=2.0), 1.0).values()
    assert (held.eta_s(4.0), held.age_s(4.0), held.age_s(0.0)) == (25.0, 5.0, 2.0)


@pytest.mark.parametrize(
    ("sources", "change", "words"),
    [
        ((), {"source": "x"}, "the source must be one of train_sources, none, but is x"),
        (FEEDS[:2], {"source": "x"}, "the source must be one of train_sources, z, a, but is x"),
        (
            (replace(FEED, rail_track_ids=("up", "down")),),
            {"rail_track_id": "x"},
            "rail_track_id must be one of down, up for feed, but is x",
        ),
        ((TABLE,), {"source": "table", "rail_track_id": "x"}, "rail_track_id must be one of t1 for table, but is x"),
    ],
)
def test_why_a_report_is_not_taken(sources, change, words):
    assert why_not(replace(site(), train_sources=tuple(sources)), NO_REPORTS, report(**change)) == words


def test_a_site_whose_zones_name_no_track_takes_none():
    zones = [replace(zone, rail_track_id=None) for zone in site().zones]
    said = why_not(replace(site(zones=zones), train_sources=(TABLE,)), NO_REPORTS, report("table"))
    assert said == "rail_track_id must be one of none for table, but is up"
