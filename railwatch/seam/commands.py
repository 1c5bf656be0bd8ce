"""What the hub asks of a worker, and what the worker answers.

A command is sent again until it is answered or its time is up; a worker carries out each `command_id` once and answers
a repetition with the same `Answer`. Times are durations, for clocks of two machines are never compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from railwatch.core.errors import WireError
from railwatch.seam.codec import as_mapping, dumps, loads, number_of, text_of

MAX_COMMAND_BYTES: Final = 1024 * 1024
"""Longest command in bytes: a Reload carries cameras and zones of a site file of at most 256 KiB."""

MAX_ANSWER_BYTES: Final = 1024 * 1024
"""Longest answer in bytes, its attachment (the picture of a Snapshot) not counted."""

MAX_ATTACHMENT_BYTES: Final = 4 * 1024 * 1024
"""Longest attachment of an answer in bytes."""

MAX_REASON: Final = 500
"""Longest reason in characters."""

MAX_TIMEOUT_S: Final = 3600.0


class CommandKind(Enum):
    """What a worker can be asked for.

    RELOAD takes over cameras, zones and model; ARM begins to observe under a `config_rev`; PROBE tells how the worker
    is and, given a camera, begins a self-test of it; SNAPSHOT gives the newest picture of a camera as JPEG; CUT_CLIP
    cuts a piece of the recording ring.
    """

    RELOAD = "RELOAD"
    ARM = "ARM"
    PROBE = "PROBE"
    SNAPSHOT = "SNAPSHOT"
    CUT_CLIP = "CUT_CLIP"


@dataclass(frozen=True, slots=True)
class Command:
    """One request to a worker. `timeout_s`: seconds from its sending within which an answer is of use."""

    command_id: str
    kind: CommandKind
    timeout_s: float
    body: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= len(self.command_id) <= 64:
            raise ValueError(f"command_id must have 1 to 64 characters, but has {len(self.command_id)}")
        if not 0.0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise ValueError(f"timeout_s must be more than 0, to {MAX_TIMEOUT_S:g}, but is {self.timeout_s}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command: carried out (`ok`) or not, then with the `reason`; and what was asked for."""

    command_id: str
    ok: bool
    reason: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    attachment: bytes = b""


def encode_command(command: Command) -> bytes:
    """A command as UTF-8 JSON; raises WireError when it is longer than a worker takes."""
    plain = {
        "command_id": command.command_id,
        "kind": command.kind.value,
        "timeout_s": command.timeout_s,
        "body": command.body,
    }
    return _bounded(dumps(plain).encode(), MAX_COMMAND_BYTES, "a command")


def decode_command(payload: bytes) -> Command:
    """Read `encode_command`'s bytes; raises WireError for anything else.

    >>> decode_command(encode_command(Command("c1", CommandKind.PROBE, 2.0))).kind
    <CommandKind.PROBE: 'PROBE'>
    """
    data = as_mapping(loads(_bounded(payload, MAX_COMMAND_BYTES, "a command")), _COMMAND_KEYS, "command")
    try:
        kind = CommandKind(data["kind"])
        body = _body(data)
        return Command(text_of(data, "command_id"), kind, number_of(data, "timeout_s"), body)
    except ValueError as error:
        raise WireError(f"command {str(data['command_id'])[:64]!r}: {error}") from error


def encode_answer(answer: Answer) -> tuple[bytes, bytes]:
    """An answer as UTF-8 JSON, and its attachment; raises WireError when one of them is too long."""
    plain = {
        "command_id": answer.command_id,
        "ok": answer.ok,
        "reason": answer.reason[:MAX_REASON],
        "body": answer.body,
    }
    payload = _bounded(dumps(plain).encode(), MAX_ANSWER_BYTES, "an answer")
    return payload, _bounded(answer.attachment, MAX_ATTACHMENT_BYTES, "an attachment")


def decode_answer(payload: bytes, attachment: bytes = b"") -> Answer:
    """Read `encode_answer`'s bytes; raises WireError for anything else."""
    data = as_mapping(loads(_bounded(payload, MAX_ANSWER_BYTES, "an answer")), _ANSWER_KEYS, "answer")
    if not isinstance(data["ok"], bool):
        raise WireError(f"ok must be true or false, but is {data['ok']!r}")
    attachment = _bounded(attachment, MAX_ATTACHMENT_BYTES, "an attachment")
    reason = text_of(data, "reason")[:MAX_REASON]
    return Answer(text_of(data, "command_id"), data["ok"], reason, _body(data), attachment)


_COMMAND_KEYS: Final = ("command_id", "kind", "timeout_s", "body")
_ANSWER_KEYS: Final = ("command_id", "ok", "reason", "body")


def _body(data: dict[str, Any]) -> dict[str, Any]:
    body = data["body"]
    if not isinstance(body, dict):
        raise WireError(f"body must be an object, but is {type(body).__name__}")
    return body


def _bounded(payload: bytes, limit: int, what: str) -> bytes:
    if len(payload) > limit:
        raise WireError(f"{what} must be at most {limit} bytes, but is {len(payload)}")
    return payload
