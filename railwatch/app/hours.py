"""Which schedules hold now: the only place that asks the clock on the wall for what decides.

What is found is fed in as an input, so that a recording replays without a clock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from railwatch.core.schedules import ScheduleSettings, zone_fault
from railwatch.decision.inputs import Hours

FAULT_NAME: Final = "schedules"
LASTS_S: Final = 60.0
EVERY_S: Final = 20.0
LOOK_S: Final = 1.0
_ROOM: Final = 512
"""More than the 208 bytes of `struct timex`, whose first field, 0, says that nothing is set."""

_UNSYNCHRONISED: Final = 5


def clock_is_right() -> bool:
    """Whether the kernel has the clock as synchronised (adjtimex(2)), by whatever means; False if it cannot tell."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    return adjtimex is not None and 0 <= adjtimex(ctypes.create_string_buffer(_ROOM)) < _UNSYNCHRONISED


class HoursWatch:
    """Tells which schedules hold, when that changes and every 20 s; what is not sure is told as such.

    `on_trouble(name, reason)` is called when the time is not sure any more, and with None once it is.
    """

    def __init__(
        self,
        on_trouble: Callable[[str, str | None], None],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        right: Callable[[], bool] = clock_is_right,
    ) -> None:
        self._on_trouble, self._wall, self._right = on_trouble, wall, right
        self._looked_s = self._told_s = float("-inf")
        self._schedules: Sequence[ScheduleSettings] = ()
        self._told: tuple[str, ...] | None = None
        self._fault: str | None = None

    def turn(self, schedules: Sequence[ScheduleSettings], now_s: float) -> Hours | None:
        """What is to be fed in at `now_s` on the hub's clock; None: nothing new."""
        changed = schedules != self._schedules
        if not changed and (not schedules or now_s < self._looked_s + LOOK_S):
            return None
        self._schedules, self._looked_s = schedules, now_s
        fault = self._find_fault(schedules)
        if fault != self._fault:
            self._fault = fault
            self._on_trouble(FAULT_NAME, fault)
        utc = self._wall()
        holding = None if fault else tuple(s.schedule_id for s in schedules if _holds(s, utc))
        if not changed and holding == self._told and now_s < self._told_s + EVERY_S:
            return None
        self._told, self._told_s = holding, now_s
        return Hours(holding, LASTS_S)

    def _find_fault(self, schedules: Sequence[ScheduleSettings]) -> str | None:
        if not schedules:
            return None
        faults = [] if self._right() else ["the clock of this machine must be synchronised, but is not"]
        faults += [
            f"time_zone {text}" for name in sorted({s.time_zone for s in schedules}) if (text := zone_fault(name))
        ]
        if not faults:
            return None
        return f"{'; '.join(faults)}: schedules that raise hold at all times, those that lower at none"


def _holds(schedule: ScheduleSettings, utc: datetime) -> bool:
    return schedule.holds(utc.astimezone(ZoneInfo(schedule.time_zone)))
