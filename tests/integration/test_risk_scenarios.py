"""Every scenario has the severity that it must have, over time."""

from __future__ import annotations

import pytest

from tests.integration.risk_scenarios import SCENARIOS, page, severities


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_severity_is_the_wanted_one_all_the_time(scenario):
    course = list(severities(scenario))
    wrong = [
        (t_s, severity, wanted)
        for t_s, severity in course
        for begin, end, wanted in scenario.spans
        if begin <= t_s <= end and severity is not wanted
    ]
    assert wrong == [], wrong[:5]
    assert all(any(begin <= t_s <= end for t_s, _ in course) for begin, end, _ in scenario.spans)


def test_the_page_is_the_table(root):
    assert (root / "docs" / "risk-scenarios.md").read_text(encoding="utf-8") == page()
