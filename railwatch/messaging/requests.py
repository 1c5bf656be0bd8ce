"""What a reader asks of a hub on the request socket, and what comes back. docs/wire.md is the same for people.

A request has two frames, verb and payload; so has an answer, but for REPLAYED, whose alerts follow in frames of their
own, byte for byte as the journal holds them. Payloads but that of NONCE are JSON, read as strictly as alerts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from railwatch.core.alerts import AckLevel, Epoch
from railwatch.core.errors import WireError
from railwatch.messaging.plain import from_plain, shown, to_plain
from railwatch.messaging.wire import MAX_NONCE_LENGTH, parse_json, valid_nonce

REPLAY_VERB: Final = b"REPLAY"
REPLAYED_VERB: Final = b"REPLAYED"
ACK_VERB: Final = b"ACK"
PROBE_VERB: Final = b"PROBE"
NOW_VERB: Final = b"NOW"
NOTED_VERB: Final = b"NOTED"
TRAIN_VERB: Final = b"TRAIN"
POSSESSION_VERB: Final = b"POSSESSION"
ACKED_VERB: Final = b"ACKED"
REFUSED_VERB: Final = b"REFUSED"

MAX_REQUEST_BYTES: Final = 4096
"""A larger frame on the request socket ends its connection."""

MAX_BATCH_ALERTS: Final = 512
MAX_BATCH_BYTES: Final = 256 * 1024
"""No answer carries more alerts or, beyond the first, more bytes of them."""

MAX_TRACK_NAME: Final = 64
MAX_NUMBER: Final = 1e7
MAX_POSSESSION_S: Final = 12 * 3600.0
MAX_TEXT: Final = 200
"""Longest name of an incident or a person in a request, and longest reason of a refusal, in characters."""


@dataclass(frozen=True, slots=True, order=False)
class Mark:
    """A place in the alerts of a site: up to and with `seq` of `epoch`. A seq of 0 is the beginning of the epoch."""

    epoch: Epoch
    seq: int

    def __post_init__(self) -> None:
        if self.seq < 0:
            raise ValueError(f"seq must be 0 or more, but is {self.seq}")


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Asks for the alerts after a mark, or for all there are (None). With `open`, open incidents come first."""

    request: str
    after: Mark | None
    open: bool = False

    def __post_init__(self) -> None:
        _check_request(self.request)


@dataclass(frozen=True, slots=True)
class ReplayHeader:
    """The first payload of REPLAYED.

    Then follow `open` frames, the last alert of every incident that is open now (the worst first), and `alerts` frames,
    the alerts after the mark in their order.

    `more`: there are further alerts now. `known`: the journal still reaches back to the mark; if not, the alerts are
    all that it holds.
    """

    request: str
    known: bool
    more: bool
    open: int
    alerts: int

    def __post_init__(self) -> None:
        _check_request(self.request)
        if not 0 <= self.open <= MAX_BATCH_ALERTS or not 0 <= self.alerts <= MAX_BATCH_ALERTS:
            raise ValueError(f"open and alerts must be 0 to {MAX_BATCH_ALERTS}, but are {self.open} and {self.alerts}")


