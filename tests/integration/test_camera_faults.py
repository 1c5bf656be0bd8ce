"""A real RTSP camera fails in front of a running hub: short versions of camera_faults.py, which prints figures."""

from __future__ import annotations

import pytest

from tests.integration import camera_faults
from tests.rtsp_rig import needs_camera, why_no_cable

WITHIN_S = 10.0
"""A bound for a machine that is busy; the figures are in docs/cameras.md."""


@pytest.mark.parametrize("kind", ["killed", "frozen", "cable"])
def test_a_camera_that_fails_is_blind_at_the_subscriber_and_comes_back(kind):
    needs_camera()
    if kind == "cable" and (reason := why_no_cable()):
        pytest.skip(reason)
    figures = camera_faults.run_fault(kind, 1, out_s=3.0)
    assert max(figures["blind_s"]) < WITHIN_S
    assert max(figures["back_s"]) < WITHIN_S
    assert figures["stale"] == 0
    assert figures["frames"] > 0
    for before, after in (figures["threads"], figures["descriptors"]):
        assert after <= before
