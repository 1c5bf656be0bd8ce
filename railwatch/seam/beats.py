"""How old an Observation is at most, on the hub's clock alone.

The hub numbers its beats and remembers when it sent each. A worker sends back the number of the last beat that it had
seen when the frame was taken: the frame is not older than that beat. So what waited anywhere, in a buffer, a frozen
process, a network, is noticed, and no two clocks are compared.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

BEAT_INTERVAL_S: Final = 0.25
KEPT: Final = 64
"""Beats remembered: an Observation older than all of them is too old by far."""


class Beats:
    """The beats of one hub. Times are seconds of the hub's clock.

    >>> beats = Beats()
    >>> number = beats.next(10.0)
    >>> beats.age_s(number, 10.5), beats.age_s(number + 1, 10.5)
    (0.5, None)
    """

    def __init__(self) -> None:
        self._sent: OrderedDict[int, float] = OrderedDict()
        self._last = 0

    def due_in_s(self, now_s: float) -> float:
        """Seconds until the next beat is due; 0 when it is."""
        if not self._sent:
            return 0.0
        return max(0.0, self._sent[self._last] + BEAT_INTERVAL_S - now_s)

    def next(self, now_s: float) -> int:
        """The number of the beat that is sent now."""
        self._last += 1
        self._sent[self._last] = now_s
        if len(self._sent) > KEPT:
            self._sent.popitem(last=False)
        return self._last

    def age_s(self, number: int, now_s: float) -> float | None:
        """Seconds since this beat was sent; None for one that is forgotten or was never sent."""
        sent_s = self._sent.get(number)
        return None if sent_s is None else now_s - sent_s


def beat_number(frame: bytes) -> int | None:
    """Read the number of a beat, at most 18 digits; None for anything else.

    >>> beat_number(b"17"), beat_number(b"-1"), beat_number(b"")
    (17, None, None)
    """
    return int(frame) if len(frame) <= 18 and frame.isdigit() else None
