"""What a feed says, as the decision takes it in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.app.feeding import report_of
from railwatch.core.alerts import AckLevel
from railwatch.messaging.asking import Questions
from railwatch.messaging.requests import (
    ACK_VERB,
    MAX_NUMBER,
    NOW_VERB,
    TRAIN_VERB,
    AckRequest,
    Aspect,
    Barrier,
    NowRequest,
    TrainRequest,
    decode_body,
    encode_body,
)

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
    after=st.none() | st.from_regex("[A-Za-z0-9_-]{1,64}", fullmatch=True),
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
    assert report_of(replace(TOLD, **told), 0.0).eta_s == eta_s


@given(requests, st.floats(0.0, 1e6))
def test_a_report_is_as_old_as_it_says_and_the_time_since_its_moment(told, waited_s):
    assert report_of(told, waited_s).age_s == told.age_s + waited_s
    assert replace(report_of(told, waited_s), age_s=told.age_s) == report_of(told, 0.0)


@given(requests)
def test_an_occupied_track_a_closed_barrier_or_a_clear_signal_never_makes_it_come_later(told):
    """Compared with the same report without them."""
    bare = report_of(replace(told, occupied=None, barrier=None, signal=None), 0.0)
    said = report_of(told, 0.0)
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
        {"after": ""},
        {"after": "x" * 65},
        {"after": "1 2"},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(TOLD, **wrong)


def asked(questions, now_s):
    """What is sent now: one message."""
    ((verb, payload),) = questions.due(now_s)
    return verb, payload


def test_a_report_asks_for_a_moment_and_grows_older_until_it_comes():
    questions = Questions(10.0)
    questions.add(TRAIN_VERB, TOLD, 100.0)
    for now_s in (100.0, 103.0):
        verb, payload = asked(questions, now_s)
        assert (verb, decode_body(payload, NowRequest)) == (NOW_VERB, NowRequest("r1"))
    assert list(questions.due(103.5)) == []
    questions.noted("r1", "m1", 103.5)
    assert questions.due_s() == 103.5
    verb, payload = asked(questions, 103.5)
    assert (verb, decode_body(payload, TrainRequest)) == (TRAIN_VERB, replace(TOLD, age_s=4.0, after="m1"))


def test_a_report_that_is_sent_again_names_the_first_moment():
    questions = Questions(10.0)
    questions.add(TRAIN_VERB, TOLD, 100.0)
    questions.noted("r1", "m1", 100.2)
    first = asked(questions, 100.2)
    questions.noted("r1", "m2", 101.0)
    assert list(questions.due(101.0)) == []
    assert asked(questions, 101.2) == first


def test_a_moment_that_nobody_asked_for_changes_nothing():
    questions = Questions(10.0)
    questions.add(ACK_VERB, AckRequest("r2", "i1", AckLevel.RECEIVED, "anna"), 100.0)
    for name in ("r1", "r2"):
        questions.noted(name, "m1", 100.5)
    verb, payload = asked(questions, 100.0)
    assert (verb, decode_body(payload, AckRequest).request) == (ACK_VERB, "r2")
    assert questions.due_s() == 101.0


def test_a_report_of_any_age_can_still_be_sent():
    questions = Questions(10.0)
    questions.add(TRAIN_VERB, replace(TOLD, age_s=MAX_NUMBER - 0.5), 100.0)
    questions.noted("r1", "m1", 103.0)
    assert decode_body(asked(questions, 103.0)[1], TrainRequest).age_s == MAX_NUMBER - 1.0
