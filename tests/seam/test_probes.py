from __future__ import annotations

import pytest
from hypothesis import given

from railwatch.core.errors import WireError
from railwatch.seam.codec import MAX_OBSERVATION_BYTES
from railwatch.seam.probes import Probed, decode_probed, encode_probed
from tests.scenario import observation, track
from tests.strategies import names, observations


@given(names, observations())
def test_there_and_back(probe_id, seen):
    assert decode_probed(encode_probed(Probed(probe_id, seen))) == Probed(probe_id, seen)


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b'{"probe_id":1,"seen":{}}', b"[]", b" " * (MAX_OBSERVATION_BYTES + 1)]
)
def test_anything_else_is_refused(payload):
    with pytest.raises(WireError):
        decode_probed(payload)


def test_a_cut_message_is_refused():
    payload = encode_probed(Probed("t", observation(1.0, track(0.5))))
    with pytest.raises(WireError):
        decode_probed(payload[:-1])
