"""Every alert once and in order, whatever arrives. Pure: the clock is an argument, there is no socket here.

Live alerts come in the order of sending; some may be lost. What is missing is asked for, and live alerts wait
meanwhile. A hub without a journal refuses, one that hangs does not answer: then what is missing is told as a gap.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum
from typing import Final

from railwatch.core.alerts import Alert, Epoch
from railwatch.messaging.events import AlertAhead, AlertReceived, Event, Gap, HistoryLost, OpenIncidents, Restarted
from railwatch.messaging.requests import Mark, Replayed, ReplayRequest
from railwatch.messaging.wire import decode_alert

REMEMBERED: Final = 4096
"""Alerts whose content is remembered, where a hub without a journal may begin to count anew."""

HELD_LIMIT: Final = 4096
"""Live alerts that wait while earlier ones are fetched; beyond it they are fetched as well."""

ANSWER_S: Final = 1.0
"""After so long without an answer the question is put again."""

AGAIN_S: Final = 0.05
"""Pause before a question whose answer brought nothing new is put again."""

_MAX_ASKED: Final = 8
_LONGEST_SILENCE_S: Final = 1.0


class History(Enum):
    """What a client that was never there before wants of the past."""

    NOTHING = "nothing"
    EPOCH = "epoch"
    """What was sent since the hub was started."""
    ALL = "all"
    """All that the hub's journal holds."""


def digest(payload: bytes) -> bytes:
    """What two copies of one alert have in common; `journaled` may differ between them."""
    return hashlib.sha256(payload.replace(b'"journaled":true', b'"journaled":false')).digest()


