"""Every alert once and in order, whatever is lost, repeated, replayed or begun anew."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.alerts import Epoch
from railwatch.messaging.events import AlertAhead, AlertReceived, Gap, HistoryLost, OpenIncidents, Restarted
from railwatch.messaging.ordering import AGAIN_S, ANSWER_S, REMEMBERED, History, Ordering
from railwatch.messaging.requests import Mark, Replayed, ReplayHeader
from railwatch.messaging.wire import encode_alert
from tests.messaging.rig import make_alert

FIRST, SECOND = Epoch("j", 1), Epoch("j", 2)


def make(seq, epoch=FIRST, why=""):
    return make_alert(seq, epoch=epoch, why=why)


class Hub:
    """An Ordering with a hub that answers what it is asked, or refuses; its clock is `now_s`."""

    def __init__(self, at=None, history=History.EPOCH, patience_s=5.0, journal=()):
        names = count(1)
        self.ordering = Ordering(at, history, patience_s, lambda: f"r{next(names)}")
        self.now_s = 100.0
        self.journal = list(journal)
        self.open = []
        self.new = []

    def alert(self, seq, epoch=FIRST, why="", journaled=False):
        alert = replace(make(seq, epoch, why), journaled=journaled)
        is_new, told = self.ordering.alert(alert, encode_alert(alert), self.now_s)
        self.new.append(is_new)
        return told

    def status(self, seq_last, epoch=FIRST, site_id="yard"):
        return self.ordering.status(site_id, epoch, seq_last, self.now_s)

    def question(self):
        request = self.ordering.request(self.now_s)
        if request is not None:
            self.ordering.asked(request, self.now_s)
        return request

    def refuse(self):
        return self.ordering.refused(self.question().request, self.now_s)

    def answer(self, request=None, most=100):
        """Answer the question that is due from the journal, as the hub does."""
        request = request or self.question()
        after = request.after
        known = after is None or after.epoch.journal_id == "j"
        rest = [
            a
            for a in self.journal
            if after is None or not known or (a.epoch.boot, a.seq) > (after.epoch.boot, after.seq)
        ]
        alerts = tuple(encode_alert(replace(alert, journaled=True)) for alert in rest[:most])
        opened = tuple(encode_alert(alert) for alert in self.open) if request.open else ()
        header = ReplayHeader(request.request, known, len(rest) > most, len(opened), len(alerts))
        return self.ordering.replayed(Replayed(header, opened, alerts), self.now_s)


def seqs(events):
    return [
        (event.alert.epoch.boot, event.alert.seq, event.replayed)
        for event in events
        if isinstance(event, AlertReceived)
    ]


def others(events, *but):
    return [event for event in events if not isinstance(event, (AlertReceived, AlertAhead, OpenIncidents, *but))]


# without a journal


def test_one_who_comes_late_is_told_what_it_missed_when_the_hub_refuses():
    hub = Hub()
    assert hub.alert(5) == [AlertAhead(make(5))]
    told = hub.refuse()
    assert told[0] == Gap(FIRST, 1, 4)
    assert seqs(told) == [(1, 5, False)]
    hub = Hub()
    assert hub.status(4) == []
    assert hub.refuse() == [Gap(FIRST, 1, 4)]


def test_nothing_is_missing_at_the_very_start():
    hub = Hub()
    assert hub.status(0) == []
    assert seqs(hub.alert(1)) == [(1, 1, False)]
    assert hub.status(1) == []
    assert hub.refuse() == []
    assert hub.question() is None


def test_a_status_tells_of_alerts_lost_at_the_end_once():
    hub = Hub()
    hub.alert(1)
    hub.status(3)
    assert hub.refuse() == [Gap(FIRST, 2, 3)]
    assert hub.status(3) == []
    assert hub.question() is None
    assert seqs(hub.alert(4)) == [(1, 4, False)]


def test_a_repetition_is_dropped_also_when_only_the_journal_flag_differs():
    hub = Hub()
    hub.alert(1)
    assert hub.alert(1) == []
    assert hub.alert(1, journaled=True) == []
    assert seqs(hub.alert(2)) == [(1, 2, False)]
    assert hub.alert(1) == []
    assert hub.new == [True, False, False, True, False]


def test_the_same_number_with_other_content_begins_a_new_count():
    hub = Hub()
    for seq in (1, 2, 3):
        hub.alert(seq)
    told = hub.alert(1, why="again")
    assert told[0] == Restarted(FIRST, FIRST)
    assert seqs(told) == [(1, 1, False)]
    assert seqs(hub.alert(2, why="again")) == [(1, 2, False)]


def test_a_lower_number_never_seen_begins_a_new_count_with_a_gap():
    hub = Hub()
    hub.alert(9)
    hub.refuse()
    assert others(hub.alert(4)) == [Restarted(FIRST, FIRST)]
    told = hub.refuse()
    assert told[0] == Gap(FIRST, 1, 3)
    assert seqs(told) == [(1, 4, False)]


def test_a_status_that_counts_less_than_was_received_begins_a_new_count():
    hub = Hub()
    for seq in (1, 2, 3):
        hub.alert(seq)
    assert hub.status(2) == [Restarted(FIRST, FIRST)]
    assert hub.refuse() == [Gap(FIRST, 1, 2)]
    assert hub.status(0) == [Restarted(FIRST, FIRST)]
    assert seqs(hub.alert(1)) == [(1, 1, False)]


def test_a_new_epoch_or_site_begins_a_new_count():
    hub = Hub()
    hub.alert(1)
    assert hub.alert(2, SECOND)[0] == Restarted(FIRST, SECOND)
    told = hub.refuse()
    assert told[0] == Gap(SECOND, 1, 1)
    assert seqs(told) == [(2, 2, False)]
    assert hub.status(0, SECOND, "other site") == [Restarted(SECOND, SECOND)]


def test_what_is_remembered_is_bounded():
    hub = Hub()
    for seq in range(1, REMEMBERED + 10):
        hub.alert(seq)
    assert len(hub.ordering._digests) == REMEMBERED
    assert hub.alert(REMEMBERED) == []


# with a journal


def test_what_was_missed_is_fetched_and_later_alerts_wait_for_it():
    hub = Hub(journal=[make(seq) for seq in range(1, 6)])
    hub.open = [make(3)]
    assert hub.status(3) == []
    assert hub.alert(4) == [AlertAhead(make(4))]
    told = hub.answer(most=2)
    assert told[0] == OpenIncidents("yard", (make(3),))
    assert seqs(told) == [(1, 1, True), (1, 2, True)]
    assert hub.alert(5) == [AlertAhead(make(5))]
    assert seqs(hub.answer()) == [(1, 3, True), (1, 4, True), (1, 5, True)]
    assert not hub.ordering.filling
    assert hub.alert(5) == []
    assert seqs(hub.alert(6)) == [(1, 6, False)]


def test_a_live_alert_that_waited_is_no_replayed_one():
    hub = Hub(journal=[make(1)])
    hub.status(1)
    hub.alert(2)
    assert seqs(hub.answer()) == [(1, 1, True), (1, 2, False)]


@pytest.mark.parametrize(("history", "first"), [(History.NOTHING, 8), (History.EPOCH, 1), (History.ALL, -3)])
def test_a_client_without_a_position_gets_what_it_wants_of_the_past(history, first):
    journal = [make(seq) for seq in (1, 2, 3, 4)] + [make(seq, SECOND) for seq in range(1, 8)]
    hub = Hub(history=history, journal=journal)
    hub.status(7, SECOND)
    told = hub.answer() + hub.alert(8, SECOND)
    numbers = [seq if boot == 2 else seq - 4 for boot, seq, _ in seqs(told)]
    assert numbers == list(range(first, 9))


def test_a_client_goes_on_at_its_position_over_restarts_of_the_hub():
    journal = [make(seq) for seq in (1, 2, 3, 4)] + [make(seq, SECOND) for seq in (1, 2)]
    hub = Hub(at=("yard", Mark(FIRST, 2)), journal=journal)
    hub.status(2, SECOND)
    assert seqs(hub.answer()) == [(1, 3, True), (1, 4, True), (2, 1, True), (2, 2, True)]
    assert hub.question() is None


def test_a_position_of_another_site_or_journal_is_told_as_lost():
    hub = Hub(at=("elsewhere", Mark(FIRST, 2)), journal=[make(1)])
    assert hub.status(1) == [HistoryLost("elsewhere", Mark(FIRST, 2))]
    assert seqs(hub.answer()) == [(1, 1, True)]
    lost = Mark(Epoch("gone", 1), 2)
    hub = Hub(at=("yard", lost), journal=[make(1)])
    assert hub.status(1) == []
    told = hub.answer()
    assert HistoryLost("yard", lost) in told
    assert seqs(told) == [(1, 1, True)]


def test_after_a_restart_the_end_of_the_old_epoch_comes_first():
    hub = Hub(journal=[make(1), make(2), make(3)])
    hub.alert(1)
    hub.answer()
    assert hub.alert(1, SECOND) == [Restarted(FIRST, SECOND), AlertAhead(make(1, SECOND))]
    assert seqs(hub.answer()) == [(1, 2, True), (1, 3, True), (2, 1, False)]


def test_an_alert_that_died_with_its_hub_unjournaled_keeps_its_place():
    hub = Hub(journal=[make(1), make(2), make(1, SECOND)])
    hub.alert(1)
    hub.alert(3)  # sent with journaled=false; number 2 is missing
    hub.alert(1, SECOND)
    assert seqs(hub.answer()) == [(1, 2, True), (1, 3, False), (2, 1, True)]


def test_a_hub_that_answers_before_it_is_heard_gives_nothing_twice():
    hub = Hub(journal=[make(1), make(2), make(1, SECOND), make(2, SECOND)])
    hub.status(2)
    assert seqs(hub.answer()) == [(1, 1, True), (1, 2, True), (2, 1, True), (2, 2, True)]
    assert hub.alert(2) == [], "the old hub's words are still in the buffer"
    assert hub.status(2) == []
    assert hub.alert(1, SECOND) == [Restarted(FIRST, SECOND)]
    assert hub.alert(2, SECOND) == []
    assert hub.alert(3, SECOND) == [AlertAhead(make(3, SECOND))]
    assert seqs(hub.answer()) == [(2, 3, False)]


def test_what_retention_let_go_is_a_gap():
    hub = Hub(at=("yard", Mark(FIRST, 1)), journal=[make(5), make(6)])
    hub.status(6)
    told = hub.answer()
    assert others(told) == [Gap(FIRST, 2, 4)]
    assert seqs(told) == [(1, 5, True), (1, 6, True)]


def test_what_the_hub_cannot_give_yet_is_asked_again_and_given_up_when_patience_ends():
    hub = Hub(patience_s=3.0)
    hub.status(2)
    hub.answer()
    assert hub.question() is None
    hub.now_s += AGAIN_S
    hub.answer()
    told = []
    for _ in range(5):
        hub.now_s += 0.8
        told += hub.status(2)
    assert told == [Gap(FIRST, 1, 2)]
    assert hub.question() is None


def test_silence_of_the_hub_does_not_use_up_patience_unless_an_alert_waits():
    hub = Hub(patience_s=3.0)
    hub.status(2)
    hub.now_s += 1000.0
    assert hub.ordering.tick(hub.now_s) == []
    assert hub.status(2) == []
    assert hub.alert(3) == [AlertAhead(make(3))]
    hub.now_s += 2.9
    assert hub.ordering.tick(hub.now_s) == []
    hub.now_s += 0.1
    told = hub.ordering.tick(hub.now_s)
    assert told[0] == Gap(FIRST, 1, 2)
    assert seqs(told) == [(1, 3, False)]


def test_infinite_patience_waits_and_holds_no_more_than_its_limit(monkeypatch):
    monkeypatch.setattr("railwatch.messaging.ordering.HELD_LIMIT", 10)
    hub = Hub(patience_s=inf, journal=[make(seq) for seq in range(1, 31)])
    hub.status(1)
    for seq in range(2, 31):
        hub.now_s += 10.0
        hub.alert(seq)
    assert len(hub.ordering._held) == 10
    hub.journal = hub.journal[:3]
    told = hub.answer()
    hub.journal = [make(seq) for seq in range(1, 31)]
    told += hub.answer()
    assert [seq for _, seq, _ in seqs(told)] == list(range(1, 31))


def test_a_question_without_an_answer_is_put_again_and_either_answer_counts_once():
    hub = Hub(journal=[make(1)])
    hub.status(1)
    first = hub.question()
    assert hub.question() is None
    hub.now_s += ANSWER_S
    second = hub.question()
    assert second.after == first.after
    assert seqs(hub.answer(first)) == [(1, 1, True)]
    assert hub.answer(second) == []
    assert hub.answer(replace(first, request="never")) == []
    assert hub.ordering.refused("never", hub.now_s) == hub.ordering.refused(None, hub.now_s) == []


@given(st.data())
def test_whatever_is_lost_all_are_handed_over_once_and_in_order(data):
    """A hub of three runs, a client that loses live messages, is answered in pieces, and is itself started anew."""
    hub, got, asked = Hub(patience_s=inf), [], []
    for boot in (1, 2, 3):
        epoch = Epoch("j", boot)
        total = data.draw(st.integers(0, 6))
        for seq in range(1, total + 1):
            hub.journal.append(make(seq, epoch))
            if data.draw(st.booleans()):
                got += hub.alert(seq, epoch)
            if data.draw(st.booleans()):
                got += hub.status(seq, epoch)
            if data.draw(st.booleans()) and (request := hub.question()):
                asked.append(request)
            if asked and data.draw(st.booleans()):  # now, or by a hub that is not heard yet
                got += hub.answer(asked.pop(0), most=data.draw(st.integers(1, 3)))
        if data.draw(st.booleans()):  # the client ends; its position is what it was handed
            done = [event.alert for event in got if isinstance(event, AlertReceived)]
            at = ("yard", Mark(done[-1].epoch, done[-1].seq)) if done else None
            fresh = Hub(at=at, history=History.ALL, patience_s=inf, journal=hub.journal)
            hub, asked = fresh, []
    last = len([alert for alert in hub.journal if alert.epoch == Epoch("j", 3)])
    got += hub.status(last, Epoch("j", 3))
    hub.now_s += ANSWER_S
    while (request := hub.question()) is not None:
        hub.now_s += ANSWER_S
        got += hub.answer(request)
    wanted = [(alert.epoch.boot, alert.seq) for alert in hub.journal]
    handed = [(boot, seq) for boot, seq, _ in seqs(got)]
    assert handed == wanted[len(wanted) - len(handed) :]
    first = next((event for event in got if isinstance(event, AlertReceived)), None)
    assert first is None or handed == wanted or first.alert.seq == 1
