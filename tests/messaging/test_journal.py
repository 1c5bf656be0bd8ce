"""The journal alone: epochs, order, damage, retention, and what it refuses."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from railwatch.core.alerts import AckLevel, Action, Epoch, Severity
from railwatch.core.errors import JournalError
from railwatch.messaging.chain import MIGRATIONS, SCHEMA_VERSION, examine
from railwatch.messaging.journal import Journal, JournalTroubleError
from railwatch.messaging.journal_file import file_system_of
from railwatch.messaging.records import Record
from railwatch.messaging.requests import Mark
from railwatch.messaging.wire import decode_alert
from tests.messaging.damage import TAIL_BYTES, broken, closed, judge, killed
from tests.messaging.rig import make_alert


def write(journal, *seqs, **changes):
    journal.append([Record.alert(make_alert(seq, epoch=journal.epoch, **changes)) for seq in seqs])


def seqs(batch):
    return [(alert.epoch.boot, alert.seq) for alert in map(decode_alert, batch.alerts)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "j.db"


def test_every_opening_is_a_new_epoch_of_the_same_journal(path):
    epochs = []
    for _ in range(3):
        with Journal.open(path) as journal:
            epochs.append(journal.epoch)
    assert [epoch.boot for epoch in epochs] == [1, 2, 3]
    assert len({epoch.journal_id for epoch in epochs}) == 1


def test_what_was_appended_is_read_back_in_order_over_boots(path):
    for _ in range(3):
        with Journal.open(path) as journal:
            write(journal, 1, 2)
            write(journal, 3)
            epoch = journal.epoch
    with Journal.open(path) as journal:
        everything = [(boot, seq) for boot in (1, 2, 3) for seq in (1, 2, 3)]
        assert seqs(journal.read_after(None)) == everything
        first = Epoch(epoch.journal_id, 1)
        for boot, seq in everything:
            batch = journal.read_after(Mark(Epoch(epoch.journal_id, boot), seq))
            assert seqs(batch) == everything[everything.index((boot, seq)) + 1 :]
            assert batch.known
        assert seqs(journal.read_after(Mark(first, 0))) == everything
        assert seqs(journal.read_after(Mark(first, 99))) == everything[3:], "seen, but never journaled"
        assert all(decode_alert(payload).journaled for payload in journal.read_after(None).alerts)


def test_an_answer_is_bounded_by_count_and_by_bytes(path):
    with Journal.open(path) as journal:
        write(journal, *range(1, 11), why="x" * 1000)
        batch = journal.read_after(None, most=4)
        assert (len(batch.alerts), batch.more, batch.last) == (4, True, Mark(journal.epoch, 4))
        size = len(batch.alerts[0])
        assert len(journal.read_after(None, most_bytes=3 * size).alerts) == 3
        assert len(journal.read_after(None, most_bytes=1).alerts) == 1
        batch = journal.read_after(Mark(journal.epoch, 9))
        assert (len(batch.alerts), batch.more) == (1, False)
        assert journal.read_after(Mark(journal.epoch, 10)).last is None


def test_an_unknown_epoch_gets_all_and_a_lost_boot_what_follows_the_one_before(path):
    for _ in range(2):
        with Journal.open(path) as journal:
            write(journal, 1)
    with Journal.open(path) as journal:
        name = journal.epoch.journal_id
        assert seqs(journal.read_after(Mark(Epoch("other", 7), 7))) == [(1, 1), (2, 1)]
        batch = journal.read_after(Mark(Epoch(name, 9), 7))
        assert (seqs(batch), batch.known) == ([], False)


def test_open_incidents_are_restored_with_their_highest_acknowledgement(path):
    with Journal.open(path) as journal:
        write(journal, 1, incident_id="a", published_at="first")
        write(journal, 2, incident_id="b")
        journal.append([Record.acknowledgement("a", AckLevel.ACKNOWLEDGED, "anna", "key")])
        write(journal, 3, incident_id="a", action=Action.ESCALATED, severity=Severity.EMERGENCY)
        for level, who in ((AckLevel.DISPLAYED, "desk"), (AckLevel.RECEIVED, "bridge")):
            journal.append([Record.acknowledgement("a", level, who, None)])
        write(journal, 4, incident_id="b", action=Action.CLOSED)
    with Journal.open(path) as journal:
        (found,) = journal.restored()
        assert (found.last.seq, found.opened_at) == (3, "first")
        assert (found.level, found.by, found.key_name) == (AckLevel.DISPLAYED, "desk", None)


# damage


@pytest.mark.parametrize("how", ["cut", "flip"])
@pytest.mark.parametrize("make", [closed, killed])
def test_a_broken_end_loses_nothing_before_it_and_is_reported(tmp_path, make, how):
    original = make(tmp_path / "original")
    for offset in range(1, TAIL_BYTES + 1, 409):
        _, reported = judge(original, broken(original, tmp_path / "broken", offset, how))
        assert reported, offset


def test_a_row_that_was_changed_removed_or_put_in_is_found_and_what_is_before_goes_on(path):
    changes = {
        "UPDATE journal SET body = replace(body, 'yard', 'bard') WHERE row = 5": 5,
        "UPDATE journal SET seq = 99 WHERE row = 5": 5,
        "DELETE FROM journal WHERE row = 5": 5,
        "UPDATE journal SET body = NULL WHERE row = 5": 5,
        "DELETE FROM journal WHERE row > 8": 9,
        "UPDATE journal SET hash = zeroblob(32) WHERE row = 5": 5,
        "UPDATE journal SET digest = NULL WHERE row = 5": None,
        "UPDATE meta SET value = '00' WHERE key = 'anchor_hash'": 1,
        "UPDATE meta SET value = 'x' WHERE key = 'journal_id'": 12,
        "DELETE FROM meta WHERE key = 'anchor_row'": 1,
        "UPDATE meta SET value = '7' WHERE key = 'schema'": 12,
    }
    for number, (statement, row) in enumerate(changes.items()):
        file = path.with_name(f"{number}.db")
        with Journal.open(file) as journal:
            write(journal, *range(1, 11))
        with sqlite3.connect(file) as raw:
            try:
                raw.execute(statement)
            except sqlite3.IntegrityError:
                assert row is None
        raw.close()
        with Journal.open(file) as journal:
            if row is None:
                continue
            assert journal.damage.row == row, statement
            assert len(journal.read_after(None).alerts) == max(0, min(row - 2, 10)), statement
            assert journal.epoch.boot == 1
            write(journal, 1)
        with Journal.open(file) as journal:
            assert (journal.damage, journal.epoch.boot) == (None, 2)
            assert examine(journal._opened.connection).damage is None


def test_an_open_incident_survives_damage_behind_it(path):
    with Journal.open(path) as journal:
        write(journal, 1, incident_id="open")
        write(journal, *range(2, 8), incident_id="other")
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM journal WHERE row >= 6")
    raw.close()
    with Journal.open(path) as journal:
        assert [item.last.incident_id for item in journal.restored()] == ["open", "other"]


@pytest.mark.parametrize("pages", [1, 2, 5])
def test_whole_pages_missing_at_the_end_lose_only_what_was_in_them(tmp_path, pages):
    original = closed(tmp_path / "original")
    kept, reported = judge(original, broken(original, tmp_path / "broken", pages * 4096, "cut"))
    assert reported
    assert 0 < len(original.alerts) - kept <= 6 * pages
    assert not list((tmp_path / "broken").glob("*.filled*"))


@pytest.mark.parametrize("content", [None, b"", b"garbage " * 1000])
def test_a_journal_that_is_gone_or_garbage_is_reported_because_the_note_beside_it_knows(path, content):
    with Journal.open(path) as journal:
        write(journal, 1)
    path.unlink() if content is None else path.write_bytes(content)
    with Journal.open(path) as journal:
        assert journal.damage.row == 1
        assert journal.aside.exists()
        assert journal.epoch.boot == 1


def test_damage_twice_in_one_second_overwrites_nothing(path):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(3):
        with Journal.open(path, utc_now=lambda: now) as journal:
            write(journal, 1)
        path.write_bytes(b"garbage")
    assert len(list(path.parent.glob("j.db.damaged-*[0-9]"))) == 2


def test_damage_while_it_runs_is_set_aside_and_the_epoch_goes_on(path):
    class Breaking(sqlite3.Connection):
        broken = False

        def execute(self, *arguments):
            if Breaking.broken and arguments[0].startswith("BEGIN"):
                Breaking.broken = False
                raise sqlite3.DatabaseError("database disk image is malformed")
            return super().execute(*arguments)

    def connect(name):
        return sqlite3.connect(name, isolation_level=None, factory=Breaking)

    with Journal.open(path, connect=connect) as journal:
        write(journal, 1, 2)
        epoch = journal.epoch
        Breaking.broken = True
        with pytest.raises(JournalTroubleError, match="malformed"):
            write(journal, 3)
        assert journal.aside.exists()
        assert journal.epoch == epoch
        write(journal, 3)
        assert seqs(journal.read_after(None)) == [(1, 1), (1, 2), (1, 3)]
    with Journal.open(path) as journal:
        assert (journal.epoch.journal_id, journal.epoch.boot) == (epoch.journal_id, 2)


# what it refuses, and what it does without a disk


def test_a_second_process_is_refused(path):
    code = f"from railwatch.messaging.journal import Journal\nJournal.open({str(path)!r})"
    with Journal.open(path):
        with pytest.raises(JournalError, match="another process holds it"):
            Journal.open(path)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert "another process holds it" in done.stderr
    Journal.open(path).close()


def test_what_is_no_journal_is_left_alone(path, tmp_path):
    path.write_text("a letter to my aunt, long enough to be mistaken for a database " * 20)
    with pytest.raises(JournalError, match="holds something else"):
        Journal.open(path)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as raw:
        raw.execute("CREATE TABLE meta (key, value)")
    raw.close()
    with pytest.raises(JournalError, match="holds something else"):
        Journal.open(other)
    with pytest.raises(JournalError, match="is a directory"):
        Journal.open(tmp_path)
    assert path.read_text().startswith("a letter")
    assert not list(tmp_path.glob("*damaged*"))


def test_a_newer_version_is_refused_and_an_older_one_migrated(path):
    Journal.open(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        raw.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA_VERSION + 1),))
    raw.close()
    with pytest.raises(JournalError, match="newer railwatch"):
        Journal.open(path)


def test_migrations_run_one_after_another_and_all_or_nothing(path, monkeypatch):
    with Journal.open(path) as journal:
        write(journal, 1)

    def add(connection):
        connection.execute("CREATE TABLE further (x)")

    def fail(connection):
        connection.execute("CREATE TABLE never (x)")
        if connection.execute("SELECT count(*) FROM journal").fetchone()[0]:
            raise sqlite3.OperationalError("disk full")

    def tables():
        with sqlite3.connect(path) as raw:
            names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}
            return names, raw.execute("PRAGMA user_version").fetchone()[0]

    for module in ("chain", "journal_open"):
        monkeypatch.setattr(f"railwatch.messaging.{module}.SCHEMA_VERSION", SCHEMA_VERSION + 2)
    monkeypatch.setattr("railwatch.messaging.chain.MIGRATIONS", (*MIGRATIONS, add, fail))
    with Journal.open(path) as journal:
        assert not journal.persistent, "alerts must go out all the same"
    assert tables() == ({"meta", "journal"}, SCHEMA_VERSION)
    monkeypatch.setattr("railwatch.messaging.chain.MIGRATIONS", (*MIGRATIONS, add, lambda _: None))
    with Journal.open(path) as journal:
        assert journal.persistent
        assert seqs(journal.read_after(None)) == [(1, 1)]
    assert tables() == ({"meta", "journal", "further"}, SCHEMA_VERSION + 2)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_network_file_systems_are_refused(path, monkeypatch, tmp_path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / {tmp_path} rw shared:1 - {kind} server:/ rw\n")
    monkeypatch.setattr("railwatch.messaging.journal_file._MOUNTS", mounts)
    if sys.platform.startswith("linux"):
        with pytest.raises(JournalError, match=rf"network file system \({kind}\)"):
            Journal.open(path)
    mounts.write_text("1 0 0:1 / / rw - ext4 d rw\nnonsense\n")
    Journal.open(path).close()


def test_the_innermost_mount_counts_and_names_may_hold_spaces():
    mounts = "1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /a\\040b rw - nfs s:/ rw\n3 2 0:3 / /a\\040b/c rw - xfs d rw\n"
    assert file_system_of(Path("/a b/x"), mounts) == "nfs"
    assert file_system_of(Path("/a b/c/x"), mounts) == "xfs"
    assert file_system_of(Path("/a"), mounts) == "ext4"
    assert file_system_of(Path("/a"), "") == ""


def test_without_a_disk_the_journal_is_kept_in_memory_and_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with Journal.open(tmp_path / "file" / "j.db") as journal:
        assert not journal.persistent
        assert "cannot be written" in journal.trouble
        write(journal, 1, 2)
        assert seqs(journal.read_after(None)) == [(1, 1), (1, 2)]


def test_a_full_disk_takes_all_records_or_none_and_later_goes_on(path):
    with Journal.open(path) as journal:
        write(journal, 1)
        pages = journal._opened.connection.execute("PRAGMA page_count").fetchone()[0]
        journal._opened.connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(JournalTroubleError, match="full"):
            write(journal, 2, 3, why="x" * 30_000)
        assert seqs(journal.read_after(None)) == [(1, 1)]
        journal._opened.connection.execute("PRAGMA max_page_count = 100000")
        write(journal, 2, 3)
        assert seqs(journal.read_after(None)) == [(1, 1), (1, 2), (1, 3)]
    with Journal.open(path) as journal:
        assert journal.damage is None


def test_a_disk_full_at_the_start_is_no_reason_to_be_blind(path):
    class Full(sqlite3.Connection):
        def executemany(self, *_):
            raise sqlite3.OperationalError("database or disk is full")

    with Journal.open(path, connect=lambda name: sqlite3.connect(name, isolation_level=None, factory=Full)) as journal:
        assert not journal.persistent
        write(journal, 1)
    with Journal.open(path) as journal:
        assert journal.persistent
