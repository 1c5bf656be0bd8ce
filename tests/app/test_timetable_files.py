"""Timetables from files: what is read, and what is refused in one line."""

from __future__ import annotations

import zipfile
from datetime import date

import pytest

from railwatch.app.timetable_files import file_time, read_timetable, seconds_of
from railwatch.core.errors import ConfigError
from railwatch.core.timetables import TimetableSettings, TimetableStop

HEAD = "rail_track_id,direction,time,days,from,until\n"
STOPS = (TimetableStop("s1", "up", "east"), TimetableStop("s2", "down", "west"))
GTFS = {
    "trips.txt": "route_id,service_id,trip_id\nr,week,a\nr,extra,b\nr,none,c\n",
    "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id\n"
    "a,9:59:00,10:00:00,s1\na,10:05:00,10:05:00,s9\nb,,25:10:00,s2\nc,08:00:00,08:00:00,s1\n",
    "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
    "week,1,1,1,1,1,0,0,20260101,20261231\n",
    "calendar_dates.txt": "service_id,date,exception_type\nweek,20260501,2\nextra,20260502,1\n",
}


def csv_table(folder, text):
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return TimetableSettings("table", str(path), "UTC")


def gtfs(folder, *, packed=False, **changes):
    files = {**GTFS, **{name.replace("_txt", ".txt"): text for name, text in changes.items()}}
    files = {name: text for name, text in files.items() if text is not None}
    if packed:
        path = folder / "feed.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        path = folder / "feed"
        path.mkdir()
        for name, text in files.items():
            (path / name).write_text("\ufeff" + text, encoding="utf-8")
    return TimetableSettings("table", str(path), "UTC", stops=STOPS)


def test_a_csv_tells_of_trains_by_their_day_and_time(tmp_path):
    table = read_timetable(
        csv_table(tmp_path, HEAD + "up,east,08:15,12345,2026-01-01,\ndown,west,25:10:30,,,2026-06-30\n")
    )
    first, second = table.calls
    assert (first.way, first.seconds, first.service.weekdays) == (("up", "east"), 29_700, frozenset(range(5)))
    assert (first.service.first, first.service.last) == (date(2026, 1, 1), date.max)
    assert (second.seconds, second.service.last, len(second.service.weekdays)) == (90_630, date(2026, 6, 30), 7)
    assert not table.from_noon


def test_a_csv_needs_three_columns_only(tmp_path):
    (call,) = read_timetable(csv_table(tmp_path, "time,rail_track_id,direction\n8:15,up,east\n")).calls
    assert call.service.runs_on(date(2026, 1, 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its columns must be rail_track_id, direction, time"),
        ("rail_track_id,time\nup,8:15\n", "its columns must be"),
        ("rail_track_id,direction,time,notes\n", "its columns must be"),
        (HEAD, "at least one train"),
        (HEAD + "up,east\n", "line 2: a row must have as many cells"),
        (HEAD + "up,east,8:15,,,,,\n", "line 2: a row must have as many cells"),
        (HEAD + ",east,8:15,,,\n", "line 2: rail_track_id and direction must be 1 to 64"),
        (HEAD + "up,east,8h15,,,\n", "line 2: a time must be HH:MM"),
        (HEAD + "up,east,48:00,,,\n", "line 2: a time must be 00:00 to 47:59:59"),
        (HEAD + "up,east,8:60,,,\n", "line 2: a time must be"),
        (HEAD + "up,east,8:15,0,,\n", "line 2: days must be digits of 1"),
        (HEAD + "up,east,8:15,,soon,\n", "line 2: Invalid isoformat"),
        (HEAD + 'up,"east,8:15', "unexpected end of data"),
    ],
)
def test_what_is_no_timetable_is_refused_in_one_line(tmp_path, text, words):
    with pytest.raises(ConfigError, match=r"t\.csv must") as caught:
        read_timetable(csv_table(tmp_path, text))
    assert words in str(caught.value)


def test_what_cannot_be_read_is_refused(tmp_path):
    settings = TimetableSettings("table", str(tmp_path / "t.csv"), "UTC")
    with pytest.raises(ConfigError, match=r"t\.csv must be a timetable"):
        read_timetable(settings)
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="can be read"):
        read_timetable(settings)
    (tmp_path / "t.zip").write_bytes(b"PK nonsense")
    with pytest.raises(ConfigError, match="can be read"):
        read_timetable(TimetableSettings("table", str(tmp_path / "t.zip"), "UTC", stops=STOPS))


def test_a_table_that_is_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("railwatch.app.timetable_files.MAX_CALLS", 1)
    with pytest.raises(ConfigError, match="at most 1 trains"):
        read_timetable(csv_table(tmp_path, HEAD + "up,east,8:15,,,\n" * 2))
    with pytest.raises(ConfigError, match="at most 1 trains"):
        read_timetable(gtfs(tmp_path))
    monkeypatch.setattr("railwatch.app.timetable_files.MAX_FILE_BYTES", 9)
    with pytest.raises(ConfigError, match="at most 9 bytes"):
        read_timetable(gtfs(tmp_path, packed=True))


@pytest.mark.parametrize("packed", [False, True])
def test_a_gtfs_feed_tells_of_the_trains_at_its_stops(tmp_path, packed):
    settings = gtfs(tmp_path, packed=packed)
    table = read_timetable(settings)
    assert [(call.way, call.seconds) for call in table.calls] == [
        (("up", "east"), 35_940),
        (("down", "west"), 90_600),
        (("up", "east"), 28_800),
    ]
    week, extra, none = (call.service for call in table.calls)
    assert [week.runs_on(date(2026, 5, day)) for day in (1, 2, 4)] == [False, False, True]
    assert [extra.runs_on(date(2026, 5, day)) for day in (1, 2, 4)] == [False, True, False]
    assert not none.runs_on(date(2026, 5, 4))
    assert table.from_noon
    assert file_time(settings) > 0.0


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("missing", ["calendar_txt", "calendar_dates_txt"])
def test_a_feed_may_have_one_of_the_two_calendars(tmp_path, packed, missing):
    assert read_timetable(gtfs(tmp_path, packed=packed, **{missing: None})).calls


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trips_txt": None}, "No such file"),
        ({"trips_txt": "trip_id\na\n"}, "service_id"),
        ({"stop_times_txt": "trip_id,arrival_time,departure_time,stop_id\na,,,s1\n"}, "trip a must have a time"),
        ({"stop_times_txt": "trip_id,arrival_time,departure_time,stop_id\nz,1:00:00,,s1\n"}, "'z'"),
        ({"stop_times_txt": "trip_id,arrival_time,departure_time,stop_id\na,1:00:00,,s1\n"}, "every stop must have"),
        ({"calendar_txt": "service_id,monday\nweek,1\n"}, "tuesday"),
    ],
)
def test_a_feed_that_is_not_whole_is_refused(tmp_path, change, words):
    with pytest.raises(ConfigError, match="feed must be a timetable") as caught:
        read_timetable(gtfs(tmp_path, **change))
    assert words in str(caught.value)


def test_hours_go_on_beyond_midnight():
    assert [seconds_of(text) for text in ("0:00", "23:59:59", "47:00")] == [0, 86_399, 169_200]