class Ordering:
    """Follows the alerts of one hub, live and replayed.

    Args:
        at: Up to where a client before this one has taken everything (site, mark); None if there was none.
        history: What is wanted of the past in that case.
        patience_s: Seconds after which what is missing is given up: without progress while the hub is heard, or while
            an alert waits. Infinite for those who must have everything.
        new_request: Makes names of requests.

    >>> ordering = Ordering(None, History.EPOCH, 5.0, iter("abc").__next__)
    >>> ordering.status("yard", Epoch("j", 1), 3, now_s=0.0)
    []
    >>> ordering.request(now_s=0.0)
    ReplayRequest(request='a', after=Mark(epoch=Epoch(journal_id='j', boot=1), seq=0), open=True)
    """

    def __init__(
        self, at: tuple[str, Mark] | None, history: History, patience_s: float, new_request: Callable[[], str]
    ) -> None:
        self._from, self._history = at, history
        self._patience_s, self._new_request = patience_s, new_request
        self._source: tuple[str, Epoch] | None = None
        self._at: Mark | None = None
        self._target = 0
        self._held: deque[tuple[Alert, bytes]] = deque()
        self._digests: OrderedDict[int, bytes] = OrderedDict()
        self._journaled = self._filling = self._want_open = False
        self._asked: OrderedDict[str, Mark | None] = OrderedDict()
        self._ask_from_s = self._waited_s = self._heard_s = self._held_s = 0.0
        self.began_at: Mark | None = None

    @property
    def filling(self) -> bool:
        """Whether something is missing and being asked for."""
        return self._filling

    def alert(self, alert: Alert, payload: bytes, now_s: float) -> tuple[bool, list[Event]]:
        """Take in a live alert: whether it is new, and what is to be told."""
        told = self._hear(now_s) + self._follow(alert.site_id, alert.epoch, alert.seq - 1, now_s)
        if self._at is not None and self._is_later(self._at.epoch, alert.epoch):
            return False, told  # fetched already, from the hub that followed
        if self._at is not None and self._at.epoch == alert.epoch and alert.seq <= self._at.seq:
            if self._journaled or self._digests.get(alert.seq) == digest(payload):
                return False, told
            told.append(self._begin(alert.site_id, alert.epoch, now_s))
        self._target = max(self._target, alert.seq)
        if not self._filling and self._at == Mark(alert.epoch, alert.seq - 1):
            return True, [*told, self._hand_over(alert, payload, replayed=False)]
        self._fill(now_s)
        last = self._held[-1][0] if self._held else None
        if last is not None and last.epoch == alert.epoch and alert.seq <= last.seq:
            return False, told
        if not self._held:
            self._held_s = now_s
        if len(self._held) < HELD_LIMIT:
            self._held.append((alert, payload))
        return True, [*told, AlertAhead(alert)]

    def status(self, site_id: str, epoch: Epoch, seq_last: int, now_s: float) -> list[Event]:
        """Take in a Status, which comes after the `seq_last` alerts that it counts."""
        told = self._hear(now_s) + self._follow(site_id, epoch, seq_last, now_s)
        counted = self._at.seq if self._at is not None and self._at.epoch == epoch else 0
        if seq_last < max(counted, self._target) and not self._journaled:
            told.append(self._begin(site_id, epoch, now_s))
        self._target = max(self._target, seq_last)
        ahead = self._at is not None and self._is_later(self._at.epoch, epoch)
        if self._at != Mark(epoch, self._target) and not ahead:
            self._fill(now_s)
        return told

    def request(self, now_s: float) -> ReplayRequest | None:
        """What is to be asked now, if anything; call `asked` when it has gone out."""
        if now_s < self._ask_due_s():
            return None
        return ReplayRequest(self._new_request(), self._at, self._want_open)

    def asked(self, request: ReplayRequest, now_s: float) -> None:
        """The question is out; it is put again if no answer comes."""
        self._asked[request.request] = request.after
        if len(self._asked) > _MAX_ASKED:
            self._asked.popitem(last=False)
        self._ask_from_s = now_s + ANSWER_S

    def replayed(self, answer: Replayed, now_s: float) -> list[Event]:
        """Take in an answer; one that begins elsewhere is dropped. Raises WireError if it holds what is no alert."""
        if answer.header.request not in self._asked or self._source is None:
            return []
        after = self._asked.pop(answer.header.request)
        if after != self._at:
            return []
        self._journaled, self._ask_from_s = True, now_s
        told: list[Event] = []
        if self._want_open:
            self._want_open = False
            told.append(OpenIncidents(self._source[0], tuple(decode_alert(payload) for payload in answer.open)))
        if not self._filling:
            return told
        if not answer.header.known and after is not None:
            told.append(HistoryLost(self._source[0], after))
        before = self._at
        for payload in answer.alerts:
            told += self._take_replayed(decode_alert(payload), payload)
        moved = self._at != before
        self._waited_s = 0.0 if moved else self._waited_s
        if not answer.header.more:
            told += self._finish(moved, now_s)
        return told

    def refused(self, request: str | None, now_s: float) -> list[Event]:
        """The hub does not replay."""
        if request is None or request not in self._asked:
            return []
        self._asked.clear()
        self._want_open, self._ask_from_s, self._journaled = False, now_s, False
        return self._give_up()

    def tick(self, now_s: float) -> list[Event]:
        """Time went by: an alert that waits is handed over when patience ends, also when the hub has gone silent."""
        return self._give_up() if self._held and now_s - self._held_s >= self._patience_s else []

    def due_s(self) -> float:
        """When to call `request` or `tick` next."""
        return min(self._ask_due_s(), self._held_s + self._patience_s if self._held else float("inf"))

    def _ask_due_s(self) -> float:
        return self._ask_from_s if self._filling or self._want_open else float("inf")

    def _hear(self, now_s: float) -> list[Event]:
        """The hub is heard: what it does not give is given up when patience ends. Silence does not count as waiting."""
        self._waited_s += min(max(0.0, now_s - self._heard_s), _LONGEST_SILENCE_S) if self._filling else 0.0
        self._heard_s = now_s
        return self._give_up() if self._filling and self._waited_s >= self._patience_s else []

    def _follow(self, site_id: str, epoch: Epoch, seq_before: int, now_s: float) -> list[Event]:
        """Note who speaks; `seq_before` alerts of the epoch were sent before this message."""
        if self._source == (site_id, epoch):
            return []
        if self._source is not None:
            return [self._begin(site_id, epoch, now_s)]
        self._source, self._want_open = (site_id, epoch), True
        self._ask_from_s = now_s
        told: list[Event] = []
        if self._from is not None and self._from[0] == site_id:
            self._at = self._from[1]
            if self._at.epoch != epoch:
                self._fill(now_s)
        elif self._from is not None:
            told.append(HistoryLost(*self._from))
            self._at = Mark(epoch, 0)
        elif self._history is History.ALL:
            self._fill(now_s)
        else:
            self._at = Mark(epoch, seq_before if self._history is History.NOTHING else 0)
            self._target = self._at.seq
            self.began_at = self._at
        return told

    def _begin(self, site_id: str, epoch: Epoch, now_s: float) -> Restarted:
        """The hub was started anew: what it sent before may not have arrived, so it is asked for first."""
        previous = self._source[1] if self._source is not None else epoch
        self._source, self._target, self._want_open = (site_id, epoch), 0, True
        self._digests.clear()
        self._asked.clear()
        self._ask_from_s, self._waited_s = now_s, 0.0
        if previous == epoch:  # a hub without a journal: nothing of the earlier count is left
            self._at, self._filling, self._journaled = Mark(epoch, 0), False, False
            self._held.clear()
        else:
            self._fill(now_s)
        return Restarted(previous, epoch)

    def _fill(self, now_s: float) -> None:
        if not self._filling:
            self._filling, self._waited_s = True, 0.0
            self._ask_from_s = self._ask_from_s if self._asked else now_s

    def _hand_over(self, alert: Alert, payload: bytes, *, replayed: bool) -> AlertReceived:
        self._at = Mark(alert.epoch, alert.seq)
        if not self._journaled:
            self._digests[alert.seq] = digest(payload)
            if len(self._digests) > REMEMBERED:
                self._digests.popitem(last=False)
        return AlertReceived(alert, payload, replayed)

    def _take_replayed(self, alert: Alert, payload: bytes) -> list[Event]:
        if self._at is not None and self._at.epoch == alert.epoch and alert.seq <= self._at.seq:
            return []
        told = self._leave(alert.epoch)
        return [*told, *self._gap_before(alert), self._hand_over(alert, payload, replayed=True)]

    def _leave(self, epoch: Epoch) -> list[Event]:
        """Before another epoch begins: what waits of this one is in no journal, for its hub died before."""
        told: list[Event] = []
        while self._at is not None and self._at.epoch != epoch and self._held:
            alert, payload = self._held[0]
            if alert.epoch != self._at.epoch:
                break
            self._held.popleft()
            if alert.seq > self._at.seq:
                told += [*self._gap_before(alert), self._hand_over(alert, payload, replayed=False)]
        return told

    def _is_later(self, one: Epoch, other: Epoch) -> bool:
        """Whether an epoch began after another; of two journals, the one that speaks now is the later."""
        if one.journal_id == other.journal_id:
            return one.boot > other.boot
        return self._source is not None and one == self._source[1]

    def _gap_before(self, alert: Alert) -> list[Event]:
        """What is missing between what was handed over and this alert of the same epoch, or the first of a new one."""
        if self._at is None:
            return []
        first = self._at.seq + 1 if self._at.epoch == alert.epoch else 1
        return [Gap(alert.epoch, first, alert.seq - 1)] if alert.seq > first else []

    def _finish(self, moved: bool, now_s: float) -> list[Event]:
        """There is nothing more to be had now: hand over what waited, and see whether that is all."""
        if self._source is None:
            return []
        epoch = self._source[1]
        told: list[Event] = []
        if self._at is not None and self._is_later(self._at.epoch, epoch):
            self._filling = False  # a hub has answered that is not yet heard: nothing of this one is missing
            return told
        if self._at is None or self._at.epoch != epoch:
            told += self._leave(epoch)
            self._at = Mark(epoch, 0)
        told += self._release(with_gaps=False)
        if self._at.seq >= self._target:
            self._filling = False
        elif not moved:
            self._ask_from_s = now_s + AGAIN_S
        return told

    def _release(self, *, with_gaps: bool) -> list[Event]:
        """Hand over the live alerts that waited, as far as nothing is missing before them, or also beyond."""
        told: list[Event] = []
        while self._held and self._source is not None:
            alert, payload = self._held[0]
            here = self._at is not None and self._at.epoch == alert.epoch
            past = self._at is not None and self._is_later(self._at.epoch, alert.epoch)
            if past or (self._at is not None and here and alert.seq <= self._at.seq):
                self._held.popleft()
                continue
            gap = self._gap_before(alert)
            if gap and not with_gaps:
                break
            self._held.popleft()
            told += [*gap, self._hand_over(alert, payload, replayed=False)]
        return told

    def _give_up(self) -> list[Event]:
        if not self._filling or self._source is None:
            return []
        told = self._release(with_gaps=True)
        epoch = self._source[1]
        reached = self._at.seq if self._at is not None and self._at.epoch == epoch else 0
        if reached < self._target:
            told.append(Gap(epoch, reached + 1, self._target))
        self._at = Mark(epoch, max(reached, self._target))
        self._filling = False
        return told
