"""What a client asks of its hub beside nonces and replays, until it is answered. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from railwatch.messaging.events import Answered
from railwatch.messaging.requests import (
    MAX_NUMBER,
    NOW_VERB,
    AckRequest,
    NowRequest,
    PossessionRequest,
    ProbeRequest,
    TrainRequest,
    encode_body,
)

REPEAT_S: Final = 1.0
MAX_OPEN: Final = 1024

Asking = AckRequest | ProbeRequest | TrainRequest | PossessionRequest
"""A request that is answered ACKED or REFUSED."""


def new_name() -> str:
    """A name for a request that no other has."""
    return secrets.token_urlsafe(16)


@dataclass(slots=True)
class _Question:
    verb: bytes
    body: Asking
    since_s: float
    due_s: float
    until_s: float

    def message(self) -> tuple[bytes, bytes]:
        """What is to be sent now: a report of trains asks the hub for a moment first."""
        if isinstance(self.body, TrainRequest) and self.body.after is None:
            return NOW_VERB, encode_body(NowRequest(self.body.request))
        return self.verb, encode_body(self.body)


class Questions:
    """Requests on their way: repeated every second, for the hub takes each only once, and told when it is over.

    >>> from railwatch.core.alerts import AckLevel
    >>> from railwatch.messaging.requests import ACK_VERB
    >>> questions = Questions(timeout_s=10.0)
    >>> request = questions.add(ACK_VERB, AckRequest(new_name(), "i1", AckLevel.ACKNOWLEDGED, "anna"), now_s=0.0)
    >>> [verb for verb, payload in questions.due(0.0)], questions.due_s()
    ([b'ACK'], 1.0)
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._open: dict[str, _Question] = {}

    def add(self, verb: bytes, body: Asking, now_s: float) -> str:
        """Take one in; the name under which it will be answered. Raises ValueError when too many wait already."""
        if len(self._open) >= MAX_OPEN:
            raise ValueError(f"at most {MAX_OPEN} requests may wait for an answer")
        self._open[body.request] = _Question(verb, body, now_s, now_s, now_s + self._timeout_s)
        return body.request

    def due(self, now_s: float) -> Iterator[tuple[bytes, bytes]]:
        """Verb and payload of each that is to be sent now. Each that is taken counts as sent."""
        for question in self._open.values():
            if now_s >= question.due_s:
                question.due_s = now_s + REPEAT_S
                yield question.message()

    def due_s(self) -> float:
        """When something is to be sent or given up next."""
        return min((min(item.due_s, item.until_s) for item in self._open.values()), default=float("inf"))

    def noted(self, request: str, moment: str, now_s: float) -> None:
        """The hub noted a moment for a report: from there it counts its age, until there we do.

        Later ones, of a question that was repeated, are left out: the first makes it oldest.
        """
        question = self._open.get(request)
        if question is None or not isinstance(question.body, TrainRequest) or question.body.after is not None:
            return
        age_s = min(question.body.age_s + now_s - question.since_s, MAX_NUMBER - 1.0)
        question.body, question.due_s = replace(question.body, age_s=age_s, after=moment), now_s

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
