"""What a worker saw in a frame's copy with a person in it, on its way to the hub."""

from __future__ import annotations

from dataclasses import dataclass

from railwatch.core.errors import WireError
from railwatch.core.types import Observation
from railwatch.seam.codec import (
    MAX_OBSERVATION_BYTES,
    as_mapping,
    dumps,
    loads,
    observation_from_json,
    observation_to_json,
    text_of,
)


@dataclass(frozen=True, slots=True)
class Probed:
    """An Observation of a self-test: it tells nothing of what is really there."""

    probe_id: str
    seen: Observation


def encode_probed(probed: Probed) -> bytes:
    """It as UTF-8 JSON."""
    return dumps({"probe_id": probed.probe_id, "seen": observation_to_json(probed.seen)}).encode()


def decode_probed(payload: bytes) -> Probed:
    """Read `encode_probed`'s bytes; raises WireError for anything else."""
    if len(payload) > MAX_OBSERVATION_BYTES:
        raise WireError(f"a self-test must be at most {MAX_OBSERVATION_BYTES} bytes, but is {len(payload)}")
    data = as_mapping(loads(payload), ("probe_id", "seen"), "self-test")
    return Probed(text_of(data, "probe_id"), observation_from_json(data["seen"]))
