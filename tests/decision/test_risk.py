from __future__ import annotations

import pytest

from railwatch.core.alerts import Severity
from railwatch.core.types import ZoneKind
from railwatch.decision.risk import RULES, counted, sentence, severity_in
from railwatch.decision.zones import Hit
from tests.scenario import band, track


def test_every_kind_of_zone_but_ignore_has_a_rule():
    assert set(RULES) == set(ZoneKind) - {ZoneKind.IGNORE}


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        (ZoneKind.TRACK, Severity.EMERGENCY),
        (ZoneKind.APPROACH, Severity.NOTICE),
        (ZoneKind.PLATFORM_EDGE, Severity.NOTICE),
    ],
)
def test_the_severity_table(kind, severity):
    assert severity_in(band("z", kind, 0.4, 0.6), Severity.EMERGENCY) is severity


def test_sentence_tells_each_object_once_at_its_most_dangerous_place():
    rails, path = band("t", ZoneKind.TRACK, 0.4, 0.6), band("a", ZoneKind.APPROACH, 0.1, 0.6)
    hits = [
        Hit(track(0.2, 3, "animal", "cow"), path),
        Hit(track(0.5, 1), path),
        Hit(track(0.5, 1), rails),
        Hit(track(0.5, 2), rails),
        Hit(track(0.5, 4, "animal", "sheep"), rails),
    ]
    assert sentence(hits, 14.4) == "2 people and 1 sheep on the track, 1 cow near the track, for 14 s"
    assert sentence(hits[:1], 0.9) == "1 cow near the track"
    assert sentence(hits[:1], 1.0) == "1 cow near the track, for 1 s"
    assert sentence(hits[:1] + hits[3:4], 0.9) == "1 person on the track, 1 cow near the track"
    assert sentence([], 5.0) == "nobody is seen now"


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (1, "person", "1 person"),
        (3, "elephant", "3 elephants"),
        (3, "person", "3 people"),
        (2, "sheep", "2 sheep"),
        (2, "bus", "2 bus"),
    ],
)
def test_counted(number, name, said):
    assert counted(number, name) == said
