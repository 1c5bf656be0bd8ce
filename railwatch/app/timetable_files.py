"""Timetables from files: our own CSV, and the text files of a GTFS feed, both by the csv module of Python.

The libraries for GTFS (partridge, gtfs-kit) bring pandas, and one of them GDAL, for what are five tables of text: more
than a hub, which must not crash, can take in.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final, TextIO

from railwatch.core.errors import ConfigError
from railwatch.core.timetables import MAX_HOURS, Call, Service, Timetable, TimetableSettings

COLUMNS: Final = ("rail_track_id", "direction", "time")
OPTIONAL: Final = ("days", "from", "until")
MAX_CALLS: Final = 20_000
MAX_FILE_BYTES: Final = 2 * 1024**3
_TIME: Final = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def read_timetable(settings: TimetableSettings) -> Timetable:
    """The timetable of a file with the ending .csv, else of a GTFS feed: a folder, or a .zip.

    Raises:
        ConfigError: It cannot be read, or is none; one line says where and why.
    """
    path = Path(settings.file)
    try:
        calls = _csv_calls(path) if path.suffix.lower() == ".csv" else _gtfs_calls(path, settings)
    except (OSError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ConfigError(f"{path.name} must be a timetable that can be read, but: {error}") from error
    if not calls:
        raise ConfigError(f"{path.name} must tell of at least one train, but tells of none")
    return Timetable(tuple(calls), from_noon=path.suffix.lower() != ".csv")


def file_time(settings: TimetableSettings) -> float:
    """When the file was last changed, seconds since 1970; that of stop_times.txt in a folder. Raises OSError."""
    path = Path(settings.file)
    return (path / "stop_times.txt" if path.is_dir() else path).stat().st_mtime


def seconds_of(text: str) -> int:
    """Seconds after midnight of H:MM or H:MM:SS; hours go on to 47. Raises ValueError.

    >>> seconds_of("25:10")
    90600
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"a time must be HH:MM or HH:MM:SS, but is {text!r}")
    hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
    if hours >= MAX_HOURS or minutes > 59 or seconds > 59:
        raise ValueError(f"a time must be 00:00 to {MAX_HOURS - 1}:59:59, but is {text!r}")
    return hours * 3600 + minutes * 60 + seconds


def _csv_calls(path: Path) -> list[Call]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        names = tuple(rows.fieldnames or ())
        wrong = [name for name in names if name not in COLUMNS + OPTIONAL]
        if wrong or any(name not in names for name in COLUMNS):
            columns = f"{', '.join(COLUMNS)}, and may be {', '.join(OPTIONAL)}"
            raise ValueError(f"its columns must be {columns}, but are {', '.join(names) or 'none'}")
        return [_csv_call(row, rows.line_num) for row in _bounded(rows)]


def _csv_call(row: Mapping[str | None, str | None], line: int) -> Call:
    try:
        return _call_of(
            {name: (cell or "").strip() for name, cell in row.items() if name is not None}, whole=_is_whole(row)
        )
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error


def _is_whole(row: Mapping[str | None, str | None]) -> bool:
    """Whether a row has as many cells as there are columns: the csv module marks both faults with None."""
    return None not in row and None not in row.values()


def _call_of(cells: Mapping[str, str], *, whole: bool) -> Call:
    if not whole:
        raise ValueError("a row must have as many cells as there are columns")
    track, direction = cells["rail_track_id"], cells["direction"]
    if not (1 <= len(track) <= 64 and 1 <= len(direction) <= 64):
        raise ValueError("rail_track_id and direction must be 1 to 64 characters")
    days = cells.get("days") or "1234567"
    if not set(days) <= set("1234567"):
        raise ValueError(f"days must be digits of 1 (Monday) to 7, but is {days!r}")
    weekdays = frozenset(int(digit) - 1 for digit in days)
    service = Service(weekdays, _date(cells.get("from"), date.min), _date(cells.get("until"), date.max))
    return Call((track, direction), seconds_of(cells["time"]), service)


def _date(text: str | None, otherwise: date) -> date:
    return date.fromisoformat(text) if text else otherwise


def _gtfs_calls(path: Path, settings: TimetableSettings) -> list[Call]:
    stops = {stop.stop_id: (stop.rail_track_id, stop.direction) for stop in settings.stops}
    services = _gtfs_services(path)
    with _table(path, "trips.txt") as rows:
        service_of = {row["trip_id"]: row["service_id"] for row in rows}
    calls = []
    with _table(path, "stop_times.txt") as rows:
        for row in (row for row in rows if row["stop_id"] in stops):
            text = row.get("arrival_time") or row.get("departure_time") or ""
            if not text.strip():
                raise ValueError(f"trip {row['trip_id']} must have a time at stop {row['stop_id']}, but has none")
            service = services.get(service_of[row["trip_id"]], Service(frozenset()))
            calls.append(Call(stops[row["stop_id"]], seconds_of(text), service))
            if len(calls) > MAX_CALLS:
                raise ValueError(f"at most {MAX_CALLS} trains may be told of")
    missing = set(stops.values()) - {call.way for call in calls}
    if missing:
        raise ValueError(f"every stop must have trains, but {sorted(missing)} has none: is stop_id right?")
    return calls


def _gtfs_services(path: Path) -> dict[str, Service]:
    services: dict[str, Service] = {}
    with _table(path, "calendar.txt", optional=True) as rows:
        for row in rows:
            days = frozenset(number for number, name in enumerate(_WEEKDAYS) if row[name].strip() == "1")
            first, last = (date.fromisoformat(row[name].strip()) for name in ("start_date", "end_date"))
            services[row["service_id"]] = Service(days, first, last)
    changes: dict[tuple[str, str], set[date]] = defaultdict(set)
    with _table(path, "calendar_dates.txt", optional=True) as rows:
        for row in rows:
            changes[row["service_id"], row["exception_type"].strip()].add(date.fromisoformat(row["date"].strip()))
    for name in {name for name, _ in changes}:
        known = services.get(name, Service(frozenset()))
        added, removed = frozenset(changes[name, "1"]), frozenset(changes[name, "2"])
        services[name] = replace(known, added=added, removed=removed)
    return services


@contextmanager
def _table(path: Path, name: str, *, optional: bool = False) -> Iterator[Iterator[dict[str, str]]]:
    """The rows of a file of a feed. Raises OSError, KeyError when it is not there."""
    if path.is_dir():
        if optional and not (path / name).exists():
            yield iter(())
            return
        with (path / name).open(encoding="utf-8-sig", newline="") as file:
            yield _rows(file)
        return
    with zipfile.ZipFile(path) as archive:
        if optional and name not in archive.namelist():
            yield iter(())
            return
        if archive.getinfo(name).file_size > MAX_FILE_BYTES:
            raise ValueError(f"{name} must have at most {MAX_FILE_BYTES} bytes")
        with archive.open(name) as packed, io.TextIOWrapper(packed, encoding="utf-8-sig", newline="") as file:
            yield _rows(file)


def _rows(file: TextIO) -> Iterator[dict[str, str]]:
    for row in csv.DictReader(file):
        yield {key: value or "" for key, value in row.items() if key is not None}


def _bounded(rows: csv.DictReader[str]) -> Iterator[Mapping[str | None, str | None]]:
    for number, row in enumerate(rows):
        if number >= MAX_CALLS:
            raise ValueError(f"at most {MAX_CALLS} trains may be told of")
        yield dict(row)
