"""When a worker that ended is started again: soon at first, then later and later, never never."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
BUDGET: Final = 8
BUDGET_S: Final = 300.0
"""So many starts in so many seconds are the budget; when it is used up, that is an alarm of the system."""

EXHAUSTED_S: Final = 60.0
STEADY_S: Final = 60.0
"""A worker that was armed for so long counts as sound: its next failure is a first one."""


class Restarts:
    """The restarts of one worker group. `chance` gives numbers in [0, 1): jitter, so that workers do not start in step.

    >>> restarts = Restarts(lambda: 0.0)
    >>> [restarts.delay_s(now_s) for now_s in (0.0, 1.0, 2.0)]
    [0.5, 1.0, 2.0]
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._failed: deque[float] = deque(maxlen=BUDGET + 1)
        self._row = 0

    @property
    def exhausted(self) -> bool:
        """Whether the budget is used up: the last failures came faster than it allows."""
        return len(self._failed) > BUDGET and self._failed[-1] - self._failed[0] <= BUDGET_S

    def delay_s(self, now_s: float) -> float:
        """Take note of a failure at `now_s`; seconds until the next start."""
        self._failed.append(now_s)
        if self.exhausted:
            return EXHAUSTED_S * (1.0 + 0.25 * self._chance())
        wait_s = min(LONGEST_S, FIRST_S * 2.0**self._row)
        self._row += 1
        return wait_s * (1.0 + 0.5 * self._chance())

    def steady(self) -> None:
        """The worker has been armed for STEADY_S: forget the failures before."""
        self._failed.clear()
        self._row = 0
