"""The rows of a journal and the chain of hashes through them. Nothing here writes, but for the table itself.

Row n carries ``digest = SHA-256(body)`` and ``hash = SHA-256(hash of row n-1, digest, its other columns)``. So a row
that was changed, removed or put in shows at row n, and a body can be given up later without breaking the chain.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

SCHEMA_VERSION: Final = 1
"""Version of the tables; `MIGRATIONS` lead to it."""

APPLICATION_ID: Final = 0x52574A4C
"""Marks the file as a journal of railwatch ("RWJL")."""


class Kind(Enum):
    """What a row tells of."""

    BOOT = "boot"
    ALERT = "alert"
    ACKNOWLEDGEMENT = "acknowledgement"
    ESCALATION = "escalation"
    OVERRIDE = "override"
    PRUNED = "pruned"
    DAMAGE = "damage"
    HOLE = "hole"
    EVIDENCE = "evidence"


class Row(NamedTuple):
    """One row. `seq` is that of the last alert of its epoch up to here; `mark` is ACTION and SEVERITY, or a level.

    `body` is None once retention has given it up; `at` is UTC.
    """

    row: int
    kind: str
    epoch: str
    seq: int
    incident: str
    mark: str
    at: str
    body: bytes | None
    digest: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """The first row that cannot be trusted, and why. Every row before it is as it was written."""

    row: int
    reason: str


@dataclass(slots=True)
class Anchor:
    """Where the chain begins: the last row that is no longer there, and its hash."""

    row: int
    hash: bytes


@dataclass(slots=True)
class Examined:
    """What a look at every row found: the last good row and its hash, and the damage behind it, if any."""

    anchor: Anchor
    last: int
    hash: bytes
    damage: Damage | None
    emptied: set[int] = field(default_factory=set)


_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE journal (
  row INTEGER PRIMARY KEY, kind TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, incident TEXT NOT NULL,
  mark TEXT NOT NULL, at TEXT NOT NULL, body BLOB, digest BLOB NOT NULL, hash BLOB NOT NULL
);
"""


def _first_version(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";")[:-1]:
        connection.execute(statement)


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_first_version,)
"""Step n makes version n of version n-1, inside one transaction."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to `SCHEMA_VERSION`, in one transaction: all of it happens, or nothing."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version:]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def genesis(journal_id: str) -> bytes:
    """The hash before row 1 of the journal with this identity."""
    return hashlib.sha256(f"railwatch journal {journal_id}".encode()).digest()


def seal(row: Row, previous: bytes) -> Row:
    """The row with its hash, which follows the hash `previous`.

    >>> first = seal(Row(1, "boot", "j.1", 0, "", "", "", b"{}", hashlib.sha256(b"{}").digest(), b""), genesis("j"))
    >>> first.hash.hex()[:8], seal(first._replace(seq=1), genesis("j")).hash == first.hash
    ('745d81ec', False)
    """
    return row._replace(hash=_hash(row, previous))


def _hash(row: Row, previous: bytes) -> bytes:
    words = json.dumps((row.row, row.kind, row.epoch, row.seq, row.incident, row.mark, row.at))
    return hashlib.sha256(previous + row.digest + words.encode()).digest()


def rows_after(connection: sqlite3.Connection, row: int) -> Iterator[Row]:
    """Every row after `row`, in order."""
    return map(Row._make, connection.execute("SELECT * FROM journal WHERE row > ? ORDER BY row", (row,)))


def anchor_of(connection: sqlite3.Connection) -> Anchor:
    """Where the chain begins, as the file says it. Raises ValueError when it does not say so."""
    found = dict(connection.execute("SELECT key, value FROM meta"))
    try:
        return Anchor(int(found["anchor_row"]), bytes.fromhex(found["anchor_hash"]))
    except KeyError as error:
        raise ValueError(f"the table meta has no {error}") from None


def examine(connection: sqlite3.Connection, each: Callable[[Row], None] = lambda _: None) -> Examined:
    """Look at every row, in order, up to the first that cannot be trusted; `each` is called with the good ones.

    Also pages that SQLite itself finds damaged end the look. Emptied rows must be named by a later row PRUNED.
    """
    found = Examined(Anchor(0, b""), 0, b"", None)
    empty: set[int] = set()
    try:
        found.anchor = anchor_of(connection)
        found.last, found.hash = found.anchor.row, found.anchor.hash
        for row in rows_after(connection, found.last):
            reason = _fault(row, found)
            if reason is not None:
                found.damage = Damage(found.last + 1, reason)
                break
            found.last, found.hash = row.row, row.hash
            if row.body is None:
                empty.add(row.row)
            elif row.kind == Kind.PRUNED.value:
                _take_pruned(row.body, found)
            each(row)
    except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
        found.damage = Damage(found.last + 1, f"its page cannot be read ({error})")
    lost = empty - found.emptied
    if lost:
        found.damage = Damage(min(lost), "its body is gone, and no record says that it was given up")
    return found


def _fault(row: Row, found: Examined) -> str | None:
    if row.row != found.last + 1:
        return f"row {row.row} follows row {found.last}"
    if _hash(row, found.hash) != row.hash:
        return "its hash does not follow from the row before"
    if row.body is not None and hashlib.sha256(row.body).digest() != row.digest:
        return "its body is not what was written"
    return None


def _take_pruned(body: bytes, found: Examined) -> None:
    for first, last in json.loads(body)["emptied"]:
        found.emptied.update(range(first, last + 1))


def pages_fault(connection: sqlite3.Connection) -> str | None:
    """What SQLite finds wrong with the pages of the file, whatever they hold; None if nothing."""
    try:
        said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        return str(error)
    return None if said == "ok" else str(said).replace("\n", " ")