@dataclass(frozen=True, slots=True)
class AckRequest:
    """Says that an incident was received, displayed, or acknowledged by a person (`level`), and by whom."""

    request: str
    incident_id: str
    level: AckLevel
    by: str

    def __post_init__(self) -> None:
        _check_request(self.request)
        for name in ("incident_id", "by"):
            if not 1 <= len(getattr(self, name)) <= MAX_TEXT:
                raise ValueError(f"{name} must be 1 to {MAX_TEXT} characters, but is {shown(getattr(self, name))}")


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Asks for a self-test of a camera now, or of all cameras (None)."""

    request: str
    camera_id: str | None

    def __post_init__(self) -> None:
        _check_request(self.request)
        if self.camera_id is not None and not 1 <= len(self.camera_id) <= MAX_TEXT:
            raise ValueError(f"camera_id must be 1 to {MAX_TEXT} characters, but is {shown(self.camera_id)}")


class Barrier(Enum):
    """State of the barriers of a level crossing."""

    UP = "UP"
    DOWN = "DOWN"


class Aspect(Enum):
    """What a signal shows to the trains that come this way."""

    STOP = "STOP"
    PROCEED = "PROCEED"


@dataclass(frozen=True, slots=True)
class NowRequest:
    """Asks for a moment of the hub, to be named in a report of trains."""

    request: str

    def __post_init__(self) -> None:
        _check_request(self.request)


@dataclass(frozen=True, slots=True)
class Noted:
    """A moment of the hub, as only this run of it can make it."""

    request: str
    moment: str

    def __post_init__(self) -> None:
        _check_request(self.request)
        _check_moment("moment", self.moment)


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What a feed knows of trains that come to one rail track from one direction.

    `age_s` is how old that was when the moment `after` came from the hub, 0 for what is newer; the hub counts from
    there. A `Client` asks for the moment itself where `after` is None, and counts until it comes.

    `source` is the name of the feed, which is that of its key where there are keys; `seq` grows with every report of
    it. `eta_s` seconds to the reference point and `distance_m` metres to it, None when not known or no train comes;
    `occupied`: an axle counter or track circuit; `barrier`, `signal`: of the crossing and of the line; all None where
    the feed has none. `authoritative`: the feed vouches that nothing else comes.
    """

    request: str
    source: str
    rail_track_id: str
    direction: str
    seq: int
    age_s: float
    eta_s: float | None = None
    distance_m: float | None = None
    speed_mps: float | None = None
    occupied: bool | None = None
    barrier: Barrier | None = None
    signal: Aspect | None = None
    authoritative: bool = False
    after: str | None = None

    def __post_init__(self) -> None:
        _check_request(self.request)
        if self.after is not None:
            _check_moment("after", self.after)
        for name in ("source", "rail_track_id", "direction"):
            if not 1 <= len(getattr(self, name)) <= MAX_TRACK_NAME:
                given = shown(getattr(self, name))
                raise ValueError(f"{name} must be 1 to {MAX_TRACK_NAME} characters, but is {given}")
        for name in ("age_s", "eta_s", "distance_m", "speed_mps"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < MAX_NUMBER:
                raise ValueError(f"{name} must be 0 or more and below {MAX_NUMBER:g}, but is {value}")
        if self.seq < 0:
            raise ValueError(f"seq must be 0 or more, but is {self.seq}")


@dataclass(frozen=True, slots=True)
class PossessionRequest:
    """Says that workers hold a rail track for `lasts_s` seconds from now (0: no longer), and who answers for it."""

    request: str
    rail_track_id: str
    holder: str
    lasts_s: float

    def __post_init__(self) -> None:
        _check_request(self.request)
        for name in ("rail_track_id", "holder"):
            if not 1 <= len(getattr(self, name)) <= MAX_TEXT:
                raise ValueError(f"{name} must be 1 to {MAX_TEXT} characters, but is {shown(getattr(self, name))}")
        if not 0.0 <= self.lasts_s <= MAX_POSSESSION_S:
            raise ValueError(f"lasts_s must be 0 to {MAX_POSSESSION_S:g}, but is {self.lasts_s}")


@dataclass(frozen=True, slots=True)
class Acked:
    """The request is granted: an acknowledgement is in the journal, a self-test is to come, a report was taken in."""

    request: str

    def __post_init__(self) -> None:
        _check_request(self.request)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request is not granted; `request` is None when the request could not even be read."""

    request: str | None
    reason: str

    def __post_init__(self) -> None:
        if self.request is not None:
            _check_request(self.request)


@dataclass(frozen=True, slots=True)
class Replayed:
    """An answer to `ReplayRequest`, taken apart: payloads of open incidents, and of the alerts after the mark."""

    header: ReplayHeader
    open: tuple[bytes, ...]
    alerts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a request. `identity` leads the answer back; `user_id` is the name of the key, None without keys."""

    identity: bytes
    user_id: str | None = None


Handler = Callable[[Peer, bytes], None]
"""Takes a request's payload on the publisher's thread and must return at once; a WireError is answered as REFUSED."""

Body = (
    ReplayRequest
    | ReplayHeader
    | AckRequest
    | ProbeRequest
    | NowRequest
    | Noted
    | TrainRequest
    | PossessionRequest
    | Acked
    | Refused
)
_Body = TypeVar("_Body", bound=Body)


def encode_body(body: Body) -> bytes:
    """The payload of a request or an answer; a reason that is too long is shortened.

    >>> encode_body(Acked("k3"))
    b'{"request":"k3"}'
    """
    if isinstance(body, Refused) and len(body.reason) > MAX_TEXT:
        body = Refused(body.request, body.reason[:MAX_TEXT])
    plain = to_plain(body, type(body), "")
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def decode_body(payload: bytes, kind: type[_Body]) -> _Body:
    """Read a payload; raises WireError, which names the key, for anything that is not exactly one of `kind`."""
    body: _Body = from_plain(parse_json(payload), kind, "")
    return body


def decode_replayed(frames: Sequence[bytes]) -> Replayed:
    """Take the frames after the verb REPLAYED apart; raises WireError if their number is not what the first says."""
    header = decode_body(frames[0], ReplayHeader)
    if len(frames) != 1 + header.open + header.alerts:
        raise WireError(f"REPLAYED must have {1 + header.open + header.alerts} payloads, but has {len(frames)}")
    return Replayed(header, tuple(frames[1 : 1 + header.open]), tuple(frames[1 + header.open :]))


def request_of(payload: bytes) -> str | None:
    """The name of a request that could not be granted, as far as it can be read."""
    try:
        raw = parse_json(payload)
    except WireError:
        return None
    name = raw.get("request") if isinstance(raw, Mapping) else None
    return name if isinstance(name, str) and valid_nonce(name) else None


def _check_request(name: Any) -> None:  # noqa: ANN401 - checked here
    if not valid_nonce(name):
        raise ValueError(f"request must be 1 to {MAX_NONCE_LENGTH} of A-Z a-z 0-9 _ -, but is {shown(name)}")


def _check_moment(key: str, moment: str) -> None:
    if not valid_nonce(moment):
        raise ValueError(f"{key} must be a moment that the hub noted (NOW), but is {shown(moment)}")
