"""The journal's thread: commits what is handed in, reads what is asked for, and is alone in touching the disk.

A disk may refuse (full) or not answer at all. Then this thread waits, and nobody else does: alerts go out unjournaled,
`on_trouble` tells, and what waits here is written as soon as the disk takes it.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from railwatch.core.errors import MessagingError
from railwatch.messaging.chain import Kind
from railwatch.messaging.journal import Journal, JournalTroubleError
from railwatch.messaging.records import Batch, Record
from railwatch.messaging.requests import Peer, ReplayRequest

COMMIT_MOST: Final = 256
"""Records of one commit; more only make the first of them wait."""

MAX_BACKLOG: Final = 50_000
MAX_BACKLOG_BYTES: Final = 64 * 1024 * 1024
"""What waits for a disk that takes nothing. Alerts beyond it go out all the same and are told as a hole."""

MAX_ASKING: Final = 1024
RETRY_S: Final = 0.5
PRUNE_INTERVAL_S: Final = 60.0
CLOSE_S: Final = 5.0

JOURNAL: Final = "journal"
"""Name of the fault while alerts go out unjournaled."""
DAMAGE: Final = "journal-damage"
"""Name of the fault when a broken journal was set aside; it lasts as long as the process."""
OVERFULL: Final = "journal-overfull"
"""Name of the fault while the journal is above its size because nobody acknowledges what it holds."""

OnTrouble = Callable[[str, str | None], None]
"""Takes the name of a fault and its reason, or None at its end. Called on other threads: it must only pass it on."""


@dataclass(slots=True)
class Entry:
    """A record on its way to the disk; `then` is called on the journal's thread once it is there."""

    record: Record
    then: Callable[[], None] | None = None
    committed: bool = field(default=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody wants alerts that only the disk has; `open_incidents` go with them."""

    peer: Peer
    request: ReplayRequest
    open_incidents: tuple[bytes, ...]


class JournalWriter:
    """Owns a journal from `start` to `close`.

    Args:
        journal: Closed by the thread when it ends.
        on_commit: Called after each commit.
        on_answer: Takes what was read for an `Ask`.
        on_trouble: Told of faults and their end.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        journal: Journal,
        on_commit: Callable[[], None],
        on_answer: Callable[[Ask, Batch], None],
        on_trouble: OnTrouble,
        clock: Callable[[], float],
    ) -> None:
        self._journal, self._clock = journal, clock
        self._on_commit, self._on_answer, self._on_trouble = on_commit, on_answer, on_trouble
        self._changed = threading.Condition()
        self._backlog: deque[Entry] = deque()
        self._bytes = 0
        self._hole: tuple[int, int] | None = None
        self._asking: OrderedDict[bytes, Ask] = OrderedDict()
        self._closing = self._overfull = False
        self._retry_s = self._next_prune_s = clock()
        self._telling = threading.Lock()
        self._trouble: str | None = None
        self._damage_told = False
        self._thread = threading.Thread(target=self._run, name="railwatch-journal", daemon=True)

    def start(self) -> None:
        """Begin; tells of what was found when the journal was opened."""
        if not self._journal.persistent:
            self._fail(f"{self._journal.trouble}; it is kept in memory until the next start")
        self._tell_damage()
        self._thread.start()

    @property
    def lasting(self) -> bool:
        """Whether what is committed outlives the process."""
        return self._journal.persistent

    @property
    def behind(self) -> bool:
        """Whether alerts go out unjournaled now."""
        return self._trouble is not None

    def submit(self, entry: Entry) -> bool:
        """Hand in a record; False if too many wait already. Never waits for the disk."""
        with self._changed:
            if len(self._backlog) >= MAX_BACKLOG or self._bytes >= MAX_BACKLOG_BYTES:
                if entry.record.seq is not None:
                    self._hole = (self._hole[0] if self._hole else entry.record.seq, entry.record.seq)
                return False
            self._backlog.append(entry)
            self._bytes += len(entry.record.body)
            self._changed.notify()
        return True

    def ask(self, ask: Ask) -> None:
        """Read for somebody, in turn; a newer request of the same peer takes the place of an older one."""
        with self._changed:
            if ask.peer.identity in self._asking or len(self._asking) < MAX_ASKING:
                self._asking[ask.peer.identity] = ask
                self._changed.notify()

    def late(self, reason: str) -> None:
        """An alert went out without being committed."""
        self._fail(reason)
        if not self._backlog and self.lasting:
            self._caught_up()  # it was committed meanwhile: the fault is told all the same, and its end

    def close(self) -> None:
        """Write what waits and end. Raises MessagingError if the disk does not take it within 5 s."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)
        left = len(self._backlog)
        if self._thread.is_alive() or left:
            raise MessagingError(f"the disk did not take the last {left} records within {CLOSE_S:g} s: {self._trouble}")

    def _run(self) -> None:
        try:
            give_up_s = float("inf")
            while True:
                with self._changed:
                    self._changed.wait_for(self._has_work, self._wait_s())
                    closing = self._closing
                if closing and give_up_s == float("inf"):
                    give_up_s = self._clock() + CLOSE_S - 1.0
                if closing and (not self._backlog or self._clock() > give_up_s):
                    return
                self._turn()
        except Exception as error:  # noqa: BLE001 - whatever it is, alerts go on, and somebody must be told
            self._fail(f"the journal's thread failed: {error!r}")
        finally:
            self._journal.close()

    def _has_work(self) -> bool:
        if not self._backlog:
            return self._closing or bool(self._asking)
        return bool(self._asking) or self._clock() >= self._retry_s

    def _wait_s(self) -> float:
        due_s = min(self._next_prune_s, self._retry_s) if self._backlog else self._next_prune_s
        return max(0.0, due_s - self._clock())

    def _turn(self) -> None:
        """Alerts first, then one reader, then the housekeeping."""
        if self._backlog and self._clock() >= self._retry_s:
            self._commit()
        elif self._clock() >= self._next_prune_s and not self._asking:
            self._prune()
        if self._asking:
            self._read_for_one()

    def _commit(self) -> None:
        with self._changed:
            entries = [self._backlog[index] for index in range(min(len(self._backlog), COMMIT_MOST))]
        try:
            self._journal.append([entry.record for entry in entries])
        except JournalTroubleError as error:
            self._retry_s = self._clock() + RETRY_S
            self._fail(str(error))
            self._on_commit()  # what waits for this commit need not wait any longer
            self._tell_damage()
            return
        with self._changed:
            for entry in entries:
                self._backlog.popleft()
                self._bytes -= len(entry.record.body)
                entry.committed = True
            hole, self._hole = (self._hole, None) if not self._backlog else (None, self._hole)
        self._on_commit()
        for entry in entries:
            if entry.then is not None:
                entry.then()
        if hole is not None:
            body = json.dumps({"first": hole[0], "last": hole[1]}).encode()
            self.submit(Entry(Record(Kind.HOLE, body)))
        if not self._backlog and self._journal.persistent:
            self._caught_up()

    def _fail(self, reason: str) -> None:
        with self._telling:
            if self._trouble is None:
                self._trouble = reason
                self._on_trouble(JOURNAL, reason)

    def _caught_up(self) -> None:
        with self._telling:
            if self._trouble is not None:
                self._trouble = None
                self._on_trouble(JOURNAL, None)

    def _read_for_one(self) -> None:
        with self._changed:
            _, ask = self._asking.popitem(last=False)
        try:
            batch = self._journal.read_after(ask.request.after)
        except JournalTroubleError as error:  # whoever asked asks again
            self._fail(str(error))
            self._tell_damage()
            return
        self._on_answer(ask, batch)

    def _prune(self) -> None:
        try:
            let_go = self._journal.prune()
            overfull = self._journal.overfull
        except JournalTroubleError as error:
            self._fail(str(error))
            let_go, overfull = 0, self._overfull
        # More at once when there was more to let go, but alerts first.
        self._next_prune_s = self._clock() + (RETRY_S if let_go else PRUNE_INTERVAL_S)
        if overfull != self._overfull:
            self._overfull = overfull
            reason = "the journal is above its size: nobody acknowledges the alerts that it holds"
            self._on_trouble(OVERFULL, reason if overfull else None)

    def _tell_damage(self) -> None:
        damage, aside = self._journal.damage, self._journal.aside
        if damage is not None and not self._damage_told:
            self._damage_told = True
            place = f"set aside as {aside.name}" if aside is not None else "gone"
            self._on_trouble(DAMAGE, f"the journal was damaged at row {damage.row} ({damage.reason}), {place}")
