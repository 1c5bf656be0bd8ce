"""Opening a journal file: is it one, is it whole, and if not, a new file with all that is."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from railwatch.core.alerts import Severity
from railwatch.core.errors import JournalError
from railwatch.messaging.chain import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    Anchor,
    Damage,
    Examined,
    Row,
    examine,
    genesis,
    migrate,
    pages_fault,
    rows_after,
)
from railwatch.messaging.journal_file import SIDE_FILES, Head, HeadFile, seal_of, set_aside
from railwatch.messaging.records import Ledger

Connect = Callable[[str], sqlite3.Connection]

_PAGE_BYTES: Final = 4096
_LARGEST: Final = 16 * 1024**3
INSERT: Final = "INSERT INTO journal VALUES (?,?,?,?,?,?,?,?,?,?)"


@dataclass(slots=True)
class Opened:
    """A journal's connection and what a look at every row gave. `aside` is where a damaged file went."""

    connection: sqlite3.Connection
    journal_id: str
    ledger: Ledger
    anchor: Anchor
    last: Head
    damage: Damage | None = None
    aside: Path | None = None


def connect_sqlite(name: str) -> sqlite3.Connection:
    """A connection that commits nothing by itself and may move between threads; `name` is a path or a URI."""
    return sqlite3.connect(
        name, isolation_level=None, check_same_thread=False, timeout=1.0, uri=name.startswith("file:")
    )


def open_file(path: Path, connect: Connect, unacknowledged_from: Severity, stamp: str) -> Opened:
    """Open or make the journal at `path`; a damaged one is set aside and goes on in a new file.

    Raises:
        JournalError: It holds something else, or was written by a newer railwatch.
        sqlite3.Error: The disk does not take it.
        OSError: So do the files around it.
    """
    head = HeadFile.read(path)
    if path.is_dir():
        raise JournalError(f"journal {path} must be a file, but is a directory: name a file in it")
    if not path.exists() or path.stat().st_size == 0:
        if head is not None and head.row > 0:
            path.touch(0o600)
            return renew(path, connect, Broken("the file is gone or empty"), unacknowledged_from, stamp)
        path.touch(0o600)
        return _made(connect(str(path)), uuid.uuid4().hex, unacknowledged_from)
    changed = head is not None and head.seal is not None and seal_of(path) not in (None, head.seal)
    connection = connect(str(path))
    try:
        broken = _broken_beginning(connection, path, head)
        if broken is None:
            migrate(connection)
            _set_up(connection)
            opened = _looked_at(connection, head, unacknowledged_from)
            if opened.damage is None and changed:
                opened.damage = Damage(opened.last.row + 1, "a byte of the file that belongs to no row was changed")
            if opened.damage is None:
                return opened
            broken = Broken(opened.damage.reason, opened.damage.row - 1)
    except BaseException:
        connection.close()
        raise
    connection.close()
    return renew(path, connect, broken, unacknowledged_from, stamp)


