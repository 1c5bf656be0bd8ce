"""What a client asks of its hub beside nonces and replays: acknowledgements, until they are answered. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from railwatch.core.alerts import AckLevel
from railwatch.messaging.events import Answered
from railwatch.messaging.requests import AckRequest, encode_body

REPEAT_S: Final = 1.0
MAX_OPEN: Final = 1024


@dataclass(slots=True)
class _Question:
    payload: bytes
    due_s: float
    until_s: float


class Acknowledgements:
    """Acknowledgements on their way: repeated every second, for the hub takes each only once, and told when it is over.

    >>> acknowledgements = Acknowledgements(timeout_s=10.0)
    >>> request = acknowledgements.add("i1", AckLevel.ACKNOWLEDGED, "anna", now_s=0.0)
    >>> [len(payload) > 0 for payload in acknowledgements.due(0.0)], acknowledgements.due_s()
    ([True], 1.0)
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._open: dict[str, _Question] = {}

    def add(self, incident_id: str, level: AckLevel, by: str, now_s: float) -> str:
        """Take one in; the name under which it will be answered. Raises ValueError for texts out of bounds."""
        if len(self._open) >= MAX_OPEN:
            raise ValueError(f"at most {MAX_OPEN} acknowledgements may wait for an answer")
        body = AckRequest(secrets.token_urlsafe(16), incident_id, level, by)
        self._open[body.request] = _Question(encode_body(body), now_s, now_s + self._timeout_s)
        return body.request

    def due(self, now_s: float) -> Iterator[bytes]:
        """Payloads to send now. Each that is taken counts as sent."""
        for question in self._open.values():
            if now_s >= question.due_s:
                question.due_s = now_s + REPEAT_S
                yield question.payload

    def due_s(self) -> float:
        """When something is to be sent or given up next."""
        return min((min(item.due_s, item.until_s) for item in self._open.values()), default=float("inf"))

    def answered(self, request: str | None, *, accepted: bool, reason: str = "") -> list[Answered]:
        """An answer came; one to nothing that was asked is dropped."""
        if request is None or self._open.pop(request, None) is None:
            return []
        return [Answered(request, accepted, reason)]

    def lapsed(self, now_s: float) -> list[Answered]:
        """Those whose time is over. Whether the hub has them nobody knows: a Status shows it."""
        late = [name for name, item in self._open.items() if now_s >= item.until_s]
        for name in late:
            del self._open[name]
        return [Answered(name, False, f"no answer came within {self._timeout_s:g} s") for name in late]
