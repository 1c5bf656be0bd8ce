"""What of a journal may go, and how it goes without breaking the chain."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from railwatch.messaging.chain import Anchor, Kind
from railwatch.messaging.records import Ledger


@dataclass(slots=True)
class Plan:
    """Rows up to `anchor` go, of the rows `emptied` the bodies go; the next look begins after `looked_at`."""

    anchor: Anchor
    deleted: int = 0
    emptied: list[int] = field(default_factory=list)
    looked_at: int = 0
    freed: int = 0

    @property
    def moves(self) -> bool:
        """Whether anything goes."""
        return bool(self.deleted or self.emptied)


@dataclass(frozen=True, slots=True)
class Excess:
    """What is too old (UTC text) and how many bytes are too many."""

    before: str
    bytes: int


def plan(
    connection: sqlite3.Connection, ledger: Ledger, anchor: Anchor, after: int, last: int, most: int, excess: Excess
) -> Plan:
    """What goes of at most `most` rows after row `after`; never row `last`, which holds the count of boots."""
    made = Plan(Anchor(anchor.row, anchor.hash), looked_at=after)
    rows = connection.execute(
        "SELECT row, kind, incident, at, length(body), hash FROM journal "
        "WHERE row > ? AND row < ? ORDER BY row LIMIT ?",
        (after, last, most),
    )
    for row, kind, incident, at, length, digest in rows:
        made.looked_at = row
        first = row == made.anchor.row + 1
        gone = length is None
        if not gone and not (at < excess.before or made.freed < excess.bytes):
            break
        if not gone and incident and incident in ledger.incidents:
            continue
        if first:
            made.anchor = Anchor(row, digest)
            made.deleted += 1
            made.freed += length or 0
        elif not gone and kind not in (Kind.PRUNED.value, Kind.DAMAGE.value):
            made.emptied.append(row)
            made.freed += length
    else:
        return made
    made.looked_at = last
    return made


def carry_out(connection: sqlite3.Connection, made: Plan) -> None:
    """Let it go, inside the transaction that is open."""
    if made.deleted:
        connection.execute("DELETE FROM journal WHERE row <= ?", (made.anchor.row,))
        values = [("anchor_row", str(made.anchor.row)), ("anchor_hash", made.anchor.hash.hex())]
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", values)
    connection.executemany("UPDATE journal SET body = NULL WHERE row = ?", [(row,) for row in made.emptied])


def body_of(made: Plan) -> bytes:
    """The body of the row that writes down what went."""
    told = {"through": made.anchor.row, "hash": made.anchor.hash.hex(), "emptied": list(_ranges(made.emptied))}
    return json.dumps(told, separators=(",", ":")).encode()


def _ranges(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as pairs of first and last.

    >>> list(_ranges([1, 2, 3, 7]))
    [(1, 3), (7, 7)]
    """
    first = previous = None
    for row in rows:
        if first is None or previous is None:
            first = row
        elif row != previous + 1:
            yield first, previous
            first = row
        previous = row
    if first is not None and previous is not None:
        yield first, previous
