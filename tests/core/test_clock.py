from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from railwatch.core.clock import elapsed_s, utc_now


def test_elapsed_time_never_runs_backwards():
    times = [elapsed_s() for _ in range(100)]
    assert times == sorted(times)


def test_a_system_without_a_clock_that_counts_sleep_takes_the_monotonic_one(monkeypatch):
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    before = time.monotonic()
    assert before <= elapsed_s() <= time.monotonic()


def test_utc_is_told_in_milliseconds():
    told = utc_now()
    assert told.endswith("Z")
    assert abs(datetime.fromisoformat(told) - datetime.now(UTC)) < timedelta(seconds=5)