def open_memory(unacknowledged_from: Severity) -> Opened:
    """A journal that lasts as long as the process."""
    return _made(connect_sqlite(":memory:"), uuid.uuid4().hex, unacknowledged_from)


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a file is set aside, and the last row that may be taken from it; None: as far as rows are good."""

    reason: str
    last: int | None = None


def renew(
    path: Path, connect: Connect, broken: Broken, unacknowledged_from: Severity, stamp: str, journal_id: str = ""
) -> Opened:
    """Set the file at `path` aside and make a new one with every row before the damage.

    It gets a new identity, unless one is given: numbers that were lost with the damage are not given out again.
    """
    aside = set_aside(path, stamp.replace(":", "").partition(".")[0])
    path.touch(0o600)
    made = _made(connect(str(path)), journal_id or uuid.uuid4().hex, unacknowledged_from)
    made.aside = aside
    try:
        with _readable(aside) as readable, closing(connect_sqlite(f"{readable.as_uri()}?mode=ro")) as old:
            _copy(old, made, broken.last)
    except (sqlite3.Error, OSError, ValueError):  # nothing of it can be read, or there is no room for it
        if made.connection.in_transaction:
            made.connection.execute("ROLLBACK")
        made.ledger = Ledger(unacknowledged_from)
    made.damage = Damage(made.last.row + 1, broken.reason)
    return made


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """The file, or a copy filled up with zeros where whole pages are missing: SQLite reads no shorter one."""
    with path.open("rb") as file:
        wanted = int.from_bytes(file.read(32)[28:32], "big") * _PAGE_BYTES
    if not path.stat().st_size < wanted <= _LARGEST:
        yield path
        return
    filled = path.with_name(f"{path.name}.filled")
    try:
        for suffix in ("", "-wal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copyfile(f"{path}{suffix}", f"{filled}{suffix}")
        os.truncate(filled, wanted)
        yield filled
    finally:
        for suffix in ("", *SIDE_FILES):
            Path(f"{filled}{suffix}").unlink(missing_ok=True)


def explain(opened: Opened) -> bytes:
    """The body of the row that tells of damage."""
    damage, aside = opened.damage, opened.aside
    told = {
        "row": damage.row if damage else None,
        "reason": damage.reason if damage else "",
        "aside": aside.name if aside else None,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _made(connection: sqlite3.Connection, journal_id: str, unacknowledged_from: Severity) -> Opened:
    try:
        connection.execute("PRAGMA page_size = 4096")
        _set_up(connection)
        migrate(connection)
        anchor = Anchor(0, genesis(journal_id))
        connection.execute("BEGIN IMMEDIATE")
        _note_identity(connection, journal_id, anchor)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return Opened(connection, journal_id, Ledger(unacknowledged_from), anchor, Head(0, anchor.hash))


def _set_up(connection: sqlite3.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode not in ("wal", "memory"):
        raise JournalError(f"the journal's file system must let SQLite write ahead (WAL), but it chose {mode}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")


def _note_identity(connection: sqlite3.Connection, journal_id: str, anchor: Anchor) -> None:
    values = [("journal_id", journal_id), ("anchor_row", str(anchor.row)), ("anchor_hash", anchor.hash.hex())]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", values)


def _broken_beginning(connection: sqlite3.Connection, path: Path, head: Head | None) -> Broken | None:
    """Damage of the first page; raises JournalError for what is no journal, and must not be renamed away."""
    foreign = JournalError(
        f"journal {path} must be a journal of railwatch, but holds something else: name another file"
    )
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        noted = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
            raise
        if head is None:
            raise foreign from None
        return Broken(f"its beginning cannot be read ({error})")
    if application != APPLICATION_ID and head is None:
        raise foreign
    if noted is not None and noted[0] == str(version) and version > SCHEMA_VERSION:
        raise JournalError(
            f"journal {path} must have a version of at most {SCHEMA_VERSION}, but has {version}: "
            "it was written by a newer railwatch; install that one, or name another file"
        )
    if application != APPLICATION_ID or noted is None or noted[0] != str(version):
        return Broken("its header is not what was written")
    return None


def _looked_at(connection: sqlite3.Connection, head: Head | None, unacknowledged_from: Severity) -> Opened:
    ledger = Ledger(unacknowledged_from)
    found = examine(connection, ledger.take)
    damage = found.damage or lost_end(connection, head, found)
    if damage is None and (fault := pages_fault(connection)) is not None:
        damage = Damage(found.last + 1, f"a page is damaged ({fault})")
    noted = connection.execute("SELECT value FROM meta WHERE key = 'journal_id'").fetchone() if damage is None else None
    if damage is None and (noted is None or not _is_identity(noted[0], found, ledger)):
        damage = Damage(found.last + 1, "its identity is not what was written")
    identity = noted[0] if noted is not None else ""
    return Opened(connection, identity, ledger, found.anchor, Head(found.last, found.hash), damage)


def _is_identity(journal_id: str, found: Examined, ledger: Ledger) -> bool:
    """Whether rows vouch for the identity; a journal without rows was never used."""
    return journal_id in ledger.boots or (found.last == 0 and found.anchor.hash == genesis(journal_id))


def lost_end(connection: sqlite3.Connection, head: Head | None, found: Examined) -> Damage | None:
    """Damage where the journal ends before, or otherwise than, the last row that is known to have been committed."""
    if head is None or head.row <= found.anchor.row:
        return None
    if head.row > found.last:
        return Damage(found.last + 1, f"it ends at row {found.last}, but row {head.row} was committed")
    known = connection.execute("SELECT hash FROM journal WHERE row = ?", (head.row,)).fetchone()
    if known is None or known[0] != head.hash:
        return Damage(head.row, "it is not the row that was committed")
    return None


def _copy(old: sqlite3.Connection, made: Opened, most: int | None) -> None:
    """Copy every good row up to `most`, in one transaction, with the chain as it is."""
    found = examine(old)
    end = found.last if found.damage is None else found.damage.row - 1
    end = end if most is None else min(end, most)
    last = Head(found.anchor.row, found.anchor.hash)
    if end <= last.row:
        return

    def good() -> Iterator[Row]:
        nonlocal last
        for row in islice(rows_after(old, found.anchor.row), end - found.anchor.row):
            made.ledger.take(row)
            last = Head(row.row, row.hash)
            yield row

    made.connection.execute("BEGIN IMMEDIATE")
    _note_identity(made.connection, made.journal_id, found.anchor)
    made.connection.executemany(INSERT, good())
    made.connection.execute("COMMIT")
    made.anchor, made.last = found.anchor, last
