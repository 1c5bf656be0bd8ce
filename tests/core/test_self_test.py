from __future__ import annotations

import pytest

from railwatch.core.self_test import SelfTestSettings


@pytest.mark.parametrize("wrong", [{"interval_s": -1.0}, {"interval_s": float("nan")}, {"within_s": 0.0}])
def test_times_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SelfTestSettings(**wrong)


def test_it_may_be_only_on_request():
    assert SelfTestSettings(interval_s=0.0).interval_s == 0.0
