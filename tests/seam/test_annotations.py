from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.errors import WireError
from railwatch.core.provider import Provider
from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.seam.annotations import (
    MAX_REASON_LENGTH,
    decode_annotation,
    decode_health,
    encode_annotation,
    encode_health,
)
from railwatch.seam.orders import order_for, order_from_json, order_to_json
from tests.scenario import site
from tests.strategies import finite, fractions, names

SAID = Annotation("east", 1, 7, 2.5, "Aves", 0.75)
taxa = st.none() | names.filter(lambda name: name.isprintable() and name)


@given(st.builds(Annotation, names, st.integers(), st.integers(), finite, taxa, fractions))
def test_an_annotation_goes_there_and_back(said):
    assert decode_annotation(encode_annotation(said)) == said


@pytest.mark.parametrize(
    "change", [{"confidence": 1.5}, {"confidence": "1"}, {"taxon": ""}, {"taxon": 7}, {"track_id": 1.5}, {"more": 1}]
)
def test_anything_else_is_refused(change):
    plain = json.loads(encode_annotation(SAID))
    with pytest.raises(WireError):
        decode_annotation(json.dumps(plain | change).encode())


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"reason":1}', b" " * 5000])
def test_other_bytes_are_refused(payload):
    for decode in (decode_annotation, decode_health):
        with pytest.raises(WireError):
            decode(payload)


def test_a_reason_is_bounded():
    assert decode_health(encode_health("x" * 1000)) == "x" * MAX_REASON_LENGTH


@pytest.mark.parametrize(
    "look", [None, SecondLookSettings("c.onnx", "a" * 64, 0.5, ("Aves", "Mammalia"), 1.0, Provider.CUDA)]
)
def test_an_order_carries_the_second_look_and_needs_no_new_worker_for_it(look):
    order = order_for(replace(site(), second_look=look), "main")
    assert order.second_look == look
    assert order_from_json(json.loads(json.dumps(order_to_json(order)))).second_look == look
    assert order.same_engine(order_for(site(), "main"))
