"""How a worker introduces itself, how it is received, and how it tells that a camera is lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from railwatch.core.errors import WireError
from railwatch.seam.codec import as_mapping, dumps, loads, number_of, text_of

MAX_GREETING_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Hello:
    """Who a worker is. `instance` is new at every start of a worker; `token` is what the hub that started it gave it.

    A worker on another machine has no token: the hub knows it by its key.
    """

    protocol: int
    worker_group: str
    instance: str
    token: str
    pid: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A camera of a worker gives no pictures any more, and why."""

    camera_id: str
    reason: str


def encode_hello(hello: Hello) -> bytes:
    """A greeting as UTF-8 JSON."""
    return dumps(asdict(hello)).encode()


def decode_hello(payload: bytes) -> Hello:
    """Read `encode_hello`'s bytes; raises WireError for anything else.

    >>> decode_hello(encode_hello(Hello(1, "main", "a1", "", 7))).worker_group
    'main'
    """
    data = as_mapping(_loads(payload), ("protocol", "worker_group", "instance", "token", "pid"), "hello")
    return Hello(
        int(number_of(data, "protocol")),
        text_of(data, "worker_group"),
        text_of(data, "instance"),
        text_of(data, "token"),
        int(number_of(data, "pid")),
    )


def encode_welcome(worker_epoch: int) -> bytes:
    """What a worker is told when it is received: the number that all its Observations carry."""
    return dumps({"worker_epoch": worker_epoch}).encode()


def decode_welcome(payload: bytes) -> int:
    """Read `encode_welcome`'s bytes; raises WireError for anything else."""
    return int(number_of(as_mapping(_loads(payload), ("worker_epoch",), "welcome"), "worker_epoch"))


def encode_lost(lost: Lost) -> bytes:
    """A lost camera as UTF-8 JSON."""
    return dumps(asdict(lost)).encode()


def decode_lost(payload: bytes) -> Lost:
    """Read `encode_lost`'s bytes; raises WireError for anything else."""
    data = as_mapping(_loads(payload), ("camera_id", "reason"), "lost")
    return Lost(text_of(data, "camera_id"), text_of(data, "reason")[:500])


def _loads(payload: bytes) -> object:
    if len(payload) > MAX_GREETING_BYTES:
        raise WireError(f"a greeting must be at most {MAX_GREETING_BYTES} bytes, but is {len(payload)}")
    return loads(payload)
