"""A time or an incident that a person names; times are seconds from the start of a recording, or UTC.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from railwatch.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Asked:
    """One of three: `after_s` from the start of the recording, a `moment` in UTC, or a `clock` time of its first day.

    `text` is what was written.
    """

    text: str
    after_s: float | None = None
    moment: datetime | None = None
    clock: time | None = None

    def seconds(self, received_at: str, t_s: float) -> float | None:
        """Seconds from the start of the recording, by an input of it that has both times.

        None when the input has no UTC time that can be read, and a later one must be asked.
        """
        if self.after_s is not None:
            return self.after_s
        try:
            here = _utc(datetime.fromisoformat(received_at))
        except ValueError:
            return None
        there = self.moment or datetime.combine(here.date(), self.clock or time(), UTC)
        if self.moment is None and there < here - timedelta(hours=12):
            there += timedelta(days=1)  # the recording began before midnight
        return t_s + (there - here).total_seconds()


def parse_time(text: str) -> Asked:
    """Read ``12.5`` (seconds from the start), ``08:11:40`` or ``2026-11-25T08:11:40Z`` (UTC). Raises ConfigError.

    >>> parse_time("12.5").after_s, parse_time("08:11:40").clock
    (12.5, datetime.time(8, 11, 40))
    """
    try:
        return Asked(text, after_s=_seconds(text))
    except ValueError:
        pass
    try:
        return Asked(text, clock=time.fromisoformat(text))
    except ValueError:
        pass
    try:
        return Asked(text, moment=_utc(datetime.fromisoformat(text)))
    except ValueError:
        raise ConfigError(
            "--at must be seconds from the start of the recording, or UTC as 08:11:40 or 2026-11-25T08:11:40Z, but is "
            f"{text[:40]!r}"
        ) from None


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1e9:
        raise ConfigError(f"--at must be 0 or more seconds from the start of the recording, but is {text[:40]}")
    return value


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def is_named(incident_id: str, wanted: str) -> bool:
    """Whether somebody means this incident: its name, or what follows a dash in it.

    >>> is_named("9f.1-i12", "i12"), is_named("9f.1-i12", "2")
    (True, False)
    """
    return incident_id == wanted or incident_id.endswith(f"-{wanted}")
