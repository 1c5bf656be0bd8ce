"""The two clocks: one that durations are counted on, and one for people."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

UtcNow = Callable[[], str]
"""Tells the time as UTC in ISO 8601."""

Clock = Callable[[], float]
"""Tells seconds from some fixed moment, never backwards."""


def utc_now() -> str:
    """The time as UTC in ISO 8601 to the millisecond, for people only.

    >>> len(utc_now())
    24
    """
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def elapsed_s() -> float:
    """Seconds that never jump and that go on while the computer sleeps, where the system has such a clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
