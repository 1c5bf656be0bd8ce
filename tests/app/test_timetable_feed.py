"""A timetable at a running hub: it reports each second, or falls silent and says why."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from railwatch.app.timetable_feed import DOUBT_S, LOOK_S, TimetableFeed, WallClock
from railwatch.core.alerts import AlertKind, Severity
from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.timetables import TimetableSettings
from tests.hub_rig import wait_until
from tests.scenario import ON_TRACK, Hub, site

BEGIN = datetime(2026, 5, 4, 9, 50, tzinfo=UTC)
HEAD = "rail_track_id,direction,time\n"
WARNING, EMERGENCY = Severity.WARNING, Severity.EMERGENCY


class Desk:
    """A hub in memory with a timetable, its clocks, and a file that is read at once."""

    def __init__(self, folder, *, authoritative=False, text=HEAD + "t1,east,10:00\n", **change):
        self.file = folder / "t.csv"
        self.file.write_text(text, encoding="utf-8")
        os.utime(self.file, (BEGIN.timestamp(), BEGIN.timestamp()))
        self.settings = TimetableSettings("table", str(self.file), "UTC", early_s=60.0, late_s=120.0)
        self.settings = replace(self.settings, **change)
        source = TrainSourceSettings("table", ("t1",), authoritative=authoritative)
        self.site = replace(site(train_sources=[source]), timetables=(self.settings,))
        self.hub, self.now_s, self.ahead_s = Hub(self.site), 0.0, 0.0
        self.reports, self.troubles, self._posted = [], [], []
        self.feed = TimetableFeed(
            self._take, lambda *what: self.troubles.append(what), self._posted.append, WallClock(self._utc)
        )

    def _utc(self):
        return BEGIN + timedelta(seconds=self.now_s + self.ahead_s)

    def _take(self, report):
        self.reports.append(report)
        self.hub.feed(report, self.now_s)

    def read(self):
        """Let the thread that reads come to its end."""
        wait_until(lambda: self._posted, what="the file is read")
        self._posted.pop()()

    def run(self, until_s, *people):
        """Time goes by, a second at a time; the severity that is told at the end (None: nobody is there)."""
        while self.now_s < until_s:
            self.now_s += 1.0
            self.feed.turn(self.site, self.now_s)
            for tenth in range(3):
                self.hub.watch(self.now_s + tenth / 10, self.now_s + (tenth + 1) / 10, *people)
        open_now = [i for key, i in self.hub.state.incidents.items() if key[0] is AlertKind.INTRUSION]
        return open_now[0].severity if open_now else None


def started(folder, **options):
    desk = Desk(folder, **options)
    desk.run(1.0)
    desk.read()
    return desk


def test_a_train_that_may_be_there_by_the_timetable_makes_it_an_emergency_over_time(tmp_path):
    desk = started(tmp_path)
    assert desk.run(10.0, ON_TRACK) is WARNING
    assert desk.run(530.0, ON_TRACK) is WARNING
    assert desk.run(545.0, ON_TRACK) is EMERGENCY
    assert desk.run(715.0, ON_TRACK) is EMERGENCY
    assert desk.run(730.0, ON_TRACK) is WARNING
    assert {report.eta_s for report in desk.reports} == {None, 0.0}
    assert not any(report.authoritative for report in desk.reports)
    assert desk.troubles == []


def test_an_authoritative_timetable_counts_down(tmp_path):
    desk = started(tmp_path, authoritative=True)
    desk.run(100.0)
    assert desk.reports[-1].eta_s == pytest.approx(600.0 - 60.0 - 100.0)
    assert desk.reports[-1].authoritative


def test_until_the_file_is_read_and_where_there_is_none_a_train_is_taken_to_be_there(tmp_path):
    desk = Desk(tmp_path)
    desk.file.unlink()
    assert desk.run(3.0, ON_TRACK) is EMERGENCY
    assert desk.troubles == []
    desk.read()
    assert desk.run(9.0, ON_TRACK) is EMERGENCY
    ((name, reason),) = desk.troubles
    assert name == "timetable-table"
    assert "its file cannot be read (No such file" in reason
    desk.file.write_text(HEAD + "t1,east,23:00\n", encoding="utf-8")
    desk.run(9.0 + LOOK_S, ON_TRACK)
    desk.read()
    assert desk.run(20.0 + LOOK_S, ON_TRACK) is WARNING
    assert desk.troubles[1:] == [("timetable-table", None)]


def test_a_file_that_becomes_faulty_is_not_believed_any_more(tmp_path):
    desk = started(tmp_path)
    assert desk.run(5.0, ON_TRACK) is WARNING
    desk.file.write_text("nonsense\n", encoding="utf-8")
    desk.run(5.0 + LOOK_S, ON_TRACK)
    desk.read()
    assert desk.run(20.0 + LOOK_S, ON_TRACK) is EMERGENCY
    assert "its columns must be" in desk.troubles[-1][1]


def test_a_file_that_stays_as_it_is_is_not_read_again(tmp_path):
    desk = started(tmp_path)
    desk.run(5.0 + LOOK_S)
    desk.read()
    count = len(desk.reports)
    desk.run(8.0 + LOOK_S)
    assert len(desk.reports) == count + 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_file_days": 0.0001}, "older than 0.0001 days"),
        ({"text": "rail_track_id,direction,time,until\nt1,east,10:00,2026-05-03\n"}, "does not reach to 2026-05-04"),
        ({"text": HEAD + "t1,east,10:00\nt9,east,10:00\n"}, "tells of t9, which no zone names"),
        ({"text": HEAD + "".join(f"t1,d{n},10:00\n" for n in range(5))}, "more than 4 directions"),
    ],
)
def test_a_timetable_that_cannot_be_right_is_a_train_now_and_says_why(tmp_path, change, words):
    desk = started(tmp_path, **change)
    assert desk.run(20.0, ON_TRACK) is EMERGENCY
    assert words in desk.troubles[-1][1]


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 5.0])
def test_a_clock_that_is_set_while_the_hub_runs_is_doubted_for_a_while(tmp_path, jump_s):
    desk = started(tmp_path, text=HEAD + "t1,east,20:00\n")
    assert desk.run(5.0, ON_TRACK) is WARNING
    desk.ahead_s = jump_s
    assert desk.run(20.0, ON_TRACK) is EMERGENCY
    assert "clock of this machine was set" in desk.troubles[-1][1]
    assert desk.run(DOUBT_S, ON_TRACK) is EMERGENCY
    assert desk.run(20.0 + DOUBT_S, ON_TRACK) is WARNING


def test_a_clock_that_was_never_set_is_not_believed():
    assert WallClock(lambda: datetime(1970, 1, 1, tzinfo=UTC)).read(5.0) is None


def test_a_way_that_the_file_tells_of_no_more_is_told_of_without_a_train(tmp_path):
    desk = started(tmp_path, text=HEAD + "t1,east,10:00\nt1,west,10:00\n")
    desk.run(5.0)
    desk.file.write_text(HEAD + "t1,east,10:00\n", encoding="utf-8")
    desk.run(5.0 + LOOK_S)
    desk.read()
    desk.run(560.0)
    last = {report.direction: report.eta_s for report in desk.reports[-2:]}
    assert last == {"east": 0.0, "west": None}


def test_a_timetable_that_is_configured_no_more_is_forgotten_with_its_fault(tmp_path):
    desk = started(tmp_path, max_file_days=0.0001)
    desk.run(20.0)
    assert desk.troubles[-1][1] is not None
    desk.feed.turn(replace(desk.site, timetables=()), 30.0)
    assert desk.troubles[-1] == ("timetable-table", None)
