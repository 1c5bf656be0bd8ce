"""What a feed says of trains, as the report that the decision takes in; and how much of it is taken."""

from __future__ import annotations

from typing import Final

from railwatch.core.types import TrainReport
from railwatch.messaging.requests import Aspect, Barrier, TrainRequest

A_SECOND: Final = 50
"""Reports of one source that are taken in a second: those of 64 tracks would fit once."""


def report_of(asked: TrainRequest, waited_s: float) -> TrainReport:
    """The report behind a request: whatever makes the train come soonest counts.

    An occupied track, barriers that are down and a signal that shows proceed mean a train: now, unless it is told when.
    A signal at stop proves nothing, for trains pass signals at stop; nor do barriers that are up. `waited_s` are the
    seconds since the moment that it names: for so long it may have been on its way, so much older it is taken to be.

    >>> told = TrainRequest("r1", "counter", "up", "east", seq=7, age_s=0.5, occupied=True, eta_s=40.0)
    >>> report_of(told, waited_s=0.25).eta_s, report_of(told, waited_s=0.25).age_s
    (0.0, 0.75)
    """
    eta_s = asked.eta_s
    if asked.occupied or (eta_s is None and (asked.barrier is Barrier.DOWN or asked.signal is Aspect.PROCEED)):
        eta_s = 0.0
    return TrainReport(
        asked.rail_track_id,
        asked.direction,
        eta_s,
        None if asked.occupied else asked.distance_m,
        asked.speed_mps,
        asked.source,
        asked.seq,
        asked.age_s + waited_s,
        asked.authoritative,
    )


class FeedRate:
    """Counts the reports of every source, so that one that runs wild does not hold up the others.

    >>> rate = FeedRate()
    >>> all(rate.allows("feed", 0.0) for _ in range(A_SECOND)), rate.allows("feed", 0.5), rate.allows("feed", 1.0)
    (True, False, True)
    """

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}

    def allows(self, source: str, now_s: float) -> bool:
        """Whether one more report of a source, which the site knows, is taken at `now_s` (seconds)."""
        second = int(now_s)
        before, count = self._counts.get(source, (second, 0))
        count = count + 1 if before == second else 1
        self._counts[source] = (second, count)
        return count <= A_SECOND
