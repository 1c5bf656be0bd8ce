"""What a journal lets go, what it never lets go, and that its chain holds."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from railwatch.core.alerts import AckLevel, Action, Severity
from railwatch.messaging.chain import Kind, examine
from railwatch.messaging.journal import Journal, Retention
from railwatch.messaging.journal_open import connect_sqlite
from railwatch.messaging.records import Record
from railwatch.messaging.requests import Mark
from railwatch.messaging.wire import decode_alert
from tests.messaging.damage import fill
from tests.messaging.rig import make_alert


def write(journal, *seqs, **changes):
    journal.append([Record.alert(make_alert(seq, epoch=journal.epoch, **changes)) for seq in seqs])


def seqs(batch):
    return [(alert.epoch.boot, alert.seq) for alert in map(decode_alert, batch.alerts)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "j.db"


DAY_S = 86400.0


class Calendar:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_days(self, days):
        self.now += timedelta(days=days)


@pytest.fixture
def calendar():
    return Calendar()


def incident(journal, first, name, *, acknowledged=True, closed=True):
    write(journal, first, incident_id=name)
    if acknowledged:
        journal.append([Record.acknowledgement(name, AckLevel.ACKNOWLEDGED, "anna", None)])
    if closed:
        level = AckLevel.ACKNOWLEDGED if acknowledged else None
        write(journal, first + 1, incident_id=name, action=Action.CLOSED, level=level)


def prune_all(journal):
    return sum(journal.prune(most=3) for _ in range(40))


def intact(journal):
    found = examine(journal._opened.connection)
    assert found.damage is None
    assert found.last == journal.last_row


def test_what_is_old_closed_and_acknowledged_goes_and_the_chain_holds(path, calendar):
    with Journal.open(path, retention=Retention(max_age_s=10 * DAY_S), utc_now=calendar) as journal:
        for number in range(5):
            incident(journal, 2 * number + 1, f"i{number}")
        assert prune_all(journal) == 0, "nothing is old"
        calendar.pass_days(11)
        incident(journal, 11, "young")
        assert prune_all(journal) > 0
        assert seqs(journal.read_after(None)) == [(1, 11), (1, 12)]
        intact(journal)
        assert journal.read_after(Mark(journal.epoch, 3)).known is False
    with Journal.open(path) as journal:
        assert (journal.damage, journal.epoch.boot) == (None, 2)
        intact(journal)


def test_what_nobody_acknowledged_and_what_is_open_never_goes(path, calendar):
    with Journal.open(path, retention=Retention(max_age_s=DAY_S, max_bytes=1), utc_now=calendar) as journal:
        incident(journal, 1, "gone")
        incident(journal, 3, "unacknowledged", acknowledged=False)
        incident(journal, 5, "gone too")
        incident(journal, 7, "open", closed=False)
        incident(journal, 8, "gone as well")
        calendar.pass_days(1000)
        prune_all(journal)
        assert seqs(journal.read_after(None)) == [(1, 3), (1, 4), (1, 7)]
        intact(journal)
        assert [item.last.incident_id for item in journal.restored()] == ["open"]
    with Journal.open(path, retention=Retention(max_age_s=DAY_S), utc_now=calendar) as journal:
        assert journal.damage is None
        assert seqs(journal.read_after(None)) == [(1, 3), (1, 4), (1, 7)]
        journal.append([Record.acknowledgement("unacknowledged", AckLevel.ACKNOWLEDGED, "late", None)])
        write(journal, 1, incident_id="open", action=Action.CLOSED, level=AckLevel.ACKNOWLEDGED)
        calendar.pass_days(2)
        incident(journal, 2, "young")
        prune_all(journal)
        assert seqs(journal.read_after(None)) == [(2, 2), (2, 3)]
        intact(journal)
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM journal").fetchone()[0] < 20, "rows given up before go altogether"
    raw.close()


def test_an_incident_that_worsened_after_its_acknowledgement_is_not_acknowledged(path, calendar):
    with Journal.open(path, retention=Retention(max_age_s=DAY_S), utc_now=calendar) as journal:
        incident(journal, 1, "worse", closed=False)
        write(journal, 2, incident_id="worse", action=Action.ESCALATED, severity=Severity.EMERGENCY)
        write(journal, 3, incident_id="worse", action=Action.CLOSED)
        calendar.pass_days(2)
        prune_all(journal)
        assert seqs(journal.read_after(None)) == [(1, 1), (1, 2), (1, 3)]


def test_below_a_severity_nobody_needs_to_acknowledge_if_the_site_says_so(path, calendar):
    rules = Retention(max_age_s=DAY_S, unacknowledged_from=Severity.EMERGENCY)
    with Journal.open(path, retention=rules, utc_now=calendar) as journal:
        incident(journal, 1, "warning", acknowledged=False)
        write(journal, 3, incident_id="emergency", severity=Severity.EMERGENCY)
        write(journal, 4, incident_id="emergency", action=Action.CLOSED)
        calendar.pass_days(2)
        prune_all(journal)
        assert seqs(journal.read_after(None)) == [(1, 3), (1, 4)]


def test_size_lets_go_of_the_oldest_first_and_says_when_it_cannot(path, calendar):
    with Journal.open(path, retention=Retention(max_bytes=300_000), utc_now=calendar) as journal:
        for number in range(100):
            write(journal, 2 * number + 1, incident_id=f"i{number}", why="x" * 4000)
            write(
                journal, 2 * number + 2, incident_id=f"i{number}", action=Action.CLOSED, level=AckLevel.ACKNOWLEDGED,
            )  # fmt: skip
        assert journal.used_bytes() > 400_000
        prune_all(journal)
        assert journal.used_bytes() <= 300_000
        kept = seqs(journal.read_after(None))
        assert kept == [(1, seq) for seq in range(kept[0][1], 201)], "the newest stay"
        assert not journal.overfull
        for number in range(100):
            write(journal, 201 + number, incident_id="never acknowledged", why="x" * 4000)
        prune_all(journal)
        assert journal.overfull
        intact(journal)


def test_giving_up_is_itself_written_down_and_cannot_be_faked(path, calendar):
    with Journal.open(path, retention=Retention(max_age_s=DAY_S), utc_now=calendar) as journal:
        incident(journal, 1, "kept", acknowledged=False)
        incident(journal, 3, "gone")
        calendar.pass_days(2)
        prune_all(journal)
        kinds = [row[0] for row in journal._opened.connection.execute("SELECT kind FROM journal")]
        assert Kind.PRUNED.value in kinds
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE journal SET body = NULL WHERE row = 2")
    raw.close()
    with Journal.open(path) as journal:
        assert journal.damage.row in (1, 2)


def test_the_last_row_stays_for_it_counts_the_boots(path, calendar):
    with Journal.open(path, retention=Retention(max_age_s=DAY_S), utc_now=calendar) as journal:
        incident(journal, 1, "gone")
    for boot in (2, 3, 4):
        with Journal.open(path, retention=Retention(max_age_s=DAY_S), utc_now=calendar) as journal:
            assert journal.epoch.boot == boot
            calendar.pass_days(5)
            prune_all(journal)


def test_connections_commit_nothing_by_themselves(path):
    connection = connect_sqlite(str(path))
    assert connection.isolation_level is None
    connection.close()


def test_filling_is_deterministic(path):
    with Journal.open(path) as journal:
        fill(journal, 5)
        assert seqs(journal.read_after(None)) == [(1, seq) for seq in range(1, 6)]
