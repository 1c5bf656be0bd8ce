"""What a feed says, as the decision takes it in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.app.feeding import report_of
from railwatch.messaging.asking import Questions
from railwatch.messaging.requests import TRAIN_VERB, Aspect, Barrier, TrainRequest, decode_body, encode_body

TOLD = TrainRequest("r1", "feed", "up", "east", seq=7, age_s=0.5)
numbers = st.none() | st.floats(0.0, 1e6)
requests = st.builds(
    TrainRequest,
    request=st.just("r1"),
    source=st.just("feed"),
    rail_track_id=st.just("up"),
    direction=st.just("east"),
    seq=st.integers(0, 2**50),
    age_s=st.floats(0.0, 1e6),
    eta_s=numbers,
    distance_m=numbers,
    speed_mps=numbers,
    occupied=st.none() | st.booleans(),
    barrier=st.none() | st.sampled_from(Barrier),
    signal=st.none() | st.sampled_from(Aspect),
    authoritative=st.booleans(),
)


@pytest.mark.parametrize(
    ("told", "eta_s"),
    [
        ({}, None),
        ({"eta_s": 40.0}, 40.0),
        ({"occupied": True, "eta_s": 40.0}, 0.0),
        ({"occupied": False}, None),
        ({"barrier": Barrier.DOWN}, 0.0),
        ({"barrier": Barrier.DOWN, "eta_s": 40.0}, 40.0),
        ({"barrier": Barrier.UP}, None),
        ({"signal": Aspect.PROCEED}, 0.0),
        ({"signal": Aspect.STOP, "eta_s": 40.0}, 40.0),
    ],
)
def test_whatever_makes_the_train_come_soonest_counts(told, eta_s):
    assert report_of(replace(TOLD, **told)).eta_s == eta_s


@given(requests)
def test_an_occupied_track_a_closed_barrier_or_a_clear_signal_never_makes_it_come_later(told):
    """Compared with the same report without them."""
    bare = report_of(replace(told, occupied=None, barrier=None, signal=None))
    said = report_of(told)
    assert bare.eta_s is None or (said.eta_s is not None and said.eta_s <= bare.eta_s)
    assert (said.source, said.seq, said.age_s, said.authoritative) == ("feed", told.seq, told.age_s, told.authoritative)


@given(requests)
def test_there_and_back_on_the_wire(told):
    assert decode_body(encode_body(told), TrainRequest) == told


@pytest.mark.parametrize(
    "wrong",
    [
        {"age_s": -1.0},
        {"age_s": float("nan")},
        {"eta_s": float("inf")},
        {"seq": -1},
        {"source": ""},
        {"direction": "x" * 65},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(TOLD, **wrong)


def test_a_report_that_waits_to_be_sent_grows_older():
    questions = Questions(10.0)
    questions.add(TRAIN_VERB, TOLD, 100.0)
    ((_, first),) = questions.due(100.0)
    ((_, again),) = questions.due(103.5)
    assert decode_body(first, TrainRequest).age_s == 0.5
    assert decode_body(again, TrainRequest).age_s == 4.0
