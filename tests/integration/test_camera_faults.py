"""A real RTSP camera fails in front of a running hub: short versions of the scripts beside, which print figures."""

from __future__ import annotations

import pytest

from tests.integration import camera_damage, camera_evidence, camera_faults
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


def test_nothing_is_looked_at_that_builds_on_lost_or_changed_packets():
    needs_camera()
    figures = camera_damage.run("tcp", 4.5)
    assert figures["harmed"] > 1
    assert figures["tainted_looked_at"] == figures["told_from_tainted"] == 0
    assert figures["pictures"] > 0
    assert figures["told"] > 0


def test_evidence_comes_from_the_finer_stream_with_its_pre_roll(tmp_path):
    needs_camera()
    figures, shown = camera_evidence.of_a_camera(tmp_path, empty_s=2.0, pre_roll_s=1.5, size=(960, 544))
    assert figures["pre_roll_s"] >= 1.5
    assert figures["size"] == [960, 544]
    assert figures["decoded"] == figures["packets"] > 0
    assert figures["notes"] == figures["faults"] == []
    assert shown.stat().st_size > 0


def test_a_full_disk_is_told_and_the_alerts_go_on(tmp_path):
    try:
        found = camera_evidence.on_a_full_disk(tmp_path / "site", 2)
    except OSError as error:
        pytest.skip(str(error))
    assert found["opened"] >= 2
    assert any("must find room" in why for why in found["told"])
    assert (found["exit"], found["traceback"]) == (0, False)
