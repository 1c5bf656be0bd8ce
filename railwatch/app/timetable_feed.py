"""Timetables at a running hub: each second they report as any other source does, so that a replay needs no file.

Where the file is missing, faulty, old, or at its end, and where the wall clock is in doubt, nothing is reported: then
the source grows old, and a train is taken to be there.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from railwatch.app.timetable_files import file_time, read_timetable
from railwatch.core.errors import ConfigError
from railwatch.core.settings import SiteSettings
from railwatch.core.timetables import (
    DAY_S,
    Timetable,
    TimetableSettings,
    Way,
    days_around,
    due_in_s,
    instants,
)
from railwatch.core.types import TrainReport
from railwatch.decision.trains import MAX_DIRECTIONS

REPORT_S: Final = 1.0
LOOK_S: Final = 60.0
"""How often the file is looked at."""

JUMP_S: Final = 2.0
"""A wall clock that moves so much more or less than the monotonic one was set: what it says is in doubt ..."""

DOUBT_S: Final = 300.0
"""... for so long."""

_NEVER: Final = float("-inf")
_EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that says less was never set."""

_READING: Final = "its file is being read"

Post = Callable[[Callable[[], None]], object]
Trouble = Callable[[str, str | None], object]


class WallClock:
    """The time of day, and whether it may be believed.

    A clock that was set while the hub runs is doubted for a while, for nobody knows which of the two times was right.
    """

    def __init__(self, utc_now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._utc_now = utc_now
        self._last: tuple[float, float] | None = None
        self._doubt_until_s = _NEVER

    def read(self, now_s: float) -> datetime | None:
        """UTC now, at `now_s` of the hub's clock; None while it is in doubt."""
        now = self._utc_now()
        if self._last is not None:
            moved_s = (now.timestamp() - self._last[1]) - (now_s - self._last[0])
            if abs(moved_s) > JUMP_S:
                self._doubt_until_s = now_s + DOUBT_S
        self._last = (now_s, now.timestamp())
        return None if now < _EARLIEST or now_s < self._doubt_until_s else now


@dataclass(slots=True)
class _Table:
    """A timetable as it was read last, or why it is not; and its trains around a day."""

    table: Timetable | None = None
    fault: str | None = _READING
    changed: float | None = None
    reading: bool = False
    looked_s: float = _NEVER
    days: tuple[date, ...] = ()
    times: Mapping[Way, list[float]] = field(default_factory=dict)
    told: str | None = None


class TimetableFeed:
    """The timetables of a site. Call `turn` often, from the deciding thread; times are seconds of the hub's clock.

    Args:
        feed: Takes the reports.
        trouble: Takes the name of a fault and its reason, or None when it is over.
        post: Has the deciding thread call something; files are read by threads of their own.
    """

    def __init__(
        self,
        feed: Callable[[TrainReport], object],
        trouble: Trouble,
        post: Post,
        clock: WallClock | None = None,
    ) -> None:
        self._feed, self._trouble, self._post = feed, trouble, post
        self._clock = clock or WallClock()
        self._tables: dict[TimetableSettings, _Table] = {}
        self._ways: dict[str, dict[Way, None]] = {}
        self._next_s = _NEVER

    def turn(self, site: SiteSettings, now_s: float) -> None:
        """Look at the files and report, when it is time."""
        if now_s < self._next_s or not (site.timetables or self._tables):
            return
        self._next_s = now_s + REPORT_S
        now = self._clock.read(now_s)
        for gone in [settings for settings in self._tables if settings not in site.timetables]:
            self._tell(gone, self._tables.pop(gone), None)
        for settings in site.timetables:
            held = self._tables.setdefault(settings, _Table())
            self._look(settings, held, now_s)
            fault = held.fault or _doubt(site, settings, held, now)
            self._tell(settings, held, fault)
            if fault is None and now is not None and held.table is not None:
                self._report(site, settings, held, held.table, now, now_s)

    def _report(
        self,
        site: SiteSettings,
        settings: TimetableSettings,
        held: _Table,
        table: Timetable,
        now: datetime,
        now_s: float,
    ) -> None:
        authoritative = any(s.authoritative for s in site.train_sources if s.source_id == settings.source_id)
        zone = ZoneInfo(settings.time_zone)
        days = days_around(now, zone)
        if days != held.days:
            held.days, held.times = days, instants(table, zone, days)
        # A way that the file tells of no more goes on being told of: silence would be a train that never goes away.
        ways = self._ways.setdefault(settings.source_id, {})
        ways.update(dict.fromkeys(held.times))
        for track, direction in ways:
            times = held.times.get((track, direction), [])
            eta_s = due_in_s(times, now, settings, authoritative=authoritative)
            seq = int(now_s * 1000)
            said = TrainReport(track, direction, eta_s, None, None, settings.source_id, seq, 0.0, authoritative)
            self._feed(said)

    def _look(self, settings: TimetableSettings, held: _Table, now_s: float) -> None:
        """Have a thread see whether the file has changed, and read it if so: no disk holds the decision up."""
        if held.reading or now_s < held.looked_s + LOOK_S:
            return
        held.reading, held.looked_s = True, now_s
        before = held.changed

        def read() -> None:
            table: Timetable | None = None
            changed, fault = None, None
            try:
                changed = file_time(settings)
                table = read_timetable(settings) if changed != before else None
            except OSError as error:
                fault = f"its file cannot be read ({error.strerror})"
            except ConfigError as error:
                fault = str(error)
            self._post(lambda: _take(held, table, changed, fault))

        threading.Thread(target=read, name="read-timetable", daemon=True).start()

    def _tell(self, settings: TimetableSettings, held: _Table, fault: str | None) -> None:
        if fault not in (held.told, _READING):
            held.told = fault
            name = f"timetable-{settings.source_id}"
            self._trouble(name, fault and f"the timetable of {settings.source_id} is not believed: {fault}")


def _take(held: _Table, table: Timetable | None, changed: float | None, fault: str | None) -> None:
    """What a thread has read; a file that has not changed leaves the table as it is."""
    held.reading = False
    if table is not None or fault is not None:
        held.table, held.days = table, ()
    held.changed = None if fault is not None else changed
    held.fault = fault


def _doubt(site: SiteSettings, settings: TimetableSettings, held: _Table, now: datetime | None) -> str | None:
    """Why a timetable that was read must not be believed now."""
    if now is None:
        return "the clock of this machine was set, or never was: its time of day is in doubt"
    if held.changed is not None and now.timestamp() - held.changed > settings.max_file_days * DAY_S:
        return f"its file is older than {settings.max_file_days:g} days"
    today = now.astimezone(ZoneInfo(settings.time_zone)).date()
    if held.table is None:
        return _READING
    if not held.table.knows(today):
        return f"it does not reach to {today}"
    return _strange_ways(site, held.table)


def _strange_ways(site: SiteSettings, table: Timetable) -> str | None:
    """Why the decision would not hear of all ways of a timetable; None when it would."""
    tracks = Counter(track for track, _ in table.ways)
    strange = sorted(set(tracks) - {zone.rail_track_id for zone in site.zones})
    if strange:
        return f"it tells of {', '.join(strange)}, which no zone names"
    if max(tracks.values()) > MAX_DIRECTIONS:
        return f"it tells of more than {MAX_DIRECTIONS} directions on a rail track"
    return None
