"""Hub, worker, cable and clients fail: short versions of hub_faults.py and chaos.py, which print figures."""

from __future__ import annotations

import pytest

from tests.integration import chaos, hub_faults

WITHIN_S = 3.0


def test_clients_of_a_frozen_hub_say_unknown_until_it_echoes_again(tmp_path):
    took, kept, _ = hub_faults.hub_frozen(tmp_path, 3.5)
    assert max(took) < WITHIN_S
    assert kept


def test_clients_of_a_killed_hub_say_unknown(tmp_path):
    took, kept = hub_faults.hub_killed(tmp_path)
    assert max(took) < WITHIN_S
    assert kept


@pytest.mark.skipif(not hub_faults.can_pull_cables(), reason="network namespaces need root and Debian's iproute2")
def test_a_client_whose_cable_is_pulled_says_unknown(tmp_path):
    took, kept, _ = hub_faults.cable_pulled(tmp_path)
    assert took < WITHIN_S
    assert kept


def test_a_client_that_was_stopped_wakes_to_unknown(tmp_path):
    states, _ = hub_faults.client_stopped(tmp_path, 4.0)
    assert states[0] == "UNKNOWN"


@pytest.mark.skipif(not hub_faults.FAKETIME.exists(), reason="needs Debian's faketime")
def test_a_jump_of_the_clock_stalls_nothing_and_loses_no_number(tmp_path):
    told, unnoticed = hub_faults.clock_jumped(tmp_path / "site")
    assert set(hub_faults.jumps(told)) == {1, -1}
    assert [alert.seq for alert in told] == list(range(1, len(told) + 1))
    assert unnoticed


def test_histories_hold_whatever_is_killed_stopped_or_cut(tmp_path):
    broken, counts = chaos.run(8.0, 7, tmp_path)
    assert broken == [], counts
    assert counts["alerts"] > 0
    assert counts["answered acknowledgements"] > 0
