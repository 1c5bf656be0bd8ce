from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import Severity
from railwatch.core.types import Assessment, ZoneKind
from railwatch.decision.wording import PLACES, counted, sentence
from railwatch.decision.zones import Hit
from tests.scenario import band, track

RAILS, PATH = band("t", ZoneKind.TRACK, 0.4, 0.6), band("a", ZoneKind.APPROACH, 0.1, 0.6)


def test_every_kind_of_zone_but_ignore_is_a_place():
    assert set(PLACES) == set(ZoneKind) - {ZoneKind.IGNORE}


def test_sentence_tells_each_object_once_at_its_most_dangerous_place():
    hits = [
        Hit(track(0.2, 3, "animal", "cow"), PATH),
        Hit(track(0.5, 1), PATH),
        Hit(track(0.5, 1), RAILS),
        Hit(track(0.5, 2), RAILS),
        Hit(track(0.5, 4, "animal", "sheep"), RAILS),
    ]
    assert sentence(hits, 14.4) == "2 people and 1 sheep on the track t1, 1 cow near the track, for 14 s"
    assert sentence(hits[:1], 0.9) == "1 cow near the track"
    assert sentence(hits[:1], 1.0) == "1 cow near the track, for 1 s"
    assert sentence(hits[:1] + hits[3:4], 0.9) == "1 person on the track t1, 1 cow near the track"
    assert sentence([], 5.0) == "nobody is seen now"


def test_several_tracks_are_named_and_nameless_ones_are_not():
    other = replace(RAILS, zone_id="u", rail_track_id="down")
    hits = [Hit(track(0.5, 1), RAILS), Hit(track(0.5, 2), other)]
    assert sentence(hits, 0.0) == "2 people on the track down, t1"
    assert sentence([Hit(track(0.5, 1), replace(RAILS, rail_track_id=None))], 0.0) == "1 person on the track"


def worst(rule: str, why: str) -> Assessment:
    return Assessment(1, "t", Severity.EMERGENCY, rule, 2.0, 180.0, 38.0, -142.0, why)


def test_the_train_is_told_with_what_to_do():
    hits = [Hit(track(0.5, 1), RAILS), Hit(track(0.5, 2), RAILS)]
    said = sentence(hits, 14.0, worst("train-and-no-time", "train in 38 s at 80 km/h, needs 41 s to stop (feed)"))
    assert said == (
        "2 people on the track t1, for 14 s; train in 38 s at 80 km/h, needs 41 s to stop (feed): stop the train"
    )
    assert sentence(hits, 0.0, worst("track-no-train", "feed vouches that no train comes")) == (
        "2 people on the track t1; feed vouches that no train comes"
    )
    assert sentence(hits, 0.0, worst("track", "")) == "2 people on the track t1"


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
