"""The journal: every alert and every acknowledgement on disk before anybody hears of it. docs/delivery.md tells how."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from railwatch.core.alerts import AckLevel, Alert, Epoch, RestoredIncident, Severity
from railwatch.messaging.chain import Damage, Kind, Row, seal
from railwatch.messaging.journal_file import Head, HeadFile, Lock, refuse_network_file_system, seal_of
from railwatch.messaging.journal_open import (
    INSERT,
    Broken,
    Connect,
    Opened,
    connect_sqlite,
    explain,
    open_file,
    open_memory,
    renew,
)
from railwatch.messaging.records import Batch, Record, Trace
from railwatch.messaging.requests import MAX_BATCH_ALERTS, MAX_BATCH_BYTES, Mark
from railwatch.messaging.retention import Excess, body_of, carry_out, plan
from railwatch.messaging.wire import decode_alert

_PRUNE_ROWS: Final = 500
_FULL_ENOUGH: Final = 0.9
_RUNNING_FULL: Final = 1.1


class JournalTroubleError(Exception):
    """The disk did not take it now (full, failing, locked): nothing was written, and trying again may help."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What the journal may let go, oldest first: alerts of closed incidents that a person has acknowledged.

    Args:
        max_age_s: Seconds of wall clock after which they go.
        max_bytes: Size of the file above which they go earlier.
        unacknowledged_from: Incidents that never reached this severity may go without an acknowledgement. With NOTICE,
            the default, nothing ever goes unacknowledged.
    """

    max_age_s: float = 90 * 86400.0
    max_bytes: int = 256 * 1024 * 1024
    unacknowledged_from: Severity = Severity.NOTICE


class Journal:
    """An append-only journal in one SQLite file, with one connection, in one process; one thread at a time may use it.

    Build it with `open`, which starts a new epoch: the journal's identity and a boot counter, committed before anything
    else. So a number that was published and never committed cannot be given out again.

    Example::

        with Journal.open("alerts.db") as journal:
            journal.append([Record.alert(alert)])
    """

    def __init__(
        self, path: Path, opened: Opened, retention: Retention, connect: Connect, utc_now: Callable[[], datetime]
    ) -> None:
        self.path, self.persistent, self.trouble = path, True, ""
        self._retention, self._connect, self._utc_now = retention, connect, utc_now
        self._lock: Lock | None = None
        self._head: HeadFile | None = None
        self._pruned_to = 0
        self._seq = 0
        self._opened = opened
        # The highest boot of this identity that any row knows; the last row is never let go.
        self.epoch: Final = Epoch(opened.journal_id, opened.ledger.boots.get(opened.journal_id, 0) + 1)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        retention: Retention | None = None,
        connect: Connect = connect_sqlite,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """Open or make the journal at `path`, look at every row, and begin a new epoch.

        A damaged file is set aside (`damage`, `aside`) and a new one with every row before the damage goes on. Where
        the disk takes nothing at all (full, read-only), the journal is kept in memory: `persistent` is False and
        `trouble` says why, for alerts must go out all the same.

        Raises:
            JournalError: Another process holds it, it lies on a network file system, holds something else, or was
                written by a newer railwatch.
        """
        path, rules = Path(path).absolute(), retention or Retention()
        refuse_network_file_system(path)
        lock: Lock | None = None
        journal: Self | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = Lock(path)
            opened = open_file(path, connect, rules.unacknowledged_from, utc_text(utc_now()))
            journal = cls(path, opened, rules, connect, utc_now)
            journal._head = HeadFile(path)
            journal._begin()
            journal._lock = lock
        except (sqlite3.Error, OSError, JournalTroubleError) as error:
            _abandon(journal, lock)
            journal = cls(path, open_memory(rules.unacknowledged_from), rules, connect, utc_now)
            journal.persistent, journal.trouble = False, f"the journal {path} cannot be written ({error})"
            journal._begin()
        except BaseException:
            _abandon(journal, lock)
            raise
        return journal

    @property
    def last_row(self) -> int:
        """Number of the last row."""
        return self._opened.last.row

    @property
    def damage(self) -> Damage | None:
        """What was found broken when the file was opened, or while it was used; the broken file is `aside`."""
        return self._opened.damage

    @property
    def aside(self) -> Path | None:
        """Where the broken file lies now."""
        return self._opened.aside

    def append(self, records: Sequence[Record]) -> None:
        """Write all of them, in order, and return when they are on the disk; or write none.

        Raises:
            JournalTroubleError: The disk did not take them.
        """
        with self._writing() as connection:
            rows = self._rows(records)
            connection.executemany(INSERT, rows)
        self._count(rows)

    def read_after(self, mark: Mark | None, most: int = MAX_BATCH_ALERTS, most_bytes: int = MAX_BATCH_BYTES) -> Batch:
        """The alerts after `mark` (None: from the oldest), at most `most` and, beyond the first, `most_bytes`.

        Alerts that retention has let go are left out. Raises JournalTroubleError if the disk does not give them.
        """
        alerts: list[bytes] = []
        last, size, more = None, 0, False
        with self._reading() as connection:
            known, row = (True, 0) if mark is None else self._row_of(mark)
            found = connection.execute(
                "SELECT epoch, seq, body FROM journal WHERE row > ? AND kind = 'alert' AND body NOT NULL ORDER BY row",
                (row,),
            )
            for epoch, seq, body in found:
                size += len(body)
                more = len(alerts) == most or (bool(alerts) and size > most_bytes)
                if more:
                    break
                alerts.append(body)
                last = (epoch, seq)
        return Batch(tuple(alerts), None if last is None else Mark(Epoch.parse(last[0]), last[1]), more, known)

    def restored(self) -> tuple[RestoredIncident, ...]:
        """Every incident that is open by the journal, in the order of opening. Raises JournalTroubleError."""
        with self._reading():
            return tuple(self._restored(trace) for trace in self._opened.ledger.open_incidents())

    def prune(self, most: int = _PRUNE_ROWS) -> int:
        """Let go what retention allows, looking at no more than `most` rows; the number of rows or bodies let go.

        Rows at the very beginning go altogether, and the chain begins behind them; others lose their body only. What
        went is itself written down. Raises JournalTroubleError.
        """
        opened, rules = self._opened, self._retention
        with self._reading() as connection:
            before = utc_text(self._utc_now() - timedelta(seconds=rules.max_age_s))
            used = self.used_bytes()
            excess = Excess(before, used - int(_FULL_ENOUGH * rules.max_bytes) if used > rules.max_bytes else 0)
            made = plan(connection, opened.ledger, opened.anchor, self._pruned_to, opened.last.row, most, excess)
        self._pruned_to = made.looked_at if made.looked_at < opened.last.row else 0
        if made.moves:
            with self._writing() as connection:
                carry_out(connection, made)
                rows = self._rows([Record(Kind.PRUNED, body_of(made))])
                connection.executemany(INSERT, rows)
            opened.anchor = made.anchor
            opened.ledger.forget_before(made.anchor.row)
            self._count(rows)
        return made.deleted + len(made.emptied)

    def used_bytes(self) -> int:
        """Bytes of the file that hold something. Raises sqlite3.Error."""
        pages, free, size = (
            self._opened.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    @property
    def overfull(self) -> bool:
        """Whether the file is a tenth above its limit, because what it holds must not go unacknowledged."""
        with self._reading():
            return self.used_bytes() > _RUNNING_FULL * self._retention.max_bytes

    def close(self) -> None:
        """Close the files and let go of the lock; idempotent."""
        self._opened.connection.close()
        if self._head is not None:
            with suppress(OSError):  # without a seal less is noticed, and nothing lost
                self._head.write(replace(self._opened.last, seal=seal_of(self.path)))
            self._head.close()
            self._head = None
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        records = [Record(Kind.BOOT, json.dumps({"epoch": str(self.epoch)}).encode(), 0)]
        if self._opened.damage is not None:
            records.insert(0, Record(Kind.DAMAGE, explain(self._opened)))
        self.append(records)

    def _rows(self, records: Sequence[Record]) -> list[Row]:
        at, epoch = utc_text(self._utc_now()), str(self.epoch)
        number, previous, seq = self._opened.last.row, self._opened.last.hash, self._seq
        rows = []
        for record in records:
            number += 1
            seq = seq if record.seq is None else record.seq
            digest = hashlib.sha256(record.body).digest()
            kind, incident = record.kind.value, record.incident_id
            bare = Row(number, kind, epoch, seq, incident, record.mark, at, record.body, digest, b"")
            rows.append(seal(bare, previous))
            previous = rows[-1].hash
        return rows

    def _count(self, rows: Sequence[Row]) -> None:
        """Rows are on the disk."""
        if not rows:
            return
        for row in rows:
            self._opened.ledger.take(row)
        self._opened.last, self._seq = Head(rows[-1].row, rows[-1].hash), rows[-1].seq
        if self._head is not None:
            try:
                self._head.write(self._opened.last)
            except OSError as error:
                self.trouble = f"{self.path}-head cannot be written ({error})"

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk afterwards, or nothing."""
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """What SQLite says against it as JournalTroubleError; a broken file is set aside on the way."""
        try:
            yield self._opened.connection
        except sqlite3.OperationalError as error:
            raise JournalTroubleError(f"the journal {self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            self._renew(str(error))
            raise JournalTroubleError(f"the journal {self.path} is damaged: {error}") from error

    def _renew(self, reason: str) -> None:
        """Go on in a new file, in the same epoch: its numbers go on counting, so none is given out twice."""
        self._opened.connection.close()
        broken = Broken(f"it broke while it was used ({reason})", self._opened.last.row)
        stamp, needed = utc_text(self._utc_now()), self._retention.unacknowledged_from
        try:
            self._opened = renew(self.path, self._connect, broken, needed, stamp, self.epoch.journal_id)
            if self._head is not None:
                self._head.close()
                self._head = HeadFile(self.path)
            self._pruned_to = 0
            self.append([Record(Kind.DAMAGE, explain(self._opened))])
        except (sqlite3.Error, OSError) as error:
            raise JournalTroubleError(f"the journal {self.path} is damaged ({reason}), and: {error}") from error

    def _row_of(self, mark: Mark) -> tuple[bool, int]:
        """Whether the epoch is known, and the last row of it up to `mark`, by halving: seq only grows in an epoch."""
        span = self._opened.ledger.epochs.get(str(mark.epoch))
        if span is None:
            return False, self._opened.ledger.before(mark.epoch)
        low, high = max(span.first, self._opened.anchor.row + 1) - 1, span.last
        while low < high:
            middle = (low + high + 1) // 2
            found = self._opened.connection.execute("SELECT seq FROM journal WHERE row = ?", (middle,)).fetchone()
            if found is not None and found[0] <= mark.seq:
                low = middle
            else:
                high = middle - 1
        gone = self._opened.anchor.row
        return low > gone or span.first > gone or mark.seq == 0, low

    def _restored(self, trace: Trace) -> RestoredIncident:
        last = self._alert(trace.last)
        found = RestoredIncident(last, self._alert(trace.first).published_at, last.level, last.by, last.key_name)
        for number in trace.notes:
            row = self._row(number)
            if number > trace.last and row.kind == Kind.ACKNOWLEDGEMENT.value:
                said = json.loads(row.body or b"")
                level = AckLevel(said["level"])
                if found.level is None or found.level < level:
                    found = replace(found, level=level, by=said["by"], key_name=said["key_name"])
        return found

    def _alert(self, number: int) -> Alert:
        return decode_alert(self._row(number).body or b"")

    def _row(self, number: int) -> Row:
        found = self._opened.connection.execute("SELECT * FROM journal WHERE row = ?", (number,)).fetchone()
        return Row._make(found)


def _abandon(journal: Journal | None, lock: Lock | None) -> None:
    """Close what was opened before opening failed."""
    if journal is not None:
        journal.close()
    if lock is not None:
        lock.close()


def utc_text(at: datetime) -> str:
    """A time of the wall clock as text whose order is that of time.

    >>> utc_text(datetime(2026, 1, 2, tzinfo=UTC))
    '2026-01-02T00:00:00.000000Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
