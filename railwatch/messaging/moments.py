"""Moments of a hub: what a feed must name, so that the hub itself counts how long a report may have been on its way.

A report that waited in a line, or in a hub that was stopped, looks as new as any other when it comes. So a feed asks
the hub for a moment first (NOW) and names it in the report: the report was sent after that moment, and has been on its
way no longer than the time since. Only the hub's own clock is asked.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from hashlib import blake2b

from railwatch.core.clock import elapsed_s


class Moments:
    """The moments of one run of a hub. They are sealed, so that nothing is kept of those that are given out.

    `clock` gives seconds that never jump; it must be the one on which reports are aged.

    >>> moments = Moments(clock=lambda: 12.5)
    >>> moments.since_s(moments.now(), 14.0), moments.since_s("12500-made-up", 14.0)
    (1.5, None)
    """

    def __init__(self, clock: Callable[[], float] = elapsed_s) -> None:
        self._clock, self._secret = clock, secrets.token_bytes(16)

    def now(self) -> str:
        """This moment, to the millisecond before it: at most 64 of ``0-9 a-f -``."""
        stamp = str(int(self._clock() * 1000))
        return f"{stamp}-{self._seal(stamp)}"

    def since_s(self, moment: str, now_s: float) -> float | None:
        """Seconds from a moment until `now_s`, at least 0; None for one that this run has not given."""
        stamp, _, seal = moment.partition("-")
        if not hmac.compare_digest(seal.encode(), self._seal(stamp).encode()):
            return None
        return max(0.0, now_s - int(stamp) / 1000)

    def _seal(self, stamp: str) -> str:
        return blake2b(stamp.encode(), key=self._secret, digest_size=16).hexdigest()
