from __future__ import annotations

import json

import pytest
from hypothesis import given

from railwatch.core.errors import WireError
from railwatch.core.types import Observation
from railwatch.seam.codec import (
    MAX_OBSERVATION_BYTES,
    decode_observation,
    encode_observation,
    loads,
    observation_from_json,
    observation_to_json,
)
from tests.scenario import observation, track
from tests.strategies import observations

GOOD = observation(1.5, track(0.5))


@given(observations())
def test_observations_survive_the_seam_unchanged(seen: Observation):
    assert decode_observation(encode_observation(seen)) == seen


def changed(*path, to):
    value = observation_to_json(GOOD)
    place = value
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "observation must have exactly the keys"),
        ({**observation_to_json(GOOD), "more": 1}, "observation must have exactly the keys"),
        (changed("camera_id", to=1), "camera_id must be text"),
        (changed("index", to=True), "index must be a whole number"),
        (changed("t_s", to="1"), "t_s must be a finite number"),
        (changed("t_s", to=True), "t_s must be a finite number"),
        (changed("pts_s", to=[]), "pts_s must be a finite number"),
        (changed("truncated", to=1), "truncated must be true or false"),
        (changed("frame_size", to=[1]), "frame_size must be"),
        (changed("frame_size", to=[1, 2.0]), "frame_size must be"),
        (changed("frame_size", to=[0, 1]), "frame_size must be at least"),
        (changed("tracks", to={}), "tracks must be a list"),
        (changed("tracks", 0, "xyxy", to=[1, 2, 3]), "xyxy must hold 4"),
        (changed("tracks", 0, "xyxy", to=[1, 2, 3, None]), "xyxy must be a finite"),
        (changed("tracks", 0, "xyxy", to=[9, 2, 3, 4]), "xyxy must be finite left"),
        (changed("tracks", 0, "state", to="GONE"), "GONE"),
        (changed("tracks", 0, "hits", to=1.0), "hits must be a whole number"),
        (changed("tracks", 0, to=None), "track must have exactly the keys"),
        (changed("tracks", to=[observation_to_json(GOOD)["tracks"][0]] * 201), "at most 200"),
        (changed("vitals", "state", to="FINE"), "FINE"),
        (changed("vitals", to=None), "vitals must have exactly"),
    ],
)
def test_anything_else_is_refused_by_name(value, words):
    with pytest.raises(WireError, match=words):
        observation_from_json(value)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{", b'{"t_s": NaN}', b'{"t_s": -Infinity}', b"[" * 100_000])
def test_bytes_that_are_not_strict_json_are_refused(payload):
    with pytest.raises(WireError, match="must be JSON"):
        loads(payload)


def test_messages_are_bounded_both_ways():
    with pytest.raises(WireError, match="at most"):
        decode_observation(b" " * (MAX_OBSERVATION_BYTES + 1))
    with pytest.raises(WireError, match="at most"):
        encode_observation(observation(0.0, reason="x" * MAX_OBSERVATION_BYTES))


def test_two_hundred_tracks_fit():
    tracks = [track(0.5, number, class_name="elephant" * 4) for number in range(1, 201)]
    assert len(encode_observation(observation(0.0, *tracks))) < MAX_OBSERVATION_BYTES / 3


def test_keys_keep_the_order_of_the_dataclass():
    assert list(json.loads(encode_observation(GOOD)))[:3] == ["camera_id", "worker_epoch", "index"]
