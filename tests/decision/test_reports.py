"""Which reports of trains are taken in, and which cannot even be made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.types import TrainReport
from railwatch.decision.trains import MAX_DIRECTIONS, why_not
from tests.scenario import Hub, site


def report(eta_s, seq=1, **change):
    plain = TrainReport("t1", "east", eta_s, None, None, "feed", seq, 0.0, authoritative=True)
    return replace(plain, **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "stranger"}, "must be one of train_sources, feed"),
        ({"rail_track_id": "t9"}, "must be one of t1 for feed"),
        ({"seq": 1}, "seq must grow, above 1"),
    ],
)
def test_a_report_that_nobody_asked_for_is_not_taken(change, words):
    hub = Hub(site(train_sources=[TrainSourceSettings("feed", authoritative=True)]))
    hub.feed(report(30.0, 1), 0.0)
    other = report(None, **{"seq": 2, **change})
    assert words in why_not(hub.state.site, hub.state.reports, other)
    before = hub.state.reports
    hub.feed(other, 0.1)
    assert hub.state.reports == before


def test_a_report_that_is_sent_again_is_no_fault():
    hub = Hub(site(train_sources=[TrainSourceSettings("feed")]))
    first = report(30.0, 1)
    hub.feed(first, 0.0)
    assert why_not(hub.state.site, hub.state.reports, replace(first, age_s=2.0)) == ""
    hub.feed(replace(first, age_s=2.0), 2.0)
    assert next(iter(hub.state.reports.values())).heard_s == 0.0


def test_directions_are_bounded():
    hub = Hub(site(train_sources=[TrainSourceSettings("feed", ("t1",))]))
    for number in range(MAX_DIRECTIONS + 2):
        hub.feed(report(30.0, 1, direction=f"d{number}"), 0.0)
    assert len(hub.state.reports) == MAX_DIRECTIONS
    assert "at most 4 directions" in why_not(hub.state.site, hub.state.reports, report(30.0, 1, direction="d9"))


@pytest.mark.parametrize("wrong", [{"age_s": -0.1}, {"age_s": float("nan")}, {"seq": -1}, {"source": ""}])
def test_a_report_that_cannot_be_is_never_made(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        report(None, **{"seq": 1, **wrong})
