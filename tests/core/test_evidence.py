from __future__ import annotations

import pytest

from railwatch.core.evidence import EvidenceSettings
from railwatch.core.risk_settings import TrainSourceSettings


@pytest.mark.parametrize("name", ["pre_roll_s", "post_roll_s", "keep_days", "max_gib", "min_free_gib"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_times_and_sizes_out_of_bounds_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be 0 or more"):
        EvidenceSettings(**{name: value})


def test_a_ring_must_hold_something():
    with pytest.raises(ValueError, match="ring_mib must be 1 or more"):
        EvidenceSettings(ring_mib=0)


def test_what_is_not_recorded_needs_no_ring():
    assert EvidenceSettings(record=False).ring_s == 0.0
    assert EvidenceSettings(record=True, pre_roll_s=3.0, post_roll_s=2.0).ring_s > 5.0


def test_a_source_whose_reports_are_never_old_is_refused():
    with pytest.raises(ValueError, match="max_age_s must be"):
        TrainSourceSettings("feed", max_age_s=0.0)
