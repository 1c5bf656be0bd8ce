"""Delivery through kills, in short; benchmarks/kill_hub.py does it 200 times."""

from __future__ import annotations

import sys

import pytest

from tests.integration.killing import kill_again_and_again


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be killed with SIGKILL on Windows")
def test_nothing_that_was_heard_as_journaled_is_lost_when_the_hub_is_killed(tmp_path):
    outcome = kill_again_and_again(tmp_path, kills=4, readers=2)
    assert outcome.faults == ()
    assert outcome.journaled > 0
    assert outcome.acknowledged > 0
