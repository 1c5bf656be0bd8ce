"""When trains are to be at a place by the timetable: a pure reckoning. Who reads files and clocks is elsewhere.

A timetable names service days and times of day in one time zone; what it tells for a moment is seconds, or nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

DAY_S: Final = 86_400
MAX_HOURS: Final = 48
"""A time of day may go on beyond midnight, as 25:10 does, to less than this hour."""

LOOKAHEAD_S: Final = 24 * 3600.0
"""A train that is due later than this is not told of."""

EVERY_DAY: Final = frozenset(range(7))

Way = tuple[str, str]
"""Rail track and direction."""


@dataclass(frozen=True, slots=True)
class TimetableStop:
    """A stop of a GTFS feed whose trains pass the place, and on which rail track, in which direction."""

    stop_id: str
    rail_track_id: str
    direction: str


@dataclass(frozen=True, slots=True)
class TimetableSettings:
    """The timetable that speaks for a source of trains.

    `early_s`, `late_s`: a train counts from so long before its time until so long after. `max_file_days`: a file that
    is older counts as none. `stops` are for GTFS.
    """

    source_id: str
    file: str
    time_zone: str
    early_s: float = 300.0
    late_s: float = 900.0
    max_file_days: float = 400.0
    stops: tuple[TimetableStop, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """On which days a call takes place: weekdays (0 is Monday) from `first` to `last`, then `added` and `removed`."""

    weekdays: frozenset[int] = EVERY_DAY
    first: date = date.min
    last: date = date.max
    added: frozenset[date] = frozenset()
    removed: frozenset[date] = frozenset()

    def runs_on(self, day: date) -> bool:
        """Whether it runs on a service day.

        >>> Service(frozenset({0})).runs_on(date(2026, 1, 5))
        True
        """
        if day in self.removed:
            return False
        return day in self.added or (self.first <= day <= self.last and day.weekday() in self.weekdays)

    @property
    def begins(self) -> date:
        """The first day on which it can run."""
        return min((self.first if self.weekdays else date.max, *self.added))

    @property
    def ends(self) -> date:
        """The last day on which it can run."""
        return max((self.last if self.weekdays else date.min, *self.added))


class Call(NamedTuple):
    """A train at the place: on which way, how many seconds after the service day began, on which days."""

    way: Way
    seconds: int
    service: Service


@dataclass(frozen=True, slots=True)
class Timetable:
    """All calls. `from_noon`: a service day begins 12 h before noon, as in GTFS; else times are those of the clock."""

    calls: tuple[Call, ...]
    from_noon: bool = False

    @property
    def ways(self) -> frozenset[Way]:
        """Every rail track and direction that it tells of."""
        return frozenset(call.way for call in self.calls)

    def knows(self, day: date) -> bool:
        """Whether it reaches to a service day on each of its ways; nothing is known of days before and after."""
        spans: dict[Way, tuple[date, date]] = {}
        for way, _, service in self.calls:
            first, last = spans.get(way, (date.max, date.min))
            spans[way] = min(first, service.begins), max(last, service.ends)
        return all(first <= day <= last for first, last in spans.values())


def instants(table: Timetable, zone: tzinfo, days: Iterable[date]) -> Mapping[Way, list[float]]:
    """Seconds since 1970 (UTC) of all calls of some service days, in order, for each way.

    A time that the clock shows twice when summer time ends counts twice; one that it leaves out counts as both times
    that it could be.
    """
    found: dict[Way, list[float]] = {way: [] for way in table.ways}
    for day in days:
        for call in table.calls:
            if call.service.runs_on(day):
                found[call.way] += _instants_of(day, call.seconds, zone, from_noon=table.from_noon)
    return {way: sorted(set(times)) for way, times in found.items()}


def _instants_of(day: date, seconds: int, zone: tzinfo, *, from_noon: bool) -> tuple[float, ...]:
    if from_noon:
        noon = datetime.combine(day, time(12), zone)
        return (noon.timestamp() - 12 * 3600 + seconds,)
    local = datetime.combine(day, time(0)) + timedelta(seconds=seconds)
    return tuple(local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))


def days_around(now: datetime, zone: tzinfo) -> tuple[date, ...]:
    """The service days whose calls may matter at a moment: times go on beyond midnight, and trains are late."""
    today = now.astimezone(zone).date()
    return tuple(today + timedelta(days=number) for number in range(-3, 3))


def due_in_s(times: list[float], now: datetime, settings: TimetableSettings, *, authoritative: bool) -> float | None:
    """Seconds until a train may be at the place; None where none is told of.

    An authoritative timetable tells when the next train comes. One that is not tells only of trains that may be there
    now (0): between two of them anything may come, so that it must not say how long the track is free.

    >>> settings = TimetableSettings("table", "t.csv", "UTC", early_s=60.0, late_s=300.0)
    >>> due_in_s([1000.0], datetime.fromtimestamp(900, UTC), settings, authoritative=True)
    40.0
    """
    now_s = now.astimezone(UTC).timestamp()
    first = bisect_left(times, now_s - settings.late_s)
    if first == len(times):
        return None
    left_s = max(0.0, times[first] - settings.early_s - now_s)
    if left_s > (LOOKAHEAD_S if authoritative else 0.0):
        return None
    return left_s
