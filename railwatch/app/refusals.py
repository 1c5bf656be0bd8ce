"""What the hub did not believe: counted, and told now and then, so that a flood of it does not flood the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SAY_INTERVAL_S: Final = 10.0
MAX_KINDS: Final = 20


class Refusals:
    """Counts refusals by who was refused and why.

    >>> said = []
    >>> refusals = Refusals(said.append)
    >>> for _ in range(3):
    ...     refusals.note("worker main", "too late")
    >>> refusals.say_some(0.0)
    >>> said
    ['refused 3 times, worker main: too late']
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._counts: dict[str, int] = {}
        self._next_s = float("-inf")

    def note(self, name: str, reason: str) -> None:
        """Count one refusal."""
        key = f"{name}: {reason}"
        if key in self._counts or len(self._counts) < MAX_KINDS:
            self._counts[key] = self._counts.get(key, 0) + 1

    def say_some(self, now_s: float) -> None:
        """Tell what was counted, at most every SAY_INTERVAL_S seconds."""
        if self._counts and now_s >= self._next_s:
            self._next_s = now_s + SAY_INTERVAL_S
            for text, times in self._counts.items():
                self._say(f"refused {times} times, {text}")
            self._counts.clear()
