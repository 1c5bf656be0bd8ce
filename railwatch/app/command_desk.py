"""Commands on their way: sent again until they are answered or their time is up, and answered exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from railwatch.seam.commands import Answer, Command

RESEND_S: Final = 1.0
MAX_OPEN: Final = 256
"""Commands that may wait for an answer; one more is refused."""

OnAnswer = Callable[[Answer], None]


@dataclass(slots=True)
class _Asked:
    peer: bytes
    command: Command
    beat: int
    on_answer: OnAnswer
    deadline_s: float
    next_s: float


class CommandDesk:
    """All commands without an answer yet. Times are seconds of the hub's clock.

    `on_answer` is called once for every command: with the worker's answer, or with a refusal when the worker is gone or
    the deadline has passed.
    """

    def __init__(self) -> None:
        self._asked: dict[str, _Asked] = {}

    def ask(self, peer: bytes, command: Command, beat: int, on_answer: OnAnswer, now_s: float) -> None:
        """Ask a worker; `beat` is the number of the last beat that was sent. Repeating an id changes nothing."""
        if command.command_id in self._asked:
            return
        if len(self._asked) >= MAX_OPEN:
            on_answer(Answer(command.command_id, ok=False, reason=f"{MAX_OPEN} commands are waiting already"))
            return
        self._asked[command.command_id] = _Asked(peer, command, beat, on_answer, now_s + command.timeout_s, now_s)

    def due(self, now_s: float) -> list[tuple[bytes, Command, int]]:
        """What is to be sent now, with the beat of its asking; a command whose time is up is answered here."""
        for name, asked in list(self._asked.items()):
            if now_s >= asked.deadline_s:
                self._end(name, f"no answer within {asked.command.timeout_s:g} s")
        sending = [asked for asked in self._asked.values() if now_s >= asked.next_s]
        for asked in sending:
            asked.next_s = now_s + RESEND_S
        return [(asked.peer, asked.command, asked.beat) for asked in sending]

    def answered(self, peer: bytes, answer: Answer) -> None:
        """Take in an answer; one that nobody waits for, or of another worker, is ignored."""
        asked = self._asked.get(answer.command_id)
        if asked is not None and asked.peer == peer:
            del self._asked[answer.command_id]
            asked.on_answer(answer)

    def gone(self, peer: bytes, reason: str) -> None:
        """The worker is gone: its commands are refused."""
        for name, asked in list(self._asked.items()):
            if asked.peer == peer:
                self._end(name, reason)

    def _end(self, name: str, reason: str) -> None:
        asked = self._asked.pop(name)
        asked.on_answer(Answer(name, ok=False, reason=reason))
