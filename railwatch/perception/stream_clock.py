"""The time of a frame of a live stream: its time stamp, brought to this machine's monotonic clock.

The stamp says when the camera took the frame, on a clock that begins anywhere; the arrival says when it came here, late
by whatever the network held it up. The least delay seen is taken for none: so a frame that waited in a buffer is as old
as it is, and one that is flushed after a stall is never taken for a fresh one.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

MAX_LATE_S: Final = 0.7
"""A frame that came later than this behind the quickest ones is stale: it says nothing about now."""

SETTLE_S: Final = 0.4
"""A stream is believed to be at its own pace when for so long ..."""

STEADY_S: Final = 0.15
"""... the delay of its frames was the same within this: a buffer that is flushed is faster than time."""

LEAK: Final = 5e-4
"""How much slower than ours the clock of a camera may go: the least delay is forgotten at this rate."""


class Stamped(NamedTuple):
    """When a frame was taken, seconds of the monotonic clock, and whether it tells about now."""

    t_s: float
    fresh: bool


class StreamClock:
    """Follows one stream. Stamps may jump and begin anew; after a stall and at the beginning it waits for its pace.

    >>> clock = StreamClock()
    >>> [clock.stamp(n / 10, 50.0 + n / 10).fresh for n in range(7)]
    [False, False, False, False, True, True, True]
    >>> clock.stamp(0.7, 52.7)
    Stamped(t_s=50.7, fresh=False)
    """

    def __init__(self) -> None:
        self._delay_s: float | None = None
        self._arrived_s = self._last_s = float("-inf")
        self._waiting: deque[tuple[float, float]] = deque()

    def stamp(self, pts_s: float | None, arrived_s: float) -> Stamped:
        """The time of a frame with the stamp `pts_s` that was decoded at `arrived_s`; without a stamp, that is it."""
        if pts_s is None:
            return Stamped(self._rising(arrived_s), fresh=True)
        delay_s = arrived_s - pts_s
        late_s = 0.0 if self._delay_s is None else delay_s - self._delay_s
        if self._delay_s is None or not -MAX_LATE_S <= late_s <= MAX_LATE_S:
            return self._unsettled(pts_s, arrived_s, delay_s)
        self._waiting.clear()
        passed_s = max(0.0, arrived_s - self._arrived_s)
        self._arrived_s = arrived_s
        self._delay_s = min(delay_s, self._delay_s + LEAK * passed_s)
        return Stamped(self._rising(min(arrived_s, pts_s + self._delay_s)), fresh=True)

    def _unsettled(self, pts_s: float, arrived_s: float, delay_s: float) -> Stamped:
        """A frame at the beginning, after a stall or after a jump of the stamps."""
        waiting = self._waiting
        if waiting and not abs(delay_s - waiting[-1][1]) <= MAX_LATE_S:
            waiting.clear()
        waiting.append((arrived_s, delay_s))
        while len(waiting) > 2 and arrived_s - waiting[1][0] >= SETTLE_S:
            waiting.popleft()
        delays = [entry[1] for entry in waiting]
        at_pace = max(delays) - min(delays) <= STEADY_S
        if at_pace and arrived_s - waiting[0][0] >= SETTLE_S - 1e-9:
            waiting.clear()
            self._delay_s, self._arrived_s = min(delays), arrived_s
            return Stamped(self._rising(min(arrived_s, pts_s + self._delay_s)), fresh=True)
        guess_s = arrived_s if self._delay_s is None else pts_s + self._delay_s
        return Stamped(min(arrived_s, guess_s), fresh=False)

    def _rising(self, t_s: float) -> float:
        """Times of frames never go backwards."""
        self._last_s = max(t_s, self._last_s)
        return self._last_s
