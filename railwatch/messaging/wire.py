"""The bytes on the wire: topics, and JSON of `Alert` and `Status`. docs/wire.md is the same for people.

A message has two frames, topic and payload. The payload is compact UTF-8 JSON with the keys in the order of the
dataclass, so that equal values are equal bytes. Reading is strict: a message that is not exactly right is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote

from railwatch.core.alerts import SCHEMA_VERSION, Alert, Status
from railwatch.core.errors import WireError
from railwatch.messaging.plain import from_plain, shown, to_plain

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""No payload is larger, in either direction."""

MAX_DEPTH: Final = 8
"""Deepest nesting of lists and objects that is read; our own messages have 3."""

MAX_NONCE_LENGTH: Final = 64
NONCE_VERB: Final = b"NONCE"
"""First frame of a request that asks for a nonce to be echoed; the second frame is the nonce."""

_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NESTING: Final = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)
_REASON_LENGTH: Final = 200

_Message = TypeVar("_Message", Alert, Status)


def alert_topic(site_id: str, section_id: str) -> bytes:
    """Topic of the alerts of one section. Identifiers are percent-encoded, so that a slash in one cuts nothing.

    >>> alert_topic("yard", "km 4/5")
    b'alert/yard/km%204%2F5'
    """
    return f"alert/{_quoted(site_id)}/{_quoted(section_id)}".encode()


def status_topic(site_id: str) -> bytes:
    """Topic of the Status of a site.

    >>> status_topic("yard")
    b'status/yard'
    """
    return f"status/{_quoted(site_id)}".encode()


