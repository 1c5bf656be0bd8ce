"""Times of trains over days, midnights and changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.timetables import (
    Call,
    Service,
    Timetable,
    TimetableSettings,
    days_around,
    due_in_s,
    instants,
)

BERLIN = ZoneInfo("Europe/Berlin")
UP = ("up", "east")
SETTINGS = TimetableSettings("table", "t.csv", "Europe/Berlin", early_s=60.0, late_s=300.0)


def at(text: str) -> float:
    """Seconds since 1970 of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def table(seconds: int, service=None, *, from_noon: bool = False) -> Timetable:
    return Timetable((Call(UP, seconds, service or Service()),), from_noon)


@pytest.mark.parametrize(
    ("day", "hours", "from_noon", "expected"),
    [
        (date(2026, 1, 5), 10.0, False, ["2026-01-05T09:00"]),
        (date(2026, 7, 6), 10.0, False, ["2026-07-06T08:00"]),
        (date(2026, 1, 5), 25.5, False, ["2026-01-06T00:30"]),
        (date(2026, 10, 25), 2.5, False, ["2026-10-25T00:30", "2026-10-25T01:30"]),  # 2:30 comes twice
        (date(2026, 3, 29), 2.5, False, ["2026-03-29T00:30", "2026-03-29T01:30"]),  # 2:30 never comes
        (date(2026, 3, 29), 10.0, False, ["2026-03-29T08:00"]),
        (date(2026, 3, 29), 10.0, True, ["2026-03-29T08:00"]),
        (date(2026, 3, 29), 1.0, True, ["2026-03-28T23:00"]),  # GTFS: 11 h before noon
        (date(2026, 10, 25), 26.0, True, ["2026-10-26T01:00"]),
    ],
)
def test_a_time_of_day_becomes_the_moments_that_it_may_mean(day, hours, from_noon, expected):
    found = instants(table(int(hours * 3600), from_noon=from_noon), BERLIN, [day])
    assert found == {UP: [at(text) for text in expected]}


def test_a_train_runs_on_its_days_and_is_missing_on_those_that_are_taken_away():
    service = Service(
        frozenset({0}),
        date(2026, 1, 1),
        date(2026, 1, 31),
        added=frozenset({date(2026, 2, 3)}),
        removed=frozenset({date(2026, 1, 12)}),
    )
    days = [date(2026, 1, day) for day in range(1, 32)] + [date(2026, 2, day) for day in range(1, 5)]
    assert [day for day in days if service.runs_on(day)] == [
        date(2026, 1, 5),
        date(2026, 1, 19),
        date(2026, 1, 26),
        date(2026, 2, 3),
    ]
    assert (service.begins, service.ends) == (date(2026, 1, 1), date(2026, 2, 3))


def test_a_day_on_which_it_does_not_run_has_no_moment():
    days = [date(2026, 1, 5), date(2026, 1, 6)]
    assert instants(table(36_000, Service(frozenset({0}))), BERLIN, days) == {UP: [at("2026-01-05T09:00")]}
    assert instants(table(36_000, Service(frozenset())), BERLIN, days) == {UP: []}


def test_nothing_is_known_of_days_that_one_way_does_not_reach_to():
    calls = (
        Call(UP, 0, Service(first=date(2026, 1, 1), last=date(2026, 3, 1))),
        Call(UP, 60, Service(first=date(2026, 2, 1), last=date(2026, 6, 1))),
        Call(("down", "west"), 60, Service(first=date(2026, 1, 3), last=date(2026, 5, 1))),
    )
    known = Timetable(calls)
    assert [known.knows(date(2026, *day)) for day in ((1, 2), (1, 3), (5, 1), (5, 2))] == [False, True, True, False]
    only = Service(frozenset(), added=frozenset({date(2026, 1, 5)}))
    assert [table(0, only).knows(date(2026, 1, day)) for day in (4, 5, 6)] == [False, True, False]


def due(times: list[float], now_s: float, *, authoritative: bool) -> float | None:
    return due_in_s(times, datetime.fromtimestamp(now_s, UTC), SETTINGS, authoritative=authoritative)


@pytest.mark.parametrize(
    ("now_s", "vouched", "plain"),
    [
        (0.0, 86_340.0, None),
        (86_300.0, 40.0, None),
        (86_340.0, 0.0, 0.0),
        (86_700.0, 0.0, 0.0),
        (86_700.5, None, None),
    ],
)
def test_only_an_authoritative_timetable_says_how_long_the_track_is_free(now_s, vouched, plain):
    times = [86_400.0]
    assert due(times, now_s, authoritative=True) == vouched
    assert due(times, now_s, authoritative=False) == plain


def test_a_train_that_is_due_in_two_days_is_not_told_of():
    assert due([200_000.0], 0.0, authoritative=True) is None
    assert due([], 0.0, authoritative=True) is None


@given(
    st.integers(0, 47 * 3600),
    st.datetimes(datetime(2026, 1, 2), datetime(2026, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001 - st wants it so
    st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "UTC"]),
    st.booleans(),
)
def test_a_daily_train_is_told_of_at_all_times(seconds, now, name, from_noon):
    now = now.replace(microsecond=0)
    zone = ZoneInfo(name)
    (times,) = instants(table(seconds, from_noon=from_noon), zone, days_around(now, zone)).values()
    left_s = due_in_s(times, now, SETTINGS, authoritative=True)
    assert left_s is not None or min(t for t in times if t > now.timestamp()) - now.timestamp() > 86_400
    plain = due_in_s(times, now, SETTINGS, authoritative=False)
    assert (plain is None) or left_s == plain == 0.0
    near = any(-SETTINGS.early_s <= now.timestamp() - t <= SETTINGS.late_s for t in times)
    assert (plain == 0.0) is near
