"""Reading a journal without writing to it, also while a hub uses it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from railwatch.core.errors import JournalError
from railwatch.messaging.chain import APPLICATION_ID, Damage, Row, examine, pages_fault, rows_after
from railwatch.messaging.journal_file import HeadFile
from railwatch.messaging.journal_open import connect_sqlite, lost_end


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: the first row that is still there, the last good one, its hash, and the damage, if any.

    `vouched`: a note beside the file says up to where it was written; without one, a lost end does not show.
    """

    first: int
    last: int
    hash: str
    damage: Damage | None
    vouched: bool


def verify(path: Path) -> Verdict:
    """Look at every row, its hash and every page. Raises JournalError if the file is no journal or cannot be read."""
    with _opened(path) as connection:
        # The note first: what is written meanwhile is then behind it, and no lost end.
        head = HeadFile.read(path)
        found = examine(connection)
        damage = found.damage or lost_end(connection, head, found)
        if damage is None and (fault := pages_fault(connection)) is not None:
            damage = Damage(found.last + 1, f"a page is damaged ({fault})")
    return Verdict(found.anchor.row + 1, found.last, found.hash.hex(), damage, head is not None)


def rows(path: Path) -> Iterator[Row]:
    """Every row, in order, up to the first that cannot be trusted. Raises JournalError."""
    with _opened(path) as connection:
        found = examine(connection)
        for row in rows_after(connection, found.anchor.row):
            if row.row > found.last:
                return
            yield row


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise JournalError(f"journal {path} must be a file that is there, but is not: name the alerts' journal")
    try:
        with closing(connect_sqlite(f"{path.absolute().as_uri()}?mode=ro")) as connection:
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise JournalError(f"journal {path} must be a journal of railwatch, but holds something else")
            yield connection
    except sqlite3.Error as error:
        raise JournalError(f"journal {path} must be one that SQLite can read, but: {error}") from error
