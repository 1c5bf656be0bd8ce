"""What the hours of the day change: severities that are raised or lowered while a schedule holds.

The hub reckons which schedules hold and feeds it in; here is no clock. Where nobody is sure of the time, schedules that
raise hold and those that lower do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from railwatch.core.alerts import Severity
from railwatch.core.schedules import ScheduleSettings


class Bounds(NamedTuple):
    """Between what the hours keep a severity in a zone (None: as it is), and by which schedules."""

    at_least: Severity | None = None
    at_most: Severity | None = None
    why: str = ""

    def on(self, severity: Severity, *, train: bool) -> Severity:
        """A severity within the bounds: nothing lowers an EMERGENCY, nor anything while a train comes or may come.

        >>> Bounds(at_most=Severity.NOTICE).on(Severity.EMERGENCY, train=False).value
        'EMERGENCY'
        """
        if self.at_most is not None and not train and severity is not Severity.EMERGENCY:
            severity = min(severity, self.at_most)
        return severity if self.at_least is None else max(severity, self.at_least)


NO_BOUNDS: Final = Bounds()


def bounds_of(schedules: Iterable[ScheduleSettings], zone_id: str, holding: frozenset[str] | None) -> Bounds:
    """The bounds in a zone while the schedules in `holding` hold (None: nobody is sure of the time): the strictest."""
    here = [schedule for schedule in schedules if not schedule.zone_ids or zone_id in schedule.zone_ids]
    lifting = [s for s in here if s.at_least is not None and (holding is None or s.schedule_id in holding)]
    lowering = [s for s in here if s.at_most is not None and holding is not None and s.schedule_id in holding]
    if not lifting and not lowering:
        return NO_BOUNDS
    doubt = "" if holding is not None else ", as the time is not sure"
    return Bounds(
        max((s.at_least for s in lifting if s.at_least is not None), default=None),
        max((s.at_most for s in lowering if s.at_most is not None), default=None),
        f"by schedule {', '.join(s.schedule_id for s in (*lifting, *lowering))}{doubt}",
    )
