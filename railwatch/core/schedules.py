"""Hours of the day in which a severity is another one: what a site lays down, and whether it holds at a local time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from railwatch.core.alerts import Severity


class Day(Enum):
    """A day of the week, in the order in which `datetime.weekday` counts them."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


EVERY_DAY: Final = tuple(Day)


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """Hours and what they change: somebody is at least `at_least`, or at most `at_most`, in `zone_ids` (empty: all).

    `begins`, `ends`: "HH:MM" on the clocks of `time_zone` (a name of the IANA database). Hours that end at or before
    they begin go on into the next day; `days` are those on which they begin. `at_most` lowers no EMERGENCY, and nothing
    while a train comes.
    """

    schedule_id: str
    time_zone: str
    begins: str
    ends: str
    days: tuple[Day, ...] = EVERY_DAY
    zone_ids: tuple[str, ...] = ()
    at_least: Severity | None = None
    at_most: Severity | None = None

    def __post_init__(self) -> None:
        minute_of(self.begins)
        minute_of(self.ends)
        if (self.at_least is None) is (self.at_most is None):
            raise ValueError("exactly one of at_least and at_most must be given")

    def holds(self, local: datetime) -> bool:
        """Whether the hours hold at a time on the clocks of the time zone.

        >>> night = ScheduleSettings("night", "Asia/Kolkata", "22:00", "05:00", (Day.FRI,), at_least=Severity.WARNING)
        >>> night.holds(datetime(2026, 1, 3, 4, 59)), night.holds(datetime(2026, 1, 3, 22, 0))  # a Saturday
        (True, False)
        """
        begins, ends, now = minute_of(self.begins), minute_of(self.ends), local.hour * 60 + local.minute
        today = EVERY_DAY[local.weekday()] in self.days
        if begins < ends:
            return today and begins <= now < ends
        yesterday = EVERY_DAY[(local - timedelta(days=1)).weekday()] in self.days
        return (today and now >= begins) or (yesterday and now < ends)


def minute_of(text: str) -> int:
    """The minute of the day of "HH:MM". Raises ValueError.

    >>> minute_of("22:30")
    1350
    """
    hours, colon, minutes = text.partition(":")
    if not (len(hours) == len(minutes) == 2 and (hours + minutes).isascii() and (hours + minutes).isdecimal()):
        raise ValueError(f'a time of day must be "HH:MM", but is {text!r}')
    if not (colon and int(hours) < 24 and int(minutes) < 60):
        raise ValueError(f'a time of day must be "00:00" to "23:59", but is {text!r}')
    return int(hours) * 60 + int(minutes)


def schedule_faults(
    schedules: Sequence[ScheduleSettings], zone_ids: Collection[str]
) -> list[tuple[tuple[str | int, ...], str]]:
    """What keeps a site with these zones from arming: the key at fault, and what must hold."""
    ids = [schedule.schedule_id for schedule in schedules]
    faults: list[tuple[tuple[str | int, ...], str]] = [
        (("schedules", i, "schedule_id"), f"schedule_id must be unique, but {name!r} is given twice")
        for i, name in enumerate(ids)
        if name in ids[:i]
    ]
    return faults + [
        (("schedules", i, "zone_ids", j), f"zone_ids must name zones of the site, but {name!r} is none")
        for i, schedule in enumerate(schedules)
        for j, name in enumerate(schedule.zone_ids)
        if name not in zone_ids
    ]


def zone_fault(name: str) -> str:
    """Why a time zone cannot be used on this machine, "" when it can.

    >>> zone_fault("Asia/Kolkata")
    ''
    """
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return f"must be a time zone that this machine knows (Asia/Kolkata; package tzdata), but is {name!r}"
    return ""
