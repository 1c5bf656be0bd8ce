"""What a hub hands to the worker that it starts, on the worker's standard input: one line, then silence until it ends.

Keys never stand in arguments or the environment, which other programs of the machine can read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from railwatch.core.errors import WireError
from railwatch.seam.codec import as_mapping, dumps, loads, text_of

MAX_HANDOVER_BYTES: Final = 4096
_KEYS: Final = ("endpoint", "server_key", "public_key", "secret_key", "worker_group", "token")


@dataclass(frozen=True, slots=True)
class Handover:
    """Where the hub is, the keys for this start (Z85), and the token by which the hub knows its own worker again."""

    endpoint: str
    server_key: str
    public_key: str
    secret_key: str
    worker_group: str
    token: str

    def __repr__(self) -> str:
        """Without keys and token: what is printed or logged must not hold them."""
        return f"Handover({self.endpoint!r}, worker_group={self.worker_group!r})"


def encode_handover(handover: Handover) -> bytes:
    """A handover as one line."""
    return dumps(asdict(handover)).encode() + b"\n"


def decode_handover(line: bytes) -> Handover:
    """Read `encode_handover`'s line; raises WireError, which does not repeat the line, for anything else."""
    if len(line) > MAX_HANDOVER_BYTES:
        raise WireError(f"a handover must be at most {MAX_HANDOVER_BYTES} bytes, but is {len(line)}")
    try:
        data = as_mapping(loads(line), _KEYS, "handover")
        return Handover(**{key: text_of(data, key) for key in _KEYS})
    except WireError:
        raise WireError("a worker must be started by a hub, which hands over its keys on standard input") from None
