from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.alerts import Severity
from railwatch.core.schedules import EVERY_DAY, Day, ScheduleSettings, minute_of, zone_fault


def hours(begins: str, ends: str, *days: Day) -> ScheduleSettings:
    return ScheduleSettings("s", "Europe/Berlin", begins, ends, days or EVERY_DAY, at_least=Severity.WARNING)


@pytest.mark.parametrize(
    ("schedule", "local", "holds"),
    [
        (hours("08:00", "16:00"), "2026-01-02T07:59:59", False),
        (hours("08:00", "16:00"), "2026-01-02T08:00:00", True),
        (hours("08:00", "16:00"), "2026-01-02T15:59:59", True),
        (hours("08:00", "16:00"), "2026-01-02T16:00:00", False),
        (hours("08:00", "16:00", Day.SAT), "2026-01-02T12:00:00", False),
        (hours("22:00", "05:00", Day.FRI), "2026-01-02T21:59:00", False),
        (hours("22:00", "05:00", Day.FRI), "2026-01-02T22:00:00", True),
        (hours("22:00", "05:00", Day.FRI), "2026-01-02T04:59:00", False),
        (hours("22:00", "05:00", Day.FRI), "2026-01-03T04:59:00", True),
        (hours("22:00", "05:00", Day.FRI), "2026-01-03T05:00:00", False),
        (hours("22:00", "05:00", Day.SUN), "2026-01-05T00:00:00", True),
        (hours("00:00", "00:00", Day.FRI), "2026-01-02T23:59:00", True),
        (hours("00:00", "00:00", Day.FRI), "2026-01-03T00:00:00", False),
    ],
)
def test_hours_hold_from_their_beginning_to_their_end(schedule, local, holds):
    assert schedule.holds(datetime.fromisoformat(local)) is holds


@pytest.mark.parametrize(("day", "minutes"), [("2026-03-28", 360), ("2026-10-24", 480), ("2026-10-30", 420)])
def test_hours_go_by_the_clock_on_the_wall_when_summer_time_begins_and_ends(day, minutes):
    night, zone = hours("22:00", "05:00"), ZoneInfo("Europe/Berlin")
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC)
    moments = [(noon + timedelta(minutes=n)).astimezone(zone) for n in range(24 * 60)]
    assert sum(night.holds(moment) for moment in moments) == minutes


@given(st.datetimes().filter(lambda local: local.year > 1), st.times(), st.times())
def test_at_any_time_hours_hold_or_those_that_are_left(local, first, second):
    begins, ends = first.strftime("%H:%M"), second.strftime("%H:%M")
    inside, outside = hours(begins, ends).holds(local), hours(ends, begins).holds(local)
    assert inside is not outside or begins == ends


@pytest.mark.parametrize("text", ["8:00", "24:00", "12:60", "12-00", "", "1200", "ab:cd", "12:00:00", "١٢:00"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="a time of day must be"):
        minute_of(text)
    with pytest.raises(ValueError, match="a time of day must be"):
        hours(text, "10:00")
    with pytest.raises(ValueError, match="a time of day must be"):
        hours("10:00", text)


@pytest.mark.parametrize("change", [{}, {"at_least": Severity.NOTICE, "at_most": Severity.NOTICE}])
def test_hours_change_one_thing(change):
    with pytest.raises(ValueError, match="exactly one of at_least and at_most"):
        ScheduleSettings("s", "UTC", "10:00", "11:00", **change)


@pytest.mark.parametrize("name", ["Europe/Nowhere", "../etc/passwd", "/etc/passwd", "Europe", "a\0b", ""])
def test_a_time_zone_that_is_none_is_told(name):
    assert "must be a time zone that this machine knows" in zone_fault(name)
    assert not zone_fault("Asia/Kolkata")
