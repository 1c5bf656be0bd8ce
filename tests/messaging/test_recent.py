"""What went out lately, kept in memory within bounds."""

from __future__ import annotations

from railwatch.core.alerts import Action, Epoch, Severity
from railwatch.messaging.recent import MAX_OPEN, RECENT_BYTES, Recent
from railwatch.messaging.requests import MAX_BATCH_ALERTS, MAX_BATCH_BYTES, Mark
from railwatch.messaging.wire import decode_alert, encode_alert
from tests.messaging.rig import EPOCH, make_alert


def send(recent, *seqs, **changes):
    for seq in seqs:
        alert = make_alert(seq, **changes)
        recent.sent(alert, encode_alert(alert))


def seqs(payloads):
    return [decode_alert(payload).seq for payload in payloads]


def test_what_follows_a_mark_is_given_in_order_or_not_at_all():
    recent = Recent(EPOCH, (), alerts=5)
    send(recent, *range(1, 9))
    assert seqs(recent.after(Mark(EPOCH, 3)).alerts) == [4, 5, 6, 7, 8]
    assert seqs(recent.after(Mark(EPOCH, 7)).alerts) == [8]
    assert recent.after(Mark(EPOCH, 8)).alerts == ()
    assert recent.after(Mark(EPOCH, 2)) is None, "the third is no longer here"
    assert recent.after(Mark(Epoch("j", 9), 5)) is None
    assert recent.after(None) is None


def test_an_answer_and_what_is_kept_are_bounded():
    recent = Recent(EPOCH, ())
    send(recent, *range(1, MAX_BATCH_ALERTS + 10))
    batch = recent.after(Mark(EPOCH, 0))
    assert (len(batch.alerts), batch.more, batch.last) == (MAX_BATCH_ALERTS, True, Mark(EPOCH, MAX_BATCH_ALERTS))
    recent = Recent(EPOCH, ())
    send(recent, *range(1, 101), why="x" * 40_000)
    assert recent._bytes <= RECENT_BYTES
    batch = recent.after(Mark(EPOCH, 90))
    assert batch.more
    assert sum(map(len, batch.alerts)) <= MAX_BATCH_BYTES


def test_open_incidents_are_those_not_closed_the_worst_first():
    restored = [make_alert(9, incident_id="old", severity=Severity.WARNING)]
    recent = Recent(EPOCH, restored)
    send(recent, 1, incident_id="a", severity=Severity.NOTICE)
    send(recent, 2, incident_id="b", severity=Severity.EMERGENCY)
    send(recent, 3, incident_id="c")
    send(recent, 4, incident_id="c", action=Action.CLOSED)
    assert [decode_alert(payload).incident_id for payload in recent.open_incidents()] == ["b", "old", "a"]
    for number in range(MAX_OPEN + 50):
        send(recent, 5 + number, incident_id=f"many {number}")
    assert len(recent.open_incidents()) <= MAX_OPEN
    assert decode_alert(recent.open_incidents()[0]).incident_id == "b"
