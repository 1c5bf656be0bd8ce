"""Zones on the ground are kept once reckoned; each test reckons anew, so that none leans on another's."""

from __future__ import annotations

import pytest

from railwatch.decision.clearing import danger_m, polygon_m


@pytest.fixture(autouse=True)
def _nothing_kept():
    polygon_m.cache_clear()
    danger_m.cache_clear()
