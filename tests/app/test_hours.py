from __future__ import annotations

import ctypes
from datetime import UTC, datetime, timedelta

import pytest

from railwatch.app.hours import EVERY_S, LASTS_S, LOOK_S, HoursWatch, clock_is_right
from railwatch.core.alerts import Severity
from railwatch.core.schedules import ScheduleSettings
from railwatch.decision.inputs import Hours

NIGHT = ScheduleSettings("night", "Asia/Kolkata", "22:00", "05:00", at_least=Severity.WARNING)
WORKS = ScheduleSettings("works", "Europe/Berlin", "08:00", "16:00", at_most=Severity.NOTICE)
NOWHERE = ScheduleSettings("nowhere", "Europe/Nowhere", "08:00", "16:00", at_most=Severity.NOTICE)
BEGAN = datetime(2026, 1, 2, 16, 29, 30, tzinfo=UTC)
"""Half a minute before ten in the evening in India."""


class Wall:
    """A clock on the wall that goes with the hub's, and may be wrong."""

    def __init__(self) -> None:
        self.now_s, self.right = 0.0, True
        self.trouble: list[tuple[str, str | None]] = []
        self.watch = HoursWatch(
            lambda name, reason: self.trouble.append((name, reason)),
            lambda: BEGAN + timedelta(seconds=self.now_s),
            lambda: self.right,
        )

    def turn(self, now_s: float, *schedules: ScheduleSettings) -> Hours | None:
        self.now_s = now_s
        return self.watch.turn(schedules, now_s)


def test_without_schedules_nothing_is_told():
    wall = Wall()
    wall.right = False
    assert [wall.turn(float(n)) for n in range(100)] == [None] * 100
    assert wall.trouble == []


def test_what_holds_is_told_when_it_changes_and_often_enough_to_last():
    wall = Wall()
    told = {n: said for n in range(60) if (said := wall.turn(float(n), NIGHT, WORKS)) is not None}
    evening, night = Hours((), LASTS_S), Hours(("night",), LASTS_S)
    assert told == {0: evening, 20: evening, 30: night, 50: night}
    assert EVERY_S + LOOK_S < LASTS_S
    assert wall.trouble == []


def test_a_clock_that_is_not_right_and_a_zone_that_is_not_known_are_told_once_and_until_they_are_over():
    wall = Wall()
    assert wall.turn(0.0, NIGHT) == Hours((), LASTS_S)
    wall.right = False
    assert wall.turn(1.0, NIGHT) == Hours(None, LASTS_S)
    assert wall.turn(2.0, NIGHT) is None
    wall.right = True
    assert wall.turn(3.0, NIGHT) == Hours((), LASTS_S)
    assert wall.turn(3.1, NOWHERE) == Hours(None, LASTS_S)
    assert wall.turn(3.2) == Hours((), LASTS_S)
    (first, over, second, last) = wall.trouble
    assert "the clock of this machine must be synchronised" in first[1]
    assert "time_zone must be a time zone that this machine knows" in second[1]
    assert {over, last} == {("schedules", None)}


def test_the_clock_is_asked_of_the_kernel_and_of_nobody_where_there_is_none(monkeypatch):
    assert clock_is_right() in {True, False}
    for answer, right in ((0, True), (4, True), (5, False), (-1, False)):
        library = type("Library", (), {"adjtimex": staticmethod(lambda _, answer=answer: answer)})
        monkeypatch.setattr(ctypes, "CDLL", lambda _, library=library: library)
        assert clock_is_right() is right
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert clock_is_right() is False


@pytest.mark.parametrize("now_s", [0.5, LOOK_S - 0.01])
def test_the_clock_is_looked_at_once_a_second(now_s):
    wall = Wall()
    wall.turn(0.0, NIGHT)
    wall.right = False
    assert wall.turn(now_s, NIGHT) is None
    assert wall.turn(LOOK_S, NIGHT) == Hours(None, LASTS_S)