def subscriptions(site_id: str | None = None) -> tuple[bytes, ...]:
    """Prefixes to subscribe to for all alerts and the Status, of one site or of all.

    >>> subscriptions("yard")
    (b'alert/yard/', b'status/yard')
    """
    if site_id is None:
        return b"alert/", b"status/"
    return f"alert/{_quoted(site_id)}/".encode(), status_topic(site_id)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic taken apart; `section_id` is None for a Status."""

    site_id: str
    section_id: str | None


def parse_topic(topic: bytes) -> Topic:
    """Take a topic apart; raises WireError when it is none of ours.

    >>> parse_topic(b"alert/yard/km%204%2F5")
    Topic(site_id='yard', section_id='km 4/5')
    """
    try:
        kind, *parts = [unquote(part, errors="strict") for part in topic.decode("ascii").split("/")]
    except UnicodeDecodeError:
        raise WireError(f"topic must be percent-encoded UTF-8, but is {shown(topic)}") from None
    # Made again and compared: each pair of identifiers has one topic, so that filters cannot be slipped past.
    if kind == "alert" and len(parts) == 2 and alert_topic(parts[0], parts[1]) == topic:
        return Topic(parts[0], parts[1])
    if kind == "status" and len(parts) == 1 and status_topic(parts[0]) == topic:
        return Topic(parts[0], None)
    raise WireError(f"topic must be alert/<site_id>/<section_id> or status/<site_id>, but is {shown(topic)}")


def valid_nonce(nonce: str) -> bool:
    """Whether a nonce may be sent and echoed: 1 to 64 letters, digits, underscores or hyphens.

    >>> valid_nonce("k3-x"), valid_nonce('"'), valid_nonce("x" * 65)
    (True, False, False)
    """
    return _NONCE.fullmatch(nonce) is not None


def encode_alert(alert: Alert) -> bytes:
    """The payload of an alert: at most 64 KiB, an alert too long for that is cut as `bound_alert` says.

    Raises:
        WireError: A value is of the wrong type or not finite, or even the identifiers alone are too long.
    """
    return _encode(bound_alert(alert), Alert)


def alert_document(alert: Alert) -> dict[str, Any]:
    """The alert as on the wire, as plain JSON values: for files that add keys of their own."""
    document: dict[str, Any] = to_plain(bound_alert(alert), Alert, "")
    return document


def decode_alert(payload: bytes) -> Alert:
    """Read an alert; raises WireError, which names the key, for anything that is not exactly one."""
    return _decode(payload, Alert)


def encode_status(status: Status) -> bytes:
    """The payload of a Status; reasons of cameras are shortened when it would be larger than 64 KiB.

    Raises:
        WireError: A value is of the wrong type or not finite, a nonce is not allowed, or it is larger even so.
    """
    if len(_dump(status, Status)) > MAX_MESSAGE_BYTES:
        cameras = {
            name: replace(camera, reason=camera.reason[:_REASON_LENGTH]) for name, camera in status.cameras.items()
        }
        status = replace(status, cameras=cameras)
    payload = _encode(status, Status)
    _check_nonces(status)
    return payload


def status_document(status: Status) -> dict[str, Any]:
    """The Status as on the wire, as plain JSON values."""
    document: dict[str, Any] = to_plain(status, Status, "")
    return document


def decode_status(payload: bytes) -> Status:
    """Read a Status; raises WireError, which names the key, for anything that is not exactly one."""
    return _check_nonces(_decode(payload, Status))


def bound_alert(alert: Alert) -> Alert:
    """The alert itself, or what of it fits in 64 KiB: the alarm always goes out, and `why` says what was left out.

    Objects are left out from the end of the list (the first are those that matter most); only if the alert is too
    long without any, `evidence` is left out and `why` is shortened.
    """
    if len(_dump(alert, Alert)) <= MAX_MESSAGE_BYTES:
        return alert
    total = len(alert.objects)

    def with_objects(count: int) -> Alert:
        note = f" [{total - count} of {total} objects left out: the message would be too long]"
        return replace(alert, objects=alert.objects[:count], why=alert.why + note)

    def with_text(length: int) -> Alert:
        note = f" [shortened; {total} objects left out: the message would be too long]"
        return replace(alert, objects=(), evidence=None, why=alert.why[:length] + note)

    count = _largest_that_fits(total - 1, with_objects)
    if count is not None:
        return with_objects(count)
    length = _largest_that_fits(len(alert.why), with_text)
    return with_text(length or 0)


def _largest_that_fits(most: int, candidate: Callable[[int], Alert]) -> int | None:
    """Largest number from 0 to `most` whose candidate fits, or None; sizes grow with the number."""
    low, high = -1, most
    while low < high:
        middle = (low + high + 1) // 2
        if len(_dump(candidate(middle), Alert)) <= MAX_MESSAGE_BYTES:
            low = middle
        else:
            high = middle - 1
    return low if low >= 0 else None


def _quoted(identifier: str) -> str:
    try:
        return quote(identifier, safe="")
    except UnicodeEncodeError:
        raise WireError(f"an identifier must be text that UTF-8 can hold, but is {shown(identifier)}") from None


def _dump(message: Alert | Status, kind: type) -> bytes:
    plain = to_plain(message, kind, "")
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _encode(message: Alert | Status, kind: type) -> bytes:
    if message.schema_version != SCHEMA_VERSION:
        raise WireError(f"schema_version must be {SCHEMA_VERSION}, but is {shown(message.schema_version)}")
    payload = _dump(message, kind)
    if len(payload) > MAX_MESSAGE_BYTES:
        raise WireError(
            f"{kind.__name__} must be at most {MAX_MESSAGE_BYTES} bytes, but is {len(payload)}: shorten identifiers"
        )
    return payload


def _decode(payload: bytes, kind: type[_Message]) -> _Message:
    raw = parse_json(payload)
    if isinstance(raw, dict):
        version = raw.get("schema_version", SCHEMA_VERSION)
        if isinstance(version, bool) or version != SCHEMA_VERSION:
            raise WireError(
                f"schema_version must be {SCHEMA_VERSION}, but is {shown(version)}: update the older program"
            )
    message: _Message = from_plain(raw, kind, "")
    return message


def parse_json(payload: bytes) -> object:
    """Read JSON as all messages are read: bounded in size and depth, no key twice, no NaN. Raises WireError."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise WireError(f"a message must be at most {MAX_MESSAGE_BYTES} bytes, but has {len(payload)}")
    opened = payload.count(b"{") + payload.count(b"[")  # as deep as that at most; counting is 20 times faster
    if opened > MAX_DEPTH and _depth(payload) > MAX_DEPTH:
        raise WireError(f"a message must be nested at most {MAX_DEPTH} deep")
    try:
        return json.loads(payload.decode(), object_pairs_hook=_no_repetition, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message must be JSON in UTF-8: {shown(str(error))}") from error


def _depth(payload: bytes) -> int:
    """Deepest nesting outside of strings; found before parsing, which would recurse as deep as the sender likes."""
    depth = deepest = 0
    in_string = False
    for found in _NESTING.finditer(payload):
        token = found.group()
        if token == b'"':
            in_string = not in_string
        elif not in_string and token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif not in_string and token in b"]}":
            depth -= 1
    return deepest


def _no_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise WireError(f"key {shown(next(key for key in keys if keys.count(key) > 1))} is given twice")
    return found


def _no_constant(name: str) -> object:
    raise WireError(f"numbers must be finite, but one is {name}")


def _check_nonces(status: Status) -> Status:
    for nonce in status.nonces:
        if not valid_nonce(nonce):
            raise WireError(f"nonces must be 1 to {MAX_NONCE_LENGTH} of A-Z a-z 0-9 _ -, but one is {shown(nonce)}")
    return status
